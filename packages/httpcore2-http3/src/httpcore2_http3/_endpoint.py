"""QUIC over a datagram stream: receiving, sending and QUIC's timer on behalf of all who wait. Layer: endpoint.

Rules: there is no task in the background. One of the waiting participants receives for all, and its wait ends at QUIC's
timer. Sending never waits, so every participant sends for all, under the lock. Nothing is awaited under it.

Must not know: requests, streams, what received events mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import RLock
from typing import Protocol

from qh3.quic.connection import QuicConnectionError

from httpcore2_core._exceptions import (
    NetworkError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    TimeoutException,
    WriteTimeout,
)
from httpcore2_core._http.traffic import Traffic
from httpcore2_core._net.datagram_stream import DatagramStream
from httpcore2_core._net.errors import rounded
from httpcore2_core._net.roles import Role, Turn
from httpcore2_core._net.runtime import Waiter

from ._errors import ErrorCode
from ._quic import ClientQuic

# Seconds after which datagrams that the system had no room for are sent again.
_PATIENCE = 0.005
# Seconds of processing received datagrams after which other tasks get a turn.
_LONG = 0.01
# Seconds of silence after which requests fail on a connection whose QUIC has dropped a packet.
_DOUBTFUL_SILENCE = 5.0


class EndpointListener(Protocol):
    """What the endpoint notifies: the session. All but `notify` are called under the lock."""

    def is_awaiting_server(self) -> bool:
        """Whether requests wait for the server, so that PING frames keep the connection open."""

    def on_events(self) -> None:
        """QUIC may have events."""

    def on_received(self) -> None:
        """Datagrams were processed, and what is due was done."""

    def on_ping(self, now: float) -> None:
        """A PING is sent."""

    def on_dropped_packet(self) -> None:
        """QUIC has dropped a packet, and with it may have lost part of a request."""

    def on_end(self) -> None:
        """QUIC has noticed the end of the connection."""

    def fail(self, error: Exception) -> None:
        """The connection can't be used any more."""

    def notify(self) -> None:
        """Report changes to those outside; called without the lock."""


class Endpoint:
    """The client's end of a QUIC connection, and the datagram stream below.

    Attributes:
        lock: held for every decision. Re-entrant, since the garbage collector may close the connection while one of its
            own callbacks holds the lock.
        quic: the connection.
        datagrams: leads to the server.
        runtime: that of the datagrams.
        is_closed: nothing more is sent or received.
        received_at: when datagrams came last.
        doubted_at: when `doubt` sent a PING last. If nothing has come since, the path to the server may be gone.
        traffic: counts the bytes of datagrams, and, by the session, the rest; connections of a pool share one.
    """

    def __init__(
        self,
        datagrams: DatagramStream,
        quic: ClientQuic,
        listener: EndpointListener,
        ping_interval: float | None,
    ) -> None:
        """Start without sending anything.

        Args:
            datagrams: leads to the server.
            quic: a connection that was not begun.
            listener: the session.
            ping_interval: seconds of silence after which a PING is sent while requests wait; `None` for never.
        """
        self.lock = RLock()
        self.quic = quic
        self.datagrams = datagrams
        self.runtime = datagrams.runtime
        self.is_closed: bool = False
        self.received_at: float = self.runtime.now()
        self.doubted_at: float = -math.inf
        self.traffic: Traffic = Traffic()
        self._listener = listener
        self._ping_interval = math.inf if ping_interval is None else ping_interval
        self._role = Role()
        self._unsent: list[bytes] = []
        self._resumed_at = self._pinged_at = self.received_at
        self._pings = 0
        self._watched = math.inf  # until when somebody watches QUIC's timer
        self._is_flush_due = False  # a task sends in the next iteration of its event loop
        # qh3 needs an address to name the one path there is; the socket knows the real one.
        self._address = ("127.0.0.1", 443)

    def begin(self) -> None:
        """Queue the first flight of the handshake; under the lock."""
        self.quic.connect(self._address, self.runtime.now())

    def resume(self) -> None:
        """Let requests receive, and count silence from now on: until now nobody waited; under the lock."""
        self.datagrams.watch(None)
        self._resumed_at = self._pinged_at = self.runtime.now()

    # Waiting

    async def wait(
        self,
        turns: list[Turn],
        is_ready: Callable[[], bool],
        limit: float | None,
        timeout_error: type[TimeoutException] = ReadTimeout,
        sends_for_others: bool = False,
    ) -> None:
        """Wait until `is_ready` returns true: receive on behalf of all, or let another participant do so.

        What is queued is sent first.

        Args:
            turns: gets the turn of this participant for as long as it waits; waking it makes it check `is_ready`.
            is_ready: called under the lock.
            limit: seconds; `None` for no limit.
            timeout_error: `ReadTimeout`, `WriteTimeout` if it waits for room, or `ConnectTimeout` for the handshake.
            sends_for_others: on an event loop, give other tasks a turn before sending, so that what they queue is sent
                in the same packets. They do not send.

        Raises:
            TimeoutException: `timeout_error`, if it took longer.
        """
        runtime = self.runtime
        now = runtime.now()
        end = math.inf if limit is None else now + limit
        left = limit
        role = self._role
        turn = Turn()
        turns.append(turn)
        is_watching = owes_flush = False
        try:
            if sends_for_others and not self._is_flush_due and not runtime.is_blocking:
                self._is_flush_due = owes_flush = True
                role.take(turn)
                await runtime.sleep(0)
            while True:
                waiter: Waiter | None = None
                with self.lock:
                    if is_ready():
                        return
                    if owes_flush:
                        self._is_flush_due = owes_flush = False
                    if not self._is_flush_due:
                        self.flush()
                    due = self._due(now)
                    pause = left
                    if role.take(turn):
                        self._watched = due
                        pause = self._until(left, due, now)
                    else:
                        waiter = role.enqueue(turn, runtime.create_waiter())
                        if due < self._watched:
                            # What was sent since the reader began to wait has made the timer earlier.
                            self._watched = due
                            is_watching = True
                            pause = self._until(left, due, now)
                if waiter is not None:
                    if not await waiter.wait(pause):
                        with self.lock:
                            # This one may have to watch the next time, too.
                            self._watched = math.inf
                            self._on_timer()
                        self._listener.notify()
                else:
                    await self._receive_for_all(pause)
                is_watching = False
                now = runtime.now()
                if limit is not None:
                    left = max(0.0, end - now)
                    if left == 0 and not is_ready():
                        raise timeout_error(_timeout_message(limit, timeout_error))
        finally:
            with self.lock:
                turns.remove(turn)
                if owes_flush:
                    self._is_flush_due = False
                    self.flush()
                    is_watching = True
                if is_watching:
                    self._watched = math.inf
                    role.wake_all()
                role.leave(turn)

    def wake_all(self) -> None:
        """Let all that wait check whether they are ready."""
        self._role.wake_all()

    def _due(self, now: float) -> float:
        """Return the time of QUIC's timer, or of the next PING."""
        if self.is_closed:
            return math.inf
        timer = self.quic.get_timer()
        due = math.inf if timer is None else timer
        if self._unsent:
            due = min(due, now + _PATIENCE)
        if self._ping_interval != math.inf and self._listener.is_awaiting_server():
            due = min(due, self._next_ping())
        return due

    def _next_ping(self) -> float:
        return max(self.received_at, self._pinged_at) + self._ping_interval

    @staticmethod
    def _until(left: float | None, due: float, now: float) -> float | None:
        pause = None if due == math.inf else max(0.0, due - now)
        return pause if left is None or (pause is not None and pause < left) else left

    # Receiving

    async def _receive_for_all(self, pause: float | None) -> None:
        """Receive once, on behalf of all."""
        received: list[bytes] | Exception = []
        if pause != 0:
            try:
                received = await self.datagrams.receive(pause)
            except ReadTimeout:
                pass  # QUIC's timer, or the caller's own time
            except NetworkError as exc:
                received = exc
        runtime = self.runtime
        began = runtime.now()
        with self.lock:
            self._on_datagrams(received)
        self._listener.notify()
        if received and runtime.now() - began > _LONG:
            await runtime.sleep(0)

    def poll(self) -> None:
        """Receive datagrams that have arrived, if nobody receives, and do what is due."""
        with self.lock:
            if self._role.holder is None and not self.is_closed:
                try:
                    received: list[bytes] | Exception = self.datagrams.receive_nowait()
                except NetworkError as exc:
                    received = exc
                self._on_datagrams(received)
        self._listener.notify()

    def silence(self) -> float:
        """Return the seconds since the last datagram came."""
        return self.runtime.now() - self.received_at

    def doubt(self, silence: float) -> None:
        """Send a PING, since a request has timed out, if nothing has come for a while; under the lock.

        Args:
            silence: seconds for which nothing has come, though requests waited.
        """
        now = self.runtime.now()
        if self.quic.end is None and now - max(self.received_at, self._resumed_at) > silence:
            self.doubted_at = now
            self._ping(now)
            self.flush()

    def watch(self) -> None:
        """Receive datagrams that arrive while no request is under way, if the stream supports it."""
        self.datagrams.watch(self._on_arrival)

    def _on_arrival(self) -> None:
        self.poll()
        if not self._listener.is_awaiting_server() and not self.is_closed:
            self.watch()

    def _on_datagrams(self, received: list[bytes] | Exception) -> None:
        """Process received datagrams, or the error of the network; under the lock."""
        if self.is_closed:
            return
        if isinstance(received, Exception):
            self._listener.fail(received)
            return
        if received:
            now = self.runtime.now()
            self.received_at = now
            size = sum(map(len, received))
            self.traffic.bytes_received += size
            try:
                self.quic.receive_many_datagrams(received, self._address, now)
                self._listener.on_events()
            except Exception as exc:  # noqa: BLE001 - re-raised, for all requests
                # qh3 raises various errors for frames that are cut off. Raised here, it would fail the reader alone.
                self.quic.close(ErrorCode.H3_FRAME_ERROR)
                self.flush()
                error = RemoteProtocolError(
                    f"Malformed data from the server: {exc!r} (RFC 9114, section 7)."
                )
                error.__cause__ = exc
                self._listener.fail(error)
                return
        self._on_timer()
        self._listener.on_received()

    def _on_timer(self) -> None:
        """Let QUIC do what is due, send, and notice the end; under the lock."""
        if self.is_closed:
            return
        now = self.runtime.now()
        timer = self.quic.get_timer()
        if timer is not None and timer <= now:
            self.quic.handle_timer(now)
            self._listener.on_events()
        if (
            self._listener.is_awaiting_server()
            and self.quic.end is None
            and now >= self._next_ping()
        ):
            if self.quic.has_dropped_packet:
                message = (
                    "QUIC dropped a packet that may have held part of the request, and the server has sent nothing for "
                    f"{_DOUBTFUL_SILENCE:g} seconds since. The connection was closed."
                )
                self._listener.fail(ReadError(message))
                return
            self._ping(now)
        self.flush()
        if self.quic.end is not None and not self.is_closed:
            self._listener.on_end()

    def _ping(self, now: float) -> None:
        self._pings += 1
        self._pinged_at = now
        self.quic.send_ping(self._pings)
        self._listener.on_ping(now)

    # Sending

    def flush(self) -> None:
        """Send what is queued, as far as QUIC and the system allow it; under the lock."""
        if self.is_closed:
            return
        try:
            datagrams = [data for data, _ in self.quic.datagrams_to_send(self.runtime.now())]
        except (QuicConnectionError, ValueError) as exc:
            error = ReadError(f"QUIC failed: {exc}. The connection was closed.")
            error.__cause__ = exc
            self._listener.fail(error)
            return
        if self.quic.has_dropped_packet:
            self._listener.on_dropped_packet()
            self._ping_interval = min(self._ping_interval, _DOUBTFUL_SILENCE)
        if self._unsent:
            datagrams = self._unsent + datagrams
        if datagrams:
            try:
                accepted = self.datagrams.send(datagrams)
            except NetworkError as exc:
                self._listener.fail(exc)
                return
            size = sum(map(len, datagrams[:accepted]))
            self.traffic.bytes_sent += size
            self._unsent = datagrams[accepted:]

    # End

    def send_close(self) -> None:
        """Send CONNECTION_CLOSE, so that the server need not wait for its idle timeout; under the lock."""
        # The clock of a loop that is gone has no time.
        if not self.is_closed and self.quic.end is None and self.runtime.now() != math.inf:
            self.quic.close(ErrorCode.H3_NO_ERROR)
            self.flush()

    def close(self) -> None:
        """Send and receive nothing more, and let all who wait find out; under the lock."""
        self.is_closed = True
        self.datagrams.abort()
        self._role.wake_all()


def _timeout_message(limit: float | None, timeout_error: type[TimeoutException]) -> str:
    seconds = f"{rounded(limit)} seconds"
    if timeout_error is ReadTimeout:
        return f"No data from the server within {seconds} (read timeout)."
    if timeout_error is WriteTimeout:
        return f"The server accepted no data for {seconds} (write timeout)."
    return f"The QUIC handshake did not complete within {seconds} (connect timeout)."
