"""`vcrpy`, which records and replays requests."""

from __future__ import annotations

from pathlib import Path

import pytest
import vcr
from vcr.errors import CannotOverwriteExistingCassetteException

from tests.support.scripted_servers import Server

from .conftest import Send, client_senders

each_way = pytest.mark.parametrize(
    "send",
    [
        pytest.param(send, id=name)
        for library in ("httpx", "httpx2")
        for name, send in client_senders(library).items()
    ],
)


@each_way
def test_a_recorded_request_is_replayed_without_network(
    send: Send, server: Server, tmp_path: Path
) -> None:
    cassette = str(tmp_path / "cassette.yaml")
    for count in (0, 1):
        with vcr.use_cassette(cassette) as played:
            assert send(server.url) == (200, b"from the server")
        assert (server.accepted, played.play_count) == (1, count)


@each_way
def test_an_unrecorded_request_raises_an_error(send: Send, server: Server, tmp_path: Path) -> None:
    with (
        vcr.use_cassette(str(tmp_path / "cassette.yaml"), record_mode="none"),
        pytest.raises(CannotOverwriteExistingCassetteException),
    ):
        send(server.url)
    assert server.accepted == 0
