"""One request and its response over HTTP/3. Layer: connection.

Must not know: other exchanges, the participant that receives on behalf of all, QUIC.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from httpcore2_core._exceptions import ReadTimeout, TimeoutException
from httpcore2_core._http.fields import Headers
from httpcore2_core._http.informational import Informer
from httpcore2_core._http.observation import RequestObservation
from httpcore2_core._http.stream_exchange import StreamExchange
from httpcore2_core._http.timeouts import Timeouts
from httpcore2_core._models import ByteStream

from ._session import Session
from ._stream import Stream


class HTTP3Exchange(StreamExchange[Session, Stream]):
    """A request that was sent on a stream of HTTP/3, and its response."""

    def _wait(
        self,
        is_ready: Callable[[], bool],
        limit: float | None,
        timeout_error: type[TimeoutException] = ReadTimeout,
    ) -> Coroutine[Any, Any, None]:
        return self._session.endpoint.wait(self.stream.turns, is_ready, limit, timeout_error)

    def observe(self, informer: Informer | None, observation: RequestObservation | None) -> None:
        """Report to those who are known only now that the request was sent; under the lock."""
        stream = self.stream
        if informer is not None and stream.informer is not None:
            informer.pending = stream.informer.pending
        stream.informer = informer
        self._observation = observation
        if observation is not None:
            body = stream.request.stream
            assert isinstance(body, ByteStream), "no other body is sent early"
            left = 0 if stream.upload is None else len(stream.upload.chunk)
            observation.sent += len(body.content) - left

    # The request's body

    def _may_send(self) -> bool:
        stream = self.stream
        return stream.upload is not None and not stream.is_over and not stream.is_stopped

    def _room(self) -> int:
        return self._session.room(self.stream)

    def _queue(self, data: memoryview | bytes, end_stream: bool) -> None:
        self._session.send_data(self.stream, data, end_stream)

    async def _send_queued(self, timeouts: Timeouts) -> bool:
        endpoint = self._session.endpoint
        with self._session.lock:
            endpoint.flush()
        endpoint.poll()
        return False

    # The response

    async def receive_head(self, timeouts: Timeouts) -> tuple[int, Headers]:
        """Return status and fields of the response; report the interim responses that come before."""
        await self.wait_for_head(timeouts)
        return self.stream.head or self.raise_error()

    def take_remaining(self) -> bytes | None:
        session = self._session
        stream = self.stream
        with session.lock:
            if not stream.has_ended or not stream.has_sent_all or stream.trailers:
                return None
            if session.is_closed or session.is_retired:
                return None
            remaining = session.data_taken(stream)
        self._end(stream)
        return remaining

    def take_chunk(self) -> bytes | None:
        session = self._session
        stream = self.stream
        chunk: bytes | None = None
        with session.lock:
            if stream.chunks:
                chunk = session.data_taken(stream)
            elif stream.has_ended:
                chunk = b""
        session.notify()
        return chunk
