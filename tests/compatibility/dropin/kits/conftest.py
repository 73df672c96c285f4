"""A server that must receive no mocked request, and functions that send one."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trio

import httpcore2
from tests.support.scripted_servers import Server, canned_responses, response, scripted_server

FINE = response(b"from the server")

Send = Callable[[str], tuple[int, bytes]]
"""Sends a GET request, and returns the status and the body."""


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a server; `Server.accepted` is the number of its connections."""
    with scripted_server(canned_responses([FINE] * 9), allow_disconnect=True) as server:
        yield server


def _client(library: str) -> Send:
    def send(url: str) -> tuple[int, bytes]:
        with importlib.import_module(library).Client(trust_env=False) as client:
            reply = client.get(url)
        return reply.status_code, reply.content

    return send


def _async_client(library: str, run: Callable[[Any], Any]) -> Send:
    async def main(url: str) -> tuple[int, bytes]:
        async with importlib.import_module(library).AsyncClient(trust_env=False) as client:
            reply = await client.get(url)
        return reply.status_code, reply.content

    return lambda url: run(lambda: main(url))


def _pool_request(url: str) -> tuple[int, bytes]:
    with httpcore2.ConnectionPool() as pool:
        reply = pool.request("GET", url)
    return reply.status, reply.content


def _pool_stream(url: str) -> tuple[int, bytes]:
    with httpcore2.ConnectionPool() as pool, pool.stream("GET", url) as reply:
        return reply.status, reply.read()


def _request(url: str) -> tuple[int, bytes]:
    reply = httpcore2.request("GET", url)
    return reply.status, reply.content


def _stream(url: str) -> tuple[int, bytes]:
    with httpcore2.stream("GET", url) as reply:
        return reply.status, reply.read()


def _async_pool(run: Callable[[Any], Any]) -> Send:
    async def main(url: str) -> tuple[int, bytes]:
        async with httpcore2.AsyncConnectionPool() as pool:
            reply = await pool.request("GET", url)
            async with pool.stream("GET", url) as streamed:
                assert await streamed.aread() == reply.content
        return reply.status, reply.content

    return lambda url: run(lambda: main(url))


def _on_asyncio(main: Callable[[], Any]) -> Any:
    return asyncio.run(main())


def client_senders(library: str) -> dict[str, Send]:
    """Return functions that send a request with a client library, by name."""
    return {
        library: _client(library),
        f"{library} on asyncio": _async_client(library, _on_asyncio),
        f"{library} on trio": _async_client(library, trio.run),
    }


TRANSPORT_SENDERS: dict[str, Send] = {
    "pool.request": _pool_request,
    "pool.stream": _pool_stream,
    "request": _request,
    "stream": _stream,
    "pool on asyncio": _async_pool(_on_asyncio),
    "pool on trio": _async_pool(trio.run),
}
"""Functions that send a request with this transport, by name."""
