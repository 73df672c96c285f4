"""Connections for tests of the engine, with no network: their state is set by hand, and they record what is done.

Must not know: the ledger.
"""

from __future__ import annotations

from collections.abc import Callable

from httpcore2_core._http.bodies import ReceivedBody
from httpcore2_core._http.close_reason import CloseReason
from httpcore2_core._http.established import RequestLimit
from httpcore2_core._http.memory import Memory
from httpcore2_core._http.observation import ConnectionObservation, RequestObservation
from httpcore2_core._http.timeouts import Timeouts
from httpcore2_core._http.traffic import Traffic
from httpcore2_core._models import Origin, Request, Response
from httpcore2_core._net.runtime_backend import RuntimeBackend

from ..fake_runtime import FakeRuntime


class FakeBackend(RuntimeBackend):
    """A backend without a network, for threads or for event loops."""

    def __init__(self, *, is_blocking: bool) -> None:
        self.fake_runtime = FakeRuntime()
        self.fake_runtime.is_blocking = is_blocking
        self.runtime = self.fake_runtime


class FakeBody(ReceivedBody):
    """A response's body that is never read."""

    __slots__ = ()


class FakeConnection:
    """A `Poolable` that responds to each request at once."""

    may_be_resent = False
    close_pending = False
    close_reason: CloseReason | None = None
    http_version = "HTTP/1.1"
    peer_address: object = None

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.capacity = 1
        self.is_retired = False
        self.was_closed = False
        self.aborts = 0
        self.request_limit: RequestLimit | None = None
        self.on_release: Callable[[bool, float | None], None] | None = None
        self.on_change: Callable[[], None] | None = None
        self.uses_alternative = False
        self.memory: Memory | None = None
        self.traffic: Traffic | None = None
        self.observation: ConnectionObservation | None = None

    @property
    def established(self) -> FakeConnection:
        return self

    async def connect(self, request: Request, timeouts: Timeouts) -> None:
        pass

    async def exchange(
        self, request: Request, timeouts: Timeouts, observation: RequestObservation | None
    ) -> Response:
        response = Response(200)
        response.stream = FakeBody()
        return response

    def release(self, *, is_reusable: bool = True) -> None:
        assert self.on_release is not None
        self.was_closed = not is_reusable
        self.on_release(is_reusable, None)

    def change(self) -> None:
        assert self.on_change is not None
        self.on_change()

    def can_handle_request(self, origin: Origin) -> bool:
        return origin == self.origin

    def can_multiplex(self) -> bool:
        return self.capacity > 1

    def become_idle(self) -> None:
        pass

    def is_stale(self) -> bool:
        return False

    def is_closed(self) -> bool:
        return self.was_closed

    def is_connected(self) -> bool:
        return not self.was_closed

    def abort(self) -> None:
        self.was_closed = True
        self.aborts += 1

    async def wait_closed(self) -> None:
        pass
