"""A relay of datagrams that loses, doubles, delays and so reorders them by seed, or drops all.

Must not know: QUIC, httpcore2.
"""

from __future__ import annotations

import heapq
import random
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LONGEST_DELAY = 0.02
"""The most seconds for which a datagram is held back."""


class LossyRelay:
    """Relays datagrams of clients to a server on the loopback interface.

    Attributes:
        port: where it listens.
        is_silent: whether it drops all datagrams.
        silent_until: the time until which it drops all.
        loss: the share of the datagrams that are lost; as many are doubled, and as many are delayed, so that later ones
            overtake them.
    """

    def __init__(self, server_port: int, seed: int, loss: float) -> None:
        """Prepare a relay.

        Args:
            server_port: where datagrams of clients go.
            seed: of the random decisions.
            loss: the share of the datagrams that are lost, at most a third.
        """
        self.is_silent = False
        self.silent_until = 0.0
        self.loss = loss
        self._random = random.Random(seed)
        self._server = ("127.0.0.1", server_port)
        self._front = self._bound()
        self._backs: dict[tuple[str, int], socket.socket] = {}
        self._clients: dict[socket.socket, tuple[str, int]] = {}
        # The time, a number that decides between equal times, and what is sent then.
        self._delayed: list[tuple[float, int, socket.socket, bytes, tuple[str, int]]] = []
        self._count = 0
        self.port: int = self._front.getsockname()[1]
        self._stop, self._stopped = socket.socketpair()

    @staticmethod
    def _bound() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        return sock

    def rebind(self) -> None:
        """Send to the server from other ports from now on, as after a change of a NAT."""
        self._backs.clear()

    def fall_silent(self, seconds: float) -> None:
        """Drop all datagrams for some time."""
        self.silent_until = time.monotonic() + seconds

    def _back(self, client: tuple[str, int]) -> socket.socket:
        """Return the socket that stands for a client to the server."""
        back = self._backs.get(client)
        if back is None:
            back = self._backs[client] = self._bound()
        # The one that was used last is the last. Another client may have the port of an earlier one.
        self._clients.pop(back, None)
        self._clients[back] = client
        # What the server sends to ports of long ago is lost, as with a NAT.
        if len(self._clients) > 100:
            oldest, owner = next(iter(self._clients.items()))
            del self._clients[oldest]
            if self._backs.get(owner) is oldest:
                del self._backs[owner]
            oldest.close()
        return back

    def _relay(self, sock: socket.socket, data: bytes, address: tuple[str, int]) -> None:
        chance = self._random.random()
        if self.is_silent or chance < self.loss or time.monotonic() < self.silent_until:
            return
        if chance < 2 * self.loss:
            due = time.monotonic() + self._random.uniform(0, LONGEST_DELAY)
            self._count += 1
            heapq.heappush(self._delayed, (due, self._count, sock, data, address))
            return
        self._send(sock, data, address)
        if chance < 3 * self.loss:
            self._send(sock, data, address)

    @staticmethod
    def _send(sock: socket.socket, data: bytes, address: tuple[str, int]) -> None:
        # Its socket may be closed by now; or the receiver's is, which an earlier datagram has found out.
        with suppress(OSError):
            sock.sendto(data, address)

    def _run(self) -> None:
        while True:
            pause = 5.0
            while self._delayed:
                due, _, sock, data, address = self._delayed[0]
                pause = due - time.monotonic()
                if pause > 0:
                    break
                heapq.heappop(self._delayed)
                self._send(sock, data, address)
                pause = 5.0
            ready, _, _ = select.select([self._front, self._stopped, *self._clients], [], [], pause)
            if self._stopped in ready:
                return
            for sock in ready:
                try:
                    data, sender = sock.recvfrom(65535)
                except OSError:
                    continue  # nobody received an earlier datagram
                if sock is self._front:
                    self._relay(self._back(sender), data, self._server)
                elif sock in self._clients:
                    self._relay(self._front, data, self._clients[sock])

    @contextmanager
    def running(self) -> Iterator[LossyRelay]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._stop.send(b"x")
            thread.join(10)
            for sock in (self._front, self._stop, self._stopped, *self._clients):
                sock.close()
