"""The work that a response causes grows with its bytes, however few of them come at a time.

It is counted: the bytes that are searched for the ends of lines and heads, those that are given to h11,
those of an incomplete part that are copied, and the lines of Python that are run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from httpcore2_core._exceptions import RemoteProtocolError
from httpcore2_core._http11 import codec as codec_module
from httpcore2_core._http11 import h11_fallback, lines
from httpcore2_core._http11.codec import NO_BODY_LEFT, HTTP11Codec

HOST = (b"Host", b"example.com")
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
END = b"Content-Length: 0\r\n\r\n"


class Received(bytearray):
    """Counts how many bytes are searched or copied of what is incomplete."""

    work = 0

    def find(self, *arguments: Any) -> int:
        return self._searched(super().find, *arguments)

    def rfind(self, *arguments: Any) -> int:
        return self._searched(super().rfind, *arguments)

    def _searched(self, search: Callable[..., int], what: bytes, *bounds: int) -> int:
        start, end, _ = slice(*bounds, *(None,) * (2 - len(bounds))).indices(len(self))
        found = search(what, *bounds)
        if found < 0:
            Received.work += max(0, end - start)
        else:
            # From the end, the search stops where it finds something.
            Received.work += end - found if "rfind" in repr(search) else found - start
        return found

    def __getitem__(self, key: Any) -> Any:
        item = super().__getitem__(key)
        if isinstance(item, bytearray):
            Received.work += len(item)
        return Received(item) if isinstance(item, bytearray) else item


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    def scanning(search: Callable[..., Any]) -> Callable[..., Any]:
        def scan(data: bytes, start: int = 0, *remaining: int) -> Any:
            found = search(data, start, *remaining)
            end = min(remaining[0], len(data)) if remaining else len(data)
            Received.work += max(0, (end if found is None else found.end()) - start)
            return found

        return scan

    def copying(read: Callable[..., Any]) -> Callable[..., Any]:
        def copy(*arguments: Any) -> Any:
            Received.work += len(arguments[-1])
            return read(*arguments)

        return copy

    Received.work = 0
    monkeypatch.setattr(codec_module, "bytearray", Received, raising=False)
    monkeypatch.setattr(lines, "_find_blank_line", scanning(lines._find_blank_line))
    for name in ("_match_status_line", "_match_field_line", "_may_be_field_line"):
        monkeypatch.setattr(lines, name, scanning(getattr(lines, name)))
    for name in ("_match_chunk_line", "_may_be_chunk_line"):
        monkeypatch.setattr(lines, name, scanning(getattr(lines, name)))
    for name in ("read_head", "read_trailers"):
        monkeypatch.setattr(h11_fallback, name, copying(getattr(h11_fallback, name)))


def fed(data: bytes, size: int, method: bytes = b"GET") -> HTTP11Codec:
    """A codec that has read `data` in segments of that size; it may be incomplete, or refused."""
    codec = HTTP11Codec()
    codec.start_request(method, b"/", [HOST], None)
    head = None
    for at in range(0, len(data), size):
        codec.receive(data[at : at + size])
        try:
            head = head or codec.take_head()
            while head is not None and codec.take_chunk():
                pass
        except RemoteProtocolError:
            break
    return codec


MANY = 20_000
HEADS = {
    "one field": OK + b"X: " + b"y" * MANY + b"\r\n" + END,
    "one name": OK + b"X" * MANY + b": y\r\n" + END,
    "blanks": OK + b"X:" + b" " * MANY + b"\r\n" + END,
    "many fields": OK + b"X: y\r\n" * (MANY // 6) + END,
    "empty fields": OK + b"X:\n" * (MANY // 3) + END,
    "folded": OK + b"X: y\r\n" + b" y\r\n" * (MANY // 4) + END,
    "reason": b"HTTP/1.1 200 " + b"y" * MANY + b"\r\n" + END,
    "after an interim response": CONTINUE + OK + b"X: " + b"y" * MANY + b"\r\n" + END,
    "interim": b"HTTP/1.1 103 \r\nX: " + b"y" * MANY + b"\r\n\r\n" + OK + END,
    "interim responses": CONTINUE * 100 + OK + END,
    "for h11": b"HTTP/1.1 200\r\nX: " + b"y" * MANY + b"\r\n" + END,
}
BODIES = {
    "trailers": CHUNKED + b"0\r\n" + b"X: y\r\n" * 2500 + b"\r\n",
    "one trailer": CHUNKED + b"0\r\nX: " + b"y" * 15_000 + b"\r\n\r\n",
    "extensions": CHUNKED + (b"ffff;" + b"x" * 4000 + b"\r\n" + bytes(0xFFFF) + b"\r\n") * 3,
    "blanks in a size line": CHUNKED
    + (b"fff" + b" " * 4000 + b"\r\n" + bytes(0xFFF) + b"\r\n") * 3,
    "small chunks": CHUNKED + b"1\r\na\r\n" * 4000 + b"0\r\n\r\n",
    "small chunks with extensions": CHUNKED + b"1;x\r\na\r\n" * 4000 + b"0\r\n\r\n",
}
# How often a byte may be scanned: by the searches for the ends of lines and of the head, by the check of a line and its
# beginning (64 bytes each time), and by the parser of the whole head.
OFTEN = 128


@pytest.mark.parametrize("size", [1, 2, 100, 10_000])
@pytest.mark.parametrize("method", [b"GET", b"CONNECT"])
@pytest.mark.parametrize("data", HEADS.values(), ids=HEADS)
def test_each_byte_of_a_head_is_scanned_a_bounded_number_of_times(
    data: bytes, method: bytes, size: int
) -> None:
    codec = fed(data, size, method)
    assert codec.response_state in NO_BODY_LEFT
    assert Received.work <= OFTEN * len(data)


@pytest.mark.parametrize("size", [1, 2, 100, 10_000])
@pytest.mark.parametrize("data", BODIES.values(), ids=BODIES)
def test_each_byte_of_a_body_is_scanned_a_bounded_number_of_times(data: bytes, size: int) -> None:
    fed(data, size)
    assert Received.work <= OFTEN * len(data)


@pytest.mark.parametrize("data", [*HEADS.values(), *BODIES.values()], ids=[*HEADS, *BODIES])
def test_twice_the_bytes_are_twice_the_work(data: bytes) -> None:
    """Cut off anywhere, so that a part that is never complete costs no more."""
    works = []
    for share in (4, 2, 1):
        Received.work = 0
        fed(data[: len(data) // share - 1], 1)
        works.append(Received.work)
    assert works[1] <= 2.5 * works[0] + 10_000
    assert works[2] <= 2.5 * works[1] + 10_000


def test_incomplete_data_grows_in_place() -> None:
    codec = HTTP11Codec()
    codec.start_request(b"GET", b"/", [HOST], None)
    for byte in CONTINUE + OK + b"X: ":
        codec.receive(bytes([byte]))
        assert codec.take_head() is None
    data = codec._data
    for _ in range(1000):
        codec.receive(b"y")
        assert codec.take_head() is None
        assert codec._data is data


def lines_run(function: Callable[[], object]) -> int:
    """How many lines of Python are run by it."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("chunk", [b"1\r\na\r\n", b"1;x\r\na\r\n", b"1 \t;x=y\r\na\r\n"])
def test_chunks_received_together_cost_the_same_each(chunk: bytes) -> None:
    counts = []
    for number in (250, 500):
        codec = fed(CHUNKED, len(CHUNKED))
        codec.receive(chunk * number)
        counts.append(lines_run(codec.take_chunk))
    assert counts[0] > 250 * 5
    assert counts[1] <= 2.1 * counts[0]
    # 50 ns each, say: 8,000 chunks of eight bytes in a read of 64 KiB hold an event loop up for 20 ms.
    assert counts[1] <= 50 * 500
