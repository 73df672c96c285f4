"""Pools that are garbage-collected in the middle of one of their own operations.

A connection's callbacks reach the engine without the pool: while one of them changes the ledger, the collector may run,
find the pool in a reference cycle, and call its `__del__`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import pytest

from httpcore2_core._connect.connection_config import ConnectionConfig
from httpcore2_core._models import Origin, Request
from httpcore2_core._net.coroutines import run_blocking
from httpcore2_core._net.network_adapters import default_backend
from httpcore2_core._pool.config import PoolConfig
from httpcore2_core._pool.engine import Engine

from ...support.interruption import called_at
from .poolables import FakeBackend, FakeConnection

HOSTS = "abc"


class Owner:
    """Finalises the engine as a pool does."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __del__(self) -> None:
        self.engine.finalise()


class Case:
    """An engine with three idle connections, and its pool, which nothing else refers to."""

    def __init__(self, is_blocking: bool) -> None:
        backend = FakeBackend(is_blocking=is_blocking)
        config = PoolConfig(ConnectionConfig(network_backend=backend), max_connections=3)
        self.engine = Engine(config, default_backend)
        self.owners = [Owner(self.engine)]
        self.connections: list[FakeConnection] = []
        for host in HOSTS:
            self.fetch(host)
            self.connections[-1].release()

    def fetch(self, host: str) -> None:
        request = Request("GET", f"http://{host}/")
        run_blocking(self.engine.handle(request, self.create, self.owners[0], None))

    def create(self, origin: Origin) -> FakeConnection:
        self.connections.append(FakeConnection(origin))
        return self.connections[-1]


Operation: TypeAlias = Callable[[Case], None]


def close_idle(case: Case) -> None:
    """The peer closes an idle connection."""
    connection = case.connections[1]
    connection.was_closed = True
    connection.change()


def retire_idle(case: Case) -> None:
    """The peer sends GOAWAY on an idle connection."""
    connection = case.connections[1]
    connection.is_retired = True
    connection.change()


def forbid_requests(case: Case) -> None:
    """The peer allows no further stream on an idle connection."""
    connection = case.connections[1]
    connection.capacity = 0
    connection.change()


def release(case: Case) -> None:
    """A request ends whose response nobody holds any more."""
    case.connections[1].release()


def discard(case: Case) -> None:
    """The same, and the connection can't be used again."""
    case.connections[1].release(is_reusable=False)


@pytest.mark.parametrize("is_blocking", [True, False], ids=["threads", "event loop"])
@pytest.mark.parametrize("operation", [close_idle, retire_idle, forbid_requests, release, discard])
def test_a_pool_that_is_collected_at_any_place_of_an_operation_closes_its_connections(
    operation: Operation, is_blocking: bool
) -> None:
    number = 0
    was_reached = True
    while was_reached:
        number += 1
        case, spare = Case(is_blocking), Case(is_blocking)
        for each in (case, spare):
            if operation in (release, discard):
                each.fetch(HOSTS[1])
        was_reached = called_at(
            number, case.owners.clear, partial(operation, case), partial(operation, spare)
        )
        case.owners.clear()
        assert all(connection.was_closed for connection in case.connections)
        assert not case.engine._ledger._is_changing
    assert number > 3
