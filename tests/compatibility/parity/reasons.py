"""The reason of each difference from 2.16.2. A difference without a reason fails the check.

`docs/compatibility.md` shows the titles and explanations.
"""

from __future__ import annotations

from .compare import Reason

_EVENTS = "Order of trace events|Payloads of trace events|Log records"
_WIRE = "Requests on the wire|Pool after the calls"
_ALL = f"Results|Messages of errors|{_WIRE}|{_EVENTS}"

REASONS = (
    # The public surface
    Reason(
        "Methods of backends and pools return concrete types instead of interfaces",
        "The concrete types implement the interfaces that 2.16.2 returns, so type checkers know more.",
        "Types",
        item=r"\.(connect_tcp|connect_unix_socket|create_connection): result$",
    ),
    Reason(
        "`Response.aiter_stream()` returns an iterator that is not a generator",
        "The event loop must finalise an async generator that is not exhausted. `async for` works with both.",
        "Types",
        item=r"\.aiter_stream: result$",
    ),
    Reason(
        "The types of `extensions` name the known keys",
        "They are `TypedDict`s with the types of their values, or any mapping of text, so that type checkers find a "
        "misspelt key. What 2.16.2 accepts is accepted.",
        "Types",
        item=r"(^|\.)(request|stream|__init__): extensions$",
    ),
    Reason(
        "Pools, connections and `default_ssl_context()` have further options",
        "They are keyword-only parameters after those of 2.16.2. Without them nothing changes.",
        "Signatures",
        ours=r"\*, (resend|resolver|system_store)=",
    ),
    Reason(
        "Some names of private modules are missing",
        "A name is left out if this release has no such object, or if patching it would have no effect. Its import "
        "or patch then fails, and the failure is visible.",
        "Private modules",
        published="there",
    ),
    Reason(
        "A wait for a connection of the pool is a trace event",
        "`connection_pool.wait_for_connection` tells a wait from a slow server. Only a request that waits reports it.",
        "Order of trace events|Payloads of trace events",
        item=r"a full pool: call 2",
    ),
    # URLs
    Reason(
        "IPv6 addresses are written in brackets",
        "RFC 3986, section 3.2.2, requires the brackets. Without them the port is ambiguous.",
        "Representations|Use and misuse|Requests on the wire",
        published=r"//::1",
        ours=r"//\[::1\]",
    ),
    Reason(
        "The parameters of a URL's path are kept",
        "2.16.2 removes `;b` from `/a;b` and requests another resource. RFC 3986, section 3.3, makes the parameters "
        "a part of the path.",
        f"Attributes|Representations|{_ALL}",
        item=r"/a;b",
    ),
    Reason(
        "A `?` without a query is kept",
        "An empty query is a part of the URL (RFC 3986, section 6.2.3), and a server may distinguish `/a?` from `/a`.",
        "Use and misuse|Requests on the wire",
        item=r"\?'",
        ours=r"/\?",
    ),
    Reason(
        "Nothing is stripped from a URL",
        "2.16.2 removes line breaks and tabs from a URL, and leading spaces, so it requests another URL than the "
        "caller passed or validated. This release refuses such a URL when it is parsed or sent.",
        f"Use and misuse|{_ALL}",
        item=r"\\t|\\r\\n|URL\(' ",
    ),
    Reason(
        "A host that is invalid or empty is refused",
        "2.16.2 passes any host to the resolver, and the system resolves `127.0.0.1\\0.allowed.example` as "
        "`127.0.0.1`. Of `http://a\\@b/` 2.16.2 drops the text before the `@`, which is the host for browsers. "
        "RFC 3986, section 3.2.2, defines the characters of a host, and RFC 9110, section 4.2.1, forbids an empty one.",
        f"Use and misuse|{_ALL}",
        item=r"^URL\('http://|a URL without a host",
        ours=r"ValueError|LocalProtocolError|^None$|^$",
    ),
    Reason(
        "The certificates in `SSL_CERT_FILE` and `SSL_CERT_DIR` are not checked for strict conformance",
        "On Python 3.13 and later 2.16.2 sets `VERIFY_X509_STRICT` for these authorities, but not for the system's. "
        "Many private authorities have certificates that do not conform to RFC 5280; curl, Go and OpenSSL accept them.",
        "Default TLS context",
        item=r"verify_flags with SSL_CERT_(FILE|DIR)$",
        since=(3, 13),
    ),
    # Refused requests, responses and options
    Reason(
        "Content of a wrong type, and async content in the sync API or vice versa, is refused before sending",
        "2.16.2 detects it after it has sent the head, or not at all, and raises an exception that does not name the "
        "cause.",
        f"Use and misuse|{_ALL}",
        item=r"content (that is|of text)|sync content|content=('|1|anext|iterator\(\[('|1|None))",
    ),
    Reason(
        "A body of bytes that differs from its Content-Length is refused before the request is sent",
        "The connection can be used again, and the server does not receive an incomplete request.",
        _ALL,
        item=r"body (longer|shorter) than|^request\(.*'Content-Length'",
    ),
    Reason(
        "A request with both Content-Length and Transfer-Encoding is refused",
        "Servers that disagree on which of them is valid can take its body for another request (RFC 9112, section "
        "6.1).",
        _ALL,
        item=r"both Content-Length and",
    ),
    Reason(
        "Over TLS, a body that ends with the connection needs a close_notify",
        "Without a close_notify an attacker may have truncated the body, so it is incomplete (RFC 9112, sections 8 and "
        "9.8). 2.16.2 returns it as complete. An SSL context with `ssl.OP_IGNORE_UNEXPECTED_EOF` restores that.",
        _ALL,
        item=r"TLS: a body that ends with the connection, without",
    ),
    Reason(
        "More than 100 interim responses raise an error",
        "2.16.2 reads interim responses without a limit, so a server can keep a request busy without end.",
        _ALL,
        item=r"endless interim",
    ),
    Reason(
        "Invalid options raise an error when the pool is created",
        "2.16.2 accepts them. Then a pool without connections waits without end, and a pool without protocols uses "
        "HTTP/1.1.",
        "Use and misuse",
        item=r"^ConnectionPool\((http1=False|max_connections=-1|retries=-1|proxy=Proxy\('ftp)",
        ours=r"^\w+: ",
    ),
    Reason(
        "A string in place of headers is refused",
        "A string is a sequence of strings, none of which is a pair of name and value.",
        "Use and misuse",
        item=r"headers='ab'",
    ),
    Reason(
        "An invalid header is refused on HTTP/2, too",
        "2.16.2 sends it, line breaks included, and the server closes the connection with all its requests (RFC 9113, "
        "section 8.2.1).",
        f"{_ALL}|Errors of the server",
        item=r"HTTP/2: an invalid header",
    ),
    # Connections
    Reason(
        "A connection is kept if a request is refused before a byte was sent",
        "The state of the connection has not changed.",
        _ALL,
        item=r"request header|method with a space|target with a space",
    ),
    Reason(
        "A connection is kept if a response is closed unread, but has arrived completely",
        "The remaining body is in memory, and a new connection would cost more.",
        _ALL,
        item=r"closed unread|a full pool$|network stream",
        ours="1 idle|close.complete|^http11.send_request_headers|^GET.*GET|^None$",
    ),
    Reason(
        "Responses in some tolerated forms are read, and their connection is not used again",
        "Servers send an empty line before the status line, a line of spaces before the first field, a space before a "
        "colon, `chunked` twice, or `identity`, and RFC 9112 (sections 2.2, 5.1 and 6.3) tells how to read them. "
        "2.16.2 refuses such responses.",
        _ALL,
        item=r"a tolerated form",
    ),
    Reason(
        "A connection is not used again after a 204 or 304 that declares a body",
        "The server may send the declared body all the same, and 2.16.2 takes it for the head of the next response.",
        _ALL,
        item=r"HTTP/1\.1 (204|304) .*(Content-Length: [1-9]|[Cc]hunked)",
    ),
    Reason(
        "Bytes beyond the end of a response are never part of the next one",
        "2.16.2 takes them for the head of the next response, and fails or returns a forged response (response "
        "splitting). This release does not use such a connection again.",
        _ALL,
        item=r"^(HEAD|GET) b'|^request\('HEAD'",
        published=r"RemoteProtocolError|illegal status line|headers \[\], body |HTTP/1.1.*HTTP/1.1|idle",
    ),
    Reason(
        "A closed connection leaves the pool at once",
        "2.16.2 counts it as idle until the next request.",
        f"{_WIRE}|Log records|Use and misuse",
        item=r"HTTP/2: an end|^get\(|TLS: a body that ends",
        published=r"1 idle|close.complete",
    ),
    Reason(
        "HTTP/2 requests continue after GOAWAY",
        "The requests that the server has accepted are completed, and the others are sent again on another connection "
        "(RFC 9113, section 6.8). 2.16.2 fails all of them.",
        _ALL,
        item=r"HTTP/2: GOAWAY",
    ),
    # Proxies
    Reason(
        "An unencrypted WebSocket through a proxy is not encrypted",
        "2.16.2 starts a TLS handshake with an origin of the scheme `ws`, which does not expect it.",
        _ALL,
        item=r"HTTP proxy: a WebSocket in clear text",
    ),
    Reason(
        "A SOCKS proxy that closes during the handshake raises `RemoteProtocolError`",
        "2.16.2 raises an exception of socksio, which is not a part of the public interface.",
        f"Results|Messages of errors|{_EVENTS}",
        item=r"SOCKS5 proxy: ended",
        ours=r"RemoteProtocolError",
    ),
    Reason(
        "A connection that could not be established through a proxy is closed and leaves the pool",
        "2.16.2 leaves its socket open, or counts it as active without end.",
        f"{_WIRE}|Errors of the server|Log records",
        item=r"SOCKS5 proxy: |HTTP proxy: tunnel (to an origin without TLS|refused)",
    ),
    Reason(
        "The close of a connection through a proxy is logged",
        "2.16.2 logs the close of direct connections only.",
        "Log records",
        item=r"^HTTP proxy: tunnel|^SOCKS5 proxy",
        ours=r"close.complete",
    ),
    Reason(
        "The trace event of the connection to a SOCKS proxy has the same payload as other connections",
        "2.16.2 leaves out the local address, the timeout and the socket options.",
        "Payloads of trace events",
        item=r"^socks.connect_tcp.started",
    ),
    Reason(
        "Trace events and logs do not contain the password for a SOCKS proxy",
        "Logs are stored and read by others.",
        "Payloads of trace events",
        item=r"^socks.setup_socks5_connection.started",
        ours=r"\[secure\]",
    ),
    # Responses
    Reason(
        "A response contains its trailer fields",
        '`extensions["trailing_headers"]` is new. It is absent if there are no trailer fields.',
        "Results",
        ours=r"'trailing_headers'",
    ),
    # Trace events, network streams and messages
    Reason(
        "The trace event of the server's HTTP/2 settings has a payload type of its own",
        "2.16.2 passes the event object of h2, which is a detail of the codec. The changed settings are in the "
        "attribute `changed`.",
        "Payloads of trace events",
        item=r"^http2.receive_remote_settings.complete",
    ),
    Reason(
        'On threads `get_extra_info("ssl_object")` is an `ssl.SSLObject`, as on event loops',
        "2.16.2 returns the `ssl.SSLSocket`. Both have the same methods about the TLS session.",
        "Results",
        item=r"network stream of TLS",
    ),
    Reason(
        "The messages of errors contain more",
        "The exception types are the same. The text in parentheses names the origin, and the proxy or unix socket on "
        "the route.",
        "Messages of errors|Use and misuse",
        published=r"Error: |Timeout: ",
        ours=r"Error: |Timeout: ",
    ),
)
