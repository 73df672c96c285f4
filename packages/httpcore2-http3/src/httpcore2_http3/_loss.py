"""How a QUIC connection sends where datagrams get lost: qh3 2.1 would drop packets of its own. Layer: QUIC.

qh3 forgets a stream when the event of its end is taken from its core. Data of that stream may still be part of a packet
that waits for the congestion window: data that was declared lost, and acknowledged before it was sent again. When that
packet is to be sent, qh3 raises and drops it, and what it has of other streams is never sent. With a tenth of the
datagrams lost, this happened to one of five connections with 200 requests. So all that waits is sent before events are
taken.

Must not know: HTTP/3, the network, clocks.
"""

from __future__ import annotations

from typing import Any

from qh3.quic.connection import QuicConnection

# What qh3 raises if it has dropped a packet, and later for a stream that had data in it.
_DROPPED = ("reserved stream is missing", "another stream reservation is already active")
# How many frames of streams qh3 prepares at a time, unless it probes.
_PREPARED = 16


class LossTolerantQuic(QuicConnection):
    """A QUIC connection that takes no event from qh3's core which would make it drop a packet.

    Attributes:
        has_dropped_packet: qh3 has dropped a packet that it will not send again.
    """

    has_dropped_packet = False
    _now = 0.0
    _sends_left: int | None = None  # datagrams until all that waited when a stream ended is sent

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._unsent: list[tuple[bytes, Any]] = []

    def receive_many_datagrams(self, datagrams: list[bytes], addr: Any, now: float) -> None:
        """Process received datagrams."""
        self._now = now
        if not self._handshake_complete or not datagrams:
            super().receive_many_datagrams(datagrams, addr, now)
            return
        # As qh3 does it, except that nothing is logged for each datagram.
        core: Any = self._core
        address = self._normalize_address(addr)
        self._call_core(core.receive_many_datagrams, datagrams, address, now)
        self._drain_core()

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self._now = now
        super().handle_timer(now)

    def _drain_core(self) -> None:
        """Take the events of the core, now or at a later call."""
        core: Any = self._core
        if self._handshake_complete and (core.loss_total or core.pto_total):
            self._unsent = self.datagrams_to_send(self._now)
            if self._must_wait():
                return
            self._sends_left = None
        super()._drain_core()

    def _must_wait(self) -> bool:
        """Return whether a stream has ended, and prepared packets wait that may have data of it."""
        core: Any = self._core
        if core.bytes_in_flight + core.active_path[5] <= core.congestion_window:
            return False  # all has been sent
        known = len(self._created_local_stream_ids)
        if known == sum(core.active_local_streams) or core.state != "connected":
            return False
        if self._sends_left is None:
            # Uploads may go on without end. Frames are sent in order, and each datagram has one at least.
            self._sends_left = _PREPARED + known
        return self._sends_left > 0

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Any]]:
        """Return what is to be sent now, with its address.

        If the core drops a packet after all, the next call goes on. Then the connection works for the requests that it
        has, except that in one of three cases one of them is never answered.
        """
        datagrams, self._unsent = self._unsent, []
        before = len(datagrams)
        while self._core is not None:
            try:
                transmit = self._call_core(self._core.poll_transmit, now)
            except ValueError as exc:
                if str(exc) not in _DROPPED:
                    raise
                self.has_dropped_packet = True
                continue
            if transmit is None:
                break
            datagrams.append((transmit[0], transmit[1]))
        if self._sends_left is not None:
            self._sends_left -= len(datagrams) - before
        return datagrams
