"""The stream that the transport works with: it can be closed, and polled, without awaiting.

Must not know: sockets, HTTP, the pool.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .network_interfaces import AsyncNetworkStream, NetworkStream

if TYPE_CHECKING:
    import ssl

    from .runtime import Runtime


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

    @property
    def unwrapped(self) -> AsyncNetworkStream | NetworkStream:
        """The stream as the caller knows it: of an adapter the caller's own stream, else this one."""
        return self

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
