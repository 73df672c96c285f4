"""Our HTTP/1.1 codec against h11, over generated exchanges, and against itself, however the bytes are cut.

What the codec accepts, h11 accepts, with the same bytes sent and the same head, body, trailers and
reuse of the connection; and what h11 refuses, the codec refuses, with our own error. It is
stricter in these ways:

- a request with both Content-Length and Transfer-Encoding is refused (RFC 9112, section 6.2);
- after a response with both, the connection is not used again (RFC 9112, section 6.3), nor is it
  after a 204 or 304 that declares a body;
- what can never become a response is refused at once, not when its line or head is complete;
- a head or trailer section, an interim head too, has at most `HEAD_LIMIT` bytes before its blank line, even if
  it came at once;
- there are at most `INTERIM_LIMIT` interim responses; a chunk's size line has at most `LINE_LIMIT` bytes;
  extensions and trailers may outweigh the data by so much only.

It is laxer where RFC 9112 says how to read forms that some servers send (`in_the_form_of_h11`). After all of
these but the last the connection is not used again:

- an empty line before a status line;
- lines of blanks between the status line and the first field;
- blanks between a field's name and the colon;
- `chunked` more than once in Transfer-Encoding, `identity` before it or alone;
- blanks before the semicolon of a chunk extension, which the grammar has (section 7.1.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from httpcore2_core._exceptions import LocalProtocolError, RemoteProtocolError
from httpcore2_core._http11.codec import HTTP11Codec
from httpcore2_core._http11.heads import HEAD_LIMIT
from httpcore2_core._http11.states import ResponseState

Headers = list[tuple[bytes, bytes]]

HOST = (b"Host", b"example.com")

brief = settings(max_examples=150, deadline=None)


class Request(NamedTuple):
    method: bytes
    target: bytes
    headers: Headers
    body: bytes = b""


class Result(Enum):
    REFUSED = "not HTTP"
    INCOMPLETE = "more bytes are needed"
    COMPLETE = "a whole response"
    SWITCHED = "no HTTP any more"


class Outcome(NamedTuple):
    result: Result
    head: tuple[bytes, int, bytes, Headers] | None = None
    body: bytes = b""
    trailers: Sequence[tuple[bytes, bytes]] = ()
    left: bytes = b""
    is_reusable: bool = False


REFUSED = Outcome(Result.REFUSED)


# Both sides


def sent_by_h11(request: Request) -> tuple[h11.Connection, bytes]:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
    method, target, headers, body = request
    sent = connection.send(h11.Request(method=method, target=target, headers=headers))
    if body:
        sent += connection.send(h11.Data(data=body))
    sent += connection.send(h11.EndOfMessage())
    return connection, sent


def sent_by_us(request: Request, codec: HTTP11Codec | None = None) -> tuple[HTTP11Codec, bytes]:
    codec = codec or HTTP11Codec()
    sent = codec.start_request(request.method, request.target, request.headers, None)
    return codec, sent + codec.send_data(request.body) + codec.end_request()


def read_by_h11(request: Request, segments: Iterable[bytes]) -> Outcome:
    connection, _ = sent_by_h11(request)
    result = Result.INCOMPLETE
    head = None
    body = b""
    trailers: Headers = []
    for segment in segments:
        connection.receive_data(segment)
        while result is Result.INCOMPLETE:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError:
                return REFUSED
            if event is h11.NEED_DATA:
                break
            if isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                trailers = list(event.headers.raw_items())
                result = Result.COMPLETE
            else:
                assert isinstance(event, h11.Response | h11.InformationalResponse)
                if event.status_code >= 200 or event.status_code == 101:
                    version = b"HTTP/" + event.http_version
                    reason = bytes(event.reason)
                    head = version, event.status_code, reason, list(event.headers.raw_items())
                if connection.their_state is h11.SWITCHED_PROTOCOL:
                    result = Result.SWITCHED
    left, ended = connection.trailing_data
    if result is Result.INCOMPLETE:
        left = b""
    return Outcome(
        result,
        head,
        body,
        trailers,
        left,
        connection.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}
        and not left
        and not ended,
    )


def read_by_us(
    request: Request,
    segments: Iterable[bytes],
    codec: HTTP11Codec | None = None,
    *,
    takes_remaining: bool = False,
) -> Outcome:
    codec, _ = sent_by_us(request, codec)
    result = Result.INCOMPLETE
    head = None
    body = b""
    for segment in segments:
        codec.receive(segment)
        try:
            if head is None:
                head = codec.take_head()
                if codec.response_state is ResponseState.SWITCHED:
                    result = Result.SWITCHED
            while head is not None and result is Result.INCOMPLETE:
                remaining = codec.take_remaining() if takes_remaining else None
                if remaining is not None:
                    assert codec.is_reusable
                    body += remaining
                    result = Result.COMPLETE
                    break
                data = codec.take_chunk()
                if data is None:
                    break
                body += data
                if not data:
                    assert codec.response_state is ResponseState.DONE
                    result = Result.COMPLETE
        except RemoteProtocolError:
            return REFUSED
    left = b"" if result is Result.INCOMPLETE else codec.leading_data
    return Outcome(result, head, body, codec.trailers, left, codec.is_reusable)


class Form(NamedTuple):
    """A response in the form that h11 takes."""

    heads: bytes
    body: bytes = b""
    is_odd: bool = False
    """Whether it came in another form, so that the connection is not used again."""
    hides_length: bool = False
    """Whether its Content-Length, which must be right, says nothing."""


def in_the_form_of_h11(data: bytes) -> Form:
    """Rewrite what the codec takes, and h11 does not."""
    before = b""
    is_odd = False
    while True:
        for empty in (b"\n", b"\r\n"):
            if data.startswith(empty):
                is_odd = True
                data = data[len(empty) :]
                break
        end = re.search(rb"\n\r?\n", data)
        if end is None:
            return Form(before + data.removeprefix(b"\r" if data == b"\r" else b""))
        status_line, *lines = data[: end.end()].split(b"\n")
        data = data[end.end() :]
        while re.fullmatch(rb"[ \t]+\r?", lines[0]):
            is_odd = True
            del lines[0]
        codings: list[bytes] = []
        for number, line in enumerate(lines):
            name, colon, value = line.partition(b":")
            if re.fullmatch(rb"[-!#$%&'*+.^_`|~\w]+[ \t]+", name, re.ASCII) and colon:
                is_odd = True
                lines[number] = name.rstrip() + colon + value
        fields: list[bytes] = []
        for line in lines:
            if line[:1] in (b" ", b"\t") and fields:
                fields[-1] += b"\n" + line
            else:
                fields.append(line)
        for field in fields:
            name, _, value = field.partition(b":")
            if name.lower() == b"transfer-encoding":
                value = re.sub(rb"\r?\n[ \t]", b" ", value.removesuffix(b"\r"))
                elements = [element.strip(b" \t") for element in value.lower().split(b",")]
                codings += [*filter(None, elements), *(b"," for _ in elements[1:])]
                codings.append(b";")
        kept = [field for field in fields if not field.lower().startswith(b"transfer-encoding:")]
        names = [coding for coding in codings if coding not in b",;"]
        while names[:1] == [b"identity"]:
            del names[0]
        hides_length = False
        if codings not in ([], [b"chunked", b";"]) and set(names) <= {b"chunked"}:
            is_odd = True
            if names:
                fields = [b"Transfer-Encoding: chunked\r", *kept]
            else:
                hides_length = True
                fields = kept
        before += b"\n".join([status_line, *fields])
        if not re.match(rb"HTTP/\d\.\d 1(?!01)", status_line):
            return Form(before, data, is_odd, hides_length)


def without_blanks(body: bytes) -> bytes:
    """A chunked body without the blanks before its chunk extensions."""
    done = b""
    while line := re.match(rb"([0-9A-Fa-f]{1,20})[ \t]*((?:;[^\n]*)?\r\n)", body):
        size = int(line[1], 16)
        end = line.end() + size + 2 * bool(size)
        done += line[1] + line[2] + body[line.end() : end]
        body = body[end:]
        if not size:
            break
    return done + body


def is_the_last(head: tuple[bytes, int, bytes, Headers] | None) -> bool:
    """Whether nothing may follow a response with this head, though h11 would let it."""
    fields = {name.lower(): value for name, value in head[3]} if head else {}
    length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if length is not None and coding is not None:
        return True
    has_none = head is not None and head[1] in (204, 304)
    return has_none and (coding is not None or (length is not None and int(length) > 0))


def read_by_reference(request: Request, data: bytes, end: list[bytes]) -> Outcome:
    """What h11 makes of `data`, apart from where the codec is known to differ."""
    form = in_the_form_of_h11(data)
    if form.hides_length and read_by_h11(request, [form.heads]) != REFUSED:
        without = re.sub(
            rb"^content-length:", b"X:", form.heads, flags=re.MULTILINE | re.IGNORECASE
        )
        form = form._replace(heads=without)
    outcome = read_by_h11(request, [*filter(None, [form.heads + form.body]), *end])
    if outcome == REFUSED:
        body = without_blanks(form.body)
        outcome = read_by_h11(request, [*filter(None, [form.heads + body]), *end])
    if form.is_odd or is_the_last(outcome.head):
        outcome = outcome._replace(is_reusable=False)
    return outcome


def without_fields(outcome: Outcome, *names: bytes) -> Outcome:
    if outcome.head is None:
        return outcome
    fields = [field for field in outcome.head[3] if field[0].lower() not in names]
    return outcome._replace(head=(*outcome.head[:3], fields))


def cut(data: bytes, positions: Iterable[int]) -> list[bytes]:
    """`data` in segments, none of them empty."""
    bounds = [0, *sorted({at for at in positions if 0 < at < len(data)}), len(data)]
    return [data[start:end] for start, end in pairwise(bounds) if start < end]


def used(data: bytes) -> HTTP11Codec:
    """A codec that has read `data` before, as the response to another request, if it can go on."""
    codec = HTTP11Codec()
    read_by_us(Request(b"GET", b"/", [HOST]), [data], codec)
    return codec if codec.is_reusable else HTTP11Codec()


# What may still follow a response that is not complete.
ENDS = [b"\n\n", b"\r\n\r\n", b":\r\n\r\n", b"\r\n0\r\n\r\n", b"0\r\n\r\n", b"a\r\n\r\n"]
READ = (Result.COMPLETE, Result.SWITCHED)


def agree(request: Request, data: bytes, positions: Iterable[int], is_open: bool) -> Outcome:
    """Hold that the codec reads `data`, however it is cut, as h11 does; return what it read."""
    end = [] if is_open else [b""]
    first = None
    for segments, codec, takes_remaining in (
        (cut(data, ()), HTTP11Codec(), False),
        (cut(data, ()), used(data), True),
        (cut(data, positions), used(data), False),
        (cut(data, positions), used(data), True),
        (cut(data, range(len(data))), HTTP11Codec(), True),
    ):
        ours = read_by_us(request, [*segments, *end], codec, takes_remaining=takes_remaining)
        first = first or ours
        assert ours == first
    assert first is not None
    theirs = read_by_reference(request, data, end)
    if first == REFUSED and theirs.result is Result.INCOMPLETE:
        for more in ENDS:
            assert read_by_reference(request, data + more, [b""]).result not in READ
    elif in_the_form_of_h11(data).is_odd:
        # The codec shows Transfer-Encoding as it read it; its place in the list is not compared.
        hidden = [b"transfer-encoding"]
        if in_the_form_of_h11(data).hides_length:
            hidden += [b"content-length", b"x"]
        assert without_fields(first, *hidden) == without_fields(theirs, *hidden)
    else:
        assert first == theirs
    return first


# Requests

ows = st.sampled_from([b"", b"", b"", b" ", b"\t", b" \t "])


def cases(*names: bytes) -> st.SearchStrategy[bytes]:
    """Names in the cases in which they are met, and in an odd one."""
    return st.sampled_from(
        [form for name in names for form in (name, name.lower(), name.upper(), name.swapcase())]
    )


tokens = st.sampled_from([b"X-A", b"Accept", b"!#$%&'*+.^_`|~", b"Content-Lengt", b"Connections"])
texts = st.one_of(
    st.sampled_from(
        [b"", b"a", b"a b", b"a \t b", b"\xe9t\xe9", b"\xa0", b"\x85", b"*/*", b'"q,;="']
    ),
    st.sampled_from(
        [b"\x7f", b"\x01", b"\x0b", b"\x0c", b"\x1f", b"\x00", b" a", b"a ", b"\r", b"\n"]
    ),
    st.binary(max_size=5),
)
hosts = st.sampled_from([b"example.com", b"example.com:8080", b"[::1]", b""])
connections = st.sampled_from(
    [
        b"close",
        b"Close",
        b"keep-alive",
        b"Upgrade",
        b"upgrade, close",
        b"a,,CLOSE\t,",
        b"closed",
        b"",
    ]
)
lengths = st.sampled_from(
    [
        b"0",
        b"5",
        b"05",
        b"5,5",
        b"5 , 5",
        b"5,6",
        b"5,",
        b"+5",
        b"-5",
        b"5_0",
        b"5 5",
        b"",
        b"0x5",
        b"0" * 18 + b"5",
        b"0" * 19 + b"5",
        b"0" * 20 + b"5",
    ]
)
codings = st.sampled_from(
    [
        b"chunked",
        b"Chunked",
        b"gzip",
        b"gzip, chunked",
        b"chunked, chunked",
        b"Identity",
        b"identity , CHUNKED",
        b"chunked, identity",
        b",chunked",
        b"chunked,",
        b"chunked\r\n ,chunked",
        b"chunked;q=1",
        b"",
    ]
)
odd_fields = st.one_of(
    st.tuples(tokens, texts),
    st.tuples(cases(b"Connection"), connections),
    st.tuples(cases(b"Content-Length"), lengths),
    st.tuples(cases(b"Transfer-Encoding"), codings),
    st.tuples(cases(b"Host"), hosts),
    st.tuples(
        cases(b"Keep-Alive"), st.sampled_from([b"timeout=5", b"max=1, timeout=9", b"timeout=x"])
    ),
    st.tuples(cases(b"Upgrade"), st.sampled_from([b"websocket", b"h2c", b""])),
    st.tuples(cases(b"Expect"), st.just(b"100-continue")),
    st.tuples(st.sampled_from([b"", b"a b", b"a:", b"\xe9", b"a\r", b" a", b"(", b"X-A\n"]), texts),
)
odd_requests = st.builds(
    Request,
    st.one_of(
        st.sampled_from([b"GET", b"POST", b"CONNECT", b"get", b"M-SEARCH"]),
        st.sampled_from([b"", b"GE T", b"G\n", b"G\x00", b"\xe9", b"GET\r"]),
    ),
    st.one_of(
        st.sampled_from([b"/", b"*", b"http://a/", b"/a?b", b"a:80", b"/!~"]),
        st.sampled_from([b"", b"/ ", b"/\x7f", b"/\xe9", b"/\n", b" /", b"/\r\n"]),
    ),
    st.tuples(
        st.lists(odd_fields, max_size=3),
        st.lists(st.tuples(cases(b"Host"), hosts), min_size=1, max_size=1),
        st.lists(odd_fields, max_size=2),
    ).map(lambda parts: [*parts[0], *parts[1], *parts[2]]),
    st.sampled_from([b"", b"", b"12345"]),
)


@brief
@given(odd_requests)
def test_a_request_is_sent_as_h11_sends_it_or_refused_as_h11_refuses_it(request: Request) -> None:
    names = {name.lower() for name, _ in request.headers}
    try:
        _, theirs = sent_by_h11(request)
    except h11.LocalProtocolError:
        with pytest.raises(LocalProtocolError):
            sent_by_us(request)
        return
    if {b"content-length", b"transfer-encoding"} <= names:
        with pytest.raises(LocalProtocolError, match="both Content-Length and Transfer-Encoding"):
            sent_by_us(request)
        return
    _, ours = sent_by_us(request)
    assert ours == theirs


# Responses

requests = st.sampled_from(
    [
        Request(b"GET", b"/", [HOST]),
        Request(b"GET", b"/", [HOST]),
        Request(b"GET", b"/", [HOST]),
        Request(b"HEAD", b"/", [HOST]),
        Request(b"CONNECT", b"a:1", [HOST]),
        Request(b"CONNECT", b"a:1", [HOST, (b"Upgrade", b"websocket")]),
        Request(b"GET", b"/", [HOST, (b"connection", b"x, Close")]),
        Request(b"GET", b"/", [HOST, (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]),
        Request(b"POST", b"/", [HOST, (b"Content-Length", b"2")], b"ab"),
        Request(b"POST", b"/", [HOST, (b"content-length", b"2, 2")], b"ab"),
        Request(b"POST", b"/", [HOST, (b"Transfer-Encoding", b"chunked")], b"ab"),
        Request(b"GET", b"/", [HOST, (b"Expect", b"100-continue"), (b"X", b"\x01")]),
    ]
)
plain_versions = st.just(b"HTTP/1.1 ")
odd_versions = st.sampled_from(
    [
        b"HTTP/1.0 ",
        b"HTTP/0.9 ",
        b"HTTP/2.0 ",
        b"HTTP/1.1  ",
        b"HTTP/1.1\t",
        b"http/1.1 ",
        b"HTTP/1.1",
        b" HTTP/1.1 ",
        b"\r\nHTTP/1.1 ",
        b"\nHTTP/1.1 ",
        b"\rHTTP/1.1 ",
        b"ICY ",
        b"",
    ]
)
plain_statuses = st.sampled_from([b"200", b"200", b"200", b"204", b"304", b"404", b"500"])
odd_statuses = st.sampled_from(
    [b"101", b"100", b"103", b"199", b"099", b"600", b"999", b"599", b"20", b"2000", b"2 0", b""]
)
plain_reasons = st.sampled_from(
    [b" OK", b" ", b" Not Found", b" \xe9t\xe9", b"  two  blanks ", b" \t"]
)
odd_reasons = st.sampled_from(
    [b"", b"OK", b" \x01", b" \x7f", b" \x00", b" \x0b", b" a\rb", b"\tOK"]
)
ends = st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r\r\n", b"\r"])
rare = st.integers(0, 5).map(lambda number: number == 0)


def mostly(
    plain: st.SearchStrategy[bytes], odd: st.SearchStrategy[bytes]
) -> st.SearchStrategy[bytes]:
    return rare.flatmap(lambda is_odd: odd if is_odd else plain)


plain_fields = st.one_of(
    st.tuples(tokens, st.sampled_from([b"", b"a", b"a b", b"a \t b", b"\xe9t\xe9", b'"q,;="'])),
    st.tuples(cases(b"Connection"), connections),
    st.tuples(cases(b"Keep-Alive"), st.just(b"timeout=5")),
)


@st.composite
def field_lines(draw: st.DrawFn, fields: st.SearchStrategy[tuple[bytes, bytes]]) -> bytes:
    name, value = draw(fields)
    if not draw(rare):
        return b"%b:%b%b%b\r\n" % (name, draw(ows), value, draw(ows))
    colon = draw(st.sampled_from([b":", b" :", b"", b":\r\n ", b"\r\n:", b":\r\n"]))
    fold = draw(st.sampled_from([b"", b"\r\n b", b"\r\n\t", b"\n b", b"\r\n \x0b"]))
    return b"".join((name, colon, draw(ows), value, draw(ows), fold, draw(ends)))


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Status line and fields, without the framing of the body and the blank line."""
    is_plain = not draw(rare)
    lines = [
        draw(plain_versions if is_plain else mostly(plain_versions, odd_versions)),
        draw(plain_statuses if is_plain else mostly(plain_statuses, odd_statuses)),
        draw(plain_reasons if is_plain else mostly(plain_reasons, odd_reasons)),
        b"\r\n" if is_plain else draw(ends),
    ]
    fields = plain_fields if is_plain else st.one_of(plain_fields, odd_fields)
    blank_lines = st.sampled_from([b" \r\n", b"\t\n \n", b" \n", b" X: y\r\n"])
    lines.append(draw(mostly(st.just(b""), blank_lines)))
    lines += draw(st.lists(field_lines(fields), max_size=3))
    return b"".join(lines)


extensions = st.sampled_from(
    [
        b"",
        b"",
        b"",
        b" ",
        b"\t",
        b";",
        b";a=b",
        b'; a="\xe9" ',
        b"\t;",
        b";\n",
        b"g",
        b" 1",
        b" ; a",
    ]
)


@st.composite
def chunked_bodies(draw: st.DrawFn) -> bytes:
    is_plain = draw(st.booleans())
    parts = []
    for data in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=3)):
        size = b"%x" % len(data)
        if not is_plain:
            odd_sizes = [size.zfill(17), size.zfill(21), b"-" + size, b"0x" + size, b"%x" % 99, b""]
            plain_sizes = [size, size.upper(), size.zfill(2), size.zfill(16)]
            size = draw(mostly(st.sampled_from(plain_sizes), st.sampled_from(odd_sizes)))
            size += draw(mostly(st.just(b""), extensions))
        parts += [
            size,
            b"\r\n",
            data,
            b"\r\n" if is_plain else draw(mostly(st.just(b"\r\n"), ends)),
        ]
    if is_plain:
        return b"".join([*parts, b"0\r\n\r\n"])
    parts += [draw(st.sampled_from([b"0", b"000", b"0" * 17])), draw(extensions), b"\r\n"]
    parts += draw(st.lists(field_lines(st.one_of(plain_fields, odd_fields)), max_size=2))
    return b"".join([*parts, draw(mostly(st.just(b"\r\n"), ends))])


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """Mostly valid responses, interim ones before and surplus bytes after some."""
    interim = st.sampled_from(
        [
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 103 \r\nLink: a\r\n\r\n",
            b"HTTP/1.1 102\n\n\r\n",
        ]
    )
    parts = draw(st.lists(interim, max_size=2)) if draw(rare) else []
    parts.append(draw(heads()))
    kind = draw(st.sampled_from(["length", "chunked", "none", "odd"]))
    body = draw(st.binary(max_size=20))
    if kind == "length":
        parts.append(b"%b:%b%d\r\n" % (draw(cases(b"Content-Length")), draw(ows), len(body)))
    elif kind == "chunked":
        value = b"Chunked" if draw(rare) else b"chunked"
        parts.append(b"%b:%b%b\r\n" % (draw(cases(b"Transfer-Encoding")), draw(ows), value))
        body = draw(chunked_bodies())
    elif kind == "odd":
        parts += draw(st.lists(field_lines(odd_fields), min_size=1, max_size=3))
        body = draw(st.one_of(st.just(body), chunked_bodies()))
    parts += [draw(ends) if draw(rare) else b"\r\n", body]
    if draw(rare):
        parts.append(draw(st.sampled_from([b"\r\n", b"x", b"\x00", b"HTTP/1.1 200 OK\r\n\r\n"])))
    return b"".join(parts)


cuts = st.lists(st.integers(0, 300), max_size=6)


@brief
@given(requests, responses(), cuts, st.booleans())
def test_a_response_is_read_as_h11_reads_it_however_it_is_cut(
    request: Request, data: bytes, positions: list[int], is_open: bool
) -> None:
    agree(request, data, positions, is_open)


@brief
@given(requests, responses(), st.integers(0, 300))
def test_a_response_that_breaks_off_is_read_as_h11_reads_it(
    request: Request, data: bytes, size: int
) -> None:
    agree(request, data[:size], (), is_open=False)


@brief
@given(requests, responses(), st.sampled_from([b"x", b"\r\n", b"\0", b"HTTP/1.1 200 OK\r\n\r\n"]))
def test_bytes_after_a_response_are_not_part_of_it_and_condemn_the_connection(
    request: Request, data: bytes, surplus: bytes
) -> None:
    alone = read_by_us(request, cut(data, ()))
    if alone.result is not Result.COMPLETE:
        return
    for segments in ([data + surplus], [data, surplus], cut(data + surplus, range(1000))):
        assert read_by_us(request, segments) == alone._replace(
            left=alone.left + surplus, is_reusable=False
        )


VALID = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: now\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n6\r\n0123\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nServer:x y\r\n\r\nuntil the end",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nKeep-Alive: timeout=5\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
    b"HTTP/1.1 200 OK\nX-Folded: a\n b\nContent-Length: 1\n\nx",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n1 ;x\r\na\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-encoding: Chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: identity\r\n\r\nhello",
    b"\r\nHTTP/1.1 200 OK\r\n \r\nContent-Length : 2\r\n\r\nab",
    b"HTTP/0.9 100\r\n\r\n\r\nHTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
]
bits = st.sampled_from(
    [bytes([byte]) for byte in b"\r\n \t:,;0159afgAxHT/.-_\x00\x01\x0b\x0c\x7f\x80\xa0\xff"]
    + [b"\r\n", b"\r\n\r\n", b"\n\n", b"\r\n ", b"chunked", b"Content-Length: 5\r\n"]
)
mutations = st.lists(
    st.tuples(st.integers(0, 9999), st.integers(0, 1), bits), min_size=1, max_size=2
)


def mutated(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """`data` with bytes inserted, replaced and deleted."""
    for position, removed, inserted in changes:
        at = position % (len(data) + 1)
        data = data[:at] + inserted + data[at + removed :]
    return data


@brief
@given(requests, st.sampled_from(VALID), mutations, cuts, st.booleans())
def test_a_damaged_response_is_read_as_h11_reads_it(
    request: Request,
    data: bytes,
    changes: list[tuple[int, int, bytes]],
    positions: list[int],
    is_open: bool,
) -> None:
    agree(request, mutated(data, changes), positions, is_open)


@brief
@given(requests, st.binary(max_size=40), st.booleans())
@example(Request(b"GET", b"/", [HOST]), b"\x15\x03\x01\x00\x02\x02\x16", True)
@example(Request(b"GET", b"/", [HOST]), b"", False)
@example(Request(b"GET", b"/", [HOST]), b"", True)
def test_noise_is_read_as_h11_reads_it(request: Request, data: bytes, is_open: bool) -> None:
    agree(request, data, (), is_open)


@pytest.mark.parametrize("data", VALID)
def test_a_valid_response_is_accepted(data: bytes) -> None:
    request = Request(b"GET", b"/", [HOST, (b"Upgrade", b"websocket")])
    assert agree(request, data, (), is_open=False).result in (Result.COMPLETE, Result.SWITCHED)
