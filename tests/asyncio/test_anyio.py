"""What is special to anyio: it may be missing, and asyncio cancels in a way of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

import httpcore2_asyncio
from httpcore2_asyncio import AnyIOBackend

RUNTIME = AnyIOBackend.runtime


def test_the_asyncio_backend_needs_no_anyio() -> None:
    code = "import httpcore2_asyncio, sys; sys.exit('anyio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_anyio_the_error_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "anyio", None)
    monkeypatch.delitem(sys.modules, "httpcore2_asyncio._anyio")
    with pytest.raises(ImportError, match=r"pip install 'httpcore2\[anyio\]'"):
        _ = httpcore2_asyncio.AnyIOBackend


def test_the_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="module 'httpcore2_asyncio' has no attribute 'other'"):
        _ = httpcore2_asyncio.other


def test_a_shield_keeps_out_the_cancellation_of_asyncio() -> None:
    async def main() -> list[str]:
        events = []

        async def call() -> None:
            await asyncio.sleep(0.001)
            events.append("ended")

        task = asyncio.create_task(RUNTIME.shielded(call))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return events

    assert asyncio.run(main()) == ["ended"]


def test_a_wake_up_on_a_closed_loop_does_not_raise() -> None:
    waiter = RUNTIME.create_waiter()
    loop = asyncio.new_event_loop()
    task = loop.create_task(waiter.wait(None))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    waiter.wake()
    # Its task is left over, on purpose: asyncio complains when it is collected, unless told not to.
    task._log_destroy_pending = False  # type: ignore[attr-defined]
