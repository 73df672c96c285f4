"""A stream while it is set up: its owner, and the stages that lead from a dial to a stream to the origin.

Rules: from the moment that it is opened a stream has exactly one owner, here its `StreamSetup`. A stage that fails ends
the setup, and closes the stream.
Must not know: what is sent over the stream, connections, pools.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from .._exceptions import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    WriteError,
    WriteTimeout,
)
from .._http.observation import ConnectionObservation
from .._http.timeouts import Timeouts
from .._http.trace import Tracer
from .._models import Request
from .._net.backend_stream import BackendStream
from .._net.errors import rounded
from .._net.runtime_backend import RuntimeBackend


class StreamSetup:
    """Owns a stream while it is set up.

    Attributes:
        backend: opens the stream.
        request: the first request that the stream is for; its extensions apply to the setup.
        timeouts: the limits of that request.
        observation: reports the stages; `None` if there is no observer.
        addresses: those of the two ends of the stream, once there is one, which a failed stage closes.
    """

    def __init__(
        self,
        backend: RuntimeBackend,
        request: Request,
        timeouts: Timeouts,
        observation: ConnectionObservation | None = None,
    ) -> None:
        is_observed = observation is not None and observation.is_observed
        self.observation = observation if is_observed else None
        self.backend = backend
        self.request = request
        self.timeouts = timeouts
        self.addresses: dict[str, Any] = {}
        self._stream: BackendStream | None = None

    @property
    def stream(self) -> BackendStream:
        """The stream, as the last stage has left it."""
        assert self._stream is not None, "the first stage is a dial"
        return self._stream

    @stream.setter
    def stream(self, stream: BackendStream) -> None:
        self._stream = stream

    async def replace_stream(
        self,
        prefix: str,
        event: str,
        info: dict[str, Any],
        make: Callable[[], Coroutine[Any, Any, BackendStream]],
    ) -> None:
        """Replace the stream by the one that `make` makes of it, and report that as the trace event `prefix.event`."""

        async def keep() -> BackendStream:
            # It has its owner before a trace callback can raise.
            self._stream = await make()
            return self._stream

        tracer = Tracer.of(prefix, self.request, self.backend.runtime.is_blocking)
        if tracer is None:
            await keep()
        else:
            await tracer.span(event, info, keep(), lambda stream: stream.unwrapped)

    @contextmanager
    def handshake_timeouts(self) -> Iterator[Timeouts]:
        """Give the limits for a handshake with a proxy, and translate its errors.

        Each read and write has the limit of its kind, and the whole handshake that of connecting, so that a proxy that
        sends byte by byte gains no time.

        Raises:
            ConnectTimeout: the handshake took longer than connecting may take.
            ConnectError: the network failed.
        """
        timeouts = self.timeouts
        limit = timeouts.for_connect()
        if limit is not None:
            runtime = self.backend.runtime
            timeouts = Timeouts(
                read=timeouts.read, write=timeouts.write, total=limit, runtime=runtime
            )
        try:
            yield timeouts
        except (ReadTimeout, WriteTimeout) as exc:
            if not timeouts.is_cut:
                raise
            raise ConnectTimeout(
                f"The handshake with the proxy did not complete within {rounded(limit)} seconds (connect timeout)."
            ) from exc
        except (ReadError, WriteError) as exc:
            raise ConnectError(str(exc)) from exc

    async def close(self) -> None:
        """Close the stream, if there is one."""
        if self._stream is not None:
            self._stream.abort()
            await self._stream.wait_closed()


class SetupStage(Protocol):
    """One stage of the setup of a stream."""

    @property
    def purpose(self) -> str:
        """What the stage does, and with which peer, for the message of its failure."""

    async def run(self, setup: StreamSetup) -> None:
        """Run the stage on the stream of `setup`. An error ends the setup."""
