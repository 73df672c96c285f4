"""The ASGI application that the real servers run. It runs in their processes, so it imports nothing of this project.

| path | response |
|---|---|
| `/echo` | the body of the request |
| `/headers` | the header fields of the request, one on a line |
| `/bytes/N` | N bytes with a Content-Length |
| `/stream/N` | N bytes in chunks of up to 1000 |
| `/status/N` | status N without a body |
| `/echo`, as a WebSocket | each message |
| `/hints` | 103 with a Link field, if the server can send it, and then 200 |
| `/early` | 413, sent before the request's body is read |
| `/stall` | the head and 1000 bytes of a body, then nothing until the client disconnects |
| `/silent` | nothing until the client disconnects |
| `/trailers` | a body and the trailer field `x-sum: 1`, if the protocol has trailers |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        for moment in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{moment}"
            await send({"type": f"lifespan.{moment}.complete"})
        return

    if scope["type"] == "websocket":
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] == "websocket.connect":
                await send({"type": "websocket.accept"})
            else:
                await send({**message, "type": "websocket.send"})
        return

    async def answer(status: int, *chunks: bytes, sized: bool = True) -> None:
        headers = [(b"content-type", b"application/octet-stream")]
        if sized and status not in (204, 304):
            headers.append((b"content-length", b"%d" % sum(map(len, chunks))))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    _, kind, *parameters = scope["path"].split("/")
    if kind == "early":
        await answer(413, b"too large")
        return
    received = []
    while True:
        message = await receive()
        received.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    body = b"".join(received)
    if kind == "echo":
        await answer(200, body)
    elif kind == "hints":
        if "http.response.early_hint" in (scope.get("extensions") or {}):
            await send({"type": "http.response.early_hint", "links": [b"</style.css>"]})
        await answer(200, b"hinted")
    elif kind == "headers":
        await answer(200, b"\n".join(b": ".join(pair) for pair in scope["headers"]))
    elif kind == "bytes":
        await answer(200, bytes(int(parameters[0])))
    elif kind == "stream":
        count = int(parameters[0])
        chunks = [bytes(min(1000, count - start)) for start in range(0, count, 1000)]
        await answer(200, *chunks, sized=False)
    elif kind == "status":
        await answer(int(parameters[0]))
    elif kind in ("stall", "silent"):
        if kind == "stall":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": bytes(1000), "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
    elif kind == "trailers":
        start = {"type": "http.response.start", "status": 200, "headers": [], "trailers": True}
        await send(start)
        await send({"type": "http.response.body", "body": b"and that was it"})
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]})
    else:
        await answer(404, b"no such path")
