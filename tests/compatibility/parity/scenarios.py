"""Cases that were chosen by hand: what callers see and are told on the usual ways, and when something goes wrong."""

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
from .stage import Call, Case, Chunks, httpcore2, start_tls

FINE = response(b"fine")
HURRY = {"timeout": {"connect": 0.2, "read": 5.0, "write": 5.0, "pool": 5.0}}
UPGRADE = {"Upgrade": "x", "Connection": "upgrade"}
NOWHERE = "http://127.0.0.1:1/"
"""Nobody listens on the port that the ancient tcpmux had."""


def _sends(data: bytes, *, ends: bool = False) -> Handler:
    """Answer each request with `data`; then, if so told, end the connection."""

    def handle(peer: Peer) -> None:
        while peer.receive_request() is not None:
            peer.send(data)
            if ends:
                peer.half_close()
                return

    return handle


def _closes_the_first(peer: Peer) -> None:
    """End the first connection after its response, though nobody asked for that."""
    _sends(FINE, ends=not peer.number)(peer)


def _ends_tls(politely: bool, peer: Peer) -> None:
    """Send a body that the end of the connection ends, with a close_notify or without."""
    if peer.receive_request() is None:
        return
    peer.send(b"HTTP/1.1 200 OK\r\n\r\nfine")
    if not politely:
        # Beneath TLS: its own socket would end TLS both ways, and note what the client encrypts from then on.
        with socket.socket(fileno=os.dup(peer.socket.fileno())) as beneath:
            beneath.shutdown(socket.SHUT_WR)
        return
    sock: Any = peer.socket
    limit = sock.gettimeout()
    sock.settimeout(0)
    with suppress(ssl.SSLWantReadError):  # the client's own is not waited for
        sock.unwrap()
    sock.settimeout(limit)


def _is_silent(peer: Peer) -> None:
    """Answer nothing."""


def _has_no_tls(peer: Peer) -> None:
    peer.receive_some()
    peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def _resets(peer: H2Peer) -> None:
    stream_id = peer.whole_request()
    assert stream_id is not None
    peer.reset(stream_id, ErrorCodes.ENHANCE_YOUR_CALM)
    answering()(peer)


def _goes_away(peer: H2Peer) -> None:
    """Take the first request on, and say farewell."""
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
    for politely in (True, False):
        how = "with" if politely else "without"
        yield Case(
            f"TLS: a body that ends with the connection, {how} close_notify",
            partial(_ends_tls, politely),
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
        ("a blank before a colon", b"HTTP/1.1 200 OK\r\n", b"Content-Length : 4"),
        ("`identity`", b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: identity"),
    ):
        odd = start + fields + b"\r\n\r\nfine"
        yield Case(f"an odd form: {name}", _sends(odd, ends=True), get)
    yield Case("no keep-alive", fine, twice, {"max_keepalive_connections": 0})
    yield Case("keep-alive that has expired", fine, twice, {"keepalive_expiry": 0.0})
    farewell = response(b"fine", b"Connection: close")
    yield Case("a close after each response", _sends(farewell, ends=True), twice)
    yield Case("a close while idle", _closes_the_first, twice)
    yield Case(
        "an upgrade",
        _sends(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        [Call(headers=UPGRADE)],
    )
    yield Case(
        "CONNECT",
        _sends(b"HTTP/1.1 200 OK\r\n\r\n"),
        [Call("CONNECT", extensions={"target": b"www.example.com:443"})],
    )
    yield Case(
        "interim responses", _sends(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + FINE), get
    )
    yield Case(
        "trailers",
        _sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: 1\r\n\r\n"),
        get,
    )
    yield from _own_pools()
    yield from _failures()
    yield from _http2()
    yield from _proxies(server_tls)


def _own_pools() -> Iterator[Case]:
    both = {"http2": True}
    for kind in ("OwnPool", "DerivedPool"):
        what = f"a {kind} of the caller's"
        yield Case(f"{what}: GET twice", canned_responses([FINE] * 9), [Call(), Call()], kind=kind)
        ends = _sends(response(b"fine", b"Connection: close"), ends=True)
        yield Case(f"{what}: a close after each", ends, [Call(), Call()], kind=kind)
        partial_body = _sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
        yield Case(f"{what}: closed unread", partial_body, [Call(end="closed")], kind=kind)
        broken = _sends(b"nonsense\r\n\r\n")
        yield Case(f"{what}: a response that is not HTTP", broken, [Call()], kind=kind)
        yield Case(f"{what}: refused", canned_responses([FINE]), [Call(target=NOWHERE)], kind=kind)
    yield Case(
        "HTTP/2: an OwnPool of the caller's",
        speaking(answering()),
        [Call(), Call()],
        both,
        "OwnPool",
        tls=["h2"],
    )


def _failures() -> Iterator[Case]:
    fine = canned_responses([FINE] * 9)
    get = [Call()]
    timeout = {"timeout": {"connect": 5.0, "read": 0.02, "write": 5.0, "pool": 0.02}}
    yield Case("a refused connection", fine, [Call(target=NOWHERE)])
    yield Case("a refused connection, tried again", fine, [Call(target=NOWHERE)], {"retries": 1})
    yield Case(
        "a unix socket that is not there",
        fine,
        get,
        {"uds": lambda tls, port, path: f"{path}-nowhere"},
    )
    yield Case(
        "a certificate for another name",
        fine,
        [Call(target="https://127.0.0.1:PORT/", extensions={"sni_hostname": "other.example"})],
        tls=["http/1.1"],
    )
    yield Case("no TLS where it is expected", _has_no_tls, [Call(target="https://127.0.0.1:PORT/")])
    yield Case("a server that is silent", _is_silent, [Call(extensions=timeout)] * 2)
    yield Case(
        "a pool that is busy",
        fine,
        [Call(end="held"), Call(extensions=timeout)],
        {"max_connections": 1},
    )
    yield Case("an end in place of a response", _sends(b"", ends=True), get)
    yield Case("an end in the head", _sends(b"HTTP/1.1 200 OK\r\n", ends=True), get)
    yield Case("an end in the body", _sends(FINE[:-1], ends=True), get)
    yield Case(
        "an end in a chunk",
        _sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", ends=True),
        get,
    )
    yield Case("a response that is not HTTP", _sends(b"220 mail.example ESMTP\r\n\r\n"), get)
    yield Case(
        "a request header that is not allowed", fine, [Call(headers={"a": "b\r\nc: d"}), Call()]
    )
    yield Case("a request header's name that is not allowed", fine, [Call(headers={"a b": "c"})])
    yield Case(
        "a body that is longer than declared",
        fine,
        [Call("POST", content=b"abc", headers={"Content-Length": "2"})],
    )
    yield Case(
        "a body that is shorter than declared",
        fine,
        [Call("POST", content=b"abc", headers={"Content-Length": "4"})],
    )
    yield Case("a URL without a scheme", fine, [Call(target="://127.0.0.1/")])
    yield Case("a URL of another scheme", fine, [Call(target="ftp://127.0.0.1/")])
    yield Case("a URL without a host", fine, [Call(target="http:///path")])
    yield Case("a port that is too high", fine, [Call(target="http://127.0.0.1:65536/")])
    yield Case("content that is text", fine, [Call("POST", content="text")])
    yield Case("content that is a number", fine, [Call("POST", content=1)])
    yield Case("content of pieces that are text", fine, [Call("POST", content=Chunks(["text"]))])
    yield Case(
        "content of the other colour",
        fine,
        [Call("POST", content=Chunks([b"abc"], is_wrong=True))],
    )
    yield Case("an endless head", _sends(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000), get)
    yield Case(
        "endless interim responses", _sends(b"HTTP/1.1 100 Continue\r\n\r\n" * 200 + FINE), get
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
    yield Case("a header's value that is a number", fine, [Call(headers={"a": 1})])
    yield Case("a method with a blank", fine, [Call("GET /")])
    yield Case("a target with a blank", fine, [Call(extensions={"target": b"/a b"})])


def _http2() -> Iterator[Case]:
    answers = speaking(answering())
    both = {"http2": True}
    yield Case("HTTP/2: GET twice", answers, [Call(), Call()], both, tls=["h2", "http/1.1"])
    yield Case("HTTP/2: POST bytes", answers, [Call("POST", content=b"abc")], both, tls=["h2"])
    yield Case(
        "HTTP/2: POST an iterator",
        answers,
        [Call("POST", content=Chunks([b"ab", b"", b"c"]))],
        both,
        tls=["h2"],
    )
    yield Case("HTTP/2: closed unread", answers, [Call(end="closed"), Call()], both, tls=["h2"])
    yield Case(
        "HTTP/2 is not agreed on", canned_responses([FINE]), [Call()], both, tls=["http/1.1"]
    )
    yield Case("HTTP/2 without TLS", answers, [Call()], {"http1": False, "http2": True})
    yield Case("HTTP/2: a reset", speaking(_resets), [Call(), Call()], both, tls=["h2"])
    yield Case("HTTP/2: a farewell", speaking(_goes_away), [Call(), Call()], both, tls=["h2"])
    yield Case("HTTP/2: an end", _is_ended, [Call()], {"http1": False, "http2": True})
    yield Case(
        "HTTP/2: a header that is not allowed",
        answers,
        [Call(headers={"a": "b\r\nc"}), Call()],
        both,
        tls=["h2"],
    )


def _is_ended(peer: Peer) -> None:
    H2Peer(peer).request()
    peer.half_close()


# Proxies: the server is the proxy, and the origin behind it, too.


def _tunnels(context: ssl.SSLContext, then: Handler, peer: Peer) -> None:
    """Take a CONNECT, and be the origin, with TLS."""
    peer.receive_head()
    peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
    start_tls(peer, context)
    then(peer)


def _tunnels_to_no_tls(peer: Peer) -> None:
    peer.receive_head()
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    _has_no_tls(peer)


def _is_socks(
    peer: Peer, method: bytes = b"\x00", reply: bytes = b"\x00", then: Handler | None = None
) -> None:
    """Speak SOCKS5 (RFC 1928), and then be the origin."""
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


def _ends_at_once(peer: Peer) -> None:
    peer.receive_some()
    peer.half_close()


def _is_tls_origin(context: ssl.SSLContext, then: Handler, peer: Peer) -> None:
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
        "HTTP proxy: forward, with more", fine, [plain], by_http | auth | headers, "HTTPProxy"
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
    tunnel = partial(_tunnels, server_tls, fine)
    yield Case("HTTP proxy: tunnel", tunnel, [encrypted, encrypted], by_http, "HTTPProxy")
    yield Case(
        "HTTP proxy: tunnel, with more", tunnel, [encrypted], by_http | auth | headers, "HTTPProxy"
    )
    yield Case(
        "HTTP proxy: tunnel refused", canned_responses([refusal]), [encrypted], by_http, "HTTPProxy"
    )
    yield Case(
        "HTTP proxy: tunnel ended", _sends(b"", ends=True), [encrypted], by_http, "HTTPProxy"
    )
    yield Case(
        "HTTP proxy: tunnel to what speaks no TLS",
        _tunnels_to_no_tls,
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
        "HTTP proxy: nobody there",
        fine,
        [plain, encrypted],
        by_http | {"proxy_url": NOWHERE},
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
    socks = partial(_is_socks, then=fine)
    yield Case("SOCKS5 proxy", socks, [plain, plain], by_socks, "SOCKSProxy")
    yield Case("SOCKS5 proxy: ended", _ends_at_once, [plain], by_socks, "SOCKSProxy")
    yield Case(
        "SOCKS5 proxy to an address",
        socks,
        [Call(target="http://192.0.2.1/")],
        by_socks,
        "SOCKSProxy",
    )
    yield Case(
        "SOCKS5 proxy with TLS",
        partial(_is_socks, then=partial(_is_tls_origin, server_tls, fine)),
        [encrypted],
        by_socks,
        "SOCKSProxy",
    )
    known = partial(_is_socks, method=b"\x02", then=fine)
    yield Case("SOCKS5 proxy with a password", known, [plain], by_socks | auth, "SOCKSProxy")
    refused = partial(_is_socks, reply=b"\x05")
    yield Case("SOCKS5 proxy: refused", refused, [plain], by_socks, "SOCKSProxy")
    unknown = partial(_is_socks, method=b"\x02", reply=b"\x01")
    yield Case("SOCKS5 proxy: wrong password", unknown, [plain], by_socks | auth, "SOCKSProxy")
    nothing = partial(_is_socks, method=b"\xff")
    yield Case("SOCKS5 proxy: no way to log in", nothing, [plain], by_socks, "SOCKSProxy")
    yield Case(
        "SOCKS5 proxy: nobody there",
        socks,
        [plain],
        by_socks | {"proxy_url": "socks5://127.0.0.1:1"},
        "SOCKSProxy",
    )
