"""A network backend of a caller, implemented over one of this project.

Its streams have only the methods of `AsyncNetworkStream`: the transport can neither watch nor abort them.
Must not know: sockets, event loops, HTTP.
"""

from __future__ import annotations

from typing import Any

import httpcore2


class CustomStream(httpcore2.AsyncNetworkStream):
    """A caller's stream over one of this project, whose timeouts of reads it records."""

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
    """A caller's backend, which records the streams that it connects."""

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
