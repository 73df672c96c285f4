"""The number by which the system knows a socket, and the threads that use it.

Must not know: streams, datagrams, HTTP.
"""

from __future__ import annotations

import socket

from .polling import Poller


class Descriptor:
    """A right to use the descriptor of a socket. When the last reference to it is gone, the socket is closed.

    The count of references is the count of users. It costs a local variable, holds without the GIL, and is right
    after any exception: one that a signal handler raises between two bytecodes can't leave the count too high.
    """

    __slots__ = ("_is_released", "_socket", "poller")

    def __init__(self, sock: socket.socket, poller: Poller | None) -> None:
        self._socket = sock
        self.poller = poller
        self._is_released = False

    def release(self) -> None:
        """Have the last user close the socket; else the socket warns, when collected, that nobody has closed it."""
        self._is_released = True

    def __del__(self) -> None:
        if self._is_released:
            self._socket.close()
