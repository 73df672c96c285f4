"""httpx2: the client with redirects, cookies and decoding, over the published httpcore2."""

from __future__ import annotations

import ssl
from typing import Any

import httpx2

from benchmarks.clients import AsyncClient, Client, Received, Settings, async_chunks, chunks


def create(settings: Settings, package: str) -> Client | AsyncClient:
    if settings.runtime == "threads":
        return _Client(settings)
    return _AsyncClient(settings)


def _options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "headers": settings.headers,
        "http2": settings.http2,
        "limits": httpx2.Limits(
            max_connections=settings.connections,
            max_keepalive_connections=settings.connections,
            keepalive_expiry=None,
        ),
        "proxy": settings.proxy,
        "timeout": settings.patience,
        "trust_env": False,
    }
    if settings.authority is not None:
        options["verify"] = ssl.create_default_context(cafile=settings.authority)
    return options


class _Client(Client):
    def __init__(self, settings: Settings) -> None:
        self._client = httpx2.Client(**_options(settings))

    def close(self) -> None:
        self._client.close()

    def get(self, url: str) -> tuple[int, Any]:
        response = self._client.get(url)
        return response.status_code, response.content

    def post(self, url: str, body: bytes) -> tuple[int, Any]:
        response = self._client.post(url, content=body)
        return response.status_code, response.content

    def upload(self, url: str, size: int) -> tuple[int, Any]:
        headers = {"Content-Length": str(size)}
        response = self._client.post(url, content=chunks(size), headers=headers)
        return response.status_code, response.content

    def download(self, url: str) -> tuple[int, Received]:
        with self._client.stream("GET", url) as response:
            return response.status_code, Received(response.iter_raw())


class _AsyncClient(AsyncClient):
    def __init__(self, settings: Settings) -> None:
        self._client = httpx2.AsyncClient(**_options(settings))

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, url: str) -> tuple[int, Any]:
        response = await self._client.get(url)
        return response.status_code, response.content

    async def post(self, url: str, body: bytes) -> tuple[int, Any]:
        response = await self._client.post(url, content=body)
        return response.status_code, response.content

    async def upload(self, url: str, size: int) -> tuple[int, Any]:
        headers = {"Content-Length": str(size)}
        response = await self._client.post(url, content=async_chunks(size), headers=headers)
        return response.status_code, response.content

    async def download(self, url: str) -> tuple[int, Received]:
        received = Received()
        async with self._client.stream("GET", url) as response:
            async for chunk in response.aiter_raw():
                received.take(chunk)
        return response.status_code, received
