"""Scripted HTTP/3 servers, on the server side of qh3: each connection runs a script in a thread of its own.

Rules: a peer waits for datagrams and QUIC's timer, for `LIMIT` seconds at most. A script waits for nothing else, unless
it is to be unresponsive: one of 100 responses is not sent whole at once. The end of a server's `with` block
joins all threads. A script that ends leaves its connection open until the client closes it, or the block ends.
Must not know: httpcore2.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from qh3.h3.connection import ErrorCode, H3Connection, ProtocolError
from qh3.h3.events import DataReceived, H3Event, HeadersReceived, StopSending, StreamReset
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection, QuicConnectionError
from qh3.quic.events import (
    ConnectionTerminated,
    HandshakeCompleted,
    QuicEvent,
    StreamDataReceived,
)
from qh3.tls import SessionTicket

LIMIT = 10.0
E = TypeVar("E", bound=H3Event | QuicEvent)
Address = tuple[str, int]


class ClientClosed(Exception):
    """The client has closed the connection, or the test is over."""


class H3Peer:
    """The server's end of one connection."""

    def __init__(self, server: H3Server, address: Address, first: bytes) -> None:
        self.server = server
        self.address = address
        self.first_id = destination_of(first)
        self.inbox: queue.Queue[bytes | None] = queue.Queue()
        self.inbox.put(first)
        self.pending: list[H3Event | QuicEvent] = []
        self.requests: dict[int, dict[bytes, bytes]] = {}
        self.bodies: dict[int, bytes] = {}
        self.is_resumed = False
        self.is_ready = False
        self.has_accepted_early_data = False
        self.early: set[int] = set()
        self.quic: QuicConnection | None = None
        self.h3: H3Connection | None = None
        self.end: ConnectionTerminated | None = None

    # Datagrams

    def expects(self, data: bytes) -> bool:
        """Whether a datagram from the client's address is of this connection: a new one may have the same port."""
        if data[0] & 0xF0 != 0xC0:  # no Initial packet (RFC 9000, section 17.2.2)
            return True
        identifier = destination_of(data)
        return identifier == self.first_id or (
            self.quic is not None and identifier == self.quic.host_cid
        )

    def flush(self) -> None:
        assert self.quic is not None
        # qh3 2.1 loses track of a stream that was reset while its packets are being sent again.
        with suppress(ValueError):
            for data, _ in self.quic.datagrams_to_send(time.monotonic()):
                with suppress(OSError):
                    self.server.socket.sendto(data, self.address)

    def pump(self, limit: float = LIMIT) -> None:
        """Wait for one datagram, for QUIC's timer, or for `limit` seconds, and process what has come."""
        timer = None if self.quic is None else self.quic.get_timer()
        pause = limit if timer is None else max(0.0, min(limit, timer - time.monotonic()))
        try:
            data = self.inbox.get(timeout=pause)
        except queue.Empty:
            if timer is None:
                raise ClientClosed("nothing has come for too long") from None
            assert self.quic is not None
            self.quic.handle_timer(time.monotonic())
        else:
            if data is None:
                self.inbox.put(None)  # for the next call
                raise ClientClosed("the test is over")
            if self.quic is None:
                self.quic = self.server.make_quic(data)
            self.quic.receive_datagram(data, self.address, time.monotonic())
        self._process()
        self.flush()

    def wait_until(self, event: threading.Event) -> None:
        """Do what QUIC needs until `event` is set: it sends at the pace of the path, and sends again what was lost."""
        deadline = time.monotonic() + LIMIT
        while not event.is_set():
            assert time.monotonic() < deadline, "the event was not set"
            self.pump(0.05)

    def _process(self) -> None:
        assert self.quic is not None
        while (event := self.quic.next_event()) is not None:
            if isinstance(event, HandshakeCompleted):
                self.is_resumed = event.session_resumed
                self.has_accepted_early_data = event.early_data_accepted
                self.is_ready = True
            elif isinstance(event, StreamDataReceived) and not self.is_ready:
                self.early.add(event.stream_id)
            if self.h3 is None and isinstance(event, (HandshakeCompleted, StreamDataReceived)):
                self.h3 = self.server.make_h3(self.quic)
            self.pending.append(event)
            if self.h3 is not None:
                self.pending += self.h3.handle_event(event)
        # qh3 reports the end when no packet can come any more, some seconds later.
        self.end = self.quic._close_event

    # Events

    def next(self) -> H3Event | QuicEvent:
        """Return the next event."""
        while not self.pending:
            if self.end is not None:
                raise ClientClosed(self.end)
            self.pump()
        event = self.pending.pop(0)
        if isinstance(event, HeadersReceived):
            self.requests[event.stream_id] = dict(event.headers)
            self.bodies[event.stream_id] = b""
        elif isinstance(event, DataReceived):
            self.bodies[event.stream_id] += event.data
        return event

    def wait_for(self, kind: type[E], stream_id: int | None = None) -> E:
        """Return the next event of a kind, and drop those before it."""
        while True:
            event = self.next()
            if isinstance(event, kind) and stream_id in (None, getattr(event, "stream_id", None)):
                return event

    def request(self) -> int:
        """Wait for a request's head and return its stream."""
        return self.wait_for(HeadersReceived).stream_id

    def whole_request(self) -> int:
        """Wait for a whole request, whose body is then in `bodies`."""
        while True:
            event = self.next()
            if isinstance(event, (HeadersReceived, DataReceived)) and event.stream_ended:
                return event.stream_id

    def wait_for_reset(self, stream_id: int) -> None:
        """Wait until the client gives a request up."""
        while True:
            event = self.next()
            if isinstance(event, (StopSending, StreamReset)) and event.stream_id == stream_id:
                return

    # Responses

    def head(
        self, stream_id: int, *fields: tuple[bytes, bytes], status: int = 200, end: bool = False
    ) -> None:
        assert self.h3 is not None
        self.h3.send_headers(stream_id, [(b":status", b"%d" % status), *fields], end)
        self.flush()

    def interim(self, stream_id: int, count: int) -> None:
        for _ in range(count):
            self.head(stream_id, status=102)

    def data(self, stream_id: int, data: bytes, end: bool = False) -> None:
        assert self.h3 is not None
        self.h3.send_data(stream_id, data, end)
        self.flush()

    def respond(
        self, stream_id: int, body: bytes = b"", *fields: tuple[bytes, bytes], status: int = 200
    ) -> None:
        self.head(stream_id, *fields, status=status, end=not body)
        if body:
            self.data(stream_id, body, end=True)

    def raw(self, stream_id: int, data: bytes, end: bool = False) -> None:
        """Send bytes on a stream, whatever they mean."""
        assert self.quic is not None
        self.quic.send_stream_data(stream_id, data, end)
        self.flush()

    def control(self, data: bytes) -> None:
        """Send bytes on the control stream."""
        assert self.h3 is not None and self.h3._local_control_stream_id is not None
        self.raw(self.h3._local_control_stream_id, data)

    def go_away(self, stream_id: int) -> None:
        self.control(frame(0x7, varint(stream_id)))

    def reset(self, stream_id: int, code: int) -> None:
        assert self.quic is not None
        self.quic.reset_stream(stream_id, code)
        self.flush()

    def stop(self, stream_id: int, code: int) -> None:
        assert self.quic is not None
        self.quic.stop_stream(stream_id, code)
        self.flush()

    def close(self, code: int = ErrorCode.H3_NO_ERROR, reason: str = "") -> None:
        assert self.quic is not None
        # QUIC sends at the pace of the path, and nothing after the end.
        while any(map(self.quic.get_send_buffer_size, self.requests)) and self.end is None:
            self.pump()
        self.quic.close(code, None, reason)
        self.flush()

    def until_end(self) -> list[H3Event | QuicEvent]:
        """Return all events until the client closes."""
        events = []
        with suppress(ClientClosed):
            while True:
                events.append(self.next())
        return events


Script = Callable[[H3Peer], Any]


def varint(number: int) -> bytes:
    """Encode a number as QUIC does (RFC 9000, section 16)."""
    for bits, prefix in ((6, 0), (14, 1), (30, 2), (62, 3)):
        if number < 1 << bits:
            return (number | prefix << bits).to_bytes((bits + 2) // 8)
    raise ValueError(number)


def destination_of(data: bytes) -> bytes:
    """Return the destination's connection ID in a long header: flags, version, length, ID (RFC 9000, section 17.2)."""
    return data[6 : 6 + data[5]]


def frame(kind: int, payload: bytes) -> bytes:
    """Encode a frame of HTTP/3."""
    return varint(kind) + varint(len(payload)) + payload


def answering(body: bytes = b"fine") -> Script:
    """A script that answers every request with its own body, or else with `body`."""

    def script(peer: H3Peer) -> None:
        while True:
            stream_id = peer.whole_request()
            with suppress(ProtocolError, QuicConnectionError, ValueError):  # it was reset meanwhile
                peer.respond(stream_id, peer.bodies[stream_id] or body)

    return script


class H3Server:
    """Serves connections over UDP on the loopback interface."""

    def __init__(
        self, script: Script, certificate: bytes, *, port: int = 0, **options: Any
    ) -> None:
        """Prepare a server.

        Args:
            script: the server's side of a connection.
            certificate: key and chain in PEM.
            port: the port; by default a free one.
            options: attributes of the `QuicConfiguration`.
        """
        self.script = script
        self.certificate = certificate
        self.options = options
        self.tickets: dict[bytes, SessionTicket] = {}
        self.peers: list[H3Peer] = []
        self.errors: list[BaseException] = []
        self.threads: list[threading.Thread] = []
        self.max_streams: int | None = None
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.port: int = self.socket.getsockname()[1]

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/"

    def make_quic(self, first: bytes) -> QuicConnection:
        configuration = QuicConfiguration(
            is_client=False,
            **{
                "alpn_protocols": ["h3"],
                "idle_timeout": LIMIT,
                "max_datagram_frame_size": 65536,
                **self.options,
            },
        )
        configuration.load_cert_chain(self.certificate, self.certificate)
        return QuicConnection(
            configuration=configuration,
            original_destination_connection_id=destination_of(first),
            session_ticket_fetcher=self.tickets.get,
            session_ticket_handler=lambda ticket: self.tickets.update({ticket.ticket: ticket}),
        )

    def make_h3(self, quic: QuicConnection) -> H3Connection:
        return H3Connection(quic)

    def _listen(self) -> None:
        current: dict[Address, H3Peer] = {}
        while True:
            try:
                data, address = self.socket.recvfrom(65535)
            except OSError:
                return
            if not data:
                return  # the block has ended
            peer = current.get(address)
            if peer is not None and peer.expects(data):
                peer.inbox.put(data)
                continue
            peer = current[address] = H3Peer(self, address, data)
            self.peers.append(peer)
            thread = threading.Thread(target=self._serve, args=(peer,))
            self.threads.append(thread)
            thread.start()

    def _serve(self, peer: H3Peer) -> None:
        try:
            try:
                self.script(peer)
            finally:
                peer.until_end()
        except ClientClosed:
            pass
        except BaseException as exc:  # raised at the end of the block
            self.errors.append(exc)

    @contextmanager
    def running(self) -> Iterator[H3Server]:
        listener = threading.Thread(target=self._listen)
        listener.start()
        try:
            yield self
        except BaseException as exc:
            for error in self.errors:
                exc.add_note(f"The server's side: {error!r}")
            raise
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
                waker.sendto(b"", self.socket.getsockname())
            listener.join(LIMIT)
            for peer in self.peers:
                peer.inbox.put(None)
            for thread in self.threads:
                thread.join(LIMIT)
            self.socket.close()
        assert not any(thread.is_alive() for thread in self.threads), "a script did not end"
        if self.errors:
            raise self.errors[0]
