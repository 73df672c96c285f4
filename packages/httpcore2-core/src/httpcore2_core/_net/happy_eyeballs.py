"""Happy Eyeballs (RFC 8305): the attempts to connect to a host that has several addresses.

`Race` decides which address is tried next, and when. `connect_first` runs the attempts as tasks of an event loop. The
backend for threads has a loop of its own over `Race`, since one thread waits for all sockets.

Rules: every socket is returned or closed, and every task has ended, on every way out, repeated cancellation included.
Must not know: how a name is resolved, how a socket is connected, which event loop it is.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import zip_longest
from typing import Any, Generic, TypeVar

from .._exceptions import ConnectError
from .readiness import Nursery, foremost
from .runtime import Runtime, Waiter

A = TypeVar("A", bound=tuple[Hashable, ...])
T = TypeVar("T")

# Section 5: seconds after which the next address is tried while earlier ones still are.
ATTEMPT_DELAY = 0.25


def interleave(addresses: Iterable[A]) -> list[A]:
    """Order the addresses of `getaddrinfo` so that the families alternate; the first one's is first (section 4)."""
    families: dict[Hashable, list[A]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    return [
        address
        for turn in zip_longest(*families.values())
        for address in turn
        if address is not None
    ]


class Race(Generic[T]):
    """The addresses that are still to be tried, and the errors of those that failed.

    The next attempt begins when an earlier one fails, or after `delay` seconds.
    """

    def __init__(self, addresses: Iterable[T]) -> None:
        self._untried = deque(addresses)
        self._errors: list[OSError] = []

    @property
    def has_next(self) -> bool:
        """Whether there is an address that was not tried yet."""
        return bool(self._untried)

    def next(self) -> T:
        """Return the next address to try."""
        return self._untried.popleft()

    @property
    def delay(self) -> float | None:
        """Return the seconds to wait for attempts in progress before the next one; `None` after the last one."""
        return ATTEMPT_DELAY if self._untried else None

    def fail(self, error: OSError) -> None:
        """Remember why an attempt failed."""
        self._errors.append(error)

    def error(self) -> ConnectError:
        """Make one error of those of all attempts; its cause is the last one."""
        return race_error(self._errors)


def race_error(errors: Sequence[OSError]) -> ConnectError:
    """Make one error of those of all addresses; its cause is the last one."""
    error = ConnectError("; ".join(dict.fromkeys(str(error) for error in errors)))
    error.__cause__ = errors[-1]
    return error


async def connect_first(
    addresses: Sequence[T],
    connect: Callable[[T], Coroutine[Any, Any, socket.socket]],
    runtime: Runtime,
    open_nursery: Callable[[], AbstractAsyncContextManager[Nursery]],
) -> socket.socket:
    """Return the socket of the first attempt that succeeds.

    Args:
        addresses: the addresses to try, in this order.
        connect: returns a connected socket, or raises `OSError`.
        runtime: the clock of the pauses.
        open_nursery: opens a nursery for the attempts.

    Raises:
        ConnectError: no attempt succeeded.
    """
    race = Race(addresses)
    connected: list[socket.socket] = []
    under_way = 0
    progress: Waiter

    async def attempt(address: T) -> None:
        nonlocal under_way
        try:
            connected.append(await connect(address))
        except OSError as exc:
            race.fail(exc)
        finally:
            under_way -= 1
            progress.wake()

    try:
        async with open_nursery() as nursery:
            while not connected and (race.has_next or under_way):
                # Made before the attempt begins: a task may run, and fail, as soon as it is started.
                progress = runtime.create_waiter()
                if race.has_next:
                    under_way += 1
                    nursery.start_soon(attempt, race.next())
                await progress.wait(race.delay)
            nursery.cancel_scope.cancel()
    except BaseException as exc:
        close_all(connected)
        if isinstance(exc, BaseExceptionGroup):
            raise foremost(exc.exceptions) from None
        raise
    if not connected:
        raise race.error()
    # Two attempts may have succeeded in the same instant.
    close_all(connected[1:])
    return connected[0]


def close_all(sockets: Iterable[socket.socket]) -> None:
    """Close sockets that are not needed."""
    for sock in sockets:
        sock.close()
