"""Runs the command in this process, and records what servers receive."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from httpcore2_cli._command import command

from ..support.scripted_servers import Handler, Peer, Server, response, scripted_server

BACKENDS = ("threads", "asyncio", "trio", "anyio")


class Outcome(NamedTuple):
    """What a run of the command left.

    Attributes:
        code: the exit code.
        output: the standard output.
        error: the standard error.
    """

    code: int
    output: bytes
    error: str

    @property
    def json(self) -> dict[str, Any]:
        """The only line of JSON on the standard output."""
        parsed = json.loads(self.output)
        assert isinstance(parsed, dict)
        return parsed


Run = Callable[..., Outcome]


def invoke(*arguments: object, data: bytes = b"") -> Outcome:
    """Run the command.

    Args:
        arguments: those of the command line.
        data: the standard input.
    """
    done = CliRunner(catch_exceptions=False).invoke(
        command, [str(each) for each in arguments], input=data, prog_name="httpcore2"
    )
    return Outcome(done.exit_code, done.stdout_bytes, done.stderr)


@pytest.fixture
def run(no_leaks: None) -> Run:
    return invoke


@dataclass
class Recorder:
    """A handler that answers each request with the next of its responses, and records the requests.

    Attributes:
        responses: the last one is sent to all later requests, too.
        requests: the head and the body of each request.
    """

    responses: list[bytes] = field(default_factory=lambda: [response(b"fine\n")])
    requests: list[tuple[bytes, bytes]] = field(default_factory=list)

    def __call__(self, peer: Peer) -> None:
        while (request := peer.receive_request()) is not None:
            self.requests.append(request)
            peer.send(self.responses[min(len(self.requests), len(self.responses)) - 1])

    @property
    def lines(self) -> list[str]:
        """The lines of the only head."""
        ((head, _),) = self.requests
        return head.decode("latin-1").split("\r\n")[:-2]


class Recording(NamedTuple):
    server: Server
    recorder: Recorder

    @property
    def url(self) -> str:
        return self.server.url


@pytest.fixture
def recording() -> Iterator[Recording]:
    """Run a server that answers `fine`, and records requests."""
    recorder = Recorder()
    with scripted_server(recorder) as server:
        yield Recording(server, recorder)


def serve(*responses: bytes) -> Handler:
    """Make a handler that answers with these responses."""
    return Recorder(list(responses))
