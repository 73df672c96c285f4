"""A caller's own network backend: adapters over one of ours, which add no methods of ours to the stream.

For the tests that a transport over a caller's streams, which can be neither watched nor aborted, keeps its guarantees.
Must not know: sockets, event loops, HTTP.
"""

from __future__ import annotations

from typing import Any

import httpcore2


class CustomStream(httpcore2.AsyncNetworkStream):
    """A caller's own stream over one of ours, which says whether it can be read."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self.stream = stream
        self.reads: list[float | None] = []

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.reads.append(timeout)
        return await self.stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self.stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self.stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)


class CustomBackend(httpcore2.AsyncNetworkBackend):
    """A caller's own backend."""

    def __init__(
        self, backend: httpcore2.AsyncNetworkBackend, kind: type[CustomStream] = CustomStream
    ) -> None:
        self.backend = backend
        self.kind = kind
        self.streams: list[CustomStream] = []

    async def connect_tcp(self, *args: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        stream = self.kind(await self.backend.connect_tcp(*args, **options))
        self.streams.append(stream)
        return stream
