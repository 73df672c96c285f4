"""Backends without a network whose connections lead to a script.

Rules: no coroutine here suspends, so that the backend for threads is a face of the other one.
Must not know: sockets, HTTP (the script does).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._backends.mock import AsyncMockBackend, MockSSLObject
from .._backends.sync import BackendFace
from .._exceptions import ReadError, WriteError
from .._network import AsyncNetworkStream
from ._script import Script, ScriptedConnection

if TYPE_CHECKING:
    import ssl


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
