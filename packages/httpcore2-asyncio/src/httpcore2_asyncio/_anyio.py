"""The anyio backend: connects on whatever event loop anyio finds: asyncio's, uvloop or trio.

Rules:

- Waiting, clocks, nurseries and name resolution are anyio's, and its streams are not used. Those can be closed only by
  awaiting, which needs a running loop, and don't show the bytes that they have received. A socket of our own, for which
  `anyio.wait_readable` waits, is closed by one system call, polled by another while it is idle, and can be left as it
  is after a fork; the same on every loop.
- It needs neither trio nor the native backends. Only shielding and `interruptible` know asyncio, since anyio's scopes
  don't stop asyncio's own cancellation.

Must not know: TLS, HTTP, the pool; how a stream reads and connects, which is core's.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeVar

from httpcore2_core._net.coroutines import before_suspending
from httpcore2_core._net.readiness import (
    Address,
    Nursery,
    ReadinessRuntime,
    foremost,
    wait_until_ready,
)
from httpcore2_core._net.runtime import Interrupter, Waiter
from httpcore2_core._net.socket_backend import ReadinessBackend

from ._runtime import RUNTIME as ASYNCIO

try:
    import anyio
    import anyio.lowlevel
except ImportError as exc:
    raise ImportError(
        "AnyIOBackend needs anyio, which is not installed. Run: pip install 'httpcore2[anyio]'"
    ) from exc

T = TypeVar("T")


class AnyIOWaiter(Waiter):
    """One task that waits. It costs one event, or nothing if the wake-up comes first."""

    __slots__ = ("_event", "_woken")

    def __init__(self) -> None:
        self._woken = False
        self._event: anyio.Event | None = None

    def wake(self) -> None:
        self._woken = True
        if self._event is None:
            return
        try:
            self._event.set()
        except RuntimeError:
            pass  # the event loop was closed with its tasks, so nobody waits

    async def wait(self, timeout: float | None) -> bool:
        if not self._woken:
            self._event = event = anyio.Event()
            try:
                if timeout is None:
                    await event.wait()
                else:
                    with anyio.move_on_after(timeout):
                        await event.wait()
            finally:
                self._event = None
        return self._woken


class AnyIORuntime(ReadinessRuntime):
    """The runtime that anyio finds. It has no state, so that one instance serves every event loop."""

    __slots__ = ()

    def now(self) -> float:
        try:
            return anyio.current_time()
        except RuntimeError:
            pass  # no task runs the caller
        try:
            return asyncio.get_running_loop().time()  # a timer
        except RuntimeError:
            # The clock ends with its loop, but a pool's state may be read later. Everything has expired by then.
            return math.inf

    def token(self) -> object:
        return anyio.lowlevel.current_token().native_token

    def is_running(self, token: object) -> bool:
        if isinstance(token, asyncio.AbstractEventLoop):
            return token.is_running()
        # trio's token, which can only be tested by scheduling a call.
        run_sync_soon: Callable[..., None] = token.run_sync_soon  # type: ignore[attr-defined]
        try:
            run_sync_soon(_do_nothing, idempotent=True)
        except RuntimeError:
            return False
        return True

    def create_waiter(self) -> AnyIOWaiter:
        return AnyIOWaiter()

    def call_later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None] | None:
        # `None` on trio, where no asyncio loop runs.
        return ASYNCIO.call_later(seconds, call)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    async def shielded(self, call: Callable[[], Awaitable[T]]) -> T:
        if isinstance(self.token(), asyncio.AbstractEventLoop):
            # A shielded scope stops cancellations by anyio, but not those by `asyncio.timeout` or `Task.cancel`.
            return await ASYNCIO.shielded(call)
        with anyio.CancelScope(shield=True):
            result = await call()
        return result

    async def interruptible(
        self,
        work: Coroutine[Any, Any, object],
        interrupt: Callable[[], Coroutine[Any, Any, bool]] | None,
        timeout: float | None,
    ) -> bool:
        if isinstance(self.token(), asyncio.AbstractEventLoop):
            # Not a scope of anyio: scopes have to end in reverse order, and `work` may leave some open.
            return await ASYNCIO.interruptible(work, interrupt, timeout)
        interrupter: Interrupter | None = None
        was_cancelled = True
        try:
            async with anyio.create_task_group() as tasks:
                if timeout is not None:
                    tasks.cancel_scope.deadline = anyio.current_time() + timeout
                if interrupt is None:
                    await work
                else:
                    interrupter = Interrupter(interrupt, tasks.cancel_scope.cancel)
                    start = partial(tasks.start_soon, interrupter.run)
                    await before_suspending(work, start)
                was_cancelled = tasks.cancel_scope.cancel_called
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as exc:
            raise foremost(exc.exceptions) from None
        if interrupter is not None and interrupter.error is not None:
            raise interrupter.error
        return not was_cancelled

    async def checkpoint(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def wait_readable(self, sock: socket.socket, deadline: float | None) -> bool:
        return await _wait(anyio.wait_readable, sock, deadline)

    async def wait_writable(self, sock: socket.socket, deadline: float | None) -> bool:
        return await _wait(anyio.wait_writable, sock, deadline)

    def notify_closing(self, sock: socket.socket) -> None:
        try:
            anyio.notify_closing(sock)
        except RuntimeError:
            pass  # no event loop runs the caller: the stream is garbage, and nobody waits

    def cancel_scope(self, deadline: float) -> anyio.CancelScope:
        return anyio.CancelScope(deadline=deadline)

    def open_nursery(self) -> AbstractAsyncContextManager[Nursery]:
        return anyio.create_task_group()

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> Sequence[Address]:
        try:
            # An IP address needs no look-up, and so no thread.
            return socket.getaddrinfo(
                host, port, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        except socket.gaierror:
            return await anyio.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)


class AnyIOBackend(ReadinessBackend):
    """Opens connections on every event loop that anyio runs on.

    Needs anyio: `pip install 'httpcore2[anyio]'`. `AsyncIOBackend` and `TrioBackend` do the same
    faster, each on its own loop; the pool takes them by itself.

    Example:
        >>> import anyio
        >>> from httpcore2_asyncio import AnyIOBackend
        >>> async def main() -> None:
        ...     stream = await AnyIOBackend().connect_tcp("www.example.com", 80, timeout=5.0)
        ...     await stream.aclose()
        >>> anyio.run(main)
    """

    runtime: AnyIORuntime = AnyIORuntime()


async def _wait(
    wait: Callable[[socket.socket], Awaitable[Any]], sock: socket.socket, deadline: float | None
) -> bool:
    scope = None if deadline is None else anyio.CancelScope(deadline=deadline)
    return await wait_until_ready(
        wait, sock, scope, anyio.ClosedResourceError, anyio.BusyResourceError
    )


def _do_nothing() -> None:
    """Do nothing: only whether it can be scheduled counts."""
