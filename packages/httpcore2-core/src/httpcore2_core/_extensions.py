"""The keys of `extensions`: options for one request, and information about one response.

`TypedDict`s, so that type checkers and editors know the keys. A plain `dict[str, Any]` is accepted as well, and may
have keys of its own. Must not know: how an extension is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    import ssl


# `continue` is a word of Python, and can't be declared in the body of a class.
_Continue = TypedDict("_Continue", {"continue": float | None}, total=False)


class TimeoutExtension(_Continue, total=False):
    """Limits in seconds for the phases of a request. A key that is left out, or `None`, sets no limit.

    Attributes:
        pool: for the wait for a connection of the pool (`PoolTimeout`).
        connect: for the dial with the name resolution, and again for each handshake after it (`ConnectTimeout`).
        read: for each wait for data from the peer (`ReadTimeout`).
        write: for each wait until the peer accepts data (`WriteTimeout`).
        total: for the request as a whole, from the call to the end of the response's body. It raises the exception of
            the phase in which it ends.
        continue: for the wait of a request with `Expect: 100-continue` before its body is sent, by default 1.0 (RFC
            9110, section 10.1.1). With `None` it waits as long as `read` allows.

    Example:
        ```python
        import httpcore2

        timeout: httpcore2.TimeoutExtension = {"connect": 5.0, "read": 30.0}
        with httpcore2.ConnectionPool() as http:
            http.request("GET", "https://www.example.com/", extensions={"timeout": timeout})
        ```
    """

    pool: float | None
    connect: float | None
    read: float | None
    write: float | None
    total: float | None


class RequestExtensions(TypedDict, total=False):
    """Options for one request.

    Attributes:
        timeout: limits in seconds; see `TimeoutExtension`.
        trace: called with the name and the payload of each trace event; an async function on event loops.
        sni_hostname: the server name that TLS sends and verifies, in place of the URL's host (RFC 6066, section 3).
        ssl_context: the TLS context for the origin, in place of the pool's. Its ALPN protocols are set for each
            connection. Requests share a connection only if they have the same context, the same object.
        resend: `False` to send the request at most once; by default as the pool's `resend` says.
        early_data: `True` to send the request in early data (0-RTT) if a connection over HTTP/3 has to be made for it,
            and resumes a session that allows it. For idempotent methods alone, since an attacker can send early data
            again (RFC 8470).
        informational: called with status and header fields of each interim response (1xx), such as 103 (Early Hints),
            before the response is returned; on event loops it may be an async function. Not called with 101.
        target: the request target, in place of the URL's path and query, such as `*` (RFC 9112, section 3.2).
        protocol: with CONNECT over HTTP/2, the protocol to speak with the server, such as `websocket` (RFC 8441).

    Example:
        ```python
        import httpcore2

        extensions: httpcore2.RequestExtensions = {"timeout": {"total": 10.0}, "sni_hostname": "www.example.com"}
        with httpcore2.ConnectionPool() as http:
            http.request("GET", "https://www.example.com/", extensions=extensions)
        ```
    """

    timeout: TimeoutExtension | Mapping[str, float | None]
    trace: Callable[[str, dict[str, Any]], Any]
    sni_hostname: str | bytes
    ssl_context: ssl.SSLContext
    resend: bool
    early_data: bool
    informational: Callable[[int, list[tuple[bytes, bytes]]], Any]
    target: str | bytes
    protocol: str | bytes


class ResponseExtensions(TypedDict, total=False):
    """Information about one response.

    Attributes:
        http_version: such as `b"HTTP/1.1"` and `b"HTTP/2"`.
        reason_phrase: the reason phrase of the status line, over HTTP/1.1 (RFC 9112, section 4).
        network_stream: a `NetworkStream` or an `AsyncNetworkStream`. After a 101 response, and after a CONNECT that
            succeeded, it carries the new protocol. Copies of a response have none.
        stream_id: the identifier of the stream, over HTTP/2 (RFC 9113, section 5.1.1) and HTTP/3 (RFC 9000, section
            2.1).
        early_data: whether the server has accepted the early data in which the request was sent. If not, it was sent
            again after the handshake. Absent if the request was not sent in early data.
        peer_address: the address of the server, or of the proxy before it, as `socket.getpeername()` returns it: a
            tuple that begins with host and port, or the path of a unix socket. Absent if the backend does not know it.
        local_address: the address of this end, as `socket.getsockname()` returns it. Absent if the backend does not
            know it, or if a unix socket has no name.
        trailing_headers: the fields after the body, once that was read, if there were any (RFC 9110, section 6.5).
        timings: the `RequestTimings` of the request, if a `Timings` observer is installed.

    Example:
        ```python
        from typing import cast

        import httpcore2

        with httpcore2.ConnectionPool() as http:
            response = http.request("GET", "https://www.example.com/")
        print(cast(httpcore2.ResponseExtensions, response.extensions)["http_version"])
        ```
    """

    http_version: bytes
    reason_phrase: bytes
    network_stream: Any
    stream_id: int
    early_data: bool
    peer_address: tuple[Any, ...] | str | bytes
    local_address: tuple[Any, ...] | str | bytes
    trailing_headers: list[tuple[bytes, bytes]]
    timings: Any
