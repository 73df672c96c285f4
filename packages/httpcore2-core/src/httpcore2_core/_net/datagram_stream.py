"""The interface of datagram streams, on which QUIC runs: datagrams to and from one peer over UDP.

Rules: only `receive` waits. A datagram may get lost, doubled or reordered on its way, and one that the system has no
room for counts as lost, too: protocols over UDP expect that. So an error of the network is reported by `receive` alone.
Must not know: sockets, QUIC, HTTP, the pool.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from .coroutines import run_blocking
from .runtime import Runtime

MAX_BATCH = 64
"""The most datagrams that one call of `receive` returns."""


class DatagramStream(ABC):
    """Base class of datagram streams: datagrams to and from one peer. On threads its coroutines block.

    `connect_udp` of the backends returns one. One task or thread receives at a time, and any may send meanwhile.

    Example:
        A datagram is sent. The discard service, which it is for, does not answer.

        ```python
        import asyncio

        import httpcore2


        async def main():
            stream = await httpcore2.AsyncIOBackend().connect_udp("127.0.0.1", 9)
            stream.send([b"hello"])
            stream.abort()


        asyncio.run(main())
        ```
    """

    close_pending = False
    """Whether `abort()` has left something to await in `wait_closed()`."""

    @property
    @abstractmethod
    def runtime(self) -> Runtime:
        """The clock and the scheduling of the runtime that the stream belongs to."""

    @abstractmethod
    def send(self, datagrams: Sequence[bytes]) -> int:
        """Send datagrams, without waiting.

        Args:
            datagrams: the datagrams, each of at least a byte.

        Returns:
            How many of them the system has accepted, from the first on. The others can be sent later.

        Raises:
            WriteError: the stream was closed on this side.
            ReadError: the network reported an error, such as a port that nobody listens on. It is reported once, by
                `send` or by `receive`.
        """

    @abstractmethod
    async def receive(self, timeout: float | None = None) -> list[bytes]:
        """Receive the datagrams that have arrived. The call returns as soon as there is at least one.

        Args:
            timeout: the limit on the wait for the first datagram, in seconds; `None` is no limit.

        Returns:
            From 1 to 64 datagrams, in the order of their arrival.

        Raises:
            ReadTimeout: no datagram arrived within `timeout`.
            ReadError: the network reported an error, such as a port that nobody listens on, or the stream was closed
                on this side.
        """

    @abstractmethod
    def receive_nowait(self) -> list[bytes]:
        """Return the datagrams that have arrived, without waiting.

        Returns:
            At most 64 datagrams; an empty list if none has arrived.

        Raises:
            ReadError: the network reported an error, or the stream was closed on this side.
        """

    def watch(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` once, when a datagram or an error arrives while nobody receives.

        Only asyncio sees the network while nothing waits for it. On other runtimes this does nothing.

        Args:
            callback: takes no arguments and must not raise; `None` ends the watch.
        """

    @abstractmethod
    def abort(self) -> None:
        """Close the stream now, without waiting and without raising. May be called more than once.

        A receive in progress fails with `ReadError`.
        """

    async def wait_closed(self) -> None:
        """Await what `abort()` has left, shielded from cancellation."""

    @abstractmethod
    def get_extra_info(self, info: str) -> Any:
        """Return information on the stream.

        Args:
            info: `"client_addr"` and `"server_addr"` are the addresses of the two ends, and `"socket"` is the socket.

        Returns:
            The information, or `None` if the stream does not have it.
        """


class SyncDatagramStream:
    """Datagrams to and from one peer, for threads. `SyncBackend.connect_udp` returns one.

    Example:
        A datagram is sent. The discard service, which it is for, does not answer.

        ```python
        import httpcore2

        stream = httpcore2.SyncBackend().connect_udp("127.0.0.1", 9)
        stream.send([b"hello"])
        stream.abort()
        ```
    """

    def __init__(self, inner: DatagramStream) -> None:
        """Make the counterpart of a datagram stream.

        Args:
            inner: a stream whose coroutines block.
        """
        self.inner = inner

    def send(self, datagrams: Sequence[bytes]) -> int:
        """Send datagrams, without waiting.

        Args:
            datagrams: the datagrams, each of at least a byte.

        Returns:
            How many of them the system has accepted, from the first on. The others can be sent later.

        Raises:
            WriteError: the stream was closed on this side.
            ReadError: the network reported an error, such as a port that nobody listens on. It is reported once, by
                `send` or by `receive`.
        """
        return self.inner.send(datagrams)

    def receive(self, timeout: float | None = None) -> list[bytes]:
        """Receive the datagrams that have arrived. The call returns as soon as there is at least one.

        Args:
            timeout: the limit on the wait for the first datagram, in seconds; `None` is no limit.

        Returns:
            From 1 to 64 datagrams, in the order of their arrival.

        Raises:
            ReadTimeout: no datagram arrived within `timeout`.
            ReadError: the network reported an error, such as a port that nobody listens on, or the stream was closed
                on this side.
        """
        return run_blocking(self.inner.receive(timeout))

    def abort(self) -> None:
        """Close the stream, without raising. A thread that receives fails with `ReadError`."""
        self.inner.abort()

    def get_extra_info(self, info: str) -> Any:
        """Return information on the stream.

        Args:
            info: `"client_addr"` and `"server_addr"` are the addresses of the two ends, and `"socket"` is the socket.

        Returns:
            The information, or `None` if the stream does not have it.
        """
        return self.inner.get_extra_info(info)
