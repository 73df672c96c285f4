"""`httpx2-pytest`, which replaces the transport of `httpx2`."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.support.scripted_servers import Server

from .conftest import Send, client_senders

each_way = pytest.mark.parametrize(
    "send", [pytest.param(send, id=name) for name, send in client_senders("httpx2").items()]
)


@each_way
def test_a_mocked_request_gets_its_response_without_network(
    send: Send, server: Server, httpx2_mock: Any
) -> None:
    httpx2_mock.add_response(url=server.url, status_code=299, content=b"mocked")
    assert send(server.url) == (299, b"mocked")
    assert [str(request.url) for request in httpx2_mock.get_requests()] == [server.url]
    assert server.accepted == 0


@each_way
@pytest.mark.httpx2_mock(assert_all_requests_were_expected=False)
def test_a_request_without_a_mock_raises_an_error(
    send: Send, server: Server, httpx2_mock: Any
) -> None:
    httpx2_mock.add_response(url="https://other.example/", is_optional=True)
    with pytest.raises(httpx2.TimeoutException, match="No response can be found"):
        send(server.url)
    assert server.accepted == 0


@pytest.mark.httpx2_mock(assert_all_requests_were_expected=False)
@pytest.mark.parametrize("kind", [httpx2.HTTPTransport, httpx2.AsyncHTTPTransport])
def test_a_request_through_a_proxy_is_matched_by_its_proxy(kind: Any, httpx2_mock: Any) -> None:
    httpx2_mock.add_response(proxy_url="http://user:secret@proxy.example:1/", content=b"mocked")
    proxy = "http://user:secret@proxy.example:1/"
    if kind is httpx2.HTTPTransport:
        with httpx2.Client(proxy=proxy) as client:
            assert client.get("http://www.example.com/").content == b"mocked"
    else:
        import asyncio

        async def main() -> None:
            async with httpx2.AsyncClient(proxy=proxy) as client:
                assert (await client.get("http://www.example.com/")).content == b"mocked"

        asyncio.run(main())


@each_way
@pytest.mark.httpx2_mock(should_mock=lambda request: request.url.host != "127.0.0.1")
def test_a_request_may_bypass_the_mock(send: Send, server: Server, httpx2_mock: Any) -> None:
    assert send(server.url) == (200, b"from the server")
