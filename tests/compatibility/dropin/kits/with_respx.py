"""`respx`, which patches the transport under `httpx`."""

from __future__ import annotations

import httpx
import pytest
import respx
from respx.models import AllMockedAssertionError

from tests.support.scripted_servers import Server

from .conftest import TRANSPORT_SENDERS, Send, client_senders

each_way = pytest.mark.parametrize(
    "send",
    [
        pytest.param(send, id=name)
        for name, send in {**client_senders("httpx"), **TRANSPORT_SENDERS}.items()
    ],
)


@each_way
def test_a_mocked_request_gets_its_response_without_network(send: Send, server: Server) -> None:
    with respx.mock:
        route = respx.get(server.url).mock(return_value=httpx.Response(299, content=b"mocked"))
        assert send(server.url) == (299, b"mocked")
    assert route.called
    assert server.accepted == 0


@each_way
def test_a_request_without_a_mock_raises_an_error(send: Send, server: Server) -> None:
    with respx.mock(assert_all_called=False) as router:
        router.get("https://other.example/")
        with pytest.raises(AllMockedAssertionError):
            send(server.url)
    assert server.accepted == 0


@each_way
def test_a_request_may_bypass_the_mock(send: Send, server: Server) -> None:
    with respx.mock:
        respx.get(server.url).pass_through()
        assert send(server.url) == (200, b"from the server")
    assert server.accepted


@each_way
def test_requests_reach_the_network_after_the_block(send: Send, server: Server) -> None:
    with respx.mock(assert_all_called=False):
        respx.get(server.url)
    assert send(server.url) == (200, b"from the server")
