"""One request and its response on a stream of the connection, and the received data. Layer: stream.

The session changes it, under its lock.
Must not know: QUIC, the network, locks.
"""

from __future__ import annotations

from httpcore2_core._http.fields import Headers
from httpcore2_core._http.informational import Informer
from httpcore2_core._http.stream_upload import StreamUpload
from httpcore2_core._models import Request
from httpcore2_core._net.roles import Turn

from ._states import (
    ENDED,
    FAIL,
    FAILED,
    HEAD,
    REQUEST_TRANSITIONS,
    RESPONSE_TRANSITIONS,
    SENDING,
    SENT,
    STOPPED,
    RequestEvent,
    RequestState,
    ResponseEvent,
    ResponseState,
)


class Stream:
    """One request and its response.

    Attributes:
        request: the request.
        stream_id: its identifier.
        upload: the part of its body that was not sent; `None` when all was sent, or if it has no body.
        request_state: how much of the request was sent.
        response_state: what may come next of the response.
        informer: reports the interim responses; `None` if nobody wants them.
        interim: how many interim responses have come.
        was_continued: 100 (Continue) was among them.
        body_left: bytes that the response's Content-Length says are still to come; `None` if it says nothing.
        head: status and fields of the response.
        chunks: received data that nobody has taken.
        unread: how many bytes that is.
        trailers: fields after the body.
        error: why the response never will be complete.
        is_unprocessed: with an error: the server did not process the request, which may be sent again if its body may.
        made_progress: the server processed other requests meanwhile.
        is_released: the exchange is over.
        turns: participants that wait for something on the stream.
    """

    __slots__ = (
        "body_left",
        "chunks",
        "error",
        "head",
        "informer",
        "interim",
        "is_released",
        "is_unprocessed",
        "made_progress",
        "request",
        "request_state",
        "response_state",
        "stream_id",
        "trailers",
        "turns",
        "unread",
        "upload",
        "was_continued",
    )

    def __init__(self, request: Request, stream_id: int, upload: StreamUpload | None) -> None:
        self.request = request
        self.stream_id = stream_id
        self.upload = upload
        self.request_state: RequestState = SENDING if upload is not None else SENT
        self.response_state: ResponseState = HEAD
        self.informer: Informer | None = None
        self.interim: int = 0
        self.was_continued: bool = False
        self.body_left: int | None = None
        self.head: tuple[int, Headers] | None = None
        self.chunks: list[bytes] = []
        self.unread: int = 0
        self.trailers: Headers = []
        self.error: Exception | None = None
        self.is_unprocessed: bool = False
        self.made_progress: bool = False
        self.is_released: bool = False
        self.turns: list[Turn] = []

    def change_request(self, event: RequestEvent) -> None:
        """Change the state of the request's half, as the table says."""
        self.request_state = REQUEST_TRANSITIONS[self.request_state][event]

    def change_response(self, event: ResponseEvent) -> None:
        """Change the state of the response's half, as the table says."""
        self.response_state = RESPONSE_TRANSITIONS[self.response_state][event]

    @property
    def has_sent_all(self) -> bool:
        """Whether the request is complete."""
        return self.request_state is SENT

    @property
    def is_stopped(self) -> bool:
        """Whether nothing more of the request may be sent."""
        return self.request_state is STOPPED

    @property
    def has_ended(self) -> bool:
        """Whether the response is complete."""
        return self.response_state is ENDED

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.response_state is ENDED or self.response_state is FAILED

    def has_head(self) -> bool:
        """Whether there is no need to wait for the response's head."""
        return self.response_state is not HEAD

    def has_answered(self) -> bool:
        """Whether the server has answered `Expect: 100-continue`, by 100 (Continue) or otherwise."""
        return self.was_continued or self.response_state is not HEAD

    def is_refused(self) -> bool:
        """Whether the server has no use for the request's body: the response is complete, or not a success."""
        return self.is_over or self.is_stopped or (self.head is not None and self.head[0] >= 300)

    def has_data(self) -> bool:
        """Whether there is no need to wait for data or the end."""
        return bool(self.chunks) or self.is_over

    def take_data(self) -> bytes:
        """Return the received data; `b""` if there is none."""
        data = self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)
        self.chunks.clear()
        self.unread = 0
        return data

    def fail(self, error: Exception, is_unprocessed: bool) -> None:
        """Note that nothing more can be received or sent, since the server or the network failed."""
        if not self.is_over:
            self.error = error
            self.is_unprocessed = is_unprocessed
            self.change_response(FAIL)

    def wake(self) -> None:
        """Let the participants that wait check whether they are ready."""
        for turn in self.turns:
            turn.wake()
