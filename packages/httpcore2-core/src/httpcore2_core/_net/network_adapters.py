"""A caller's own network backends and streams, made into what the transport works with.

Rules: only the public methods of a caller's stream are used. They get their arguments as httpcore2 has always given
them, optional ones by name: many take the rest as `**kwargs` and hand it on. `aclose()` may suspend: it is awaited,
shielded, once the transport's own state is in order (`wait_closed`).
Must not know: HTTP, the pool.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from .._distributions import PREFIX
from .._exceptions import ReadError, WriteError
from .backend_stream import BackendStream
from .detection import AutoBackend, detect_backend, is_patched, running_loop
from .network_interfaces import (
    SOCKET_OPTION,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    NetworkBackend,
    NetworkStream,
)
from .runtime import Runtime, Waiter
from .runtime_backend import RuntimeBackend
from .sync_backend import THREADS, SyncBackend, SyncStream

if TYPE_CHECKING:
    import ssl


T = TypeVar("T")


def adapt_async_backend(backend: AsyncNetworkBackend) -> RuntimeBackend:
    """Return `backend` with a runtime: itself, if it brings one."""
    return backend if isinstance(backend, RuntimeBackend) else CallerBackend(backend)


def adapt_given_backend(backend: AsyncNetworkBackend | None) -> RuntimeBackend | None:
    """Return what carries the transport over the backend that a caller gave, or `None` for `default_backend()`."""
    if backend is None or type(backend) is AutoBackend:
        return None
    return adapt_async_backend(backend)


def default_backend() -> RuntimeBackend:
    """Return what carries the transport where no backend was given; errors as for `detect_backend`."""
    return CallerBackend(AutoBackend()) if is_patched(AutoBackend) else detect_backend()


def adapt_async_stream(stream: AsyncNetworkStream) -> BackendStream:
    """Return `stream` as one that can be dropped without awaiting: itself, if it can."""
    return stream if isinstance(stream, BackendStream) else CallerStream(stream)


class CallerRuntime(Runtime):
    """The world of a caller's own backend: whichever event loop happens to run it."""

    __slots__ = ()

    def now(self) -> float:
        return time.monotonic()

    def token(self) -> object:
        found = running_loop()
        return None if found is None else found[1]

    def is_running(self, token: object) -> bool:
        # Its streams are closed by its own methods, in whatever loop: there is none to protect.
        return False

    def create_waiter(self) -> Waiter:
        return detect_backend().runtime.create_waiter()

    async def sleep(self, seconds: float) -> None:
        await detect_backend().runtime.sleep(seconds)

    async def shielded(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            runtime = detect_backend().runtime
        except (ImportError, RuntimeError):
            return await call()  # a loop that we have no backend for: it gets no shield
        return await runtime.shielded(call)

    async def interruptible(
        self,
        work: Coroutine[Any, Any, object],
        interrupt: Callable[[], Coroutine[Any, Any, bool]] | None,
        timeout: float | None,
    ) -> bool:
        try:
            runtime = detect_backend().runtime
        except (ImportError, RuntimeError):
            return await super().interruptible(work, interrupt, timeout)
        return await runtime.interruptible(work, interrupt, timeout)


_RUNTIME = CallerRuntime()


async def _result(call: Awaitable[T] | T) -> T:
    """Return what a method of the caller's gave, once it is there: of a synchronous one it is."""
    return await call if isinstance(call, Awaitable) else call


class CallerStream(BackendStream):
    """A caller's own stream, whose methods may be of either colour."""

    close_pending = False

    def __init__(self, stream: AsyncNetworkStream | NetworkStream) -> None:
        self.inner: Any = stream
        self._is_aborted = False

    @property
    def runtime(self) -> Runtime:
        return _RUNTIME

    @property
    def unwrapped(self) -> AsyncNetworkStream | NetworkStream:
        stream: AsyncNetworkStream | NetworkStream = self.inner
        return stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._is_aborted:
            raise ReadError("The connection was closed.")
        return await _result(self.inner.read(max_bytes, timeout=timeout))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._is_aborted:
            raise WriteError("The connection was closed.")
        await _result(self.inner.write(buffer, timeout=timeout))

    def abort(self) -> None:
        if not self._is_aborted:
            self._is_aborted = True
            self.close_pending = True

    async def wait_closed(self) -> None:
        if self.close_pending:
            self.close_pending = False
            await _RUNTIME.shielded(self.inner.aclose)

    async def aclose(self) -> None:
        self.abort()
        await self.wait_closed()

    def read_nowait(self, max_bytes: int) -> bytes | None:
        # What there is can't be taken without waiting; that there is something is all that the
        # pool asks.
        if self._is_aborted or self.inner.get_extra_info("is_readable"):
            return b""
        return None

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> BackendStream:
        encrypted = self.inner.start_tls(
            ssl_context=ssl_context, server_hostname=server_hostname, timeout=timeout
        )
        return self._adapt(await _result(encrypted))

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)

    _adapt: Callable[[Any], BackendStream] = staticmethod(adapt_async_stream)


class CallerBackend(RuntimeBackend):
    """A caller's own backend, whose methods may be of either colour."""

    runtime: Runtime = _RUNTIME

    def __init__(self, backend: AsyncNetworkBackend | NetworkBackend) -> None:
        self._backend: Any = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> BackendStream:
        dial = self._backend.connect_tcp(
            host=host,
            port=port,
            timeout=timeout,
            local_address=local_address,
            socket_options=socket_options,
        )
        return self._adapt(await _result(dial))

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> BackendStream:
        dial = self._backend.connect_unix_socket(
            path=path, timeout=timeout, socket_options=socket_options
        )
        return self._adapt(await _result(dial))

    async def sleep(self, seconds: float) -> None:
        await _result(self._backend.sleep(seconds))

    async def resolve_ipv4(self, host: str, timeout: float | None = None) -> str:
        return await detect_backend().resolve_ipv4(host, timeout)

    _adapt: Callable[[Any], BackendStream] = staticmethod(adapt_async_stream)


class BlockingStream(CallerStream):
    """A caller's own synchronous stream, for the transport."""

    @property
    def runtime(self) -> Runtime:
        return THREADS.runtime

    def abort(self) -> None:
        if self._is_aborted:
            return
        self._is_aborted = True
        try:
            # Another thread may be using it. When its descriptor is closed is the caller's to decide.
            self.inner.close()
        except Exception:
            # It is closed in the middle of other things, which must not fail because of it.
            import logging

            logger = logging.getLogger(f"{PREFIX}httpcore2.connection")
            logger.warning("%r could not be closed", self.inner, exc_info=True)

    @staticmethod
    def _adapt(stream: NetworkStream) -> BackendStream:
        return adapt_stream(stream)


class BlockingBackend(CallerBackend):
    """A caller's own synchronous backend, for the transport."""

    runtime = THREADS.runtime

    @staticmethod
    def _adapt(stream: NetworkStream) -> BackendStream:
        return adapt_stream(stream)

    async def resolve_ipv4(self, host: str, timeout: float | None = None) -> str:
        return await THREADS.resolve_ipv4(host, timeout)


class DefaultBackend(RuntimeBackend):
    """Opens the connections of pools that were given no backend: with `SyncBackend`, if that was patched."""

    runtime = THREADS.runtime

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        return await _dialler().connect_tcp(host, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        return await _dialler().connect_unix_socket(path, timeout, socket_options)

    async def resolve_ipv4(self, host: str, timeout: float | None = None) -> str:
        return await THREADS.resolve_ipv4(host, timeout)


def _dialler() -> RuntimeBackend:
    return BlockingBackend(SyncBackend()) if is_patched(SyncBackend) else THREADS


_DEFAULT = DefaultBackend()


def adapt_backend(backend: NetworkBackend | None) -> RuntimeBackend:
    """Return what carries the transport over `backend`.

    For `None` and for our own that is the backend for threads. A class of the caller's that
    is derived from ours may do something of its own.
    """
    if backend is None or type(backend) is SyncBackend:
        return _DEFAULT
    return BlockingBackend(backend)


def adapt_stream(stream: NetworkStream) -> BackendStream:
    """Return what carries the transport over `stream`."""
    if isinstance(stream, SyncStream) and isinstance(stream.inner, BackendStream):
        return stream.inner
    return BlockingStream(stream)
