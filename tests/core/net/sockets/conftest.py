"""The event loops that streams over readiness run on. Tests are written for anyio, which runs on all of them."""

from __future__ import annotations

import gc
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
import pytest

from httpcore2_asyncio import AnyIOBackend
from httpcore2_core._net.socket_backend import ReadinessBackend
from httpcore2_core._net.socket_stream import SocketStream
from httpcore2_trio import TrioBackend

T = TypeVar("T")


@dataclass(frozen=True)
class Loop:
    """A backend, and the event loop under it."""

    backend: ReadinessBackend
    library: str
    options: dict[str, Any] = field(default_factory=dict)

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        async def limited() -> T:
            with anyio.fail_after(20):
                result = await main()
            return result

        return anyio.run(limited, backend=self.library, backend_options=self.options)


def host_and_port(listener: socket.socket) -> tuple[str, int]:
    """Where `listener` is connected to."""
    host, port = listener.getsockname()
    return host, port


LOOPS = {
    "trio": Loop(TrioBackend(), "trio"),
    "anyio-asyncio": Loop(AnyIOBackend(), "asyncio", {"use_uvloop": False}),
    "anyio-uvloop": Loop(AnyIOBackend(), "asyncio", {"use_uvloop": True}),
    "anyio-trio": Loop(AnyIOBackend(), "trio"),
}


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest, no_leaks: None) -> Loop:
    return LOOPS[request.param]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


class Pair:
    """A stream, and the socket at its other end, which blocks."""

    def __init__(self, loop: Loop) -> None:
        ours, self.peer = socket.socketpair()
        ours.setblocking(False)
        self.peer.settimeout(10)
        self.stream = SocketStream(ours, loop.backend.runtime)

    def close(self) -> None:
        self.stream.abort()
        self.peer.close()


@pytest.fixture
def pair(loop: Loop) -> Iterator[Pair]:
    pair = Pair(loop)
    yield pair
    pair.close()
    gc.collect()
