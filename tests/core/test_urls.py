"""URLs and origins: their components, their errors, and the hosts that can be connected to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from httpcore2_core._exceptions import ConnectError, LocalProtocolError
from httpcore2_core._models import Request, include_request_headers
from httpcore2_core._urls import (
    URL,
    Origin,
    check_origin,
    host_header,
    host_to_dial,
    server_name,
)

A = "http://a"
NUMBER: Any = 5


@pytest.mark.parametrize(
    ("url", "parts", "as_bytes"),
    [
        ("http://a", ("http", "a", None, "/"), "http://a/"),
        ("https://www.example.com/", ("https", "www.example.com", None, "/"), None),
        ("http://a:8080/p?q=1&r#f", ("http", "a", 8080, "/p?q=1&r"), "http://a:8080/p?q=1&r"),
        ("https://a:443", ("https", "a", 443, "/"), "https://a:443/"),
        ("http://a:65535/", ("http", "a", 65535, "/"), None),
        ("http://a:0/", ("http", "a", 0, "/"), None),
        ("http://a?q", ("http", "a", None, "/?q"), "http://a/?q"),
        ("http://a/p?", ("http", "a", None, "/p?"), None),
        ("http://a?", ("http", "a", None, "/?"), "http://a/?"),
        ("http://a/p?#f", ("http", "a", None, "/p?"), "http://a/p?"),
        ("http://a/p?q?r#f?g#h", ("http", "a", None, "/p?q?r"), "http://a/p?q?r"),
        ("/p?", ("", "", None, "/p?"), ":///p?"),
        ("http://a/p;x=1;y?q", ("http", "a", None, "/p;x=1;y?q"), None),
        ("http://a/p;x#f", ("http", "a", None, "/p;x"), "http://a/p;x"),
        ("http://a//b/../%20", ("http", "a", None, "//b/../%20"), None),
        ("http://a/b c", ("http", "a", None, "/b c"), None),
        ("HTTP://Ex.COM/P", ("http", "ex.com", None, "/P"), "http://ex.com/P"),
        ("http://A_b/", ("http", "a_b", None, "/"), "http://a_b/"),
        ("http://u:p@a:1/", ("http", "a", 1, "/"), "http://a:1/"),
        ("http://u@v:p@a/", ("http", "a", None, "/"), "http://a/"),
        ("http://u%20:^@a/@b", ("http", "a", None, "/@b"), "http://a/@b"),
        ("http://a?@b/", ("http", "a", None, "/?@b/"), "http://a/?@b/"),
        ("http://a:/", ("http", "a", None, "/"), "http://a/"),
        ("http://a:0080/", ("http", "a", 80, "/"), "http://a:80/"),
        ("http://a:00000000000000000000/", ("http", "a", 0, "/"), "http://a:0/"),
        ("http://name.example./", ("http", "name.example.", None, "/"), None),
        (
            "http://A%2E-_~!$&'()*+,;=/",
            ("http", "a%2E-_~!$&'()*+,;=", None, "/"),
            "http://a%2E-_~!$&'()*+,;=/",
        ),
        ("http://a..b/", ("http", "a..b", None, "/"), None),
        ("http://[::ffff:1.2.3.4]:8/", ("http", "::ffff:1.2.3.4", 8, "/"), None),
        (
            "http://[FE80::1%25Eth0]/",
            ("http", "fe80::1%25Eth0", None, "/"),
            "http://[fe80::1%25Eth0]/",
        ),
        ("http://[fe80::1%eth0]:8/", ("http", "fe80::1%eth0", 8, "/"), None),
        ("http://[::1]/", ("http", "::1", None, "/"), None),
        (
            "http://[2001:DB8::1]:80/x",
            ("http", "2001:db8::1", 80, "/x"),
            "http://[2001:db8::1]:80/x",
        ),
        ("ws://a", ("ws", "a", None, "/"), "ws://a/"),
        ("socks5://a:1080", ("socks5", "a", 1080, "/"), "socks5://a:1080/"),
        ("/p?q", ("", "", None, "/p?q"), ":///p?q"),
        ("mailto:x", ("mailto", "", None, "x"), "mailto://x"),
        ("?q", ("", "", None, "/?q"), ":///?q"),
        ("#f", ("", "", None, "/"), ":///"),
        ("http:", ("http", "", None, "/"), "http:///"),
        ("http:///a", ("http", "", None, "/a"), None),
        ("http:name/a", ("http", "", None, "name/a"), "http://name/a"),
        ("//a/b", ("", "a", None, "/b"), "://a/b"),
        ("1a://x/", ("", "", None, "1a://x/"), "://1a://x/"),
        ("http://a/b\tc", ("http", "a", None, "/b\tc"), None),
        ("/a\r\nb", ("", "", None, "/a\r\nb"), ":///a\r\nb"),
        (" http://a/", ("", "", None, " http://a/"), "://" + " http://a/"),
        ("http://a/b\n#\n", ("http", "a", None, "/b\n"), "http://a/b\n"),
    ],
)
def test_a_url_is_parsed_into_its_components(
    url: str, parts: tuple[str, str, int | None, str], as_bytes: str | None
) -> None:
    scheme, host, port, target = parts
    parsed = URL(url)
    assert parsed.scheme == scheme.encode()
    assert parsed.host == host.encode()
    assert parsed.port == port
    assert parsed.target == target.encode()
    assert bytes(parsed) == (as_bytes or url).encode()
    assert parsed == URL(url.encode()) == URL(scheme=scheme, host=host, port=port, target=target)


def test_given_components_of_a_url_are_not_changed() -> None:
    url = URL(scheme="HTTP", host=b"A", port=1, target="*")
    assert repr(url) == "URL(scheme=b'HTTP', host=b'A', port=1, target=b'*')"
    assert repr(URL()) == "URL(scheme=b'', host=b'', port=None, target=b'')"


@pytest.mark.parametrize(
    ("make", "exception", "message"),
    [
        (lambda: URL("http://a:65536/"), ValueError, "Port out of range 0-65535"),
        (lambda: URL("http://a:99999/;x"), ValueError, "Port out of range 0-65535"),
        (lambda: URL("http://a:123456/"), ValueError, "Port out of range 0-65535"),
        (lambda: URL("http://a:x/"), ValueError, "Port could not be cast to integer"),
        (lambda: URL("http://a:-1/"), ValueError, "Port could not be cast to integer"),
        (lambda: URL("http://a: 1/"), ValueError, "Port could not be cast to integer"),
        (lambda: URL("http://a:1:2/"), ValueError, "Port could not be cast to integer"),
        (lambda: URL("http://a:" + "9" * 5000), ValueError, "Port out of range 0-65535"),
        (lambda: URL("http://[::1/"), ValueError, "Invalid IPv6 URL"),
        (lambda: URL("http://::1/"), ValueError, "Port could not be cast to integer"),
        (lambda: URL("http://[::1]x/"), ValueError, "Invalid IPv6 URL"),
        (lambda: URL("http://a[b]/"), ValueError, "Invalid IPv6 URL"),
        (lambda: URL("http://[[::1]]/"), ValueError, "Invalid IPv6 URL"),
        (lambda: URL("http://[]/"), ValueError, "not an IPv6 address"),
        (lambda: URL("http://[1.2.3.4]/"), ValueError, "not an IPv6 address"),
        (lambda: URL("http://[v1.a]/"), ValueError, "not an IPv6 address"),
        (lambda: URL("http://[a]:80/"), ValueError, "not an IPv6 address"),
        (lambda: URL("http://[v1.a:b]/"), ValueError, "b'v1.a:b' is not a valid host"),
        (lambda: URL("http://é/"), TypeError, "url strings may not include unicode characters"),
        (lambda: URL(b"http://a/\xe9"), TypeError, "url may only include ASCII .* IDNA form"),
        (lambda: URL(NUMBER), TypeError, "url must be bytes or str, but got int"),
        (lambda: URL(host="é"), TypeError, "host strings may not include unicode characters"),
        (lambda: URL(target=NUMBER), TypeError, "target must be bytes or str, but got int"),
        (
            lambda: Request("GET", NUMBER),
            TypeError,
            "url must be a URL, bytes, or str, but got int",
        ),
    ],
)
def test_a_malformed_url_is_refused(
    make: Callable[[], object], exception: type[Exception], message: str
) -> None:
    with pytest.raises(exception, match=message):
        make()


# Each of these replaces "x" in a host, and makes it malformed at every position.
NO_PART_OF_A_HOST = [
    *map(chr, (*range(0x21), 0x7F)),
    *'"<>\\^`{|}',
    "%",
    "%zz",
]


@pytest.mark.parametrize("wrong", NO_PART_OF_A_HOST)
@pytest.mark.parametrize(
    "host", ["x", "xa", "ax", "a.xb", "127.0.0.1x", "127.0.0.1x.allowed.example"]
)
def test_a_malformed_host_is_refused(host: str, wrong: str) -> None:
    host = host.replace("x", wrong)
    with pytest.raises(ValueError, match="is not a valid host"):
        URL(f"http://{host}/")
    with pytest.raises(ValueError, match="is not a valid host"):
        URL(f"http://user@{host}:80/")
    with pytest.raises(LocalProtocolError, match="is not a valid host") as caught:
        check_origin(URL(scheme="http", host=host).origin)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("zone", ["", "25", "%", "25%25", "a/b", "a b", "\0", "25\0", "%00"])
def test_a_malformed_zone_is_refused(zone: str) -> None:
    host = f"fe80::1%{zone}"
    if zone == "25":
        check_origin(
            Origin(b"http", host.encode(), 80)
        )  # written without the "%25", as curl reads it
        return
    with pytest.raises(LocalProtocolError, match="is not a valid host"):
        check_origin(Origin(b"http", host.encode(), 80))


@pytest.mark.parametrize(
    "host",
    [
        b"\xff",
        b"[::1]",
        b"a:b",
        b"a:80",
        b"1::2::3",
        b"::1::",
        b":::",
        b"::1.2.3",
        b"::1.2.3.4:5",
        b"::12345",
        b"::g",
        b"a" * 256,
        b"u@a",
        b"a/b",
        b"a?b",
        b"a#b",
    ],
)
def test_a_host_given_as_a_component_is_checked_before_connecting(host: bytes) -> None:
    origin = URL(scheme="http", host=host).origin
    with pytest.raises(LocalProtocolError, match="is not a valid host"):
        check_origin(origin)
    assert str(origin).startswith("http://")


def test_an_origin_needs_a_host() -> None:
    for url in ("http:///a", "http:name/a", "http:/a", "http://:80/", "http://u@/", "http:\\\\a/"):
        with pytest.raises(LocalProtocolError, match="The request's URL has no host"):
            check_origin(URL(url).origin)


@pytest.mark.parametrize("port", [-1, 65536, 65536 + 80])
def test_a_port_given_as_a_component_is_checked_before_connecting(port: int) -> None:
    with pytest.raises(ConnectError, match=f"Port {port} is out of range 0-65535"):
        check_origin(URL(scheme="http", host="a", port=port).origin)


@pytest.mark.parametrize(
    "url",
    [
        "http://a\\@evil/",
        "http://[::1]@evil/",
        "http://u p@a/",
        "http://\0@a/",
        "http://\r\n@a/",
        "http://u\x7f@a/",
    ],
)
def test_user_information_that_other_parsers_read_as_a_host_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="The user information before the '@'") as caught:
        URL(url)
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "dialled", "in_tls", "field"),
    [
        ("name.example", "name.example", "name.example", b"name.example"),
        ("name.example.", "name.example.", "name.example", b"name.example."),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", b"127.0.0.1"),
        ("a%2Eb", "a%2Eb", "a%2Eb", b"a%2Eb"),
        ("::1", "::1", "::1", b"[::1]"),
        ("fe80::1%25eth0", "fe80::1%eth0", "fe80::1", b"[fe80::1]"),
        ("fe80::1%eth0", "fe80::1%eth0", "fe80::1", b"[fe80::1]"),
        ("fe80::1%2", "fe80::1%2", "fe80::1", b"[fe80::1]"),
        ("fe80::1%25", "fe80::1%25", "fe80::1", b"[fe80::1]"),
        ("fe80::1%2525", "fe80::1%25", "fe80::1", b"[fe80::1]"),
    ],
)
def test_resolver_host_field_and_sni_each_have_their_form_of_a_host(
    host: str, dialled: str, in_tls: str, field: bytes
) -> None:
    check_origin(Origin(b"http", host.encode(), 80))
    assert host_to_dial(host.encode()) == dialled
    assert server_name(host) == server_name(host.encode()) == in_tls
    assert host_header(b"http", host.encode(), None) == field
    assert host_header(b"http", host.encode(), 8080) == field + b":8080"


UNRESERVED = "abcxyzABCXYZ0189-._~"
SUB_DELIMITERS = "!$&'()*+,;="
PERCENT = st.sampled_from(["%00", "%2f", "%2F", "%40", "%5B", "%C3%BC"])


def text(alphabet: str, min_size: int = 0) -> st.SearchStrategy[str]:
    parts = st.one_of(st.sampled_from(alphabet), PERCENT)
    return st.lists(parts, min_size=min_size, max_size=12).map("".join)


PATH = UNRESERVED + SUB_DELIMITERS + ":@/"
HOSTS = st.one_of(
    text(UNRESERVED + SUB_DELIMITERS, min_size=1),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)


@st.composite
def legal_urls(draw: st.DrawFn) -> str:
    """Absolute URLs by the grammar of RFC 3986."""
    scheme = draw(st.sampled_from(["http", "https", "HTTP", "ws", "WSS", "socks5", "a+b-c.1"]))
    user = draw(st.one_of(st.just(""), text(UNRESERVED + SUB_DELIMITERS + ":").map("{}@".format)))
    port = draw(st.one_of(st.just(""), st.integers(0, 65535).map(":{}".format), st.just(":")))
    path = draw(st.one_of(st.just(""), text(PATH).map("/{}".format)))
    query = draw(st.one_of(st.just(""), text(PATH + "?", min_size=1).map("?{}".format)))
    fragment = draw(st.one_of(st.just(""), text(PATH + "?").map("#{}".format)))
    return f"{scheme}://{user}{draw(HOSTS)}{port}{path}{query}{fragment}"


@given(legal_urls())
def test_a_legal_url_is_split_as_the_standard_library_does(url: str) -> None:
    parsed, parts = URL(url), urlsplit(url)
    assert parsed.scheme.decode() == parts.scheme
    assert parsed.host.decode() == parts.hostname
    assert parsed.port == parts.port
    query = f"?{parts.query}" if parts.query else ""
    assert parsed.target.decode() == (parts.path or "/") + query
    check_origin(Origin(b"http", parsed.host, 80))


@given(st.text("aB0.-:/?#[]@%\\!25 \t\n\0", max_size=12).map("http://{}".format))
@example("http://a\\@b/")
@example("http://[::1]@b/")
@example("http://[::a%25]/")
def test_no_other_url_parser_finds_another_host(url: str) -> None:
    try:
        parsed = URL(url)
    except ValueError:
        return
    assert parsed.host.decode() == (urlsplit(url).hostname or "")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        (A, "http://a:80"),
        ("https://a", "https://a:443"),
        ("ws://a", "ws://a:80"),
        ("wss://a", "wss://a:443"),
        ("socks5://a", "socks5://a:1080"),
        ("socks5h://a", "socks5h://a:1080"),
        ("https://a:1/x", "https://a:1"),
        ("http://[::1]/", "http://[::1]:80"),
    ],
)
def test_an_origin_has_the_default_port_of_its_scheme(url: str, origin: str) -> None:
    assert str(URL(url).origin) == origin


@pytest.mark.parametrize("url", ["ftp://a", "/p"])
def test_an_unknown_scheme_has_no_default_port(url: str) -> None:
    with pytest.raises(KeyError):
        _ = URL(url).origin


def test_urls_are_equal_if_all_their_components_are() -> None:
    url = URL("http://a:1/p")
    assert url == URL("http://a:1/p")
    for other in ("https://a:1/p", "http://b:1/p", "http://a:2/p", "http://a:1/q"):
        assert url != URL(other)
    assert url != "http://a:1/p"


def test_origins_are_equal_if_all_their_components_are() -> None:
    origin = Origin(b"http", b"a", 80)
    assert origin == URL(A).origin
    for other in ((b"https", b"a", 80), (b"http", b"b", 80), (b"http", b"a", 81)):
        assert origin != Origin(*other)
    assert origin != "http://a:80"


@pytest.mark.parametrize("thing", [URL(A), Origin(b"http", b"a", 80)])
def test_mutable_models_are_not_hashable(thing: object) -> None:
    with pytest.raises(TypeError, match="unhashable type"):
        hash(thing)


@pytest.mark.parametrize(
    ("url", "header"),
    [
        (A, b"a"),
        ("http://a:80", b"a"),
        ("https://a:443", b"a"),
        ("http://a:443", b"a:443"),
        ("http://[::1]", b"[::1]"),
        ("http://[::1]:81", b"[::1]:81"),
        ("ftp://a:21", b"a:21"),
    ],
)
def test_the_host_field_leaves_out_a_default_port(url: str, header: bytes) -> None:
    parsed = URL(url)
    assert host_header(parsed.scheme, parsed.host, parsed.port) == header
    assert include_request_headers([], url=URL(url), content=None) == [(b"Host", header)]
