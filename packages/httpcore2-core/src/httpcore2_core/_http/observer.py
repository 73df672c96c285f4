"""What observers are told: the public base class, and the connection that it names.

Must not know: where the events come from, how observers are called.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from .._models import Origin, Request, Response
from .._net.dial_listener import PeerAddress
from .close_reason import CloseReason

_ids = count(1)


class ObservedConnection:
    """A connection as observers know it: the same object in all events of one connection.

    It can be the key of a dictionary, and refers to nothing of the pool.

    Attributes:
        id: a number that no other connection of the process has.
        origin: the origin that it leads to.
        peer_address: the address and the port of the server or the proxy, or the path of a unix socket; `None` until it
            is established, and for backends that do not report it.
        http_version: `"HTTP/1.1"` or `"HTTP/2"`; `None` until it is established.
        started_at: when the dial began, in seconds on the monotonic clock of the runtime.
        opened_at: when it was established, in seconds on that clock; `None` before.
        closed_at: when it was closed, in seconds on that clock; `None` before.
        requests: how many requests it was acquired for while an observer was installed.

    Example:
        ```python
        import httpcore2


        class Reuse(httpcore2.Observer):
            def connection_acquired(self, token, connection, reused, waited, time):
                print(connection.origin, connection.http_version, reused)


        with httpcore2.ConnectionPool() as http:
            http.observe(Reuse())
            http.request("GET", "https://www.example.com/")
            http.request("GET", "https://www.example.com/")
        ```

        ```text
        https://www.example.com:443 HTTP/1.1 False
        https://www.example.com:443 HTTP/1.1 True
        ```
    """

    __slots__ = (
        "__weakref__",
        "closed_at",
        "http_version",
        "id",
        "in_use",
        "opened_at",
        "origin",
        "peer_address",
        "requests",
        "started_at",
    )

    def __init__(self, origin: Origin, started_at: float) -> None:
        self.id: int = next(_ids)
        self.origin: Origin = origin
        self.peer_address: PeerAddress | None = None
        self.http_version: str | None = None
        self.started_at: float = started_at
        self.opened_at: float | None = None
        self.closed_at: float | None = None
        self.requests: int = 0
        self.in_use: int = 0  # of these requests, those that have not ended

    def __repr__(self) -> str:
        version = self.http_version or "not established"
        return f"<ObservedConnection {self.id} [{str(self.origin)!r}, {version}]>"


class Observer:
    """Base class of observers, which are told what pools do. All methods do nothing; override those that are needed.

    `pool.observe(observer)` installs an observer for one pool, and `httpcore2.observe(observer)` for all.

    - The methods are plain functions on every runtime. They are called without any lock of the transport, in the task
      or thread of the request, and delay it by the time that they take. On threads several may be called at once.
    - An exception that a method raises is logged by the logger `httpcore2.observer`, and the request goes on. A
      `BaseException` that is no `Exception`, such as `KeyboardInterrupt`, is raised.
    - `time` is in seconds on the monotonic clock of the runtime: differences have a meaning.
    - A request of which an observer was told the start ends in exactly one `request_ended`, unless its response is
      never read or closed.
    - `connection_closed` may be called by the garbage collector, which closes a pool that was dropped: an observer
      with a lock needs a re-entrant one.

    Example:
        ```python
        import httpcore2


        class Durations(httpcore2.Observer):
            def request_started(self, request, time):
                return time

            def request_ended(self, token, status, error, sent, received, time):
                assert time >= token
                print(status, received, "bytes")


        with httpcore2.ConnectionPool() as http:
            http.observe(Durations())
            http.request("GET", "https://www.example.com/")
        ```

        ```text
        200 13 bytes
        ```
    """

    # Requests

    def request_started(self, request: Request, time: float) -> Any:
        """Called when a request was given to the pool.

        Args:
            request: a copy of the request, which is the one that is sent: an observer that adds a header field sets
                `request.headers` to a new list.
            time: the time, in seconds.

        Returns:
            The token of the request: any object, which the further events of the request get.
        """
        return None

    def request_queued(self, token: Any, time: float) -> None:
        """Called when a request has to wait, since all connections are in use.

        Args:
            token: of the request.
            time: the time, in seconds.
        """

    def connection_acquired(
        self, token: Any, connection: ObservedConnection, reused: bool, waited: float, time: float
    ) -> None:
        """Called when a request has a connection. A request that is sent again acquires another one.

        Args:
            token: of the request.
            connection: the connection.
            reused: whether it existed before; otherwise it was made for this request.
            waited: the time that the request was queued, in seconds.
            time: the time, in seconds.
        """

    def request_resent(self, token: Any, count: int, cause: Exception, time: float) -> None:
        """Called when a request is going to be sent again, on another connection.

        Args:
            token: of the request.
            count: how often it was sent again, this time included.
            cause: how the last attempt failed.
            time: the time, in seconds.
        """

    def request_head_sent(self, token: Any, time: float) -> None:
        """Called when the head of a request was written to its connection, and a small body along with it.

        Args:
            token: of the request.
            time: the time, in seconds.
        """

    def first_byte_received(self, token: Any, time: float) -> None:
        """Called when the first bytes of the response have arrived; over HTTP/2, the head of the response.

        Args:
            token: of the request.
            time: the time, in seconds.
        """

    def interim_received(
        self, token: Any, status: int, headers: list[tuple[bytes, bytes]], time: float
    ) -> None:
        """Called when an interim response (1xx) was received, except for 101, which is the response.

        Args:
            token: of the request.
            status: such as 103 (Early Hints).
            headers: its header fields.
            time: the time, in seconds.
        """

    def response_received(self, token: Any, response: Response, time: float) -> None:
        """Called when the head of the response was received, before the caller gets the response.

        Args:
            token: of the request.
            response: the response, whose body is not read yet. The observer may add to its `extensions`.
            time: the time, in seconds.
        """

    def request_ended(
        self,
        token: Any,
        status: int | None,
        error: BaseException | None,
        sent: int,
        received: int,
        time: float,
    ) -> None:
        """Called when a request is over: its response was read or closed, or it failed.

        Args:
            token: of the request.
            status: the status of the response; `None` if no response was received.
            error: how the request failed, also while the body was read, or was cancelled; `None` if it did not.
            sent: the bytes of the request's body that were sent, those of earlier attempts included.
            received: the bytes of the response's body that the caller was given.
            time: the time, in seconds.
        """

    # Connections

    def resolution_started(self, connection: ObservedConnection, host: str, time: float) -> None:
        """Called when the addresses of a host are going to be looked up, also if the host is an IP address.

        Args:
            connection: the connection that is being established.
            host: the host of the URL, or that of the proxy.
            time: the time, in seconds.
        """

    def resolution_ended(
        self,
        connection: ObservedConnection,
        host: str,
        addresses: list[str],
        error: BaseException | None,
        time: float,
    ) -> None:
        """Called when the addresses of a host were found, or could not be.

        Args:
            connection: the connection that is being established.
            host: the host of the URL, or that of the proxy.
            addresses: the IP addresses, the preferred one first; none if it failed.
            error: why it failed, or was cancelled; `None` if it was not.
            time: the time, in seconds.
        """

    def attempt_started(
        self, connection: ObservedConnection, address: PeerAddress, time: float
    ) -> None:
        """Called when an attempt to connect to one address begins. Several may be under way (RFC 8305).

        Args:
            connection: the connection that is being established.
            address: an IP address and a port, or the path of a unix socket.
            time: the time, in seconds.
        """

    def attempt_ended(
        self,
        connection: ObservedConnection,
        address: PeerAddress,
        error: BaseException | None,
        time: float,
    ) -> None:
        """Called when an attempt to connect has ended.

        Args:
            connection: the connection that is being established.
            address: an IP address and a port, or the path of a unix socket.
            error: why it failed, or was cancelled, also when another address was faster; `None` if it succeeded.
            time: the time, in seconds.
        """

    def tls_started(self, connection: ObservedConnection, server_name: str, time: float) -> None:
        """Called when a TLS handshake begins, with the origin or with an HTTPS proxy.

        Args:
            connection: the connection that is being established.
            server_name: the name that the certificate must have.
            time: the time, in seconds.
        """

    def tls_ended(
        self,
        connection: ObservedConnection,
        version: str | None,
        cipher: str | None,
        alpn: str | None,
        error: BaseException | None,
        time: float,
    ) -> None:
        """Called when a TLS handshake has ended.

        Args:
            connection: the connection that is being established.
            version: such as `"TLSv1.3"`; `None` if it failed, or the backend does not report it.
            cipher: such as `"TLS_AES_256_GCM_SHA384"`; `None` as for the version.
            alpn: the protocol that both sides agreed on (RFC 7301), `"h2"` or `"http/1.1"`; `None` if there is none.
            error: why it failed, or was cancelled; `None` if it was not.
            time: the time, in seconds.
        """

    def connection_opened(self, connection: ObservedConnection, time: float) -> None:
        """Called when a connection was established, with all handshakes.

        Args:
            connection: the connection.
            time: the time, in seconds.
        """

    def connection_active(self, connection: ObservedConnection, time: float) -> None:
        """Called when a connection that no request used is acquired by one.

        Args:
            connection: the connection.
            time: the time, in seconds.
        """

    def connection_idle(self, connection: ObservedConnection, time: float) -> None:
        """Called when the last request on a connection has ended, and the connection stays open.

        It is also called after `connection_opened` for a connection that was opened ahead, by `connect()` of the pool.

        Args:
            connection: the connection.
            time: the time, in seconds.
        """

    def goaway_received(
        self,
        connection: ObservedConnection,
        code: int,
        last_stream_id: int,
        debug_data: bytes,
        time: float,
    ) -> None:
        """Called when the server has announced by GOAWAY that it processes no further request (RFC 9113, section 6.8).

        Args:
            connection: the connection.
            code: the error code; 0 (NO_ERROR) if the server shuts down, or limits the requests of a connection.
            last_stream_id: the last stream that the server processes; requests on later ones are sent again.
            debug_data: what the server says besides, often nothing.
            time: the time, in seconds.
        """

    def ping_sent(self, connection: ObservedConnection, time: float) -> None:
        """Called when a PING was sent to a server that has long been silent (RFC 9113, section 6.7).

        Args:
            connection: the connection.
            time: the time, in seconds.
        """

    def ping_answered(self, connection: ObservedConnection, waited: float, time: float) -> None:
        """Called when data arrives after a PING, which shows that the server is alive.

        Args:
            connection: the connection.
            waited: the time since the PING, in seconds.
            time: the time, in seconds.
        """

    def connection_closed(
        self, connection: ObservedConnection, reason: CloseReason, time: float
    ) -> None:
        """Called when a connection was closed, or could not be established; it is the last event of a connection.

        Args:
            connection: the connection. `time - connection.started_at` is its age, and `connection.requests` counts the
                requests that it served.
            reason: why it was closed.
            time: the time, in seconds.
        """
