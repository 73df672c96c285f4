"""The requests that the options make, as a server receives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..support.scripted_servers import response
from .conftest import BACKENDS, Recording, Run


def test_a_request_without_options_is_a_get_with_three_fields(
    run: Run, recording: Recording
) -> None:
    outcome = run(recording.url)
    assert outcome == (0, b"fine\n", "")
    first, host, agent, accept = recording.recorder.lines
    assert first == "GET / HTTP/1.1"
    assert host == f"Host: 127.0.0.1:{recording.server.port}"
    assert agent.startswith("User-Agent: httpcore2/")
    assert accept == "Accept: */*"


def test_a_url_without_a_scheme_is_an_http_url(run: Run, recording: Recording) -> None:
    assert run(f"127.0.0.1:{recording.server.port}/a?b=c").output == b"fine\n"
    assert recording.recorder.lines[0] == "GET /a?b=c HTTP/1.1"


@pytest.mark.parametrize("backend", BACKENDS)
def test_several_urls_are_requested_on_one_connection(
    run: Run, recording: Recording, backend: str
) -> None:
    outcome = run("--backend", backend, recording.url, f"{recording.url}second")
    assert outcome == (0, b"fine\nfine\n", "")
    assert [head.split()[1] for head, _ in recording.recorder.requests] == [b"/", b"/second"]
    assert recording.server.accepted == 1


def test_the_method_is_that_of_the_option(run: Run, recording: Recording) -> None:
    run("-X", "DELETE", recording.url)
    assert recording.recorder.lines[0] == "DELETE / HTTP/1.1"


def test_fields_replace_remove_and_add(run: Run, recording: Recording, tmp_path: Path) -> None:
    fields = tmp_path / "fields"
    fields.write_text("X-From-File: 1\n\nX-Other: 2\n")
    run(
        *("-H", "User-Agent:", "-H", "accept: text/html", "-H", "X-Empty;", "-H", f"@{fields}"),
        *("-H", "Host: other.example", recording.url),
    )
    assert recording.recorder.lines[1:] == [
        "Host: other.example",
        "accept: text/html",
        "X-Empty: ",
        "X-From-File: 1",
        "X-Other: 2",
    ]


def test_data_is_posted_as_a_form(run: Run, recording: Recording, tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(b"b=\r\n2\0\n")
    run("-d", "a=1", "-d", f"@{file}", "--data-binary", f"@{file}", recording.url)
    ((head, body),) = recording.recorder.requests
    assert head.startswith(b"POST / HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/x-www-form-urlencoded\r\n" in head
    assert body == b"a=1&b=2&b=\r\n2\0\n"


def test_data_may_come_from_the_standard_input(run: Run, recording: Recording) -> None:
    run("--data-binary", "@-", "-X", "PATCH", recording.url, data=b"in\nput")
    ((head, body),) = recording.recorder.requests
    assert head.startswith(b"PATCH / ")
    assert body == b"in\nput"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_is_put_with_its_size(
    run: Run, recording: Recording, tmp_path: Path, backend: str
) -> None:
    file = tmp_path / "a file.bin"
    file.write_bytes(bytes(200_000))
    outcome = run("--backend", backend, "-T", file, "--json", f"{recording.url}up/")
    assert outcome.json["size_upload"] == 200_000
    ((head, body),) = recording.recorder.requests
    # The name is appended, since the URL ends with a slash.
    assert head.startswith(b"PUT /up/a%20file.bin HTTP/1.1\r\n")
    assert b"\r\nContent-Length: 200000\r\n" in head
    assert body == bytes(200_000)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_standard_input_is_put_in_chunks(run: Run, recording: Recording, backend: str) -> None:
    run("--backend", backend, "-T", "-", f"{recording.url}x", data=b"streamed")
    ((head, body),) = recording.recorder.requests
    assert head.startswith(b"PUT /x ")
    assert b"\r\nTransfer-Encoding: chunked\r\n" in head
    assert body == b"8\r\nstreamed\r\n0\r\n\r\n"


def test_a_head_is_written_as_it_was_received(run: Run, recording: Recording) -> None:
    recording.recorder.responses[:] = [b"HTTP/1.1 200 Fine\r\nContent-Length: 7\r\nX: y\r\n\r\n"]
    outcome = run("-I", recording.url)
    assert outcome.output == b"HTTP/1.1 200 Fine\r\nContent-Length: 7\r\nX: y\r\n\r\n"
    assert recording.recorder.lines[0] == "HEAD / HTTP/1.1"


def test_include_writes_the_head_before_the_body(run: Run, recording: Recording) -> None:
    recording.recorder.responses[:] = [response(b"body", b"X: y")]
    assert run("-i", recording.url).output == response(b"body", b"X: y")


def test_a_host_that_cannot_be_sent_is_a_malformed_url(run: Run) -> None:
    assert run("http://a<b/").code == 3


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        ("ftp://example.com/", 1, "The scheme 'ftp' is not supported"),
        ("http://", 3, "The URL has no host"),
        ("http://a:b/", 3, "The URL is malformed"),
        ("http://bücher.example/", 3, "hosts in punycode"),
        ("http://127.0.0.1/a b", 3, "percent-encoding"),
        ("http://user:word@127.0.0.1/", 2, "Credentials in the URL are not sent"),
    ],
)
def test_a_faulty_url_is_refused(run: Run, url: str, code: int, message: str) -> None:
    outcome = run(url)
    assert (outcome.code, outcome.output) == (code, b"")
    assert message in outcome.error
    assert "word" not in outcome.error


def test_a_field_that_is_none_is_refused(run: Run) -> None:
    outcome = run("-H", "token", "http://127.0.0.1/")
    assert outcome.code == 2
    assert "Hint: Write 'Name: value'" in outcome.error


def test_a_file_to_upload_that_is_missing_is_named(run: Run, tmp_path: Path) -> None:
    outcome = run("-T", tmp_path / "none", "http://127.0.0.1/")
    assert outcome.code == 26
    assert f"{tmp_path}/none cannot be read: No such file or directory." in outcome.error


def test_a_length_of_the_user_may_be_wrong(run: Run, recording: Recording) -> None:
    outcome = run("-H", "Content-Length: many", "-d", "a", recording.url)
    assert outcome.code == 2
    assert not recording.recorder.requests


def test_an_invalid_request_is_not_sent(run: Run, recording: Recording) -> None:
    outcome = run("-X", "G T", recording.url)
    assert outcome.code == 2
    assert "Illegal method characters" in outcome.error
    assert not recording.recorder.requests
