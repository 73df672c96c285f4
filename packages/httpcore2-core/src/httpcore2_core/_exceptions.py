"""The exceptions that httpcore2 raises.

The class says where the fault is: a timeout (`TimeoutException`), the network (`NetworkError`), the peer
(`RemoteProtocolError`), the caller (`LocalProtocolError`, `UnsupportedProtocol`), or a proxy (`ProxyError`).

Rules: the raiser writes what happened; `add_context` appends the peer where it is known.
Must not know: requests, connections, the network.
"""


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
    """


class UnsupportedProtocol(Exception):
    """The scheme of a URL is missing or unknown: it must be `http`, `https`, `ws` or `wss`, or a proxy's scheme."""


class ProtocolError(Exception):
    """The base class of errors in the use of HTTP, by the peer or by the caller."""


class RemoteProtocolError(ProtocolError):
    """The peer violated HTTP, or closed the connection before the end of a message (RFC 9112, section 8).

    The connection is closed. The request may have been processed.
    """


class LocalProtocolError(ProtocolError):
    """The request violates HTTP, so that it cannot be sent. The message names the faulty part."""


class TimeoutException(Exception):
    """The base class of timeouts, whose limits are given in the `timeout` extension of a request."""


class PoolTimeout(TimeoutException):
    """No connection of the pool became available within the `pool` timeout. The message counts its connections."""


class ConnectTimeout(TimeoutException):
    """The connection, including TLS and a proxy's handshake, was not established within the `connect` timeout."""


class ReadTimeout(TimeoutException):
    """No data arrived from the peer within the `read` timeout, or the response did not end within `total`."""


class WriteTimeout(TimeoutException):
    """The peer accepted no data within the `write` timeout."""


class NetworkError(Exception):
    """The base class of errors of the network and of the operating system's network functions."""


class ConnectError(NetworkError):
    """The connection could not be established: the name was not resolved, or the connection or TLS was refused."""


class ReadError(NetworkError):
    """Reading from an established connection failed, such as after a TCP reset by the peer."""


class WriteError(NetworkError):
    """Writing to an established connection failed, such as after a TCP reset by the peer."""


def add_context(exc: BaseException, context: object) -> None:
    """Append the peer to the message of one of the exceptions above, since logs often show only the message.

    The message keeps its start, for callers that match it. Cause, notes and traceback stay.

    Args:
        exc: any exception. Exceptions of other classes are not changed.
        context: the peer, such as an origin. Its `str()` is only made when there is an error.
    """
    if not isinstance(exc, (NetworkError, ProtocolError, ProxyError, TimeoutException)):
        return
    message, peer = str(exc), str(context)
    if peer in message:
        return  # a caller's own backend may raise the same exception object several times
    if len(exc.args) > 1 or type(exc).__str__ is not BaseException.__str__:
        exc.add_note(f"({peer})")  # a caller's own class composes its message itself
    else:
        exc.args = (f"{message} ({peer})".lstrip(),)
