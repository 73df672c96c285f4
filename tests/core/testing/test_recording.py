"""Backends that record the bytes of each connection, over a scripted backend and over the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import httpcore2
from httpcore2_core.testing import (
    AsyncRecordingBackend,
    AsyncScriptedBackend,
    Recording,
    RecordingBackend,
    Script,
    ScriptedBackend,
    ScriptedServer,
    reply,
)

from ...support.runtimes import TestedAsyncRuntime, TestedRuntime
from ...support.sync_adapters import AsyncAdapterBackend

URL = "http://www.example.com/"


def scripted(runtime: TestedRuntime, script: Script) -> Any:
    if isinstance(runtime, TestedAsyncRuntime):
        return AsyncScriptedBackend(script)
    return AsyncAdapterBackend(ScriptedBackend(script))


def recording(runtime: TestedRuntime, backend: Any) -> tuple[Any, list[Recording]]:
    """Return a backend that records another one, and its list of recordings."""
    if isinstance(runtime, TestedAsyncRuntime):
        async_recorder = AsyncRecordingBackend(backend)
        return async_recorder, async_recorder.recordings
    recorder = RecordingBackend(backend.wrapped)
    return AsyncAdapterBackend(recorder), recorder.recordings


def test_the_bytes_of_a_connection_are_recorded(runtime: TestedRuntime) -> None:
    script = Script(reply(200, b"fine"), reply(204))
    backend, recordings = recording(runtime, scripted(runtime, script))

    async def scenario() -> None:
        async with runtime.pool(network_backend=backend) as pool:
            await pool.request("POST", "https://www.example.com/", content=b"abc")
            await pool.request("GET", "https://www.example.com/")
            assert not recordings[0].is_closed

    runtime.run(scenario)
    (only,) = recordings
    assert only == Recording(
        ("www.example.com", 443),
        "www.example.com",
        bytearray(
            b"POST / HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 3\r\n\r\nabc"
            b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n"
        ),
        bytearray(reply(200, b"fine") + reply(204)),
        is_closed=True,
    )


def test_a_real_network_is_recorded(runtime: TestedRuntime, tmp_path: Path) -> None:
    backend, recordings = recording(runtime, runtime.backend())

    async def scenario() -> None:
        async with runtime.pool(network_backend=backend) as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"
        await backend.sleep(0)
        with pytest.raises(httpcore2.ConnectError):
            await backend.connect_unix_socket(str(tmp_path / "nowhere"))

    with ScriptedServer(Script(reply(200, b"fine"))) as server:
        runtime.run(scenario)
    (only,) = recordings
    assert only.sent.startswith(b"GET / HTTP/1.1\r\n")
    assert only.received.endswith(b"fine")


def test_a_unix_socket_is_recorded_by_its_path(runtime: TestedRuntime) -> None:
    backend, recordings = recording(runtime, scripted(runtime, Script(reply())))

    async def scenario() -> None:
        async with runtime.pool(network_backend=backend, uds="/path") as pool:
            await pool.request("GET", URL)

    runtime.run(scenario)
    assert [only.address for only in recordings] == ["/path"]
