"""What a server answers, request by request: for tests of what is built on this package.

Rules: no I/O; whoever carries the bytes, `_scripted` in memory or `_server` over sockets, decides nothing. h11 reads
the requests. One script may answer several connections, from several threads.
Must not know: streams, sockets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from http.client import responses
from threading import Lock
from typing import NamedTuple, TypeAlias

import h11

_CLOSES = b"connection: close\r\n"


class ReceivedRequest(NamedTuple):
    """A request as it came to the server.

    Attributes:
        method: such as `b"GET"`.
        target: path and query, such as `b"/notes?page=2"`; what else there may be, RFC 9112, section 3.2 says.
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
        for key, value in self.headers:
            if key == wanted:
                return value.decode("latin-1")
        return None


Reply: TypeAlias = bytes | Exception | Callable[[ReceivedRequest], "bytes | Exception"]
"""The bytes to send; or what the client's backend raises instead of giving any; or what makes one of these."""


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
            assert http.request("GET", "http://example.com/").status == 200
        assert [request.target for request in script.requests] == [b"/", b"/"]

    Attributes:
        requests: what was asked, in the order in which it came.
    """

    def __init__(self, *replies: Reply) -> None:
        """Take the replies, in order.

        Args:
            replies: bytes, as they go over the wire, right or wrong, such as `reply()` makes, `b""` for the end of the
                connection; an exception, which the client sees in place of a reply; or a function of the request that
                returns either. If the last one is a function, it answers all requests that are left.
        """
        self._replies = deque(replies)
        self._lock = Lock()
        self.requests: list[ReceivedRequest] = []

    def answer(self, request: ReceivedRequest) -> bytes | Exception:
        """Note a request, and return the reply to it.

        Raises:
            AssertionError: there is none left.
        """
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

    Attributes:
        output: what is to be sent to the client, an exception in the place of bytes.
        is_ended: whether the server ends the connection after that.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._parser = h11.Connection(h11.SERVER)
        self._head: h11.Request | None = None
        self._body = b""
        self.output: deque[bytes | Exception] = deque()
        self.is_ended = False

    def receive(self, data: bytes) -> None:
        """Take what the client sends.

        Raises:
            AssertionError: it is not HTTP, or the script has no reply.
        """
        try:
            self._parser.receive_data(data)
            while self._take(self._parser.next_event()):
                pass
        except h11.RemoteProtocolError as exc:
            raise AssertionError(f"The client sent what is not HTTP/1.1: {exc}") from exc

    def _take(self, event: object) -> bool:
        """Take an event of the parser, and return whether there may be more."""
        if isinstance(event, h11.Request):
            self._head = event
        elif isinstance(event, h11.Data):
            self._body += event.data
        elif isinstance(event, h11.EndOfMessage):
            self._answer()
        else:
            return False
        return not self.is_ended

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
    return b"\n" + _CLOSES in head.lower() + b"\r\n"
