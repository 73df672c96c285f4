"""Servers that follow a script: raw sockets, and one thread for each connection.

A script is a function, the handler, which is called with a `Peer` for each accepted connection. An exception in it
fails the test.
Rules: no wait exceeds `LIMIT` seconds; events order the steps, never sleeping; the end of the context
`scripted_server` joins every thread and closes every socket.
Must not know: httpcore2, event loops.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

LIMIT = 10.0
"""Seconds after which a wait counts as a hang."""


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.socket = sock
        self.number = number
        """The number of connections accepted before this one."""
        self.buffer = b""

    def receive_some(self) -> bytes:
        """Return the result of one receive; `b""` at the end of the stream."""
        if self.buffer:
            data, self.buffer = self.buffer, b""
            return data
        return self.socket.recv(65536)

    def receive_until(self, mark: bytes) -> bytes:
        """Return all bytes up to the end of `mark`."""
        data = b""
        while mark not in data:
            more = self.receive_some()
            if not more:
                raise ConnectionError(f"the client closed after {data!r}")
            data += more
        end = data.index(mark) + len(mark)
        self.buffer = data[end:]
        return data[:end]

    def receive_head(self) -> bytes:
        """Return a request head."""
        return self.receive_until(b"\r\n\r\n")

    def receive_exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.receive_some()
            if not more:
                raise ConnectionError(f"the client closed after {data!r}")
            data += more
        self.buffer = data[count:]
        return data[:count]

    def receive_request(self) -> tuple[bytes, bytes] | None:
        """Return a request's head, and its body as sent, with its framing; `None` if the client closed instead."""
        first = self.receive_some()
        if not first:
            return None
        self.buffer = first + self.buffer
        head = self.receive_head()
        if re.search(rb"(?i)\r\ntransfer-encoding: chunked\r\n", head):
            return head, self.receive_until(b"0\r\n\r\n")
        if length := re.search(rb"(?i)\r\ncontent-length: (\d+)\r\n", head):
            return head, self.receive_exactly(int(length[1]))
        return head, b""

    def receive_until_close(self) -> bytes:
        """Return all bytes until the client closes; a reset counts as closing."""
        data = b""
        with suppress(ConnectionError, ssl.SSLError):
            while more := self.receive_some():
                data += more
        return data

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_bytewise(self, data: bytes) -> None:
        """Send each byte in a segment of its own."""
        for index in range(len(data)):
            self.socket.sendall(data[index : index + 1])

    def send_endlessly(self, data: bytes, bound: int) -> None:
        """Send `data` again and again until the client closes, which it must do within `bound` bytes."""
        sent = 0
        block = data * (65536 // len(data) + 1)
        try:
            while sent < bound:
                self.socket.sendall(block)
                sent += len(block)
            # The client may still have to read the last bytes: give it the chance to close then.
            self.socket.shutdown(socket.SHUT_WR)
            while self.socket.recv(65536):
                pass
        except OSError:
            return
        raise AssertionError(f"the client read {sent} bytes of endless input")

    def half_close(self) -> None:
        """Send the end of the stream, and leave the receiving side open."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


Handler = Callable[[Peer], None]


class Server:
    """A listening socket, with a handler for its connections."""

    def __init__(
        self,
        listener: socket.socket,
        handler: Handler,
        tls: ssl.SSLContext | None,
        allow_disconnect: bool,
    ) -> None:
        self.accepted = 0
        self.errors: list[Exception] = []
        self.handshake_errors: list[OSError] = []
        self.is_tls = tls is not None
        self.port: int = 0 if listener.family == socket.AF_UNIX else listener.getsockname()[1]
        self._listener = listener
        self._handler = handler
        self._tls = tls
        self._allow_disconnect = allow_disconnect
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, name="acceptor", daemon=True)
        self._acceptor.start()

    @property
    def origin(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return  # the listener was shut down
            sock.settimeout(LIMIT)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number, self.accepted = self.accepted, self.accepted + 1
            thread = threading.Thread(
                target=self._serve, args=(sock, number), name="peer", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with sock:
            if self._tls is not None:
                try:
                    # The wrapped socket takes the descriptor over.
                    sock = self._tls.wrap_socket(sock, server_side=True)
                except OSError as exc:
                    self.handshake_errors.append(exc)
                    return
            with sock:
                try:
                    self._handler(Peer(sock, number))
                except OSError as exc:
                    if not self._allow_disconnect:
                        self.errors.append(exc)
                except Exception as exc:
                    self.errors.append(exc)

    def stop(self) -> None:
        """Accept no more, and wait for the connections to end."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        for thread in self._threads:
            thread.join(LIMIT)
            assert not thread.is_alive(), "a handler hangs"


@contextmanager
def scripted_server(
    handler: Handler,
    *,
    tls: ssl.SSLContext | None = None,
    uds: Path | None = None,
    allow_disconnect: bool = False,
    host: tuple[str, int] | None = None,
) -> Iterator[Server]:
    """Serve `handler` on a free port of the loopback interface.

    Args:
        handler: called with each connection, in a thread of its own.
        tls: the SSL context of a server that speaks TLS.
        uds: the path of a unix domain socket to listen on instead.
        allow_disconnect: whether the client may close or reset a connection while the handler uses it.
        host: an IPv6 address and the number of its interface, to listen there instead.
    """
    if host is not None:
        listener = socket.create_server((host[0], 0, 0, host[1]), family=socket.AF_INET6)
    elif uds is None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(uds))
        listener.listen(128)
    server = Server(listener, handler, tls, allow_disconnect)
    try:
        yield server
    except BaseException as exc:
        for error in server.errors:
            exc.add_note(f"The server's side: {error!r}")
        raise
    finally:
        server.stop()
    if server.errors:
        raise server.errors[0]


def canned_responses(*connections: Sequence[bytes]) -> Handler:
    """Make a handler that sends a prepared response to each request, then waits until the client closes.

    Args:
        connections: the responses of the first connection, of the second, and so on; the last are those of all later
            connections, too.
    """

    def handle(peer: Peer) -> None:
        for response in connections[min(peer.number, len(connections) - 1)]:
            if peer.receive_request() is None:
                return
            peer.send(response)
        peer.receive_until_close()

    return handle


def response(body: bytes = b"", *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """Return the bytes of a response with a Content-Length."""
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@contextmanager
def refusing_port() -> Iterator[int]:
    """Reserve a port that refuses connections: a socket is bound to it, and does not listen."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def unused_port() -> int:
    """Return a port that was free a moment ago, for a server that can't choose one itself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
