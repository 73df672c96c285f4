"""The workloads. Each is set up once, and then runs its operation a given number of times.

with WORKLOADS["url"]() as run:
    run(100)
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from hpack import NeverIndexedHeaderTuple
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

import httpcore2
from httpcore2_asyncio._stream import AsyncIOStream
from httpcore2_core._arguments import RequestMemory
from httpcore2_core._http.interfaces import build_request
from httpcore2_core._http.lease import Lease
from httpcore2_core._http.stream_fields import RequestFieldsCache
from httpcore2_core._http.stream_upload import StreamUpload
from httpcore2_core._http.timeouts import TimeoutMemory
from httpcore2_core._http11.codec import HTTP11Codec
from httpcore2_core._net.coroutines import run_blocking
from httpcore2_core._net.thread_backend import ThreadStream
from httpcore2_core._net.thread_runtime import ThreadRuntime
from httpcore2_core._pool.ledger import Ledger
from httpcore2_http2._client_codec import ClientCodec
from httpcore2_http2._stream import Stream as HTTP2RequestStream
from httpcore2_opentelemetry import OpenTelemetryObserver

from .peers import (
    ANSWER,
    BODY,
    SETTINGS,
    Backend,
    DatagramBackend,
    HTTP2Stream,
    SilentListener,
    Stream,
    Transport,
    http2_answer,
)

Operations = Callable[[int], None]

WORKLOADS: dict[str, Callable[[], AbstractContextManager[Operations]]] = {}


def _workload(function: Callable[[], Iterator[Operations]]) -> Callable[[], Iterator[Operations]]:
    WORKLOADS[function.__name__] = contextmanager(function)
    return function


_URL = "http://127.0.0.1:8080/page?of=some&length=1"
_HEADERS = [
    ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Connection", "keep-alive"),
    ("User-Agent", "benchmark/1.0"),
]
_RAW_HEADERS = [
    (b"Host", b"127.0.0.1:8080"),
    *((name.encode(), value.encode()) for name, value in _HEADERS),
]
_EXTENSIONS = {"timeout": dict.fromkeys(("pool", "connect", "read", "write"), 5.0)}
_CHUNKED = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"%x\r\n%b\r\n" % (len(BODY), BODY) for _ in range(16))
    + b"0\r\n\r\n"
)


@_workload
def url() -> Iterator[Operations]:
    """Read the URL of a request."""
    memory = RequestMemory()

    def run(count: int) -> None:
        for _ in range(count):
            memory.url(_URL)

    yield run


@_workload
def request_model() -> Iterator[Operations]:
    """Make a request from the arguments of a caller."""
    memory = RequestMemory()

    def run(count: int) -> None:
        for _ in range(count):
            build_request(memory, "GET", _URL, _HEADERS, None, _EXTENSIONS)

    yield run


@_workload
def timeouts() -> Iterator[Operations]:
    """Read the four timeouts."""
    runtime = ThreadRuntime()
    memory = TimeoutMemory()

    def run(count: int) -> None:
        for _ in range(count):
            memory.of(_EXTENSIONS, runtime)

    yield run


def _exchanges(answers: Iterator[bytes]) -> Operations:
    codec = HTTP11Codec()

    def run(count: int) -> None:
        for _ in range(count):
            codec.start_request(b"GET", b"/page", _RAW_HEADERS, 0)
            codec.receive(next(answers))
            assert codec.take_head() is not None
            while codec.take_chunk():
                pass
            assert codec.is_reusable

    return run


@_workload
def codec_same_heads() -> Iterator[Operations]:
    """An HTTP/1.1 exchange whose heads are the same as the last ones."""
    yield _exchanges(itertools.repeat(ANSWER))


@_workload
def codec_new_heads() -> Iterator[Operations]:
    """An HTTP/1.1 exchange whose response's head is new."""
    parts = ANSWER.split(b"07:19:04", 1)
    yield _exchanges(itertools.cycle([b"07:19:%02d".join(parts) % second for second in range(60)]))


@_workload
def codec_chunks() -> Iterator[Operations]:
    """An HTTP/1.1 exchange with 16 chunks of 1 KiB."""
    yield _exchanges(itertools.repeat(_CHUNKED))


@_workload
def ledger_reuse() -> Iterator[Operations]:
    """Check out one of 1000 connections, and check it in."""
    ledger: Ledger[int, str] = Ledger(None, None, None)
    for number in range(1000):
        lease: Lease[str] = Lease()
        ticket = ledger.reserve(number, False, lease)
        ledger.add(ticket, f"connection {number}")
        ledger.established(f"connection {number}", 1)
        ledger.checkin(f"connection {number}", 0.0)
    keys = itertools.cycle(range(1000))

    def run(count: int) -> None:
        for _ in range(count):
            lease = ledger.checkout(next(keys), 1.0)
            assert lease is not None
            ledger.checkin(lease.connection, 1.0)

    yield run


@_workload
def ledger_dial() -> Iterator[Operations]:
    """Reserve a slot, dial, and discard the connection."""
    ledger: Ledger[int, str] = Ledger(10, None, None)

    def run(count: int) -> None:
        for _ in range(count):
            assert ledger.checkout(1, 1.0) is None
            lease: Lease[str] = Lease()
            ledger.add(ledger.reserve(1, False, lease), "connection")
            ledger.established("connection", 1)
            ledger.discard("connection")

    yield run


@_workload
def ledger_wait() -> Iterator[Operations]:
    """Grant a connection to the first of 1000 waiters."""
    ledger: Ledger[int, str] = Ledger(1, None, None)
    leases: deque[Lease[str]] = deque((Lease() for _ in range(1001)), maxlen=1001)
    ledger.add(ledger.reserve(1, False, leases[0]), "connection")
    ledger.established("connection", 1)
    for lease in itertools.islice(leases, 1, None):
        ledger.reserve(1, False, lease)

    def run(count: int) -> None:
        for _ in range(count):
            leases.append(Lease())
            ledger.reserve(1, False, leases[-1])
            ledger.checkin("connection", 1.0)
            lease = ledger.granted.pop().lease
            assert lease is not None and lease.connection == "connection"

    yield run


@_workload
def http2_codec() -> Iterator[Operations]:
    """An HTTP/2 exchange."""
    codec = ClientCodec(SilentListener(), 1 << 20, 1 << 24)
    cache = RequestFieldsCache(NeverIndexedHeaderTuple)
    codec.take()
    codec.receive(SETTINGS)
    request = build_request(RequestMemory(), "GET", _URL, _HEADERS, None, _EXTENSIONS)

    def run(count: int) -> None:
        for _ in range(count):
            _, pseudo, headers = cache.of(request)
            upload = StreamUpload(b"", None, None)
            stream = HTTP2RequestStream(request, upload, 0)
            assert codec.open_stream(stream, pseudo, headers, True)
            codec.take()
            codec.receive(http2_answer(stream.stream_id))
            data = stream.take_data()
            codec.consumed(stream, len(data))
            assert stream.has_ended and len(data) == len(BODY)
            codec.release(stream)

    yield run


@_workload
def asyncio_stream() -> Iterator[Operations]:
    """Write and read on the asyncio stream. Most of the count is the event loop's."""
    loop = asyncio.new_event_loop()
    sock = socket.socket()
    stream = AsyncIOStream(loop, sock)
    stream.connection_made(Transport(loop, stream))  # type: ignore[arg-type]

    async def exchange(count: int) -> None:
        for _ in range(count):
            await stream.write(b"", 5.0)
            await stream.read(65536, 5.0)

    def run(count: int) -> None:
        loop.run_until_complete(exchange(count))

    yield run
    sock.close()
    loop.close()


@_workload
def asyncio_stale() -> Iterator[Operations]:
    """Poll an idle connection on asyncio. Most of the time is the kernel's."""
    loop = asyncio.new_event_loop()
    sock, peer = socket.socketpair()
    sock.setblocking(False)
    stream = AsyncIOStream(loop, sock)
    stream.connection_made(Transport(loop, stream))  # type: ignore[arg-type]

    def run(count: int) -> None:
        for _ in range(count):
            assert stream.read_nowait(1) is None

    yield run
    sock.close()
    peer.close()
    loop.close()


@_workload
def thread_stream() -> Iterator[Operations]:
    """Write and read on the stream for threads."""
    sock, peer = socket.socketpair()
    sock.setblocking(False)
    stream = ThreadStream(sock, ThreadRuntime())

    async def exchange(count: int) -> None:
        for _ in range(count):
            await stream.write(b"?", 5.0)
            peer.send(peer.recv(65536))
            await stream.read(65536, 5.0)

    def run(count: int) -> None:
        run_blocking(exchange(count))

    yield run
    stream.abort()
    peer.close()


def _requests(
    pool: httpcore2.AsyncConnectionPool,
    observer: httpcore2.Observer | None = None,
    url: str = _URL,
) -> Iterator[Operations]:
    if observer is not None:
        pool.observe(observer)

    async def several(count: int) -> None:
        for _ in range(count):
            response = await pool.request("GET", url, headers=_HEADERS, extensions=_EXTENSIONS)
            assert len(response.content) == len(BODY)

    def run(count: int) -> None:
        run_blocking(several(count))

    yield run
    run_blocking(pool.aclose())


@_workload
def request() -> Iterator[Operations]:
    """A whole request over HTTP/1.1, without the network."""
    yield from _requests(httpcore2.AsyncConnectionPool(network_backend=Backend(Stream)))


@_workload
def request_observed() -> Iterator[Operations]:
    """The same with an observer that does nothing."""
    pool = httpcore2.AsyncConnectionPool(network_backend=Backend(Stream))
    yield from _requests(pool, httpcore2.Observer())


@_workload
def request_opentelemetry_off() -> Iterator[Operations]:
    """The same with the observer of OpenTelemetry, and no SDK that would record anything."""
    pool = httpcore2.AsyncConnectionPool(network_backend=Backend(Stream))
    yield from _requests(pool, OpenTelemetryObserver())


@_workload
def request_opentelemetry_metrics() -> Iterator[Operations]:
    """The same with the SDK, which records the duration of requests."""
    pool = httpcore2.AsyncConnectionPool(network_backend=Backend(Stream))
    yield from _requests(pool, OpenTelemetryObserver(meter_provider=MeterProvider()))


@_workload
def request_opentelemetry() -> Iterator[Operations]:
    """The same with the SDK, which records the duration and the span of each request, and exports neither."""
    pool = httpcore2.AsyncConnectionPool(network_backend=Backend(Stream))
    yield from _requests(
        pool,
        OpenTelemetryObserver(tracer_provider=TracerProvider(), meter_provider=MeterProvider()),
    )


@_workload
def http2_request() -> Iterator[Operations]:
    """A whole request over HTTP/2, without the network."""
    yield from _requests(
        httpcore2.AsyncConnectionPool(http1=False, http2=True, network_backend=Backend(HTTP2Stream))
    )


@_workload
def http3_request() -> Iterator[Operations]:
    """A whole request over HTTP/3, without the network. About half of the count is the server's, which is qh3, too."""
    backend = DatagramBackend()
    pool = httpcore2.AsyncConnectionPool(
        http1=False,
        http2=False,
        http3=True,
        network_backend=backend,
        ssl_context=backend.ssl_context,
    )
    yield from _requests(pool, url=_URL.replace("http:", "https:"))
