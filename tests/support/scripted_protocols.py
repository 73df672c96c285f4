"""The server's side of a connection in either protocol, so that one script tests HTTP/1.1 and HTTP/2.

For tests of behaviour that both protocols share. A test is parametrized with some `PROTOCOLS`, and its handler wraps
each `Peer` in a `ServerConnection`.
Must not know: httpcore2, event loops.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

import h2.events

from .h2peer import H2Peer
from .scripted_servers import Peer, response

HALF_A_HEAD = b"HTTP/1.1 200 OK\r\nContent-Le"
HALF_A_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"


@dataclass(frozen=True)
class Protocol:
    """A protocol, in clear text or over TLS.

    Attributes:
        name: the id of the parametrized test.
        is_http2: whether the server speaks HTTP/2.
        is_secured: whether it speaks TLS.
    """

    name: str
    is_http2: bool
    is_secured: bool

    def __str__(self) -> str:
        return self.name

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of a pool that uses the protocol: negotiated over TLS, by prior knowledge in clear text."""
        return {"http1": self.is_secured or not self.is_http2, "http2": self.is_http2}

    def server_tls(
        self, http1: ssl.SSLContext | None, http2: ssl.SSLContext | None
    ) -> ssl.SSLContext | None:
        """Return the server's SSL context for the protocol, one of the two given, or `None` in clear text."""
        if not self.is_secured:
            return None
        return http2 if self.is_http2 else http1


HTTP1 = Protocol("http1", is_http2=False, is_secured=False)
HTTP1_TLS = Protocol("http1-tls", is_http2=False, is_secured=True)
HTTP2 = Protocol("http2", is_http2=True, is_secured=False)
HTTP2_TLS = Protocol("http2-tls", is_http2=True, is_secured=True)
PROTOCOLS = (HTTP1, HTTP1_TLS, HTTP2, HTTP2_TLS)


class ServerConnection:
    """The server's side of a connection; its methods concern the request that was received last.

    Attributes:
        peer: the connection beneath.
        http2: the HTTP/2 layer; `None` on HTTP/1.1.
        stream_id: the stream of the last request; 0 on HTTP/1.1.
        head: the head of the last request that `receive_head` has received, on HTTP/1.1.
    """

    def __init__(self, peer: Peer, protocol: Protocol) -> None:
        self.peer = peer
        self.http2 = H2Peer(peer) if protocol.is_http2 else None
        self.stream_id = 0
        self.head = b""

    def receive_head(self) -> bytes | None:
        """Receive the head of a request, and return its method; `None` if the client closed instead."""
        if self.http2 is None:
            self.peer.buffer = self.peer.receive_some()
            self.head = self.peer.receive_head() if self.peer.buffer else b""
            return self.head.partition(b" ")[0] or None
        while event := self.http2.next():
            if isinstance(event, h2.events.RequestReceived):
                assert event.stream_id is not None
                self.stream_id = event.stream_id
                return self.http2.requests[event.stream_id][b":method"]
        return None

    def receive_request(self) -> bool:
        """Receive a request with its body; return whether one came before the client closed."""
        if self.http2 is None:
            return self.peer.receive_request() is not None
        self.stream_id = self.http2.whole_request() or 0
        return self.stream_id > 0

    def receive_first_chunk(self, chunk: bytes) -> None:
        """Receive the head of a request and the first chunk of its body."""
        if self.http2 is None:
            self.peer.receive_until(chunk + b"\r\n")
        else:
            data = self.http2.wait_for(h2.events.DataReceived)
            assert data.stream_id is not None and data.data == chunk
            self.stream_id = data.stream_id

    def receive_end_of_body(self) -> None:
        """Receive a chunked body to its end."""
        if self.http2 is None:
            self.peer.receive_until(b"0\r\n\r\n")
        else:
            self.http2.wait_for(h2.events.StreamEnded, self.stream_id)

    def receive_until_aborted(self) -> bytes:
        """Return the body that arrives until the client aborts the request: closes, or on HTTP/2 resets the stream."""
        if self.http2 is None:
            return self.peer.receive_until_close()
        self.http2.wait_for(h2.events.StreamReset)
        return self.http2.bodies[self.stream_id]

    def receive_until_close(self) -> bool:
        """Receive until the client closes; return whether it sent a request, or on HTTP/1.1 any byte."""
        if self.http2 is None:
            return self.peer.receive_until_close() != b""
        return any(isinstance(event, h2.events.RequestReceived) for event in self.http2.until_end())

    def wait_until_quiet(self) -> None:
        """Wait for the last frame that the client sends by itself: the acknowledgement of the server's SETTINGS."""
        if self.http2 is not None:
            self.http2.wait_for(h2.events.SettingsAcknowledged)

    def respond(self, body: bytes = b"fine", status: int = 200) -> None:
        """Send a response."""
        if self.http2 is None:
            self.peer.send(response(body, status=b"%d Some" % status))
        else:
            self.http2.respond(self.stream_id, body, status=status)

    def begin_response(self, part: str) -> None:
        """Send the first bytes of a response.

        Args:
            part: the last part of it that is sent: "none", "head" (on HTTP/1.1, half of it) or "body" (half of it).
        """
        if self.http2 is None:
            self.peer.send({"none": b"", "head": HALF_A_HEAD, "body": HALF_A_BODY}[part])
        elif part != "none":
            self.http2.head(self.stream_id)
            if part == "body":
                self.http2.data(self.stream_id, b"hello")
