"""A QUIC connection of qh3 drops no packet of its own where the network loses many."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from qh3.h3.connection import H3Connection
from qh3.h3.events import DataReceived, HeadersReceived
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection
from qh3.quic.events import HandshakeCompleted, QuicEvent

from httpcore2_http3._loss import LossTolerantQuic

from ..support.simulated_network import SimulatedNetwork, server_configuration

HEADERS = [
    (b":method", b"PUT"),
    (b":scheme", b"https"),
    (b":authority", b"localhost"),
    (b":path", b"/"),
]


class PatientQuic(LossTolerantQuic):
    """A server's end, which counts the streams of its client as well."""

    def _must_wait(self) -> bool:
        core: Any = self._core
        has_waiting = core.bytes_in_flight + core.active_path[5] > core.congestion_window
        return bool(has_waiting and core.state == "connected")


class Echo:
    """Fifty requests at a time from one end, whose bodies the other end returns.

    Attributes:
        answers: how many have come back.
    """

    def __init__(self, client: QuicConnection) -> None:
        self.answers = 0
        self._client = client
        self._ends: dict[QuicConnection, H3Connection] = {}
        self._sent: dict[int, bytes] = {}
        self._received: dict[tuple[QuicConnection, int], bytes] = {}

    def process(self, end: QuicConnection, event: QuicEvent) -> None:
        if isinstance(event, HandshakeCompleted):
            self._ends[end] = H3Connection(end)
            if end is self._client:
                for _ in range(50):
                    self._put()
        elif end in self._ends:
            for h3_event in self._ends[end].handle_event(event):
                if isinstance(h3_event, HeadersReceived):
                    self._received[end, h3_event.stream_id] = b""
                elif isinstance(h3_event, DataReceived):
                    self._received[end, h3_event.stream_id] += h3_event.data
                    if h3_event.stream_ended:
                        self._complete(end, h3_event.stream_id)

    def _put(self) -> None:
        h3 = self._ends[self._client]
        stream_id = self._client.get_next_available_stream_id()
        body = self._sent[stream_id] = b"%d, " % stream_id * (1 + stream_id * 7 // 4 % 500)
        h3.send_headers(stream_id, HEADERS, False)
        h3.send_data(stream_id, body, True)

    def _complete(self, end: QuicConnection, stream_id: int) -> None:
        body = self._received.pop((end, stream_id))
        if end is not self._client:
            self._ends[end].send_headers(stream_id, [(b":status", b"200")], False)
            self._ends[end].send_data(stream_id, body, True)
            return
        assert body == self._sent.pop(stream_id)
        self.answers += 1
        if self.answers <= 150:
            self._put()


@pytest.mark.parametrize("seed", range(20))
def test_qh3_drops_no_packet_with_data_of_a_stream_that_has_ended(
    certificate: bytes, seed: int
) -> None:
    configuration = QuicConfiguration(
        alpn_protocols=["h3"],
        server_name="localhost",
        verify_mode=ssl.CERT_NONE,
        idle_timeout=600.0,
    )
    client = LossTolerantQuic(configuration=configuration)
    network = SimulatedNetwork(
        client,
        lambda destination: PatientQuic(
            configuration=server_configuration(certificate),
            original_destination_connection_id=destination,
        ),
        seed,
        loss=0.3,
    )
    echo = Echo(client)
    network.run(300.0, echo.process)
    assert echo.answers and not client.has_dropped_packet


class BlockedCore:
    """The core of a connection whose window is full, and one of whose two streams has ended."""

    loss_total = 1
    pto_total = 0
    congestion_window = bytes_in_flight = 12_000
    active_path = (0, None, None, 0, 0, 1200)
    active_local_streams = (1, 0)
    state = "connected"

    def __init__(self) -> None:
        self.events: list[Any] = [("ping_acknowledged", 1)]

    def next_event(self) -> Any:
        return self.events.pop() if self.events else None

    def poll_transmit(self, now: float) -> Any:
        return None

    def handle_timer(self, now: float) -> None:
        pass


@pytest.mark.parametrize("reason", ["all was sent", "room", "end"])
def test_events_wait_until_what_may_belong_to_an_ended_stream_was_sent(reason: str) -> None:
    quic: Any = LossTolerantQuic(configuration=QuicConfiguration())
    core = BlockedCore()
    datagrams: list[Any] = []
    core.poll_transmit = lambda now: datagrams.pop() if datagrams else None  # type: ignore[method-assign]
    quic._core = core
    quic._handshake_complete = True
    quic._created_local_stream_ids = {0, 4}
    quic.handle_timer(1.0)
    assert quic.next_event() is None
    if reason == "all was sent":
        datagrams += [(b"datagram", None)] * 17
        quic.handle_timer(2.0)
        assert quic.next_event() is None
        datagrams += [(b"datagram", None)]
    elif reason == "room":
        core.bytes_in_flight -= 1200
    else:
        core.state = "draining"
    quic.handle_timer(3.0)
    assert quic.next_event() is not None
    assert len(quic.datagrams_to_send(4.0)) == (18 if reason == "all was sent" else 0)
