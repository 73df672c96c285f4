"""What the servers of the documentation's examples answer, over HTTP/1.1 and HTTP/2, by the path of a request.

CONTRIBUTING.md lists the paths for those who write examples.
Rules: an answer depends on the request alone, except that `/flaky` counts the requests of its connection.
Must not know: httpcore2, host names, proxies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import Enum
from http import HTTPStatus

import h2.events
import wsproto
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from wsproto.connection import Connection, ConnectionType
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import LocalProtocolError as WebSocketClosed

from ..support.h2peer import H2Peer
from ..support.scripted_servers import Peer

Fields = list[tuple[bytes, bytes]]


class Failure(Enum):
    """What a server does in place of a response."""

    SLOW = "waits until the client gives up"
    DISCONNECT = "closes the connection"
    RESET = "resets the connection or stream"


@dataclass
class Answer:
    """A response; in HTTP/1.1 its body is sent in chunks if there are several."""

    status: int = 200
    fields: Fields = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)


@dataclass
class Received:
    """A request, and how many came before it for the same path on its connection."""

    method: bytes
    target: bytes
    fields: Fields
    body: bytes
    earlier: int = 0

    def field(self, name: bytes) -> bytes:
        return next((value for each, value in self.fields if each.lower() == name), b"")


def text(body: bytes, status: int = 200, *fields: tuple[bytes, bytes]) -> Answer:
    return Answer(status, [(b"Content-Type", b"text/plain; charset=utf-8"), *fields], [body])


def content(size: int) -> bytes:
    """Bytes of which each part is recognisable."""
    return b"".join(b"%07d\n" % number for number in range(size // 8 + 1))[:size]


def _bytes(request: Received, size: int) -> Answer:
    body = content(size)
    fields = [
        (b"Content-Type", b"application/octet-stream"),
        (b"Accept-Ranges", b"bytes"),
        (b"ETag", b'"v1-%d"' % size),
    ]
    wanted = re.fullmatch(rb"bytes=(\d+)-(\d*)", request.field(b"range"))
    if wanted is None or request.field(b"if-range") not in (b"", b'"v1-%d"' % size):
        return Answer(200, fields, [body])
    start, end = int(wanted[1]), min(int(wanted[2] or size), size - 1)
    if start >= size:
        return Answer(416, [(b"Content-Range", b"bytes */%d" % size)])
    content_range = (b"Content-Range", b"bytes %d-%d/%d" % (start, end, size))
    return Answer(206, [*fields, content_range], [body[start : end + 1]])


def answer(request: Received) -> Answer | Failure:
    """Return what is sent for a request."""
    path = request.target.partition(b"?")[0]
    _, kind, *parts = path.split(b"/")
    if kind in (b"slow", b"disconnect", b"reset"):
        return Failure[kind.decode().upper()]
    if kind == b"echo":
        return Answer(200, [], [request.body])
    if kind == b"headers":
        return text(b"".join(b"%b: %b\n" % pair for pair in request.fields))
    if kind == b"json":
        body = json.dumps({"name": "httpcore2"}).encode()
        return Answer(200, [(b"Content-Type", b"application/json")], [body])
    if kind == b"status" and parts:
        return Answer(int(parts[0]))
    if kind == b"bytes" and parts:
        return _bytes(request, int(parts[0]))
    if kind == b"stream" and parts:
        body = content(int(parts[0]))
        chunks = [body[start : start + 4096] for start in range(0, len(body), 4096)]
        return Answer(200, [], [*chunks, b""])
    if kind == b"flaky" and not request.earlier:
        return text(b"Try again.\n", 503, (b"Retry-After", b"1"))
    if request.method in (b"POST", b"PUT", b"PATCH"):
        return text(b"Received %d bytes.\n" % len(request.body))
    return text(b"Hello, world!")


HINT = (b"Link", b"</style.css>; rel=preload; as=style")
"""The field of the 103 (Early Hints) that comes before the response to `/hints`."""

EARLY = text(b"Too large.\n", 413)
"""The response to `/early`, sent before the body of the request is read."""


OFFER = (b"Alt-Svc", b'h3=":443"; ma=3600')
"""The field by which a host offers HTTP/3."""


def serve_http11(peer: Peer, via: bytes = b"", *more: tuple[bytes, bytes]) -> None:
    """Serve a connection until either side closes it.

    Args:
        peer: the client's connection.
        via: the name of the proxy that forwards the requests, if one does.
        more: fields of all responses.
    """
    counts: dict[bytes, int] = {}
    while first := peer.receive_some():
        peer.buffer = first + peer.buffer
        head, *lines = peer.receive_head()[:-4].split(b"\r\n")
        method, target, _ = head.split(b" ")
        if via and target.startswith(b"http://"):
            target = b"/" + target.split(b"/", 3)[3]
        fields = [(name, value.strip()) for name, value in (each.split(b":", 1) for each in lines)]
        request = Received(method, target, fields, b"", counts.get(target, 0))
        counts[target] = request.earlier + 1
        if request.field(b"upgrade").lower() == b"websocket":
            _serve_websocket(peer, request)
            return
        early = target == b"/early"
        if not early:
            request.body = b"".join(_body(peer, request))
        if target == b"/hints":
            peer.send(b"HTTP/1.1 103 Early Hints\r\n%b: %b\r\n\r\n" % HINT)
        found = EARLY if early else answer(request)
        if found is Failure.SLOW:
            peer.receive_until_close()
        elif found is Failure.RESET:
            peer.reset()
        if isinstance(found, Failure):
            return
        found.fields.extend(more)
        _send_http11(peer, request, found, via, close=early)
        if early:
            peer.receive_until_close()
            return


def _body(peer: Peer, request: Received) -> Iterator[bytes]:
    if request.field(b"transfer-encoding").lower() == b"chunked":
        while size := int(peer.receive_until(b"\r\n").split(b";")[0], 16):
            yield peer.receive_exactly(size)
            peer.receive_exactly(2)
        peer.receive_until(b"\r\n")
    elif length := int(request.field(b"content-length") or 0):
        yield peer.receive_exactly(length)


def _send_http11(peer: Peer, request: Received, found: Answer, via: bytes, close: bool) -> None:
    fields = [*found.fields, (b"Date", formatdate(usegmt=True).encode())]
    if via:
        fields.append((b"Via", b"1.1 " + via))
    if close:
        fields.append((b"Connection", b"close"))
    chunked = len(found.chunks) > 1
    if chunked:
        fields.append((b"Transfer-Encoding", b"chunked"))
    elif found.status not in (204, 304):
        fields.append((b"Content-Length", b"%d" % sum(map(len, found.chunks))))
    phrase = HTTPStatus(found.status).phrase.encode()
    head = b"HTTP/1.1 %d %b\r\n" % (found.status, phrase)
    peer.send(head + b"".join(b"%b: %b\r\n" % pair for pair in fields) + b"\r\n")
    if request.method != b"HEAD":
        for chunk in found.chunks:
            peer.send(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)


def _serve_websocket(peer: Peer, request: Received) -> None:
    """Accept a WebSocket over HTTP/1.1 (RFC 6455), and send each message back."""
    socket = wsproto.WSConnection(ConnectionType.SERVER)
    head = b"GET %b HTTP/1.1\r\n" % request.target
    socket.receive_data(head + b"".join(b"%b: %b\r\n" % pair for pair in request.fields) + b"\r\n")
    list(socket.events())
    peer.send(socket.send(AcceptConnection()))
    with suppress(WebSocketClosed):
        while data := peer.receive_some():
            socket.receive_data(data)
            for event in socket.events():
                if isinstance(event, TextMessage | BytesMessage):
                    peer.send(socket.send(event))
                elif isinstance(event, Ping | CloseConnection):
                    peer.send(socket.send(event.response()))


class _Http2:
    """The server's side of an HTTP/2 connection."""

    def __init__(self, peer: Peer, *more: tuple[bytes, bytes]) -> None:
        self.more = more
        self.peer = H2Peer(peer, enable_connect_protocol=1, max_concurrent_streams=100)
        self.bodies: dict[int, bytes] = {}
        self.sockets: dict[int, Connection] = {}
        self.counts: dict[bytes, int] = {}

    def serve(self) -> None:
        while event := self.peer.next():
            stream_id = getattr(event, "stream_id", None)
            with suppress(ProtocolError):  # the stream was reset meanwhile
                if isinstance(event, h2.events.RequestReceived) and stream_id is not None:
                    self._receive_head(stream_id, self.peer.requests[stream_id])
                elif isinstance(event, h2.events.DataReceived):
                    self._receive_data(event)
                elif isinstance(event, h2.events.StreamEnded) and stream_id is not None:
                    self._receive_end(stream_id)
                elif isinstance(event, h2.events.WindowUpdated):
                    for waiting in list(self.bodies):
                        self._pump(waiting)

    def _receive_head(self, stream_id: int, head: dict[bytes, bytes]) -> None:
        if head[b":method"] == b"CONNECT":
            self.peer.head(stream_id)
            if head.get(b":protocol") == b"websocket":
                self.sockets[stream_id] = Connection(ConnectionType.SERVER)
        elif head[b":path"] == b"/early":
            self._respond(stream_id, EARLY)

    def _receive_data(self, event: h2.events.DataReceived) -> None:
        stream_id, data = event.stream_id, event.data or b""
        self.peer.h2.acknowledge_received_data(event.flow_controlled_length or 0, stream_id)
        self.peer.flush()
        if socket := self.sockets.get(stream_id):
            socket.receive_data(data)
            for message in socket.events():
                if isinstance(message, TextMessage | BytesMessage):
                    self.peer.data(stream_id, socket.send(message))
                elif isinstance(message, Ping | CloseConnection):
                    self.peer.data(stream_id, socket.send(message.response()))
        elif self.peer.requests[stream_id][b":method"] == b"CONNECT":
            self.peer.data(stream_id, data)

    def _receive_end(self, stream_id: int) -> None:
        head = self.peer.requests[stream_id]
        if head[b":method"] == b"CONNECT":
            self.peer.h2.end_stream(stream_id)
            self.peer.flush()
            return
        path = head[b":path"]
        if path == b"/early":
            return
        if path == b"/hints":
            self.peer.head(stream_id, (HINT[0].lower(), HINT[1]), status=103)
        fields = [(name, value) for name, value in head.items() if not name.startswith(b":")]
        body = self.peer.bodies[stream_id]
        request = Received(head[b":method"], path, fields, body, self.counts.get(path, 0))
        self.counts[path] = request.earlier + 1
        found = answer(request)
        if found is Failure.DISCONNECT:
            self.peer.peer.half_close()
        elif found is Failure.RESET:
            self.peer.reset(stream_id, ErrorCodes.INTERNAL_ERROR)
        elif isinstance(found, Answer):
            if request.method == b"HEAD":
                found.chunks.clear()
            self._respond(stream_id, found)

    def _respond(self, stream_id: int, found: Answer) -> None:
        fields = [(name.lower(), value) for name, value in (*found.fields, *self.more)]
        body = b"".join(found.chunks)
        if len(found.chunks) <= 1 and found.status not in (204, 304):
            fields.append((b"content-length", b"%d" % len(body)))
        self.peer.head(stream_id, *fields, status=found.status, end=not body)
        if body:
            self.bodies[stream_id] = body
            self._pump(stream_id)

    def _pump(self, stream_id: int) -> None:
        """Send as much of a body as the windows of flow control allow."""
        body = self.bodies.pop(stream_id)
        room = self.peer.h2.local_flow_control_window(stream_id)
        sent, left = body[:room], body[room:]
        if left:
            self.bodies[stream_id] = left
        if sent:
            self.peer.data(stream_id, sent, end=not left)


def serve_http2(peer: Peer, *more: tuple[bytes, bytes]) -> None:
    """Serve a connection until the client closes it; all responses have the fields `more`."""
    _Http2(peer, *more).serve()


PREFACE = b"PRI * HTTP/2.0"


def serve(peer: Peer, *more: tuple[bytes, bytes]) -> None:
    """Serve HTTP/2 if the client begins with its preface, as it does after ALPN too; otherwise HTTP/1.1.

    Args:
        peer: the client's connection.
        more: fields of all responses.
    """
    first = peer.receive_some()
    while first and len(first) < len(PREFACE) and PREFACE.startswith(first):
        first += peer.receive_some()
    if not first:
        return
    peer.buffer = first
    if first.startswith(PREFACE):
        serve_http2(peer, *more)
    else:
        serve_http11(peer, b"", *more)


def serve_offering_http3(peer: Peer) -> None:
    """Serve HTTP/2 or HTTP/1.1, and offer HTTP/3 in each response."""
    serve(peer, OFFER)
