"""A stream with bytes in front of it that were received already.

Must not know: sockets, HTTP, the pool.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .backend_stream import BackendStream

if TYPE_CHECKING:
    import ssl

    from .runtime import Runtime


class PrefixedStream(BackendStream):
    """A stream whose first bytes were received already, with the end of what was spoken before."""

    def __init__(self, stream: BackendStream, leading_data: bytes) -> None:
        self.is_resumable = stream.is_resumable
        self._stream = stream
        self._leading_data = leading_data

    @property
    def runtime(self) -> Runtime:
        return self._stream.runtime

    @property
    def close_pending(self) -> bool:
        return self._stream.close_pending

    @property
    def ended_cleanly(self) -> bool:
        return self._stream.ended_cleanly

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._leading_data:
            return self._take(max_bytes)
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    def write_nowait(self, buffer: bytes) -> int:
        return self._stream.write_nowait(buffer)

    async def write_some(self, buffer: bytes, timeout: float | None = None) -> int:
        return await self._stream.write_some(buffer, timeout)

    def abort(self) -> None:
        self._stream.abort()

    async def wait_closed(self) -> None:
        await self._stream.wait_closed()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def read_nowait(self, max_bytes: int) -> bytes | None:
        if self._leading_data:
            return self._take(max_bytes)
        return self._stream.read_nowait(max_bytes)

    async def wait_readable(self) -> None:
        if not self._leading_data:
            await self._stream.wait_readable()

    def watch(self, callback: Callable[[], None] | None) -> None:
        self._stream.watch(callback)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> BackendStream:
        if self._leading_data:
            return await super().start_tls(ssl_context, server_hostname, timeout)
        encrypted = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        encrypted.owner = self.owner
        return encrypted

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable" and self._leading_data:
            return True
        return self._stream.get_extra_info(info)

    def _take(self, max_bytes: int) -> bytes:
        data = self._leading_data[:max_bytes]
        self._leading_data = self._leading_data[max_bytes:]
        return data
