"""http.client, with a connection for each thread. It has one timeout for all operations."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import local
from typing import Any
from urllib.parse import urlsplit

from benchmarks.clients import AsyncClient, Client, Received, Settings, chunks


def create(settings: Settings, package: str) -> Client | AsyncClient:
    return _Client(settings)


class _Client(Client):
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._headers = settings.headers
        self._local = local()
        self._connections: list[http.client.HTTPConnection] = []
        self._context: ssl.SSLContext | None = None
        if settings.authority is not None:
            self._context = ssl.create_default_context(cafile=settings.authority)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    def _connection(self, scheme: str, authority: str) -> http.client.HTTPConnection:
        connections: dict[tuple[str, str], http.client.HTTPConnection]
        connections = self._local.__dict__.setdefault("connections", {})
        connection = connections.get((scheme, authority))
        if connection is None:
            patience = self._settings.patience
            if scheme == "https":
                connection = http.client.HTTPSConnection(
                    authority, timeout=patience, context=self._context
                )
            else:
                connection = http.client.HTTPConnection(authority, timeout=patience)
            connections[scheme, authority] = connection
            self._connections.append(connection)
        return connection

    @contextmanager
    def _response(
        self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        parts = urlsplit(url)
        connection = self._connection(parts.scheme, parts.netloc)
        connection.request(method, parts.path, body=body, headers=headers or self._headers)
        with connection.getresponse() as response:
            yield response

    def get(self, url: str) -> tuple[int, Any]:
        with self._response("GET", url) as response:
            return response.status, response.read()

    def post(self, url: str, body: bytes) -> tuple[int, Any]:
        with self._response("POST", url, body) as response:
            return response.status, response.read()

    def upload(self, url: str, size: int) -> tuple[int, Any]:
        headers = {**self._headers, "Content-Length": str(size)}
        with self._response("POST", url, chunks(size), headers) as response:
            return response.status, response.read()

    def download(self, url: str) -> tuple[int, Received]:
        received = Received()
        with self._response("GET", url) as response:
            while chunk := response.read(65536):
                received.take(chunk)
            return response.status, received
