"""The interfaces between HTTP and the network: streams, and the backends that open them.

Two colours are public and may be implemented by callers: `NetworkStream`/`NetworkBackend` for
threads, and `AsyncNetworkStream`/`AsyncNetworkBackend` for event loops. `BackendStream` and
`RuntimeBackend`, which our own implement, add what clean-up without awaiting needs.
Must not know: sockets, HTTP, the pool.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

    from .runtime import Runtime

SOCKET_OPTION = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)


class NetworkStream:
    """A connected byte stream for threads."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return from 1 to `max_bytes` bytes, or `b""` at the end of the stream.

        Args:
            max_bytes: the most bytes to return.
            timeout: seconds to wait for the first byte; `None` waits for ever.

        Raises:
            ReadTimeout: nothing came within `timeout`.
            ReadError: the connection broke, or was closed on this side.
        """
        raise NotImplementedError

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of `buffer`.

        Args:
            buffer: the bytes to send.
            timeout: seconds in which the operating system must take all of it; `None` waits for ever.

        Raises:
            WriteTimeout: it was not taken within `timeout`; part of it may have been sent.
            WriteError: the connection broke, or was closed on this side.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection. May be called more than once."""
        raise NotImplementedError

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> NetworkStream:
        """Do a TLS handshake as the client and return the encrypted stream, to be used instead.

        Args:
            ssl_context: certificates, versions and ALPN protocols.
            server_hostname: the name for SNI and verification.
            timeout: seconds for the whole handshake; `None` waits for ever.

        Raises:
            ConnectTimeout: it took longer.
            ConnectError: it failed, the certificate is not trusted, or the connection broke.
        """
        raise NotImplementedError

    def get_extra_info(self, info: str) -> Any:
        """Return what is known of the connection, or `None`.

        Args:
            info: `"client_addr"`, `"server_addr"`, `"socket"`, `"ssl_object"`, or `"is_readable"`:
                whether a read would return at once, as it does where an idle connection was closed.
        """
        return None


class NetworkBackend:
    """Opens connections for threads."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        """Connect to `host`:`port` over TCP.

        Args:
            host: a name or an IP address.
            port: the TCP port.
            timeout: seconds for name resolution and connecting together; `None` waits for ever.
            local_address: the address to connect from; also selects the address family. An empty one is any.
            socket_options: arguments of `setsockopt`, applied before connecting.

        Raises:
            ConnectTimeout: it took longer.
            ConnectError: the name did not resolve, or no address took the connection.
        """
        raise NotImplementedError

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        """Connect to the unix domain socket at `path`; otherwise as `connect_tcp`."""
        raise NotImplementedError

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for `seconds`."""
        time.sleep(seconds)


class AsyncNetworkStream:
    """A connected byte stream for event loops."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return from 1 to `max_bytes` bytes, or `b""` at the end; see `NetworkStream.read`."""
        raise NotImplementedError

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of `buffer`; see `NetworkStream.write`."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close the connection. May be called more than once."""
        raise NotImplementedError

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> AsyncNetworkStream:
        """Do a TLS handshake and return the encrypted stream; see `NetworkStream.start_tls`."""
        raise NotImplementedError

    def get_extra_info(self, info: str) -> Any:
        """Return what is known of the connection, or `None`; see `NetworkStream.get_extra_info`."""
        return None


class AsyncNetworkBackend:
    """Opens connections for event loops."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to `host`:`port` over TCP; see `NetworkBackend.connect_tcp`."""
        raise NotImplementedError

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to the unix domain socket at `path`; see `NetworkBackend.connect_unix_socket`."""
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        """Let other tasks run for `seconds`."""
        raise NotImplementedError


class BackendStream(AsyncNetworkStream):
    """A stream that closes, and tells what is there, without awaiting. On threads it never suspends.

    Attributes:
        is_resumable: whether what `write_nowait` and `write_some` take is sure to be sent, so that a
            write that was cancelled or timed out can be gone on with. Not to be mixed with `write`.
        read_size: how many bytes to ask for at a time; 64 KiB cost least where each read makes room.
        owner: kept alive for as long as the stream is. Of a stream that has left HTTP it is the response's
            body, without which the pool would take the connection for forgotten.
    """

    owner: object = None
    is_resumable = False
    read_size = 64 * 1024

    @property
    def close_pending(self) -> bool:
        """Whether `abort()` has left something for `wait_closed()`."""
        return False

    @property
    def ended_cleanly(self) -> bool:
        """Once a read has returned the end: whether it was the peer that ended the stream.

        Over TLS without close_notify anybody on the way can have cut it off.
        """
        return True

    @property
    def runtime(self) -> Runtime:
        """The clock and scheduling of the world that this stream belongs to."""
        raise NotImplementedError

    def abort(self) -> None:
        """Close the connection now, without waiting or raising. May be called more than once.

        What reads or writes meanwhile fails with `ReadError` or `WriteError`. TLS sends no
        close_notify: that could need waiting.
        """
        raise NotImplementedError

    async def wait_closed(self) -> None:
        """After `abort()`, await what it has left, shielded from cancellation."""

    def read_nowait(self, max_bytes: int) -> bytes | None:
        """Return what can be read now: `None` if nothing, `b""` at the end.

        This asks the network, not only what an event loop has received so far. Not to be called while
        a `read` is under way.

        Raises:
            ReadError: the connection broke, or was closed on this side.
        """
        raise NotImplementedError

    async def wait_readable(self) -> None:
        """Wait until `read_nowait` returns something, in a task that may be cancelled; nobody may read meanwhile.

        Event loops alone need it. The default never returns.
        """
        await self.runtime.create_waiter().wait(None)

    def write_nowait(self, buffer: bytes) -> int:
        """Take as much of `buffer` as can be sent without waiting; return how many bytes that is.

        The rest must come first in the next call: TLS may have encrypted it already. Errors as for `write`.
        """
        return 0

    async def write_some(self, buffer: bytes, timeout: float | None = None) -> int:
        """Wait until some of `buffer` can be taken; return how many bytes were, 0 after `timeout`.

        Cancelled or out of time, a resumable stream has taken nothing. Others close the connection, since
        part of it may be on its way. Errors as for `write`; `WriteTimeout` only if not resumable.
        """
        try:
            await self.write(buffer, timeout)
        except BaseException:
            self.abort()
            raise
        return len(buffer)

    def watch(self, callback: Callable[[], None] | None) -> None:
        """Call `callback`, once, when bytes, the end or an error arrive while no read waits.

        `None` stops that. Only asyncio sees the network by itself; elsewhere this does nothing, and
        the pool asks on reuse.
        """

    async def aclose(self) -> None:
        self.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> BackendStream:
        from .tls import TLSStream

        return await TLSStream.handshake(self, ssl_context, server_hostname, timeout)


class PrefixedStream(BackendStream):
    """A stream whose first bytes were received already, with the end of what was spoken before."""

    def __init__(self, stream: BackendStream, leading_data: bytes) -> None:
        self.is_resumable = stream.is_resumable
        self._stream = stream
        self._leading_data = leading_data

    @property
    def runtime(self) -> Runtime:
        return self._stream.runtime

    @property
    def close_pending(self) -> bool:
        return self._stream.close_pending

    @property
    def ended_cleanly(self) -> bool:
        return self._stream.ended_cleanly

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._leading_data:
            return self._take(max_bytes)
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    def write_nowait(self, buffer: bytes) -> int:
        return self._stream.write_nowait(buffer)

    async def write_some(self, buffer: bytes, timeout: float | None = None) -> int:
        return await self._stream.write_some(buffer, timeout)

    def abort(self) -> None:
        self._stream.abort()

    async def wait_closed(self) -> None:
        await self._stream.wait_closed()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def read_nowait(self, max_bytes: int) -> bytes | None:
        if self._leading_data:
            return self._take(max_bytes)
        return self._stream.read_nowait(max_bytes)

    async def wait_readable(self) -> None:
        if not self._leading_data:
            await self._stream.wait_readable()

    def watch(self, callback: Callable[[], None] | None) -> None:
        self._stream.watch(callback)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> BackendStream:
        if self._leading_data:
            return await super().start_tls(ssl_context, server_hostname, timeout)
        encrypted = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        encrypted.owner = self.owner
        return encrypted

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable" and self._leading_data:
            return True
        return self._stream.get_extra_info(info)

    def _take(self, max_bytes: int) -> bytes:
        data = self._leading_data[:max_bytes]
        self._leading_data = self._leading_data[max_bytes:]
        return data


class RuntimeBackend(AsyncNetworkBackend):
    """Opens `BackendStream`s, and brings its world's clock and scheduling."""

    runtime: Runtime

    async def sleep(self, seconds: float) -> None:
        await self.runtime.sleep(seconds)

    async def resolve_ipv4(self, host: str, timeout: float | None = None) -> str:
        """Return an IPv4 address of `host` for SOCKS4, which takes no names.

        It may take `timeout` seconds; `None` waits for ever. Errors as for `connect_tcp`.
        """
        raise NotImplementedError
