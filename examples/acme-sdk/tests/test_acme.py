"""The client for threads: in memory, and over sockets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from acme_sdk import Acme, AcmeError, Note, NotFound, RateLimited
from acme_server import TOKEN, AcmeServer

from httpcore2_core import ConnectionPool, MockBackend, NetworkBackend, ReadTimeout
from httpcore2_core.testing import RecordingBackend, Script, ScriptedServer, reply

URL = "https://acme.example/v1"

pytestmark = pytest.mark.httpcore2_network("loopback")


@pytest.fixture(params=["memory", "sockets"])
def acme(request: pytest.FixtureRequest, httpcore2_script: Script) -> Iterator[Acme]:
    """A client with a working server, in memory and over sockets."""
    httpcore2_script.add(AcmeServer())
    if request.param == "memory":
        yield Acme(request.getfixturevalue("httpcore2_pool"), TOKEN, url=URL)
    else:
        server: ScriptedServer = request.getfixturevalue("httpcore2_server")
        with ConnectionPool() as http:
            yield Acme(http, TOKEN, url=f"{server.url}v1")


@pytest.fixture
def scripted_acme(httpcore2_pool: ConnectionPool) -> Acme:
    """A client whose server replies what the test adds to `httpcore2_script`."""
    return Acme(httpcore2_pool, TOKEN, url=URL, timeouts={"read": 3.0})


def test_notes_are_written_read_and_deleted(acme: Acme) -> None:
    assert acme.write("buy milk") == Note(1, "buy milk")
    assert acme.note(1).text == "buy milk"
    acme.delete(1)
    with pytest.raises(NotFound, match=r"No such note \(404\)"):
        acme.note(1)


def test_all_pages_are_read(acme: Acme) -> None:
    for number in range(5):
        acme.write(f"note {number}")
    assert [note.number for note in acme.notes()] == [1, 2, 3, 4, 5]


def test_attachments_go_both_ways_in_pieces(acme: Acme) -> None:
    acme.write("with a picture")
    acme.attach(1, iter([b"pict", b"ure"]))
    with acme.attachment(1) as chunks:
        assert b"".join(chunks) == b"picture"
    with pytest.raises(NotFound), acme.attachment(2):
        pass


def test_what_acme_refuses_is_told_by_kind(scripted_acme: Acme, httpcore2_script: Script) -> None:
    httpcore2_script.add(
        reply(429, b"Slow down", {"Retry-After": "7"}),
        reply(429),
        reply(500),
        reply(401, b"Who are you?"),
    )
    with pytest.raises(RateLimited, match="Slow down") as caught:
        scripted_acme.note(1)
    assert caught.value.retry_after == 7
    with pytest.raises(RateLimited) as caught:
        scripted_acme.note(1)
    assert caught.value.retry_after == 1
    with pytest.raises(AcmeError, match=r"Acme gave no reason \(500\)"):
        scripted_acme.note(1)
    with pytest.raises(AcmeError) as refused:
        scripted_acme.delete(1)
    assert refused.value.status == 401


def test_failures_of_the_network_reach_the_caller_as_they_are(
    scripted_acme: Acme, httpcore2_script: Script
) -> None:
    httpcore2_script.add(ReadTimeout("too slow"))
    with pytest.raises(ReadTimeout, match="too slow"):
        scripted_acme.note(1)


def test_the_bytes_on_the_wire_are_those_of_the_documentation(
    scripted_acme: Acme, httpcore2_script: Script, httpcore2_backend: RecordingBackend
) -> None:
    httpcore2_script.add(reply(204))
    scripted_acme.delete(7)
    (recording,) = httpcore2_backend.recordings
    assert recording.address == ("acme.example", 443)
    assert bytes(recording.sent).splitlines() == [
        b"DELETE /v1/notes/7 HTTP/1.1",
        b"Host: acme.example",
        b"Accept: application/json",
        b"Authorization: Bearer s3cret",
        b"",
    ]


def test_a_mock_will_do_where_nothing_depends_on_the_request() -> None:
    backend: NetworkBackend = MockBackend([reply(200, b'{"id": 3, "text": "x"}')])
    with ConnectionPool(network_backend=backend) as http:
        assert Acme(http, TOKEN, url=URL).note(3) == Note(3, "x")


def test_timeouts_hold(httpcore2_server: ScriptedServer, httpcore2_script: Script) -> None:
    httpcore2_script.add(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
    with ConnectionPool() as http:
        acme = Acme(http, TOKEN, url=httpcore2_server.url, timeouts={"read": 0.01})
        with pytest.raises(ReadTimeout):
            acme.note(1)


def test_a_url_that_is_not_absolute_is_refused() -> None:
    with pytest.raises(ValueError, match="must be absolute"):
        Acme(ConnectionPool(), TOKEN, url="acme.example")


def test_it_needs_the_core_alone() -> None:
    """A test of the client passes with no distribution of httpcore2 except the core."""
    siblings = (
        "httpcore2",
        "httpcore2_asyncio",
        "httpcore2_trio",
        "httpcore2_http2",
        "httpcore2_http3",
        "anyio",
        "trio",
    )
    blocked = (
        f"import sys; sys.modules.update(dict.fromkeys({siblings!r})); sys.path[:] = {sys.path!r}"
    )
    script = f"{blocked}; import test_acme; test_acme.test_a_mock_will_do_where_nothing_depends_on_the_request()"
    subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parent, check=True)
