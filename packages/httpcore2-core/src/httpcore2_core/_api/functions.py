"""`request` and `stream`: one request on a connection of its own."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

from .._models import URL, Extensions, HeaderTypes, Response
from .sync_pool import ConnectionPool


def request(
    method: bytes | str,
    url: URL | bytes | str,
    *,
    headers: HeaderTypes = None,
    content: bytes | Iterator[bytes] | None = None,
    extensions: Extensions | None = None,
) -> Response:
    """Send one request on a connection of its own, and return its response with the body read.

    Parameters and errors as for `ConnectionPool.request`. For more than one request a `ConnectionPool` is faster.

        response = httpcore2.request("GET", "https://www.example.com/")
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
    extensions: Extensions | None = None,
) -> Generator[Response, None, None]:
    """Send one request on a connection of its own, and give its response as a context manager.

    The body is still to be read. Parameters and errors as for `ConnectionPool.stream`.

        with httpcore2.stream("GET", "https://www.example.com/") as response:
            for chunk in response.iter_stream():
                ...
    """
    with (
        ConnectionPool() as pool,
        pool.stream(
            method, url, headers=headers, content=content, extensions=extensions
        ) as response,
    ):
        yield response
