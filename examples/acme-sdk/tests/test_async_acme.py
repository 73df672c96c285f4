"""The client for event loops: asyncio, uvloop and trio, each with its own backend and with `AnyIOBackend`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from acme_sdk import AsyncAcme, Note, NotFound, RateLimited
from acme_server import TOKEN, AcmeServer

from httpcore2_asyncio import AnyIOBackend
from httpcore2_core import AsyncConnectionPool, ConnectError
from httpcore2_core.testing import AsyncRecordingBackend, Script, ScriptedServer, reply

URL = "https://acme.example/v1"

pytestmark = [pytest.mark.anyio, pytest.mark.httpcore2_network("loopback")]


LOOPS: dict[str, tuple[str, dict[str, bool]]] = {
    "asyncio": ("asyncio", {}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}


@pytest.fixture(params=LOOPS.values(), ids=list(LOOPS))
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["memory", "sockets", "sockets of anyio"])
async def acme(
    request: pytest.FixtureRequest, httpcore2_script: Script
) -> AsyncIterator[AsyncAcme]:
    """A client with a working server, in memory and over sockets."""
    httpcore2_script.add(AcmeServer())
    if request.param == "memory":
        yield AsyncAcme(request.getfixturevalue("httpcore2_async_pool"), TOKEN, url=URL)
    else:
        server: ScriptedServer = request.getfixturevalue("httpcore2_server")
        backend = AnyIOBackend() if request.param == "sockets of anyio" else None
        async with AsyncConnectionPool(network_backend=backend) as http:
            yield AsyncAcme(http, TOKEN, url=f"{server.url}v1")


@pytest.fixture
def scripted_acme(httpcore2_async_pool: AsyncConnectionPool) -> AsyncAcme:
    """A client whose server replies what the test adds to `httpcore2_script`."""
    return AsyncAcme(httpcore2_async_pool, TOKEN, url=URL)


async def test_notes_are_written_read_and_deleted(acme: AsyncAcme) -> None:
    assert await acme.write("buy milk") == Note(1, "buy milk")
    assert (await acme.note(1)).text == "buy milk"
    await acme.delete(1)
    with pytest.raises(NotFound, match=r"No such note \(404\)"):
        await acme.note(1)


async def test_all_pages_are_read(acme: AsyncAcme) -> None:
    for number in range(5):
        await acme.write(f"note {number}")
    assert [note.number async for note in acme.notes()] == [1, 2, 3, 4, 5]


async def test_attachments_go_both_ways_in_pieces(acme: AsyncAcme) -> None:
    async def picture() -> AsyncIterator[bytes]:
        yield b"pict"
        yield b"ure"

    await acme.write("with a picture")
    await acme.attach(1, picture())
    async with acme.attachment(1) as chunks:
        assert b"".join([chunk async for chunk in chunks]) == b"picture"
    with pytest.raises(NotFound):
        async with acme.attachment(2):
            pass


async def test_what_acme_refuses_is_told_by_kind(
    scripted_acme: AsyncAcme, httpcore2_script: Script
) -> None:
    httpcore2_script.add(reply(429, b"Slow down", {"Retry-After": "7"}))
    with pytest.raises(RateLimited, match="Slow down") as caught:
        await scripted_acme.note(1)
    assert caught.value.retry_after == 7


async def test_failures_of_the_network_reach_the_caller_as_they_are() -> None:
    async with AsyncConnectionPool() as http:
        with pytest.raises(ConnectError):
            await AsyncAcme(http, TOKEN, url="http://127.0.0.1:1/").note(1)


async def test_the_bytes_on_the_wire_are_those_of_the_documentation(
    scripted_acme: AsyncAcme,
    httpcore2_script: Script,
    httpcore2_async_backend: AsyncRecordingBackend,
) -> None:
    httpcore2_script.add(reply(200, b'{"id": 3, "text": "x"}'))
    assert await scripted_acme.write("x") == Note(3, "x")
    (recording,) = httpcore2_async_backend.recordings
    assert recording.sent.startswith(b"POST /v1/notes HTTP/1.1\r\nHost: acme.example\r\n")
    assert recording.sent.endswith(b'Content-Length: 13\r\n\r\n{"text": "x"}')
