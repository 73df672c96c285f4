"""Operations to cancel, and the loop that cancels one at each of its waits, for the tests of cancellation.

Must not know: servers, protocols, and the state that an operation has to leave.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import httpcore2

from .runtimes import CancellationOutcome, TestedAsyncRuntime

Operation = Callable[[httpcore2.AsyncConnectionPool, str], Coroutine[Any, Any, None]]

STEPS = 100
"""An upper bound of the waits of one request."""


def get(runtime: TestedAsyncRuntime) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        assert (await pool.request("GET", url)).content == b"fine"

    return run


def timed(runtime: TestedAsyncRuntime) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        timeout = {"pool": 9.0, "connect": 9.0, "read": 9.0, "write": 9.0, "total": 9.0}
        reply = await pool.request("GET", url, extensions={"timeout": timeout})
        assert reply.content == b"fine"

    return run


def traced(runtime: TestedAsyncRuntime) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        async def trace(name: str, info: dict[str, Any]) -> None:
            await runtime.let_others_run()  # the callback can be cancelled too

        assert (await pool.request("GET", url, extensions={"trace": trace})).content == b"fine"

    return run


async def cancel_at_every_wait(
    attempt: Callable[[int], Coroutine[Any, Any, CancellationOutcome]],
) -> list[CancellationOutcome]:
    """Cancel at the first wait, at the second, and so on, until the operation completes before its cancellation.

    Args:
        attempt: runs the operation once, and cancels it at the wait of this number, from 0.
    """
    outcomes: list[CancellationOutcome] = []
    # A response that arrives early saves one wait, so one completion proves too little.
    while outcomes[-2:] != [CancellationOutcome.NOT_REACHED] * 2:
        outcomes.append(await attempt(len(outcomes)))
        assert len(outcomes) < STEPS, "the operation waits without end"
    return outcomes
