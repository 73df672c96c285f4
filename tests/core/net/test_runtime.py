"""Coroutines on a plain thread."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from httpcore2_core._net.coroutines import run_blocking


class Suspension:
    def __await__(self) -> Generator[None, None, None]:
        yield


def test_a_coroutine_that_never_suspends_runs_to_its_end() -> None:
    async def inner() -> int:
        return 3

    async def outer() -> int:
        return await inner() + 1

    assert run_blocking(outer()) == 4


@pytest.mark.parametrize("exception", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_unwinds_through_the_coroutine(exception: type[BaseException]) -> None:
    unwound = []

    async def fail() -> None:
        try:
            raise exception
        finally:
            unwound.append(True)

    with pytest.raises(exception):
        run_blocking(fail())
    assert unwound


def test_a_coroutine_that_suspends_is_closed_and_refused() -> None:
    unwound = []

    async def suspend() -> None:
        try:
            await Suspension()
        finally:
            unwound.append(True)

    with pytest.raises(RuntimeError, match="given to the sync API"):
        run_blocking(suspend())
    assert unwound
