"""urllib3."""

from __future__ import annotations

from typing import Any

import urllib3

from benchmarks.clients import AsyncClient, Client, Received, Settings, chunks


def create(settings: Settings, package: str) -> Client | AsyncClient:
    return _Client(settings)


class _Client(Client):
    def __init__(self, settings: Settings) -> None:
        self._headers = settings.headers
        options: dict[str, Any] = {
            "maxsize": settings.connections,
            "block": True,
            "headers": settings.headers,
            "timeout": urllib3.Timeout(connect=settings.patience, read=settings.patience),
            "retries": False,
            "ca_certs": settings.authority,
        }
        self._pool: urllib3.PoolManager = (
            urllib3.PoolManager(**options)
            if settings.proxy is None
            else urllib3.ProxyManager(settings.proxy, **options)
        )

    def close(self) -> None:
        self._pool.clear()

    def get(self, url: str) -> tuple[int, Any]:
        response = self._pool.request("GET", url)
        return response.status, response.data

    def post(self, url: str, body: bytes) -> tuple[int, Any]:
        response = self._pool.request("POST", url, body=body)
        return response.status, response.data

    def upload(self, url: str, size: int) -> tuple[int, Any]:
        headers = {**self._headers, "Content-Length": str(size)}
        response = self._pool.request("POST", url, body=chunks(size), headers=headers)
        return response.status, response.data

    def download(self, url: str) -> tuple[int, Received]:
        response = self._pool.request("GET", url, preload_content=False)
        received = Received(response.stream(65536))
        response.release_conn()
        return response.status, received
