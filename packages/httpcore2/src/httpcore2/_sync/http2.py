"""The place of `HTTP2Connection` in 2.16.2."""

from .. import HTTP2Connection

__all__ = ["HTTP2Connection"]
