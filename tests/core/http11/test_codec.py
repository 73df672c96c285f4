"""The HTTP/1.1 codec: its states, and each form of a request and of a response."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pytest

from httpcore2_core._exceptions import LocalProtocolError, RemoteProtocolError
from httpcore2_core._http11.codec import HTTP11Codec
from httpcore2_core._http11.heads import HEAD_LIMIT, FieldNames, HeadMemory, ResponseHead
from httpcore2_core._http11.states import RequestState, ResponseState

Headers = list[tuple[bytes, bytes]]

HOST = (b"Host", b"example.com")
UPGRADE = (b"Upgrade", b"websocket")
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def started(
    method: bytes = b"GET", *fields: tuple[bytes, bytes], size: int | None = None
) -> HTTP11Codec:
    """A codec whose request has been started."""
    codec = HTTP11Codec()
    codec.start_request(method, b"/", [HOST, *fields], size)
    return codec


def received(data: bytes, method: bytes = b"GET", *fields: tuple[bytes, bytes]) -> HTTP11Codec:
    """A codec that has read the head at the beginning of `data`."""
    codec = started(method, *fields)
    codec.receive(data)
    assert codec.take_head() is not None
    return codec


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def body_of(codec: HTTP11Codec, segments: Iterable[bytes] = ()) -> bytes:
    """The remaining body, read to its end."""
    remaining = iter(segments)
    body = b""
    while (data := codec.take_chunk()) != b"":
        if data is None:
            codec.receive(next(remaining))
        else:
            body += data
    for segment in remaining:
        codec.receive(segment)
    return body


def read(codec: HTTP11Codec, segments: Iterable[bytes]) -> tuple[ResponseHead, bytes]:
    """Head and body, from all of `segments`."""
    remaining = iter(segments)
    while True:
        codec.receive(next(remaining))
        head = codec.take_head()
        if head is not None:
            return head, body_of(codec, remaining)


# States


def chunked_and_ended() -> HTTP11Codec:
    codec = started(b"POST", (b"Transfer-Encoding", b"chunked"))
    codec.end_request()
    return codec


def abandoned() -> HTTP11Codec:
    codec = started(b"POST", (b"Content-Length", b"3"))
    codec.abandon_request()
    return codec


def in_trailers() -> HTTP11Codec:
    codec = received(CHUNKED + b"0\r\n")
    assert codec.take_chunk() is None
    return codec


REQUEST_STATES: dict[RequestState, Callable[[], HTTP11Codec]] = {
    RequestState.IDLE: HTTP11Codec,
    RequestState.SENDING_LENGTH: lambda: started(b"POST", (b"Content-Length", b"3")),
    RequestState.SENDING_CHUNKS: lambda: started(b"POST", (b"Transfer-Encoding", b"chunked")),
    RequestState.SENT: started,
    RequestState.ABANDONED: abandoned,
}
RESPONSE_STATES: dict[ResponseState, Callable[[], HTTP11Codec]] = {
    ResponseState.IDLE: HTTP11Codec,
    ResponseState.HEAD: started,
    ResponseState.LENGTH: lambda: received(OK + b"Content-Length: 3\r\n\r\n"),
    ResponseState.CHUNKED: lambda: received(CHUNKED),
    ResponseState.TRAILERS: in_trailers,
    ResponseState.UNTIL_CLOSE: lambda: received(OK + b"\r\n"),
    ResponseState.DONE: lambda: received(OK + b"Content-Length: 0\r\n\r\n"),
    ResponseState.SWITCHED: lambda: received(b"HTTP/1.1 101 \r\n\r\n", b"GET", UPGRADE),
}
BEFORE_THE_HEAD = [ResponseState.IDLE, ResponseState.HEAD]


def test_every_state_is_reached() -> None:
    assert set(REQUEST_STATES) == set(RequestState)
    assert set(RESPONSE_STATES) == set(ResponseState)
    for request_state, make in REQUEST_STATES.items():
        assert make().request_state is request_state
    for response_state, make in RESPONSE_STATES.items():
        assert make().response_state is response_state


@pytest.mark.parametrize(
    ("state", "data", "sent", "then"),
    [
        (RequestState.IDLE, b"", b"", RequestState.IDLE),
        (RequestState.SENDING_LENGTH, b"", b"", RequestState.SENDING_LENGTH),
        (RequestState.SENDING_LENGTH, b"ab", b"ab", RequestState.SENDING_LENGTH),
        (RequestState.SENDING_LENGTH, b"abc", b"abc", RequestState.SENT),
        (RequestState.SENDING_CHUNKS, b"", b"", RequestState.SENDING_CHUNKS),
        (RequestState.SENDING_CHUNKS, b"ab", b"2\r\nab\r\n", RequestState.SENDING_CHUNKS),
        (
            RequestState.SENDING_CHUNKS,
            b"a" * 26,
            b"1a\r\n" + b"a" * 26 + b"\r\n",
            RequestState.SENDING_CHUNKS,
        ),
        (RequestState.SENT, b"", b"", RequestState.SENT),
    ],
)
def test_data_is_framed_as_the_request_declared(
    state: RequestState, data: bytes, sent: bytes, then: RequestState
) -> None:
    codec = REQUEST_STATES[state]()
    assert codec.send_data(data) == sent
    assert codec.request_state is then


@pytest.mark.parametrize(
    ("state", "data"),
    [(RequestState.IDLE, b"a"), (RequestState.SENDING_LENGTH, b"abcd"), (RequestState.SENT, b"a")],
)
def test_more_data_than_declared_is_refused(state: RequestState, data: bytes) -> None:
    codec = REQUEST_STATES[state]()
    with pytest.raises(LocalProtocolError, match="Too much data for declared Content-Length"):
        codec.send_data(data)


def test_data_after_the_end_of_a_chunked_request_are_refused() -> None:
    with pytest.raises(LocalProtocolError, match="Too much data"):
        chunked_and_ended().send_data(b"a")


@pytest.mark.parametrize(
    ("state", "sent", "then"),
    [
        (RequestState.IDLE, b"", RequestState.IDLE),
        (RequestState.SENDING_CHUNKS, b"0\r\n\r\n", RequestState.SENT),
        (RequestState.SENT, b"", RequestState.SENT),
    ],
)
def test_a_request_ends_as_it_is_framed(
    state: RequestState, sent: bytes, then: RequestState
) -> None:
    codec = REQUEST_STATES[state]()
    assert codec.end_request() == sent
    assert codec.request_state is then


def test_a_chunked_request_ends_once() -> None:
    assert chunked_and_ended().end_request() == b""


def test_less_data_than_declared_is_refused_at_the_end() -> None:
    codec = REQUEST_STATES[RequestState.SENDING_LENGTH]()
    codec.send_data(b"ab")
    with pytest.raises(LocalProtocolError, match="Too little data for declared Content-Length"):
        codec.end_request()


def test_a_request_follows_a_complete_exchange() -> None:
    codec = RESPONSE_STATES[ResponseState.DONE]()
    codec.start_request(b"GET", b"/", [HOST], 0)
    assert codec.request_state is RequestState.SENT
    assert codec.response_state is ResponseState.HEAD


def test_a_refused_request_leaves_the_codec_as_it_was() -> None:
    codec = RESPONSE_STATES[ResponseState.DONE]()
    refused = [HOST, (b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked")]
    with pytest.raises(LocalProtocolError, match="both Content-Length and Transfer-Encoding"):
        codec.start_request(b"POST", b"/", refused, None)
    assert codec.is_reusable
    assert codec.start_request(b"GET", b"/", [HOST], 0).startswith(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "state", [state for state in ResponseState if state not in BEFORE_THE_HEAD]
)
def test_a_response_has_one_head(state: ResponseState) -> None:
    with pytest.raises(AssertionError, match="a response is due"):
        RESPONSE_STATES[state]().take_head()


def test_before_the_request_there_is_no_head() -> None:
    with pytest.raises(AssertionError, match="a response is due"):
        HTTP11Codec().take_head()


@pytest.mark.parametrize("state", BEFORE_THE_HEAD)
def test_the_body_comes_after_the_head(state: ResponseState) -> None:
    with pytest.raises(AssertionError, match="the head comes first"):
        RESPONSE_STATES[state]().take_chunk()


@pytest.mark.parametrize(
    ("state", "data", "read", "then"),
    [
        (ResponseState.LENGTH, b"ab", b"ab", ResponseState.LENGTH),
        (ResponseState.LENGTH, b"abc", b"abc", ResponseState.DONE),
        (ResponseState.LENGTH, b"abcd", b"abc", ResponseState.DONE),
        (ResponseState.CHUNKED, b"3\r\na", b"a", ResponseState.CHUNKED),
        (ResponseState.CHUNKED, b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n", b"ab", ResponseState.DONE),
        (ResponseState.CHUNKED, b"1;x\r\na\r\n", b"a", ResponseState.CHUNKED),
        (ResponseState.CHUNKED, b"1\r\na\r\n0\r\n", b"a", ResponseState.TRAILERS),
        (ResponseState.CHUNKED, b"1\r\na\r\n0\r\nX: y\r\n\r\n", b"a", ResponseState.DONE),
        (ResponseState.TRAILERS, b"X: y\r\n\r\n", b"", ResponseState.DONE),
        (ResponseState.TRAILERS, b"\r\nmore", b"", ResponseState.DONE),
        (ResponseState.UNTIL_CLOSE, b"ab", b"ab", ResponseState.UNTIL_CLOSE),
        (ResponseState.DONE, b"ab", b"", ResponseState.DONE),
        (ResponseState.SWITCHED, b"ab", b"", ResponseState.SWITCHED),
    ],
)
def test_the_body_is_read_as_the_response_declared(
    state: ResponseState, data: bytes, read: bytes, then: ResponseState
) -> None:
    codec = RESPONSE_STATES[state]()
    codec.receive(data)
    assert codec.take_chunk() == read
    assert codec.response_state is then


READING = [ResponseState.LENGTH, ResponseState.CHUNKED, ResponseState.UNTIL_CLOSE]
READING += [ResponseState.TRAILERS]


@pytest.mark.parametrize("state", READING)
def test_a_body_needs_more_bytes_until_it_has_ended(state: ResponseState) -> None:
    codec = RESPONSE_STATES[state]()
    assert codec.take_chunk() is None
    assert codec.response_state is state


@pytest.mark.parametrize("state", [state for state in ResponseState if state not in READING])
def test_a_response_is_unanswered_only_before_the_first_byte_of_its_head(
    state: ResponseState,
) -> None:
    codec = RESPONSE_STATES[state]()
    assert codec.is_unanswered == (state is ResponseState.HEAD)
    codec.receive(b"H")
    assert not codec.is_unanswered


def test_an_interim_response_is_an_answer() -> None:
    codec = started()
    codec.receive(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert codec.take_head() is None
    assert not codec.is_unanswered


@pytest.mark.parametrize("state", ResponseState)
def test_only_a_complete_response_leaves_a_connection_that_can_be_used_again(
    state: ResponseState,
) -> None:
    assert RESPONSE_STATES[state]().is_reusable == (state is ResponseState.DONE)


@pytest.mark.parametrize(
    ("fields", "response"),
    [
        ([(b"Connection", b"close")], b"Content-Length: 0\r\n"),
        ([(b"connection", b"x, Close")], b"Content-Length: 0\r\n"),
        ([], b"Content-Length: 0\r\nConnection: close\r\n"),
        ([], b"content-length: 0\r\ncONNECTION: a , CLOSE,\r\n"),
        ([], b"Content-Length: 0\r\nConnection: close\r\nX: \x01\r\n"),
        ([], b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
    ],
)
def test_either_side_may_end_the_connection(fields: Headers, response: bytes) -> None:
    codec = started(b"GET", *fields)
    data = OK + response + b"\r\n" + (b"0\r\n\r\n" if b"chunked" in response else b"")
    read(codec, [data])
    assert codec.response_state is ResponseState.DONE
    assert not codec.is_reusable


def test_a_connection_with_an_unfinished_request_is_not_used_again() -> None:
    codec = started(b"POST", (b"Content-Length", b"3"))
    read(codec, [OK + b"Content-Length: 0\r\n\r\n"])
    assert not codec.is_reusable
    codec.send_data(b"abc")
    assert codec.is_reusable


def test_a_connection_that_the_peer_closed_is_not_used_again() -> None:
    codec = RESPONSE_STATES[ResponseState.DONE]()
    codec.receive(b"")
    assert not codec.is_reusable


# A remaining body that is taken at once


@pytest.mark.parametrize("state", ResponseState)
def test_only_a_complete_response_has_a_remaining_body_to_take(state: ResponseState) -> None:
    codec = RESPONSE_STATES[state]()
    assert codec.take_remaining() == (b"" if state is ResponseState.DONE else None)
    assert codec.response_state is state


@pytest.mark.parametrize("data", [b"", b"ab", b"abc", b"abcd"])
def test_the_remaining_body_is_taken_whole_or_not_at_all(data: bytes) -> None:
    codec = received(OK + b"Content-Length: 3\r\n\r\n" + data)
    is_all = data == b"abc"
    assert codec.take_remaining() == (data if is_all else None)
    assert codec.is_reusable == is_all
    if not is_all:
        assert body_of(codec, [b"abc"[len(data) :]] if data != b"abcd" else []) == b"abc"


def test_the_remaining_body_is_the_part_that_was_not_read_before() -> None:
    codec = received(OK + b"Content-Length: 3\r\n\r\na")
    assert codec.take_chunk() == b"a"
    codec.receive(b"bc")
    assert codec.take_remaining() == b"bc"
    assert codec.is_reusable


@pytest.mark.parametrize("length", [b"0", b"3"])
def test_no_remaining_body_is_taken_if_the_connection_is_not_reusable(length: bytes) -> None:
    body = bytes(int(length))
    closing = received(OK + b"Connection: close\r\nContent-Length: " + length + b"\r\n\r\n" + body)
    assert closing.take_remaining() is None
    uploading = received(
        OK + b"Content-Length: " + length + b"\r\n\r\n" + body, b"POST", (b"Content-Length", b"3")
    )
    assert uploading.take_remaining() is None
    assert body_of(closing) == body_of(uploading) == body


# Requests


@pytest.mark.parametrize(
    ("headers", "lines"),
    [
        ([HOST], b"Host: example.com\r\n"),
        ([(b"hOST", b"")], b"hOST: \r\n"),
        ([HOST, (b"X", b"a \t\xe9")], b"Host: example.com\r\nX: a \t\xe9\r\n"),
        ([(b"X", b"1"), HOST, (b"x", b"2")], b"Host: example.com\r\nX: 1\r\nx: 2\r\n"),
        ([HOST, (b"X" * 65, b"1")], b"Host: example.com\r\n" + b"X" * 65 + b": 1\r\n"),
        ([HOST, (b"Content-Length", b"3,3")], b"Host: example.com\r\nContent-Length: 3\r\n"),
        ([(b"X", b"\x01"), HOST], b"Host: example.com\r\nX: \x01\r\n"),
    ],
)
def test_a_request_head_is_sent_in_the_order_given_but_host_first(
    headers: Headers, lines: bytes
) -> None:
    codec = HTTP11Codec()
    sent = codec.start_request(b"GET", b"/a?b", headers, None)
    assert sent == b"GET /a?b HTTP/1.1\r\n" + lines + b"\r\n"


@pytest.mark.parametrize(
    ("method", "target", "headers", "message"),
    [
        (b"GE T", b"/", [HOST], "Illegal method characters"),
        (b"", b"/", [HOST], "Illegal method characters"),
        (b"GET", b"", [HOST], "Illegal target characters"),
        (b"GET", b"/ HTTP/1.1\r\nX: y", [HOST], "Illegal target characters"),
        (b"GET", b"/\xe9", [HOST], "Illegal target characters"),
        (b"GET", b"/", [], "Missing mandatory Host: header"),
        (b"GET", b"/", [HOST, HOST], "Found multiple Host: headers"),
        (b"GET", b"/", [HOST, (b"a b", b"")], "Illegal header name b'a b'"),
        (b"GET", b"/", [HOST, (b"", b"")], "Illegal header name b''"),
        (b"GET", b"/", [HOST, (b"X", b"a\r\nY: b")], "Illegal header value"),
        (b"GET", b"/", [HOST, (b"X", b" a")], "Illegal header value b' a'"),
        (b"GET", b"/", [HOST, (b"Content-Length", b"+3")], "bad Content-Length"),
        (b"GET", b"/", [HOST, (b"Content-Length", b"3,4")], "conflicting Content-Length headers"),
        (b"GET", b"/", [HOST, (b"Content-Length", b"3")] * 2, "multiple Host"),
        (b"GET", b"/", [HOST, (b"Transfer-Encoding", b"gzip")], "Only Transfer-Encoding: chunked"),
        (
            b"GET",
            b"/",
            [HOST, (b"Transfer-Encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
            "multiple Transfer-Encoding headers",
        ),
        (
            b"GET",
            b"/",
            [HOST, (b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked")],
            "both Content-Length and Transfer-Encoding",
        ),
    ],
)
def test_a_request_that_breaks_the_rules_is_refused_and_changes_nothing(
    method: bytes, target: bytes, headers: Headers, message: str
) -> None:
    codec = HTTP11Codec()
    with pytest.raises(LocalProtocolError, match=message):
        codec.start_request(method, target, headers, None)
    assert codec.request_state is RequestState.IDLE
    assert codec.response_state is ResponseState.IDLE


@pytest.mark.parametrize(
    ("fields", "size", "message"),
    [
        ([(b"Content-Length", b"3")], 2, "Too little data"),
        ([(b"Content-Length", b"3")], 4, "Too much data"),
        ([], 1, "Too much data"),
    ],
)
def test_a_body_of_another_size_than_declared_is_refused_before_anything_is_sent(
    fields: Headers, size: int, message: str
) -> None:
    codec = HTTP11Codec()
    with pytest.raises(LocalProtocolError, match=message):
        codec.start_request(b"POST", b"/", [HOST, *fields], size)
    assert codec.request_state is RequestState.IDLE


def test_a_chunked_body_may_have_any_size() -> None:
    codec = started(b"POST", (b"Transfer-Encoding", b"chunked"), size=3)
    assert codec.request_state is RequestState.SENDING_CHUNKS


@pytest.mark.parametrize("data", [bytearray(b"abc"), memoryview(b"abc")])
def test_data_may_be_any_kind_of_bytes(data: Any) -> None:
    codec = started(b"POST", (b"Content-Length", b"3"))
    sent = codec.send_data(data)
    assert type(sent) is bytes
    assert sent == b"abc"


@pytest.mark.parametrize("data", ["abc", 3, None])
def test_data_that_are_not_bytes_are_refused(data: Any) -> None:
    with pytest.raises(TypeError, match=f"must consist of bytes, but got {type(data).__name__}"):
        REQUEST_STATES[RequestState.SENDING_LENGTH]().send_data(data)


def test_a_length_of_many_digits_is_known() -> None:
    codec = started(b"POST", (b"Content-Length", b"0" * 19 + b"3"))
    assert codec.send_data(b"abc") == b"abc"
    assert codec.request_state is RequestState.SENT


def test_header_fields_that_changed_in_place_are_sent_as_they_are_now() -> None:
    codec = HTTP11Codec()
    headers = [HOST, (b"X", b"1")]
    sent = []
    for value in (b"1", b"2", b"2"):
        headers[1] = (b"X", value)
        sent.append(codec.start_request(b"GET", b"/", headers, None).split(b"\r\n")[2])
        codec.receive(OK + b"Content-Length: 0\r\n\r\n")
        codec.take_head()
    assert sent == [b"X: 1", b"X: 2", b"X: 2"]


def test_codecs_that_share_a_memory_keep_equal_heads_once() -> None:
    memory = HeadMemory()
    codecs = [HTTP11Codec(), HTTP11Codec()]
    for codec in codecs:
        codec.memory = memory
        codec.start_request(b"GET", b"/", [HOST], None)
        codec.receive(OK + b"Content-Length: 2\r\n\r\nok")
        assert codec.take_head() is not None
    first, second = codecs
    assert first._block is second._block
    assert first._head is second._head


def test_a_host_field_in_a_response_means_nothing() -> None:
    head, body = read(started(), [OK + b"Host: a\r\nContent-Length: 2\r\n\r\nok"])
    assert head.headers == [(b"Host", b"a"), (b"Content-Length", b"2")]
    assert body == b"ok"


def test_a_head_that_begins_like_the_last_one_is_read_for_itself() -> None:
    for length in (1, 12, 123):
        head = OK + b"Content-Length: %d\r\n" % length
        codec = started()
        codec.receive(head)
        assert codec.take_head() is None
        codec.receive(b"\r\n" + bytes(length))
        assert codec.take_head() is not None
        assert body_of(codec) == bytes(length)


def test_names_are_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FieldNames, "LIMIT", 2)
    names = FieldNames()
    for name in (b"D" * 65, b"A", b"Host", b"C"):
        assert names[name] == (b"host" if name == b"Host" else b"any other")
    assert set(names) == {b"A", b"Host"}
    assert names[b"no name"] is None


# Responses


class Case(NamedTuple):
    data: bytes
    head: tuple[int, bytes, Headers]
    body: bytes = b""
    version: bytes = b"HTTP/1.1"
    method: bytes = b"GET"
    trailers: Sequence[tuple[bytes, bytes]] = ()
    is_reusable: bool = True


CASES = {
    "length": Case(
        OK + b"Content-Length: 5\r\nUser-Agent: x\r\n\r\nhello",
        (200, b"OK", [(b"Content-Length", b"5"), (b"User-Agent", b"x")]),
        b"hello",
    ),
    "no body": Case(
        b"HTTP/1.1 404 \r\ncontent-length:0\r\n\r\n", (404, b"", [(b"content-length", b"0")])
    ),
    "204": Case(b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"No Content", [])),
    "304": Case(
        b"HTTP/1.1 304  a\r\nContent-Length: 0\r\n\r\n", (304, b" a", [(b"Content-Length", b"0")])
    ),
    "304 with a length": Case(
        b"HTTP/1.1 304 \r\nContent-Length: 5\r\n\r\n",
        (304, b"", [(b"Content-Length", b"5")]),
        is_reusable=False,
    ),
    "204 with a length": Case(
        b"HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\n",
        (204, b"", [(b"Content-Length", b"5")]),
        is_reusable=False,
    ),
    "204 with a length in a head for h11": Case(
        b"HTTP/1.1 204\r\nContent-Length: 5\r\n\r\n",
        (204, b"", [(b"Content-Length", b"5")]),
        is_reusable=False,
    ),
    "204 with chunks": Case(
        b"HTTP/1.1 204 \r\nTransfer-Encoding: chunked\r\n\r\n",
        (204, b"", [(b"Transfer-Encoding", b"chunked")]),
        is_reusable=False,
    ),
    "HEAD": Case(
        OK + b"Content-Length: 5\r\n\r\n", (200, b"OK", [(b"Content-Length", b"5")]), method=b"HEAD"
    ),
    "refused CONNECT": Case(
        b"HTTP/1.1 407 Who\r\nContent-Length: 2\r\n\r\nno",
        (407, b"Who", [(b"Content-Length", b"2")]),
        b"no",
        method=b"CONNECT",
    ),
    "one chunk": Case(
        CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
        (200, b"OK", [(b"Transfer-Encoding", b"chunked")]),
        b"hello",
    ),
    "chunks": Case(
        CHUNKED + b"0000000000000005\r\nhello\r\nA\r\n0123456789\r\n00\r\n\r\n",
        (200, b"OK", [(b"Transfer-Encoding", b"chunked")]),
        b"hello0123456789",
    ),
    "no chunk": Case(CHUNKED + b"0\r\n\r\n", (200, b"OK", [(b"Transfer-Encoding", b"chunked")])),
    "chunk extension": Case(
        CHUNKED + b"1\r\na\r\n1;x=y\r\nb\r\n0\r\n\r\n",
        (200, b"OK", [(b"Transfer-Encoding", b"chunked")]),
        b"ab",
    ),
    "extension of the first chunk": Case(
        CHUNKED + b"1;x=a-long-extension-indeed\r\na\r\n0\r\n\r\n",
        (200, b"OK", [(b"Transfer-Encoding", b"chunked")]),
        b"a",
    ),
    "extension of a later chunk": Case(
        CHUNKED + b"1\r\na\r\n1;x=a-long-extension-indeed\r\nb\r\n0\r\n\r\n",
        (200, b"OK", [(b"Transfer-Encoding", b"chunked")]),
        b"ab",
    ),
    "trailers": Case(
        CHUNKED + b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n",
        (200, b"OK", [(b"Transfer-Encoding", b"chunked")]),
        b"a",
        trailers=[(b"X-Sum", b"1")],
    ),
    "line feed instead of trailers": Case(
        CHUNKED + b"1\r\na\r\n0\r\n\n", (200, b"OK", [(b"Transfer-Encoding", b"chunked")]), b"a"
    ),
    "other fields of the same size": Case(
        OK
        + b"Content-Lengt2: x\r\nTransfer-Encodin2: y\r\nConnectio2: z\r\n"
        + b"Content-Length: 0\r\n\r\n",
        (
            200,
            b"OK",
            [
                (b"Content-Lengt2", b"x"),
                (b"Transfer-Encodin2", b"y"),
                (b"Connectio2", b"z"),
                (b"Content-Length", b"0"),
            ],
        ),
    ),
    "blanks": Case(
        OK + b"A:\r\nB: \t\r\nC:\t c \t d \t\r\nContent-Length:  0 \r\n\r\n",
        (200, b"OK", [(b"A", b""), (b"B", b""), (b"C", b"c \t d"), (b"Content-Length", b"0")]),
    ),
    "keep-alive": Case(
        OK + b"Connection: keep-alive\r\nConnection: x\r\nContent-Length: 0\r\n\r\n",
        (
            200,
            b"OK",
            [(b"Connection", b"keep-alive"), (b"Connection", b"x"), (b"Content-Length", b"0")],
        ),
    ),
    "list of lengths": Case(
        OK + b"Content-Length: 2, 2\r\n\r\nab", (200, b"OK", [(b"Content-Length", b"2")]), b"ab"
    ),
    "two lengths": Case(
        OK + b"Content-Length: 2\r\nContent-length: 2\r\n\r\nab",
        (200, b"OK", [(b"Content-Length", b"2")]),
        b"ab",
    ),
    "coding in capitals": Case(
        OK + b"Transfer-Encoding: CHUNKED\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        (200, b"OK", [(b"Transfer-Encoding", b"chunked")]),
        b"ab",
    ),
    "line feeds": Case(
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nab",
        (200, b"OK", [(b"Content-Length", b"2")]),
        b"ab",
    ),
    "folded": Case(
        OK + b"X: a\r\n  b\r\nContent-Length: 0\r\n\r\n",
        (200, b"OK", [(b"X", b"a b"), (b"Content-Length", b"0")]),
    ),
    "no reason": Case(
        b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", (200, b"", [(b"Content-Length", b"0")])
    ),
    "status beyond 599": Case(
        b"HTTP/1.1 999 ?\r\nContent-Length: 0\r\n\r\n", (999, b"?", [(b"Content-Length", b"0")])
    ),
    "interim responses": Case(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nLink: a\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
        (200, b"OK", [(b"Content-Length", b"2")]),
        b"ab",
    ),
    "both framings": Case(
        OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        (200, b"OK", [(b"Content-Length", b"9"), (b"Transfer-Encoding", b"chunked")]),
        b"ab",
        is_reusable=False,
    ),
    "204 with a length of 0": Case(
        b"HTTP/1.1 204 \r\nContent-Length: 0\r\n\r\n", (204, b"", [(b"Content-Length", b"0")])
    ),
    "empty line before the status line": Case(
        b"\r\n" + OK + b"Content-Length: 2\r\n\r\nab",
        (200, b"OK", [(b"Content-Length", b"2")]),
        b"ab",
        is_reusable=False,
    ),
    "empty line after an interim response": Case(
        b"HTTP/1.1 100 Continue\r\n\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nab",
        (200, b"OK", [(b"Content-Length", b"2")]),
        b"ab",
        is_reusable=False,
    ),
    "odd interim response": Case(
        b"\nHTTP/1.1 100\r\nX : y\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nab",
        (200, b"OK", [(b"Content-Length", b"2")]),
        b"ab",
        is_reusable=False,
    ),
    "interim response that closes": Case(
        b"HTTP/1.0 100 \r\nConnection: close\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nab",
        (200, b"OK", [(b"Content-Length", b"2")]),
        b"ab",
    ),
    "blank line before the first field": Case(
        OK + b" \t\r\nContent-Length: 2\r\n\r\nab",
        (200, b"OK", [(b"Content-Length", b"2")]),
        b"ab",
        is_reusable=False,
    ),
    "blank before the colon": Case(
        OK + b"Content-Length : 2\r\n\r\nab",
        (200, b"OK", [(b"Content-Length", b"2")]),
        b"ab",
        is_reusable=False,
    ),
    "chunked twice": Case(
        OK
        + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        (200, b"OK", [(b"Transfer-Encoding", b"chunked")]),
        b"ab",
        is_reusable=False,
    ),
    "chunked twice in one field": Case(
        OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        (200, b"OK", [(b"Transfer-Encoding", b"chunked")]),
        b"ab",
        is_reusable=False,
    ),
    "identity and chunked": Case(
        OK + b"Transfer-Encoding: identity, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        (200, b"OK", [(b"Transfer-Encoding", b"chunked")]),
        b"ab",
        is_reusable=False,
    ),
    "blank before a chunk extension": Case(
        CHUNKED + b"2 ;x\r\nab\r\n0\t;y\r\n\r\n",
        (200, b"OK", [(b"Transfer-Encoding", b"chunked")]),
        b"ab",
    ),
    "HTTP/1.0": Case(
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
        (200, b"OK", [(b"Content-Length", b"2")]),
        b"ab",
        version=b"HTTP/1.0",
        is_reusable=False,
    ),
}
CUTS: dict[str, Callable[[bytes], list[bytes]]] = {
    "whole": lambda data: [data],
    "byte by byte": bytewise,
    "in halves": lambda data: [data[: len(data) // 2], data[len(data) // 2 :]],
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
each_cut = pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)


@each_case
@each_cut
@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_a_response_is_read(case: Case, cut: Callable[[bytes], list[bytes]], times: int) -> None:
    codec = HTTP11Codec()
    for _ in range(times if case.is_reusable else 1):
        codec.start_request(case.method, b"/", [HOST], None)
        head, body = read(codec, cut(case.data))
        assert head == (case.version, *case.head)
        assert body == case.body
        assert codec.trailers == list(case.trailers)
        assert codec.response_state is ResponseState.DONE
        assert codec.is_reusable == case.is_reusable


@each_case
@pytest.mark.parametrize("surplus", [b"\r\n", b"x", OK + b"\r\n"])
@pytest.mark.parametrize("is_apart", [False, True], ids=["at once", "apart"])
def test_bytes_after_a_response_condemn_the_connection(
    case: Case, surplus: bytes, is_apart: bool
) -> None:
    codec = started(case.method)
    segments = [case.data, surplus] if is_apart else [case.data + surplus]
    _, body = read(codec, segments)
    assert body == case.body
    assert not codec.is_reusable
    assert codec.leading_data == surplus


@each_cut
@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n",
    ],
)
def test_a_body_without_a_length_ends_with_the_connection(
    cut: Callable[[bytes], list[bytes]], fields: bytes
) -> None:
    codec = started()
    head, body = read(codec, [*cut(OK + fields + b"\r\nhello"), b""])
    assert head.status == 200
    assert body == b"hello"
    assert codec.response_state is ResponseState.DONE
    assert not codec.is_reusable


@each_cut
@pytest.mark.parametrize(
    ("method", "fields", "head"),
    [
        (b"GET", [UPGRADE], b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
        (b"CONNECT", [], b"HTTP/1.1 200 OK\r\n\r\n"),
        (b"CONNECT", [], b"HTTP/1.0 299 \r\nContent-Length: 5\r\n\r\n"),
    ],
)
def test_data_after_an_upgrade_belongs_to_the_new_protocol(
    cut: Callable[[bytes], list[bytes]], method: bytes, fields: Headers, head: bytes
) -> None:
    codec = started(method, *fields)
    read(codec, cut(head + b"\x00hello"))
    assert codec.response_state is ResponseState.SWITCHED
    assert codec.leading_data == b"\x00hello"
    assert not codec.is_reusable


def test_a_tunnel_may_follow_other_exchanges() -> None:
    codec = HTTP11Codec()
    head = OK + b"Content-Length: 0\r\n\r\n"
    for _ in range(2):
        codec.start_request(b"GET", b"/", [HOST], None)
        read(codec, [head])
    codec.start_request(b"CONNECT", b"a:1", [HOST], None)
    read(codec, [head])
    assert codec.response_state is ResponseState.SWITCHED


@pytest.mark.parametrize(
    ("fields", "timeout"),
    [
        (b"", None),
        (b"Keep-Alive: timeout=5\r\n", 5),
        (b"keep-alive: max=3, TIMEOUT = 15\r\n", 15),
        (b"Keep-Alive: timeout=\r\n", None),
        (b"Keep-Alive: notimeout=5\r\n", None),
        (b"Keep-Alive: timeout=1234567890\r\n", None),
        (b"Keep-Alive: timeout=5\r\nX: \x01\r\n", 5),
        (b"X: \x01\r\n", None),
    ],
)
def test_the_server_may_say_how_long_it_keeps_the_connection(
    fields: bytes, timeout: int | None
) -> None:
    codec = started()
    read(codec, [OK + fields + b"Content-Length: 0\r\n\r\n"])
    assert codec.keep_alive_timeout == timeout
    for other in (b"", b"X: \x01\r\n"):
        codec.start_request(b"GET", b"/", [HOST], None)
        read(codec, [OK + other + b"Content-Length: 0\r\n\r\n"])
        assert codec.keep_alive_timeout is None


# What is refused


@pytest.mark.parametrize("data", [b"", b"H", OK, b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_connection_that_ends_before_the_response_is_an_error(data: bytes) -> None:
    codec = started()
    if data:
        codec.receive(data)
        assert codec.take_head() is None
    codec.receive(b"")
    with pytest.raises(RemoteProtocolError, match="Server disconnected without sending a response"):
        codec.take_head()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (OK + b"Content-Length: 5\r\n\r\nab", r"message body \(received 2 bytes, expected 5\)"),
        (OK + b"Content-Length: 5,5\r\n\r\nab", r"message body \(received 2 bytes, expected 5\)"),
        (CHUNKED, r"message body \(incomplete chunked read\)"),
        (CHUNKED + b"5", r"message body \(incomplete chunked read\)"),
        (CHUNKED + b"5\r\nab", r"message body \(incomplete chunked read\)"),
        (CHUNKED + b"2\r\nab\r", r"message body \(incomplete chunked read\)"),
        (CHUNKED + b"2\r\nab\r\n0\r\n\r", r"message body \(incomplete chunked read\)"),
        (CHUNKED + b"2;x\r\nab", r"message body \(incomplete chunked read\)"),
        (CHUNKED + b"2\r\nab\r\n0\r\nX: y\r\n", r"message body \(incomplete chunked read\)"),
    ],
)
def test_a_body_that_breaks_off_is_an_error(data: bytes, message: str) -> None:
    for segments in ([data], bytewise(data)):
        codec = started()
        with pytest.raises(RemoteProtocolError, match=message):
            read(codec, [*segments, b""])
        assert not codec.is_reusable


def test_a_body_that_broke_off_before_it_was_read_is_an_error() -> None:
    codec = received(CHUNKED)
    codec.receive(b"2\r\nab\r\n2;x\r\nc")
    codec.receive(b"")
    assert codec.take_chunk() == b"abc"
    with pytest.raises(RemoteProtocolError, match="incomplete chunked read"):
        codec.take_chunk()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x15\x03\x01", "did not send an HTTP/1.1 response"),
        (b"\r\n\r\n" + OK + b"\r\n", "did not send an HTTP/1.1 response"),
        (b"ICY 200 OK\r\n\r\n", "did not send an HTTP/1.1 response"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "did not send an HTTP/1.1 response"),
        (b"HTTP/1.1 099 OK\r\n\r\n", "should be in range"),
        (b"HTTP/1.1 101 OK\r\n\r\n", "without a pending proposal"),
        (OK + b"X\r\n\r\n", "illegal header line"),
        (OK + b" X: y\r\n\r\n", "continuation line at start of headers"),
        (OK + b"X: a\0b\r\n\r\n", "illegal header line"),
        (OK + b"Content-Length: -1\r\n\r\n", "bad Content-Length"),
        (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "conflicting Content-Length"),
        (OK + b"Content-Length: 123456789012345678901\r\n\r\n", "bad Content-Length"),
        (OK + b"Transfer-Encoding: gzip\r\n\r\n", "Only Transfer-Encoding: chunked is supported"),
        (CHUNKED + b"x\r\n", "illegal chunk header"),
        (CHUNKED + b"1\r\na\r\nx\r\n", "illegal chunk header"),
        (CHUNKED + b"1\r\nab", "A chunk of the body is longer than its size says"),
        (CHUNKED + b"1\r\na\rb", "A chunk of the body is longer than its size says"),
        (CHUNKED + b"1;x\r\nab", "A chunk of the body is longer than its size says: b'b'"),
        (CHUNKED + b"0\r\nX\r\n\r\n", "illegal header line"),
    ],
)
@each_cut
def test_a_response_that_breaks_the_rules_is_refused(
    data: bytes, message: str, cut: Callable[[bytes], list[bytes]]
) -> None:
    codec = started()
    with pytest.raises(RemoteProtocolError, match=message):
        read(codec, cut(data))
    assert not codec.is_reusable


NO_RESPONSE = [
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"SSH-2.0-OpenSSH_9.6",
    b"220 mail.example.com ESMTP Postfix\r\n",
    b"220-FTP server ready\r\n",
    b"554 no\r\n",
    b"+OK POP3 ready\r\n",
    b"* OK IMAP4rev1\r\n",
    b"RFB 003.008\n",
    b"\x15\x03\x01\x00\x02\x02\x16",
    b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    b"J\x00\x00\x00\n8.0.36\x00",
    b"-ERR wrong number of arguments\r\n",
    b"AMQP\x00\x00\x09\x01",
    b"<html><body>Hello</body></html>",
    b"<!DOCTYPE html>\n<html>\n",
    b"<?xml version='1.0'?>\n",
    b'{"error": "bad request"}',
    b"Hello",
    b"\r\n\r\n",
    b"\n\n",
    b"\r\r",
    b" HTTP/1.1 200 OK\r\n",
    b"ICY 200 OK\r\n",
    b"RTSP/1.0 200 OK\r\n",
    b"http/1.1 200 OK\r\n",
    b"HTTP 200 OK\r\n",
    b"HTTP/1 200 OK\r\n",
    b"HTTP/2 200\r\n",
    b"HTTP/1.1  200 OK\r\n",
    b"HTTP/1.1\r\n",
    b"HTTP/1.1 OK\r\n",
    b"HTTP/1.1 20 OK\r\n",
    b"HTTP/1.1 2000 OK\r\n",
    b"GET / HTTP/1.1\r\n",
    OK + b"<html>",
    OK + b"<html>\r\n",
    OK + b"no field\r\n",
    OK + b"nofield\n",
    OK + b"X: y\r\n: z\r\n",
    OK + b"X: y\r\nX: \0\r\n",
    b"HTTP/1.1 200 \0\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nSSH-2.0-OpenSSH_9.6\r\n",
    CHUNKED + b"5\nhello\n0\n\n",
    CHUNKED + b"5\n",
    CHUNKED + b"5;x\n",
    CHUNKED + b"\n",
    CHUNKED + b"\r\n",
    CHUNKED + b"<html>",
    CHUNKED + b"-1",
    CHUNKED + b"0x5",
    CHUNKED + b"5 5",
    CHUNKED + b"5\r\nhello\n",
    CHUNKED + b"5\r\nhello0\r\n",
    CHUNKED + b"5\r\nhello\r\n\r\n",
    CHUNKED + b"5\r\nhello\r\n5\n",
    CHUNKED + b"0\n",
    CHUNKED + b"0\r\nnonsense\r\n",
    CHUNKED + b"0\r\n<html>",
]


@each_cut
@pytest.mark.parametrize("surplus", [b"", b"x", b"\r\n"])
@pytest.mark.parametrize("data", NO_RESPONSE)
def test_bytes_that_can_never_become_a_response_are_refused_while_the_connection_is_open(
    data: bytes, surplus: bytes, cut: Callable[[bytes], list[bytes]]
) -> None:
    codec = started()
    with pytest.raises(RemoteProtocolError, match=r"b['\"]"):  # it says what came
        read(codec, cut(data + surplus))
    assert not codec.is_reusable


# Size and time


def padded(size: int) -> bytes:
    """A head of `size` bytes before its blank line."""
    start = OK + b"Content-Length: 0\r\nX: "
    return start + b"x" * (size - len(start) - 2) + b"\r\n\r\n"


def slices(data: bytes) -> list[bytes]:
    return [data[at : at + 997] for at in range(0, len(data), 997)]


@pytest.mark.parametrize("cut", [CUTS["whole"], slices], ids=["whole", "in slices"])
def test_a_head_may_have_a_hundred_kibibytes(cut: Callable[[bytes], list[bytes]]) -> None:
    codec = started()
    head, _ = read(codec, cut(padded(HEAD_LIMIT)))
    assert len(head.headers[1][1]) > HEAD_LIMIT - 100
    assert codec.is_reusable


@pytest.mark.parametrize("cut", [CUTS["whole"], slices], ids=["whole", "in slices"])
@pytest.mark.parametrize("surplus", [1, 2, 100_000])
def test_a_longer_head_is_refused(cut: Callable[[bytes], list[bytes]], surplus: int) -> None:
    codec = started()
    with pytest.raises(
        RemoteProtocolError,
        match=r"head is longer than 102400 bytes\. To allow more, raise MAX_INCOMPLETE",
    ):
        read(codec, cut(padded(HEAD_LIMIT + surplus)))


def test_a_head_without_an_end_is_refused() -> None:
    codec = started()
    codec.receive(padded(HEAD_LIMIT + 1)[:-1])
    with pytest.raises(RemoteProtocolError, match="head is longer than 102400 bytes"):
        codec.take_head()


MANY = 100_000
END = b"Content-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (OK + b"X:" + b" " * MANY + b"\r\n" + END, 2),
        (OK + b"X:" + b" " * MANY + b"\x01\r\n" + END, 2),
        (OK + b"X: a" + b" \t" * (MANY // 2) + b"b\r\n" + END, 2),
        (OK + b"X: a" + b" a" * (MANY // 2) + b"\x01\r\n" + END, 2),
        (OK + b"X:\r\n" * (MANY // 5) + END, MANY // 5 + 1),
        (OK + b"X: a\r\n b" + b"\r\n b" * (MANY // 5) + b"\r\n" + END, 2),
        (b"HTTP/1.1 200" + b" " * MANY + b"\r\n" + END, 1),
        (OK + b"Keep-Alive: timeout" + b" " * MANY + b"x\r\n" + END, 2),
        (OK + b"Keep-Alive:" + b" timeout" * (MANY // 8) + b"x\r\n" + END, 2),
        (OK + b"Connection:" + b" ," * (MANY // 2) + b"x\r\n" + END, 2),
    ],
)
def test_a_head_made_to_take_long_is_read(data: bytes, fields: int) -> None:
    codec = started()
    head, _ = read(codec, [data])
    assert len(head.headers) == fields
    assert codec.is_reusable


@pytest.mark.parametrize(
    "data",
    [
        OK + b"X:" + b" " * MANY + b"\0\r\n\r\n",
        OK + b"X: a" + b" a" * (MANY // 2) + b"\0\r\n\r\n",
        OK + b"X" * MANY + b"\r\n\r\n",
        OK + b"X" * MANY + b" y\r\n\r\n",
        OK + b"X:\r\n" * (MANY // 5) + b"\0\r\n\r\n",
        b"HTTP/1.1 200" + b" " * MANY + b"\0\r\n\r\n",
        b" " * MANY + b"\r\n\r\n",
        b"x" * MANY + b"\r\n\r\n",
        b"\n" * MANY,
        b"x" + b"\r" * MANY + b"\n\n",
        OK + b"Content-Length: " + b"1" * MANY + b"\r\n\r\n",
        OK + b"Content-Length: 1" + b",1" * (MANY // 2) + b",2\r\n\r\n",
        CHUNKED + b"0" * MANY + b"\r\n",
        CHUNKED + b" " * MANY + b"\r\n",
        CHUNKED + b"1\r\na\r\n" + b"0" * MANY + b"\r\n",
        CHUNKED + b"1\r\na\r\n1" + b" \t" * (MANY // 2) + b"x\r\n",
        CHUNKED + b"1\r\na\r\n0\r\nX:" + b" " * MANY + b"\0\r\n\r\n",
    ],
)
def test_a_response_made_to_take_long_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read(started(), [data])


@pytest.mark.parametrize(
    "value",
    [
        b"a" + b" " * MANY,
        b" " * MANY + b"a",
        b"a " * MANY + b"\0",
        b"\t" * MANY,
        b"a" * MANY + b"\n",
    ],
)
def test_a_request_made_to_take_long_is_refused(value: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        started(b"GET", (b"X", value))


def test_a_body_of_many_small_chunks_is_read() -> None:
    codec = received(CHUNKED)
    codec.receive(b"1\r\na\r\n" * (MANY // 6) + b"0\r\n\r\n")
    assert codec.take_chunk() == b"a" * (MANY // 6)
    assert codec.take_chunk() == b""
    assert codec.is_reusable


def test_the_size_of_a_head_before_a_large_body_is_known_until_a_smaller_one_comes() -> None:
    codec = received(OK + b"Content-Length: 32768\r\n\r\n" + bytes(32768))
    assert codec.head_size == len(OK) + 25
    assert body_of(codec) == bytes(32768)
    codec.start_request(b"GET", b"/", [HOST], None)
    codec.receive(OK + b"Content-Length: 32767\r\n\r\n")
    assert codec.take_head() is not None
    assert codec.head_size == 0
