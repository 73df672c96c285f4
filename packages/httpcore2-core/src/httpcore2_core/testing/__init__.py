"""For tests: of what is built on this package, and of network backends.

**Of what is built on it.** A `Script` says what a server answers, request by request, and notes what it was asked.
It is served without a network by `ScriptedBackend` and `AsyncScriptedBackend`, or over sockets by a `ScriptedServer`.
`RecordingBackend` and `AsyncRecordingBackend` note the bytes that go through any other backend. Where nothing depends
on the request, `MockBackend` and `AsyncMockBackend` of the package itself will do.

**Of network backends**, for those who write one: checks. Each is a coroutine function that takes a `Subject`, talks to
a peer on the loopback interface, and raises `AssertionError`, or what the backend raises, when something is not as the
interface says. It needs no test framework and no certain event loop, and ends by itself within some seconds, unless a
call of the backend never returns. Choose from the lists:

- `backend_checks`: what every backend and its streams have to do.
- `resolver_checks`: how a name with several addresses is connected to, by backends that call `socket.getaddrinfo`; they
  replace it meanwhile.
- `runtime_checks`: for a `RuntimeBackend`, whose streams are `BackendStream`s.
- `watching_checks`: for those of them whose streams call a watcher.

For example `asyncio.run(check(Subject(backend=MyBackend(), …)))`, or, of a backend for threads,
`run_blocking(check(thread_subject(MyBackend(), …)))`.
"""

from __future__ import annotations

from .._net.runtime import run_blocking
from . import _backends, _streams
from ._doubles import (
    AsyncRecordingBackend,
    AsyncScriptedBackend,
    ReceivedRequest,
    Recording,
    RecordingBackend,
    Reply,
    Script,
    ScriptedBackend,
    ScriptedServer,
    reply,
)
from ._subject import Check, Subject, thread_subject

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
    "reply",
    "resolver_checks",
    "run_blocking",
    "runtime_checks",
    "thread_subject",
    "watching_checks",
]

backend_checks: tuple[Check, ...] = (*_streams.checks.list, *_backends.checks.list)
resolver_checks: tuple[Check, ...] = tuple(_backends.resolver_checks.list)
runtime_checks: tuple[Check, ...] = (*_streams.own_checks.list, *_backends.runtime_checks.list)
watching_checks: tuple[Check, ...] = tuple(_streams.watching_checks.list)
