"""pycurl: libcurl, with a handle for each thread."""

from __future__ import annotations

from collections.abc import Callable
from threading import local
from typing import Any

import pycurl

from benchmarks.clients import AsyncClient, Client, Received, Settings, chunks


def create(settings: Settings, package: str) -> Client | AsyncClient:
    return _Client(settings)


class _Client(Client):
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._headers = [f"{name}: {value}" for name, value in settings.headers.items()]
        self._local = local()
        self._handles: list[Any] = []

    def close(self) -> None:
        for handle in self._handles:
            handle.close()

    def _handle(self) -> Any:
        try:
            return self._local.handle
        except AttributeError:
            pass
        handle = self._local.handle = pycurl.Curl()
        self._handles.append(handle)
        milliseconds = int(self._settings.patience * 1000)
        handle.setopt(pycurl.NOSIGNAL, 1)
        handle.setopt(pycurl.CONNECTTIMEOUT_MS, milliseconds)
        handle.setopt(pycurl.TIMEOUT_MS, milliseconds)
        handle.setopt(pycurl.HTTPHEADER, [*self._headers, "Expect:"])
        handle.setopt(pycurl.FORBID_REUSE, not self._settings.keep_alive)
        handle.setopt(pycurl.PROXY, self._settings.proxy or "")
        if self._settings.http2:
            handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        if self._settings.authority is not None:
            handle.setopt(pycurl.CAINFO, self._settings.authority)
        return handle

    def _perform(self, handle: Any, url: str) -> tuple[int, Any]:
        received: list[bytes] = []
        self._receive(handle, url, received.append)
        return handle.getinfo(pycurl.RESPONSE_CODE), b"".join(received)

    def _receive(self, handle: Any, url: str, take: Callable[[bytes], object]) -> None:
        handle.setopt(pycurl.URL, url)
        handle.setopt(pycurl.WRITEFUNCTION, take)
        handle.perform()

    def get(self, url: str) -> tuple[int, Any]:
        return self._perform(self._handle(), url)

    def post(self, url: str, body: bytes) -> tuple[int, Any]:
        handle = self._handle()
        handle.setopt(pycurl.POSTFIELDS, body)
        return self._perform(handle, url)

    def upload(self, url: str, size: int) -> tuple[int, Any]:
        handle = self._handle()
        body = chunks(size)
        remaining = memoryview(b"")

        def read(wanted: int) -> bytes:
            nonlocal remaining
            if not remaining:
                remaining = memoryview(next(body, b""))
            chunk, remaining = remaining[:wanted], remaining[wanted:]
            return bytes(chunk)

        handle.setopt(pycurl.POST, 1)
        handle.setopt(pycurl.READFUNCTION, read)
        handle.setopt(pycurl.POSTFIELDSIZE_LARGE, size)
        return self._perform(handle, url)

    def download(self, url: str) -> tuple[int, Received]:
        handle = self._handle()
        received = Received()
        self._receive(handle, url, received.take)
        return handle.getinfo(pycurl.RESPONSE_CODE), received
