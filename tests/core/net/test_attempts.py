"""What an error says of the attempts to connect."""

from __future__ import annotations

from typing import Any

import pytest

from httpcore2_core import ConnectAttempt, ConnectError, ConnectTimeout
from httpcore2_core._net.attempts import AttemptLog

REFUSED = OSError(111, "Connection refused")
NO_ROUTE = OSError(101, "Network is unreachable")
NAMED = OSError(111, "Connect call failed ('192.0.2.1', 80)")


def log_of(host: str, *attempts: tuple[str, Exception | None]) -> AttemptLog:
    log = AttemptLog(host, lambda address: (address, 80))
    for address, error in attempts:
        log.begin(address).error = error
    return log


@pytest.mark.parametrize(
    ("attempts", "message"),
    [
        ([("192.0.2.1", REFUSED)], "[Errno 111] Connection refused at 192.0.2.1"),
        (
            [("192.0.2.1", REFUSED), ("192.0.2.2", NO_ROUTE), ("192.0.2.3", REFUSED)],
            f"{REFUSED} at 192.0.2.1, 192.0.2.3; {NO_ROUTE} at 192.0.2.2",
        ),
        ([("192.0.2.1", REFUSED)] * 2, "[Errno 111] Connection refused at 192.0.2.1"),
        ([("192.0.2.1", NAMED)], str(NAMED)),
        ([("h", REFUSED)], "[Errno 111] Connection refused"),
        ([], "first"),
        ([("192.0.2.1", NO_ROUTE), ("192.0.2.2", None)], "first"),
    ],
)
def test_an_error_names_the_addresses_that_failed(attempts: list[Any], message: str) -> None:
    error = ConnectError("first")
    log_of("h", *attempts).add_to(error)
    assert str(error) == message
    assert error.attempts == tuple(
        ConnectAttempt((address, 80), reason) for address, reason in attempts
    )


@pytest.mark.parametrize(
    ("attempts", "message"),
    [
        (
            [("192.0.2.1", REFUSED), ("192.0.2.2", None)],
            "Late. Tried 192.0.2.1: [Errno 111] Connection refused; 192.0.2.2: no answer.",
        ),
        ([("h", None)], "Late."),
        ([], "Late."),
    ],
)
def test_a_timeout_names_the_addresses_that_were_tried(attempts: list[Any], message: str) -> None:
    error = ConnectTimeout("Late.")
    log_of("h", *attempts).add_to(error)
    assert str(error) == message
    assert len(error.attempts) == len(attempts)
