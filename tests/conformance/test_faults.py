"""The public checks detect faults: a backend with a fault fails the checks that the fault names."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

import pytest

import httpcore2
from httpcore2_core._net.thread_backend import ThreadBackend
from httpcore2_core.testing import (
    Check,
    Subject,
    _backend_checks,
    _checks,
    _datagram_checks,
    _peers,
    _stream_checks,
    backend_checks,
    datagram_checks,
    datagram_watching_checks,
    resolver_checks,
    run_blocking,
    runtime_checks,
    thread_subject,
    watching_checks,
)

from . import backend_faults, datagram_faults, runtime_faults, stream_faults  # noqa: F401 - they register their faults
from .faults import FAULTS, DelegatingBackend, Fault

CHECKS: dict[str, Check] = {
    str(check): check
    for check in (
        *backend_checks,
        *resolver_checks,
        *runtime_checks,
        *watching_checks,
        *datagram_checks,
        *datagram_watching_checks,
    )
}


def checks_of(fault: Fault) -> list[str]:
    return [
        name for check in fault.checks for name in (check, f"{check}_with_tls") if name in CHECKS
    ]


async def on_one_loop(*tasks: Callable[[], Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*(task() for task in tasks))


@pytest.fixture
def under_test(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> Subject:
    """Return one for threads, whose backend the tests replace."""
    return thread_subject(httpcore2.SyncBackend(), server_tls=server_tls, client_tls=client_tls)


@pytest.fixture
def close_later() -> Iterator[list[DelegatingBackend]]:
    """Return a list of backends whose streams are closed after the test: a failed check may leave one open."""
    backends: list[DelegatingBackend] = []
    yield backends
    for backend in backends:
        for stream in backend.opened:
            stream.abort()


def run(check: Check, under_test: Subject, watches: bool) -> Exception | None:
    """Run a check, and return its exception, if it fails."""
    try:
        if watches:
            asyncio.run(check(replace(under_test, concurrently=on_one_loop)))
        else:
            run_blocking(check(under_test))
    except Exception as exc:
        return exc
    return None


@pytest.mark.parametrize("name", CHECKS)
def test_a_layer_without_a_fault_passes_every_check(
    name: str, under_test: Subject, close_later: list[DelegatingBackend]
) -> None:
    watches = CHECKS[name] in (*watching_checks, *datagram_watching_checks)
    backend = DelegatingBackend(httpcore2.AsyncIOBackend() if watches else ThreadBackend())
    close_later.append(backend)
    assert run(CHECKS[name], replace(under_test, backend=backend), watches) is None


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        pytest.param(fault, name, id=f"{fault}-{name}")
        for fault in FAULTS
        for name in checks_of(fault)
    ],
)
def test_a_fault_fails_its_check(
    fault: Fault,
    name: str,
    under_test: Subject,
    close_later: list[DelegatingBackend],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if fault.hangs:
        # A check that hangs does so for `LIMIT` seconds.
        for module in (_backend_checks, _checks, _datagram_checks, _peers, _stream_checks):
            monkeypatch.setattr(module, "LIMIT", 0.1, raising=False)
    backend = fault.make(httpcore2.AsyncIOBackend() if fault.watches else ThreadBackend())
    close_later.append(backend)
    assert run(CHECKS[name], replace(under_test, backend=backend), fault.watches) is not None


def test_every_check_detects_at_least_one_fault() -> None:
    assert CHECKS.keys() - {name for fault in FAULTS for name in checks_of(fault)} == set()
    assert {check for fault in FAULTS for check in fault.checks} <= CHECKS.keys()


def test_a_peer_treats_a_reset_by_the_client_as_its_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        sock, _ = server.accept()
        with sock:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            assert _peers.Peer(sock).receive_end() == b""
