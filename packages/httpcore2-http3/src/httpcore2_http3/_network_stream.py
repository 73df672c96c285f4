"""The connection as callers see it in `response.extensions["network_stream"]`: addresses, certificate, cipher.

QUIC is no stream of bytes, so it can be neither read nor written. Layer: connection.
Must not know: requests.
"""

from __future__ import annotations

from typing import Any

from httpcore2_core._exceptions import LocalProtocolError
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.datagram_stream import DatagramStream
from httpcore2_core._net.runtime import Runtime

from ._quic import ClientQuic
from ._tls import TLSInformation

_NO_BYTES = "HTTP/3 has no stream of bytes: a connection over QUIC can't be read or written."


class QuicNetworkStream(BackendStream):
    """A QUIC connection in the place of a stream."""

    def __init__(self, datagrams: DatagramStream, quic: ClientQuic) -> None:
        self._datagrams = datagrams
        self._quic = quic

    @property
    def runtime(self) -> Runtime:
        return self._datagrams.runtime

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        raise LocalProtocolError(_NO_BYTES)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        raise LocalProtocolError(_NO_BYTES)

    def read_nowait(self, max_bytes: int) -> bytes | None:
        raise LocalProtocolError(_NO_BYTES)

    def abort(self) -> None:
        """Do nothing: the connection is closed by its own methods, with a message to the server."""

    @property
    def close_pending(self) -> bool:
        return self._datagrams.close_pending

    async def wait_closed(self) -> None:
        await self._datagrams.wait_closed()

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return TLSInformation(self._quic)
        return self._datagrams.get_extra_info(info)
