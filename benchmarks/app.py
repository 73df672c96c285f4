"""An ASGI application that serves the same pages as the nginx of the benchmarks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.pages import page

_pages: dict[int, bytes] = {}


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Serve the pages that `benchmarks.server` lists."""
    if scope["type"] != "http":
        return
    received, is_more = 0, True
    while is_more:
        message = await receive()
        received += len(message.get("body", b""))
        is_more = message.get("more_body", False)
    name = scope["path"].removeprefix("/")
    if name == "sink":
        body = b"%d" % received
    else:
        size = int(name) if name.isdecimal() else 1024
        if size not in _pages:
            _pages[size] = page(size)
        body = _pages[size]
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
