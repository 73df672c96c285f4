"""Resolvers for tests, which serve the sync and the async API."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import httpcore2

Query = tuple[str, int]


class RecordingResolver(httpcore2.Resolver, httpcore2.AsyncResolver):
    """Returns addresses, or raises an exception, from a table, and records what it is asked.

    Attributes:
        queries: the hosts and ports that it was asked for.
        timeouts: the timeout of each query.
        meanwhile: awaited before each answer.
    """

    def __init__(
        self,
        table: Mapping[str, Any],
        meanwhile: Callable[[], Coroutine[Any, Any, object]] | None = None,
    ) -> None:
        self.table = dict(table)
        self.meanwhile = meanwhile
        self.queries: list[Query] = []
        self.timeouts: list[float | None] = []

    def resolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        coroutine = self.aresolve(host, port, timeout)
        try:
            coroutine.send(None)
        except StopIteration as stop:
            found: Sequence[str] = stop.value
            return found
        raise AssertionError("a query on a thread has suspended")

    async def aresolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        self.queries.append((host, port))
        self.timeouts.append(timeout)
        if self.meanwhile is not None:
            await self.meanwhile()
        found: Any = self.table[host]
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]


class SyncOnlyResolver(httpcore2.Resolver):
    """Serves threads alone."""

    def resolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        return ["127.0.0.1"]


class AsyncOnlyResolver(httpcore2.AsyncResolver):
    """Serves event loops alone."""

    async def aresolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        return ["127.0.0.1"]
