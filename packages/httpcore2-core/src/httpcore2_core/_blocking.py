"""Running our coroutines on a plain thread."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that blocks where it has to wait, and so never suspends, to its end.

    Costs about 1 µs. Exceptions, `KeyboardInterrupt` included, unwind through the coroutine's own
    `finally` blocks.

    Raises:
        RuntimeError: the coroutine suspended, so something in it belongs to an event loop.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError(
        "A coroutine suspended on a thread without an event loop: an asynchronous object (body, "
        "stream or callback) was given to the synchronous interface."
    )
