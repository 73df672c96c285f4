"""The values of attributes, by OpenTelemetry's semantic conventions for HTTP clients.

Rules: only the stable conventions, and no value that contains a secret.
Must not know: spans, instruments, which attribute is set when.
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from typing import Any

from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_REQUEST_METHOD_ORIGINAL,
)
from opentelemetry.semconv.attributes.network_attributes import (
    NETWORK_PEER_ADDRESS,
    NETWORK_PEER_PORT,
)
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.semconv.attributes.url_attributes import URL_FULL

from httpcore2_core import URL, Origin, Request

KNOWN_METHODS_VARIABLE = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"
_KNOWN_METHODS = "CONNECT,DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT,QUERY,TRACE"
_DEFAULT_PORTS = {b"http": 80, b"ws": 80, b"https": 443, b"wss": 443}
# The parameters whose values the conventions of `url.full` redact: signatures of cloud providers.
_redact = re.compile(rb"(?<=[?&])((?:AWSAccessKeyId|Signature|sig|X-Goog-Signature)=)[^&#]*").sub


def known_methods() -> frozenset[str]:
    """Return the methods that are recorded by name, from the environment or by default (RFC 9110, section 9)."""
    names = os.environ.get(KNOWN_METHODS_VARIABLE) or _KNOWN_METHODS
    return frozenset(name.strip() for name in names.split(","))


def server_of(place: URL | Origin) -> dict[str, Any]:
    """Return the attributes that name the server: the host and the port of a URL or an origin."""
    port = _DEFAULT_PORTS.get(place.scheme) if place.port is None else place.port
    server: dict[str, Any] = {SERVER_ADDRESS: place.host.decode("ascii", "backslashreplace")}
    if port is not None:
        server[SERVER_PORT] = port
    return server


def peer_of(address: tuple[str, int] | str | None) -> dict[str, Any]:
    """Return the attributes of the peer's address: a host and a port, the path of a unix socket, or unknown."""
    if address is None:
        return {}
    if isinstance(address, str):
        return {NETWORK_PEER_ADDRESS: address}
    return {NETWORK_PEER_ADDRESS: address[0], NETWORK_PEER_PORT: address[1]}


def method_of(request: Request, known: frozenset[str]) -> dict[str, str]:
    """Return the attributes of the method: `_OTHER` and the original one, if it is not known."""
    method = request.method.decode("ascii", "backslashreplace")
    if method in known:
        return {HTTP_REQUEST_METHOD: method}
    return {HTTP_REQUEST_METHOD: "_OTHER", HTTP_REQUEST_METHOD_ORIGINAL: method}


def is_address(host: str) -> bool:
    """Return whether a host is an IP address, for which there is no name resolution."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def tls_of(version: str | None, cipher: str | None, alpn: str | None) -> dict[str, str]:
    """Return the attributes of a TLS session, as far as they are known."""
    found = {
        "tls.protocol.version": None if version is None else version.removeprefix("TLSv"),
        "tls.cipher": cipher,
        "tls.next_protocol": alpn,
    }
    return {name: value for name, value in found.items() if value is not None}


def url_of(url: URL) -> dict[str, str]:
    """Return the URL. It never has credentials; the values of signatures are redacted."""
    return {URL_FULL: _redact(rb"\1REDACTED", bytes(url)).decode("latin-1")}


def version_of(http_version: str) -> str:
    """Return the value of `network.protocol.version`: "1.1" for "HTTP/1.1", "2" for "HTTP/2"."""
    return http_version.removeprefix("HTTP/")


def error_type_of(error: BaseException) -> str:
    """Return the value of `error.type`: the qualified name of the exception's class, as users import it."""
    kind = type(error)
    package = kind.__module__.partition(".")[0]
    if package == "builtins":
        return kind.__qualname__
    if package == "httpcore2_core":
        return f"httpcore2.{kind.__qualname__}"
    return f"{kind.__module__}.{kind.__qualname__}"
