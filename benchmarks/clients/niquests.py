"""niquests, over urllib3-future."""

from __future__ import annotations

from typing import Any

import niquests

from benchmarks.clients import AsyncClient, Client, Received, Settings, async_chunks, chunks


def create(settings: Settings, package: str) -> Client | AsyncClient:
    if settings.runtime == "threads":
        return _Client(settings)
    return _AsyncClient(settings)


def _configure(session: Any, settings: Settings) -> Any:
    session.headers.clear()
    session.headers.update(settings.headers)
    session.trust_env = False
    if settings.proxy is not None:
        session.proxies = {"http": settings.proxy, "https": settings.proxy}
    if settings.authority is not None:
        session.verify = settings.authority
    return session


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "disable_http1": settings.http3 or (settings.http2 and settings.authority is None),
        "disable_http2": settings.http3 or not settings.http2,
        "disable_http3": not settings.http3,
        "pool_connections": 1,
        "pool_maxsize": settings.connections,
        "revocation_configuration": None,
        "timeout": (settings.patience, settings.patience),
    }


class _Client(Client):
    def __init__(self, settings: Settings) -> None:
        self._session = _configure(niquests.Session(**_options(settings)), settings)

    def close(self) -> None:
        self._session.close()

    def get(self, url: str) -> tuple[int, Any]:
        response = self._session.get(url)
        return response.status_code, response.content

    def post(self, url: str, body: bytes) -> tuple[int, Any]:
        response = self._session.post(url, data=body)
        return response.status_code, response.content

    def upload(self, url: str, size: int) -> tuple[int, Any]:
        response = self._session.post(url, data=chunks(size))
        return response.status_code, response.content

    def download(self, url: str) -> tuple[int, Received]:
        with self._session.get(url, stream=True) as response:
            return response.status_code, Received(response.iter_content(65536))


class _AsyncClient(AsyncClient):
    def __init__(self, settings: Settings) -> None:
        self._session = _configure(niquests.AsyncSession(**_options(settings)), settings)

    async def close(self) -> None:
        await self._session.close()

    async def get(self, url: str) -> tuple[int, Any]:
        response = await self._session.get(url)
        return response.status_code, response.content

    async def post(self, url: str, body: bytes) -> tuple[int, Any]:
        response = await self._session.post(url, data=body)
        return response.status_code, response.content

    async def upload(self, url: str, size: int) -> tuple[int, Any]:
        response = await self._session.post(url, data=async_chunks(size))
        return response.status_code, response.content

    async def download(self, url: str) -> tuple[int, Received]:
        received = Received()
        response = await self._session.get(url, stream=True)
        async for chunk in await response.iter_content(65536):
            received.take(chunk)
        await response.close()
        return response.status_code, received
