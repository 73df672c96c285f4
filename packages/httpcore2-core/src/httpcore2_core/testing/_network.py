"""Forbids connections to the network while a test runs.

Must not know: sockets, HTTP, test frameworks.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from ipaddress import ip_address

from .._net.connection_guard import ConnectionGuard, in_force


def forbid_network(
    *,
    allow_loopback: bool = False,
    allow: Collection[tuple[str, int]] = (),
    advice: str = "Give the pool a ScriptedBackend, or allow the address.",
) -> AbstractContextManager[None]:
    """Forbid the backends of this project to open connections and to resolve names, in all pools of the process.

    Scripted backends, mocks and backends of your own that open no connection by ours are not affected. Nor are
    connections that are open already.

    Args:
        allow_loopback: whether connections to `localhost`, to loopback addresses and to unix sockets are allowed.
        allow: the addresses, each a host and a port, that are allowed. Addresses that are added to the collection
            later are allowed, too.
        advice: the last sentence of the error: what to do instead.

    Returns:
        A context manager. While its block runs, a connection that is not allowed is an `AssertionError` that names the
        host and the port. It passes through the pool unchanged, and is not retried.

    Example:
        The pool fails before it resolves the name.

        ```python
        import httpcore2
        from httpcore2_core.testing import forbid_network

        with forbid_network(), httpcore2.ConnectionPool() as http:
            try:
                http.request("GET", "https://www.example.com/")
            except AssertionError as exc:
                print(exc)
        ```
    """
    return in_force(_NetworkGuard(allow_loopback, allow, advice))


class _NetworkGuard(ConnectionGuard):
    def __init__(
        self, allow_loopback: bool, allow: Collection[tuple[str, int]], advice: str
    ) -> None:
        self._allow_loopback = allow_loopback
        self._allow = allow
        self._advice = advice

    def check_address(self, host: str, port: int | None) -> None:
        if self._allow_loopback and _is_loopback(host):
            return
        if port is None:
            if all(host != name for name, _ in self._allow):
                self._refuse(f"the name {host} was not resolved")
        elif (host, port) not in self._allow:
            self._refuse(f"no connection to {host}:{port} was opened")

    def check_path(self, path: str) -> None:
        if not self._allow_loopback:
            self._refuse(f"no connection to {path} was opened")

    def _refuse(self, outcome: str) -> None:
        raise AssertionError(f"The network is forbidden: {outcome}. {self._advice}")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
