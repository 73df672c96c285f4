"""Every exception that httpcore2 raises on purpose.

The tree says who is at fault: a timeout (`TimeoutException`), the network (`NetworkError`), the
peer (`RemoteProtocolError`), the caller (`LocalProtocolError`, `UnsupportedProtocol`), or a proxy
(`ProxyError`).

Rules: a message says what happened where it is known, and to whom (`add_context`) where that is known.
"""


class ConnectionNotAvailable(Exception):
    """The connection can take no further request now. Pools catch it; it never leaves them.

    Attributes:
        made_progress: the server did not process this request, but others meanwhile: it is worth another try.
    """

    made_progress = False


class ProxyError(Exception):
    """A proxy refused or failed to reach the origin."""


class UnsupportedProtocol(Exception):
    """The URL's scheme is missing, or is none that a connection can be made for."""


class ProtocolError(Exception):
    """HTTP was violated, by the peer or by the caller."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that HTTP does not allow, or closed in the middle of a message."""


class LocalProtocolError(ProtocolError):
    """The request's method, target, headers or body break HTTP's rules: it can't be sent."""


class TimeoutException(Exception):
    """A limit of the `timeout` extension was reached."""


class PoolTimeout(TimeoutException):
    """No connection became free in time."""


class ConnectTimeout(TimeoutException):
    """The connection, TLS included, was not established in time."""


class ReadTimeout(TimeoutException):
    """The peer sent nothing for too long."""


class WriteTimeout(TimeoutException):
    """The peer took in nothing for too long."""


class NetworkError(Exception):
    """The network, or the operating system's part of it, failed."""


class ConnectError(NetworkError):
    """The connection could not be established."""


class ReadError(NetworkError):
    """Reading from an established connection failed."""


class WriteError(NetworkError):
    """Writing to an established connection failed."""


def add_context(exc: BaseException, context: object) -> None:
    """Append to the message of one of our exceptions to whom it happened, since a log often has the message alone.

    Its own words come first, for those who look for them. Cause, notes and traceback stay.

    Args:
        exc: any exception; those that are not ours stay as they are.
        context: what its text is: an origin, say. Needed in case of an error alone, it is made then.
    """
    if not isinstance(exc, (NetworkError, ProtocolError, ProxyError, TimeoutException)):
        return
    words, text = str(exc), str(context)
    if text in words:
        return  # a caller's own backend may raise one exception again and again
    if len(exc.args) > 1 or type(exc).__str__ is not BaseException.__str__:
        exc.add_note(f"({text})")  # of a class of a caller's own, which makes its message itself
    else:
        exc.args = (f"{words} ({text})".lstrip(),)
