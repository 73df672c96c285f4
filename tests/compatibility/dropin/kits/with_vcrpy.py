"""`vcrpy`, which records what goes over the network, and plays it back."""

from __future__ import annotations

from pathlib import Path

import pytest
import vcr
from vcr.errors import CannotOverwriteExistingCassetteException

from tests.support.scripted_servers import Server

from .conftest import Send, client_ways

each_way = pytest.mark.parametrize(
    "send",
    [
        pytest.param(send, id=name)
        for library in ("httpx", "httpx2")
        for name, send in client_ways(library).items()
    ],
)


@each_way
def test_what_was_recorded_is_played_back_and_sends_nothing(
    send: Send, server: Server, tmp_path: Path
) -> None:
    cassette = str(tmp_path / "cassette.yaml")
    for count in (0, 1):
        with vcr.use_cassette(cassette) as played:
            assert send(server.url) == (200, b"from the server")
        assert (server.accepted, played.play_count) == (1, count)


@each_way
def test_a_request_that_was_not_recorded_is_an_error(
    send: Send, server: Server, tmp_path: Path
) -> None:
    with (
        vcr.use_cassette(str(tmp_path / "cassette.yaml"), record_mode="none"),
        pytest.raises(CannotOverwriteExistingCassetteException),
    ):
        send(server.url)
    assert server.accepted == 0
