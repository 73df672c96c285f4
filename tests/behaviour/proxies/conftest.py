"""What the tests of proxies have in common."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from ...support.scripted_proxies import ProxyKind, ScriptedProxy, scripted_proxy
from ...support.scripted_servers import Handler, Server, canned_responses, response, scripted_server

FINE = response(b"fine")
ANSWERING = canned_responses([FINE] * 9)

Setting = Callable[..., AbstractContextManager[tuple[ScriptedProxy, Server]]]


@pytest.fixture
def behind(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> Setting:
    """Run an origin, and a proxy before it: `with behind(kind, handler, tls=…) as (proxy, origin)`."""

    @contextmanager
    def run(
        kind: ProxyKind,
        handler: Handler = ANSWERING,
        *,
        tls: ssl.SSLContext | None = server_tls,
        **options: Any,
    ) -> Iterator[tuple[ScriptedProxy, Server]]:
        with (
            scripted_server(handler, tls=tls, allow_disconnect=True) as origin,
            scripted_proxy(kind, origin.port, server_tls, client_tls, **options) as proxy,
        ):
            yield proxy, origin

    return run
