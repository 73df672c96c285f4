"""The clients, each used as its documentation recommends.

All have the settings of a real application: four timeouts (or as many as the client has), the usual header fields, a
pool of the given size, verified certificates, and bodies read to the end.

Each module has `create(settings)`, which returns a `Client` for threads, and an `AsyncClient` for event loops. This
module runs in every client's environment, with the standard library only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import THIS, Case, Operation, Runtime

CHUNK = bytes(64 * 1024)
"""The chunk that uploads repeat."""


@dataclass(frozen=True)
class Settings:
    """The settings of a client."""

    runtime: Runtime
    connections: int
    authority: str | None
    http2: bool
    http3: bool
    keep_alive: bool
    proxy: str | None
    patience: float

    @property
    def headers(self) -> dict[str, str]:
        """The header fields of an application."""
        headers = {
            "Accept": "*/*",
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": "benchmark/1.0",
        }
        if not self.http2:  # HTTP/2 and HTTP/3 forbid the field (RFC 9113, section 8.2.2)
            headers["Connection"] = "keep-alive" if self.keep_alive else "close"
        return headers


class Received:
    """The length of a downloaded body, and its last chunk."""

    __slots__ = ("last", "length")

    def __init__(self, chunks: Iterable[Any] = ()) -> None:
        self.length = 0
        self.last: Any = b""
        for chunk in chunks:
            self.take(chunk)

    def take(self, chunk: Any) -> None:
        self.length += len(chunk)
        self.last = chunk


class Client:
    """A client for threads. Its methods return the status, and the body or a `Received`."""

    def close(self) -> None:
        """Close all connections."""
        raise NotImplementedError

    def get(self, url: str) -> tuple[int, Any]:
        raise NotImplementedError

    def post(self, url: str, body: bytes) -> tuple[int, Any]:
        raise NotImplementedError

    def upload(self, url: str, size: int) -> tuple[int, Any]:
        raise NotImplementedError

    def download(self, url: str) -> tuple[int, Received]:
        raise NotImplementedError


class AsyncClient:
    """A client for event loops. It is created while the loop runs."""

    async def close(self) -> None:
        """Close all connections."""
        raise NotImplementedError

    async def get(self, url: str) -> tuple[int, Any]:
        raise NotImplementedError

    async def post(self, url: str, body: bytes) -> tuple[int, Any]:
        raise NotImplementedError

    async def upload(self, url: str, size: int) -> tuple[int, Any]:
        raise NotImplementedError

    async def download(self, url: str) -> tuple[int, Received]:
        raise NotImplementedError


def chunks(size: int) -> Iterator[bytes]:
    """Yield `size` bytes in chunks."""
    while size > 0:
        yield CHUNK[:size]
        size -= len(CHUNK)


async def async_chunks(size: int) -> AsyncIterator[bytes]:
    """Yield `size` bytes in chunks, as an async iterator."""
    for chunk in chunks(size):
        yield chunk


_ALL: frozenset[Operation] = frozenset(("get", "post", "upload", "download", "idle", "import"))


@dataclass(frozen=True)
class Kind:
    """A client that can be measured.

    Attributes:
        label: its name in tables.
        module: its module in this package.
        package: the package that it imports.
        environment: its environment in the matrix of `hatch.toml`; `None` for that of this httpcore2.
        runtimes: the runtimes that it supports.
        http2: whether it supports HTTP/2.
        http3: whether it supports HTTP/3.
        operations: the operations that it supports.
        proxies: whether it supports proxies.
        has_pool: whether it limits the number of connections.
    """

    label: str
    module: str
    package: str
    environment: str | None
    runtimes: frozenset[Runtime]
    http2: bool = False
    http3: bool = False
    operations: frozenset[Operation] = _ALL
    proxies: bool = True
    has_pool: bool = True

    def can(self, case: Case) -> bool:
        """Return whether it supports a case."""
        return (
            case.operation in self.operations
            and (case.runtime in self.runtimes or case.operation == "import")
            and (self.http2 or not case.http2)
            and (self.http3 or not case.http3)
            and (self.proxies or not case.proxy)
            and (self.has_pool or case.tasks <= case.connections)
        )


_ASYNCIO: frozenset[Runtime] = frozenset(("asyncio", "uvloop"))
_THREADS: frozenset[Runtime] = frozenset(("threads",))
_EVERYWHERE: frozenset[Runtime] = frozenset(("threads", "asyncio", "uvloop", "trio", "anyio"))

KINDS = {
    THIS: Kind("httpcore2 (this)", "httpcore", "httpcore2", None, _EVERYWHERE, True, True),
    "floor": Kind(
        "floor: sockets alone",
        "floor",
        "asyncio",
        None,
        _EVERYWHERE - {"anyio"},
        operations=frozenset(("get",)),
        proxies=False,
        has_pool=False,
    ),
    "published": Kind("httpcore2 2.16.2", "httpcore", "httpcore2", "httpcore2", _EVERYWHERE, True),
    "httpcore": Kind("httpcore 1.0.9", "httpcore", "httpcore", "httpcore", _EVERYWHERE, True),
    "httpx2": Kind("httpx2", "httpx2", "httpx2", "httpx2", _ASYNCIO | _THREADS, True),
    "aiohttp": Kind("aiohttp", "aiohttp", "aiohttp", "aiohttp", _ASYNCIO),
    "pyreqwest": Kind(
        "pyreqwest", "pyreqwest", "pyreqwest.client", "pyreqwest", _ASYNCIO | _THREADS, True
    ),
    "niquests": Kind(
        "niquests", "niquests", "niquests", "niquests", _ASYNCIO | _THREADS, True, True
    ),
    "urllib3": Kind("urllib3", "urllib3", "urllib3", "urllib3", _THREADS),
    "pycurl": Kind("pycurl", "pycurl", "pycurl", "pycurl", _THREADS, True, has_pool=False),
    "standard": Kind("http.client", "standard", "http.client", None, _THREADS, proxies=False),
}
