"""Every backend of this project passes the public checks, and so does a caller's backend through its adapter."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import httpcore2
from httpcore2_core._net.network_adapters import CallerBackend
from httpcore2_core.testing import (
    Check,
    Subject,
    backend_checks,
    datagram_checks,
    datagram_watching_checks,
    resolver_checks,
    run_blocking,
    runtime_checks,
    thread_subject,
    watching_checks,
)

from ..support.runtimes import RUNTIMES, TestedAsyncRuntime, TestedRuntime
from ..support.sync_adapters import AsyncAdapterBackend, SyncAdapterBackend

# uvloop resolves names in libuv, which the checks can't replace.
WITH_OWN_RESOLVER = {"uvloop"}
# The runtimes whose streams call watchers.
WATCHING = {"asyncio", "uvloop", "asyncio-eager"}


def pairs(select: Callable[[str], tuple[Check, ...]]) -> list[Any]:
    return [
        pytest.param(runtime, check, id=f"{name}-{check}")
        for name, runtime in RUNTIMES.items()
        for check in select(name)
    ]


def subject_for(
    runtime: TestedRuntime, backend: httpcore2.AsyncNetworkBackend, tls: tuple[ssl.SSLContext, ...]
) -> Subject:
    async def concurrently(*tasks: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await runtime.gather(*tasks)

    return Subject(backend=backend, concurrently=concurrently, server_tls=tls[0], client_tls=tls[1])


@pytest.fixture
def tls(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return server_tls, client_tls


def checks_of(name: str) -> tuple[Check, ...]:
    return (
        *backend_checks,
        *runtime_checks,
        *datagram_checks,
        *(() if name in WITH_OWN_RESOLVER else resolver_checks),
        *((*watching_checks, *datagram_watching_checks) if name in WATCHING else ()),
    )


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize(("runtime", "check"), pairs(checks_of))
def test_our_backends_pass(
    runtime: TestedRuntime, check: Check, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    if isinstance(runtime, TestedAsyncRuntime):
        under_test = subject_for(runtime, runtime.backend(), tls)
        runtime.run(lambda: check(under_test))
    else:
        run_blocking(
            check(thread_subject(httpcore2.SyncBackend(), server_tls=tls[0], client_tls=tls[1]))
        )


class CustomSyncBackend(SyncAdapterBackend):
    """A caller's backend for threads, with the caller's stream class."""

    def __init__(self) -> None:
        super().__init__(AsyncAdapterBackend(httpcore2.SyncBackend()))


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("check", backend_checks, ids=str)
def test_a_callers_backend_for_threads_passes(
    check: Check, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    run_blocking(check(thread_subject(CustomSyncBackend(), server_tls=tls[0], client_tls=tls[1])))


class CustomAsyncStream(httpcore2.AsyncNetworkStream):
    """A caller's stream, which delegates to one of this project."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self.stream = stream
        self.read = stream.read  # type: ignore[method-assign]
        self.write = stream.write  # type: ignore[method-assign]
        self.aclose = stream.aclose  # type: ignore[method-assign]
        self.get_extra_info = stream.get_extra_info  # type: ignore[method-assign]

    async def start_tls(self, *args: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        return CustomAsyncStream(await self.stream.start_tls(*args, **options))


class CustomAsyncBackend(httpcore2.AsyncNetworkBackend):
    """A caller's backend for event loops."""

    def __init__(self, backend: httpcore2.AsyncNetworkBackend) -> None:
        self.backend = backend
        self.sleep = backend.sleep  # type: ignore[method-assign]

    async def connect_tcp(self, *args: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        return CustomAsyncStream(await self.backend.connect_tcp(*args, **options))

    async def connect_unix_socket(self, *args: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        return CustomAsyncStream(await self.backend.connect_unix_socket(*args, **options))


@pytest.mark.parametrize("check", backend_checks, ids=str)
def test_a_callers_backend_for_event_loops_passes(
    async_runtime: TestedAsyncRuntime, check: Check, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    backend = CallerBackend(CustomAsyncBackend(async_runtime.backend()))
    under_test = subject_for(async_runtime, backend, tls)
    async_runtime.run(lambda: check(under_test))
