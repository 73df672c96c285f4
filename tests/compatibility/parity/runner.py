"""Runs a case: the installed `httpcore2` sends requests to a scripted server, on threads, asyncio or trio.

It runs in an environment with either release, and uses only the names that both have.
Rules: an outcome is the same in every run, so it contains no ports, addresses and times.
Must not know: which release is installed.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import trio
import trustme

from ...support.scripted_servers import LIMIT, Handler, Peer, scripted_server
from . import custom_pools

# Imported by name, so that a type checker does not miss names that one of the releases lacks.
httpcore2: Any = importlib.import_module("httpcore2")

RUNTIMES = ("threads", "asyncio", "trio")
EXTRA_INFO = ("client_addr", "is_readable", "nonsense", "server_addr", "socket", "ssl_object")
_CONNECTED = ("connection.connect_tcp.complete", "connection.connect_unix_socket.complete")
CLOSE_TIMEOUT = 0.5
"""Seconds after which a connection of a closed pool counts as left open."""
TIMEOUTS = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0}

# Each response has them in this release, and none in 2.16.2.
ADDED_EXTENSIONS = {"peer_address", "local_address"}


@dataclass(frozen=True)
class Chunks:
    """A request body that is an iterator: sync on threads, else async; the other way round if it is mismatched."""

    chunks: Sequence[Any]
    is_mismatched: bool = False

    def __repr__(self) -> str:
        return f"iterator({list(self.chunks)!r})"


@dataclass(frozen=True)
class Call:
    """One request, by the arguments of `pool.request()`.

    Attributes:
        target: the URL without the server's origin; or a whole URL, in which `PORT` stands for the server's port.
        end: whether the response is read, closed unread, or held until all calls are complete.
    """

    method: Any = "GET"
    target: str = "/"
    headers: Any = None
    content: Any = None
    extensions: Mapping[str, Any] = field(default_factory=dict)
    end: Literal["read", "closed", "held"] = "read"


@dataclass(frozen=True)
class Case:
    """The requests of a client and the script of its server.

    Attributes:
        name: its name in the facts.
        script: the server's side of each connection.
        calls: the requests, in sequence.
        pool: the arguments of the pool; a function is called with the client's TLS context, the server's port and the
            path of its unix socket, and returns the argument.
        pool_class: the sync class of the pool, in `custom_pools` or else `httpcore2`.
        tls: the ALPN protocols of a server that speaks TLS.
    """

    name: str
    script: Handler
    calls: Sequence[Call]
    pool: Mapping[str, Any] = field(default_factory=dict)
    pool_class: str = "ConnectionPool"
    tls: Sequence[str] | None = None


@dataclass
class Outcome:
    """The outcome of a case.

    Attributes:
        results: the response or exception of each call.
        sent: the bytes that the server received on each connection, without connections that received none.
        server_errors: the errors on the server's side.
        pool: the `repr` of the pool after the last call.
        events: the trace events of each call.
        records: the log records.
    """

    results: list[dict[str, Any]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    server_errors: list[str] = field(default_factory=list)
    pool: str = ""
    events: list[list[str]] = field(default_factory=list)
    records: list[str] = field(default_factory=list)


class _RecordingSocket:
    """The server's socket, which records all received bytes."""

    def __init__(self, sock: Any) -> None:
        self._socket = sock
        self.received = b""
        self.is_waiting = threading.Event()
        """Set while the server waits for the client, and after the end of the connection."""

    def recv(self, size: int) -> bytes:
        self.is_waiting.set()
        data: bytes = self._socket.recv(size)
        self.is_waiting.clear()
        self.received += data
        return data

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Do the handshake; bytes received later are recorded decrypted."""
        self._socket = context.wrap_socket(self._socket, server_side=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def start_tls(peer: Peer, context: ssl.SSLContext) -> None:
    """Start TLS on a connection in clear text."""
    assert isinstance(peer.socket, _RecordingSocket), "the runner replaces every socket"
    peer.socket.start_tls(context)


class _Connections:
    """The connections of one case."""

    def __init__(self, script: Handler) -> None:
        self._script = script
        self._lock = threading.Lock()
        self._sockets: list[_RecordingSocket] = []
        self._ends: list[threading.Event] = []
        self.errors: list[str] = []

    def serve(self, peer: Peer) -> None:
        sock, end = _RecordingSocket(peer.socket), threading.Event()
        peer.socket = sock  # type: ignore[assignment]
        with self._lock:
            peer.number = len(self._sockets)
            self._sockets.append(sock)
            self._ends.append(end)
        try:
            try:
                self._script(peer)
            except OSError:
                pass  # the client disconnected
            except Exception as exc:
                self.errors.append(type(exc).__name__)
                peer.half_close()
            peer.receive_until_close()
        finally:
            sock.is_waiting.set()
            sock.close()
            end.set()

    def wait_closed(self) -> None:
        """Wait until the server waits for the client on every connection."""
        for sock in self._sockets:
            assert sock.is_waiting.wait(LIMIT), "a script neither ends nor waits for the client"

    def received(self, count: int) -> list[bytes]:
        """Return the received bytes of each of `count` connections, after the end of all."""
        deadline = time.monotonic() + LIMIT
        while len(self._ends) < count:
            assert time.monotonic() < deadline, (
                "the server accepted fewer connections than the trace events contain"
            )
            time.sleep(0.001)
        for sock, end in zip(self._sockets, self._ends, strict=True):
            if not end.wait(CLOSE_TIMEOUT):
                self.errors.append("the client left a connection open")
                sock.shutdown(socket.SHUT_RDWR)
                assert end.wait(LIMIT), "a script does not end"
        return [sock.received for sock in self._sockets if sock.received]


class CaseRunner:
    """Runs cases in sequence, with the same servers."""

    def __init__(self) -> None:
        authority = trustme.CA()
        self.server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost", "www.example.com").configure_cert(
            self.server_tls
        )
        self._client_tls = ssl.create_default_context()
        authority.configure_trust(self._client_tls)
        self._connections = _Connections(lambda peer: None)
        self._ports: dict[bool, int] = {}
        self._path = ""

    @contextmanager
    def open(self) -> Iterator[None]:
        def serve(peer: Peer) -> None:
            self._connections.serve(peer)

        with (
            TemporaryDirectory() as folder,
            scripted_server(serve, allow_disconnect=True) as plain,
            scripted_server(serve, tls=self.server_tls, allow_disconnect=True) as encrypted,
            scripted_server(serve, uds=Path(folder, "socket"), allow_disconnect=True),
        ):
            self._ports = {False: plain.port, True: encrypted.port}
            self._path = str(Path(folder, "socket"))
            yield

    def run(self, case: Case, runtime: str) -> Outcome:
        """Run a case on a runtime, and return its outcome."""
        connections = self._connections = _Connections(case.script)
        port = self._ports[case.tls is not None]
        if case.tls is not None:
            self.server_tls.set_alpn_protocols(list(case.tls))
        outcome = Outcome()

        async def scenario() -> None:
            await self._run_calls(case, runtime, port, outcome)

        with _logged(outcome.records):
            if runtime == "threads":
                _drive(scenario())
            elif runtime == "asyncio":
                asyncio.run(scenario())
            else:
                trio.run(scenario)
        count = sum(event.startswith(_CONNECTED) for events in outcome.events for event in events)
        if case.tls is not None:
            count -= sum(
                "start_tls.failed" in event for events in outcome.events for event in events
            )
        outcome.sent = [_text(data) for data in connections.received(count)]
        outcome.server_errors = connections.errors
        self._mask(outcome, str(port))
        return outcome

    def _mask(self, outcome: Outcome, port: str) -> None:
        """Replace the values that differ in every run by names."""

        def mask(text: str) -> str:
            text = re.sub("\x16\x03\x01.*", "a TLS handshake", text, flags=re.DOTALL)
            text = re.sub(r"_ssl\.c:\d+", "_ssl.c", text)
            return text.replace(port, "PORT").replace(self._path, "PATH")

        outcome.sent = [mask(text) for text in outcome.sent]
        outcome.events = [[mask(text) for text in events] for events in outcome.events]
        for result in outcome.results:
            if "message" in result:
                result["message"] = mask(result["message"])

    async def _run_calls(self, case: Case, runtime: str, port: int, outcome: Outcome) -> None:
        is_sync = runtime == "threads"
        sleep = asyncio.sleep if runtime == "asyncio" else trio.sleep
        scheme = "http" if case.tls is None else "https"
        options = {
            key: value(self._client_tls, port, self._path) if callable(value) else value
            for key, value in case.pool.items()
        }
        if case.tls is not None:
            options["ssl_context"] = self._client_tls
        name = case.pool_class if is_sync else f"Async{case.pool_class}"
        pool = getattr(custom_pools if hasattr(custom_pools, name) else httpcore2, name)(**options)
        held: list[Any] = []
        try:
            for call in case.calls:
                url = call.target.replace("PORT", str(port))
                if "://" not in url:
                    url = f"{scheme}://127.0.0.1:{port}{url}"
                events: list[str] = []
                outcome.events.append(events)
                outcome.results.append(await _call(pool, call, url, events, held, is_sync))
                self._connections.wait_closed()
                if not is_sync:
                    for _ in range(3):  # event loops must receive the input
                        await sleep(0)
            for manager in held:
                await _exit(manager, is_sync)
            outcome.pool = repr(pool)
        finally:
            await _resolve(pool.close() if is_sync else pool.aclose())


def _drive(coroutine: Any) -> None:
    """Run a coroutine that never suspends: on threads, each call is complete when it returns."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("the coroutine suspended")


async def _resolve(value: Any) -> Any:
    """Return a value, awaited if it is awaitable."""
    return await value if inspect.isawaitable(value) else value


async def _call(
    pool: Any, call: Call, url: str, events: list[str], held: list[Any], is_sync: bool
) -> dict[str, Any]:
    def record(name: str, info: Mapping[str, Any]) -> None:
        details = (f"{key}={stable_repr(value)}" for key, value in info.items())
        events.append(" ".join((name, *details)))

    async def record_async(name: str, info: Mapping[str, Any]) -> None:
        record(name, info)

    extensions = {
        "timeout": TIMEOUTS,
        "trace": record if is_sync else record_async,
        **call.extensions,
    }
    content = call.content
    if isinstance(content, Chunks):
        is_sync_content = is_sync is not content.is_mismatched
        content = iter(content.chunks) if is_sync_content else _iterate(content.chunks)
    try:
        if call.end == "read":
            returned = pool.request(
                call.method, url, headers=call.headers, content=content, extensions=extensions
            )
            response = await _resolve(returned)
        else:
            manager = pool.stream(
                call.method, url, headers=call.headers, content=content, extensions=extensions
            )
            response = await _resolve(manager.__enter__() if is_sync else manager.__aenter__())
            held.append(manager)
            if call.end == "closed":
                await _exit(held.pop(), is_sync)
    except Exception as exc:
        return {"error": type(exc).__name__, "message": str(exc)}
    extensions = response.extensions
    result = {
        "status": response.status,
        "version": _text(extensions["http_version"]),
        "reason": _text(extensions.get("reason_phrase", b"")),
        "headers": [(_text(name), _text(value)) for name, value in response.headers],
        "body": _text(response.content) if call.end == "read" else None,
        "extensions": sorted(set(extensions) - ADDED_EXTENSIONS),
    }
    if call.end == "held":
        stream = extensions["network_stream"]
        result["network_stream"] = {key: _kind(stream.get_extra_info(key)) for key in EXTRA_INFO}
    return result


def _kind(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value)
    return "socket" if hasattr(value, "getsockopt") else type(value).__name__


async def _exit(manager: Any, is_sync: bool) -> None:
    nothing = (None, None, None)
    await _resolve(manager.__exit__(*nothing) if is_sync else manager.__aexit__(*nothing))


async def _iterate(chunks: Sequence[Any]) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def stable_repr(value: object) -> str:
    """Return a text that is the same in every run, and does not contain private classes."""
    if isinstance(value, BaseException):
        return type(value).__name__
    text = repr(value)
    return "…" if " object at 0x" in text or "h2." in text else text


@contextmanager
def _logged(records: list[str]) -> Iterator[None]:
    """Record the log records of `httpcore2` and its children."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage().partition(" ")[0]
            records.append(f"{record.name} {record.levelname} {message}")

    logger = logging.getLogger("httpcore2")
    handler = Handler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
