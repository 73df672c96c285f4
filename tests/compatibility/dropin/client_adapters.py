"""Adapters of the sync clients to the async interface, so that one scenario tests both.

Rules: no coroutine here ever suspends.
Must not know: httpcore2, servers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class AsyncAdapterResponse:
    """A sync response behind the async interface."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    async def aread(self) -> bytes:
        content: bytes = self.wrapped.read()
        return content

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        for chunk in self.wrapped.iter_bytes():
            yield chunk


class AsyncAdapterClient:
    """A sync client behind the async interface."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped

    async def __aenter__(self) -> AsyncAdapterClient:
        self.wrapped.__enter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.wrapped.__exit__(*exc_info)

    async def request(self, *args: Any, **options: Any) -> Any:
        return self.wrapped.request(*args, **options)

    async def get(self, *args: Any, **options: Any) -> Any:
        return self.wrapped.get(*args, **options)

    async def post(self, *args: Any, **options: Any) -> Any:
        return self.wrapped.post(*args, **options)

    @asynccontextmanager
    async def stream(self, *args: Any, **options: Any) -> AsyncIterator[AsyncAdapterResponse]:
        with self.wrapped.stream(*args, **options) as response:
            yield AsyncAdapterResponse(response)
