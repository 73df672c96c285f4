"""The facts of a transfer: the line of --json, the variables of -w, and what is shown of certificates."""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from httpcore2_cli._report import (
    SCHEMA,
    format_facts,
    name_of,
    parse_certificate_time,
    tls_facts,
)
from httpcore2_cli._transfer import ConnectionFacts

from ..support.scripted_servers import refusing_port, response, scripted_server
from .conftest import BACKENDS, Recording, Run, serve


@pytest.mark.parametrize("backend", BACKENDS)
def test_json_has_the_names_of_curl(run: Run, recording: Recording, backend: str) -> None:
    recording.recorder.responses[:] = [response(b"fine\n", b"Content-Type: text/plain")]
    known = run("--backend", backend, "--json", recording.url).json
    assert known["schema"] == SCHEMA == 1
    port = recording.server.port
    expected = {
        "url": recording.url,
        "scheme": "http",
        "method": "GET",
        "http_code": 200,
        "response_code": 200,
        "http_version": "1.1",
        "content_type": "text/plain",
        "exitcode": 0,
        "errormsg": None,
        "num_connects": 1,
        "remote_ip": "127.0.0.1",
        "remote_port": port,
        "local_ip": "127.0.0.1",
        "size_download": 5,
        "size_upload": 0,
        "backend": backend,
        "reused": False,
        "tls": None,
        "failed_in": None,
    }
    assert {name: known[name] for name in expected} == expected
    times = [
        known[f"time_{name}"]
        for name in ("queue", "connect", "pretransfer", "starttransfer", "total")
    ]
    assert times == sorted(times)
    assert times[0] >= 0
    assert set(known["phases"]) >= {"queued", "TCP", "send", "wait", "download"}


def test_a_repeated_request_reuses_the_connection(run: Run, recording: Recording) -> None:
    lines = run("--json", "--repeat", "3", recording.url).output.splitlines()
    known = [json.loads(line) for line in lines]
    assert [each["reused"] for each in known] == [False, True, True]
    assert [each["num_connects"] for each in known] == [1, 0, 0]
    assert [each["time_connect"] for each in known[1:]] == [0, 0]


def test_only_the_first_body_of_repeated_requests_is_written(
    run: Run, recording: Recording
) -> None:
    assert run("--repeat", "3", recording.url).output == b"fine\n"


def test_json_and_body_go_to_different_places(
    run: Run, recording: Recording, tmp_path: Path
) -> None:
    both = run("--json", "-o", "-", recording.url)
    assert both.output == b"fine\n"
    assert json.loads(both.error)["size_download"] == 5
    file = tmp_path / "file"
    known = run("--json", "-o", file, recording.url).json
    assert known["filename_effective"] == str(file)
    assert file.read_bytes() == b"fine\n"


def test_a_failure_is_in_the_json(run: Run) -> None:
    with refusing_port() as port:
        outcome = run("--json", f"http://127.0.0.1:{port}/")
    known = outcome.json
    assert (known["exitcode"], known["http_code"], known["http_version"]) == (7, 0, "0")
    assert known["failed_in"] == "TCP"
    assert "refused" in known["errormsg"]
    assert known["num_connects"] == 0


def test_tls_is_in_the_json(run: Run, server_tls: ssl.SSLContext, ca_file: Path) -> None:
    with scripted_server(serve(response(b"")), tls=server_tls, allow_disconnect=True) as server:
        known = run("--cacert", ca_file, "--json", server.url).json
        insecure = run("-k", "--json", server.url).json
    tls = known["tls"]
    assert tls["version"].startswith("TLSv1.")
    assert tls["is_verified"]
    assert "127.0.0.1" in tls["names"]
    assert tls["days_left"] > 0
    assert known["ssl_verify_result"] == 0
    assert known["time_appconnect"] > known["time_connect"]
    assert not insecure["tls"]["is_verified"]
    assert (insecure["tls"]["days_left"], insecure["ssl_verify_result"]) == (None, None)


def test_write_out_knows_the_same_names(run: Run, recording: Recording) -> None:
    recording.recorder.responses[:] = [response(b"fine", b"X-Field: value")]
    template = r"%{http_code} %{num_connects}\t%{remote_port}%% %header{x-field}%{errormsg}\n"
    outcome = run("-w", template, recording.url)
    assert outcome.output.decode() == f"fine200 1\t{recording.server.port}% value\n"


def test_write_out_chooses_where_it_writes(run: Run, recording: Recording) -> None:
    outcome = run("-s", "-w", "a%{stderr}b%{stdout}c%{none}%{onerror}never", recording.url)
    assert outcome == (0, b"fine\nac", "b")
    warned = run("-w", "%{none}", recording.url)
    assert warned.error == "Warning: unknown --write-out variable: 'none'\n"
    with refusing_port() as port:
        failed = run("-s", "-w", "%{onerror}%{exitcode}", f"http://127.0.0.1:{port}/")
    assert failed.output == b"7"


def test_write_out_formats_each_kind_of_value() -> None:
    known = {"exitcode": 0, "a": 0.5, "b": None, "c": True, "d": {"e": 1}, "f": "text", "g": 3}

    def unknown(name: str) -> None:
        raise AssertionError(name)

    def text(template: str) -> str:
        parts = format_facts(template, known, lambda name: name, unknown)
        assert {target for target, _ in parts} == {"stdout"}
        return "".join(part for _, part in parts)

    assert text("%{a} %{b} %{c} %{d} %{f} %{g}") == '0.500000  1 {"e": 1} text 3'
    assert text(r"\r\q % %{ %{json}") == "\r" + r"\q % %{ " + json.dumps(known)


def test_the_days_of_a_certificate_are_counted() -> None:
    facts_ = ConnectionFacts(
        tls_version="TLSv1.3",
        cipher="x",
        certificate={
            "subject": ((("commonName", "a.example"),), (("organizationName", "A"),)),
            "issuer": ((("countryName", "X"),),),
            "notAfter": "Jan  5 09:34:43 2030 GMT",
        },
    )
    tls = tls_facts(facts_, datetime(2030, 1, 1, tzinfo=UTC))
    assert tls is not None
    assert (tls["subject"], tls["issuer"], tls["days_left"]) == ("a.example, A", None, 4)
    assert parse_certificate_time("Jan  5 09:34:43 2030 GMT") == datetime(
        2030, 1, 5, 9, 34, 43, tzinfo=UTC
    )
    assert name_of(()) is None


def test_the_names_of_the_documentation_are_those_of_the_code(
    run: Run, recording: Recording
) -> None:
    page = (Path(__file__).parents[2] / "docs/guide/command-line.md").read_text()
    section = page.partition("## How do I use the figures in a script?")[2].partition("\n## ")[0]
    import re

    named = {
        name
        for row in re.findall(r"^\| (`.*?) \|", section, re.M)
        for name in re.findall(r"`(\w+)`", row)
    }
    known = run("--json", recording.url).json
    assert named == set(known)
