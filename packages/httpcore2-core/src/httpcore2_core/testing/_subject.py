"""What a check is, and what it is given: a subject, and peers on the loopback interface.

Rules: peers are plain threads, for clients of every world. Whoever waits, waits for bytes and events, at most `LIMIT`
seconds, and never sleeps. Leaving a server joins every thread and closes every socket.
Must not know: what is checked, HTTP, event loops.
"""

from __future__ import annotations

import select  # noqa: TID251 - peers wait by themselves
import socket  # noqa: TID251 - a server is no part of the transport
import ssl  # noqa: TID253 - nor is this module loaded by it
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from .._net.interfaces import AsyncNetworkBackend, AsyncNetworkStream, NetworkBackend
from .._net.runtime import run_blocking
from .._net.sync_backend import adapt_backend

LIMIT = 10.0
"""Seconds after which whatever waits is taken to hang."""

_RECEIVE = 64 * 1024


class Peer:
    """The server's end of one connection, over TCP or a unix socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    def receive(self) -> bytes:
        """Return what comes next; `b""` at the end."""
        return self.socket.recv(_RECEIVE)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def end(self) -> None:
        """Say that nothing more will be sent, and go on receiving."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def receive_exactly(self, count: int) -> bytes:
        """Return the next `count` bytes, which must be all that there are now."""
        data = bytearray()
        while len(data) < count:
            more = self.receive()
            assert more, f"the client closed after {len(data)} of {count} bytes"
            data += more
        assert len(data) == count, f"the client sent {len(data)} bytes, not {count}"
        return bytes(data)

    def receive_end(self) -> bytes:
        """Return all that comes until the client closes; a reset counts as closing."""
        data = bytearray()
        try:
            while more := self.receive():
                data += more
        except ConnectionError:
            pass  # so its system closes where it has not read all
        return bytes(data)


class TLSPeer(Peer):
    """The server's end of an encrypted connection, over another one."""

    def __init__(self, below: Peer, context: ssl.SSLContext) -> None:
        """Do the handshake; raise `OSError` if the client does not agree, or went away."""
        super().__init__(below.socket)
        self.below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl_object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._call(self.ssl_object.do_handshake)

    def receive(self) -> bytes:
        try:
            data: bytes = self._call(lambda: self.ssl_object.read(_RECEIVE))
        except ssl.SSLEOFError:
            return b""
        return data

    def send(self, data: bytes) -> None:
        self.below.send(self.encrypt(data))

    def encrypt(self, data: bytes) -> bytes:
        """Return what `send` would send below."""
        self.ssl_object.write(data)
        return self._outgoing.read()

    def end(self) -> None:
        """Send close_notify, and nothing below."""
        try:
            self.ssl_object.unwrap()
        except ssl.SSLWantReadError:
            pass  # the client's close_notify is not waited for
        self.below.send(self._outgoing.read())

    def _call(self, function: Callable[[], Any]) -> Any:
        """Do what OpenSSL needs for `function` to succeed."""
        while True:
            try:
                return function()
            except ssl.SSLWantReadError:
                pass
            finally:
                if self._outgoing.pending:
                    self.below.send(self._outgoing.read())
            data = self.below.receive()
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()


Part = Callable[[Any], object]
"""What is done with a `Peer`."""


def echo(peer: Peer) -> None:
    while data := peer.receive():
        peer.send(data)


def asked(peer: Peer) -> None:
    """Wait until the client gives the word, one byte."""
    peer.receive_exactly(1)


def ends(peer: Peer) -> None:
    peer.end()


def plays(*parts: bytes | Part) -> Part:
    """Send the parts that are bytes, call the others, and then receive to the end."""

    def play(peer: Peer) -> None:
        for part in parts:
            if isinstance(part, bytes):
                peer.send(part)
            else:
                part(peer)
        peer.receive_end()

    return play


class Server:
    """Listens while its `with` block runs, and has `serve` serve each connection in a thread of its own.

    What goes wrong there is raised at the end of the block, or added to the error that the block ends with.
    """

    def __init__(self, serve: Part, path: str | None = None) -> None:
        self._serve = serve
        self._path = path
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []

    def __enter__(self) -> Self:
        if self._path is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(self._path)
            self._listener.listen()
        self.address: Any = self._listener.getsockname()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _interrupt(self._listener)
        self._acceptor.join(LIMIT)
        self._listener.close()
        for sock in self._sockets:
            _interrupt(sock)
        for thread in self._threads:
            thread.join(LIMIT)
        if self._errors:
            if exc_value is None:
                raise self._errors[0]
            exc_value.add_note(f"The server's side: {self._errors[0]!r}")

    def is_done(self) -> bool:
        """Whether there was a connection, and all that there were have been served."""
        return bool(self._threads) and not any(thread.is_alive() for thread in self._threads)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return  # the block has ended
            sock.settimeout(LIMIT)
            self._sockets.append(sock)
            thread = threading.Thread(target=self._run, args=(sock,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _run(self, sock: socket.socket) -> None:
        try:
            with sock:
                self._serve(Peer(sock))
        except BaseException as exc:  # noqa: BLE001 - raised at the end of the block
            self._errors.append(exc)


def _interrupt(sock: socket.socket) -> None:
    """End what waits for something on it."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is closed


@contextmanager
def silent_address() -> Iterator[tuple[str, int]]:
    """Yield an address on which nothing answers: its queue is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        is_full = False
        while not is_full:
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
            is_full = not select.select([], [client], [], 0.05)[1]
        yield server.getsockname()


@contextmanager
def refusing_address() -> Iterator[tuple[str, int]]:
    """Yield an address where nobody listens, and nobody else can."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()


# Checks

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
