"""Running coroutines by hand: to their end without an event loop, or up to where they suspend.

Must not know: clocks, sockets, HTTP.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
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


@types.coroutine
def before_suspending(
    coroutine: Coroutine[Any, Any, T], call: Callable[[], object]
) -> Generator[Any, Any, T]:
    """Await `coroutine`, and call `call` when it is about to suspend for the first time."""
    try:
        yielded = coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    call()
    return (yield from resume(coroutine, yielded))


def resume(coroutine: Coroutine[Any, Any, T], yielded: object) -> Generator[Any, Any, T]:
    """Go on with a coroutine that has just yielded this, as `yield from` does (PEP 380), which begins at the start."""
    thrown: list[BaseException] = []  # popped at once: in a variable, it would keep itself alive
    try:
        while True:
            received = None
            try:
                received = yield yielded
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as exc:  # noqa: BLE001 - it is the coroutine's
                thrown.append(exc)
            yielded = coroutine.throw(thrown.pop()) if thrown else coroutine.send(received)
    except StopIteration as stop:
        result: T = stop.value
        return result
