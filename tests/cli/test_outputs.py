"""Where bodies go: the standard output, files, continued files, and not onto a terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from httpcore2_cli._failures import Failure
from httpcore2_cli._outputs import Output, OutputClosed

from ..support.scripted_servers import response, scripted_server
from .conftest import BACKENDS, Recording, Run, serve

BODY = bytes(range(256))


def partial(start: int, body: bytes = BODY) -> bytes:
    span = b"Content-Range: bytes %d-%d/%d" % (start, len(body) - 1, len(body))
    return response(body[start:], span, status=b"206 Partial Content")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_body_is_written_to_the_file_of_its_url(run: Run, tmp_path: Path, backend: str) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    with scripted_server(serve(response(b"first"), response(b"second"))) as server:
        outcome = run("--backend", backend, "-o", one, "-o", two, server.url, server.url)
    assert outcome == (0, b"", "")
    assert (one.read_bytes(), two.read_bytes()) == (b"first", b"second")


def test_a_file_is_named_after_the_url(
    run: Run, recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("-O", f"{recording.url}a/name.txt?query=/x").code == 0
    assert (tmp_path / "name.txt").read_bytes() == b"fine\n"
    outcome = run("-O", recording.url)
    assert outcome.code == 23
    assert "Hint: Give the file a name with -o." in outcome.error


def test_an_empty_body_makes_an_empty_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "file"
    with scripted_server(serve(response(b""))) as server:
        run("-o", file, server.url)
    assert file.read_bytes() == b""


def test_a_failure_before_the_response_leaves_the_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    with scripted_server(lambda peer: None) as server:
        assert run("-o", file, server.url).code != 0
    assert file.read_bytes() == b"old"


def test_a_file_that_cannot_be_written_is_23(run: Run, recording: Recording) -> None:
    outcome = run("-o", "/none/file", recording.url)
    assert outcome.code == 23
    assert "/none/file cannot be written: No such file or directory." in outcome.error


def test_a_download_that_breaks_off_says_how_much_there_is(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "file"

    def handler(peer: object) -> None:
        peer.receive_request()  # type: ignore[attr-defined]
        peer.send(response(BODY)[:-56])  # type: ignore[attr-defined]

    with scripted_server(handler) as server:
        outcome = run("-o", file, server.url)
    assert outcome.code == 18
    assert file.read_bytes() == BODY[:200]
    assert f"Hint: 200 of 256 bytes are in {file}. Continue with -C -." in outcome.error


def test_a_download_goes_on_where_the_file_ends(
    run: Run, recording: Recording, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(BODY[:200])
    recording.recorder.responses[:] = [partial(200)]
    outcome = run("-C", "-", "-o", file, recording.url)
    assert outcome == (0, b"", "")
    assert file.read_bytes() == BODY
    assert "Range: bytes=200-" in recording.recorder.lines


def test_a_download_may_go_on_at_a_given_byte(
    run: Run, recording: Recording, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(BODY[:10])
    recording.recorder.responses[:] = [partial(10)]
    assert run("-C", "10", "-o", file, recording.url).code == 0
    assert file.read_bytes() == BODY


def test_a_download_of_no_file_begins_at_the_start(
    run: Run, recording: Recording, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    assert run("-C", "-", "-o", file, recording.url).code == 0
    assert file.read_bytes() == b"fine\n"
    assert not any(line.startswith("Range") for line in recording.recorder.lines)


@pytest.mark.parametrize(
    "answer", [response(BODY), partial(100), response(b"", status=b"404 Not Found")]
)
def test_a_server_that_does_not_continue_is_33(
    run: Run, recording: Recording, tmp_path: Path, answer: bytes
) -> None:
    file = tmp_path / "file"
    file.write_bytes(BODY[:200])
    recording.recorder.responses[:] = [answer]
    outcome = run("-C", "-", "-o", file, recording.url)
    assert outcome.code == 33
    assert "The server did not continue at byte 200" in outcome.error
    assert file.read_bytes() == BODY[:200]


def test_a_file_that_is_complete_stays_as_it_is(
    run: Run, recording: Recording, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(BODY)
    unsatisfied = b"Content-Range: bytes */256"
    recording.recorder.responses[:] = [
        response(b"page", unsatisfied, status=b"416 Range Not Satisfiable")
    ]
    outcome = run("-C", "-", "-o", file, recording.url)
    assert outcome == (0, b"", f"{file} is complete: nothing was downloaded.\n")
    assert file.read_bytes() == BODY
    # Without ranges, the size of the whole body says so.
    recording.recorder.responses[:] = [response(BODY)]
    assert run("-C", "-", "-o", file, recording.url).code == 0
    assert file.read_bytes() == BODY


def test_binary_data_is_not_written_to_a_terminal() -> None:
    stream = io.BytesIO()
    output = Output(stream, None, guards_terminal=True)
    output.write(b"text, \x1b[1mbold\x1b[0m\r\n\t")
    with pytest.raises(Failure, match="binary") as caught:
        output.write(b"a\0b")
    assert caught.value.code == 23
    assert caught.value.hint is not None
    assert stream.getvalue() == b"text, \x1b[1mbold\x1b[0m\r\n\t"


def test_a_closed_standard_output_is_no_failure() -> None:
    class Closed(io.BytesIO):
        def flush(self) -> None:
            raise BrokenPipeError

    with pytest.raises(OutputClosed):
        Output(Closed(), None).write(b"a")
