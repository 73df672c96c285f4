"""The route to an origin: a dial, and the stages that set the stream up after it. A proxy makes another route.

Must not know: what is sent over the stream, connections, pools.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from .._exceptions import ConnectTimeout, Peer, add_context
from .._http.observation import ConnectionObservation
from .._http.timeouts import Timeouts
from .._http.trace import Tracer
from .._models import Origin, Request
from .._net.backend_stream import BackendStream
from .._net.runtime_backend import RuntimeBackend
from .connection_config import ConnectionConfig
from .dial import Dial, Endpoint
from .retries import connect_with_retries
from .stream_setup import SetupStage, StreamSetup
from .tls_handshake import TLSHandshake


class Route:
    """The route to an origin. Its text names the origin, and the proxy or the unix socket in between."""

    def __init__(self, origin: Origin, dial: Dial, *stages: SetupStage, retries: int) -> None:
        """Describe a route.

        Args:
            origin: the peer at its end.
            dial: the first stage.
            stages: the stages after it.
            retries: how often a failed attempt to connect is repeated, after 0, 0.5, 1, 2, … seconds.
        """
        self._origin = origin
        self._dial = dial
        self._stages = (dial, *stages)
        self._retries = retries

    def __str__(self) -> str:
        dialled = self._dial.endpoint
        if dialled.origin is self._origin:
            return str(dialled)
        return f"{self._origin} through the proxy {dialled}"

    async def open(
        self,
        backend: RuntimeBackend,
        request: Request,
        timeouts: Timeouts,
        observation: ConnectionObservation | None = None,
    ) -> BackendStream:
        """Open a stream to the origin.

        Args:
            backend: opens it.
            request: the first request that it is for.
            timeouts: the limits of that request.
            observation: reports the stages; `None` for nobody.

        Raises:
            ConnectError: the last attempt failed.
            ConnectTimeout: the last attempt took too long.
            ProxyError: a proxy refused.
            RemoteProtocolError: a proxy sent something that its protocol does not allow.
            ReadTimeout: a proxy sent nothing in time.
            WriteTimeout: a proxy read nothing in time.
        """

        def attempt() -> Coroutine[Any, Any, BackendStream]:
            return self._attempt(StreamSetup(backend, request, timeouts, observation))

        async def pause(delay: float) -> None:
            try:
                delay = timeouts.for_pause(delay)
            except ConnectTimeout as exc:
                add_context(exc, self._dial.purpose)
                raise
            tracer = Tracer.of(self._dial.prefix, request, backend.runtime.is_blocking)
            if tracer is None:
                await backend.sleep(delay)
            else:
                await tracer.span("retry", self._dial.info(timeouts), backend.sleep(delay))

        return await connect_with_retries(attempt, self._retries, pause)

    async def _attempt(self, setup: StreamSetup) -> BackendStream:
        stage: SetupStage = self._dial
        try:
            for stage in self._stages:
                await stage.run(setup)
        except BaseException as exc:
            add_context(exc, Peer(stage.purpose, setup.addresses))
            await setup.close()
            raise
        return setup.stream


def direct_route(origin: Origin, config: ConnectionConfig) -> Route:
    """Return the route to an origin without a proxy."""
    endpoint = Endpoint.of(origin, config)
    purpose = f"connecting to {endpoint}"
    return Route(
        origin,
        Dial(endpoint, purpose, "connection"),
        TLSHandshake(origin, config.ssl_context, config.alpn_protocols, purpose, "connection"),
        retries=config.retries,
    )
