"""States that the command reaches rarely: a pipe as the body, a closed output, a transfer that has not begun."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from httpcore2_cli._command import discard_what_is_buffered
from httpcore2_cli._failures import ExitCode
from httpcore2_cli._requests import Upload
from httpcore2_cli._screen import progress_of
from httpcore2_cli._transfer import ConnectionFacts
from httpcore2_cli._waterfall import Waterfall


def test_what_is_buffered_for_a_closed_pipe_is_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as output:
        output.write("buffered")
        monkeypatch.setattr(sys, "__stdout__", output)
        monkeypatch.setattr(sys, "stdout", output)
        discard_what_is_buffered(ExitCode.WRITE)


def test_a_pipe_is_sent_once_from_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"abc")
    os.close(writer)
    with open(reader) as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        upload = Upload("-")
        assert (upload.size, list(upload)) == (None, [b"abc"])


def test_a_transfer_that_failed_before_its_first_phase_has_no_progress() -> None:
    transfer: Any = SimpleNamespace(timeline=SimpleNamespace(spans={}, unfinished=None))
    assert progress_of(transfer) == ""


def test_a_transfer_without_a_connection_has_no_addresses() -> None:
    transfer: Any = SimpleNamespace(response=None, connection=ConnectionFacts())
    assert list(Waterfall(80, True)._facts(transfer)) == []
