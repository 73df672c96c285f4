"""aiohttp, whose parser is written in C. Its timeout for the pool includes the time to connect."""

from __future__ import annotations

import ssl
from typing import Any

import aiohttp

from benchmarks.clients import AsyncClient, Client, Received, Settings, async_chunks


def create(settings: Settings, package: str) -> Client | AsyncClient:
    return _AsyncClient(settings)


class _AsyncClient(AsyncClient):
    def __init__(self, settings: Settings) -> None:
        context: ssl.SSLContext | bool = True
        if settings.authority is not None:
            context = ssl.create_default_context(cafile=settings.authority)
        if settings.keep_alive:
            options: dict[str, Any] = {"keepalive_timeout": 3600}
        else:
            options = {"force_close": True}
        self._session: Any = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=settings.connections, ssl=context, **options),
            headers=settings.headers,
            proxy=settings.proxy,
            timeout=aiohttp.ClientTimeout(
                total=None,
                connect=settings.patience,
                sock_connect=settings.patience,
                sock_read=settings.patience,
            ),
        )

    async def close(self) -> None:
        await self._session.close()

    async def get(self, url: str) -> tuple[int, Any]:
        async with self._session.get(url) as response:
            return response.status, await response.read()

    async def post(self, url: str, body: bytes) -> tuple[int, Any]:
        async with self._session.post(url, data=body) as response:
            return response.status, await response.read()

    async def upload(self, url: str, size: int) -> tuple[int, Any]:
        headers = {"Content-Length": str(size)}
        async with self._session.post(url, data=async_chunks(size), headers=headers) as response:
            return response.status, await response.read()

    async def download(self, url: str) -> tuple[int, Received]:
        received = Received()
        async with self._session.get(url) as response:
            async for chunk in response.content.iter_any():
                received.take(chunk)
        return response.status, received
