"""A closed pool leaves nothing of its requests behind: no header field, no URL, no timeout."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from benchmarks.micro.peers import Backend, HTTP2Stream, Stream

import httpcore2
from httpcore2_core._http.timeouts import Timeouts
from httpcore2_core._net.coroutines import run_blocking
from httpcore2_core._net.sync_backend import SyncBackendAdapter

LIMIT = 4242.5


def reachable() -> Iterator[object]:
    """Every object of the process that an object with references leads to."""
    seen = set()
    pending: list[object] = gc.get_objects()
    while pending:
        found = pending.pop()
        if id(found) not in seen:
            seen.add(id(found))
            yield found
            # Tuples and dicts of bytes alone are unknown to the collector.
            pending += gc.get_referents(found)


def survivors(backwards: str) -> list[object]:
    """All that holds the text, which is given backwards: it must not be found here."""
    gc.collect()
    text = backwards[::-1]
    data = text.encode()
    return [
        found
        for found in reachable()
        if (isinstance(found, str) and found is not text and text in found)
        or (isinstance(found, (bytes, bytearray)) and found is not data and data in found)
        or (isinstance(found, Timeouts) and found.read == LIMIT)
    ]


def options_of(kind: type[Stream]) -> dict[str, Any]:
    return {"http1": kind is Stream, "http2": kind is not Stream}


def request_of(backwards: str) -> dict[str, Any]:
    secret = backwards[::-1]
    return {
        "method": "GET",
        "url": f"http://user:{secret}@example.com/?key={secret}",
        "headers": {"Authorization": f"Bearer {secret}", f"X-{secret}": "1"},
        "extensions": {"timeout": {"read": LIMIT}},
    }


def send_sync(kind: type[Stream], backwards: str) -> list[httpcore2.Response]:
    backend = SyncBackendAdapter(Backend(kind))
    with httpcore2.ConnectionPool(network_backend=backend, **options_of(kind)) as pool:
        responses = [pool.request(**request_of(backwards)) for _ in range(3)]
        with pool.stream(**request_of(backwards)) as response:
            responses.append(response)
        assert survivors(backwards), "an open pool remembers its requests"
    return responses


async def send_async(kind: type[Stream], backwards: str) -> list[httpcore2.Response]:
    backend = Backend(kind)
    async with httpcore2.AsyncConnectionPool(network_backend=backend, **options_of(kind)) as pool:
        responses = [await pool.request(**request_of(backwards)) for _ in range(3)]
        async with pool.stream(**request_of(backwards)) as response:
            responses.append(response)
        assert survivors(backwards), "an open pool remembers its requests"
    return responses


def send_async_blocking(kind: type[Stream], backwards: str) -> list[httpcore2.Response]:
    return run_blocking(send_async(kind, backwards))


@pytest.mark.parametrize("send", [send_sync, send_async_blocking], ids=["sync", "async"])
@pytest.mark.parametrize("kind", [Stream, HTTP2Stream], ids=["HTTP/1.1", "HTTP/2"])
def test_nothing_of_a_request_survives_its_pool(
    send: Callable[[type[Stream], str], list[httpcore2.Response]], kind: type[Stream]
) -> None:
    backwards = uuid4().hex
    responses = send(kind, backwards)
    assert len(responses) == 4  # the caller may keep these
    assert survivors(backwards) == []
