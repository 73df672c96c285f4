"""The life of an established connection, as a table: HTTP/1.1 and HTTP/2 have the same.

The states say what a request could rely on if it failed now:

- A connection on which nothing of a request was sent (`RESERVED`) is as good as before. One on which something was sent
  (`ACTIVE`) can be used again only after a complete exchange.
- A `RETIRED` connection takes no further request, and closes when those under way have ended (HTTP/2, GOAWAY).
- A connection that the server closed (`CLOSED`) may have closed while a request was on its way to it, so that request
  may be sent again. After an `ABORTED` one, which was closed on this side, no request is sent again.

HTTP/1.1 serves one request at a time, so `REQUEST` is forbidden in `RESERVED` and `ACTIVE`. HTTP/2 reports the first
request and the end of the last one that is under way, and begins in `IDLE`: a new connection can take several requests.

`abort()` may come from another thread, or a cancelled task, between any two events of an exchange: so `ABORTED`
allows all of them, and stays. `EstablishedConnection._change` is the one method that changes the state.

Must not know: how HTTP is framed, pools.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from .._states import Label, Transitions, columns


class ConnectionState(Label):
    """How much of its life a connection has behind it; the value is what `info()` and `repr()` show."""

    NEW = "NEW", "no request yet"
    RESERVED = "ACTIVE", "a request has begun, and nothing of it was sent"
    ACTIVE = "ACTIVE", "requests are under way"
    IDLE = "IDLE", "no request is under way"
    RETIRED = "ACTIVE", "takes no further request, those under way go on"
    CLOSED = "CLOSED", "closed by the server, or after an exchange that was not complete"
    ABORTED = "CLOSED", "closed on this side by abort()"

    @property
    def public_name(self) -> str:
        """The state as 2.16.2 calls it."""
        return self.value[0]


class ConnectionEvent(Label):
    """What changes the state of a connection."""

    REQUEST = "the first of the requests under way has begun"
    SEND = "the first byte of it is sent"
    RELEASE = "the last exchange under way has ended, and the connection can be used again"
    FAIL = (
        "the connection can't be used again: an exchange was not complete, or the server closed it"
    )
    RETIRE = "the server, or a limit of the protocol, allows no further request"
    ABORT = "the connection is closed on this side"


# Enum's own way to its members is slow: with those of the codec and the ledger, 2 to 5 % of a request.
NEW, RESERVED, ACTIVE, IDLE, RETIRED, CLOSED, ABORTED = ConnectionState
_REQUEST, _SEND, _RELEASE, _FAIL, _RETIRE, _ABORT = ConnectionEvent

CONNECTION_TRANSITIONS: Transitions[ConnectionState, ConnectionEvent] = {
    NEW: {_REQUEST: RESERVED, _ABORT: ABORTED},
    RESERVED: {_SEND: ACTIVE, _RELEASE: IDLE, _FAIL: CLOSED, _RETIRE: RETIRED, _ABORT: ABORTED},
    ACTIVE: {_RELEASE: IDLE, _FAIL: CLOSED, _RETIRE: RETIRED, _ABORT: ABORTED},
    IDLE: {_REQUEST: RESERVED, _FAIL: CLOSED, _RETIRE: RETIRED, _ABORT: ABORTED},
    RETIRED: {_FAIL: CLOSED, _RETIRE: RETIRED, _ABORT: ABORTED},
    CLOSED: {_FAIL: CLOSED, _RETIRE: CLOSED, _ABORT: ABORTED},
    ABORTED: {
        _SEND: ABORTED,
        _RELEASE: ABORTED,
        _FAIL: ABORTED,
        _RETIRE: ABORTED,
        _ABORT: ABORTED,
    },
}

ConnectionChange: TypeAlias = Mapping[ConnectionState, ConnectionState]
"""What one event makes of each state in which it is allowed: a column of the table."""

_changes = columns(CONNECTION_TRANSITIONS)
REQUEST: ConnectionChange = _changes[_REQUEST]
SEND: ConnectionChange = _changes[_SEND]
RELEASE: ConnectionChange = _changes[_RELEASE]
FAIL: ConnectionChange = _changes[_FAIL]
RETIRE: ConnectionChange = _changes[_RETIRE]
ABORT: ConnectionChange = _changes[_ABORT]
