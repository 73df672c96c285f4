"""Servers on the loopback interface, for checks and for scripts.

Rules: plain threads, for clients of every world. Whoever waits, waits for bytes and events, at most `LIMIT` seconds,
and never sleeps. Leaving a server joins every thread and closes every socket.
Must not know: the streams under test, HTTP, event loops.
"""

from __future__ import annotations

import select  # noqa: TID251 - peers wait by themselves
import socket  # noqa: TID251 - a server is no part of the transport
import ssl  # noqa: TID253 - nor is this module loaded by it
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self

from ._doubles import Script, ScriptedConnection

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


class ScriptedServer(Server):
    """Serves a script on a free port of the loopback interface, while its `with` block runs.

        with ScriptedServer(Script(reply(200, b"fine"))) as server, ConnectionPool() as http:
            assert http.request("GET", server.url).content == b"fine"

    What the client does wrong, what the script has no reply for, or what a function in it raises, is raised at the end
    of the block. Where the script has an exception, the server resets the connection.
    """

    def __init__(self, script: Script, *, ssl_context: ssl.SSLContext | None = None) -> None:
        """Take the script; nothing is opened yet.

        Args:
            script: all connections share it.
            ssl_context: for a server that speaks TLS.
        """
        super().__init__(self._answer)
        self._script = script
        self._ssl_context = ssl_context

    @property
    def url(self) -> str:
        """Such as `"http://127.0.0.1:40123/"`."""
        scheme = "http" if self._ssl_context is None else "https"
        return f"{scheme}://127.0.0.1:{self.address[1]}/"

    def _answer(self, peer: Peer) -> None:
        connection = ScriptedConnection(self._script)
        try:
            if self._ssl_context is not None:
                peer = TLSPeer(peer, self._ssl_context)
            while not connection.is_ended and (data := peer.receive()):
                connection.receive(data)
                while connection.output:
                    piece = connection.output.popleft()
                    if isinstance(piece, Exception):
                        peer.reset()
                    else:
                        peer.send(piece)
        except OSError:
            pass  # the client went away, or does not trust this server


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
