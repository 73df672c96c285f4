"""QUIC and the frames of HTTP/3, by qh3: what this project adds to its two classes. Layer: QUIC.

Must not know: requests, streams of requests, the network, clocks.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from qh3.h3.connection import FrameType, H3Connection
from qh3.quic.connection import QuicConnectionError
from qh3.quic.events import ConnectionTerminated, StreamDataReceived

from ._loss import LossTolerantQuic

if TYPE_CHECKING:
    from qh3._hazmat import Certificate

# qh3 warns of each connection that a server closes. Without any handler Python would print that to stderr.
logging.getLogger("quic").addHandler(logging.NullHandler())

_DATA = int(FrameType.DATA)  # comparing integers is faster


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

    def is_inside_data(self, event: StreamDataReceived) -> bool:
        """Return whether `event` has bytes of a DATA frame, and nothing else: neither its start nor its end.

        Then they are counted, and must not be passed to `handle_event`. A server that sends frames of 32 KiB has 25
        datagrams in each, and qh3's parser takes 3 µs for each of these.
        """
        stream = self._stream.get(event.stream_id)
        if (
            stream is None
            or stream.frame_type != _DATA
            or stream.frame_size is None
            or stream.buffer
            or event.end_stream
        ):
            return False
        left = stream.frame_size - len(event.data)
        if left <= 0:
            return False
        stream.frame_size = left
        return True

    def forget(self, stream_id: int) -> None:
        """Note that nothing more is sent on a stream, which was reset.

        Without this the stream would be kept as long as the connection.
        """
        stream = self._stream.get(stream_id)
        if stream is not None:
            stream.sending_ended = True
            self._maybe_cleanup_stream(stream)
