"""What the frames of a response mean for its stream: head, interim responses, body, trailers, end. Layer: stream.

Rules: a malformed response is an error of its stream (RFC 9114, section 4.1.2).
Must not know: QUIC, other streams, who reads the body.
"""

from __future__ import annotations

from qh3.h3.events import HeadersReceived, InformationalHeadersReceived

from httpcore2_core._http.expectation import CONTINUE
from httpcore2_core._http.stream_fields import (
    FieldSection,
    MalformedResponse,
    check_fields,
    check_head,
    check_response,
)

from ._states import RECEIVE_DATA, RECEIVE_END, RECEIVE_HEAD, RECEIVE_INTERIM, RECEIVE_TRAILERS
from ._stream import Stream

MAX_INTERIM = 100
"""The most interim responses before a final one, as for HTTP/1.1."""


class ResponseReceiver:
    """Adds what was received to the streams of a connection.

    Attributes:
        responses: how many heads have come.
    """

    def __init__(self) -> None:
        self.responses: int = 0
        self._last_fields = FieldSection()

    def on_headers(self, stream: Stream, event: HeadersReceived) -> None:
        """Take a head, or trailers.

        Raises:
            MalformedResponse: they are malformed.
        """
        if stream.head is None:
            fields = event.headers
            if not isinstance(fields, FieldSection):
                # Most responses of a server have the same fields.
                if self._last_fields != fields:
                    self._last_fields = FieldSection(fields)
                fields = self._last_fields
            head = check_response(fields, stream.request.method)
            if head.status < 200:
                raise MalformedResponse("The stream ended after an interim response.")
            stream.head = (head.status, head.headers.copy())
            stream.body_left = head.length
            stream.change_response(RECEIVE_HEAD)
            self.responses += 1
        else:
            stream.trailers = check_fields(event.headers)
            stream.change_response(RECEIVE_TRAILERS)
        if event.stream_ended:
            self.on_end(stream)

    def on_interim(self, stream: Stream, event: InformationalHeadersReceived) -> None:
        """Take an interim response.

        Raises:
            MalformedResponse: it is malformed, or one too many.
        """
        status, headers = check_head(event.headers)
        stream.interim += 1
        if stream.interim > MAX_INTERIM:
            raise MalformedResponse(
                f"The server sent more than {MAX_INTERIM} interim responses to one request."
            )
        stream.change_response(RECEIVE_INTERIM)
        if status == CONTINUE:
            stream.was_continued = True
        if stream.informer is not None:
            stream.informer.pending.append((status, headers))

    def on_data(self, stream: Stream, data: bytes) -> None:
        """Take a part of the body, which may be empty at its end.

        Raises:
            MalformedResponse: it does not fit the Content-Length, or the head has not come.
        """
        if stream.head is None:
            raise MalformedResponse("The response ended before its head.")
        if data:
            if stream.body_left is not None:
                stream.body_left -= len(data)
                if stream.body_left < 0:
                    raise MalformedResponse(
                        "The response's body is longer than its Content-Length."
                    )
            stream.chunks.append(data)
            stream.change_response(RECEIVE_DATA)

    def on_end(self, stream: Stream) -> None:
        """Take the end of the response.

        Raises:
            MalformedResponse: the body is shorter than its Content-Length.
        """
        if stream.body_left:
            raise MalformedResponse(
                f"The response ended {stream.body_left} bytes before its Content-Length."
            )
        stream.change_response(RECEIVE_END)
