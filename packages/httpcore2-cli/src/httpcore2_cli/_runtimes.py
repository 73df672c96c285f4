"""The four runtimes on which requests can be sent, behind one interface of coroutines.

Rules: on threads the coroutines block and never suspend. A runtime is imported when it is chosen.
Must not know: options, what is shown.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Callable, Coroutine
from typing import Any, ClassVar, TypeVar

from httpcore2_core import (
    AsyncConnectionPool,
    AsyncNetworkBackend,
    ConnectionPool,
    NetworkBackend,
    Observer,
    Origin,
    Request,
    Response,
    SyncBackend,
)
from httpcore2_core._distributions import load
from httpcore2_core._http.bodies import iterate
from httpcore2_core._net.coroutines import run_blocking

T = TypeVar("T")
Worker = Callable[[], Coroutine[Any, Any, None]]
Trace = Callable[[str, dict[str, Any]], None]


class Client(ABC):
    """A pool, with the same interface on every runtime."""

    @abstractmethod
    async def send(self, request: Request, trace: Trace | None = None) -> Response:
        """Send a request, and return the response with its body unread.

        Args:
            request: the request.
            trace: a plain function, which is called with each trace event.
        """

    @abstractmethod
    def chunks(self, response: Response) -> AsyncIterable[bytes]:
        """Iterate over the body."""

    @abstractmethod
    async def close_response(self, response: Response) -> None:
        """Close a response."""

    @abstractmethod
    def observe(self, observer: Observer) -> None:
        """Install an observer."""

    @abstractmethod
    def try_http3(self, origin: Origin) -> None:
        """Try HTTP/3 for the next connection to an origin, and other versions if that fails."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close all connections."""


class Runtime(ABC):
    """One way to run coroutines."""

    name: ClassVar[str]

    @abstractmethod
    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine to its end."""

    @abstractmethod
    async def run_all(self, count: int, worker: Worker, stop: Worker) -> None:
        """Run coroutines concurrently, until all have ended.

        Args:
            count: how many.
            worker: makes one.
            stop: what ends them when they are interrupted, if the runtime cannot cancel them.
        """

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Wait."""

    @abstractmethod
    def backend(self) -> Any:
        """Return the network backend of this runtime."""

    @abstractmethod
    def client(self, **options: Any) -> Client:
        """Make a pool with the options that `ConnectionPool` has."""


class SyncClient(Client):
    """A pool for threads, whose calls block."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def send(self, request: Request, trace: Trace | None = None) -> Response:
        if trace is not None:
            request.extensions["trace"] = trace
        return self._pool.handle_request(request)

    def chunks(self, response: Response) -> AsyncIterable[bytes]:
        return iterate(response.iter_stream(), True)

    async def close_response(self, response: Response) -> None:
        response.close()

    def observe(self, observer: Observer) -> None:
        self._pool.observe(observer)

    def try_http3(self, origin: Origin) -> None:
        self._pool._try_http3(origin)

    async def aclose(self) -> None:
        self._pool.close()


class AsyncClient(Client):
    """A pool for event loops."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def send(self, request: Request, trace: Trace | None = None) -> Response:
        if trace is not None:
            plain = trace

            async def report(name: str, info: dict[str, Any]) -> None:
                plain(name, info)

            request.extensions["trace"] = report
        return await self._pool.handle_async_request(request)

    def chunks(self, response: Response) -> AsyncIterable[bytes]:
        return response.aiter_stream()

    async def close_response(self, response: Response) -> None:
        await response.aclose()

    def observe(self, observer: Observer) -> None:
        self._pool.observe(observer)

    def try_http3(self, origin: Origin) -> None:
        self._pool._try_http3(origin)

    async def aclose(self) -> None:
        await self._pool.aclose()


class Threads(Runtime):
    """The calling thread, and further threads for concurrent requests."""

    name = "threads"

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return run_blocking(main())

    async def run_all(self, count: int, worker: Worker, stop: Worker) -> None:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(count) as executor:
            try:
                futures = [executor.submit(lambda: run_blocking(worker())) for _ in range(count)]
                for future in futures:
                    future.result()
            except BaseException:
                await stop()
                raise

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - this coroutine runs on a thread, and may block

    def backend(self) -> NetworkBackend:
        return SyncBackend()

    def client(self, **options: Any) -> Client:
        return SyncClient(ConnectionPool(**options))


class EventLoop(Runtime):
    """Base class of the runtimes with an event loop."""

    package: ClassVar[str]
    backend_name: ClassVar[str]

    def backend(self) -> AsyncNetworkBackend:
        purpose = f"--backend {self.name}"
        backend: AsyncNetworkBackend = load(self.package, self.backend_name, self.name, purpose)()
        return backend

    def client(self, **options: Any) -> Client:
        options.setdefault("network_backend", self.backend())
        return AsyncClient(AsyncConnectionPool(**options))


class AsyncIO(EventLoop):
    """asyncio."""

    name = "asyncio"
    package = "httpcore2_asyncio"
    backend_name = "AsyncIOBackend"

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        import asyncio

        return asyncio.run(main())

    async def run_all(self, count: int, worker: Worker, stop: Worker) -> None:
        import asyncio

        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(worker())

    async def sleep(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)


class Trio(EventLoop):
    """trio."""

    name = "trio"
    package = "httpcore2_trio"
    backend_name = "TrioBackend"

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        self.backend()  # without its distribution, this names the command that installs it
        import trio

        return trio.run(main)

    async def run_all(self, count: int, worker: Worker, stop: Worker) -> None:
        import trio

        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(worker)

    async def sleep(self, seconds: float) -> None:
        import trio

        await trio.sleep(seconds)


class AnyIO(EventLoop):
    """anyio, on asyncio."""

    name = "anyio"
    package = "httpcore2_asyncio"
    backend_name = "AnyIOBackend"

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        self.backend()  # without its distribution, this names the command that installs it
        import anyio

        return anyio.run(main)

    async def run_all(self, count: int, worker: Worker, stop: Worker) -> None:
        import anyio

        async with anyio.create_task_group() as group:
            for _ in range(count):
                group.start_soon(worker)

    async def sleep(self, seconds: float) -> None:
        import anyio

        await anyio.sleep(seconds)


RUNTIMES: dict[str, type[Runtime]] = {
    runtime.name: runtime for runtime in (Threads, AsyncIO, Trio, AnyIO)
}
