"""A network between a client and a server of QUIC in simulated time, which loses, doubles and delays datagrams by seed.

Both ends are qh3's, without sockets, so that minutes pass in milliseconds.
Must not know: requests, HTTP/3.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from itertools import count
from typing import Any

from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection
from qh3.quic.events import QuicEvent

from .h3peer import destination_of

LATENCY = 0.0005
"""Seconds that a datagram takes."""
LONGEST_DELAY = 0.02
"""The most seconds for which a datagram is held back."""
ADDRESS = ("127.0.0.1", 443)


class SimulatedNetwork:
    """Relays the datagrams of a client to a server, and back.

    Attributes:
        now: the simulated time in seconds.
        client: the client's end of the connection.
        server: the server's end; `None` until the first datagram has come.
    """

    def __init__(
        self,
        client: QuicConnection,
        make_server: Callable[[bytes], QuicConnection],
        seed: int,
        loss: float,
    ) -> None:
        """Begin the handshake.

        Args:
            client: a connection that was not begun.
            make_server: returns the server's end, for the destination in the client's first datagram.
            seed: of the random decisions.
            loss: the share of the datagrams that are lost; as many are doubled, and as many are delayed.
        """
        self.now = 1000.0
        self.client = client
        self.server: QuicConnection | None = None
        self._make_server = make_server
        self._random = random.Random(seed)
        self._loss = loss
        # The time, a number that decides between equal times, whether it goes to the server, and the datagram.
        self._under_way: list[tuple[float, int, bool, bytes]] = []
        self._count = count()
        client.connect(ADDRESS, self.now)
        self._send(client)

    def _send(self, sender: QuicConnection) -> None:
        for data, _ in sender.datagrams_to_send(self.now):
            chance = self._random.random()
            if chance < self._loss:
                continue
            delay = LATENCY
            if chance < 2 * self._loss:
                delay = self._random.uniform(0, LONGEST_DELAY)
            for _ in range(2 if 2 * self._loss <= chance < 3 * self._loss else 1):
                entry = (self.now + delay, next(self._count), sender is self.client, data)
                heapq.heappush(self._under_way, entry)

    def run(self, seconds: float, process: Callable[[QuicConnection, QuicEvent], Any]) -> None:
        """Let time pass, unless both ends have ended.

        Args:
            seconds: how much.
            process: is called with each event and the end that has it.
        """
        limit = self.now + seconds
        while self._step(limit):
            for end in (self.client, self.server):
                if end is not None:
                    while (event := end.next_event()) is not None:
                        process(end, event)
                    self._send(end)

    def _step(self, limit: float) -> bool:
        """Deliver one datagram, or do what is due at one end; return whether there was something until `limit`."""
        timers = [
            (end.get_timer() or math.inf, number, end)
            for number, end in enumerate((self.client, self.server))
            if end is not None
        ]
        due, _, end = min(timers)
        is_datagram = bool(self._under_way) and self._under_way[0][0] <= due
        if is_datagram:
            due = self._under_way[0][0]
        if due > limit:
            return False
        self.now = max(self.now, due)
        if not is_datagram:
            end.handle_timer(self.now)
            return True
        _, _, is_for_server, data = heapq.heappop(self._under_way)
        if not is_for_server:
            self.client.receive_many_datagrams([data], ADDRESS, self.now)
        elif self.server is not None or data[0] & 0xF0 == 0xC0:
            if self.server is None:
                self.server = self._make_server(destination_of(data))
            self.server.receive_many_datagrams([data], ADDRESS, self.now)
        return True


def server_configuration(certificate: bytes) -> QuicConfiguration:
    """Return the settings of a server with key and chain in PEM."""
    configuration = QuicConfiguration(
        is_client=False,
        alpn_protocols=["h3"],
        idle_timeout=600.0,
        max_datagram_frame_size=65536,
    )
    configuration.load_cert_chain(certificate, certificate)
    return configuration
