"""Checks that hold for every network backend and its streams, for those who write one.

Each check is a coroutine function that takes a `Subject`, talks to a peer on the loopback
interface, and raises `AssertionError`, or lets an exception of the backend through, when something
is not as the interface says. It needs no test framework and no certain event loop; it ends by itself
within some seconds, unless a call of the backend never returns.

Choose from the lists:

- `backend_checks`: what every backend and its streams have to do.
- `resolver_checks`: how a name with several addresses is connected to. They put something in the
  place of `socket.getaddrinfo`, so they are for backends that resolve with it.
- `runtime_checks`: for a `RuntimeBackend`, whose streams are `BackendStream`s.
- `watching_checks`: for those of them whose streams call a watcher.

Example, with pytest:

    import asyncio

    import pytest
    from httpcore2_core.testing import Subject, backend_checks

    async def concurrently(*tasks):
        await asyncio.gather(*(task() for task in tasks))

    @pytest.mark.parametrize("check", backend_checks, ids=str)
    def test_my_backend(check, server_tls, client_tls):
        subject = Subject(
            backend=MyBackend(),
            concurrently=concurrently,
            server_tls=server_tls,
            client_tls=client_tls,
        )
        asyncio.run(check(subject))

A backend for threads, by contrast, is checked by
`run_blocking(check(thread_subject(MyBackend(), server_tls=..., client_tls=...)))`.
"""

from __future__ import annotations

from .._blocking import run_blocking
from . import _connecting, _runtimes, _streams
from ._subject import Check, Subject, thread_subject

__all__ = [
    "Check",
    "Subject",
    "backend_checks",
    "resolver_checks",
    "run_blocking",
    "runtime_checks",
    "thread_subject",
    "watching_checks",
]

backend_checks: tuple[Check, ...] = (*_streams.checks.list, *_connecting.checks.list)
resolver_checks: tuple[Check, ...] = tuple(_connecting.resolver_checks.list)
runtime_checks: tuple[Check, ...] = tuple(_runtimes.checks.list)
watching_checks: tuple[Check, ...] = tuple(_runtimes.watching_checks.list)
