"""Checks the inside of an HTTP/3 connection: it holds nothing of any request when it is idle.

The only module of the tests that uses these private names for it.
Must not know: runtimes, servers.
"""

from __future__ import annotations

from typing import Any

from httpcore2_http3._session import Session

KEPT = 200
"""The most streams of an idle connection that qh3 may still know: those that the server has not acknowledged."""


def session(pool: Any) -> Session:
    """The session of the only HTTP/3 connection in a pool."""
    (connection,) = pool.connections
    established = getattr(connection, "_counterpart", connection).established
    assert isinstance(established._session, Session)
    return established._session


def check_idle(pool: Any) -> None:
    """Check that the only connection in a pool is idle, and that nothing of any request is left on it."""
    assert "Requests: 0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)
    of_connection = session(pool)
    assert not of_connection.streams and not of_connection.exchanges
    assert not of_connection.uploads and not of_connection.credit_turns
    role = of_connection.endpoint._role
    assert not role.waiting and role.holder is None
    assert not of_connection.endpoint._unsent and not of_connection._excess
    assert not of_connection.endpoint._is_flush_due
    h3 = of_connection._h3
    assert h3 is not None
    kept = (len(h3._stream), len(of_connection.quic._created_local_stream_ids))
    assert max(kept) < KEPT, f"streams that HTTP/3 and QUIC still know: {kept}"
