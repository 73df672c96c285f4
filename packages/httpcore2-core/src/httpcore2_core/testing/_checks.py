"""Checks of network backends: how one is declared, and the backend that is passed to it.

Rules: a check is a coroutine function of a `BackendUnderTest`. It ends by itself within some seconds, and raises
`AssertionError` when the backend does not do what the interface says.
Must not know: which checks there are, HTTP, event loops.
"""

from __future__ import annotations

import ssl  # noqa: TID253 - the transport does not load this module
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from .._net.coroutines import run_blocking
from .._net.network_adapters import adapt_sync_backend
from .._net.network_interfaces import AsyncNetworkBackend, AsyncNetworkStream, NetworkBackend
from ._peers import LIMIT, Peer, PeerScript, Server, TLSPeer

Task = Callable[[], Coroutine[Any, Any, None]]
CheckFunction = Callable[["BackendUnderTest"], Coroutine[Any, Any, None]]


@dataclass(frozen=True, kw_only=True)
class BackendUnderTest:
    """The backend under test, with all that the checks need to use it.

    Args:
        backend: the backend under test. `thread_subject()` adapts a backend for threads.
        concurrently: an async function that takes coroutine functions, runs them concurrently on the running event
            loop, and returns when all have ended.
        server_tls: the context of a server whose certificate is for `localhost`. The checks change its ALPN protocols
            and its `sni_callback`.
        client_tls: the context of a client that trusts this certificate. The checks change its ALPN protocols.

    Example:
        This checks a backend for asyncio, with contexts from `trustme`.

        ```python
        import asyncio
        import ssl

        import httpcore2
        import trustme
        from httpcore2_core.testing import Subject, backend_checks


        async def concurrently(*tasks):
            await asyncio.gather(*(task() for task in tasks))

        authority = trustme.CA()
        server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(server_tls)
        client_tls = ssl.create_default_context()
        authority.configure_trust(client_tls)
        subject = Subject(
            backend=httpcore2.AsyncIOBackend(),
            concurrently=concurrently,
            server_tls=server_tls,
            client_tls=client_tls,
        )
        asyncio.run(backend_checks[0](subject))
        ```
    """

    backend: AsyncNetworkBackend
    concurrently: Callable[..., Awaitable[None]]
    server_tls: ssl.SSLContext
    client_tls: ssl.SSLContext

    @asynccontextmanager
    async def serving(self, script: PeerScript, *, path: str | None = None) -> AsyncIterator[Any]:
        """Serve connections while the `async with` block runs, each with `script` in a thread.

        Args:
            script: the server's side of a connection: a function that is called with its `Peer`.
            path: the path of a unix socket to listen on. By default the server listens on a free TCP port of 127.0.0.1.

        Returns:
            A context manager that gives the server's address, as `socket.getsockname` does.

        Raises:
            AssertionError: a script did not end within 10 seconds, or failed.
        """
        with Server(script, path) as server:
            yield server.address
            # An event loop closes a connection in one of its later iterations.
            await self.until(server.is_done)
            is_done = server.is_done()
        assert is_done, f"the script of the peer did not end within {LIMIT:g} seconds"

    @asynccontextmanager
    async def connected(self, script: PeerScript, *, tls: bool = False) -> AsyncIterator[Any]:
        """Connect the backend under test to a peer that runs `script`.

        Args:
            script: the server's side of the connection: a function that is called with its `Peer`.
            tls: whether to do a TLS handshake first.

        Returns:
            A context manager that gives the stream, and closes it.

        Raises:
            AssertionError: the script did not end within 10 seconds, or failed.
        """

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
        """Wait until a condition holds, for 10 seconds at most. The caller then checks the condition itself.

        Args:
            condition: a function of no arguments, called once a millisecond.
        """
        for _ in range(int(LIMIT / 0.001)):
            if condition():
                break
            await self.backend.sleep(0.001)

    async def pause(self) -> None:
        """Let all other tasks run until they wait."""
        for _ in range(5):
            await self.backend.sleep(0)


def thread_backend_under_test(
    backend: NetworkBackend, *, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> BackendUnderTest:
    """Prepare a backend for threads for the checks, which `run_blocking` then runs.

    Args:
        backend: the backend under test.
        server_tls: the context of a server whose certificate is for `localhost`. The checks change its ALPN protocols
            and its `sni_callback`.
        client_tls: the context of a client that trusts this certificate. The checks change its ALPN protocols.

    Returns:
        The backend under test. Its tasks run concurrently in threads.

    Example:
        This checks the backend for threads, with contexts from `trustme`.

        ```python
        import ssl

        import httpcore2
        import trustme
        from httpcore2_core.testing import backend_checks, run_blocking, thread_subject

        authority = trustme.CA()
        server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(server_tls)
        client_tls = ssl.create_default_context()
        authority.configure_trust(client_tls)
        subject = thread_subject(
            httpcore2.SyncBackend(), server_tls=server_tls, client_tls=client_tls
        )
        run_blocking(backend_checks[0](subject))
        ```
    """
    return BackendUnderTest(
        backend=adapt_sync_backend(backend),
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
    """One check of a network backend. Call it with a `Subject`, and await the result; `str()` returns its name.

    The awaited call fails with `AssertionError` if the backend does not do what the interface says.

    Args:
        name: the behaviour that is checked, as one identifier.
        function: the coroutine function that checks it.

    Example:
        This lists the checks that every backend has to pass.

        ```python
        from httpcore2_core.testing import backend_checks

        for check in backend_checks:
            print(check)
        ```
    """

    name: str
    function: CheckFunction

    def __call__(self, under_test: BackendUnderTest) -> Coroutine[Any, Any, None]:
        return self.function(under_test)

    def __str__(self) -> str:
        return self.name


class Checks:
    """A list of checks, to which the methods add the functions that they decorate."""

    def __init__(self) -> None:
        self.list: list[Check] = []

    def add(self, function: CheckFunction) -> None:
        self.list.append(Check(function.__name__, function))

    def add_for_streams(self, function: Callable[..., Coroutine[Any, Any, None]]) -> None:
        """Add a check of streams twice, over TCP and over TLS. Its second argument connects to a peer."""

        def add(suffix: str, tls: bool) -> None:
            def check(under_test: BackendUnderTest) -> Coroutine[Any, Any, None]:
                return function(under_test, lambda script: under_test.connected(script, tls=tls))

            self.list.append(Check(function.__name__ + suffix, check))

        add("", False)
        add("_with_tls", True)


@contextmanager
def raises(*expected: type[Exception]) -> Iterator[None]:
    """Check that the block raises one of `expected`, with a message."""
    names = " or ".join(kind.__name__ for kind in expected)
    try:
        yield
    except Exception as exc:
        if not isinstance(exc, expected):
            raise AssertionError(f"expected {names}, but {exc!r} was raised") from exc
        if not str(exc):
            raise AssertionError(f"{exc!r} has no message") from exc
    else:
        raise AssertionError(f"expected {names}, but nothing was raised")


async def read_exactly(stream: AsyncNetworkStream, count: int) -> bytes:
    """Read exactly `count` bytes."""
    data = bytearray()
    while len(data) < count:
        more = await stream.read(count - len(data), LIMIT)
        assert more, f"the stream ended after {len(data)} of {count} bytes"
        data += more
    return bytes(data)
