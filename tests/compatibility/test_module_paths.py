"""The private modules of 2.16.2 that others import from or patch: their names are those of the objects in use."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import socket
import subprocess
import sys
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import httpcore2
import httpcore2_core
from httpcore2._exceptions import map_exceptions
from httpcore2._synchronization import (
    AsyncEvent,
    AsyncLock,
    AsyncSemaphore,
    Event,
    current_async_library,
)
from httpcore2._trace import Trace
from httpcore2._types import ExceptionMapping
from httpcore2._utils import is_socket_readable
from httpcore2_core._net.coroutines import run_blocking

from ..support.runtimes import TestedAsyncRuntime, TestedRuntime

MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(httpcore2.__path__, "httpcore2.")
    if found.name != "httpcore2.__main__"  # the command line, which 2.16.2 did not have
)
# Objects that are defined for these modules only.
OWN = {
    "httpcore2._exceptions.map_exceptions",
    "httpcore2._trace.Trace",
    "httpcore2._types.ExceptionMapping",
    "httpcore2._utils.is_socket_readable",
    *(
        f"httpcore2._synchronization.{name}"
        for name in importlib.import_module("httpcore2._synchronization").__all__
    ),
}


def run(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("name", [name for name in MODULES if name != "httpcore2._backends"])
def test_a_module_path_of_2_16_2_exports_the_objects_in_use(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__all__
    for each in module.__all__:
        if f"{name}.{each}" not in OWN:
            homes = [
                httpcore2,
                httpcore2_core,
                *(
                    importlib.import_module(f"httpcore2_core.{home}")
                    for home in ("_models", "_net.detection", "_net.mock")
                ),
            ]
            here = [getattr(home, each) for home in homes if hasattr(home, each)]
            assert getattr(module, each) is here[0]


def test_a_module_path_is_loaded_at_its_first_import() -> None:
    code = "import sys, httpcore2; print([name for name in sys.modules if name.startswith('httpcore2._')])"
    assert run(code) == "[]"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_path_is_an_attribute_as_in_2_16_2(name: str) -> None:
    assert run(f"import httpcore2; print({name}.__name__)") == name


def test_the_module_paths_of_classes_load_no_codec_and_no_event_loop() -> None:
    code = (
        "import sys, httpcore2._sync.connection_pool, httpcore2._async.connection_pool, httpcore2._backends.auto;"
        "print({'asyncio', 'h2', 'ssl', 'trio', 'anyio'} & set(sys.modules))"
    )
    assert run(code) == "set()"


@pytest.mark.parametrize("name", ["_sync", "_async", "_backends"])
def test_any_other_private_name_raises_attribute_error(name: str) -> None:
    module: ModuleType = getattr(httpcore2, name)
    with pytest.raises(
        AttributeError, match=f"module 'httpcore2.{name}' has no attribute 'nothing'"
    ):
        module.nothing  # noqa: B018


def test_the_http2_modules_are_attributes_of_their_packages() -> None:
    assert httpcore2._sync.HTTP2Connection is httpcore2.HTTP2Connection
    assert httpcore2._async.AsyncHTTP2Connection is httpcore2.AsyncHTTP2Connection


# Exceptions


def test_map_exceptions_uses_the_first_matching_class() -> None:
    table: ExceptionMapping = {
        TimeoutError: httpcore2.ConnectTimeout,
        OSError: httpcore2.ConnectError,
    }
    with pytest.raises(httpcore2.ConnectTimeout, match="late") as caught, map_exceptions(table):
        raise TimeoutError("late")
    assert isinstance(caught.value.__cause__, TimeoutError)
    with pytest.raises(httpcore2.ConnectError), map_exceptions(table):
        raise ConnectionResetError
    with pytest.raises(ValueError, match="other"), map_exceptions(table):
        raise ValueError("other")
    with map_exceptions(table):
        pass


# Sockets


def test_is_socket_readable_is_true_if_a_read_would_return_at_once() -> None:
    here, there = socket.socketpair()
    with here, there:
        assert not is_socket_readable(here)
        there.send(b"a")
        assert is_socket_readable(here)
    assert is_socket_readable(here)
    assert is_socket_readable(None)


# Tracing


@pytest.fixture
def logger(caplog: pytest.LogCaptureFixture) -> logging.Logger:
    caplog.set_level(logging.DEBUG, "mine.phase")
    return logging.getLogger("mine.phase")


def _request(**extensions: Any) -> httpcore2.Request:
    return httpcore2.Request("GET", "http://a/", extensions=extensions)


async def _trace(runtime: TestedRuntime, trace: Any, outcome: object) -> None:
    if isinstance(runtime, TestedAsyncRuntime):
        async with trace:
            trace.return_value = outcome
            if isinstance(outcome, Exception):
                raise outcome
    else:
        with trace:
            trace.return_value = outcome
            if isinstance(outcome, Exception):
                raise outcome


def test_trace_calls_the_extension_and_the_logger(
    runtime: TestedRuntime, logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    failure = ValueError("it")

    async def scenario() -> None:
        request = _request(trace=runtime.trace(events))
        await _trace(runtime, Trace("one", logger, request, {"a": 1}), 2)
        with pytest.raises(ValueError, match="it"):
            await _trace(runtime, Trace("two", logger, request), failure)

    runtime.run(scenario)
    assert events == [
        ("phase.one.started", {"a": 1}),
        ("phase.one.complete", {"return_value": 2}),
        ("phase.two.started", {}),
        ("phase.two.failed", {"exception": failure}),
    ]
    assert caplog.messages[:2] == ["one.started a=1", "one.complete return_value=2"]


def test_trace_does_nothing_without_an_extension_and_an_enabled_logger(
    runtime: TestedRuntime,
) -> None:
    trace = Trace("one", logging.getLogger("mine.silent"))
    assert not trace.should_trace
    runtime.run(lambda: _trace(runtime, trace, None))


# Locks


def test_current_async_library_returns_the_running_library(runtime: TestedRuntime) -> None:
    async def scenario() -> str:
        return current_async_library()

    assert runtime.run(scenario) == ("trio" if "trio" in runtime.name else "asyncio")


def test_a_lock_admits_one_task_at_a_time_in_order(async_runtime: TestedAsyncRuntime) -> None:
    inside: list[int] = []
    order: list[int] = []

    async def scenario() -> None:
        lock = AsyncLock()

        async def hold(number: int) -> None:
            async with lock:
                inside.append(number)
                assert len(inside) == 1
                await async_runtime.let_others_run()
                order.append(inside.pop())

        await async_runtime.gather(*[lambda number=number: hold(number) for number in range(5)])

    async_runtime.run(scenario)
    assert sorted(order) == list(range(5))


def test_a_semaphore_admits_its_number_of_tasks(async_runtime: TestedAsyncRuntime) -> None:
    async def scenario() -> None:
        semaphore = AsyncSemaphore(2)
        assert await semaphore.acquire_if_available()
        await semaphore.acquire()
        assert not await semaphore.acquire_if_available()
        await semaphore.release()
        assert await semaphore.acquire_if_available()

    async_runtime.run(scenario)


def test_a_task_cancelled_while_it_waits_for_a_lock_does_not_acquire_it(
    async_runtime: TestedAsyncRuntime,
) -> None:
    async def scenario() -> None:
        semaphore = AsyncSemaphore(1)
        await semaphore.acquire()
        waits = async_runtime.event()

        async def wait() -> None:
            waits.set()
            await semaphore.acquire()

        assert await async_runtime.cancel_on_event(waits, wait)
        await semaphore.release()
        assert await semaphore.acquire_if_available()

    async_runtime.run(scenario)


def test_a_task_cancelled_as_it_acquires_a_lock_releases_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    semaphore = AsyncSemaphore(1)

    class Cancelled(BaseException):
        pass

    class FakeWaiter:
        def wake(self) -> None:
            """Do nothing: the cancellation arrives first."""

        async def wait(self, timeout: float | None) -> bool:
            await semaphore.release()
            raise Cancelled

    backend = SimpleNamespace(runtime=SimpleNamespace(create_waiter=FakeWaiter))
    monkeypatch.setattr("httpcore2._synchronization.detect_backend", lambda: backend)
    run_blocking(semaphore.acquire())
    with pytest.raises(Cancelled):
        run_blocking(semaphore.acquire())
    assert run_blocking(semaphore.acquire_if_available())
    assert not run_blocking(semaphore.acquire_if_available())


def test_an_event_wakes_all_waiting_tasks(async_runtime: TestedAsyncRuntime) -> None:
    async def scenario() -> None:
        event = AsyncEvent()
        with pytest.raises(httpcore2.PoolTimeout, match=r"not set within 0\.001 seconds"):
            await event.wait(0.001)

        async def set_it() -> None:
            await async_runtime.wait_until(lambda: len(event._waiters) == 2)
            event.set()

        await async_runtime.gather(event.wait, event.wait, set_it)
        await event.wait()

    async_runtime.run(scenario)


def test_an_event_wakes_all_waiting_threads() -> None:
    event = Event()
    with pytest.raises(httpcore2.PoolTimeout, match="not set within 0 seconds"):
        event.wait(0)
    thread = threading.Thread(target=event.set)
    thread.start()
    event.wait(10)
    thread.join()
