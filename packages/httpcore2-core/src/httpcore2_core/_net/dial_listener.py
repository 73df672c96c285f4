"""Reports the name resolution and the attempts to connect of one dial to its listener.

The listener is in a context variable, since the arguments of the backends' methods are public: a backend of a caller's
own that delegates to ours is reported, too. The tasks of the attempts inherit it.
Rules: a dial without a listener makes one look-up for each report.
Must not know: who listens, sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeAlias, TypeVar

T = TypeVar("T")

PeerAddress: TypeAlias = tuple[str, int] | str
"""An IP address and a port, or the path of a unix socket."""


class DialListener(Protocol):
    """Is told of the steps of one dial."""

    def resolution_started(self, host: str) -> None:
        """A host is going to be resolved."""

    def resolution_ended(
        self, host: str, addresses: Sequence[str], error: BaseException | None
    ) -> None:
        """It was resolved, or `error` came."""

    def attempt_started(self, address: PeerAddress) -> None:
        """An attempt to connect begins."""

    def attempt_ended(self, address: PeerAddress, error: BaseException | None) -> None:
        """It has succeeded, or `error` came."""


dial_listener: ContextVar[DialListener | None] = ContextVar("dial_listener", default=None)


async def report_resolution(
    host: str, resolving: Coroutine[Any, Any, T], texts: Callable[[T], Sequence[str]]
) -> T:
    """Await the resolution of a host, and report it; `texts` returns the text forms of what was found."""
    listener = dial_listener.get()
    if listener is None:
        return await resolving
    try:
        listener.resolution_started(host)
        found = await resolving
    except BaseException as exc:
        resolving.close()  # the listener may have raised
        listener.resolution_ended(host, (), exc)
        raise
    listener.resolution_ended(host, texts(found), None)
    return found


@contextmanager
def reported_attempt(address: PeerAddress) -> Iterator[None]:
    """Report an attempt to connect, which is the body of the `with` statement."""
    listener = dial_listener.get()
    if listener is None:
        yield
        return
    try:
        listener.attempt_started(address)
        yield
    except BaseException as exc:
        listener.attempt_ended(address, exc)
        raise
    listener.attempt_ended(address, None)
