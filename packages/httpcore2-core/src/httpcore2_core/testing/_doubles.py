"""For tests of what is built on this package: scripts, what serves them, and recordings of what went over the wire.

Rules: a script does no I/O, and h11 reads its requests; several threads may share it. No coroutine of a backend
suspends by itself, so that the one for threads is a face of the other.
Must not know: sockets; of HTTP, all but the script.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.client import responses
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import h11

from .._exceptions import ReadError, WriteError
from .._net.interfaces import SOCKET_OPTION, AsyncNetworkBackend, AsyncNetworkStream, NetworkBackend
from .._net.mock import AsyncMockBackend, MockSSLObject
from .._net.sync_backend import BackendFace, adapt_backend
from ._subject import Peer, Server, TLSPeer

if TYPE_CHECKING:
    import ssl


class ReceivedRequest(NamedTuple):
    """A request as it came to the server.

    Attributes:
        method: such as `b"GET"`.
        target: such as `b"/notes?page=2"`; RFC 9112, section 3.2, has the other forms.
        headers: pairs of names, in lower case, and values.
        body: all of it.
    """

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the value of the first header field of that name, in any case."""
        wanted = name.lower().encode("ascii")
        return next((value.decode("latin-1") for key, value in self.headers if key == wanted), None)


Reply: TypeAlias = bytes | Exception | Callable[[ReceivedRequest], "bytes | Exception"]
"""The bytes to send, what the client's backend raises in their place, or what makes one of these."""


def reply(
    status: int = 200,
    body: bytes = b"",
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
) -> bytes:
    """Write a response (RFC 9112), with a Content-Length.

    Args:
        status: the status code.
        body: the content.
        headers: further header fields. After `Connection: close` the server ends the connection.
    """
    fields = headers.items() if isinstance(headers, Mapping) else headers
    phrase = responses.get(status, "")
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in fields)]
    if status >= 200 and status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Script:
    """The replies of a server, and the requests that they were for.

        script = Script(reply(503), reply(200, b"fine"))
        with ConnectionPool(network_backend=ScriptedBackend(script)) as http:
            assert http.request("GET", "http://example.com/").status == 503
        assert script.requests[0].target == b"/"

    Attributes:
        requests: what was asked, in that order.
    """

    def __init__(self, *replies: Reply) -> None:
        """Take the replies, in order.

        Each is bytes, as they go over the wire, right or wrong, such as `reply()` makes, `b""` for the end of the
        connection; an exception, which the client sees in their place; or a function of the request that returns
        either. If the last one is a function, it answers all requests that are left.
        """
        self._replies = deque(replies)
        self._lock = Lock()
        self.requests: list[ReceivedRequest] = []

    def answer(self, request: ReceivedRequest) -> bytes | Exception:
        """Note a request, and return the reply; raise `AssertionError` if there is none left."""
        with self._lock:
            self.requests.append(request)
            if not self._replies:
                target = request.target.decode("latin-1")
                raise AssertionError(
                    f"The script has no reply left for {request.method.decode()} {target}."
                )
            found = self._replies[0]
            if len(self._replies) > 1 or not callable(found):
                self._replies.popleft()
        return found(request) if callable(found) else found


class ScriptedConnection:
    """One connection to a server that answers as a script says.

    It is to send `output`, an exception in the place of bytes, and after it, if `is_ended`, the end.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._parser = h11.Connection(h11.SERVER)
        self._head: h11.Request | None = None
        self._body = b""
        self.output: deque[bytes | Exception] = deque()
        self.is_ended = False

    def receive(self, data: bytes) -> None:
        """Take what the client sends; raise `AssertionError` if it is not HTTP, or has no reply."""
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
            raise AssertionError(f"The client sent what is not HTTP/1.1: {exc}") from exc

    def _answer(self) -> None:
        head = self._head
        assert head is not None, "there is no end without a beginning"
        request = ReceivedRequest(head.method, head.target, list(head.headers), self._body)
        answer = self._script.answer(request)
        self.output.append(answer)
        if isinstance(answer, Exception) or not answer or _closes(answer):
            self.is_ended = True
        rest, _ = self._parser.trailing_data
        self._parser = h11.Connection(h11.SERVER)
        if rest:
            self._parser.receive_data(rest)
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
            raise ReadError("The connection was closed.")
        output = self._connection.output
        if not output:
            assert self._connection.is_ended, "The client waits for what the script does not send."
            return b""
        piece = output.popleft()
        if isinstance(piece, Exception):
            raise piece
        if len(piece) > max_bytes:
            output.appendleft(piece[max_bytes:])
        return piece[:max_bytes]

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._is_closed:
            raise WriteError("The connection was closed.")
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
    """Opens connections, to wherever, to a server that answers as a script says; speaks HTTP/1.1, "TLS" included."""

    def __init__(self, script: Script) -> None:
        """Take the script; all connections share it."""
        super().__init__([])
        self._script = script

    def _open(self) -> AsyncNetworkStream:
        return _ScriptedStream(self._script)


class ScriptedBackend(BackendFace):
    """`AsyncScriptedBackend` for threads."""

    def __init__(self, script: Script) -> None:
        """Take the script; all connections share it."""
        super().__init__(AsyncScriptedBackend(script))


@dataclass
class Recording:
    """What went through one connection.

    Attributes:
        address: host and port, or the path of a unix socket.
        server_hostname: the name of the TLS handshake, if there was one.
        sent: the bytes that were written, those before TLS and those within, in the clear.
        received: the bytes that were read.
        is_closed: whether it was closed on this side.
    """

    address: tuple[str, int] | str
    server_hostname: str | None = None
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    is_closed: bool = False


class _RecordingStream(AsyncNetworkStream):
    def __init__(self, stream: AsyncNetworkStream, recording: Recording) -> None:
        self._stream = stream
        self._recording = recording

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self._stream.read(max_bytes, timeout)
        self._recording.received += data
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._recording.sent += buffer
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        self._recording.is_closed = True
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> AsyncNetworkStream:
        self._recording.server_hostname = server_hostname
        inside = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _RecordingStream(inside, self._recording)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class AsyncRecordingBackend(AsyncNetworkBackend):
    """Opens connections with another backend, and notes what goes through them.

        backend = AsyncRecordingBackend(AsyncScriptedBackend(Script(reply(200))))
        async with AsyncConnectionPool(network_backend=backend) as http:
            await http.request("GET", "http://example.com/")
        assert backend.recordings[0].sent.startswith(b"GET / HTTP/1.1")

    Attributes:
        recordings: of each connection that was opened, in that order.
    """

    def __init__(self, backend: AsyncNetworkBackend) -> None:
        """Take the backend that opens the connections: a real one, or one of the mocks."""
        self._backend = backend
        self.recordings: list[Recording] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        stream = await self._backend.connect_tcp(
            host=host,
            port=port,
            timeout=timeout,
            local_address=local_address,
            socket_options=socket_options,
        )
        return self._record(stream, (host, port))

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        stream = await self._backend.connect_unix_socket(
            path=path, timeout=timeout, socket_options=socket_options
        )
        return self._record(stream, path)

    def _record(
        self, stream: AsyncNetworkStream, address: tuple[str, int] | str
    ) -> AsyncNetworkStream:
        recording = Recording(address)
        self.recordings.append(recording)
        return _RecordingStream(stream, recording)

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class RecordingBackend(BackendFace):
    """`AsyncRecordingBackend` for threads.

    Attributes:
        recordings: of each connection that was opened, in that order.
    """

    def __init__(self, backend: NetworkBackend) -> None:
        """Take the backend that opens the connections: a real one, or one of the mocks."""
        counterpart = AsyncRecordingBackend(adapt_backend(backend))
        super().__init__(counterpart)
        self.recordings: list[Recording] = counterpart.recordings


class ScriptedServer(Server):
    """Serves a script on a free port of the loopback interface, while its `with` block runs.

        with ScriptedServer(Script(reply(200, b"fine"))) as server, ConnectionPool() as http:
            assert http.request("GET", server.url).content == b"fine"

    What the client does wrong, what the script has no reply for, or what a function in it raises, is raised at the end
    of the block. Where the script has an exception, the server resets the connection.
    """

    def __init__(self, script: Script, *, ssl_context: ssl.SSLContext | None = None) -> None:
        """Take the script; nothing is opened yet.

        Args:
            script: all connections share it.
            ssl_context: for a server that speaks TLS.
        """
        super().__init__(self._answer)
        self._script = script
        self._ssl_context = ssl_context

    @property
    def url(self) -> str:
        """Such as `"http://127.0.0.1:40123/"`."""
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
                    piece = connection.output.popleft()
                    if isinstance(piece, Exception):
                        peer.reset()
                    else:
                        peer.send(piece)
        except OSError:
            pass  # the client went away, or does not trust this server
