"""Faults of backends: connecting and the TLS handshake."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from typing import Any
from unittest import mock

from httpcore2_core import (
    SOCKET_OPTION,
    ConnectError,
    ConnectTimeout,
    NetworkError,
    ReadError,
    ReadTimeout,
    TimeoutException,
)
from httpcore2_core._net.backend_stream import BackendStream

from .faults import DelegatingBackend, DelegatingStream, detected_by

# Connecting


class RaisesOtherErrors(DelegatingBackend):
    """Raises other exceptions than the correct backend."""

    translation: dict[type[Exception], type[Exception]]

    async def connect_tcp(self, *args: Any, **options: Any) -> BackendStream:
        try:
            return await super().connect_tcp(*args, **options)
        except tuple(self.translation) as exc:
            raise self.translation[type(exc)](str(exc)) from exc

    async def connect_unix_socket(self, *args: Any, **options: Any) -> BackendStream:
        try:
            return await super().connect_unix_socket(*args, **options)
        except tuple(self.translation) as exc:
            raise self.translation[type(exc)](str(exc)) from exc


@detected_by(
    "a_refused_connection_is_an_error_of_connecting",
    "a_name_that_is_unknown_is_an_error_of_connecting",
    "a_local_address_that_is_not_ours_is_an_error_of_connecting",
    "a_unix_socket_that_is_not_there_is_an_error_of_connecting",
    "when_all_addresses_refuse_connecting_fails",
)
class RaisesOSError(RaisesOtherErrors):
    translation = {ConnectError: OSError}  # noqa: RUF012


class NoMessage(ConnectError):
    def __init__(self, text: str) -> None:
        super().__init__()


@detected_by("a_refused_connection_is_an_error_of_connecting")
class RaisesWithoutAMessage(RaisesOtherErrors):
    translation = {ConnectError: NoMessage}  # noqa: RUF012


@detected_by(
    "connecting_takes_no_longer_than_its_timeout",
    "connecting_to_several_addresses_takes_no_longer_than_its_timeout",
)
class RaisesConnectErrorAtATimeout(RaisesOtherErrors):
    translation = {ConnectTimeout: ConnectError}  # noqa: RUF012


@detected_by("a_name_is_resolved")
class DoesNotResolveNames(DelegatingBackend):
    async def connect_tcp(self, host: str, *args: Any, **options: Any) -> BackendStream:
        try:
            socket.inet_aton(host)
        except OSError as exc:
            raise ConnectError("The host is not an IP address.") from exc
        return await super().connect_tcp(host, *args, **options)


@detected_by("no_timeout_is_no_limit", hangs=True)
class TreatsNoTimeoutAsZero(DelegatingStream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if timeout is None:
            raise ReadTimeout("No data within 0 seconds.")
        return await super().read(max_bytes, timeout)


@detected_by("a_connection_comes_from_the_local_address")
class RefusesALocalAddress(DelegatingBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> BackendStream:
        if local_address is not None:
            raise ConnectError("Local addresses are not supported.")
        return await super().connect_tcp(host, port, timeout, None, socket_options)


@detected_by("socket_options_are_set")
class IgnoresSocketOptions(DelegatingBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> BackendStream:
        return await super().connect_tcp(host, port, timeout, local_address)


@detected_by("a_unix_socket_is_connected", hangs=True)
class RefusesUnixSockets(DelegatingBackend):
    async def connect_unix_socket(self, *args: Any, **options: Any) -> BackendStream:
        raise ConnectError("Unix sockets are not supported.")


class ConnectsToTheFirstAddressOnly(DelegatingBackend):
    """Connects to the first of a name's addresses only."""

    async def connect_tcp(self, *args: Any, **options: Any) -> BackendStream:
        resolve = socket.getaddrinfo

        def resolve_to_one(*args: Any, **options: Any) -> Any:
            return resolve(*args, **options)[:1]

        with mock.patch.object(socket, "getaddrinfo", resolve_to_one):
            return await super().connect_tcp(*args, **options)


@detected_by("the_next_address_is_tried_when_one_refuses")
class TriesOneAddress(ConnectsToTheFirstAddressOnly):
    pass


@detected_by("the_next_address_is_tried_when_one_is_slow", hangs=True)
class WaitsForOneAddress(ConnectsToTheFirstAddressOnly):
    pass


@detected_by(
    "a_connection_comes_from_the_local_address",
    "a_local_address_that_is_not_ours_is_an_error_of_connecting",
)
class IgnoresTheLocalAddress(DelegatingBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> BackendStream:
        return await super().connect_tcp(host, port, timeout, None, socket_options)


# TLS


@detected_by(
    "a_server_that_is_not_trusted_is_an_error_of_connecting",
    "a_server_of_another_name_is_an_error_of_connecting",
)
class VerifiesNoCertificates(DelegatingStream):
    async def start_tls(self, *args: Any, **options: Any) -> BackendStream:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return await super().start_tls(context, *args[1:], **options)


@detected_by("a_handshake_names_the_server_and_agrees_on_a_protocol")
class SendsAnotherServerName(DelegatingStream):
    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> BackendStream:
        return await super().start_tls(ssl_context, "127.0.0.1", timeout)


@detected_by("a_handshake_names_the_server_and_agrees_on_a_protocol")
class HidesTheSSLObject(DelegatingStream):
    def get_extra_info(self, info: str) -> Any:
        return None if info == "ssl_object" else super().get_extra_info(info)


@detected_by(
    "a_handshake_takes_no_longer_than_its_timeout",
    "a_handshake_with_a_peer_that_closes_is_an_error_of_connecting",
    "a_handshake_with_a_peer_that_resets_is_an_error_of_connecting",
    "a_handshake_with_a_peer_that_speaks_no_tls_is_an_error_of_connecting",
)
class RaisesReadErrorsInTheHandshake(DelegatingStream):
    async def start_tls(self, *args: Any, **options: Any) -> BackendStream:
        try:
            return await super().start_tls(*args, **options)
        except TimeoutException as exc:
            raise ReadTimeout(str(exc)) from exc
        except NetworkError as exc:
            raise ReadError(str(exc)) from exc


@detected_by("a_handshake_takes_no_longer_than_its_timeout", hangs=True)
class StaysOpenAfterAFailedHandshake(DelegatingStream):
    async def start_tls(self, *args: Any, **options: Any) -> BackendStream:
        raise ConnectTimeout("The handshake failed, and the connection stays open.")

    def abort(self) -> None:
        pass


@detected_by("tls_goes_through_tls")
class RefusesTLSInTLS(DelegatingStream):
    async def start_tls(self, *args: Any, **options: Any) -> BackendStream:
        if self.get_extra_info("ssl_object") is not None:
            raise ConnectError("The stream is encrypted already.")
        return await super().start_tls(*args, **options)
