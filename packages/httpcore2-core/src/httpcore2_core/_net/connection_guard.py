"""Refuses connections before a socket is opened, for tests that forbid the network.

Rules: each backend that opens sockets calls `check_address` or `check_path` first, before a name is resolved. A guard
is in force for all pools of the process, since a test does not know which pools the code under test makes.
Must not know: tests, HTTP, the pool.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager


class ConnectionGuard(ABC):
    """Refuses connections by an exception of its own."""

    @abstractmethod
    def check_address(self, host: str, port: int | None) -> None:
        """Raise if no connection to this address may be opened; without a port, if `host` may not be resolved."""

    @abstractmethod
    def check_path(self, path: str) -> None:
        """Raise if no connection to this unix socket may be opened."""


_guards: list[ConnectionGuard] = []


def check_address(host: str, port: int | None) -> None:
    """Call the guards in force before a connection over TCP is opened, or without a port before `host` is resolved."""
    for guard in _guards:
        guard.check_address(host, port)


def check_path(path: str) -> None:
    """Call the guards in force before a connection to a unix socket is opened."""
    for guard in _guards:
        guard.check_path(path)


@contextmanager
def in_force(guard: ConnectionGuard) -> Iterator[None]:
    """Have `guard` checked before each connection of the process while the block runs."""
    _guards.append(guard)
    try:
        yield
    finally:
        _guards.remove(guard)
