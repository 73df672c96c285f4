"""pyreqwest: reqwest and hyper, written in Rust, on a thread of their own."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from pyreqwest.client import ClientBuilder, SyncClientBuilder
from pyreqwest.proxy import ProxyBuilder

from benchmarks.clients import AsyncClient, Client, Received, Settings, async_chunks, chunks


def create(settings: Settings, package: str) -> Client | AsyncClient:
    if settings.runtime == "threads":
        return _Client(settings)
    return _AsyncClient(settings)


def _configure(builder: Any, settings: Settings) -> Any:
    patience = timedelta(seconds=settings.patience)
    builder = (
        builder.default_headers(settings.headers)
        .max_connections(settings.connections if not settings.http2 else None)
        .pool_max_idle_per_host(settings.connections)
        .pool_timeout(patience)
        .connect_timeout(patience)
        .read_timeout(patience)
        .timeout(patience)
        .http2(settings.http2)
    )
    if settings.http2 and settings.authority is None:
        builder = builder.http2_prior_knowledge()
    if settings.proxy is None:
        builder = builder.no_proxy()
    else:
        builder = builder.proxy(ProxyBuilder.all(settings.proxy))
    if settings.authority is not None:
        builder = builder.add_root_certificate_pem(Path(settings.authority).read_bytes())
    return builder.build()


class _Client(Client):
    def __init__(self, settings: Settings) -> None:
        self._client = _configure(SyncClientBuilder(), settings)

    def close(self) -> None:
        self._client.close()

    def get(self, url: str) -> tuple[int, Any]:
        response = self._client.get(url).build().send()
        return response.status, response.bytes()

    def post(self, url: str, body: bytes) -> tuple[int, Any]:
        response = self._client.post(url).body_bytes(body).build().send()
        return response.status, response.bytes()

    def upload(self, url: str, size: int) -> tuple[int, Any]:
        request = self._client.post(url).header("Content-Length", str(size))
        response = request.body_stream(chunks(size)).build().send()
        return response.status, response.bytes()

    def download(self, url: str) -> tuple[int, Received]:
        received = Received()
        with self._client.get(url).build_streamed() as response:
            while (chunk := response.body_reader.read_chunk()) is not None:
                received.take(chunk)
            return response.status, received


class _AsyncClient(AsyncClient):
    def __init__(self, settings: Settings) -> None:
        self._client = _configure(ClientBuilder(), settings)

    async def close(self) -> None:
        await self._client.close()

    async def get(self, url: str) -> tuple[int, Any]:
        response = await self._client.get(url).build().send()
        return response.status, await response.bytes()

    async def post(self, url: str, body: bytes) -> tuple[int, Any]:
        response = await self._client.post(url).body_bytes(body).build().send()
        return response.status, await response.bytes()

    async def upload(self, url: str, size: int) -> tuple[int, Any]:
        request = self._client.post(url).header("Content-Length", str(size))
        response = await request.body_stream(async_chunks(size)).build().send()
        return response.status, await response.bytes()

    async def download(self, url: str) -> tuple[int, Received]:
        received = Received()
        async with self._client.get(url).build_streamed() as response:
            while (chunk := await response.body_reader.read_chunk()) is not None:
                received.take(chunk)
            return response.status, received
