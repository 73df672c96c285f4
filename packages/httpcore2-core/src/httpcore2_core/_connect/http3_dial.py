"""The dial to an origin over HTTP/3: a datagram stream, and the QUIC handshake, which may be left and gone on with.

Must not know: how QUIC works, pools.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .._distributions import load_http3
from .._exceptions import ConnectError, ConnectTimeout, UnsupportedProtocol, add_context
from .._http.alternatives import Alternative
from .._http.early_data import may_use_early_data
from .._http.memory import Memory
from .._http.observation import ConnectionObservation
from .._http.timeouts import Timeouts
from .._http.trace import Tracer
from .._models import Origin, Request
from .._net.datagram_stream import DatagramStream
from .._net.dial_listener import dial_listener
from .._net.runtime_backend import RuntimeBackend
from .._urls import host_to_dial, server_name
from .connection_config import ConnectionConfig
from .retries import connect_with_retries
from .tls_handshake import agreed

RACE_DELAY = 0.25
"""Seconds that a QUIC handshake has before TCP is tried beside it."""


class HTTP3Target(NamedTuple):
    """What is dialled over HTTP/3.

    Attributes:
        origin: the origin, for which the certificate must hold.
        alternative: where it offers HTTP/3.
        config: the settings.
        memory: the memory of the pool; a new one without a pool.
    """

    origin: Origin
    alternative: Alternative
    config: ConnectionConfig
    memory: Memory

    def __str__(self) -> str:
        host, port = self.alternative
        if (host, port) == (self.origin.host, self.origin.port):
            return f"{self.origin} over HTTP/3"
        return f"{self.origin} over HTTP/3 at {host_to_dial(host)}:{port}"


class HTTP3Dial:
    """One attempt to establish a connection over HTTP/3."""

    def __init__(
        self,
        target: HTTP3Target,
        backend: RuntimeBackend,
        request: Request,
        observation: ConnectionObservation | None,
    ) -> None:
        """Prepare an attempt.

        Args:
            target: what is dialled.
            backend: opens the datagram stream.
            request: the first request that the connection is for; its extensions apply.
            observation: reports the stages; `None` for nobody.
        """
        self._target = target
        self._backend = backend
        self._request = request
        is_observed = observation is not None and observation.is_observed
        self._observation = observation if is_observed else None
        self._datagrams: DatagramStream | None = None
        self._connection: Any = None

    async def run(self, timeouts: Timeouts, at_most: float | None = None) -> Any:
        """Return the connection when it is established. After a `ConnectTimeout` the handshake may still complete.

        Args:
            timeouts: the request's.
            at_most: seconds, if that is less than the `connect` timeout.

        Raises:
            ConnectTimeout: it took longer.
            ConnectError: the host can't be reached, or the handshake failed.
        """
        try:
            limit = timeouts.for_connect()
            if at_most is not None and (limit is None or at_most < limit):
                limit = at_most
            await self._open(limit)
            await self._shake_hands(limit)
        except ConnectTimeout as exc:
            add_context(exc, f"connecting to {self._target}")
            raise
        except BaseException as exc:
            add_context(exc, f"connecting to {self._target}")
            self.abort()
            raise
        return self._connection

    async def _shake_hands(self, limit: float | None) -> None:
        name = self._server_name()
        handshake = self._connection.handshake(limit)
        tracer = self._tracer()
        if tracer is not None:
            info = {"server_hostname": name, "timeout": limit}
            handshake = tracer.span(
                "quic_handshake", info, handshake, lambda stream: stream.unwrapped
            )
        if self._observation is None:
            await handshake
            return
        self._observation.tls_started(name)
        try:
            stream = await handshake
        except BaseException as exc:
            self._observation.tls_ended(None, None, None, exc)
            raise
        self._observation.tls_ended(*agreed(stream.get_extra_info("ssl_object")), None)

    async def _open(self, limit: float | None) -> None:
        origin, alternative, config, memory = self._target
        backend = self._backend
        info: dict[str, Any] = {
            "host": host_to_dial(alternative.host),
            "port": alternative.port,
            "local_address": config.local_address,
            "timeout": limit,
            "socket_options": config.socket_options,
        }

        async def keep() -> DatagramStream:
            # It has its owner before a trace callback can raise.
            token = dial_listener.set(self._observation)
            try:
                self._datagrams = await backend.connect_udp_to(**info, resolver=config.resolver)
            finally:
                dial_listener.reset(token)
            return self._datagrams

        tracer = self._tracer()
        datagrams = await (keep() if tracer is None else tracer.span("connect_udp", info, keep()))
        connection_class = load_http3("http3=True")
        request = self._request
        try:
            self._connection = connection_class(
                origin,
                datagrams,
                config.keepalive_expiry,
                request.extensions.get("ssl_context") or config.ssl_context,
                _server_name=self._server_name(),
                _memory=connection_class.memory_of(memory),
                _early_request=request if may_use_early_data(request) else None,
            )
        except ValueError as exc:  # an `ssl_context` of the request's
            raise ConnectError(str(exc)) from exc

    def _server_name(self) -> str:
        return server_name(self._request.extensions.get("sni_hostname") or self._target.origin.host)

    def _tracer(self) -> Tracer | None:
        return Tracer.of("connection", self._request, self._backend.runtime.is_blocking)

    def is_ready(self) -> bool:
        """Whether the handshake is complete by now; a handshake that has failed is not."""
        if self._connection is None:
            return False
        try:
            return bool(self._connection.check_handshake())
        except ConnectError:
            return False

    @property
    def connection(self) -> Any:
        """The connection, once it `is_ready`."""
        return self._connection

    def abort(self) -> None:
        """Give the attempt up."""
        if self._connection is not None:
            self._connection.abort()
        elif self._datagrams is not None:
            self._datagrams.abort()


async def dial_http3(
    target: HTTP3Target,
    backend: RuntimeBackend,
    request: Request,
    timeouts: Timeouts,
    observation: ConnectionObservation | None,
) -> Any:
    """Establish a connection over HTTP/3 and nothing else; repeat failed attempts as `retries` says.

    Raises:
        UnsupportedProtocol: the scheme is not https.
        ConnectTimeout: the last attempt took too long.
        ConnectError: the last attempt failed.
    """
    if target.origin.scheme != b"https":
        raise UnsupportedProtocol(
            f"HTTP/3 needs https, but the request is for {target.origin}: allow http1 or http2 for it."
        )

    async def attempt() -> Any:
        dial = HTTP3Dial(target, backend, request, observation)
        try:
            return await dial.run(timeouts)
        except BaseException:
            dial.abort()
            raise

    async def pause(delay: float) -> None:
        await backend.sleep(timeouts.for_pause(delay))

    return await connect_with_retries(attempt, target.config.retries, pause)
