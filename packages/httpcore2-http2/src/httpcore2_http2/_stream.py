"""One request and its response on a stream of the connection: its state, its windows, the received data. Layer: stream.

The codec moves the stream from state to state and keeps the part that belongs to the protocol; the session keeps the
rest. Both do so under the session's lock.

Must not know: frames, the network, locks.
"""

from __future__ import annotations

from httpcore2_core._http.fields import Headers
from httpcore2_core._http.informational import Informer
from httpcore2_core._http.stream_fields import ResponseHead
from httpcore2_core._http.stream_upload import StreamUpload
from httpcore2_core._models import Request
from httpcore2_core._net.roles import Turn

from ._states import (
    AFTER_END_STREAM,
    COMPLETE,
    END,
    ENDED,
    FINAL_HEAD,
    HALF_CLOSED_LOCAL,
    HALF_CLOSED_REMOTE,
    HEAD_DUE,
    IDLE,
    OPEN,
    RESPONSE_TRANSITIONS,
    SENT_HEADERS,
    SENT_REQUEST,
    TRANSITIONS,
    ResponseEvent,
    ResponseState,
    StreamEvent,
    StreamState,
)

SMALL_CHUNK = 1024
"""Chunks of fewer bytes are joined as they arrive."""


class Stream:
    """One request and its response.

    Attributes of the protocol, for the codec:
        state: see `_states`.
        response: the part of the response that is due; see `_states`.
        stream_id: its identifier; 0 while it is idle.
        send_window: bytes that we may send.
        receive_window: bytes that the server may send.
        unreturned: bytes that were consumed, but not yet added to the server's window.
        interim: how many interim responses have come.
        body_left: bytes that the response's Content-Length says are still to come; `None` if it says nothing.

    Attributes of request and response, for the session and its exchanges:
        request: the request.
        informer: reports the interim responses to the request; `None` for nobody.
        was_continued: the server has sent 100 (Continue).
        upload: the part of its body that was not sent; `None` when all was sent, or if it has no body.
        is_connect: the request is a CONNECT: our half stays open after the head.
        is_tunnel: the CONNECT was granted: the data is that of a tunnel, not of a body.
        reads: how often something had been received on the connection when the request was sent.
        head: status and fields of the response.
        chunks: received data that nobody has taken.
        trailers: fields after the body.
        error: why it never will be.
        is_unprocessed: with an error: the server did not process the request, which may be sent again if its body may.
        made_progress: the server processed other requests meanwhile.
        is_released: the exchange is over.
        turns: participants that wait for something on the stream.
    """

    def __init__(self, request: Request, upload: StreamUpload | None, reads: int) -> None:
        """Create an idle stream; arguments as the attributes of these names."""
        self.state: StreamState = IDLE
        self.response: ResponseState = HEAD_DUE
        # None of these is a default of the class: CPython 3.13 specialises no access to an attribute that both have.
        self.stream_id: int = 0
        self.send_window: int = 0
        self.receive_window: int = 0
        self.unreturned: int = 0
        self.interim: int = 0
        self.body_left: int | None = None
        self.request: Request = request
        self.informer: Informer | None = None
        self.was_continued: bool = False
        self.upload: StreamUpload | None = upload
        self.is_connect: bool = request.method == b"CONNECT"
        self.is_tunnel: bool = False
        self.reads: int = reads
        self.head: tuple[int, Headers] | None = None
        self.chunks: list[bytes | bytearray] = []
        self.trailers: Headers = []
        self.error: Exception | None = None
        self.is_unprocessed: bool = False
        self.made_progress: bool = False
        self.is_released: bool = False
        self.turns: list[Turn] = []

    def transition(self, event: StreamEvent) -> None:
        """Move to the state that follows `event`, which must be allowed."""
        self.state = TRANSITIONS[self.state][event]

    def advance(self, event: ResponseEvent) -> None:
        """Note that a part of the response has come, which must be due."""
        self.response = RESPONSE_TRANSITIONS[self.response][event]

    def receive_head(self, head: ResponseHead) -> None:
        """Note that the final head has come."""
        self.response = RESPONSE_TRANSITIONS[self.response][FINAL_HEAD]
        self.head = (head.status, head.headers.copy())
        self.body_left = head.length

    def end_response(self) -> StreamState:
        """Note that the response is complete, and return the state of the stream."""
        self.response = RESPONSE_TRANSITIONS[self.response][END]
        self.state = state = AFTER_END_STREAM[self.state]
        return state

    def open(self, stream_id: int, send_window: int, receive_window: int, end_stream: bool) -> None:
        """Note that the head of the request is sent, and nothing more if `end_stream` is true."""
        self.stream_id = stream_id
        self.send_window = send_window
        self.receive_window = receive_window
        self.state = SENT_REQUEST if end_stream else SENT_HEADERS

    @property
    def may_send(self) -> bool:
        """Whether our half is open."""
        return self.state is OPEN or self.state is HALF_CLOSED_REMOTE

    @property
    def has_sent_all(self) -> bool:
        """Whether our half was closed by END_STREAM."""
        return self.state is HALF_CLOSED_LOCAL or self.state is ENDED

    @property
    def has_ended(self) -> bool:
        """Whether the response is complete."""
        return self.response is COMPLETE

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.response is COMPLETE or self.error is not None

    def has_head(self) -> bool:
        """Whether there is no need to wait for the response's head."""
        return self.head is not None or self.error is not None

    def has_answered(self) -> bool:
        """Whether the server has answered `Expect: 100-continue`, by 100 (Continue) or otherwise."""
        return self.was_continued or self.has_head()

    def is_refused(self) -> bool:
        """Whether the server has no use for the request's body: the response is complete, or not a success."""
        return self.is_over or (self.head is not None and self.head[0] >= 300)

    def has_data(self) -> bool:
        """Whether there is no need to wait for data or the end."""
        return bool(self.chunks) or self.response is COMPLETE or self.error is not None

    def add_data(self, data: bytes) -> None:
        """Add received data. Small chunks are joined, since an object for each would take a multiple of their size."""
        chunks = self.chunks
        if len(data) >= SMALL_CHUNK or not chunks:
            chunks.append(data)
        elif isinstance(chunks[-1], bytearray):
            chunks[-1] += data
        else:
            chunks.append(bytearray(data))

    def take_data(self, max_bytes: int | None = None) -> bytes:
        """Return received data, at most `max_bytes` of it if that is given; `b""` if there is none."""
        chunks = self.chunks
        count = len(chunks)
        size = 0
        if max_bytes is not None:
            for count, chunk in enumerate(chunks, 1):  # noqa: B007
                size += len(chunk)
                if size >= max_bytes:
                    break
        data = b"".join(chunks[:count])
        del chunks[:count]
        if max_bytes is not None and size > max_bytes:
            chunks.insert(0, data[max_bytes:])
            data = data[:max_bytes]
        return data

    def fail(self, error: Exception, is_unprocessed: bool) -> None:
        """Note that nothing more can be received or sent, since the server or the network failed."""
        if self.error is None and (self.is_tunnel or not self.has_ended):
            self.error = error
            self.is_unprocessed = is_unprocessed

    def wake(self) -> None:
        """Let the participants that wait check whether they are ready."""
        for turn in self.turns:
            turn.wake()
