"""The backend that the transport works with: it opens `BackendStream`s, and has a runtime.

Must not know: sockets, HTTP, the pool.
"""

from __future__ import annotations

from .network_interfaces import AsyncNetworkBackend
from .runtime import Runtime


class RuntimeBackend(AsyncNetworkBackend):
    """Opens `BackendStream`s, and brings its world's clock and scheduling."""

    runtime: Runtime

    async def sleep(self, seconds: float) -> None:
        await self.runtime.sleep(seconds)

    async def resolve_ipv4(self, host: str, timeout: float | None = None) -> str:
        """Return an IPv4 address of `host` for SOCKS4, which takes no names.

        It may take `timeout` seconds; `None` waits for ever. Errors as for `connect_tcp`.
        """
        raise NotImplementedError
