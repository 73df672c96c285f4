"""`pytest-httpx2`: `respx` for `httpx2`."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from respx.models import AllMockedAssertionError

from tests.support.scripted_servers import Server

from .conftest import TRANSPORT_SENDERS, Send, client_senders

each_way = pytest.mark.parametrize(
    "send",
    [
        pytest.param(send, id=name)
        for name, send in {**client_senders("httpx2"), **TRANSPORT_SENDERS}.items()
    ],
)


@each_way
def test_a_mocked_request_gets_its_response_without_network(
    send: Send, server: Server, httpx2_mock: Any
) -> None:
    route = httpx2_mock.get(server.url).mock(return_value=httpx.Response(299, content=b"mocked"))
    assert send(server.url) == (299, b"mocked")
    assert route.called
    assert server.accepted == 0


@each_way
def test_a_request_without_a_mock_raises_an_error(
    send: Send, server: Server, httpx2_mock: Any
) -> None:
    with pytest.raises(AllMockedAssertionError):
        send(server.url)
    assert server.accepted == 0


@each_way
def test_a_request_may_bypass_the_mock(send: Send, server: Server, httpx2_mock: Any) -> None:
    httpx2_mock.get(server.url).pass_through()
    assert send(server.url) == (200, b"from the server")
