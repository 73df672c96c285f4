"""Cases chosen by hand: common requests, failures, HTTP/2 and proxies."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import h2.events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

from ...support.h2peer import H2Peer, answering, speaking
from ...support.scripted_servers import Handler, Peer, canned_responses, response
from .runner import Call, Case, Chunks, httpcore2, start_tls

FINE = response(b"fine")
HURRY = {"timeout": {"connect": 0.2, "read": 5.0, "write": 5.0, "pool": 5.0}}
UPGRADE = {"Upgrade": "x", "Connection": "upgrade"}
REFUSING = "http://127.0.0.1:1/"
"""No server listens on port 1, that of the obsolete tcpmux."""


def _sending(data: bytes, *, ends: bool = False) -> Handler:
    """Make a handler that responds to each request with `data`, and ends the connection then if `ends` is set."""

    def handle(peer: Peer) -> None:
        while peer.receive_request() is not None:
            peer.send(data)
            if ends:
                peer.half_close()
                return

    return handle


def _close_first_connection(peer: Peer) -> None:
    """End the first connection after its response, without `Connection: close`."""
    _sending(FINE, ends=not peer.number)(peer)


def _end_tls(notifies: bool, peer: Peer) -> None:
    """Send a body that ends with the connection, with a close_notify or without."""
    if peer.receive_request() is None:
        return
    peer.send(b"HTTP/1.1 200 OK\r\n\r\nfine")
    if not notifies:
        # On a copy of the TCP socket: the TLS socket would end TLS in both directions, and record encrypted bytes.
        with socket.socket(fileno=os.dup(peer.socket.fileno())) as beneath:
            beneath.shutdown(socket.SHUT_WR)
        return
    sock: Any = peer.socket
    limit = sock.gettimeout()
    sock.settimeout(0)
    with suppress(ssl.SSLWantReadError):  # do not wait for the client's close_notify
        sock.unwrap()
    sock.settimeout(limit)


def _send_nothing(peer: Peer) -> None:
    """Send no response."""


def _respond_without_tls(peer: Peer) -> None:
    peer.receive_some()
    peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def _reset_first_stream(peer: H2Peer) -> None:
    stream_id = peer.whole_request()
    assert stream_id is not None
    peer.reset(stream_id, ErrorCodes.ENHANCE_YOUR_CALM)
    answering()(peer)


def _send_goaway(peer: H2Peer) -> None:
    """Receive the first request, send GOAWAY, and respond."""
    stream_id = peer.whole_request()
    assert stream_id is not None
    peer.go_away(stream_id)
    with suppress(ProtocolError):
        peer.respond(stream_id, b"fine")
    peer.wait_for(h2.events.StreamEnded)


def every_case(server_tls: ssl.SSLContext) -> Iterator[Case]:
    fine = canned_responses([FINE] * 9)
    get, twice = [Call()], [Call(), Call()]
    yield Case("GET", fine, get)
    yield Case("GET twice", fine, twice)
    yield Case("GET, closed unread", fine, [Call(end="closed"), Call()])
    yield Case("POST bytes", fine, [Call("POST", content=b"abc")])
    yield Case("POST an iterator", fine, [Call("POST", content=Chunks([b"ab", b"", b"c"]))])
    yield Case("HEAD", canned_responses([response(b"", b"X: 1")[:-2] + b"\r\n"]), [Call("HEAD")])
    yield Case("the `target` extension", fine, [Call("OPTIONS", extensions={"target": b"*"})])
    yield Case("a unix socket", fine, get, {"uds": lambda tls, port, path: path})
    yield Case(
        "a local address and a socket option",
        fine,
        get,
        {"local_address": "127.0.0.1", "socket_options": [(1, 9, 1)]},
    )
    yield Case("an empty local address", fine, get, {"local_address": ""})
    yield Case("TLS", fine, get, tls=["http/1.1"])
    for notifies in (True, False):
        how = "with" if notifies else "without"
        yield Case(
            f"TLS: a body that ends with the connection, {how} close_notify",
            partial(_end_tls, notifies),
            get,
            tls=["http/1.1"],
        )
    yield Case("the network stream", fine, [Call(end="held")])
    yield Case("the network stream of TLS", fine, [Call(end="held")], tls=["http/1.1"])
    yield Case(
        "the network stream of a unix socket",
        fine,
        [Call(end="held")],
        {"uds": lambda tls, port, path: path},
    )
    yield Case(
        "the `sni_hostname` extension",
        fine,
        [Call(extensions={"sni_hostname": "www.example.com"})],
        tls=["http/1.1"],
    )
    for name, start, fields in (
        ("an empty line before the status line", b"\r\nHTTP/1.1 200 OK\r\n", b"Content-Length: 4"),
        ("a space before a colon", b"HTTP/1.1 200 OK\r\n", b"Content-Length : 4"),
        ("`identity`", b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: identity"),
    ):
        data = start + fields + b"\r\n\r\nfine"
        yield Case(f"a tolerated form: {name}", _sending(data, ends=True), get)
    yield Case("no keep-alive", fine, twice, {"max_keepalive_connections": 0})
    yield Case("keep-alive that has expired", fine, twice, {"keepalive_expiry": 0.0})
    closing = response(b"fine", b"Connection: close")
    yield Case("a close after each response", _sending(closing, ends=True), twice)
    yield Case("a close while idle", _close_first_connection, twice)
    yield Case(
        "an upgrade",
        _sending(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        [Call(headers=UPGRADE)],
    )
    yield Case(
        "CONNECT",
        _sending(b"HTTP/1.1 200 OK\r\n\r\n"),
        [Call("CONNECT", extensions={"target": b"www.example.com:443"})],
    )
    yield Case(
        "interim responses", _sending(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + FINE), get
    )
    yield Case(
        "trailers",
        _sending(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: 1\r\n\r\n"),
        get,
    )
    yield from _own_pools()
    yield from _failures()
    yield from _http2()
    yield from _proxies(server_tls)


def _own_pools() -> Iterator[Case]:
    both = {"http2": True}
    for kind in ("CustomPool", "DerivedPool"):
        name = f"a {kind}"
        yield Case(
            f"{name}: GET twice", canned_responses([FINE] * 9), [Call(), Call()], pool_class=kind
        )
        ends = _sending(response(b"fine", b"Connection: close"), ends=True)
        yield Case(f"{name}: a close after each", ends, [Call(), Call()], pool_class=kind)
        partial_body = _sending(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
        yield Case(f"{name}: closed unread", partial_body, [Call(end="closed")], pool_class=kind)
        broken = _sending(b"nonsense\r\n\r\n")
        yield Case(f"{name}: a response that is not HTTP", broken, [Call()], pool_class=kind)
        yield Case(
            f"{name}: refused", canned_responses([FINE]), [Call(target=REFUSING)], pool_class=kind
        )
    yield Case(
        "HTTP/2: a CustomPool",
        speaking(answering()),
        [Call(), Call()],
        both,
        "CustomPool",
        tls=["h2"],
    )


def _failures() -> Iterator[Case]:
    fine = canned_responses([FINE] * 9)
    get = [Call()]
    timeout = {"timeout": {"connect": 5.0, "read": 0.02, "write": 5.0, "pool": 0.02}}
    yield Case("a refused connection", fine, [Call(target=REFUSING)])
    yield Case("a refused connection, retried", fine, [Call(target=REFUSING)], {"retries": 1})
    yield Case(
        "a missing unix socket",
        fine,
        get,
        {"uds": lambda tls, port, path: f"{path}-missing"},
    )
    yield Case(
        "a certificate for another name",
        fine,
        [Call(target="https://127.0.0.1:PORT/", extensions={"sni_hostname": "other.example"})],
        tls=["http/1.1"],
    )
    yield Case(
        "an origin without TLS", _respond_without_tls, [Call(target="https://127.0.0.1:PORT/")]
    )
    yield Case("a silent server", _send_nothing, [Call(extensions=timeout)] * 2)
    yield Case(
        "a full pool",
        fine,
        [Call(end="held"), Call(extensions=timeout)],
        {"max_connections": 1},
    )
    yield Case("an end in place of a response", _sending(b"", ends=True), get)
    yield Case("an end in the head", _sending(b"HTTP/1.1 200 OK\r\n", ends=True), get)
    yield Case("an end in the body", _sending(FINE[:-1], ends=True), get)
    yield Case(
        "an end in a chunk",
        _sending(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", ends=True),
        get,
    )
    yield Case("a response that is not HTTP", _sending(b"220 mail.example ESMTP\r\n\r\n"), get)
    yield Case("an invalid request header", fine, [Call(headers={"a": "b\r\nc: d"}), Call()])
    yield Case("an invalid name of a request header", fine, [Call(headers={"a b": "c"})])
    yield Case(
        "a body longer than its Content-Length",
        fine,
        [Call("POST", content=b"abc", headers={"Content-Length": "2"})],
    )
    yield Case(
        "a body shorter than its Content-Length",
        fine,
        [Call("POST", content=b"abc", headers={"Content-Length": "4"})],
    )
    yield Case("a URL without a scheme", fine, [Call(target="://127.0.0.1/")])
    yield Case("a URL with another scheme", fine, [Call(target="ftp://127.0.0.1/")])
    yield Case("a URL without a host", fine, [Call(target="http:///path")])
    yield Case("a port above 65535", fine, [Call(target="http://127.0.0.1:65536/")])
    yield Case("content that is text", fine, [Call("POST", content="text")])
    yield Case("content that is a number", fine, [Call("POST", content=1)])
    yield Case("content of text chunks", fine, [Call("POST", content=Chunks(["text"]))])
    yield Case(
        "sync content in the async API or vice versa",
        fine,
        [Call("POST", content=Chunks([b"abc"], is_mismatched=True))],
    )
    yield Case("an endless head", _sending(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000), get)
    yield Case(
        "endless interim responses", _sending(b"HTTP/1.1 100 Continue\r\n\r\n" * 200 + FINE), get
    )
    yield Case(
        "both Content-Length and Transfer-Encoding",
        fine,
        [
            Call(
                "POST",
                content=b"abc",
                headers={"Content-Length": "3", "Transfer-Encoding": "chunked"},
            )
        ],
    )
    yield Case("a header value that is a number", fine, [Call(headers={"a": 1})])
    yield Case("a method with a space", fine, [Call("GET /")])
    yield Case("a target with a space", fine, [Call(extensions={"target": b"/a b"})])


def _http2() -> Iterator[Case]:
    handler = speaking(answering())
    both = {"http2": True}
    yield Case("HTTP/2: GET twice", handler, [Call(), Call()], both, tls=["h2", "http/1.1"])
    yield Case("HTTP/2: POST bytes", handler, [Call("POST", content=b"abc")], both, tls=["h2"])
    yield Case(
        "HTTP/2: POST an iterator",
        handler,
        [Call("POST", content=Chunks([b"ab", b"", b"c"]))],
        both,
        tls=["h2"],
    )
    yield Case("HTTP/2: closed unread", handler, [Call(end="closed"), Call()], both, tls=["h2"])
    yield Case(
        "HTTP/2 is not negotiated", canned_responses([FINE]), [Call()], both, tls=["http/1.1"]
    )
    yield Case("HTTP/2 without TLS", handler, [Call()], {"http1": False, "http2": True})
    yield Case("HTTP/2: a reset", speaking(_reset_first_stream), [Call(), Call()], both, tls=["h2"])
    yield Case("HTTP/2: GOAWAY", speaking(_send_goaway), [Call(), Call()], both, tls=["h2"])
    yield Case(
        "HTTP/2: an ended connection", _end_at_first_head, [Call()], {"http1": False, "http2": True}
    )
    yield Case(
        "HTTP/2: an invalid header",
        handler,
        [Call(headers={"a": "b\r\nc"}), Call()],
        both,
        tls=["h2"],
    )


def _end_at_first_head(peer: Peer) -> None:
    H2Peer(peer).request()
    peer.half_close()


# Proxies: the server is both the proxy and the origin behind it.


def _tunnel(context: ssl.SSLContext, then: Handler, peer: Peer) -> None:
    """Accept a CONNECT request, then serve the origin over TLS."""
    peer.receive_head()
    peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
    start_tls(peer, context)
    then(peer)


def _tunnel_without_tls(peer: Peer) -> None:
    peer.receive_head()
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    _respond_without_tls(peer)


def _serve_socks(
    peer: Peer, method: bytes = b"\x00", reply: bytes = b"\x00", then: Handler | None = None
) -> None:
    """Do the SOCKS5 handshake (RFC 1928), then serve the origin."""
    count = peer.receive_exactly(2)[1]
    peer.receive_exactly(count)
    peer.send(b"\x05" + method)
    if method == b"\x02":  # user name and password (RFC 1929)
        peer.receive_exactly(peer.receive_exactly(2)[1])
        peer.receive_exactly(peer.receive_exactly(1)[0])
        peer.send(b"\x01" + reply)
    kind = peer.receive_exactly(4)[3]
    peer.receive_exactly((peer.receive_exactly(1)[0] if kind == 3 else 4) + 2)
    peer.send(b"\x05" + reply + b"\x00\x01" + bytes(6))
    if then is not None:
        then(peer)


def _end_at_once(peer: Peer) -> None:
    peer.receive_some()
    peer.half_close()


def _serve_tls_origin(context: ssl.SSLContext, then: Handler, peer: Peer) -> None:
    start_tls(peer, context)
    then(peer)


def _proxies(server_tls: ssl.SSLContext) -> Iterator[Case]:
    def url(scheme: str) -> Any:
        return lambda tls, port, path: f"{scheme}://127.0.0.1:{port}"

    def trust(tls: ssl.SSLContext, port: int, path: str) -> ssl.SSLContext:
        return tls

    fine = canned_responses([FINE] * 9)
    plain, encrypted = (
        Call(target="http://www.example.com/a"),
        Call(target="https://www.example.com/a"),
    )
    by_http = {"proxy_url": url("http"), "ssl_context": trust}
    auth = {"proxy_auth": ("user", "password")}
    headers = {"proxy_headers": {"X-Proxy": "1", "Accept": "text/plain"}}
    yield Case("HTTP proxy: forward", fine, [plain, plain], by_http, "HTTPProxy")
    yield Case(
        "HTTP proxy: forward with credentials and headers",
        fine,
        [plain],
        by_http | auth | headers,
        "HTTPProxy",
    )
    yield Case(
        "HTTP proxy: forward a POST",
        fine,
        [Call("POST", plain.target, content=Chunks([b"ab"]), headers={"accept": "*/*"})],
        by_http | headers,
        "HTTPProxy",
    )
    yield Case(
        "HTTP proxy: forward to an IPv6 address",
        fine,
        [Call(target="http://[::1]:81/a")],
        by_http,
        "HTTPProxy",
    )
    refusal = response(b"no", status=b"407 Proxy Authentication Required")
    yield Case(
        "HTTP proxy: forward refused", canned_responses([refusal]), [plain], by_http, "HTTPProxy"
    )
    tunnel = partial(_tunnel, server_tls, fine)
    yield Case("HTTP proxy: tunnel", tunnel, [encrypted, encrypted], by_http, "HTTPProxy")
    yield Case(
        "HTTP proxy: tunnel with credentials and headers",
        tunnel,
        [encrypted],
        by_http | auth | headers,
        "HTTPProxy",
    )
    yield Case(
        "HTTP proxy: tunnel refused", canned_responses([refusal]), [encrypted], by_http, "HTTPProxy"
    )
    yield Case(
        "HTTP proxy: tunnel ended", _sending(b"", ends=True), [encrypted], by_http, "HTTPProxy"
    )
    yield Case(
        "HTTP proxy: tunnel to an origin without TLS",
        _tunnel_without_tls,
        [encrypted],
        by_http,
        "HTTPProxy",
    )
    yield Case(
        "HTTP proxy: a WebSocket in clear text",
        fine,
        [Call(target="ws://www.example.com/", headers=UPGRADE, extensions=HURRY)],
        by_http,
        "HTTPProxy",
    )
    yield Case(
        "HTTP proxy: refused connection",
        fine,
        [plain, encrypted],
        by_http | {"proxy_url": REFUSING},
        "HTTPProxy",
    )
    yield Case(
        "HTTP proxy with TLS: forward",
        fine,
        [plain],
        {"proxy_url": url("https"), "proxy_ssl_context": trust},
        "HTTPProxy",
        tls=["http/1.1"],
    )
    yield Case(
        "HTTP proxy as an option: forward",
        fine,
        [plain],
        {"proxy": lambda tls, port, path: httpcore2.Proxy(f"http://127.0.0.1:{port}")},
    )
    by_socks = {"proxy_url": url("socks5"), "ssl_context": trust}
    socks = partial(_serve_socks, then=fine)
    yield Case("SOCKS5 proxy", socks, [plain, plain], by_socks, "SOCKSProxy")
    yield Case("SOCKS5 proxy: ended", _end_at_once, [plain], by_socks, "SOCKSProxy")
    yield Case(
        "SOCKS5 proxy to an address",
        socks,
        [Call(target="http://192.0.2.1/")],
        by_socks,
        "SOCKSProxy",
    )
    yield Case(
        "SOCKS5 proxy with TLS",
        partial(_serve_socks, then=partial(_serve_tls_origin, server_tls, fine)),
        [encrypted],
        by_socks,
        "SOCKSProxy",
    )
    known = partial(_serve_socks, method=b"\x02", then=fine)
    yield Case("SOCKS5 proxy with a password", known, [plain], by_socks | auth, "SOCKSProxy")
    refused = partial(_serve_socks, reply=b"\x05")
    yield Case("SOCKS5 proxy: refused", refused, [plain], by_socks, "SOCKSProxy")
    unknown = partial(_serve_socks, method=b"\x02", reply=b"\x01")
    yield Case("SOCKS5 proxy: wrong password", unknown, [plain], by_socks | auth, "SOCKSProxy")
    nothing = partial(_serve_socks, method=b"\xff")
    yield Case("SOCKS5 proxy: no acceptable method", nothing, [plain], by_socks, "SOCKSProxy")
    yield Case(
        "SOCKS5 proxy: refused connection",
        socks,
        [plain],
        by_socks | {"proxy_url": "socks5://127.0.0.1:1"},
        "SOCKSProxy",
    )
