"""`request` and `stream`: one request on a connection of its own."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

from .._models import URL, HeaderTypes, RequestExtensionTypes, Response
from .sync_pool import ConnectionPool


def request(
    method: bytes | str,
    url: URL | bytes | str,
    *,
    headers: HeaderTypes = None,
    content: bytes | Iterator[bytes] | None = None,
    extensions: RequestExtensionTypes = None,
) -> Response:
    """Send one request on a connection of its own, read the body of its response, and return it.

    For more than one request a `ConnectionPool` is faster.

    Args:
        method: the method, such as `"GET"`.
        url: an absolute URL.
        headers: the header fields, a mapping or a sequence of pairs. `Host`, and `Content-Length` or
            `Transfer-Encoding` for a body, are added unless they are given.
        content: the body: bytes, or an iterable of bytes.
        extensions: options for this request. `timeout` is a dict of limits in seconds with the keys `connect`, `read`,
            `write` and `total`, by default none, and `continue`, by default 1.0; `trace` is a function that is called
            with each event; `sni_hostname` is the server name for TLS, and `ssl_context` the TLS context;
            `informational` is called with each interim response (1xx); `target` replaces the target of the URL.

    Returns:
        The response. `response.content` is its body.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the URL is malformed.
        UnsupportedProtocol: the scheme of the URL is not `http`, `https`, `ws` or `wss`.
        LocalProtocolError: the request violates HTTP, or the host of the URL is malformed.
        RemoteProtocolError: the server violated HTTP, or closed the connection before the end of the response.
        ConnectError: the connection could not be established.
        ReadError: the connection failed while the response was read.
        WriteError: the connection failed while the request was sent.
        ConnectTimeout: the connection was not established within the `connect` timeout.
        ReadTimeout: no data arrived within the `read` timeout, or the response did not end within `total`.
        WriteTimeout: the server accepted no data within the `write` timeout.

    Example:
        A request with a limit of 10 seconds for each read.

        ```python
        import httpcore2

        response = httpcore2.request(
            "GET", "https://www.example.com/", extensions={"timeout": {"read": 10.0}}
        )
        assert response.status == 200
        ```
    """
    with ConnectionPool() as pool:
        return pool.request(method, url, headers=headers, content=content, extensions=extensions)


@contextmanager
def stream(
    method: bytes | str,
    url: URL | bytes | str,
    *,
    headers: HeaderTypes = None,
    content: bytes | Iterator[bytes] | None = None,
    extensions: RequestExtensionTypes = None,
) -> Generator[Response, None, None]:
    """Send one request on a connection of its own, and give the response as a context manager with the body unread.

    The end of the block closes the response and its connection.

    Args:
        method: the method, such as `"GET"`.
        url: an absolute URL.
        headers: the header fields, a mapping or a sequence of pairs. `Host`, and `Content-Length` or
            `Transfer-Encoding` for a body, are added unless they are given.
        content: the body: bytes, or an iterable of bytes.
        extensions: options for this request. `timeout` is a dict of limits in seconds with the keys `connect`, `read`,
            `write` and `total`, by default none, and `continue`, by default 1.0; `trace` is a function that is called
            with each event; `sni_hostname` is the server name for TLS, and `ssl_context` the TLS context;
            `informational` is called with each interim response (1xx); `target` replaces the target of the URL.

    Returns:
        A context manager that gives the response.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the URL is malformed.
        UnsupportedProtocol: the scheme of the URL is not `http`, `https`, `ws` or `wss`.
        LocalProtocolError: the request violates HTTP, or the host of the URL is malformed.
        RemoteProtocolError: the server violated HTTP, or closed the connection before the end of the response.
        ConnectError: the connection could not be established.
        ReadError: the connection failed while the response was read.
        WriteError: the connection failed while the request was sent.
        ConnectTimeout: the connection was not established within the `connect` timeout.
        ReadTimeout: no data arrived within the `read` timeout, or the response did not end within `total`.
        WriteTimeout: the server accepted no data within the `write` timeout.

    Example:
        The body is read in chunks as they arrive.

        ```python
        import httpcore2

        with httpcore2.stream("GET", "https://www.example.com/") as response:
            for chunk in response.iter_stream():
                print(len(chunk))
        ```
    """
    with (
        ConnectionPool() as pool,
        pool.stream(
            method, url, headers=headers, content=content, extensions=extensions
        ) as response,
    ):
        yield response
