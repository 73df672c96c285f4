"""Faults of datagram streams, and of backends that open them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from httpcore2_core import SOCKET_OPTION, ReadError, ReadTimeout, WriteError
from httpcore2_core._net.datagram_stream import DatagramStream

from .faults import DelegatingBackend, DelegatingDatagramStream, detected_by


@detected_by(
    "datagrams_arrive_whole_and_in_order", "a_receive_without_waiting_returns_what_is_there"
)
class CutsDatagrams(DelegatingDatagramStream):
    async def receive(self, timeout: float | None = None) -> list[bytes]:
        return [data[:1000] for data in await super().receive(timeout)]

    def receive_nowait(self) -> list[bytes]:
        return [data[:3] for data in super().receive_nowait()]


@detected_by("several_datagrams_are_sent_at_once")
class SendsTheFirstOnly(DelegatingDatagramStream):
    def send(self, datagrams: Sequence[bytes]) -> int:
        return super().send(datagrams[:1])


@detected_by("a_receive_returns_a_bounded_batch")
class ReceivesWithoutBound(DelegatingDatagramStream):
    async def receive(self, timeout: float | None = None) -> list[bytes]:
        datagrams = await super().receive(timeout)
        while more := self.receive_nowait():
            datagrams += more
        return datagrams


@detected_by("a_receive_waits_for_a_datagram")
class DoesNotWait(DelegatingDatagramStream):
    async def receive(self, timeout: float | None = None) -> list[bytes]:
        return self.receive_nowait()


@detected_by("a_receive_waits_no_longer_than_its_timeout")
class ReturnsNothingAtTheTimeout(DelegatingDatagramStream):
    async def receive(self, timeout: float | None = None) -> list[bytes]:
        try:
            return await super().receive(timeout)
        except ReadTimeout:
            return []


@detected_by("datagrams_of_other_hosts_are_dropped", hangs=True)
class ReceivesFromAnyHost(DelegatingDatagramStream):
    def __init__(self, inner: DatagramStream) -> None:
        super().__init__(inner)
        sock: socket.socket = inner.get_extra_info("socket")
        self.address = sock.getpeername()
        # An unconnected socket receives from all.
        self.open = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.open.bind(("127.0.0.1", 0))
        self.open.settimeout(1)

    def send(self, datagrams: Sequence[bytes]) -> int:
        return sum(self.open.sendto(data, self.address) > 0 for data in datagrams)

    async def receive(self, timeout: float | None = None) -> list[bytes]:
        return [self.open.recv(65535)]

    def get_extra_info(self, info: str) -> Any:
        return self.open.getsockname() if info == "client_addr" else super().get_extra_info(info)

    def abort(self) -> None:
        self.open.close()
        super().abort()


@detected_by("a_port_without_a_listener_is_an_error_of_reading")
class HidesErrors(DelegatingDatagramStream):
    async def receive(self, timeout: float | None = None) -> list[bytes]:
        try:
            return await super().receive(timeout)
        except ReadError:
            return []


@detected_by("a_closed_stream_neither_sends_nor_receives")
class SendsWhenClosed(DelegatingDatagramStream):
    def send(self, datagrams: Sequence[bytes]) -> int:
        try:
            return super().send(datagrams)
        except WriteError:
            return 0


@detected_by("closing_ends_a_receive", hangs=True)
class CannotBeClosed(DelegatingDatagramStream):
    def abort(self) -> None:
        pass


@detected_by("a_datagram_stream_says_its_addresses")
class HidesItsAddresses(DelegatingDatagramStream):
    def get_extra_info(self, info: str) -> Any:
        return None


@detected_by("datagrams_come_from_the_local_address")
class IgnoresTheLocalAddress(DelegatingBackend):
    async def connect_udp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> DatagramStream:
        return await super().connect_udp(host, port, timeout, None, socket_options)


@detected_by("the_host_of_datagrams_must_have_an_address")
class ConnectsToAnyName(DelegatingBackend):
    async def connect_udp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> DatagramStream:
        stream = await super().connect_udp("127.0.0.1", port, timeout, None, socket_options)
        stream.abort()
        return stream


@detected_by("a_datagram_that_comes_calls_the_watcher_once", watches=True)
class CallsTheWatcherTwice(DelegatingDatagramStream):
    def watch(self, callback: Callable[[], None] | None) -> None:
        def call() -> None:
            assert callback is not None
            callback()
            callback()

        super().watch(None if callback is None else call)
