"""Module path of 2.16.2: `HTTP2Connection`."""

from .. import HTTP2Connection

__all__ = ["HTTP2Connection"]
