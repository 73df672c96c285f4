"""HTTP/2 for httpcore2: the connection that a pool uses where the server chooses HTTP/2.

Layers, of which each imports only those before it: frames, stream, session, connection. Each module says in which it
is.
"""

from __future__ import annotations

from httpcore2_core._distributions import check_version

check_version(__name__, "3.0.0")

from ._public import AsyncHTTP2Connection, HTTP2Connection

__all__ = ["AsyncHTTP2Connection", "HTTP2Connection"]
