"""What a check is, and what it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._backends.sync import adapt_backend
from .._blocking import run_blocking
from .._network import AsyncNetworkBackend, AsyncNetworkStream, NetworkBackend
from ._peers import LIMIT, Part, Peer, Server, TLSPeer

if TYPE_CHECKING:
    import ssl

Task = Callable[[], Coroutine[Any, Any, None]]
CheckFunction = Callable[["Subject"], Coroutine[Any, Any, None]]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A backend to check, and what that takes.

    Attributes:
        backend: the backend.
        concurrently: runs several tasks at once, on the event loop that runs it, to the end of all.
        server_tls: for a server that is called `localhost`. The checks change its ALPN protocols
            and its `sni_callback`.
        client_tls: for clients that trust it. The checks change its ALPN protocols.
    """

    backend: AsyncNetworkBackend
    concurrently: Callable[..., Awaitable[None]]
    server_tls: ssl.SSLContext
    client_tls: ssl.SSLContext

    @asynccontextmanager
    async def serving(self, script: Part, *, path: str | None = None) -> AsyncIterator[Any]:
        """Serve connections with `script`, in threads, on TCP or on a unix socket at `path`; yield the address."""
        with Server(script, path) as server:
            yield server.address
            # Event loops need a moment to close a connection.
            await self.until(server.is_done)
            is_done = server.is_done()
        assert is_done, "the peer waits for something that the client did not do"

    @asynccontextmanager
    async def connected(self, script: Part, *, tls: bool = False) -> AsyncIterator[Any]:
        """Connect to a peer that runs `script`; yield the stream, encrypted or not."""

        def serve(peer: Peer) -> None:
            script(TLSPeer(peer, self.server_tls) if tls else peer)

        async with self.serving(serve) as (host, port):
            stream = await self.backend.connect_tcp(host, port, timeout=LIMIT)
            try:
                if tls:
                    stream = await stream.start_tls(self.client_tls, "localhost", LIMIT)
                yield stream
            finally:
                await stream.aclose()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something holds, or for `LIMIT` seconds."""
        for _ in range(int(LIMIT / 0.001)):
            if condition():
                break
            await self.backend.sleep(0.001)

    async def pause(self) -> None:
        """Let other tasks come to where they wait."""
        for _ in range(5):
            await self.backend.sleep(0)


def thread_subject(
    backend: NetworkBackend, *, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> Subject:
    """Make the subject for a backend for threads; `run_blocking` runs its checks."""
    return Subject(
        backend=adapt_backend(backend),
        concurrently=_in_threads,
        server_tls=server_tls,
        client_tls=client_tls,
    )


async def _in_threads(*tasks: Task) -> None:
    with ThreadPoolExecutor(len(tasks)) as threads:
        for running in [threads.submit(run_blocking, task()) for task in tasks]:
            running.result()


@dataclass(frozen=True)
class Check:
    """One check: call it with a `Subject` and await the result. `str()` gives its name.

    Raises:
        AssertionError: the backend does not do what the interface says.
    """

    name: str
    function: CheckFunction

    def __call__(self, subject: Subject) -> Coroutine[Any, Any, None]:
        return self.function(subject)

    def __str__(self) -> str:
        return self.name


class Checks:
    """A list of checks that grows by decorating functions."""

    def __init__(self) -> None:
        self.list: list[Check] = []

    def add(self, function: CheckFunction) -> None:
        self.list.append(Check(function.__name__, function))

    def add_for_streams(self, function: Callable[..., Coroutine[Any, Any, None]]) -> None:
        """Add a check of streams twice, without and with TLS; it is given what connects, too."""

        def add(suffix: str, tls: bool) -> None:
            def check(subject: Subject) -> Coroutine[Any, Any, None]:
                return function(subject, lambda script: subject.connected(script, tls=tls))

            self.list.append(Check(function.__name__ + suffix, check))

        add("", False)
        add("_with_tls", True)


@contextmanager
def raises(*expected: type[Exception]) -> Iterator[None]:
    """Hold that the block raises one of `expected`, and that it says something."""
    names = " or ".join(kind.__name__ for kind in expected)
    try:
        yield
    except Exception as exc:
        if not isinstance(exc, expected):
            raise AssertionError(f"it raised {exc!r}, not {names}") from exc
        if not str(exc):
            raise AssertionError(f"it raised {exc!r}, which says nothing") from exc
    else:
        raise AssertionError(f"it did not raise {names}")


async def read_exactly(stream: AsyncNetworkStream, count: int) -> bytes:
    """Read `count` bytes, and no more."""
    data = bytearray()
    while len(data) < count:
        more = await stream.read(count - len(data), LIMIT)
        assert more, f"the stream ended after {len(data)} of {count} bytes"
        data += more
    return bytes(data)
