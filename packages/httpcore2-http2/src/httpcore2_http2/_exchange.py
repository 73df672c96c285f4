"""One request and its response over HTTP/2, with its flow control. Layer: connection.

Must not know: other exchanges, the participant that reads or writes on behalf of all, the format of frames.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from httpcore2_core._exceptions import ReadTimeout, TimeoutException
from httpcore2_core._http.fields import Headers
from httpcore2_core._http.stream_exchange import StreamExchange
from httpcore2_core._http.timeouts import Timeouts
from httpcore2_core._http.trace import Tracer

from ._session import Session
from ._states import COMPLETE, ENDED
from ._stream import Stream


class HTTP2Exchange(StreamExchange[Session, Stream]):
    """A request that was sent on a stream of HTTP/2, and its response."""

    def _wait(
        self,
        is_ready: Callable[[], bool],
        limit: float | None,
        timeout_error: type[TimeoutException] = ReadTimeout,
    ) -> Coroutine[Any, Any, None]:
        return self._session.reader.wait(self.stream.turns, is_ready, limit, timeout_error)

    @property
    def _may_cancel_reads(self) -> bool:
        return self._session.reader.is_resumable

    # The request's body

    def _may_send(self) -> bool:
        return self.stream.upload is not None and not self.stream.is_over

    def _room(self) -> int:
        return self._session.codec.window(self.stream)

    def _queue(self, data: memoryview | bytes, end_stream: bool) -> None:
        self._session.codec.send_data(self.stream, data, end_stream)
        if end_stream:
            self.stream.upload = None

    async def _send_queued(self, timeouts: Timeouts) -> bool:
        stream = self.stream
        is_pointless = stream.has_head if stream.head is None else stream.is_refused
        await self._session.writer.flush(timeouts.for_write(), is_pointless)
        return self._session.poll()

    # The response

    @property
    def waits_for_head_alone(self) -> bool:
        """Whether the response's head has not come, and nothing else is to be sent or reported before it."""
        stream = self.stream
        return (
            stream.upload is None
            and stream.informer is None
            and self._observation is None
            and stream.head is None
            and stream.error is None
        )

    async def receive_head(self, timeouts: Timeouts, tracer: Tracer) -> tuple[int, Headers]:
        """Return status and fields of the response to a traced request."""
        await self.wait_for_head(timeouts)
        settings, self._session.new_settings = self._session.new_settings, None
        if settings is not None:
            # To the first tracer that there is.
            await tracer.event("receive_remote_settings.started", {})
            await tracer.event("receive_remote_settings.complete", {"return_value": settings})
        return self.stream.head or self.raise_error()

    def take_remaining(self) -> bytes | None:
        session = self._session
        stream = self.stream
        # After the end of a stream nobody adds to its data, so that the lock is not needed.
        if stream.response is not COMPLETE or stream.state is not ENDED:
            return None
        if stream.trailers or stream.is_tunnel:
            return None
        if session.is_closed or session.is_retired:
            return None
        chunks = stream.chunks
        remaining = chunks.pop() if len(chunks) == 1 else stream.take_data()
        self._end(stream)
        return remaining if type(remaining) is bytes else bytes(remaining)

    def take_chunk(self) -> bytes | None:
        session = self._session
        stream = self.stream
        if stream.is_tunnel:
            return b""
        with session.lock:
            if stream.chunks:
                chunk = stream.take_data()
                if session.codec.consumed(stream, len(chunk)):
                    session.writer.push()
                return chunk
            return b"" if stream.response is COMPLETE else None

    # For the response's body

    @property
    def has_body_left(self) -> bool:
        stream = self.stream
        return not stream.is_tunnel and (bool(stream.chunks) or not stream.has_ended)

    @property
    def has_switched(self) -> bool:
        return self.stream.is_tunnel

    @property
    def close_pending(self) -> bool:
        return self._session.stream.close_pending or self.stream.upload is not None

    async def wait_closed(self) -> None:
        if self._session.stream.close_pending:
            await self._session.stream.wait_closed()
        await super().wait_closed()
