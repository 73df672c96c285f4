"""Runs coroutines without an event loop: to their end, or until they suspend.

Must not know: clocks, sockets, HTTP.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


def run_blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in the calling thread. The coroutine may block, but must not suspend.

    It takes about 1 µs. Exceptions, `KeyboardInterrupt` included, pass through the `finally` blocks of the coroutine.

    Args:
        coroutine: the coroutine.

    Returns:
        The result of the coroutine. Its exceptions are raised.

    Raises:
        RuntimeError: the coroutine suspended, since it awaits an object of an event loop.

    Example:
        A coroutine that does not suspend needs no event loop.

        ```python
        from httpcore2_core.testing import run_blocking


        async def add(a, b):
            return a + b


        assert run_blocking(add(1, 2)) == 3
        ```
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError(
        "A coroutine suspended on a thread without an event loop: an async object (a body, "
        "a stream or a callback) was given to the sync API."
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
    """Continue a coroutine that has yielded `yielded`, as `yield from` does from the start (PEP 380)."""
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
