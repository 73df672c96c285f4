"""The pools that are named after proxies do what `proxy=` does, and have what callers of 2.x look at."""

from __future__ import annotations

import ssl

import pytest

import httpcore2

HTTP_POOLS = [httpcore2.HTTPProxy, httpcore2.AsyncHTTPProxy]
SOCKS_POOLS = [httpcore2.SOCKSProxy, httpcore2.AsyncSOCKSProxy]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_an_http_proxy_is_a_pool_that_tunnels() -> None:
    backend = httpcore2.MockBackend([b"HTTP/1.1 200 OK\r\n\r\n", OK])
    with httpcore2.HTTPProxy(
        "http://proxy:8080", ("u", "p"), {"X": "y"}, network_backend=backend
    ) as pool:
        assert pool.request("GET", "https://origin.example/").content == b"ok"
        assert "<TunnelHTTPConnection ['https://origin.example:443'" in repr(pool.connections)
        assert (
            repr(pool)
            == "<HTTPProxy [Requests: 0 active, 0 queued | Connections: 0 active, 1 idle]>"
        )


def test_a_socks_proxy_is_a_pool_that_connects_through_it() -> None:
    replies = [b"\x05\x02", b"\x01\x00", b"\x05\x00\x00\x01" + bytes(6), OK]
    backend = httpcore2.MockBackend(replies)
    with httpcore2.SOCKSProxy("socks5://proxy", ("u", "p"), network_backend=backend) as pool:
        assert pool.request("GET", "https://origin.example/").content == b"ok"
        assert "<Socks5Connection ['https://origin.example:443'" in repr(pool.connections)


@pytest.mark.parametrize("pool_class", HTTP_POOLS)
def test_an_http_proxy_keeps_what_it_was_given(pool_class: type[httpcore2.HTTPProxy]) -> None:
    tls, proxy_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.create_default_context()
    pool = pool_class(
        "https://proxy:8443", ("u", "p"), {"X": "y"}, ssl_context=tls, proxy_ssl_context=proxy_tls
    )
    assert pool._proxy_url == httpcore2.URL("https://proxy:8443")
    assert pool._proxy_headers == [(b"Proxy-Authorization", b"Basic dTpw"), (b"X", b"y")]
    assert (pool._ssl_context, pool._proxy_ssl_context) == (tls, proxy_tls)


@pytest.mark.parametrize("pool_class", SOCKS_POOLS)
def test_a_socks_proxy_keeps_what_it_was_given(pool_class: type[httpcore2.SOCKSProxy]) -> None:
    pool = pool_class("socks5://proxy", ("u", "p"))
    assert pool._proxy_url == httpcore2.URL("socks5://proxy")
    assert pool._proxy_auth == (b"u", b"p")
    assert pool_class("socks5h://proxy")._proxy_auth is None


@pytest.mark.parametrize("pool_class", HTTP_POOLS)
def test_a_context_for_tls_needs_a_proxy_with_tls(pool_class: type[httpcore2.HTTPProxy]) -> None:
    with pytest.raises(RuntimeError, match="`proxy_ssl_context` argument is not allowed"):
        pool_class("http://proxy", proxy_ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


@pytest.mark.parametrize("pool_class", HTTP_POOLS)
def test_an_http_proxy_speaks_no_socks(pool_class: type[httpcore2.HTTPProxy]) -> None:
    with pytest.raises(httpcore2.UnsupportedProtocol, match="begins with http:// or https://"):
        pool_class("socks5://proxy")


@pytest.mark.parametrize("pool_class", SOCKS_POOLS)
def test_a_socks_proxy_speaks_no_http(pool_class: type[httpcore2.SOCKSProxy]) -> None:
    with pytest.raises(httpcore2.UnsupportedProtocol, match="begins with socks5://"):
        pool_class("http://proxy")


@pytest.mark.parametrize("pool_class", [*HTTP_POOLS, *SOCKS_POOLS])
def test_text_that_is_not_ascii_is_refused(pool_class: type[httpcore2.SOCKSProxy]) -> None:
    with pytest.raises(TypeError, match="may not include unicode characters"):
        pool_class("http://proxy", ("ü", "p"))


def test_the_way_through_a_proxy_can_be_overridden() -> None:
    class Direct(httpcore2.ConnectionPool):
        def create_connection(self, origin: httpcore2.Origin) -> httpcore2.ConnectionInterface:
            if origin.host == b"near":
                backend = httpcore2.MockBackend([OK])
                return httpcore2.HTTPConnection(origin, network_backend=backend)
            return super().create_connection(origin)

    backend = httpcore2.MockBackend([b"HTTP/1.1 200 OK\r\n\r\n", OK])
    with Direct(proxy=httpcore2.Proxy("http://proxy"), network_backend=backend) as pool:
        for url in ("https://near/", "https://far/"):
            assert pool.request("GET", url).content == b"ok"
        names = [repr(connection).partition(" ")[0] for connection in pool.connections]
        assert names == ["<HTTPConnection", "<TunnelHTTPConnection"]
