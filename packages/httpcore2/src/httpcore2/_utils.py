"""Module path of 2.16.2: `is_socket_readable`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from httpcore2_core._net.thread_runtime import wait_for

if TYPE_CHECKING:
    from socket import socket  # noqa: TID251 - to name the type


def is_socket_readable(sock: socket | None) -> bool:
    """Whether a read would return at once; true for a socket that is closed, or that there is none of."""
    return sock is None or sock.fileno() < 0 or bool(wait_for([sock], for_writing=False, timeout=0))


__all__ = ["is_socket_readable"]
