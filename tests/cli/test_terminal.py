"""What a user sees: the command in a pseudo-terminal."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..support.scripted_servers import Peer, Server, response, scripted_server
from .conftest import BACKENDS, Recording, serve
from .terminal import CTRL_C, terminal

pytestmark = pytest.mark.usefixtures("no_leaks")


@contextmanager
def half_a_body(
    length: int | None, go_on: threading.Event, size: int = 400_000
) -> Iterator[Server]:
    """Run a server that sends half of a body, and the other half when it is told to."""

    def handler(peer: Peer) -> None:
        peer.receive_request()
        field = b"" if length is None else b"Content-Length: %d\r\n" % length
        peer.send(b"HTTP/1.1 200 OK\r\n" + field + b"\r\n" + bytes(size // 2))
        assert go_on.wait(10)
        peer.send(bytes(size // 2))

    with scripted_server(handler, allow_disconnect=True) as server:
        yield server


def test_a_terminal_shows_the_body_and_the_waterfall(recording: Recording) -> None:
    with terminal(recording.url) as screen:
        assert screen.finish() == 0
    body, title, *facts = screen.plain.splitlines()
    assert body == "fine"
    assert title == f"GET {recording.url}"
    assert facts[0] == "  status    200 OK"
    assert facts[1] == "  protocol  HTTP/1.1, new connection"
    port = recording.server.port
    assert re.fullmatch(rf"  addresses 127\.0\.0\.1:\d+ → 127\.0\.0\.1:{port}", facts[2])
    assert facts[3].startswith("  body      5 bytes, ")
    phases = facts[4:]
    assert [line.split()[0] for line in phases] == [
        "queued", "TCP", "send", "wait", "download", "total",
    ]  # fmt: skip
    assert all(re.match(r"\w+ +[\d,.]+ ms [ █▉▊▋▌▍▎▏]+$", line) for line in phases[:-1])
    assert "\x1b[" in screen.text


def test_a_body_without_a_line_end_is_followed_by_one() -> None:
    with scripted_server(serve(response(b"no end"))) as server, terminal(server.url) as screen:
        assert screen.finish() == 0
    assert screen.plain.startswith("no end\nGET ")


def test_reuse_is_shown_for_repeated_requests(recording: Recording) -> None:
    with terminal("--repeat", "3", recording.url) as screen:
        assert screen.finish() == 0
    assert screen.plain.count("new connection\n") == 1
    assert screen.plain.count("reused connection\n") == 2
    last = screen.plain.splitlines()[-1]
    assert re.match(r"new [\d,.]+ ms, reused [\d,.]+ ms \(median of 2\): reuse saves ", last)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_plain_terminal_gets_ascii_without_styles(
    recording: Recording, environment: dict[str, str], tmp_path: Path
) -> None:
    with terminal(recording.url, environment=environment) as screen:
        assert screen.finish() == 0
    assert screen.text.isascii() and "\x1b" not in screen.text
    assert " -> 127.0.0.1:" in screen.text
    assert re.search(r"^wait +[\d.]+ ms +#+$", screen.text, re.M)


@pytest.mark.parametrize("columns", [20, 34, 50, 200])
def test_no_line_is_wider_than_the_window(recording: Recording, columns: int) -> None:
    url = f"{recording.url}{'long/' * 50}"
    with terminal(url, columns=columns) as screen:
        assert screen.finish() == 0
    lines = screen.plain.splitlines()[1:]
    assert max(map(len, lines)) <= columns
    has_bars = any("█" in line or "▏" in line for line in lines)
    assert has_bars is (columns >= 34)
    assert ("…" in lines[0]) is (columns < 200 or len(url) > 200)


def test_binary_data_is_kept_from_a_terminal() -> None:
    with scripted_server(serve(response(b"a\0b"))) as server:
        with terminal(server.url) as screen:
            assert screen.finish() == 23
        assert "\0" not in screen.text
        assert "which could disturb the terminal" in screen.text
        with terminal("-s", "-o", "-", server.url) as screen:
            assert screen.finish() == 0
        assert screen.text == "a\0b"


@pytest.mark.parametrize("hidden", ["-s", "--json"])
def test_nothing_is_drawn_if_the_figures_go_elsewhere(recording: Recording, hidden: str) -> None:
    with terminal(hidden, recording.url) as screen:
        assert screen.finish() == 0
    assert "download " not in screen.plain


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_download_shows_how_it_goes_on(tmp_path: Path, backend: str) -> None:
    file, go_on = tmp_path / "file", threading.Event()
    with (
        half_a_body(400_000, go_on) as server,
        terminal("--backend", backend, "-o", file, server.url) as screen,
    ):
        screen.wait_for(r"200\.0/400\.0 kB")
        go_on.set()
        assert screen.finish() == 0
    assert "400.0/400.0 kB" in screen.plain
    assert re.search(r"\d [kMG]?B/s", screen.plain)
    assert file.stat().st_size == 400_000


def test_a_download_of_unknown_length_has_a_spinner(tmp_path: Path) -> None:
    file, go_on = tmp_path / "file", threading.Event()
    with (
        half_a_body(None, go_on) as server,
        terminal("-o", file, server.url, environment={"NO_COLOR": "1"}) as screen,
    ):
        screen.wait_for(r"[-\\|/] .*file 200\.0/\? kB")
        go_on.set()
        assert screen.finish() == 0
    assert "━" not in screen.text


def test_the_standard_output_may_be_a_file_of_the_shell(tmp_path: Path) -> None:
    go_on = threading.Event()
    go_on.set()
    with (
        half_a_body(400_000, go_on) as server,
        (tmp_path / "file").open("wb") as file,
        terminal(server.url, stdout=file.fileno()) as screen,
    ):
        assert screen.finish() == 0
    assert "standard output" in screen.plain
    assert "400.0/400.0 kB" in screen.plain


def test_an_upload_shows_how_it_goes_on(recording: Recording, tmp_path: Path) -> None:
    file = tmp_path / "up.bin"
    file.write_bytes(bytes(300_000))
    with terminal("-T", file, recording.url) as screen:
        assert screen.finish() == 0
    assert "300.0/300.0 kB" in screen.plain
    assert len(recording.recorder.requests[0][1]) == 300_000


def test_no_progress_is_shown_with_silent(tmp_path: Path) -> None:
    go_on = threading.Event()
    go_on.set()
    with (
        half_a_body(400_000, go_on) as server,
        terminal("-s", "-o", tmp_path / "file", server.url) as screen,
    ):
        assert screen.finish() == 0
    assert screen.text == ""


@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_keeps_the_partial_file(tmp_path: Path, backend: str) -> None:
    file, go_on = tmp_path / "file", threading.Event()
    with (
        half_a_body(400_000, go_on) as server,
        terminal("--backend", backend, "-o", file, server.url, columns=200) as screen,
    ):
        screen.wait_for(r"200\.0/400\.0 kB")
        screen.press(CTRL_C)
        assert screen.finish() == 130
        go_on.set()
    assert file.read_bytes() == bytes(200_000)
    assert f"Interrupted. 200,000 of 400,000 bytes are in {file}." in screen.plain.replace(
        "\n", " "
    )
    assert "Traceback" not in screen.text


def test_a_closed_pipe_is_silent_in_a_terminal() -> None:
    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        peer.send_endlessly(b"many bytes\n", 100_000_000)

    reader, writer = os.pipe()
    with (
        scripted_server(handler, allow_disconnect=True) as server,
        terminal(server.url, stdout=writer) as screen,
    ):
        os.close(writer)
        assert os.read(reader, 11) == b"many bytes\n"
        os.close(reader)
        assert screen.finish() == 23
    assert screen.text == ""
