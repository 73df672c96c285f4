"""Every regular expression matches the same as a plain loop, on each supported release of CPython, in linear time.

CPython 3.11.0 to 3.11.4 match possessive and atomic groups wrongly (gh-106052), so none has any.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from itertools import product
from re import _parser  # type: ignore[attr-defined]
from types import ModuleType

import pytest

import httpcore2
import httpcore2_asyncio
import httpcore2_cli
import httpcore2_core
import httpcore2_http2
import httpcore2_http3
import httpcore2_opentelemetry
import httpcore2_trio
from httpcore2_core import _urls
from httpcore2_core._http import fields, stream_fields
from httpcore2_core._http11 import chunked, h11_fallback, heads, lines
from httpcore2_core._http11.heads import HEAD_LIMIT, FieldNames, HeaderBlock, read_head

PACKAGES = (
    httpcore2,
    httpcore2_core,
    httpcore2_asyncio,
    httpcore2_trio,
    httpcore2_http2,
    httpcore2_http3,
    httpcore2_cli,
    httpcore2_opentelemetry,
)

TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
VISIBLE = frozenset(range(0x21, 0x7F))
TEXT = VISIBLE | frozenset(range(0x80, 0x100))
BLANKS = frozenset(b" \t")
DIGITS = frozenset(b"0123456789")
HEX = frozenset(b"0123456789abcdefABCDEF")
NAMES = FieldNames()


def strings(alphabet: list[bytes], longest: int) -> Iterator[bytes]:
    for size in range(longest + 1):
        for parts in product(alphabet, repeat=size):
            yield b"".join(parts)


# Visible, blank, tab, CR, LF, NUL, colon, obs-text, DEL, and the other bytes that a pattern names.
COMMON = [b"a", b" ", b"\t", b"\r", b"\n", b"\0", b":", b"\xe9", b"\x7f"]


def is_all(data: bytes, allowed: frozenset[int], least: int = 1, most: int | None = None) -> bool:
    return (
        len(data) >= least
        and (most is None or len(data) <= most)
        and all(c in allowed for c in data)
    )


def is_value(data: bytes) -> bool:
    """Return whether `data` is a field value of RFC 9110, section 5.5, without leading or trailing blanks."""
    inside = all(code in TEXT or code in BLANKS for code in data)
    return inside and not (data and (data[0] in BLANKS or data[-1] in BLANKS))


def is_field_line(line: bytes) -> bool:
    name, colon, value = line.partition(b": ")
    return colon == b": " and is_all(name, TOKEN) and is_value(value)


def is_status_line(line: bytes) -> bool:
    start, status, rest = line[:9], line[9:12], line[12:]
    return (
        start == b"HTTP/1.1 "
        and is_all(status, DIGITS, 3, 3)
        and status[:1] in (b"2", b"3", b"4", b"5")
        and rest[:1] == b" "
        and all(code in TEXT or code in BLANKS for code in rest)
    )


def is_chunk_line(line: bytes) -> bool:
    if line[-2:] != b"\r\n" or b"\n" in line[:-2]:
        return False
    size, _, _ = line[:-2].partition(b";")
    digits = size.rstrip(b" \t")
    return is_all(digits, HEX, 1, 20)


def is_authority(data: bytes) -> bool:
    host, colon, port = data.rpartition(b":")
    if not colon or not is_all(port, DIGITS, 1, 5):
        return False
    if host[:1] == b"[":
        return host[-1:] == b"]" and is_all(host[1:-1], HEX | frozenset(b":."))
    return is_all(host, frozenset(b"!$&'()*+,;=%._~-") | (TOKEN - frozenset(b"#^`|")))


def is_plain_url(data: bytes) -> bool:
    for scheme in (b"http://", b"https://"):
        if data.startswith(scheme):
            rest = data[len(scheme) :]
            break
    else:
        return False
    host_chars = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789.-")
    end = 0
    while end < len(rest) and rest[end] in host_chars:
        end += 1
    if end == 0:
        return False
    rest = rest[end:]
    if rest[:1] == b":":
        end = 1
        while end < len(rest) and rest[end] in DIGITS:
            end += 1
        if not 1 <= end - 1 <= 5:
            return False
        rest = rest[end:]
    if not rest:
        return True
    path, _, query = rest.partition(b"?")
    target = VISIBLE - frozenset(b"#")
    return path[:1] == b"/" and is_all(path, target - frozenset(b"?")) and is_all(query, target, 0)


Match = Callable[[bytes], object]

CASES: dict[str, tuple[Match, Callable[[bytes], bool], list[bytes], int]] = {
    "token": (fields.is_token, lambda data: is_all(data, TOKEN), COMMON, 5),
    "target": (fields.is_target, lambda data: is_all(data, VISIBLE), COMMON, 5),
    "value": (fields.is_value, is_value, COMMON, 6),
    "length": (
        fields.is_length,
        lambda data: is_all(data, DIGITS, 1, 19),
        [b"0", b"9", *COMMON],
        4,
    ),
    "lengths": (fields.is_length, lambda data: is_all(data, DIGITS, 1, 19), [b"0" * 9, b"1"], 6),
    "status line": (
        lambda data: heads._match_status_line(b"HTTP/1.1 200" + data),
        lambda data: b"\n" not in data and data[:1] == b" ",  # lines are split and checked before
        COMMON,
        5,
    ),
    "status": (
        lambda data: heads._match_status_line(b"HTTP/1.1 " + data + b" OK"),
        lambda data: is_status_line(b"HTTP/1.1 " + data + b" OK"),
        [b"0", b"1", b"2", b"5", b"6", b"a", b" "],
        4,
    ),
    "chunk line": (
        lambda data: lines._match_chunk_line(data),
        lambda data: is_chunk_line(data[: data.find(b"\n") + 1]),
        [b"5", b"F", b";", b" ", b"\t", b"\r\n", b"\r", b"\n", b"x"],
        5,
    ),
    "chunk size": (
        lambda data: lines._match_chunk_line(data + b"\r\n"),
        lambda data: is_all(data, HEX, 1, 20),
        [b"0" * 5, b"a", b"F", b"g"],
        5,
    ),
    "authority": (
        stream_fields._is_authority,
        is_authority,
        [b"a", b"1", b":", b"[", b"]", b".", b"/", b" ", b"\n"],
        6,
    ),
    "received name": (
        stream_fields._is_received_name,
        lambda data: is_all(data, VISIBLE - frozenset(b":ABCDEFGHIJKLMNOPQRSTUVWXYZ")),
        [b"Z", b"[", b"@", *COMMON],
        4,
    ),
    "url": (
        _urls._match_plain_url,
        is_plain_url,
        [b"http://", b"https://", b"a", b":", b"8", b"/", b"?", b"#", b"\n"],
        6,
    ),
}


@pytest.mark.parametrize(
    ("match", "reference", "alphabet", "longest"), CASES.values(), ids=list(CASES)
)
def test_a_pattern_matches_the_same_as_a_plain_loop(
    match: Match, reference: Callable[[bytes], bool], alphabet: list[bytes], longest: int
) -> None:
    assert [
        data for data in strings(alphabet, longest) if (match(data) is not None) != reference(data)
    ] == []


@pytest.mark.parametrize("match", [fields.is_token, fields.is_target, fields.is_value])
def test_each_byte_is_in_its_class_of_the_grammar(match: Match) -> None:
    allowed = {fields.is_token: TOKEN, fields.is_target: VISIBLE, fields.is_value: TEXT}[match]  # type: ignore[index]
    for code in range(256):
        assert (match(bytes([code])) is not None) == (code in allowed)
    inner = fields.is_value(b"a\xffa")
    assert inner is not None


def test_a_request_is_plain_if_each_of_its_fields_is() -> None:
    host = (b"Host", b"a")
    for value in strings(COMMON, 4):
        is_plain = HeaderBlock([host, (b"X", value)], NAMES).is_plain
        assert is_plain == is_field_line(b"X: " + value), value
        assert HeaderBlock([(b"X", value), host, (b"Y", b"")], NAMES).is_plain == is_plain
    for name in strings(COMMON, 3):
        assert HeaderBlock([host, (name, b"")], NAMES).is_plain == is_field_line(name + b": "), name


def test_a_response_is_plain_if_each_of_its_lines_is() -> None:
    for rest in strings([b"X", b":", b"\r\n", *COMMON[1:6], b"\xe9"], 5):
        data = b"HTTP/1.1 200 OK\r\n" + rest + b"\r\n\r\n"
        end = data.index(b"\r\n\r\n")
        fields = data[:end].split(b"\r\n")[1:]
        is_plain = all(
            is_all(field.partition(b":")[0], TOKEN)
            and b":" in field
            and all(code in TEXT or code in BLANKS for code in field)
            for field in fields
        )
        assert (read_head(data, HEAD_LIMIT, NAMES) is not None) == is_plain, data


# Every pattern


def modules() -> Iterator[ModuleType]:
    for package in PACKAGES:
        yield package
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)


def patterns() -> dict[str, re.Pattern[bytes] | re.Pattern[str]]:
    """Yield all patterns of a module, those of bound methods included."""
    found = {}
    for module in modules():
        for name, value in vars(module).items():
            owner = getattr(value, "__self__", value)
            if isinstance(owner, re.Pattern):
                found[f"{module.__name__}.{name}"] = owner
    return found


def operations(parsed: object) -> Iterator[str]:
    """Yield the operations of a parsed pattern, nested ones included."""
    if isinstance(parsed, _parser.SubPattern):
        parsed = parsed.data
    if isinstance(parsed, list | tuple):
        for item in parsed:
            yield from operations(item)
    else:
        yield str(parsed)


def test_no_pattern_uses_an_operation_that_some_releases_match_wrongly() -> None:
    found = patterns()
    assert "httpcore2_core._http.fields.is_value" in found
    assert "httpcore2_core._http.stream_fields._is_authority" in found
    assert len(found) > 20
    for name, pattern in found.items():
        used = set(operations(_parser.parse(pattern.pattern, pattern.flags)))
        assert not used & {"POSSESSIVE_REPEAT", "ATOMIC_GROUP"}, name
    assert "POSSESSIVE_REPEAT" in set(operations(_parser.parse("(?:a(?:b++)?)++")))


MANY = 100_000
LONG = [
    b"a" * MANY,
    b" " * MANY,
    b"a" + b" " * MANY,
    b"a" + b" " * MANY + b"\0",
    b"a " * (MANY // 2) + b"\0",
    b"a: " + b" b" * (MANY // 2) + b"\0\r\n",
    b"5;" + b" " * MANY + b"\0",
    b"5" + b" \t" * (MANY // 2) + b"x",
    b"http://" + b"a" * MANY + b"\n",
    b"http://a/" + b"?" * MANY + b"\n",
    b"timeout" * (MANY // 7),
    b"timeout" + b" " * MANY + b"=" + b" " * MANY,
    b"transfer-encoding:\n" + b" \n" * (MANY // 2),
    b"x\n" + b" \t\n" * (MANY // 3) + b" ",
    b"\n\r" * (MANY // 2),
    b"[" + b":" * MANY,
]


@pytest.mark.parametrize("data", LONG, ids=lambda data: f"{data[:12]!r}")
def test_a_pattern_takes_linear_time(data: bytes) -> None:
    """In quadratic time each of these takes minutes."""
    for pattern in patterns().values():
        if isinstance(pattern.pattern, bytes):
            pattern.search(data) if pattern.flags & re.MULTILINE else pattern.match(data)
            pattern.fullmatch(data)


def test_chunk_patterns_of_the_fast_path_agree_with_the_others() -> None:
    for data in strings([b"5", b"F", b"\r\n", b"\r", b"\n", b";", b" "], 4):
        first = chunked._match_first_chunk(data)
        following = chunked._match_next_chunk(b"\r\n" + data)
        other = lines._match_chunk_line(data)
        assert (first is None) == (following is None)
        if first is not None:
            assert following is not None and other is not None
            assert first[1] == following[1] == other[1]
            assert first.end() == other.end() == following.end() - 2


def test_patterns_for_odd_heads_leave_other_bytes_as_they_are() -> None:
    for data in strings([b"a", b" ", b":", b"\n", b"\r\n", b"\t", b"/"], 5):
        plain = b"\n".join(
            name.rstrip(b" \t") + colon + rest
            if colon and is_all(name.rstrip(b" \t"), TOKEN)
            else name + colon + rest
            for name, colon, rest in (line.partition(b":") for line in data.split(b"\n"))
        )
        assert h11_fallback._remove_blanks(rb"\1:", data) == plain
