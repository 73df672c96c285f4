"""Servers that reply from a script: without a network, or over sockets.

Rules: a script does no I/O; h11 parses its requests; several threads may share it. No coroutine suspends by itself, so
that the backend for threads is an adapter of the async one.
Must not know: checks of backends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from http.client import responses
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import h11

from .._exceptions import ReadError, WriteError
from .._net.mock import AsyncMockBackend, MockSSLObject
from .._net.network_interfaces import AsyncNetworkStream
from .._net.sync_backend import SyncBackendAdapter
from ._peers import Peer, Server, TLSPeer

if TYPE_CHECKING:
    import ssl


class ReceivedRequest(NamedTuple):
    """A request as the server received it.

    Attributes:
        method: the method, such as `b"GET"`.
        target: the request target, such as `b"/notes?page=2"`, in one of the forms of RFC 9112, section 3.2.
        headers: the header fields: pairs of a name in lower case and a value.
        body: the whole content.

    Example:
        A function in a script receives the request that it replies to.

        ```python
        import httpcore2
        from httpcore2_core.testing import Script, ScriptedBackend, reply


        def greet(request):
            return reply(200, b"Hello " + request.body)

        with httpcore2.ConnectionPool(network_backend=ScriptedBackend(Script(greet))) as http:
            response = http.request("POST", "http://example.com/", content=b"Ada")
        assert response.content == b"Hello Ada"
        ```
    """

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the value of the first header field with a name.

        Args:
            name: the field's name, in any case.

        Returns:
            The value, or `None` if the request has no such field.
        """
        wanted = name.lower().encode("ascii")
        return next((value.decode("latin-1") for key, value in self.headers if key == wanted), None)


Reply: TypeAlias = bytes | Exception | Callable[[ReceivedRequest], "bytes | Exception"]
"""A reply: bytes to send, an exception for the client's backend to raise, or a function that returns either."""


def reply(
    status: int = 200,
    body: bytes = b"",
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
) -> bytes:
    """Return the bytes of a response (RFC 9112). Content-Length is added where the status code allows content.

    Args:
        status: the status code.
        body: the content.
        headers: further header fields, a mapping or pairs. After `Connection: close` the server closes the connection.

    Returns:
        The bytes of the response.

    Example:
        The response declares its length.

        ```python
        from httpcore2_core.testing import reply

        assert reply(404, b"no").startswith(b"HTTP/1.1 404 Not Found")
        assert b"Content-Length: 2" in reply(404, b"no")
        ```
    """
    fields = headers.items() if isinstance(headers, Mapping) else headers
    phrase = responses.get(status, "")
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in fields)]
    if status >= 200 and status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Script:
    """The replies of a server, one for each request, and a record of the requests.

    Args:
        replies: the replies in order. Each is the bytes to send, valid HTTP or not (`b""` closes the
            connection), an exception that the client's backend raises instead, or a function that takes the
            `ReceivedRequest` and returns either. If the last reply is a function, it replies to all further requests.

    Attributes:
        requests: the recorded requests, in the order in which they were received.

    Example:
        The second request to this server succeeds.

        ```python
        import httpcore2
        from httpcore2_core.testing import Script, ScriptedBackend, reply

        script = Script(reply(503), reply(200, b"fine"))
        with httpcore2.ConnectionPool(network_backend=ScriptedBackend(script)) as http:
            assert http.request("GET", "http://example.com/").status == 503
            assert http.request("GET", "http://example.com/").content == b"fine"
        assert script.requests[0].target == b"/"
        ```
    """

    def __init__(self, *replies: Reply) -> None:
        self._replies = deque(replies)
        self._lock = Lock()
        self._without_reply: str | None = None
        self.requests: list[ReceivedRequest] = []

    def add(self, *replies: Reply) -> None:
        """Add replies after those that are left.

        Args:
            replies: the replies, as in the constructor. A function that was the last reply replies once more.
        """
        with self._lock:
            self._replies.extend(replies)

    def verify(self) -> None:
        """Check that each request got a reply, and that each reply was used. A function in the last place may be left.

        Raises:
            AssertionError: the script had no reply for a request, even if the program caught that error; or replies
                are left. The message names them.
        """
        with self._lock:
            if self._without_reply is not None:
                raise AssertionError(self._without_reply)
            unused = [_summary(each) for each in self._replies]
            if self._replies and callable(self._replies[-1]):
                unused.pop()
            if unused:
                raise AssertionError(
                    f"Requests received: {len(self.requests)}. "
                    f"These replies of the script were not used: {', '.join(unused)}"
                )

    def answer(self, request: ReceivedRequest) -> bytes | Exception:
        """Record a request, and return the reply to it.

        Args:
            request: the request that the server received.

        Returns:
            The bytes to send, or the exception for the client's backend to raise.

        Raises:
            AssertionError: all replies have been used.
        """
        with self._lock:
            self.requests.append(request)
            if not self._replies:
                target = request.target.decode("latin-1")
                self._without_reply = (
                    f"The script has no reply left for {request.method.decode()} {target} "
                    f"(request {len(self.requests)})."
                )
                raise AssertionError(self._without_reply)
            found = self._replies[0]
            if len(self._replies) > 1 or not callable(found):
                self._replies.popleft()
        return found(request) if callable(found) else found


def _summary(answer: Reply) -> str:
    """Describe a reply: the status line of a response, or the exception, or the name of the function."""
    if callable(answer):
        return getattr(answer, "__name__", repr(answer))
    return repr(answer.partition(b"\r\n")[0] if isinstance(answer, bytes) else answer)


class ScriptedConnection:
    """The server's side of one connection, without I/O: it receives requests, and queues the replies of a script.

    Its owner sends `output`, where an exception stands for a failure, and then closes the connection if `is_ended`.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._parser = h11.Connection(h11.SERVER)
        self._head: h11.Request | None = None
        self._body = b""
        self.output: deque[bytes | Exception] = deque()
        self.is_ended = False

    def receive(self, data: bytes) -> None:
        """Receive bytes of the client; raise `AssertionError` if they are malformed, or no reply is left."""
        try:
            self._parser.receive_data(data)
            while not self.is_ended:
                event = self._parser.next_event()
                if isinstance(event, h11.Request):
                    self._head = event
                elif isinstance(event, h11.Data):
                    self._body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    self._answer()
                else:
                    break
        except h11.RemoteProtocolError as exc:
            raise AssertionError(f"The client sent a malformed HTTP/1.1 request: {exc}") from exc

    def _answer(self) -> None:
        head = self._head
        assert head is not None, "h11 reports the end of a message after its head"
        request = ReceivedRequest(head.method, head.target, list(head.headers), self._body)
        answer = self._script.answer(request)
        self.output.append(answer)
        if isinstance(answer, Exception) or not answer or _closes(answer):
            self.is_ended = True
        pipelined, _ = self._parser.trailing_data
        self._parser = h11.Connection(h11.SERVER)
        if pipelined:
            self._parser.receive_data(pipelined)
        self._head, self._body = None, b""


def _closes(response: bytes) -> bool:
    head, _, _ = response.partition(b"\r\n\r\n")
    return b"\nconnection: close\r\n" in head.lower() + b"\r\n"


class _ScriptedStream(AsyncNetworkStream):
    def __init__(self, script: Script) -> None:
        self._connection = ScriptedConnection(script)
        self._is_closed = False
        self._ssl_object: MockSSLObject | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._is_closed:
            raise ReadError("The stream is closed.")
        output = self._connection.output
        if not output:
            assert self._connection.is_ended, "The client reads more bytes than the script sends."
            return b""
        chunk = output.popleft()
        if isinstance(chunk, Exception):
            raise chunk
        if len(chunk) > max_bytes:
            output.appendleft(chunk[max_bytes:])
        return chunk[:max_bytes]

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._is_closed:
            raise WriteError("The stream is closed.")
        if buffer:
            self._connection.receive(bytes(buffer))

    async def aclose(self) -> None:
        self._is_closed = True

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> AsyncNetworkStream:
        self._ssl_object = MockSSLObject(http2=False)
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return bool(self._connection.output) or self._connection.is_ended
        return self._ssl_object if info == "ssl_object" else None


class AsyncScriptedBackend(AsyncMockBackend):
    """A backend without a network, whose every connection leads to a server that replies from one script.

    The server speaks HTTP/1.1. It accepts any TLS handshake without encryption.

    Args:
        script: the script, shared by all connections.

    Example:
        This sends a request to a scripted server.

        ```python
        import asyncio

        import httpcore2
        from httpcore2_core.testing import AsyncScriptedBackend, Script, reply


        async def main():
            backend = AsyncScriptedBackend(Script(reply(200, b"fine")))
            async with httpcore2.AsyncConnectionPool(network_backend=backend) as http:
                response = await http.request("GET", "https://www.example.com/")
            assert response.content == b"fine"


        asyncio.run(main())
        ```
    """

    def __init__(self, script: Script) -> None:
        super().__init__([])
        self._script = script

    def _open(self) -> AsyncNetworkStream:
        return _ScriptedStream(self._script)


class ScriptedBackend(SyncBackendAdapter):
    """A backend for threads without a network, whose every connection leads to a server that replies from one script.

    The server speaks HTTP/1.1. It accepts any TLS handshake without encryption.

    Args:
        script: the script, shared by all connections and threads.

    Example:
        This sends a request to a scripted server.

        ```python
        import httpcore2
        from httpcore2_core.testing import Script, ScriptedBackend, reply

        backend = ScriptedBackend(Script(reply(200, b"fine")))
        with httpcore2.ConnectionPool(network_backend=backend) as http:
            response = http.request("GET", "https://www.example.com/")
        assert response.content == b"fine"
        ```
    """

    def __init__(self, script: Script) -> None:
        super().__init__(AsyncScriptedBackend(script))


class ScriptedServer(Server):
    """A server on a free port of 127.0.0.1 that replies from a script while its `with` block runs.

    The block ends with an `AssertionError` for a malformed request or one without a reply, and with any error of a
    function in the script. Where the script has an exception, the server resets the connection.

    Args:
        script: the script, shared by all connections.
        ssl_context: the context of a server that speaks TLS. By default the server does not.

    Example:
        This sends a request over a real socket.

        ```python
        import httpcore2
        from httpcore2_core.testing import Script, ScriptedServer, reply

        with ScriptedServer(Script(reply(200, b"fine"))) as server:
            with httpcore2.ConnectionPool() as http:
                assert http.request("GET", server.url).content == b"fine"
        ```
    """

    def __init__(self, script: Script, *, ssl_context: ssl.SSLContext | None = None) -> None:
        super().__init__(self._answer)
        self._script = script
        self._ssl_context = ssl_context

    @property
    def url(self) -> str:
        """The root URL of the server, such as `"http://127.0.0.1:40123/"`."""
        scheme = "http" if self._ssl_context is None else "https"
        return f"{scheme}://127.0.0.1:{self.address[1]}/"

    def _answer(self, peer: Peer) -> None:
        connection = ScriptedConnection(self._script)
        try:
            if self._ssl_context is not None:
                peer = TLSPeer(peer, self._ssl_context)
            while not connection.is_ended and (data := peer.receive()):
                connection.receive(data)
                while connection.output:
                    chunk = connection.output.popleft()
                    if isinstance(chunk, Exception):
                        peer.reset()
                    else:
                        peer.send(chunk)
        except OSError:
            pass  # the client has closed, or does not trust this server
