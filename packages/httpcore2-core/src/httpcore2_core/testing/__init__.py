"""Tools for the tests of programs that are built on this package, and checks of network backends.

**For programs.** A `Script` holds the replies of a server in order, and records each request.
`ScriptedBackend` and `AsyncScriptedBackend` serve it without a network, `ScriptedServer` serves it over sockets.
`RecordingBackend` and `AsyncRecordingBackend` record the bytes that pass through any other backend.
`forbid_network` makes the connections that a test should not open fail. Where the replies
do not depend on the requests, `MockBackend` and `AsyncMockBackend` of the package itself are enough.

**For network backends.** Each check is a coroutine function that takes a `Subject`: the backend under test, a way to
run tasks concurrently, and two TLS contexts. It connects to a peer on the loopback interface, and raises
`AssertionError`, or the backend's own error, when the backend does not do what the interface says. Checks need no test
framework and run on any event loop. Each ends by itself within some seconds, unless a call of the backend never
returns. There are six lists:

- `backend_checks`: for every backend and its streams.
- `resolver_checks`: for backends that resolve names with `socket.getaddrinfo`, which these checks replace while they
  run. They check how a name with several addresses is connected to.
- `runtime_checks`: for a `RuntimeBackend`, whose streams are `BackendStream`s.
- `watching_checks`: for a `RuntimeBackend` whose streams call a watcher.
- `datagram_checks`: for a `RuntimeBackend` with `connect_udp`, which HTTP/3 needs.
- `datagram_watching_checks`: for one whose datagram streams call a watcher.

Run a check with `asyncio.run(check(Subject(backend=MyBackend(), ...)))`, or for a backend for threads with
`run_blocking(check(thread_subject(MyBackend(), ...)))`.
"""

from __future__ import annotations

from .._net.coroutines import run_blocking
from . import _backend_checks, _datagram_checks, _stream_checks
from ._checks import BackendUnderTest as Subject
from ._checks import Check
from ._checks import thread_backend_under_test as thread_subject
from ._network import forbid_network
from ._recording import AsyncRecordingBackend, Recording, RecordingBackend
from ._script import (
    AsyncScriptedBackend,
    ReceivedRequest,
    Reply,
    Script,
    ScriptedBackend,
    ScriptedServer,
    reply,
)

__all__ = [
    "AsyncRecordingBackend",
    "AsyncScriptedBackend",
    "Check",
    "ReceivedRequest",
    "Recording",
    "RecordingBackend",
    "Reply",
    "Script",
    "ScriptedBackend",
    "ScriptedServer",
    "Subject",
    "backend_checks",
    "datagram_checks",
    "datagram_watching_checks",
    "forbid_network",
    "reply",
    "resolver_checks",
    "run_blocking",
    "runtime_checks",
    "thread_subject",
    "watching_checks",
]

backend_checks: tuple[Check, ...] = (*_stream_checks.checks.list, *_backend_checks.checks.list)
resolver_checks: tuple[Check, ...] = tuple(_backend_checks.resolver_checks.list)
runtime_checks: tuple[Check, ...] = (
    *_stream_checks.runtime_checks.list,
    *_backend_checks.runtime_checks.list,
)
watching_checks: tuple[Check, ...] = tuple(_stream_checks.watching_checks.list)
datagram_checks: tuple[Check, ...] = tuple(_datagram_checks.checks.list)
datagram_watching_checks: tuple[Check, ...] = tuple(_datagram_checks.watching_checks.list)
