"""Module path of 2.16.2: `is_socket_readable`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from httpcore2_core._net.thread_runtime import wait_for

if TYPE_CHECKING:
    from socket import socket  # noqa: TID251 - to name the type


def is_socket_readable(sock: socket | None) -> bool:
    """Return whether a read from `sock` returns at once. It is true for a closed socket and for `None`."""
    return sock is None or sock.fileno() < 0 or bool(wait_for([sock], for_writing=False, timeout=0))


__all__ = ["is_socket_readable"]
