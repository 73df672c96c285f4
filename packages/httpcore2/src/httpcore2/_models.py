"""Module path of 2.16.2: the models."""

from httpcore2_core._models import (
    DEFAULT_PORTS,
    URL,
    ByteStream,
    Origin,
    Proxy,
    Request,
    Response,
    enforce_bytes,
    enforce_headers,
    enforce_stream,
    enforce_url,
    include_request_headers,
)

__all__ = [
    "DEFAULT_PORTS",
    "URL",
    "ByteStream",
    "Origin",
    "Proxy",
    "Request",
    "Response",
    "enforce_bytes",
    "enforce_headers",
    "enforce_stream",
    "enforce_url",
    "include_request_headers",
]
