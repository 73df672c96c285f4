"""An exception while a connection is given up, released or closed: what is left to do is done later.

The walk in `behaviour/test_interruptions.py` raises at every place. Here it is raised where the clean-up itself is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import httpcore2
from httpcore2_core._api import leases, sync_pool
from httpcore2_core._http.lease import Lease
from httpcore2_core._net.coroutines import run_blocking
from httpcore2_core._net.thread_runtime import ThreadRuntime
from httpcore2_core._pool.ledger import Decisions, Ledger
from httpcore2_core._pool.locked_ledger import LockedLedger

from ...support.scripted_servers import response

FINE = response(b"fine")


class Once:
    """Raises the first time that it is called."""

    def __init__(self, then: Callable[..., Any] = lambda *_: None) -> None:
        self.calls = 0
        self._then = then

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        if self.calls == 1:
            raise KeyboardInterrupt
        return self._then(*arguments)


class Own(httpcore2.ConnectionInterface):
    """A connection of a caller's own, which answers by itself."""

    def __init__(self, *, is_shared: bool) -> None:
        self.was_closed = False
        self._is_shared = is_shared

    def handle_request(self, request: httpcore2.Request) -> httpcore2.Response:
        return httpcore2.Response(200, content=b"fine")

    def can_handle_request(self, origin: httpcore2.Origin) -> bool:
        return True

    def can_multiplex(self) -> bool:
        return self._is_shared

    def has_expired(self) -> bool:
        return False

    def is_idle(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self.was_closed

    def is_connected(self) -> bool:
        return not self.was_closed

    def close(self) -> None:
        self.was_closed = True


class Pool(httpcore2.ConnectionPool):
    """Makes connections of the caller's own."""

    def __init__(self, *, is_shared: bool = False, keepalive_expiry: float | None = None) -> None:
        super().__init__(max_connections=1, keepalive_expiry=keepalive_expiry)
        self.made: list[Any] = []
        self._is_shared = is_shared

    def create_connection(self, origin: httpcore2.Origin) -> httpcore2.ConnectionInterface:
        self.made.append(Own(is_shared=self._is_shared))
        made: httpcore2.ConnectionInterface = self.made[-1]
        return made


def test_a_connection_whose_closing_is_interrupted_is_closed_with_the_next() -> None:
    pool = Pool()
    assert pool.request("GET", "http://a/").content == b"fine"
    (own,) = pool.made
    own.is_connected = Once(own.is_connected)
    with pytest.raises(KeyboardInterrupt):
        pool.close()
    assert not own.was_closed
    pool.close()
    assert own.was_closed


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_request_that_is_interrupted_before_it_is_sent_releases_its_connection(
    is_shared: bool,
) -> None:
    with Pool(is_shared=is_shared) as pool:
        assert pool.request("GET", "http://a/").content == b"fine"
        (own,) = pool.made
        own.has_expired = Once(own.has_expired)
        with pytest.raises(KeyboardInterrupt):
            pool.request("GET", "http://a/")
        assert "Requests: 0 active, 0 queued" in repr(pool)
        extensions = {"timeout": {"pool": 0.0}}
        assert pool.request("GET", "http://a/", extensions=extensions).content == b"fine"
        assert len(pool.made) == (1 if is_shared else 2)


def test_a_connection_that_was_released_meanwhile_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread releases one after the first checkout, and before the request would wait."""
    with Pool() as pool:
        pool.request("GET", "http://a/")
        calls = []
        original = Ledger.checkout

        def checkout(ledger: Any, key: Any, now: float) -> Any:
            calls.append(key)
            return None if len(calls) == 1 else original(ledger, key, now)

        monkeypatch.setattr(Ledger, "checkout", checkout)
        assert pool.request("GET", "http://a/").content == b"fine"
        assert len(pool.made) == 1
        # An exception in the moment in which it was found.
        calls.clear()
        monkeypatch.setattr(pool._engine, "_apply_decisions", Once(pool._engine._apply_decisions))
        with pytest.raises(KeyboardInterrupt):
            pool.request("GET", "http://a/")
        monkeypatch.undo()
        assert "Requests: 0 active, 0 queued" in repr(pool)
        assert pool.request("GET", "http://a/").content == b"fine"


def test_a_request_that_is_interrupted_before_it_has_acquired_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Pool() as pool:
        pool.request("GET", "http://a/")
        monkeypatch.setattr(Ledger, "checkout", lambda *_: interrupted_later(monkeypatch))
        with pytest.raises(KeyboardInterrupt):
            pool.request("GET", "http://a/")
        monkeypatch.undo()
        assert "Requests: 0 active, 0 queued" in repr(pool)
        assert pool.request("GET", "http://a/").content == b"fine"


def interrupted_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find nothing, and be interrupted the next time."""
    monkeypatch.setattr(Ledger, "checkout", Once())


def test_a_dial_continues_after_a_repair() -> None:
    class Repaired(Pool):
        def create_connection(self, origin: httpcore2.Origin) -> httpcore2.ConnectionInterface:
            self._engine._ledger._is_changing = True
            assert "Requests: 1 active" in repr(self)
            return super().create_connection(origin)

    with Repaired() as pool:
        assert pool.request("GET", "http://a/").content == b"fine"


def test_a_connection_that_another_thread_closes_first_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = Pool()
    pool.request("GET", "http://a/")
    engine: Any = pool._engine
    taken: Decisions[Any, Any] = Decisions()
    take = LockedLedger.take_decisions

    def take_second(ledger: Any, decisions: Decisions[Any, Any]) -> None:
        take(ledger, taken)
        take(ledger, decisions)

    engine._ledger.clear()
    monkeypatch.setattr(LockedLedger, "take_decisions", take_second)
    engine._apply_decisions()
    assert len(taken.closing) == 1
    (own,) = pool.made
    assert not own.was_closed


def test_a_connection_that_has_expired_is_closed_when_the_next_request_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(ThreadRuntime, "now", lambda _: now[0])
    with Pool(keepalive_expiry=5.0) as pool:
        pool.request("GET", "http://a/")
        now[0] += 6.0
        assert pool.request("GET", "http://a/").content == b"fine"
        first, second = pool.made
        assert "Connections: 0 active, 1 idle" in repr(pool)
        assert not second.was_closed
    assert first.was_closed


def test_a_decision_whose_taking_is_interrupted_is_applied_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = Pool()
    pool.request("GET", "http://a/")
    engine: Any = pool._engine
    engine._ledger.clear()
    monkeypatch.setattr(LockedLedger, "take_decisions", Once())
    with pytest.raises(KeyboardInterrupt):
        engine._apply_decisions()
    monkeypatch.undo()
    pool.close()
    (own,) = pool.made
    assert own.was_closed


def test_a_response_whose_exchange_has_just_ended_is_not_ended_again() -> None:
    lease: Lease[Any] = Lease()

    def release(*_: object) -> None:
        released.append(None)
        lease.uses += 1
        raise KeyboardInterrupt

    released: list[None] = []
    _, received = exchanged(release)
    body: Any = received.stream
    body.body.lease, body.body.uses = lease, 0
    with pytest.raises(KeyboardInterrupt):
        received.close()
    assert len(released) == 1


def exchanged(on_release: Callable[..., Any]) -> tuple[Any, httpcore2.Response]:
    """Return a connection, and a response of it whose body is still to be read."""
    origin = httpcore2.Origin(b"http", b"a", 80)
    connection: Any = httpcore2.HTTP11Connection(origin, httpcore2.MockStream([FINE]))
    connection._counterpart.on_release = on_release
    request = httpcore2.Request("GET", "http://a/", headers={"Host": "a"})
    return connection, connection.handle_request(request)


def test_a_body_whose_end_is_interrupted_ends_its_connection() -> None:
    released = Once()
    connection, received = exchanged(released)
    body: Any = received.stream
    with pytest.raises(KeyboardInterrupt):
        body.take_remaining()
    assert connection.is_closed()
    assert released.calls == 2
    with pytest.raises(httpcore2.ReadError, match="was closed before"):
        next(received.iter_stream())


def test_a_response_whose_closing_is_interrupted_ends_its_connection() -> None:
    released = Once()
    connection, received = exchanged(released)
    with pytest.raises(KeyboardInterrupt):
        received.close()
    assert connection.is_closed()
    assert released.calls == 2


def test_a_response_does_not_end_the_exchange_that_follows_its_own() -> None:
    released: list[object] = []
    connection, received = exchanged(lambda *arguments: released.append(arguments))
    body: Any = received.stream
    # The connection was released just before an exception came, and has been used again since.
    body.body.lease, body.body.uses = Lease(), 0
    body.body.lease.uses = 1
    received.close()
    assert released == []
    assert not connection.is_closed()


def test_a_response_that_is_interrupted_on_its_way_to_the_caller_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Pool() as pool:
        monkeypatch.setattr(sync_pool, "sync_response", Once())
        with pytest.raises(KeyboardInterrupt):
            pool.request("GET", "http://a/")
        assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)


def test_a_response_of_a_leased_connection_that_is_interrupted_on_its_way_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Pool() as pool:
        with pool.lease("http://a/") as connection:
            monkeypatch.setattr(leases, "sync_response", Once())
            with pytest.raises(KeyboardInterrupt):
                connection.request("GET", "http://a/")
            assert connection._lease is not None and connection._lease._idle == [None]
        assert pool.connections == []


def test_a_request_that_is_interrupted_before_it_began_leaves_no_coroutine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Pool() as pool:
        monkeypatch.setattr(sync_pool, "run_blocking", Once(run_blocking))
        with pytest.raises(KeyboardInterrupt):
            pool.request("GET", "http://a/")
        assert pool.made == []


@pytest.fixture(autouse=True)
def _no_warning_is_ignored(recwarn: pytest.WarningsRecorder) -> Iterator[None]:
    yield
    assert not recwarn.list
