"""Why a connection of a pool was closed: for observers and statistics.

Must not know: connections, pools, observers.
"""

from __future__ import annotations

from .._states import Label


class CloseReason(Label):
    """Why a connection was closed.

    Attributes:
        DIAL_FAILED: it was never established: the dial failed, or the request that dialled was given up.
        EXPIRED: it was idle until its keep-alive expiry.
        AGED: it was older than `max_connection_age`, and the last exchange has ended.
        EVICTED: it was idle, and its place was needed: by `max_connections` for another origin, or by
            `max_keepalive_connections`.
        PEER: the server closed it, or sent unexpected data, while it was idle.
        NOT_PERSISTENT: the exchange was complete, and was the last one: by `Connection: close`, by HTTP/1.0, or because
            the response ended with the connection.
        EXCHANGE_FAILED: an exchange ended early: by an error, a timeout, a cancellation, or a response that was closed
            before its body was read.
        RETIRED: the server allowed no further request (HTTP/2, GOAWAY), and the last one has ended.
        LEASE_ENDED: it was leased to one caller (`lease()`), who has given it back, and nobody else may have it.
        LOST: its request or response was dropped without being closed, its event loop has ended, or the process has
            forked.
        POOL_CLOSED: the pool was closed.

    Example:
        ```python
        import httpcore2


        class Ends(httpcore2.Observer):
            def connection_closed(self, connection, reason, time):
                print(connection.origin, reason.name)


        with httpcore2.ConnectionPool() as http:
            http.observe(Ends())
            http.request("GET", "https://www.example.com/")
        ```

        ```text
        https://www.example.com:443 POOL_CLOSED
        ```
    """

    DIAL_FAILED = "it was never established"
    EXPIRED = "it was idle until its keep-alive expiry"
    AGED = "it was too old for another request"
    EVICTED = "it was idle, and its place was needed"
    PEER = "the server closed it while it was idle"
    NOT_PERSISTENT = "the last exchange was complete, and allowed no other"
    EXCHANGE_FAILED = "an exchange ended early"
    RETIRED = "the server allowed no further request"
    LEASE_ENDED = "the lease for one caller has ended"
    LOST = "its request or response was dropped without being closed"
    POOL_CLOSED = "the pool was closed"
