"""The first stage of every route: a connection over TCP, or to a unix socket.

Must not know: TLS, proxies, connections, pools.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .._http.timeouts import Timeouts
from .._models import Origin
from .._net.network_interfaces import SOCKET_OPTION
from .._urls import host_to_dial
from .connection_config import ConnectionConfig
from .stream_setup import StreamSetup


class Endpoint(NamedTuple):
    """The peer that is dialled, an origin or a proxy, and how; the fields are those of `ConnectionConfig`."""

    origin: Origin
    local_address: str | None
    uds: str | None
    socket_options: list[SOCKET_OPTION] | None

    @classmethod
    def of(cls, origin: Origin, config: ConnectionConfig) -> Endpoint:
        """Return the endpoint of an origin, or of a proxy, which is named as one."""
        return cls(origin, config.local_address, config.uds, config.socket_options)

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
        origin, local_address, uds, socket_options = self.endpoint
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
        method = "connect_tcp" if self.endpoint.uds is None else "connect_unix_socket"
        connect = getattr(setup.backend, method)
        info = self.info(setup.timeouts)
        await setup.replace_stream(self.prefix, method, info, lambda: connect(**info))
