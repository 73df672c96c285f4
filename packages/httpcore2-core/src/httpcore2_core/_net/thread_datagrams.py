"""Datagram streams for threads: one thread may close a stream while others use it.

Rules: as for byte streams, a descriptor is closed only when no thread can be using its number. `abort()` shuts the
socket down, which wakes the thread that waits for it, and the last user closes the descriptor. A method holds the
descriptors while it runs, and deletes its reference in `finally`.
Must not know: QUIC, HTTP, the pool.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import Any

from .datagram_socket import SocketDatagramStream
from .descriptors import Descriptor
from .polling import make_poller
from .readiness import ReadinessRuntime
from .thread_runtime import LONGEST_POLL


class ThreadDatagramStream(SocketDatagramStream):
    """Datagrams for threads."""

    _runtime: ReadinessRuntime

    def __init__(
        self,
        runtime: ReadinessRuntime,
        sock: socket.socket,
        further: Iterator[socket.socket] | None = None,
    ) -> None:
        # Replaced, never changed: who holds it holds the descriptors of that moment.
        self._descriptors: dict[socket.socket, Descriptor] = {}
        super().__init__(
            runtime,
            self._register(sock),
            None if further is None else map(self._register, further),
        )

    def _register(self, sock: socket.socket) -> socket.socket:
        descriptor = Descriptor(sock, make_poller(sock))
        self._descriptors = {**self._descriptors, sock: descriptor}
        return sock

    def send(self, datagrams: Sequence[bytes]) -> int:
        held = self._descriptors
        try:
            return super().send(datagrams)
        finally:
            del held

    async def receive(self, timeout: float | None = None) -> list[bytes]:
        held = self._descriptors
        try:
            return await super().receive(timeout)
        finally:
            del held

    def receive_nowait(self) -> list[bytes]:
        held = self._descriptors
        try:
            return super().receive_nowait()
        finally:
            del held

    def get_extra_info(self, info: str) -> Any:
        held = self._descriptors
        try:
            return super().get_extra_info(info)
        finally:
            del held

    async def _wait(self, timeout: float | None) -> bool:
        descriptor = self._descriptors.get(self._socket)
        if descriptor is None:
            return True  # closed by another thread
        poller = descriptor.poller
        if poller is not None and (timeout is None or timeout <= LONGEST_POLL):
            return bool(poller.poll(None if timeout is None else timeout * 1000))
        return await self._runtime.wait_readable(self._socket, self._runtime.deadline(timeout))

    def _close(self, sock: socket.socket) -> None:
        remaining = self._descriptors.copy()
        remaining.pop(sock).release()
        self._runtime.notify_closing(sock)
        self._descriptors = remaining
