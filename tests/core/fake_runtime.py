"""A stream and a runtime that do nothing but remember, for tests of what is built on them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.runtime import Runtime, Waiter

T = TypeVar("T")


class FakeRuntime(Runtime):
    """A runtime whose clock is set by hand, and in which nothing waits."""

    def __init__(self, now: float = 0.0) -> None:
        self.time = now
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def token(self) -> object:
        return self

    def is_running(self, token: object) -> bool:
        return token is self

    def create_waiter(self) -> Waiter:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def shielded(self, call: Callable[[], Awaitable[T]]) -> T:
        return await call()


class FakeStream(BackendStream):
    """A stream that gives what it is told to, and remembers what it is asked."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.calls: list[tuple[Any, ...]] = []
        self.fake_runtime = FakeRuntime()

    @property
    def runtime(self) -> Runtime:
        return self.fake_runtime

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.calls.append(("read", max_bytes, timeout))
        return self.pieces.pop(0)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.calls.append(("write", buffer, timeout))

    def abort(self) -> None:
        self.calls.append(("abort",))

    def read_nowait(self, max_bytes: int) -> bytes | None:
        self.calls.append(("read_nowait", max_bytes))
        return self.pieces.pop(0) if self.pieces else None

    def watch(self, callback: Callable[[], None] | None) -> None:
        self.calls.append(("watch", callback))

    def get_extra_info(self, info: str) -> Any:
        return f"the stream's {info}"
