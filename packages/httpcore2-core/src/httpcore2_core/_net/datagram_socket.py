"""Datagram streams over UDP sockets: the part that threads and all event loops share, and the race of the addresses.

A UDP socket connects without a packet, so connecting does not show which of a host's addresses can be reached. The
stream finds out by the first datagram that comes back (Happy Eyeballs, RFC 8305): what was sent to the first address is
sent to the next one as well after `ATTEMPT_DELAY` seconds of silence, or at once after an error. The address that sends
the first datagram is the peer, and the sockets to the others are closed.

Rules:

- Sockets are connected: the system drops datagrams of other hosts, and reports the errors of ICMP.
- The system reports an error once, to whichever call comes next, and that raises it: a task that waits in `receive`
  would never hear of an error that `send` kept. Before the peer is known, the error means that the next address is due,
  which `receive` tries.
- A stream that has no room in the system's send buffer sends the remaining datagrams later; one that is too large for
  the path is lost, which is how QUIC probes for the largest size.
- A forked child closes its own descriptors and nothing else.

Must not know: how a runtime waits, QUIC, HTTP, the pool.
"""

from __future__ import annotations

import errno
import os
import socket
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from .._exceptions import ReadError, WriteError
from .datagram_stream import MAX_BATCH, DatagramStream
from .errors import CLOSED_HERE, read_timeout
from .forks import generation
from .happy_eyeballs import ATTEMPT_DELAY
from .readiness import Address, ReadinessRuntime
from .runtime import Deadline, Runtime

RECEIVE_BUFFER = 2 * 1024 * 1024
"""Bytes of the system's buffer for datagrams that arrive while the program computes. Many systems allow less."""

EAGER_BATCHES = 8
"""Batches that are received in a row without yielding to other tasks."""

# Seconds between two looks at the sockets to the addresses before the current one.
_POLL_INTERVAL = 0.025
# The most datagrams that are kept to be sent to the next address as well: more than a first flight.
_MAX_KEPT = 16
_LARGEST = 65535


class SocketDatagramStream(DatagramStream):
    """Datagrams over UDP sockets. A derived class says how its runtime waits."""

    def __init__(
        self, runtime: Runtime, sock: socket.socket, further: Iterator[socket.socket] | None = None
    ) -> None:
        """Take over connected sockets.

        Args:
            runtime: the runtime of the stream.
            sock: leads to the address that is tried first.
            further: makes the sockets to the other addresses; `None` if there are none.
        """
        self._runtime = runtime
        self._socket = sock
        self._further = further
        self._earlier: list[socket.socket] = []
        self._sent: list[bytes] = []  # what the next address is sent as well
        self._next_attempt = runtime.now() + ATTEMPT_DELAY
        self._failure: OSError | None = None
        self._is_aborted = False
        self._eager = 0
        self._may_have_more = False
        self._generation = generation()

    @property
    def runtime(self) -> Runtime:
        return self._runtime

    # The part that depends on the runtime

    @abstractmethod
    async def _wait(self, timeout: float | None) -> bool:
        """Wait until the socket is readable, or was closed on this side; return whether that came in time."""

    @abstractmethod
    def _close(self, sock: socket.socket) -> None:
        """Close a socket, and wake the task or thread that waits for it."""

    # Sending

    def send(self, datagrams: Sequence[bytes]) -> int:
        if self._is_aborted:
            raise WriteError(CLOSED_HERE)
        if self._further is not None:
            self._sent = [*self._sent, *datagrams][-_MAX_KEPT:]
        return self._send(datagrams)

    def _send(self, datagrams: Sequence[bytes]) -> int:
        send = self._socket.send
        for count, datagram in enumerate(datagrams):
            try:
                send(datagram)
            except BlockingIOError:
                return count
            except OSError as exc:
                if exc.errno == errno.ENOBUFS:
                    return count
                if exc.errno == errno.EMSGSIZE:
                    continue
                if self._further is None:
                    raise ReadError(str(exc)) from exc
                self._failure = exc
        return len(datagrams)

    # Receiving

    async def receive(self, timeout: float | None = None) -> list[bytes]:
        deadline = Deadline(timeout, self._runtime)
        left = timeout
        while True:
            if self._may_have_more or self._failure is not None or self._is_aborted:
                self._eager += 1
                if self._eager >= EAGER_BATCHES:
                    # Before it receives: a receive that is cancelled takes nothing.
                    self._eager = 0
                    await self._runtime.sleep(0)
                datagrams = self.receive_nowait()
                if datagrams:
                    return datagrams
            self._eager = 0
            pause = left
            if self._further is not None:
                pause = self._pause(left)
            if await self._wait(pause):
                datagrams = self.receive_nowait()
            else:
                left = deadline.left()
                datagrams = [] if self._further is None else self.receive_nowait()
                if left == 0 and not datagrams:
                    raise read_timeout(timeout)
            if datagrams:
                return datagrams

    def receive_nowait(self) -> list[bytes]:
        if self._further is not None:
            return self._receive_racing()
        return self._receive(self._socket)

    def _receive(self, sock: socket.socket) -> list[bytes]:
        """Receive what has arrived on one socket."""
        if self._is_aborted:
            raise ReadError(CLOSED_HERE)
        datagrams: list[bytes] = []
        failure = None
        if sock is self._socket:
            failure, self._failure = self._failure, None
        if failure is None:
            receive = sock.recv
            try:
                while len(datagrams) < MAX_BATCH:
                    datagrams.append(receive(_LARGEST))
            except BlockingIOError:
                pass
            except OSError as exc:
                failure = exc
            if self._is_aborted:
                # By another thread: the shutdown looks like empty datagrams.
                raise ReadError(CLOSED_HERE)
        if failure is not None:
            if not datagrams:
                self._may_have_more = False
                raise ReadError(str(failure)) from failure
            self._failure = failure
        self._may_have_more = len(datagrams) == MAX_BATCH
        return datagrams

    # The race of the addresses

    def _pause(self, left: float | None) -> float:
        """Return how long to wait before the next look at the other addresses."""
        pause = max(0.0, self._next_attempt - self._runtime.now())
        if self._earlier:
            pause = min(pause, _POLL_INTERVAL)
        return pause if left is None else min(pause, left)

    def _receive_racing(self) -> list[bytes]:
        """Receive from any of the addresses that were tried, and try the next one if it is time."""
        for sock in [*self._earlier, self._socket]:
            try:
                datagrams = self._receive(sock)
            except ReadError:
                if self._is_aborted or not self._drop(sock):
                    raise
                continue
            if datagrams:
                self._end_race(sock)
                return datagrams
        if self._runtime.now() >= self._next_attempt:
            self._try_next()
        return []

    def _drop(self, sock: socket.socket) -> bool:
        """Give up an address that has failed; return false if there is no other."""
        if sock is not self._socket or self._try_next():
            self._earlier.remove(sock)
        elif self._earlier:
            self._socket = self._earlier.pop()
        else:
            return False
        self._close(sock)
        return True

    def _try_next(self) -> bool:
        """Send what was sent to the next address; return false if there is none, and the race is over."""
        assert self._further is not None, "only a race has a next address"
        sock = next(self._further, None)
        if sock is None:
            if self._earlier:
                self._next_attempt = float("inf")
            else:
                self._further = None
                self._sent = []
            return False
        self._earlier.append(self._socket)
        self._socket = sock
        self._next_attempt = self._runtime.now() + ATTEMPT_DELAY
        self._send(self._sent)
        return True

    def _end_race(self, winner: socket.socket) -> None:
        """The address of `winner` is the peer's."""
        others = [sock for sock in (*self._earlier, self._socket) if sock is not winner]
        self._socket = winner
        self._further = None
        self._earlier, self._sent = [], []
        for sock in others:
            self._close(sock)

    # Closing

    def abort(self) -> None:
        if self._is_aborted:
            return
        self._is_aborted = True
        sockets = [*self._earlier, self._socket]
        self._further = None
        self._earlier = []
        if self._generation != generation():
            for sock in sockets:
                # uvloop counts as a user of the socket, which defers `close()`.
                os.close(sock.detach())
            return
        for sock in sockets:
            self._close(sock)

    def get_extra_info(self, info: str) -> Any:
        if info == "socket":
            return self._socket
        try:
            if info == "client_addr":
                return self._socket.getsockname()
            if info == "server_addr":
                return self._socket.getpeername()
        except OSError:
            pass  # the stream is closed, and has no addresses any more
        return None


class ReadinessDatagramStream(SocketDatagramStream):
    """Datagrams on an event loop that reports when a socket is ready."""

    _runtime: ReadinessRuntime

    async def _wait(self, timeout: float | None) -> bool:
        return await self._runtime.wait_readable(self._socket, self._runtime.deadline(timeout))

    def _close(self, sock: socket.socket) -> None:
        self._runtime.notify_closing(sock)
        sock.close()


def datagram_address(address: Address) -> Address:
    """Return the address for datagrams that belongs to one for a stream."""
    return (address[0], socket.SOCK_DGRAM, 0, "", address[4])
