"""Faults of runtimes: the clock, tokens, waiters and shielded calls."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from httpcore2_core._net.runtime import Runtime, Waiter

from .faults import DelegatingRuntime, detected_by

T = TypeVar("T")


@detected_by("the_clock_never_goes_back")
class HasAClockThatRunsBackwards(DelegatingRuntime):
    def __init__(self, inner: Runtime) -> None:
        super().__init__(inner)
        self.times = itertools.count(0, -1)

    def now(self) -> float:
        return next(self.times)


@detected_by("the_clock_never_goes_back")
class DoesNotSleep(DelegatingRuntime):
    async def sleep(self, seconds: float) -> None:
        pass


@detected_by("the_token_is_that_of_the_running_runtime")
class ChangesItsToken(DelegatingRuntime):
    def token(self) -> object:
        return object()


@detected_by("the_token_is_that_of_the_running_runtime")
class ReportsNoRunningLoop(DelegatingRuntime):
    def is_running(self, token: object) -> bool:
        return False


class InvertedWaiter(Waiter):
    def __init__(self, inner: Waiter) -> None:
        self.inner = inner

    def wake(self) -> None:
        self.inner.wake()

    async def wait(self, timeout: float | None) -> bool:
        return not await self.inner.wait(timeout)


@detected_by(
    "a_waiter_that_was_woken_before_does_not_wait",
    "a_waiter_that_waits_is_woken",
    "a_waiter_waits_no_longer_than_its_timeout",
)
class HasInvertedWaiters(DelegatingRuntime):
    def create_waiter(self) -> Waiter:
        return InvertedWaiter(super().create_waiter())


@detected_by("a_shielded_call_returns_and_raises_what_it_does")
class DiscardsTheResultOfAShieldedCall(DelegatingRuntime):
    async def shielded(self, call: Callable[[], Awaitable[T]]) -> T:
        await super().shielded(call)
        return cast(T, None)


class WaiterThatLosesEarlyWakes(Waiter):
    def __init__(self, inner: Waiter) -> None:
        self.inner = inner
        self.is_waiting = False

    def wake(self) -> None:
        if self.is_waiting:
            self.inner.wake()

    async def wait(self, timeout: float | None) -> bool:
        self.is_waiting = True
        return await self.inner.wait(timeout)


@detected_by("a_waiter_that_was_woken_before_does_not_wait", hangs=True)
class HasWaitersThatLoseEarlyWakes(DelegatingRuntime):
    def create_waiter(self) -> Waiter:
        return WaiterThatLosesEarlyWakes(super().create_waiter())
