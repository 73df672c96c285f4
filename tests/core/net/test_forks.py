"""Children know that they are not their parents."""

from __future__ import annotations

import os

import pytest

from httpcore2_core._net import forks

from ..conftest import in_child

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")


def test_the_generation_stays_while_nothing_forks() -> None:
    assert forks.generation() == forks.generation()


@needs_fork
def test_each_child_has_a_generation_of_its_own() -> None:
    before = forks.generation()

    def differs() -> bool:
        own = forks.generation()
        return own != before and in_child(lambda: forks.generation() not in (before, own))

    assert in_child(differs)
    assert forks.generation() == before


@needs_fork
def test_what_is_to_be_called_in_children_is_not_called_in_the_parent() -> None:
    called = []
    forks.call_in_children(lambda: called.append(os.getpid()))
    assert in_child(lambda: called == [os.getpid()])
    assert called == []


def test_a_system_that_can_not_fork_has_no_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "register_at_fork", raising=False)
    called: list[bool] = []
    forks.call_in_children(lambda: called.append(True))
    assert called == []
