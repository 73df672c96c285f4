"""The order of addresses, and what is said when none answers."""

from __future__ import annotations

import pytest

from httpcore2_core._exceptions import ConnectError
from httpcore2_core._net.happy_eyeballs import Race, interleave


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        ([], []),
        ([(6, "a")], [(6, "a")]),
        ([(6, "a"), (6, "b")], [(6, "a"), (6, "b")]),
        (
            [(6, "a"), (6, "b"), (6, "c"), (4, "d")],
            [(6, "a"), (4, "d"), (6, "b"), (6, "c")],
        ),
        (
            [(4, "a"), (6, "b"), (6, "c"), (6, "d"), (4, "e")],
            [(4, "a"), (6, "b"), (4, "e"), (6, "c"), (6, "d")],
        ),
    ],
)
def test_the_families_alternate_and_the_first_stays_first(
    given: list[tuple[int, str]], ordered: list[tuple[int, str]]
) -> None:
    assert interleave(given) == ordered


def test_failures_become_one_error_that_says_each_thing_once() -> None:
    race: Race[str] = Race([])
    errors = [OSError(1, "refused"), OSError(2, "no route"), OSError(1, "refused")]
    for each in errors:
        race.fail(each)
    error = race.error()
    assert isinstance(error, ConnectError)
    assert error.__cause__ is errors[-1]
    assert str(error) == "[Errno 1] refused; [Errno 2] no route"
