"""The exceptions that httpcore2 raises.

The class says where the fault is: a timeout (`TimeoutException`), the network (`NetworkError`), the peer
(`RemoteProtocolError`), the caller (`LocalProtocolError`, `UnsupportedProtocol`), or a proxy (`ProxyError`).

Rules: the raiser writes what happened; `add_context` appends the peer where it is known.
Must not know: requests, connections, the network.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class ConnectAttempt(NamedTuple):
    """One attempt to connect, in the `attempts` of an exception.

    Attributes:
        address: the IP address and the port, as `socket.getpeername()` returns them.
        error: why it failed; `None` if it had no answer when the dial ended.

    Example:
        ```python
        import httpcore2

        try:
            httpcore2.request("GET", "http://refused.example.com/")
        except httpcore2.ConnectError as exc:
            for address, error in exc.attempts:
                print(address[0], error)
        ```
    """

    address: tuple[Any, ...]
    error: Exception | None


class ConnectionNotAvailable(Exception):
    """The connection takes no further request at the moment.

    Connections raise it to pools, which catch it and choose another connection.

    Attributes:
        made_progress: whether the server processed other requests of this connection in the meantime, so that another
            attempt is worthwhile.
        reason: the error with which the server ended a request that it did not process; `None` if the request was not
            sent.
    """

    made_progress = False
    reason: Exception | None = None


class ProxyError(Exception):
    """The proxy refused to connect to the origin, or failed to.

    The message begins with the status code and the reason of an HTTP proxy, or with the reply of a SOCKS proxy, and
    ends with the proxy and the origin.

    Attributes:
        peer_address: the address of the proxy, as `socket.getpeername()` returns it; `None` if it is not known.
        local_address: the address of this end, as `socket.getsockname()` returns it; `None` if it is not known.
    """

    peer_address: tuple[Any, ...] | str | bytes | None = None
    local_address: tuple[Any, ...] | str | bytes | None = None


class UnsupportedProtocol(Exception):
    """The scheme of a URL is missing or unknown: it must be `http`, `https`, `ws` or `wss`, or a proxy's scheme."""


class ProtocolError(Exception):
    """The base class of errors in the use of HTTP, by the peer or by the caller.

    Attributes:
        peer_address: the address of the server, or of the proxy before it, as `socket.getpeername()` returns it; `None`
            without a connection, or if the backend does not know it.
        local_address: the address of this end, as `socket.getsockname()` returns it; `None` without a connection, or if
            the backend does not know it.
    """

    peer_address: tuple[Any, ...] | str | bytes | None = None
    local_address: tuple[Any, ...] | str | bytes | None = None


class RemoteProtocolError(ProtocolError):
    """The peer violated HTTP, or closed the connection before the end of a message (RFC 9112, section 8).

    The connection is closed. The request may have been processed.
    """


class LocalProtocolError(ProtocolError):
    """The request violates HTTP, so that it cannot be sent. The message names the faulty part."""


class TimeoutException(Exception):
    """The base class of timeouts, whose limits are given in the `timeout` extension of a request.

    Attributes:
        peer_address: the address of the server, or of the proxy before it, as `socket.getpeername()` returns it; `None`
            without a connection, or if the backend does not know it.
        local_address: the address of this end, as `socket.getsockname()` returns it; `None` without a connection, or if
            the backend does not know it.
        attempts: the addresses that were tried, a `ConnectAttempt` each, if the dial failed.
    """

    peer_address: tuple[Any, ...] | str | bytes | None = None
    local_address: tuple[Any, ...] | str | bytes | None = None
    attempts: tuple[ConnectAttempt, ...] = ()


class PoolTimeout(TimeoutException):
    """No connection of the pool became available within the `pool` timeout. The message counts its connections."""


class ConnectTimeout(TimeoutException):
    """The connection, including TLS and a proxy's handshake, was not established within the `connect` timeout."""


class ReadTimeout(TimeoutException):
    """No data arrived from the peer within the `read` timeout, or the response did not end within `total`."""


class WriteTimeout(TimeoutException):
    """The peer accepted no data within the `write` timeout."""


class NetworkError(Exception):
    """The base class of errors of the network and of the operating system's network functions.

    Attributes:
        peer_address: the address of the server, or of the proxy before it, as `socket.getpeername()` returns it; `None`
            without a connection, or if the backend does not know it.
        local_address: the address of this end, as `socket.getsockname()` returns it; `None` without a connection, or if
            the backend does not know it.
        attempts: the addresses that were tried, a `ConnectAttempt` each, if the dial failed.
    """

    peer_address: tuple[Any, ...] | str | bytes | None = None
    local_address: tuple[Any, ...] | str | bytes | None = None
    attempts: tuple[ConnectAttempt, ...] = ()


class ConnectError(NetworkError):
    """The connection could not be established: the name was not resolved, or the connection or TLS was refused."""


class ReadError(NetworkError):
    """Reading from an established connection failed, such as after a TCP reset by the peer."""


class WriteError(NetworkError):
    """Writing to an established connection failed, such as after a TCP reset by the peer."""


class Peer:
    """The other end of a stream, for the exceptions about it.

    Attributes:
        name: the peer, and the way to it, such as a route; `str()` is only called for a message.
        addresses: the addresses of the two ends that are known, by the names of the attributes of exceptions.
    """

    __slots__ = ("addresses", "name")

    def __init__(self, name: object, addresses: dict[str, Any]) -> None:
        self.name: object = name
        self.addresses: dict[str, Any] = addresses

    def __str__(self) -> str:
        return str(self.name)


def add_context(exc: BaseException, context: object) -> None:
    """Append the peer to the message of one of the exceptions above, since logs often show only the message.

    The message keeps its start, for callers that match it. Cause, notes and traceback stay.

    Args:
        exc: any exception. Exceptions of other classes are not changed.
        context: the peer, such as an origin. Its `str()` is only made when there is an error. A `Peer` also sets the
            addresses.
    """
    if not isinstance(exc, (NetworkError, ProtocolError, ProxyError, TimeoutException)):
        return
    if isinstance(context, Peer):
        vars(exc).update(context.addresses)
    message, peer = str(exc), str(context)
    if peer in message:
        return  # a caller's own backend may raise the same exception object several times
    if len(exc.args) > 1 or type(exc).__str__ is not BaseException.__str__:
        exc.add_note(f"({peer})")  # a caller's own class composes its message itself
    else:
        exc.args = (f"{message} ({peer})".lstrip(),)
