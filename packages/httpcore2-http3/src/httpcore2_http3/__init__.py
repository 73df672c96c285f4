"""HTTP/3 for httpcore2: the connection that a pool uses where a server offers HTTP/3, over QUIC by qh3.

Layers, of which each imports only those before it: QUIC, stream, session, connection. Each module says in which it is.
"""

from __future__ import annotations

from httpcore2_core._distributions import check_version

check_version(__name__, "3.0.0")

from ._public import AsyncHTTP3Connection, HTTP3Connection

__all__ = ["AsyncHTTP3Connection", "HTTP3Connection"]
