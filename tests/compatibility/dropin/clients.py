"""The synchronous clients dressed as the asynchronous ones, so that one scenario serves both.

Rules: no method here ever suspends.
Must not know: httpcore2, servers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class AsyncAdapterResponse:
    """A synchronous response, in the other colour."""

    def __init__(self, plain: Any) -> None:
        self.plain = plain

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    async def aread(self) -> bytes:
        content: bytes = self.plain.read()
        return content

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        for chunk in self.plain.iter_bytes():
            yield chunk


class DressedClient:
    """A synchronous client, in the other colour."""

    def __init__(self, plain: Any) -> None:
        self.plain = plain

    async def __aenter__(self) -> DressedClient:
        self.plain.__enter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.plain.__exit__(*exc_info)

    async def request(self, *args: Any, **options: Any) -> Any:
        return self.plain.request(*args, **options)

    async def get(self, *args: Any, **options: Any) -> Any:
        return self.plain.get(*args, **options)

    async def post(self, *args: Any, **options: Any) -> Any:
        return self.plain.post(*args, **options)

    @asynccontextmanager
    async def stream(self, *args: Any, **options: Any) -> AsyncIterator[AsyncAdapterResponse]:
        with self.plain.stream(*args, **options) as response:
            yield AsyncAdapterResponse(response)
