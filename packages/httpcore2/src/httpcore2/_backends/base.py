"""Module path of 2.16.2: the interfaces of network backends and streams."""

from .. import SOCKET_OPTION, AsyncNetworkBackend, AsyncNetworkStream, NetworkBackend, NetworkStream

__all__ = [
    "SOCKET_OPTION",
    "AsyncNetworkBackend",
    "AsyncNetworkStream",
    "NetworkBackend",
    "NetworkStream",
]
