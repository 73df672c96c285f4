"""Peers of the backend under test: servers on the loopback interface, and the scripts that they run.

Rules: peers are plain threads, so that they serve clients of every runtime. A peer waits for bytes and events, for
`LIMIT` seconds at most, and never sleeps. The end of a server's `with` block joins all threads and closes all sockets.
Must not know: checks, HTTP, event loops.
"""

from __future__ import annotations

import select  # noqa: TID251 - peers do their own I/O
import socket  # noqa: TID251 - a peer is not part of the transport
import ssl  # noqa: TID253 - the transport does not load this module
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self

LIMIT = 10.0
"""After this many seconds, a wait is taken for a hang."""

_RECEIVE = 64 * 1024


class Peer:
    """The server's end of one connection, over TCP or a unix socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    def receive(self) -> bytes:
        """Return the next bytes, `b""` at the end of the stream."""
        return self.socket.recv(_RECEIVE)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def end(self) -> None:
        """End the sending side (FIN). The peer can still receive."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def receive_exactly(self, count: int) -> bytes:
        """Return the next `count` bytes, and fail if more than these have arrived."""
        data = bytearray()
        while len(data) < count:
            more = self.receive()
            assert more, f"the client closed after {len(data)} of {count} bytes"
            data += more
        assert len(data) == count, f"the client sent {len(data)} bytes, not {count}"
        return bytes(data)

    def receive_end(self) -> bytes:
        """Return all bytes until the client closes. A reset counts as closing."""
        data = bytearray()
        try:
            while more := self.receive():
                data += more
        except ConnectionError:
            pass  # a system resets a connection that is closed with unread bytes
        return bytes(data)


class TLSPeer(Peer):
    """The server's end of a TLS connection, over another peer."""

    def __init__(self, below: Peer, context: ssl.SSLContext) -> None:
        """Do the handshake. Raise `OSError` if the client rejects it or closes."""
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
        """Return `data` as the TLS records that `send` sends."""
        self.ssl_object.write(data)
        return self._outgoing.read()

    def end(self) -> None:
        """Send close_notify. The connection below stays open."""
        try:
            self.ssl_object.unwrap()
        except ssl.SSLWantReadError:
            pass  # the client's close_notify is not waited for
        self.below.send(self._outgoing.read())

    def _call(self, function: Callable[[], Any]) -> Any:
        """Call `function` until OpenSSL needs no more bytes for it, and send its output."""
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


PeerScript = Callable[[Any], object]
"""A function that does the server's side of one connection, given its `Peer`."""


def echo(peer: Peer) -> None:
    """Send back all that is received, until the end."""
    while data := peer.receive():
        peer.send(data)


def wait_for_byte(peer: Peer) -> None:
    """Receive one byte, by which the client starts the next part of the script."""
    peer.receive_exactly(1)


def send_end(peer: Peer) -> None:
    """End the sending side."""
    peer.end()


def script_of(*actions: bytes | PeerScript) -> PeerScript:
    """Return a script that sends the actions that are bytes, calls the others, and then receives to the end."""

    def run(peer: Peer) -> None:
        for action in actions:
            if isinstance(action, bytes):
                peer.send(action)
            else:
                action(peer)
        peer.receive_end()

    return run


class Server:
    """A server that listens while its `with` block runs, and calls `serve` for each connection in a new thread.

    The end of the block raises an error of `serve`. If the block itself raises, that error becomes a note.
    """

    def __init__(self, serve: PeerScript, path: str | None = None) -> None:
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
        """Return whether at least one connection was accepted, and all have been served.

        Returns:
            Whether all scripts have ended.
        """
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
    """Wake every thread that waits for `sock`."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # already closed


@contextmanager
def silent_address() -> Iterator[tuple[str, int]]:
    """Yield an address that never accepts a connection, since its backlog is full."""
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
    """Yield an address that refuses connections. It stays bound, so that no other socket listens there."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()
