"""QUIC and the frames of HTTP/3, by qh3: what this project adds to its two classes. Layer: QUIC.

Must not know: requests, streams of requests, the network, clocks.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from qh3.h3.connection import H3Connection
from qh3.quic.connection import QuicConnection, QuicConnectionError
from qh3.quic.events import ConnectionTerminated

if TYPE_CHECKING:
    from qh3._hazmat import Certificate

# qh3 warns of each connection that a server closes. Without any handler Python would print that to stderr.
logging.getLogger("quic").addHandler(logging.NullHandler())

# What qh3 raises if it has dropped a packet, and later for a stream that had data in it.
_DROPPED = ("reserved stream is missing", "another stream reservation is already active")


class ClientQuic(QuicConnection):
    """The client's end of a QUIC connection.

    Attributes:
        has_closed: this side has closed it, since the server violated HTTP/3.
        has_dropped_packet: qh3 has dropped a packet that it will not send again.
        known_certificate: that of the server in the session which may be resumed.
    """

    has_closed = False
    has_dropped_packet = False
    known_certificate: Certificate | None = None

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Any]]:
        """Return what is to be sent now, with its address.

        If an acknowledgement completes a stream whose data waits to be sent again, qh3 2.1 raises when that data's turn
        has come: four times in 6000 requests, with 10 or 20 % of the datagrams lost. The packet is dropped, and with it
        what it had of other streams; the next call goes on. Then the connection works for the requests that it has,
        except that in one of three cases one of them is never answered.
        """
        datagrams: list[tuple[bytes, Any]] = []
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
        return datagrams

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
        """Queue bytes, unless the connection is over: a response may come with the end, and is processed."""
        if self._close_event is None:
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
    def certificate(self) -> Certificate | None:
        """The certificate of the server; if the session was resumed, that with which it began."""
        if self.tls is not None and self.tls.session_resumed:
            return self.known_certificate
        return self.get_peercert()

    @property
    def is_asked_for_certificate(self) -> bool:
        """Whether the server has requested a certificate of the client."""
        return self.tls is not None and self.tls._certificate_request is not None


class ClientH3(H3Connection):
    """The client's end of the HTTP/3 protocol."""

    def forget(self, stream_id: int) -> None:
        """Note that nothing more is sent on a stream, which was reset.

        Without this the stream would be kept as long as the connection.
        """
        stream = self._stream.get(stream_id)
        if stream is not None:
            stream.sending_ended = True
            self._maybe_cleanup_stream(stream)
