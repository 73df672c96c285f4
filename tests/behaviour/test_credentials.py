"""A closed pool leaves nothing of its requests behind: no header field, no URL, no timeout."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from benchmarks.micro.peers import Backend, HTTP2Stream, Stream

import httpcore2
from httpcore2_core._http.timeouts import Timeouts
from httpcore2_core._net.coroutines import run_blocking
from httpcore2_core._net.sync_backend import SyncBackendAdapter

ROOT = Path(__file__).parents[2]
LIMIT = 4242.5


def holds(found: object, text: str, data: bytes) -> bool:
    """Whether an object has a part of the request."""
    if isinstance(found, str):
        return found is not text and text in found
    if isinstance(found, (bytes, bytearray)):
        return found is not data and data in found
    return isinstance(found, Timeouts) and found.read == LIMIT


def survivors(backwards: str) -> list[object]:
    """Return all objects of the process that have the text, which is given backwards: its own copies don't count."""
    gc.collect()
    text = backwards[::-1]
    data = text.encode()
    found: list[object] = []
    objects = gc.get_objects()
    seen = set(map(id, objects))
    seen |= {id(each) for each in (objects, seen, found)}
    # Tuples and dictionaries of bytes alone are not tracked by the collector, so they are entered, too.
    while objects:
        holder = objects.pop()
        if holds(holder, text, data):
            found.append(holder)
        for each in gc.get_referents(holder):
            if id(each) not in seen:
                seen.add(id(each))
                if isinstance(each, (tuple, dict, str, bytes, bytearray)) or gc.is_tracked(each):
                    objects.append(each)
    return found


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


def send_sync(kind: type[Stream], backwards: str) -> list[object]:
    backend = SyncBackendAdapter(Backend(kind))
    with httpcore2.ConnectionPool(network_backend=backend, **options_of(kind)) as pool:
        responses = [pool.request(**request_of(backwards)) for _ in range(3)]
        with pool.stream(**request_of(backwards)) as response:
            responses.append(response)
        assert survivors(backwards), "an open pool remembers its requests"
    return [pool, *responses]


async def send_async(kind: type[Stream], backwards: str) -> list[object]:
    backend = Backend(kind)
    async with httpcore2.AsyncConnectionPool(network_backend=backend, **options_of(kind)) as pool:
        responses = [await pool.request(**request_of(backwards)) for _ in range(3)]
        async with pool.stream(**request_of(backwards)) as response:
            responses.append(response)
        assert survivors(backwards), "an open pool remembers its requests"
    return [pool, *responses]


def send_async_blocking(kind: type[Stream], backwards: str) -> list[object]:
    return run_blocking(send_async(kind, backwards))


def check(send: Callable[[type[Stream], str], list[object]], kind: type[Stream]) -> None:
    backwards = uuid4().hex
    kept = send(kind, backwards)  # the closed pool, and its responses
    assert len(kept) == 5
    assert survivors(backwards) == []


@pytest.mark.parametrize("send", [send_sync, send_async_blocking], ids=["sync", "async"])
@pytest.mark.parametrize("kind", [Stream, HTTP2Stream], ids=["HTTP/1.1", "HTTP/2"])
def test_nothing_of_a_request_survives_its_pool(
    send: Callable[[type[Stream], str], list[object]], kind: type[Stream]
) -> None:
    # In a process of its own: in this one the search enters what other tests have left. After a test of
    # multiprocessing it found new objects without end on Python 3.12.
    names = f"credentials.{send.__name__}, credentials.{kind.__name__}"
    script = (
        f"from tests.behaviour import test_credentials as credentials; credentials.check({names})"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60, check=True)
