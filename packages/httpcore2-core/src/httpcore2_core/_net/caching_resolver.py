"""A resolver that remembers what another one has found.

Concurrent look-ups of a host share one query. There is no task in the background: one of those that wait does the query
on behalf of all. If it is cancelled, or its timeout passes, the next one does it anew.

Rules: the lock is never held while a query runs. Event loops and threads share what was found, and not the queries:
a waiter is woken on its own event loop.
Must not know: sockets, HTTP, the pool, how a name is resolved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Sequence
from threading import RLock
from time import monotonic
from typing import Any, TypeAlias

from .._exceptions import ConnectError
from .coroutines import run_blocking
from .detection import detect_backend
from .errors import connect_timeout
from .forks import generation
from .resolver_interfaces import AsyncResolver, Resolver, WrappingResolver, is_address
from .resolvers import SystemResolver
from .roles import Role, Turn
from .runtime import Deadline, Runtime
from .sync_backend import THREADS

_Key: TypeAlias = tuple[str, int]


class _Query:
    """A query that is under way.

    Attributes:
        role: the right to do it, which passes to the next one that waits if it is given up.
        found: its result.
        error: why it failed, which all that wait raise.
    """

    def __init__(self) -> None:
        self.role = Role()
        self.found: Sequence[str] = ()
        self.error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return bool(self.found) or self.error is not None


class CachingResolver(WrappingResolver):
    """Remembers the addresses that another resolver finds. Requests for the same host at the same time share one query.

    Failures are not remembered. A request that is cancelled, or runs out of time, does not end the query for others.
    It serves threads and event loops if the other resolver does, and may be shared by pools.

    Args:
        ttl: how long addresses are used, in seconds. The operating system does not tell the time to live of DNS.
        max_entries: the hosts and ports that are remembered at most. The least recently used ones are dropped.
        resolver: finds the addresses, by default the resolver of the operating system.

    Raises:
        ValueError: `ttl` is not more than 0, or `max_entries` is less than 1.
        TypeError: `resolver` is not a resolver.

    Example:
        The connections of this pool look the name up once in 30 seconds.

        ```python
        import httpcore2

        resolver = httpcore2.CachingResolver(ttl=30.0)
        with httpcore2.ConnectionPool(resolver=resolver) as http:
            http.request("GET", "https://www.example.com/")
        ```
    """

    def __init__(
        self,
        ttl: float = 60.0,
        max_entries: int = 1000,
        *,
        resolver: Resolver | AsyncResolver | None = None,
    ) -> None:
        if not ttl > 0 or math.isnan(ttl):
            raise ValueError(f"ttl must be more than 0 seconds, but got {ttl}.")
        if max_entries < 1:
            raise ValueError(f"max_entries must be 1 or more, but got {max_entries}.")
        super().__init__(SystemResolver() if resolver is None else resolver)
        self._ttl = ttl
        self._max_entries = max_entries
        # The least recently used first; each with the time at which it expires.
        self._found: dict[_Key, tuple[float, Sequence[str]]] = {}
        self._begin()

    def _begin(self) -> None:
        """Begin without queries under way: those of the parent process do not run in a forked child."""
        self._generation = generation()
        # Re-entrant, for a signal handler that sends a request.
        self._lock = RLock()
        self._queries: dict[tuple[object, _Key], _Query] = {}

    def clear(self) -> None:
        """Forget all addresses, such as after a change of network."""
        with self._lock:
            self._found.clear()

    def resolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        async def ask(timeout: float | None) -> Sequence[str]:
            return self._ask(host, port, timeout)

        return run_blocking(self._look_up(host, port, timeout, ask, THREADS.runtime))

    async def aresolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        async def ask(timeout: float | None) -> Sequence[str]:
            return await self._ask_async(host, port, timeout)

        return await self._look_up(host, port, timeout, ask, detect_backend().runtime)

    async def _look_up(
        self,
        host: str,
        port: int,
        timeout: float | None,
        ask: Callable[[float | None], Coroutine[Any, Any, Sequence[str]]],
        runtime: Runtime,
    ) -> Sequence[str]:
        if is_address(host):
            return await ask(timeout)
        if self._generation != generation():
            self._begin()
        key = (host, port)
        deadline = Deadline(timeout, runtime)
        turn = Turn()
        query_key = (runtime.token(), key)
        query, has_joined = _Query(), False
        try:
            while True:
                with self._lock:
                    if not has_joined:
                        found = self._remembered(key)
                        if found is not None:
                            return found
                        query, has_joined = self._queries.setdefault(query_key, query), True
                    if query.is_done:
                        break
                    waiter = (
                        None
                        if query.role.take(turn)
                        else query.role.enqueue(turn, runtime.create_waiter())
                    )
                if waiter is None:
                    await self._run(key, query, ask, deadline)
                elif not await waiter.wait(deadline.left()):
                    raise connect_timeout(f"address of {host}", timeout)
        finally:
            with self._lock:
                query.role.leave(turn)
                if query.is_done or query.role.holder is None:
                    self._drop(query_key, query)
        if query.error is not None:
            raise ConnectError(str(query.error)) from query.error
        return query.found

    async def _run(
        self,
        key: _Key,
        query: _Query,
        ask: Callable[[float | None], Coroutine[Any, Any, Sequence[str]]],
        deadline: Deadline,
    ) -> None:
        """Do the query on behalf of all that wait. A cancellation or a timeout leaves it to the next one."""
        found: Sequence[str] = ()
        error: Exception | None = None
        try:
            found = tuple(await ask(deadline.left()))
            if not found:
                error = ConnectError(f"The resolver returned no address for {key[0]}.")
        except (OSError, UnicodeError, ConnectError) as exc:
            error = exc
        with self._lock:
            query.found, query.error = found, error
            query.role.wake_all()
            if found:
                self._remember(key, found)

    def _drop(self, query_key: tuple[object, _Key], query: _Query) -> None:
        if self._queries.get(query_key) is query:
            del self._queries[query_key]

    def _remembered(self, key: _Key) -> Sequence[str] | None:
        entry = self._found.pop(key, None)
        if entry is None or entry[0] <= monotonic():
            return None
        self._found[key] = entry
        return entry[1]

    def _remember(self, key: _Key, found: Sequence[str]) -> None:
        self._found.pop(key, None)
        while len(self._found) >= self._max_entries:
            del self._found[next(iter(self._found))]
        self._found[key] = (monotonic() + self._ttl, found)
