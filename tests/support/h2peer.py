"""The server's end of an HTTP/2 connection, for scripts: h2 in the other role, over a `Peer`.

What h2 would refuse to send is sent as bytes that `frame` makes.
Must not know: httpcore2, event loops.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import h2.events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import Encoder

from .scripted_servers import Handler, Peer

E = TypeVar("E", bound=h2.events.Event)

NARROW = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)]
"""Socket options for the client of a server that is `narrow`."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, PRIORITY_FLAG, ACK = 0x1, 0x4, 0x8, 0x20, 0x1


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream_id.to_bytes(4, "big") + payload


def block(*fields: tuple[bytes, bytes]) -> bytes:
    """A header block that uses no compression state."""
    return Encoder().encode([(name, value, True) for name, value in fields])


class H2Peer:
    """The server's end of one HTTP/2 connection."""

    def __init__(self, peer: Peer, **settings: int) -> None:
        """Answer the preface with `settings`, by their names in lower case."""
        self.peer = peer
        self.number = peer.number
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        given = {SettingCodes[name.upper()]: value for name, value in settings.items()}
        self.h2.local_settings = Settings(client=False, initial_values=given)
        self.h2.decoder.max_allowed_table_size = self.h2.local_settings.header_table_size
        self.h2.initiate_connection()
        self.pending: list[h2.events.Event] = []
        self.requests: dict[int, dict[bytes, bytes]] = {}
        self.bodies: dict[int, bytes] = {}
        self.flush()

    def flush(self) -> None:
        if data := self.h2.data_to_send():
            self.peer.send(data)

    def narrow(self) -> None:
        """Make the receive buffer small, so that the client's socket is soon full if the script reads nothing."""
        self.peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)

    def send(self, data: bytes) -> None:
        """Send raw bytes, after those that h2 has to send."""
        self.flush()
        self.peer.send(data)

    def next(self) -> h2.events.Event | None:
        """Return the next event; `None` if the client has closed."""
        while not self.pending:
            try:
                data = self.peer.receive_some()
            except (ConnectionError, ssl.SSLError):
                data = b""
            if not data:
                return None
            self.pending = self.h2.receive_data(data)
            with suppress(ConnectionError, ssl.SSLError):  # it may have closed after what it sent
                self.flush()
        event = self.pending.pop(0)
        if isinstance(event, h2.events.RequestReceived):
            self.requests[event.stream_id] = dict(event.headers)
            self.bodies[event.stream_id] = b""
        elif isinstance(event, h2.events.DataReceived):
            assert event.data is not None and event.flow_controlled_length is not None
            self.bodies[event.stream_id] += event.data
        return event

    def wait_for(self, kind: type[E], stream_id: int | None = None) -> E:
        """Return the next event of a kind, and drop those before it."""
        while True:
            event = self.next()
            if event is None:
                raise ConnectionError(f"the client closed before {kind.__name__}")
            if isinstance(event, kind) and stream_id in (None, getattr(event, "stream_id", None)):
                return event

    def request(self) -> int:
        """Wait for a request's head and return its stream."""
        stream_id = self.wait_for(h2.events.RequestReceived).stream_id
        assert stream_id is not None
        return stream_id

    def whole_request(self) -> int | None:
        """Wait for a whole request, whose body is then in `bodies`; `None` if the client closed."""
        while event := self.next():
            if isinstance(event, h2.events.DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.flush()
            elif isinstance(event, h2.events.StreamEnded):
                return event.stream_id
        return None

    def until_end(self) -> list[h2.events.Event]:
        """Return all events until the client closes."""
        events = []
        while event := self.next():
            events.append(event)
        return events

    def head(
        self, stream_id: int, *fields: tuple[bytes, bytes], status: int = 200, end: bool = False
    ) -> None:
        self.h2.send_headers(stream_id, [(b":status", b"%d" % status), *fields], end_stream=end)
        self.flush()

    def data(self, stream_id: int, data: bytes, end: bool = False) -> None:
        """Send data that fits into the windows."""
        size = self.h2.max_outbound_frame_size
        for start in range(0, len(data), size):
            self.h2.send_data(stream_id, data[start : start + size])
        if end:
            self.h2.end_stream(stream_id)
        self.flush()

    def respond(
        self, stream_id: int, body: bytes = b"", *fields: tuple[bytes, bytes], status: int = 200
    ) -> None:
        self.head(stream_id, *fields, status=status, end=not body)
        if body:
            self.data(stream_id, body, end=True)

    def reset(self, stream_id: int, code: ErrorCodes) -> None:
        self.h2.reset_stream(stream_id, code)
        self.flush()

    def go_away(self, last_stream_id: int, code: int = 0, debug: bytes = b"") -> None:
        """Send GOAWAY without h2, which would end all streams at once."""
        payload = last_stream_id.to_bytes(4, "big") + code.to_bytes(4, "big") + debug
        self.send(frame(GOAWAY, 0, 0, payload))

    def change(self, **settings: int) -> None:
        given: dict[SettingCodes | int, int] = {
            SettingCodes[name.upper()]: value for name, value in settings.items()
        }
        self.h2.update_settings(given)
        self.flush()


def speaking(script: Callable[[H2Peer], Any], **settings: int) -> Handler:
    """Make a handler out of a script for HTTP/2."""

    def handle(peer: Peer) -> None:
        script(H2Peer(peer, **settings))

    return handle


def answering(body: bytes = b"fine") -> Callable[[H2Peer], None]:
    """A script that answers every request with its own body, or else with `body`."""

    def script(peer: H2Peer) -> None:
        while stream_id := peer.whole_request():
            with suppress(ProtocolError):  # it was reset meanwhile
                peer.respond(stream_id, peer.bodies[stream_id] or body)

    return script
