"""The first stage of every route: a connection over TCP, or to a unix socket.

Must not know: TLS, proxies, connections, pools.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from .._http.timeouts import Timeouts
from .._models import Origin
from .._net.backend_stream import addresses_of
from .._net.dial_listener import dial_listener
from .._net.network_interfaces import SOCKET_OPTION
from .._net.resolver_interfaces import AsyncResolver
from .._urls import host_to_dial
from .connection_config import ConnectionConfig
from .stream_setup import StreamSetup


class Endpoint(NamedTuple):
    """The peer that is dialled, an origin or a proxy, and how; the fields are those of `ConnectionConfig`."""

    origin: Origin
    local_address: str | None
    uds: str | None
    socket_options: list[SOCKET_OPTION] | None
    resolver: AsyncResolver | None

    @classmethod
    def of(cls, origin: Origin, config: ConnectionConfig) -> Endpoint:
        """Return the endpoint of an origin, or of a proxy, which is named as one."""
        return cls(origin, config.local_address, config.uds, config.socket_options, config.resolver)

    def __str__(self) -> str:
        return (
            str(self.origin) if self.uds is None else f"{self.origin} at the unix socket {self.uds}"
        )


class Dial(NamedTuple):
    """Connects to an endpoint.

    Attributes:
        endpoint: the peer to dial.
        purpose: as for `SetupStage`.
        prefix: the first part of the names of its trace events.
    """

    endpoint: Endpoint
    purpose: str
    prefix: str

    def info(self, timeouts: Timeouts) -> dict[str, Any]:
        """Return the arguments of the backend's method, which trace callbacks receive, too."""
        origin, local_address, uds, socket_options, _ = self.endpoint
        timeout = timeouts.for_connect()
        if uds is not None:
            return {"path": uds, "timeout": timeout, "socket_options": socket_options}
        return {
            "host": host_to_dial(origin.host),
            "port": origin.port,
            "local_address": local_address,
            "timeout": timeout,
            "socket_options": socket_options,
        }

    async def run(self, setup: StreamSetup) -> None:
        if setup.observation is None:
            await self._connect(setup)
            return
        token = dial_listener.set(setup.observation)
        try:
            await self._connect(setup)
        finally:
            dial_listener.reset(token)

    async def _connect(self, setup: StreamSetup) -> None:
        backend, info = setup.backend, self.info(setup.timeouts)
        if self.endpoint.uds is None:
            connect = partial(backend.connect_to, **info, resolver=self.endpoint.resolver)
            await setup.replace_stream(self.prefix, "connect_tcp", info, connect)
        else:
            connect = partial(backend.connect_unix_socket, **info)
            await setup.replace_stream(self.prefix, "connect_unix_socket", info, connect)
        setup.addresses = addresses_of(setup.stream)
