"""Fixtures that these tests share with the tests of HTTP/2."""

from __future__ import annotations

from ..http2.conftest import h2_client_tls, h2_pool, servers

__all__ = ["h2_client_tls", "h2_pool", "servers"]
