"""The memory of a pool for the arguments of requests: it changes no result."""

from __future__ import annotations

from typing import Any

import pytest

from httpcore2_core import URL
from httpcore2_core._arguments import RequestMemory, enforce_headers, include_request_headers

URLS = [URL("http://a"), URL("https://b:1"), URL("http://a:80")]
HEADERS: list[Any] = [
    None,
    [],
    {},
    [("X", "y")],
    [(b"X", b"y")],
    [["X", "y"]],
    {"X": "y"},
    (("X", "y"),),
    [("host", "c")],
    [("Content-Length", "3")],
    [("TRANSFER-ENCODING", "chunked"), (b"Host", b"c")],
]
CONTENTS: list[Any] = [None, b"", b"abc", bytearray(b"ab"), [b"a"]]


def test_a_memory_changes_no_result() -> None:
    memory = RequestMemory()
    for url in URLS:
        for headers in HEADERS:
            for content in CONTENTS:
                given = enforce_headers(headers, name="headers")
                expected = include_request_headers(given, url=url, content=content)
                for _ in range(2):
                    found = memory.headers(headers, url, content)
                    assert found == expected
                    found.clear()
    for text in ("http://a", "https://user@b:1/?c", "http://a"):
        assert memory.url(text) == URL(text)


def test_a_memory_compares_lists_whole() -> None:
    memory = RequestMemory()
    headers: list[Any] = [("Host", "a"), ("X", "y")]
    assert memory.headers(headers, URLS[0], None)[1] == (b"X", b"y")
    headers[1] = ("X", "z")
    assert memory.headers(headers, URLS[0], None)[1] == (b"X", b"z")


@pytest.mark.parametrize("value", [bytearray(b"y"), memoryview(b"y")], ids=["bytearray", "view"])
@pytest.mark.parametrize("is_name", [True, False], ids=["name", "value"])
def test_a_memory_refuses_other_types_that_equal_the_last_fields(value: Any, is_name: bool) -> None:
    memory = RequestMemory()
    memory.headers([(b"y", b"y")], URLS[0], None)
    field = (value, b"y") if is_name else (b"y", value)
    with pytest.raises(TypeError, match="must be bytes or str"):
        memory.headers([field], URLS[0], None)


def test_a_memory_converts_text_whose_comparison_with_bytes_is_an_error() -> None:
    class Strict(str):
        """Text whose comparison with bytes is an error, as of all text under `python -bb`."""

        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            raise BytesWarning

    memory = RequestMemory()
    memory.headers([(b"X", b"y")], URLS[0], None)
    found = memory.headers([(Strict("X"), "y")], URLS[0], None)
    assert found[1:] == [(b"X", b"y")]
