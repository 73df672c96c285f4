"""The events that a request reports to its `trace` extension and to the loggers, in one table.

Names and payloads are those of 2.16.2, except for the wait for a connection, which is new: users match on them. An
operation reports `<prefix>.<name>.started` with the payload of the table, then either `.complete` with `return_value`,
or `.failed` with `exception`. A test holds that what is emitted is what is declared here.

Must not know: how events are reported, who listens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class TracedOperation(NamedTuple):
    """An operation that is reported when it starts, and when it has ended.

    Attributes:
        name: the name of its events, without the last part.
        when: when it takes place.
        started: the payload of its start: the type of each key.
        result: the type of `return_value` when it is complete.
        over_unix_socket: the payload of its start where a unix socket is connected to, if that differs.
    """

    name: str
    when: str
    started: Mapping[str, str]
    result: str
    over_unix_socket: Mapping[str, str] | None = None


_TCP = {
    "host": "str",
    "port": "int",
    "local_address": "str | None",
    "timeout": "float | None",
    "socket_options": "list[SOCKET_OPTION] | None",
}
_UNIX = {
    "path": "str",
    "timeout": "float | None",
    "socket_options": "list[SOCKET_OPTION] | None",
}
_TLS = {
    "ssl_context": "ssl.SSLContext",
    "server_hostname": "str",
    "timeout": "float | None",
}
_QUIC = {"server_hostname": "str", "timeout": "float | None"}
_SOCKS = {
    "stream": "NetworkStream",
    "host": "str",
    "port": "int",
    "auth": "'[secure]' | None",
    "timeouts": "TimeoutExtension",
}
_STREAM = "NetworkStream"
_REQUEST = {"request": "Request"}
_ON_STREAM = {"request": "Request", "stream_id": "int"}
_HTTP11_HEAD = "tuple[bytes, int, bytes, list[tuple[bytes, bytes]]]"
_HTTP2_HEAD = "tuple[int, list[tuple[bytes, bytes]]]"

TRACED_OPERATIONS = (
    TracedOperation(
        "connection_pool.wait_for_connection",
        "all connections are in use, and the request waits",
        _REQUEST,
        "None",
    ),
    # Connecting: to the origin, or to an HTTP proxy.
    TracedOperation("connection.connect_tcp", "a connection is made over TCP", _TCP, _STREAM),
    TracedOperation(
        "connection.connect_unix_socket", "a connection is made to a unix socket", _UNIX, _STREAM
    ),
    TracedOperation(
        "connection.start_tls", "TLS with the origin, or with an HTTPS proxy", _TLS, _STREAM
    ),
    TracedOperation("connection.retry", "the pause before the next attempt", _TCP, "None", _UNIX),
    TracedOperation("proxy.start_tls", "TLS with the origin through a tunnel", _TLS, _STREAM),
    TracedOperation("socks.connect_tcp", "a connection is made to a SOCKS proxy", _TCP, _STREAM),
    TracedOperation("socks.connect_unix_socket", "the same, over a unix socket", _UNIX, _STREAM),
    TracedOperation("socks.retry", "the pause before the next attempt", _TCP, "None", _UNIX),
    TracedOperation(
        "socks.setup_socks4_connection", "a SOCKS4 proxy connects to the origin", _SOCKS, _STREAM
    ),
    TracedOperation(
        "socks.setup_socks5_connection", "a SOCKS5 proxy connects to the origin", _SOCKS, _STREAM
    ),
    TracedOperation("socks.start_tls", "TLS with the origin through a SOCKS proxy", _TLS, _STREAM),
    # HTTP/1.1; CONNECT to an HTTP proxy has the first three.
    TracedOperation("http11.send_request_headers", "the head is sent", _REQUEST, "None"),
    TracedOperation("http11.send_request_body", "the body is sent", _REQUEST, "None"),
    TracedOperation(
        "http11.receive_response_headers", "the head is waited for", _REQUEST, _HTTP11_HEAD
    ),
    TracedOperation("http11.receive_response_body", "the body is read", _REQUEST, "None"),
    TracedOperation("http11.response_closed", "the exchange ends", {}, "None"),
    # HTTP/3
    TracedOperation(
        "connection.connect_udp", "datagrams to the origin are opened", _TCP, "DatagramStream"
    ),
    TracedOperation("connection.quic_handshake", "QUIC and TLS with the origin", _QUIC, _STREAM),
    TracedOperation("http3.send_request_headers", "the head is sent", _ON_STREAM, "None"),
    TracedOperation("http3.send_request_body", "the body is sent", _ON_STREAM, "None"),
    TracedOperation(
        "http3.receive_response_headers", "the head is waited for", _ON_STREAM, _HTTP2_HEAD
    ),
    TracedOperation("http3.receive_response_body", "the body is read", _ON_STREAM, "None"),
    TracedOperation("http3.response_closed", "the exchange ends", {"stream_id": "int"}, "None"),
    # HTTP/2
    TracedOperation(
        "http2.send_connection_init",
        "the preface is sent, before the first request",
        _REQUEST,
        "None",
    ),
    TracedOperation("http2.send_request_headers", "the head is sent", _ON_STREAM, "None"),
    TracedOperation("http2.send_request_body", "the body is sent", _ON_STREAM, "None"),
    TracedOperation(
        "http2.receive_remote_settings",
        "the server's SETTINGS were received",
        {},
        "SettingsReceived",
    ),
    TracedOperation(
        "http2.receive_response_headers", "the head is waited for", _ON_STREAM, _HTTP2_HEAD
    ),
    TracedOperation("http2.receive_response_body", "the body is read", _ON_STREAM, "None"),
    TracedOperation("http2.response_closed", "the exchange ends", {"stream_id": "int"}, "None"),
)
