"""Why this release differs from 2.16.2, where it does. Whatever has no reason here is a fault."""

from __future__ import annotations

from .compare import Reason

_PROGRESS = "Order of trace events|Payloads of trace events|Log records"
_WIRE = "Requests on the wire|The pool afterwards"
_ALL = f"Results|Messages of errors|{_WIRE}|{_PROGRESS}"

REASONS = (
    # What there is
    Reason(
        "Own types in place of interfaces, as results",
        "They are kinds of what was returned before, and narrower, which serves type checkers.",
        "Types",
        item=r"\.(connect_tcp|connect_unix_socket|create_connection|aiter_stream): result$",
    ),
    Reason(
        "Parts of private modules are missing",
        "What this release does not have, or does in another way, has no name there, so that an import or a patch "
        "fails instead of having no effect.",
        "Private modules",
        published="there",
    ),
    # URLs
    Reason(
        "IPv6 addresses are in brackets",
        "So RFC 3986, section 3.2.2, has it. Without them the port can't be told from the address.",
        "Representations|Use and misuse|Requests on the wire",
        published=r"//::1",
        ours=r"//\[::1\]",
    ),
    Reason(
        "The parameters of a URL's path are kept",
        "2.16.2 cuts `;b` out of `/a;b`, and asks for something else (RFC 3986, section 3.3).",
        f"Attributes|Representations|{_ALL}",
        item=r"/a;b",
    ),
    Reason(
        "A `?` without a query is kept",
        "It is part of the URL (RFC 3986, section 6.2.3), and servers may tell `/a?` from `/a`.",
        "Use and misuse|Requests on the wire",
        item=r"\?'",
        ours=r"/\?",
    ),
    Reason(
        "Nothing is stripped from a URL",
        "2.16.2 takes line breaks and tabs out of it, and blanks from its start: what is requested is not what was "
        "given, or was checked. Here it is refused, when it is parsed or sent.",
        f"Use and misuse|{_ALL}",
        item=r"\\t|\\r\\n|URL\(' ",
    ),
    Reason(
        "A host that no URL may have is refused, and an empty one",
        "2.16.2 looks it up: of `127.0.0.1\\0.allowed.example` the system reads `127.0.0.1`. What a host may hold, "
        "RFC 3986, section 3.2.2, says, and that it is not empty RFC 9110, section 4.2.1. Of `http://a\\@b/` 2.16.2 "
        "drops what comes before the `@`, where browsers find the host.",
        f"Use and misuse|{_ALL}",
        item=r"^URL\('http://|a URL without a host",
        ours=r"ValueError|LocalProtocolError|^None$|^$",
    ),
    Reason(
        "The form of authorities that `SSL_CERT_FILE` and `SSL_CERT_DIR` name is not checked",
        "On Python 3.13 and later 2.16.2 checks it (`VERIFY_X509_STRICT`) for these alone, not for the system's. "
        "Many a company's own does not pass, and curl, Go and OpenSSL take it.",
        "Default TLS context",
        item=r"verify_flags with SSL_CERT_(FILE|DIR)$",
        since=(3, 13),
    ),
    # What is refused
    Reason(
        "Content of a wrong type, or for the other kind of pool, is refused before anything is sent",
        "2.16.2 finds out when it has sent the head, or not at all, and fails with whatever error comes of it.",
        f"Use and misuse|{_ALL}",
        item=r"content (that is|of pieces|of the other)|content=('|1|anext|iterator\(\[('|1|None))",
    ),
    Reason(
        "A body that is not as long as declared is refused before anything is sent, if it is bytes",
        "The connection stays unharmed, and the server does not get half a request.",
        _ALL,
        item=r"body that is (longer|shorter)|^request\(.*'Content-Length'",
    ),
    Reason(
        "A request with both Content-Length and Transfer-Encoding is refused",
        "Servers that disagree on which of them holds take its body for another request (RFC 9112, section 6.1).",
        _ALL,
        item=r"both Content-Length and",
    ),
    Reason(
        "Over TLS a body that ends with the connection needs a close_notify",
        "Without one anybody on the way can have cut it off, and it is incomplete (RFC 9112, sections 8 and 9.8). "
        "2.16.2 takes it for complete. A context with `ssl.OP_IGNORE_UNEXPECTED_EOF` does so here, too.",
        _ALL,
        item=r"TLS: a body that ends with the connection, without",
    ),
    Reason(
        "More than 100 interim responses are an error",
        "2.16.2 reads them as long as the server likes.",
        _ALL,
        item=r"endless interim",
    ),
    Reason(
        "Options that make no sense are refused when the pool is made",
        "2.16.2 takes them: a pool without connections waits for ever, one without protocols speaks HTTP/1.1.",
        "Use and misuse",
        item=r"^ConnectionPool\((http1=False|max_connections=-1|retries=-1|proxy=Proxy\('ftp)",
        ours=r"^\w+: ",
    ),
    Reason(
        "Headers that are a string are refused",
        "A string is a sequence, of nothing that could be a header.",
        "Use and misuse",
        item=r"headers='ab'",
    ),
    Reason(
        "Over HTTP/2 a header that is not allowed is refused",
        "2.16.2 sends it, line breaks included, and the server drops the connection with all its requests.",
        f"{_ALL}|Complaints of the server",
        item=r"HTTP/2: a header that is not allowed",
    ),
    # Connections
    Reason(
        "A connection outlives a request that was refused before a byte was sent",
        "Nothing stands against it.",
        _ALL,
        item=r"request header|method with a blank|target with a blank",
    ),
    Reason(
        "A response that is closed unread leaves its connection in use, if all of it has come already",
        "To open another one would cost more.",
        _ALL,
        item=r"closed unread|a pool that is busy$|network stream",
        ours="1 idle|close.complete|^http11.send_request_headers|^GET.*GET|^None$",
    ),
    Reason(
        "Responses in some odd forms are read, and their connection is not used again",
        "An empty line before the status line, a line of blanks before the first field, a blank before a colon, "
        "`chunked` twice, `identity`: servers send them, and RFC 9112 tells how to read them. 2.16.2 refuses them.",
        _ALL,
        item=r"an odd form",
    ),
    Reason(
        "A connection is not used again after a 204 or 304 that declares a body",
        "The server may yet send it, and 2.16.2 takes it for the head of the next response.",
        _ALL,
        item=r"HTTP/1\.1 (204|304) .*(Content-Length: [1-9]|[Cc]hunked)",
    ),
    Reason(
        "What a server sends beyond the end of a response is never part of the next one",
        "2.16.2 takes it for the head of the next response, and fails, or returns it as the answer "
        "(response splitting). Here such a connection is not used again.",
        _ALL,
        item=r"^(HEAD|GET) b'|^request\('HEAD'",
        published=r"RemoteProtocolError|illegal status line|headers \[\], body |HTTP/1.1.*HTTP/1.1|idle",
    ),
    Reason(
        "A connection that is closed leaves the pool at once",
        "2.16.2 counts it as idle until the next request.",
        f"{_WIRE}|Log records|Use and misuse",
        item=r"HTTP/2: an end|^get\(|TLS: a body that ends",
        published=r"1 idle|close.complete",
    ),
    Reason(
        "After GOAWAY, HTTP/2 requests go on",
        "What the server has taken on is answered, the rest is sent again on another connection (RFC 9113, section "
        "6.8). 2.16.2 fails all of them.",
        _ALL,
        item=r"HTTP/2: a farewell",
    ),
    # Proxies
    Reason(
        "A WebSocket in clear text goes through a proxy in clear text",
        "2.16.2 begins TLS with an origin that expects none.",
        _ALL,
        item=r"HTTP proxy: a WebSocket in clear text",
    ),
    Reason(
        "A SOCKS proxy that breaks off is a `RemoteProtocolError`",
        "2.16.2 lets the exception of socksio through, which no caller expects.",
        f"Results|Messages of errors|{_PROGRESS}",
        item=r"SOCKS5 proxy: ended",
        ours=r"RemoteProtocolError",
    ),
    Reason(
        "A connection through a proxy that could not be established is closed, and gives its place in the pool back",
        "2.16.2 leaves its socket open, or counts it as active for ever.",
        f"{_WIRE}|Complaints of the server|Log records",
        item=r"SOCKS5 proxy: |HTTP proxy: tunnel (to what|refused)",
    ),
    Reason(
        "That the pool closes a connection is logged for those through proxies, too",
        "It is the same event.",
        "Log records",
        item=r"^HTTP proxy: tunnel|^SOCKS5 proxy",
        ours=r"close.complete",
    ),
    Reason(
        "Listeners are told how a SOCKS proxy is dialled",
        "As they are of every other connection.",
        "Payloads of trace events",
        item=r"^socks.connect_tcp.started",
    ),
    Reason(
        "Listeners, and with them logs, are not told the password for a SOCKS proxy",
        "Logs are read by others.",
        "Payloads of trace events",
        item=r"^socks.setup_socks5_connection.started",
        ours=r"\[secure\]",
    ),
    # Answers
    Reason(
        "The trailer fields are told",
        '`extensions["trailing_headers"]` is new. Without trailer fields it is not there.',
        "Results",
        ours=r"'trailing_headers'",
    ),
    # What is told
    Reason(
        "The server's HTTP/2 settings are told as an event of our own",
        "The event of h2 is a detail of the codec. What has changed is in its `changed`.",
        "Payloads of trace events",
        item=r"^http2.receive_remote_settings.complete",
    ),
    Reason(
        'On threads `get_extra_info("ssl_object")` is an `ssl.SSLObject`, as on event loops',
        "In 2.16.2 it is the `ssl.SSLSocket`. What can be asked about TLS is the same.",
        "Results",
        item=r"network stream of TLS",
    ),
    Reason(
        "Errors say more",
        "Type and occasion are the same. In brackets stands to whom it happened: the origin, and the proxy or unix "
        "socket on the way.",
        "Messages of errors|Use and misuse",
        published=r"Error: |Timeout: ",
        ours=r"Error: |Timeout: ",
    ),
)
