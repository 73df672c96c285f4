"""The other end of the connections that are checked: plain threads on the loopback interface.

Rules: a peer needs no event loop, so it serves a check in any world. It waits for bytes and events,
at most `LIMIT` seconds, and never sleeps. What its script raises fails the check.
Must not know: the streams under test.
"""

from __future__ import annotations

import select  # noqa: TID251 - peers wait by themselves
import socket  # noqa: TID251 - a peer is no part of the transport
import ssl  # noqa: TID253 - nor is this module loaded by it
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

LIMIT = 10.0
"""Seconds after which whatever waits is taken to hang."""

_RECEIVE = 64 * 1024


class Peer(ABC):
    """The server's end of one connection."""

    @abstractmethod
    def receive(self) -> bytes:
        """Return what comes next; `b""` at the end."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Send all of `data`."""

    @abstractmethod
    def end(self) -> None:
        """Say that nothing more will be sent, and go on receiving."""

    @abstractmethod
    def reset(self) -> None:
        """Close with a TCP reset."""

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
            pass  # what was sent to the client, and not read, makes its system close like this
        return bytes(data)


class SocketPeer(Peer):
    """The server's end of a TCP or unix connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    def receive(self) -> bytes:
        return self.socket.recv(_RECEIVE)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def end(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class TLSPeer(Peer):
    """The server's end of an encrypted connection, over another one."""

    def __init__(self, below: Peer, context: ssl.SSLContext) -> None:
        """Do the handshake.

        Raises:
            OSError: the client did not agree, or went away.
        """
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

    def reset(self) -> None:
        self.below.reset()

    def _call(self, function: Callable[[], Any]) -> Any:
        """Do what OpenSSL needs for `function` to succeed."""
        while True:
            try:
                result = function()
            except ssl.SSLWantReadError:
                self._flush()
                data = self.below.receive()
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if self._outgoing.pending:
            self.below.send(self._outgoing.read())


Script = Callable[[SocketPeer], object]


class Server:
    """Serves one connection with `script`, in a thread, and closes it."""

    def __init__(self, script: Script, path: str | None) -> None:
        self._script = script
        self._listener = _listen(path)
        self.address: Any = self._listener.getsockname()
        self._sockets = [self._listener]
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="peer", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            sock, _ = self._listener.accept()
            with sock:
                self._sockets.append(sock)
                sock.settimeout(LIMIT)
                self._script(SocketPeer(sock))
        except BaseException as exc:  # noqa: BLE001 - `check` raises it
            self._error = exc

    def is_running(self) -> bool:
        return self._thread.is_alive()

    def interrupt(self) -> None:
        """End what the script waits for."""
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed

    def close(self) -> None:
        self._thread.join(LIMIT)
        self._listener.close()

    def check(self) -> None:
        """Raise what the script has raised."""
        if self._error is not None:
            raise self._error


def _listen(path: str | None) -> socket.socket:
    if path is None:
        listener = socket.create_server(("127.0.0.1", 0))
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
    listener.settimeout(LIMIT)
    return listener


@contextmanager
def silent_address() -> Iterator[tuple[str, int]]:
    """Yield an address on which nothing answers: the queue of those who connect to it is full."""
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
