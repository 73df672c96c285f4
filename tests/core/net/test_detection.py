"""Finding out which event loop runs the caller."""

from __future__ import annotations

import asyncio
import sys

import pytest
import trio

from httpcore2_core._net import detection
from httpcore2_core._net.detection import detect_backend, running_loop


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "_backends", {})


async def find() -> tuple[str, object] | None:
    return running_loop()


def test_nothing_runs_a_plain_thread() -> None:
    assert running_loop() is None


def test_what_was_never_imported_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "trio")
    monkeypatch.delitem(sys.modules, "asyncio")
    assert running_loop() is None


def test_asyncio_is_found_with_its_loop() -> None:
    async def main() -> None:
        assert running_loop() == ("asyncio", asyncio.get_running_loop())

    asyncio.run(main())


def test_trio_is_found_with_its_token() -> None:
    async def main() -> None:
        assert running_loop() == ("trio", trio.lowlevel.current_trio_token())

    trio.run(main)


def test_trio_is_found_on_top_of_asyncio() -> None:
    async def main() -> tuple[str, object] | None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[str, object] | None] = loop.create_future()
        trio.lowlevel.start_guest_run(
            find,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=lambda outcome: done.set_result(outcome.unwrap()),
        )
        return await done

    found = asyncio.run(main())
    assert found is not None
    assert found[0] == "trio"


def test_without_an_event_loop_there_is_no_backend() -> None:
    with pytest.raises(RuntimeError, match="needs a running event loop of asyncio or trio") as info:
        detect_backend()
    assert "httpcore2[asyncio]" in str(info.value)
    assert "ConnectionPool" in str(info.value)


def test_each_library_has_its_own_backend() -> None:
    async def main() -> list[object]:
        return [detect_backend(), detect_backend()]

    first, again = asyncio.run(main())
    assert type(first).__name__ == "AsyncIOBackend"
    assert first is again
    first, again = trio.run(main)
    assert type(first).__name__ == "TrioBackend"
    assert first is again


def test_a_missing_distribution_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        detect_backend()

    monkeypatch.setitem(sys.modules, "httpcore2_trio", None)
    with pytest.raises(ImportError, match=r"Running under trio needs .*httpcore2\[trio\]"):
        trio.run(main)
