"""Handshakes with SOCKS proxies: the generators without I/O, and the function that sends and receives their bytes."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpcore2_core._connect.http_proxy import merged
from httpcore2_core._connect.socks import Handshake, _ipv4, run_handshake, socks4, socks5
from httpcore2_core._exceptions import ProxyError, RemoteProtocolError
from httpcore2_core._http.timeouts import Timeouts
from httpcore2_core._net.coroutines import run_blocking

from ..fake_runtime import FakeStream

AUTH = (b"user", b"secret")
NAME = b"\x05\x01\x00\x03\x0bexample.com\x01\xbb"
BOUND = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34"

# The handshake, the replies of the proxy in their order, and the bytes that it is sent in turn.
HANDSHAKES: dict[str, tuple[Callable[[], Handshake], list[bytes], list[bytes]]] = {
    "socks5": (
        lambda: socks5(b"example.com", 443, None),
        [b"\x05\x00", BOUND],
        [b"\x05\x01\x00", NAME],
    ),
    "socks5 with credentials": (
        lambda: socks5(b"example.com", 443, AUTH),
        [b"\x05\x02", b"\x01\x00", BOUND],
        [b"\x05\x01\x02", b"\x01\x04user\x06secret", NAME],
    ),
    "socks5 to an IPv4 address": (
        lambda: socks5(b"192.0.2.1", 80, None),
        [b"\x05\x00", BOUND],
        [b"\x05\x01\x00", b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50"],
    ),
    "socks5 to an IPv6 address, bound to one": (
        lambda: socks5(b"2001:db8::1", 80, None),
        [b"\x05\x00", b"\x05\x00\x00\x04" + bytes(16) + b"\x12\x34"],
        [
            b"\x05\x01\x00",
            b"\x05\x01\x00\x04" + ipaddress.ip_address("2001:db8::1").packed + b"\x00\x50",
        ],
    ),
    "socks5, bound to a name": (
        lambda: socks5(b"example.com", 443, None),
        [b"\x05\x00", b"\x05\x00\x00\x03\x04here\x12\x34"],
        [b"\x05\x01\x00", NAME],
    ),
    "socks5, bound to an empty name": (
        lambda: socks5(b"example.com", 443, None),
        [b"\x05\x00", b"\x05\x00\x00\x03\x00\x12\x34"],
        [b"\x05\x01\x00", NAME],
    ),
    "socks4": (
        lambda: socks4(b"example.com", bytes((192, 0, 2, 1)), 443, b""),
        [b"\x00\x5a\x12\x34\x00\x00\x00\x00"],
        [b"\x04\x01\x01\xbb\xc0\x00\x02\x01\x00"],
    ),
    "socks4a with a user id": (
        lambda: socks4(b"example.com", None, 443, b"user"),
        [b"\x00\x5a\x12\x34\x00\x00\x00\x00"],
        [b"\x04\x01\x01\xbb\x00\x00\x00\x01user\x00example.com\x00"],
    ),
}
each_handshake = pytest.mark.parametrize(
    ("make", "replies", "sent"), HANDSHAKES.values(), ids=HANDSHAKES
)


def run(handshake: Handshake, *chunks: bytes) -> tuple[bytes, list[bytes]]:
    """Run a handshake over a stream that gives `chunks`; return the bytes after its end, and those written."""
    stream = FakeStream(*chunks)
    leading_data = run_blocking(run_handshake(handshake, stream, Timeouts()))
    assert not stream.pieces, "it read less than there was"
    return leading_data, [call[1] for call in stream.calls if call[0] == "write"]


@each_handshake
def test_replies_may_come_each_as_a_whole(
    make: Callable[[], Handshake], replies: list[bytes], sent: list[bytes]
) -> None:
    assert run(make(), *replies) == (b"", sent)


@each_handshake
def test_replies_may_come_byte_by_byte(
    make: Callable[[], Handshake], replies: list[bytes], sent: list[bytes]
) -> None:
    every_byte = b"".join(replies)
    assert run(make(), *(bytes([byte]) for byte in every_byte)) == (b"", sent)


@each_handshake
def test_what_comes_beyond_the_last_reply_is_the_connections(
    make: Callable[[], Handshake], replies: list[bytes], sent: list[bytes]
) -> None:
    assert run(make(), *replies[:-1], replies[-1] + b"hello") == (b"hello", sent)
    assert run(make(), b"".join(replies) + b"hello") == (b"hello", sent)


@each_handshake
def test_a_proxy_that_closes_at_any_byte_is_at_fault(
    make: Callable[[], Handshake], replies: list[bytes], sent: list[bytes]
) -> None:
    every_byte = b"".join(replies)
    for length in range(len(every_byte)):
        chunks = [bytes([byte]) for byte in every_byte[:length]]
        with pytest.raises(RemoteProtocolError, match=r"closed the connection after \d+ of the"):
            run(make(), *chunks, b"")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (1, "General SOCKS server failure"),
        (2, "Connection not allowed by ruleset"),
        (3, "Network unreachable"),
        (4, "Host unreachable"),
        (5, "Connection refused"),
        (6, "TTL expired"),
        (7, "Command not supported"),
        (8, "Address type not supported"),
        (9, "unknown reply 9"),
    ],
)
def test_socks5_refuses_in_words_at_the_second_byte(reply: int, words: str) -> None:
    with pytest.raises(ProxyError) as caught:
        run(socks5(b"h", 80, None), b"\x05\x00", b"\x05" + bytes([reply]))
    assert str(caught.value) == f"Proxy Server could not connect: {words}."


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (91, "Request rejected or failed"),
        (92, "Request rejected since the proxy can't connect to identd on this machine"),
        (93, "Request rejected since identd on this machine reports another user id"),
        (0, "unknown reply 0"),
    ],
)
def test_socks4_refuses_in_words(reply: int, words: str) -> None:
    with pytest.raises(ProxyError) as caught:
        run(socks4(b"h", None, 80, b""), b"\x00" + bytes([reply]) + bytes(6))
    assert str(caught.value) == f"Proxy Server could not connect: {words}."


@pytest.mark.parametrize(
    ("auth", "method", "got"),
    [
        (None, 2, "USERNAME/PASSWORD"),
        (None, 255, "NO ACCEPTABLE METHODS"),
        (None, 1, "GSSAPI"),
        (None, 128, "method 128"),
        (AUTH, 0, "NO AUTHENTICATION REQUIRED"),
    ],
)
def test_a_method_that_was_not_offered_is_refused(
    auth: tuple[bytes, bytes] | None, method: int, got: str
) -> None:
    wanted = "NO AUTHENTICATION REQUIRED" if auth is None else "USERNAME/PASSWORD"
    with pytest.raises(ProxyError) as caught:
        run(socks5(b"h", 80, auth), b"\x05" + bytes([method]))
    assert str(caught.value) == f"Requested {wanted} from proxy server, but got {got}."


def test_credentials_that_the_proxy_does_not_take_are_an_error() -> None:
    with pytest.raises(ProxyError, match="Invalid username/password"):
        run(socks5(b"h", 80, AUTH), b"\x05\x02", b"\x01\x01")


@pytest.mark.parametrize(
    ("make", "replies"),
    [
        (lambda: socks5(b"h", 80, None), [b"\x04\x00"]),
        (lambda: socks5(b"h", 80, None), [b"HTTP/1.1 400 Bad Request\r\n\r\n"]),
        (lambda: socks5(b"h", 80, AUTH), [b"\x05\x02", b"\x05\x00"]),
        (lambda: socks5(b"h", 80, None), [b"\x05\x00", b"\x04\x00"]),
        (lambda: socks4(b"h", None, 80, b""), [b"\x04\x5a" + bytes(6)]),
        (lambda: socks4(b"h", None, 80, b""), [b"HTTP/1.1 400 Bad Request\r\n\r\n"]),
    ],
)
def test_a_reply_of_another_version_is_a_protocol_error(
    make: Callable[[], Handshake], replies: list[bytes]
) -> None:
    with pytest.raises(RemoteProtocolError, match="is it a SOCKS"):
        run(make(), *replies)


@pytest.mark.parametrize("kind", [0, 2, 5, 255])
def test_a_reply_with_an_unknown_type_of_address_is_a_protocol_error(kind: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"the unknown type {kind}"):
        run(socks5(b"h", 80, None), b"\x05\x00", bytes([5, 0, 0, kind, 0]))


@given(st.data())
def test_however_replies_are_cut_the_handshake_is_the_same(data: st.DataObject) -> None:
    make, replies, sent = data.draw(st.sampled_from(list(HANDSHAKES.values())))
    leading_data = data.draw(st.binary(max_size=20))
    whole = b"".join(replies) + leading_data
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=8)))
    chunks = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    stream = FakeStream(*chunks)
    found = run_blocking(run_handshake(make(), stream, Timeouts()))
    # Bytes that it did not ask for are left in the stream.
    assert found + b"".join(stream.pieces) == leading_data
    assert [call[1] for call in stream.calls if call[0] == "write"] == sent


@given(st.lists(st.binary(min_size=1, max_size=12), max_size=6), st.sampled_from([4, 5]))
def test_garbage_is_refused_by_an_error_of_ours(chunks: list[bytes], version: int) -> None:
    handshake = socks5(b"h", 80, AUTH) if version == 5 else socks4(b"h", None, 80, b"")
    try:
        run_blocking(run_handshake(handshake, FakeStream(*chunks, b""), Timeouts()))
    except (ProxyError, RemoteProtocolError):
        pass
    else:
        assert b"".join(chunks)[:2] in (b"\x05\x02", b"\x00\x5a")


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_told_from_a_name(address: ipaddress.IPv4Address) -> None:
    assert _ipv4(str(address).encode()) == address.packed


@pytest.mark.parametrize(
    "host", [b"1.2.3", b"1.2.3.4.5", b"1.2.3.256", b"1.2.3.x", b"1.2.3.", b"a.b.c.d", b"1.2.3.0004"]
)
def test_a_name_is_no_ipv4_address(host: bytes) -> None:
    assert _ipv4(host) is None


def test_fields_of_the_same_name_are_overridden() -> None:
    ours = [(b"Accept", b"*/*"), (b"X", b"1"), (b"x", b"2")]
    assert merged(ours, [(b"X", b"3")]) == [(b"Accept", b"*/*"), (b"X", b"3")]
