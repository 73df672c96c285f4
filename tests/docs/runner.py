"""Run the programs of one page: `python -W error -m tests.docs.runner PAGE HOSTS`; `-` runs one from standard input.

Each program runs in a fork of this process, in an empty folder with the files that examples may open. What it prints
and how it ends is printed as JSON, one line for each program.
Rules: nothing of a program is changed; the names of hosts lead to the servers of `hosts` by `socket.getaddrinfo`. A
block that is called `test_*.py` is run by pytest, with the plugin of this project.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import os
import socket
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from .examples import ROOT, Block, Program, programs, read

LIMIT = 30.0
"""Seconds after which a program is taken to hang."""

LOCAL = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::", None)
"""What is looked up as ever, for servers and backends that an example starts itself."""

# Loaded once, for all forks.
PRELOADED = ["asyncio", "httpcore2", "logging", "ssl", "trio"]


def redirect(ports: dict[str, int], domains: dict[str, dict[str, int]]) -> None:
    """Make `socket.getaddrinfo` find the servers of the examples, and no others."""
    genuine = socket.getaddrinfo
    # The ports of the last look-ups: a program that gets an address may connect to it in a second step.
    resolved: dict[Any, int] = {}

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if f"{name}:{port}" in ports:
            found = ports[f"{name}:{port}"]
        elif name in LOCAL:
            return genuine(host, resolved.get(port, port), *args, **kwargs)
        else:
            matching = [domains[each] for each in domains if f".{name}".endswith(f".{each}")]
            if not matching:  # an IP address, or a name without one
                kwargs["flags"] = kwargs.get("flags", 0) | socket.AI_NUMERICHOST
                return genuine(host, port, *args, **kwargs)
            found = matching[0].get(str(port), 0)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        resolved[port] = found
        return genuine("127.0.0.1", found, *args, **kwargs)

    socket.getaddrinfo = getaddrinfo


def run(program: Program, files: Path, report: int) -> None:
    """Run a program in this process, and write what each of its blocks prints to the descriptor `report`."""
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    complaints: list[str] = []
    sys.unraisablehook = lambda raised: complaints.append(f"{raised.exc_value!r} is ignored")
    for path in files.iterdir():
        Path(path.name).symlink_to(path)
    # The working directory in the place of this repository's root.
    sys.path[:] = ["", *(entry for entry in sys.path if entry and Path(entry) != ROOT)]
    namespace: dict[str, Any] = {"__name__": "__main__"}
    results: list[dict[str, str | None]] = []
    for block in program.blocks:
        output = os.open(".output", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        error = None
        try:
            if block.file.startswith("test_"):
                run_tests(block)
            else:
                for example in block.examples:
                    example.namespace = namespace
                    example.evaluate()
        except BaseException:
            error = traceback.format_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        printed = Path(".output").read_text()
        os.close(output)
        results.append({"output": printed, "error": error})
        if error is not None:
            break
    namespace.clear()
    gc.collect()
    if complaints and results[-1]["error"] is None:
        results[-1]["error"] = "\n".join(complaints)
    os.write(report, json.dumps(results).encode() + b"\n")


def run_tests(block: Block) -> None:
    """Have pytest run the tests of a block; raise if one fails."""
    import pytest

    Path(block.file).write_text("".join(example.parsed for example in block.examples))
    options = ("-W", "error", "-p", "no:cacheprovider", "-p", "pytest_httpcore2")
    status = pytest.main(["-q", *options, block.file])
    assert status == pytest.ExitCode.OK, f"pytest ended with status {status}"


def run_in_fork(program: Program, files: Path) -> str:
    """Run a program in a process of its own, and return its results as a line of JSON."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as report:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.chdir(folder)
            run(program, files, report.fileno())
            os._exit(0)
        _, status = os.waitpid(child, 0)
        report.seek(0)
        if written := report.read().decode():
            return written
        log = Path(folder, ".output")
        text = log.read_text() if log.exists() else ""
        ended = f"The process ended with status {status}."
        return json.dumps([{"output": text, "error": ended}]) + "\n"


def main(name: str, hosts: str) -> None:
    given = json.loads(hosts)
    # The second one is for requests, which does not read the first.
    os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = given["trusted"]
    redirect(given["ports"], given["domains"])
    for module in PRELOADED:
        importlib.import_module(module)
    if name == "-":
        os.chdir(given["files"])
        exec(compile(sys.stdin.read(), "<stdin>", "exec"), {"__name__": "__main__"})
        return
    for program in programs(read(ROOT / name)):
        sys.stdout.write(run_in_fork(program, Path(given["files"])))


if __name__ == "__main__":
    main(*sys.argv[1:])
