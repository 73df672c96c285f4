"""This httpcore2, the published httpcore2 and httpcore, which have the same interface."""

from __future__ import annotations

import ssl
from importlib import import_module
from typing import Any

from benchmarks.clients import AsyncClient, Client, Received, Settings, async_chunks, chunks


def create(settings: Settings, package: str) -> Client | AsyncClient:
    library = import_module(package)
    if settings.runtime == "threads":
        return _Client(settings, library)
    return _AsyncClient(settings, library)


class _Shared:
    def __init__(self, settings: Settings, library: Any) -> None:
        self._headers = list(settings.headers.items())
        names = ("pool", "connect", "read", "write")
        self._extensions = {"timeout": dict.fromkeys(names, settings.patience)}
        self._options: dict[str, Any] = {
            "max_connections": settings.connections,
            "http2": settings.http2,
            # Without TLS there is no ALPN: the client must know that the server speaks HTTP/2.
            "http1": not settings.http2 or settings.authority is not None,
        }
        if settings.http3:
            self._options |= {"http1": False, "http2": False, "http3": True}
        if settings.authority is not None:
            self._options["ssl_context"] = ssl.create_default_context(cafile=settings.authority)
        if settings.proxy is not None:
            self._options["proxy"] = library.Proxy(settings.proxy)
        if settings.runtime == "anyio":
            self._options["network_backend"] = library.AnyIOBackend()

    def _sized(self, size: int) -> list[tuple[str, str]]:
        return [*self._headers, ("Content-Length", str(size))]


class _Client(_Shared, Client):
    def __init__(self, settings: Settings, library: Any) -> None:
        super().__init__(settings, library)
        self._pool = library.ConnectionPool(**self._options)

    def close(self) -> None:
        self._pool.close()

    def get(self, url: str) -> tuple[int, Any]:
        response = self._pool.request(
            "GET", url, headers=self._headers, extensions=self._extensions
        )
        return response.status, response.content

    def post(self, url: str, body: bytes) -> tuple[int, Any]:
        response = self._pool.request(
            "POST", url, headers=self._headers, content=body, extensions=self._extensions
        )
        return response.status, response.content

    def upload(self, url: str, size: int) -> tuple[int, Any]:
        response = self._pool.request(
            "POST",
            url,
            headers=self._sized(size),
            content=chunks(size),
            extensions=self._extensions,
        )
        return response.status, response.content

    def download(self, url: str) -> tuple[int, Received]:
        with self._pool.stream(
            "GET", url, headers=self._headers, extensions=self._extensions
        ) as response:
            return response.status, Received(response.iter_stream())


class _AsyncClient(_Shared, AsyncClient):
    def __init__(self, settings: Settings, library: Any) -> None:
        super().__init__(settings, library)
        self._pool = library.AsyncConnectionPool(**self._options)

    async def close(self) -> None:
        await self._pool.aclose()

    async def get(self, url: str) -> tuple[int, Any]:
        response = await self._pool.request(
            "GET", url, headers=self._headers, extensions=self._extensions
        )
        return response.status, response.content

    async def post(self, url: str, body: bytes) -> tuple[int, Any]:
        response = await self._pool.request(
            "POST", url, headers=self._headers, content=body, extensions=self._extensions
        )
        return response.status, response.content

    async def upload(self, url: str, size: int) -> tuple[int, Any]:
        response = await self._pool.request(
            "POST",
            url,
            headers=self._sized(size),
            content=async_chunks(size),
            extensions=self._extensions,
        )
        return response.status, response.content

    async def download(self, url: str) -> tuple[int, Received]:
        received = Received()
        async with self._pool.stream(
            "GET", url, headers=self._headers, extensions=self._extensions
        ) as response:
            async for chunk in response.aiter_stream():
                received.take(chunk)
        return response.status, received
