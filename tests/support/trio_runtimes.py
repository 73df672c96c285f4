"""trio as a runtime under test, directly and through anyio."""

from __future__ import annotations

from typing import Any, cast

import trio

import httpcore2

from . import runtime_base
from .runtime_base import (
    CancellationOutcome,
    Function,
    RuntimeEvent,
    T,
    TestedAsyncRuntime,
    watched,
)


class TrioEvent(RuntimeEvent):
    async def wait(self) -> None:
        token = trio.lowlevel.current_trio_token()
        event = trio.Event()
        self._add_waker(lambda: token.run_sync_soon(event.set))
        with trio.fail_after(runtime_base.LIMIT):
            await event.wait()


class TestedTrio(TestedAsyncRuntime):
    """trio."""

    name = "trio"

    def run(self, scenario: Function[T]) -> T:
        async def main() -> T:
            with trio.fail_after(runtime_base.LIMIT):
                return await scenario()

        return trio.run(main)

    def event(self) -> RuntimeEvent:
        return TrioEvent()

    async def outcomes(self, *functions: Function[T]) -> list[T | Exception]:
        results: list[T | Exception | None] = [None] * len(functions)

        async def run(index: int, function: Function[T]) -> None:
            try:
                results[index] = await function()
            except Exception as exc:
                results[index] = exc

        async with trio.open_nursery() as nursery:
            for index, function in enumerate(functions):
                nursery.start_soon(run, index, function)
        return cast(list[T | Exception], results)

    def backend(self) -> httpcore2.AsyncNetworkBackend:
        return httpcore2.TrioBackend()

    async def cancel_on_event(self, event: RuntimeEvent, function: Function[object]) -> bool:
        scope = trio.CancelScope()

        async def run() -> None:
            with scope:
                await function()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await event.wait()
            scope.cancel()
        return scope.cancelled_caught

    async def cancel_at_wait(
        self, number: int, function: Function[object], late: bool
    ) -> CancellationOutcome:
        was_reached = False
        with trio.CancelScope() as scope:

            def before_yield(now: int, _: object) -> None:
                nonlocal was_reached
                if now == number:
                    was_reached = True
                    scope.cancel()

            await watched(function(), before_yield)
        if scope.cancelled_caught:
            return CancellationOutcome.CANCELLED
        return CancellationOutcome.COMPLETED if was_reached else CancellationOutcome.NOT_REACHED

    async def let_others_run(self) -> None:
        await trio.sleep(0)


class TestedAnyIOOnTrio(TestedTrio):
    """The anyio backend on trio."""

    name = "anyio-trio"

    def pool_options(self) -> dict[str, Any]:
        return {"network_backend": self.backend()}

    def backend(self) -> httpcore2.AsyncNetworkBackend:
        return httpcore2.AnyIOBackend()
