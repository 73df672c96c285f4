"""Shows a request as it goes: connection and heads as -v of curl does, and each trace event for --trace.

Rules: values from the network are escaped, and credentials are not shown.
Must not know: where the lines are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ._report import tls_facts
from ._terminal import escape, shown_value
from ._trace import is_for_proxy
from ._transfer import ConnectionFacts

Show = Callable[[str], None]

VERSIONS = {"http2": "HTTP/2", "http3": "HTTP/3"}
"""The versions whose heads have no version and no reason, by the prefix of their trace events."""


class VerboseReader:
    """Shows what -v of curl shows. Its method `on_event` is a `trace` callback.

    Args:
        show: shows one line.
    """

    def __init__(self, show: Show) -> None:
        self._show = show
        self._has_connected = False

    def on_event(self, name: str, info: dict[str, Any]) -> None:
        """Show what an event says."""
        operation, _, moment = name.rpartition(".")
        step = operation.rpartition(".")[2]
        handler = getattr(self, f"_on_{step}_{moment}", None)
        if handler is not None:
            handler(operation, info)

    def _on_connect_tcp_started(self, operation: str, info: dict[str, Any]) -> None:
        self._show(f"* Connecting to {escape(info['host'])} port {info['port']}")

    def _on_connect_unix_socket_started(self, operation: str, info: dict[str, Any]) -> None:
        self._show(f"* Connecting to {escape(info['path'])}")

    def _on_connect_tcp_complete(self, operation: str, info: dict[str, Any]) -> None:
        self._has_connected = True
        facts = ConnectionFacts.of(info["return_value"])
        self._show(
            f"* Connected to {shown_address(facts.remote)} from {shown_address(facts.local)}"
        )

    def _on_connect_udp_started(self, operation: str, info: dict[str, Any]) -> None:
        self._show(f"* Connecting to {escape(info['host'])} port {info['port']} over UDP")

    def _on_quic_handshake_complete(self, operation: str, info: dict[str, Any]) -> None:
        self._has_connected = True
        facts = ConnectionFacts.of(info["return_value"])
        self._show(f"* QUIC to {shown_address(facts.remote)} from {shown_address(facts.local)}")
        self._show_tls(facts)

    def _on_quic_handshake_failed(self, operation: str, info: dict[str, Any]) -> None:
        self._show(f"* QUIC: {describe(info['exception'])}")

    def _on_connect_unix_socket_complete(self, operation: str, info: dict[str, Any]) -> None:
        self._has_connected = True
        self._show("* Connected")

    def _on_start_tls_complete(self, operation: str, info: dict[str, Any]) -> None:
        self._show_tls(ConnectionFacts.of(info["return_value"]))

    def _show_tls(self, facts: ConnectionFacts) -> None:
        tls = tls_facts(facts)
        assert tls is not None, "the stream is encrypted"
        self._show(f"* {tls['version']}, {tls['cipher']}, ALPN {tls['alpn'] or 'none'}")
        for line in certificate_lines(tls):
            self._show(f"* {line}")

    def _on_setup_socks4_connection_started(self, operation: str, info: dict[str, Any]) -> None:
        self._show(f"* SOCKS4 to {escape(info['host'])} port {info['port']}")

    def _on_setup_socks5_connection_started(self, operation: str, info: dict[str, Any]) -> None:
        self._show(f"* SOCKS5 to {escape(info['host'])} port {info['port']}")

    def _on_send_request_headers_started(self, operation: str, info: dict[str, Any]) -> None:
        request = info["request"]
        if not (self._has_connected or is_for_proxy(info)):
            self._show("* Reusing the connection")
        version = VERSIONS.get(operation.partition(".")[0], "HTTP/1.1")
        self._show(f"> {escape(request.method)} {escape(request.url.target)} {version}")
        self._show_fields(">", request.headers)

    def _on_receive_response_headers_complete(self, operation: str, info: dict[str, Any]) -> None:
        head = info["return_value"]
        binary = VERSIONS.get(operation.partition(".")[0])
        if binary is not None:
            status, fields = head
            self._show(f"< {binary} {status}")
        else:
            version, status, reason, fields = head
            self._show(f"< {escape(version)} {status} {escape(reason)}".rstrip())
        self._show_fields("<", fields)

    def _show_fields(self, mark: str, fields: Iterable[tuple[bytes, bytes]]) -> None:
        for name, value in fields:
            self._show(f"{mark} {escape(name)}: {shown_value(name, value)}")
        self._show(mark)


class EventReader:
    """Shows each trace event with its time. Its method `on_event` is a `trace` callback.

    Args:
        show: shows one line.
        clock: returns the seconds since the transfer began.
    """

    def __init__(self, show: Show, clock: Callable[[], float]) -> None:
        self._show = show
        self._clock = clock

    def on_event(self, name: str, info: dict[str, Any]) -> None:
        """Show an event: its numbers and texts, not the objects and header fields that it carries."""
        values = [f"{key}={escape(str(value))}" for key, value in info.items() if _is_short(value)]
        if "exception" in info:
            values.append(f"exception={describe(info['exception'])}")
        self._show(" ".join([f"{self._clock():.6f}", name, *values]))


def _is_short(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def describe(error: BaseException) -> str:
    """Return the class and the message of an exception."""
    return escape(f"{type(error).__name__}: {error}".removesuffix(": "))


def shown_address(address: tuple[str, int] | None) -> str:
    """Return an address and its port; an IPv6 address in brackets."""
    if address is None:
        return "an unknown address"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def certificate_lines(tls: dict[str, Any]) -> list[str]:
    """Return what a user needs to know of a certificate."""
    if not tls["is_verified"]:
        return ["certificate not verified"]
    subject = tls["subject"] or ", ".join(tls["names"]) or "without a name"
    return [
        f"certificate {escape(subject)}, {tls['days_left']} days left",
        f"issued by {escape(tls['issuer'] or 'an authority without a name')}",
    ]
