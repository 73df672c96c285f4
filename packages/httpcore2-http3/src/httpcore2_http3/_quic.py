"""QUIC, by qh3, and what this project adds to its class. Layer: QUIC.

Must not know: HTTP/3, the network, clocks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qh3.quic.connection import QuicConnectionError
from qh3.quic.events import ConnectionTerminated

from ._loss import LossTolerantQuic

if TYPE_CHECKING:
    from qh3._hazmat import Certificate

# qh3 warns of each connection that a server closes. Without any handler Python would print that to stderr.
logging.getLogger("quic").addHandler(logging.NullHandler())

# What qh3 raises if it repeats early data before the handshake is complete.
_WITHOUT_KEYS = "missing OneRtt packet key"


class ClientQuic(LossTolerantQuic):
    """The client's end of a QUIC connection.

    Attributes:
        has_closed: this side has closed it, since the server violated HTTP/3.
        known_certificate: that of the server in the session which may be resumed.
    """

    has_closed = False
    known_certificate: Certificate | None = None

    def close(
        self, error_code: int = 0, frame_type: int | None = None, reason_phrase: str = ""
    ) -> None:
        """Close the connection."""
        if self._close_event is None:
            self.has_closed = True
            try:
                super().close(error_code, frame_type, reason_phrase)
            except QuicConnectionError:
                pass  # it has ended, which was not reported yet

    def send_stream_data(self, stream_id: int, data: Any, end_stream: bool = False) -> None:
        """Queue bytes, unless the connection is over: a response may come with the end, and is processed.

        With the fields of each message, qh3 queues what changes the tables of QPACK, which mostly is no bytes at all.
        """
        if (data or end_stream) and self._close_event is None:
            super().send_stream_data(stream_id, data, end_stream)

    def abandon_stream(self, stream_id: int, code: int, *, sending: bool, receiving: bool) -> None:
        """Reset what is not complete of a stream (RFC 9000, section 3.5).

        Args:
            stream_id: the stream.
            code: the error code.
            sending: whether to send no more.
            receiving: whether to receive no more.
        """
        try:
            if sending:
                self.reset_stream(stream_id, code)
            if receiving:
                self.stop_stream(stream_id, code)
        except (QuicConnectionError, ValueError):
            pass  # the stream is complete, or the connection is over

    @property
    def end(self) -> ConnectionTerminated | None:
        """Why the connection is over.

        qh3 reports the end when no packet can come any more, some seconds after it is known here.
        """
        return self._close_event

    @property
    def may_send_early_data(self) -> bool:
        """Whether a connection that has begun can send before its handshake is complete."""
        return self._early_data_attempted

    @property
    def certificate(self) -> Certificate | None:
        """The certificate of the server; if the session was resumed, that with which it began."""
        if self.tls is not None and self.tls.session_resumed:
            return self.known_certificate
        return self.get_peercert()

    @property
    def is_asked_for_certificate(self) -> bool:
        """Whether the server has requested a certificate of the client."""
        return self.tls is not None and self.tls._certificate_request is not None


class EarlyQuic(ClientQuic):
    """The client's end of a QUIC connection that may send early data.

    When an acknowledgement is overdue, qh3 2.1 repeats what was sent longest ago. If that is early data, and the
    handshake is not complete, it raises, since it takes a packet whose keys it does not have yet; and if that happens
    often, it stops sending. So until the handshake is complete it repeats once, which is the ClientHello. Nothing is
    lost by the error: the next call sends the same as early data.
    """

    _has_repeated = False
    _has_failed = False

    def get_timer(self) -> float | None:
        """Return when `handle_timer()` is to be called; `None` if it is not."""
        if self._has_repeated and not self._handshake_complete:
            return None
        return super().get_timer()

    def handle_timer(self, now: float) -> None:
        """Repeat what was lost, and do what else is due."""
        timer = None if self._core is None else self._core.get_timer()
        if self.may_send_early_data and timer is not None and timer[0] == "loss_detection":
            self._has_repeated = True
        super().handle_timer(now)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Any]]:
        """Return what is to be sent now, with its address."""
        self._has_failed = False
        return super().datagrams_to_send(now)

    def _call_core(self, operation: Callable[..., Any], *args: Any) -> Any:
        """Call a method of qh3's core: `poll_transmit()` once more if it raises, and then there is nothing to send."""
        try:
            return super()._call_core(operation, *args)
        except QuicConnectionError as exc:
            if self._handshake_complete or _WITHOUT_KEYS not in exc.reason_phrase:
                raise
        if self._has_failed:
            return None
        self._has_failed = True
        return self._call_core(operation, *args)
