"""What the tests of proxies have in common."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from ...support.scripted_proxy import Kind, ScriptedProxy, proxying
from ...support.server import Handler, Server, canned, response, scripted

FINE = response(b"fine")
ANSWERING = canned([FINE] * 9)

Setting = Callable[..., AbstractContextManager[tuple[ScriptedProxy, Server]]]


@pytest.fixture
def behind(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> Setting:
    """Run an origin, and a proxy before it: `with behind(kind, handler, tls=…) as (proxy, origin)`."""

    @contextmanager
    def run(
        kind: Kind,
        handler: Handler = ANSWERING,
        *,
        tls: ssl.SSLContext | None = server_tls,
        **options: Any,
    ) -> Iterator[tuple[ScriptedProxy, Server]]:
        with (
            scripted(handler, tls=tls, forgiving=True) as origin,
            proxying(kind, origin.port, server_tls, client_tls, **options) as proxy,
        ):
            yield proxy, origin

    return run
