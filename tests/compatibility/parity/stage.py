"""Plays a case: the installed `httpcore2` against a scripted server, on threads, asyncio or trio.

Runs in an environment with either release, and knows only what both have in common.
Rules: what an outcome says is the same in every run; ports, addresses and times are left out of it.
Must not know: which release plays.
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
from . import own

# Looked up by name: what one of the releases lacks is no error of types.
httpcore2: Any = importlib.import_module("httpcore2")

RUNTIMES = ("threads", "asyncio", "trio")
EXTRA_INFO = ("client_addr", "is_readable", "nonsense", "server_addr", "socket", "ssl_object")
_CONNECTED = ("connection.connect_tcp.complete", "connection.connect_unix_socket.complete")
PATIENCE = 0.5
"""Seconds after which a connection of a pool that was closed is taken to be left open."""
TIMEOUTS = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0}


@dataclass(frozen=True)
class Chunks:
    """A request body that is iterated over, in the colour of the runtime, or in the other one."""

    chunks: Sequence[Any]
    is_wrong: bool = False

    def __repr__(self) -> str:
        return f"iterator({list(self.chunks)!r})"


@dataclass(frozen=True)
class Call:
    """One request, by the arguments of `pool.request()`.

    Attributes:
        target: what follows the server's origin in the URL; or a whole URL, in which `PORT` is the server's.
        end: what is done with the response: it is read, closed unread, or held until all calls are done.
    """

    method: Any = "GET"
    target: str = "/"
    headers: Any = None
    content: Any = None
    extensions: Mapping[str, Any] = field(default_factory=dict)
    end: Literal["read", "closed", "held"] = "read"


@dataclass(frozen=True)
class Case:
    """What happens on the stage.

    Attributes:
        name: what it is about.
        script: the server's side of each connection.
        calls: the requests, one after the other.
        pool: options of the pool; a function of the client's TLS context, the server's port and the path of its unix
            socket makes those that need them.
        kind: the class of the pool, without `Async`: of `httpcore2`, or of `own`.
        tls: the ALPN protocols of a server that speaks TLS.
    """

    name: str
    script: Handler
    calls: Sequence[Call]
    pool: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "ConnectionPool"
    tls: Sequence[str] | None = None


@dataclass
class Outcome:
    """What became of a case.

    Attributes:
        results: of each call, what was returned or raised.
        sent: the bytes that came to the server, by connection; those on which nothing came are left out.
        complaints: what went wrong on the server's side.
        left: the pool, after the last call.
        events: what the `trace` extension was told, call by call.
        records: what was logged.
    """

    results: list[dict[str, Any]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    left: str = ""
    events: list[list[str]] = field(default_factory=list)
    records: list[str] = field(default_factory=list)


class _Tap:
    """The server's socket, which notes what is received."""

    def __init__(self, sock: Any) -> None:
        self._socket = sock
        self.notes = b""
        self.is_waiting = threading.Event()
        """Set while the server waits for the client, and after the end."""

    def recv(self, size: int) -> bytes:
        self.is_waiting.set()
        data: bytes = self._socket.recv(size)
        self.is_waiting.clear()
        self.notes += data
        return data

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Do the handshake; what is received from then on is noted in the clear."""
        self._socket = context.wrap_socket(self._socket, server_side=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def start_tls(peer: Peer, context: ssl.SSLContext) -> None:
    """Speak TLS on a connection that has begun without."""
    assert isinstance(peer.socket, _Tap), "on the stage there are no others"
    peer.socket.start_tls(context)


class _Connections:
    """The connections of one case."""

    def __init__(self, script: Handler) -> None:
        self._script = script
        self._lock = threading.Lock()
        self._taps: list[_Tap] = []
        self._ends: list[threading.Event] = []
        self.complaints: list[str] = []

    def serve(self, peer: Peer) -> None:
        tap, end = _Tap(peer.socket), threading.Event()
        peer.socket = tap  # type: ignore[assignment]
        with self._lock:
            peer.number = len(self._taps)
            self._taps.append(tap)
            self._ends.append(end)
        try:
            try:
                self._script(peer)
            except OSError:
                pass  # the client went away
            except Exception as exc:
                self.complaints.append(type(exc).__name__)
                peer.half_close()
            peer.receive_until_close()
        finally:
            tap.is_waiting.set()
            tap.close()
            end.set()

    def wait_closed(self) -> None:
        """Wait until the server has nothing more to send."""
        for tap in self._taps:
            assert tap.is_waiting.wait(LIMIT), "a server never came to an end"

    def received(self, count: int) -> list[bytes]:
        """Return what came on each of `count` connections, once all have ended."""
        deadline = time.monotonic() + LIMIT
        while len(self._ends) < count:
            assert time.monotonic() < deadline, "there were fewer connections than was told"
            time.sleep(0.001)
        for tap, end in zip(self._taps, self._ends, strict=True):
            if not end.wait(PATIENCE):
                self.complaints.append("the client leaves a connection open")
                tap.shutdown(socket.SHUT_RDWR)
                assert end.wait(LIMIT), "a script never ends"
        return [tap.notes for tap in self._taps if tap.notes]


class Stage:
    """Servers that serve one case after the other."""

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

    def play(self, case: Case, runtime: str) -> Outcome:
        """Play a case to its end, and tell how it went."""
        connections = self._connections = _Connections(case.script)
        port = self._ports[case.tls is not None]
        if case.tls is not None:
            self.server_tls.set_alpn_protocols(list(case.tls))
        outcome = Outcome()

        async def scenario() -> None:
            await self._perform(case, runtime, port, outcome)

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
        outcome.complaints = connections.complaints
        self._hide(outcome, str(port))
        return outcome

    def _hide(self, outcome: Outcome, port: str) -> None:
        """Put names in the place of what is another in every run."""

        def hide(text: str) -> str:
            text = re.sub("\x16\x03\x01.*", "a TLS handshake", text, flags=re.DOTALL)
            text = re.sub(r"_ssl\.c:\d+", "_ssl.c", text)
            return text.replace(port, "PORT").replace(self._path, "PATH")

        outcome.sent = [hide(text) for text in outcome.sent]
        outcome.events = [[hide(text) for text in events] for events in outcome.events]
        for result in outcome.results:
            if "message" in result:
                result["message"] = hide(result["message"])

    async def _perform(self, case: Case, runtime: str, port: int, outcome: Outcome) -> None:
        is_sync = runtime == "threads"
        sleep = asyncio.sleep if runtime == "asyncio" else trio.sleep
        scheme = "http" if case.tls is None else "https"
        options = {
            key: value(self._client_tls, port, self._path) if callable(value) else value
            for key, value in case.pool.items()
        }
        if case.tls is not None:
            options["ssl_context"] = self._client_tls
        name = case.kind if is_sync else f"Async{case.kind}"
        pool = getattr(own if hasattr(own, name) else httpcore2, name)(**options)
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
                    for _ in range(3):  # event loops have to see what came
                        await sleep(0)
            for manager in held:
                await _leave(manager, is_sync)
            outcome.left = repr(pool)
        finally:
            await _done(pool.close() if is_sync else pool.aclose())


def _drive(coroutine: Any) -> None:
    """Run a coroutine that has nothing to wait for: on threads, each call is done when it returns."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("something was awaited that is not of the runtime of threads")


async def _done(value: Any) -> Any:
    """Return what a call returns, be it now or when awaited."""
    return await value if inspect.isawaitable(value) else value


async def _call(
    pool: Any, call: Call, url: str, events: list[str], held: list[Any], is_sync: bool
) -> dict[str, Any]:
    def note(name: str, info: Mapping[str, Any]) -> None:
        details = (f"{key}={show(value)}" for key, value in info.items())
        events.append(" ".join((name, *details)))

    async def note_later(name: str, info: Mapping[str, Any]) -> None:
        note(name, info)

    extensions = {
        "timeout": TIMEOUTS,
        "trace": note if is_sync else note_later,
        **call.extensions,
    }
    content = call.content
    if isinstance(content, Chunks):
        is_plain = is_sync is not content.is_wrong
        content = iter(content.chunks) if is_plain else _iterate(content.chunks)
    try:
        if call.end == "read":
            asked = pool.request(
                call.method, url, headers=call.headers, content=content, extensions=extensions
            )
            response = await _done(asked)
        else:
            manager = pool.stream(
                call.method, url, headers=call.headers, content=content, extensions=extensions
            )
            response = await _done(manager.__enter__() if is_sync else manager.__aenter__())
            held.append(manager)
            if call.end == "closed":
                await _leave(held.pop(), is_sync)
    except Exception as exc:
        return {"error": type(exc).__name__, "message": str(exc)}
    extensions = response.extensions
    result = {
        "status": response.status,
        "version": _text(extensions["http_version"]),
        "reason": _text(extensions.get("reason_phrase", b"")),
        "headers": [(_text(name), _text(value)) for name, value in response.headers],
        "body": _text(response.content) if call.end == "read" else None,
        "extensions": sorted(extensions),
    }
    if call.end == "held":
        stream = extensions["network_stream"]
        result["network_stream"] = {key: _kind(stream.get_extra_info(key)) for key in EXTRA_INFO}
    return result


def _kind(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value)
    return "socket" if hasattr(value, "getsockopt") else type(value).__name__


async def _leave(manager: Any, is_sync: bool) -> None:
    nothing = (None, None, None)
    await _done(manager.__exit__(*nothing) if is_sync else manager.__aexit__(*nothing))


async def _iterate(chunks: Sequence[Any]) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def show(value: object) -> str:
    """A text that is the same in every run, and says nothing of private classes."""
    if isinstance(value, BaseException):
        return type(value).__name__
    text = repr(value)
    return "…" if " object at 0x" in text or "h2." in text else text


@contextmanager
def _logged(records: list[str]) -> Iterator[None]:
    """Note what is logged under `httpcore2`."""

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
