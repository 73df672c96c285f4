"""The command line itself: usage, version, completion, and the ways to start it."""

from __future__ import annotations

import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import httpcore2_cli
from httpcore2_cli._version import version_text

from ..support import programs
from .conftest import BACKENDS, Run

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "No URL was given"),
        (["-L", "http://a/"], "Redirects are not followed: this is a transport."),
        (["--compressed", "http://a/"], "Content is not decoded: this is a transport."),
        (["-d", "a", "-I", "http://a/"], "Only one of -d or --data-binary, -T and -I"),
        (["--key", "k", "http://a/"], "--key needs --cert"),
        (["-4", "-6", "http://a/"], "Only one of -4 and -6"),
        (["--http1.1", "--http2", "http://a/"], "Only one of --http1.1 and --http2"),
        (["--http1.1", "--http3", "http://a/"], "Only one of --http1.1 and --http3"),
        (["--http3-only", "--http2", "http://a/"], "--http3-only excludes the options"),
        (["-m", "0", "http://a/"], "0.0 is not in the range x>0"),
        (["--resolve", "a", "http://a/"], "HOST:PORT:ADDRESS[,ADDRESS]..., but got 'a'"),
        (["-C", "x", "http://a/"], "a number of bytes, but got 'x'"),
        (["-H", "@/none", "http://a/"], "/none cannot be read: No such file or directory."),
        (["-n", "5", "http://a/"], "-n, -c, -D and --yes need --bench."),
        (["--yes", "http://a/"], "-n, -c, -D and --yes need --bench."),
        (["--bench", "http://a/", "http://b/"], "--bench needs exactly one URL."),
        (["--bench", "-T", "-", "http://a/"], "cannot send the standard input more than once"),
        (["--bench", "-m", "1.5", "http://a/"], "-m must be a whole number"),
        (["--bench", "-m", "20", "-c", "51", "http://a/"], "-c times -m at most 1000"),
        (["--bench", "-n", "1000001", "http://a/"], "1000001 is not in the range"),
        (["--bench", "-H", "x", "http://127.0.0.1/"], "-H 'x' is not a header field"),
        (["--unknown", "http://a/"], "No such option"),
        (["-C", "-", "http://a/"], "-C needs a file: add -o FILE or -O."),
    ],
)
def test_a_faulty_command_line_is_exit_code_2(run: Run, arguments: list[str], message: str) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert outcome.output == b""
    assert message in outcome.error.replace("\n", " ")


def test_the_version_lists_what_is_installed(run: Run) -> None:
    outcome = run("-V")
    assert outcome.code == 0
    assert outcome.output.decode() == f"{version_text(find_spec)}\n"
    assert (
        "Features: anyio asyncio HTTP2 HTTP3 SOCKS4 SOCKS5 threads trio UnixSockets"
        in version_text(find_spec)
    )
    assert version_text(lambda name: None).endswith("Features: SOCKS4 threads UnixSockets")


def test_the_function_and_the_module_run_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        httpcore2_cli.main(["-V"])
    assert exit_.value.code == 0
    by_function = capsys.readouterr().out
    for module in ("httpcore2_cli", "httpcore2"):
        monkeypatch.setattr("sys.argv", [module, "-V"])
        with pytest.raises(SystemExit) as exit_:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        assert exit_.value.code == 0
        assert capsys.readouterr().out == by_function


def test_the_front_door_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "httpcore2_cli", None)
    with pytest.raises(SystemExit) as exit_:
        runpy.run_module("httpcore2", run_name="__main__", alter_sys=True)
    assert exit_.value.code == 2
    assert capsys.readouterr().err == (
        "python -m httpcore2 needs a distribution that is not installed. "
        "Run: pip install 'httpcore2[cli]'\n"
    )


def test_the_front_door_does_not_run_the_command_when_it_is_imported() -> None:
    runpy.run_module("httpcore2.__main__", run_name="imported")


def test_the_version_and_the_help_load_nothing_of_the_transport() -> None:
    script = (
        "import sys, httpcore2_cli\n"
        "try: httpcore2_cli.main(['-V'])\n"
        "except SystemExit: pass\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "httpcore2_cli._command" in loaded
    assert not loaded & {"rich", "asyncio", "trio", "anyio", "httpcore2_cli._session"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_that_completes_options(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(instruction: str) -> str:
        monkeypatch.setenv("_HTTPCORE2_COMPLETE", f"{shell}_{instruction}")
        with pytest.raises(SystemExit) as exit_:
            httpcore2_cli.main([])
        assert exit_.value.code == 0
        return capsys.readouterr().out

    if shell != "bash" or programs.find("bash"):  # click asks bash for its version
        assert f"_HTTPCORE2_COMPLETE={shell}_complete" in answer("source")
    words = "httpcore2 --backend " if shell == "bash" else "httpcore2 --backend"
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", "" if shell == "fish" else "2")
    found = answer("complete")
    assert all(backend in found for backend in BACKENDS)


def test_bash_completes_options(tmp_path: Path) -> None:
    bash = programs.require("bash")
    command = tmp_path / "httpcore2"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m httpcore2_cli "$@"\n')
    command.chmod(0o755)
    script = (
        'PATH="$1:$PATH"; eval "$(_HTTPCORE2_COMPLETE=bash_source httpcore2)"; '
        "COMP_WORDS=(httpcore2 --http2-p); COMP_CWORD=1; "
        '_httpcore2_completion httpcore2; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [bash, "-c", script, "bash", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == "--http2-prior-knowledge\n"


def test_the_reference_page_is_that_of_the_help(monkeypatch: pytest.MonkeyPatch) -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "command_line.py"))["page"]()
    assert (ROOT / "docs/reference/command-line.md").read_text() == page, (
        "run scripts/command_line.py"
    )
