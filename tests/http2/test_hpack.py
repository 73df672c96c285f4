"""Header compression against hpack and RFC 7541: a corpus of field blocks in both directions, whole and repeated.

A caching codec must give the same fields as one that decodes each block anew, and leave the same dynamic table behind.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hpack import Decoder, NeverIndexedHeaderTuple
from hpack.hpack import encode_integer
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.table import HeaderTable
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from httpcore2_core._http.stream_fields import FieldSection
from httpcore2_http2 import _hpack
from httpcore2_http2._hpack import CachingDecoder, CachingEncoder

Field = tuple[bytes, bytes]

LIMIT = 64 * 1024

# RFC 7541, appendix C.3 (plain) and C.4 (Huffman): three requests on one connection.
REQUESTS: list[list[Field]] = [
    [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/")],
    [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/")],
    [(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/index.html")],
]
AUTHORITY = (b":authority", b"www.example.com")
REQUESTS[0] += [AUTHORITY]
REQUESTS[1] += [AUTHORITY, (b"cache-control", b"no-cache")]
REQUESTS[2] += [AUTHORITY, (b"custom-key", b"custom-value")]
PLAIN = [
    "828684410f7777772e6578616d706c652e636f6d",
    "828684be58086e6f2d6361636865",
    "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
]
HUFFMAN = [
    "828684418cf1e3c2e5f23a6ba0ab90f4ff",
    "828684be5886a8eb10649cbf",
    "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
]
# Appendix C.5: three responses that evict entries from a table of 256 bytes.
DATE = b"Mon, 21 Oct 2013 20:13:2%d GMT"
COOKIE = b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
LOCATION = (b"location", b"https://www.example.com")
RESPONSES = [
    [(b":status", b"302"), (b"cache-control", b"private"), (b"date", DATE % 1), LOCATION],
    [(b":status", b"307"), (b"cache-control", b"private"), (b"date", DATE % 1), LOCATION],
    [
        (b":status", b"200"),
        (b"cache-control", b"private"),
        (b"date", DATE % 2),
        LOCATION,
        (b"content-encoding", b"gzip"),
        (b"set-cookie", COOKIE),
    ],
]
EVICTING = [
    "4803333032580770726976617465611d" + (DATE % 1).hex() + "6e17" + LOCATION[1].hex(),
    "4803333037c1c0bf",
    "88c1611d" + (DATE % 2).hex() + "c05a04677a69707738" + COOKIE.hex(),
]


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize(
    ("blocks", "sections", "table_size"),
    [(PLAIN, REQUESTS, 4096), (HUFFMAN, REQUESTS, 4096), (EVICTING, RESPONSES, 256)],
    ids=["plain", "huffman", "evicting"],
)
def test_the_examples_of_the_rfc_are_decoded(
    blocks: list[str], sections: list[list[Field]], table_size: int, size: int
) -> None:
    decoder = CachingDecoder(LIMIT)
    decoder.header_table_size = table_size
    for block, section in zip(blocks[:size], sections, strict=False):
        assert decoder.decode_block(bytes.fromhex(block)) == section


# Received blocks


class Sent(NamedTuple):
    """A field of a block, and how it is represented (RFC 7541, section 6)."""

    field: Field
    prefix: int  # of a literal: 0x40 is added to the table, 0x00 is not, 0x10 must never be
    may_refer: bool
    is_compressed: bool


_huffman = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
_BITS = {0x40: 6, 0x00: 4, 0x10: 4}


def string(value: bytes, is_compressed: bool) -> bytes:
    if is_compressed:
        value = _huffman.encode(value)
    head = encode_integer(len(value), 7)
    head[0] |= 0x80 if is_compressed else 0
    return bytes(head) + value


class Server:
    """An encoder whose every choice is given."""

    def __init__(self) -> None:
        self._table = HeaderTable()

    def resize(self, size: int) -> bytes:
        self._table.maxsize = size
        update = encode_integer(size, 5)
        update[0] |= 0x20
        return bytes(update)

    def encode(self, sent: Sent) -> bytes:
        name, value = sent.field
        found = self._table.search(name, value) if sent.may_refer else None
        if found is not None and found[2] is not None:
            index = encode_integer(found[0], 7)
            index[0] |= 0x80
            return bytes(index)
        start = encode_integer(0 if found is None else found[0], _BITS[sent.prefix])
        start[0] |= sent.prefix
        encoded = bytes(start)
        if found is None:
            encoded += string(name, sent.is_compressed)
        if sent.prefix == 0x40:
            self._table.add(name, value)
        return encoded + string(value, sent.is_compressed)


FIELDS = st.one_of(
    st.sampled_from([*RESPONSES[0], *RESPONSES[2], (b":status", b"200"), (b"x", b"")]),
    st.tuples(
        st.sampled_from([b"x", b"etag", b"content-length", b"set-cookie"]),
        st.binary(max_size=5) | st.sampled_from([b"1" * 100, b"2" * 3000]),
    ),
)
SENT = st.builds(Sent, FIELDS, st.sampled_from(sorted(_BITS)), st.booleans(), st.booleans())
BLOCKS = st.tuples(
    st.lists(st.sampled_from([0, 40, 100, 4096]), max_size=2),
    st.lists(SENT, max_size=5),
    st.integers(1, 3),
)
NGINX = [Sent(field, 0x00, True, True) for field in RESPONSES[2]]
CADDY = [Sent(field, 0x40, True, True) for field in RESPONSES[0]]


@settings(max_examples=100, deadline=None)
@example([([], NGINX, 3), ([], CADDY, 2), ([], NGINX, 3)])
@example([([], CADDY, 3), ([0, 4096], [], 1), ([], CADDY, 3), ([40], CADDY, 2)])
@given(st.lists(BLOCKS, max_size=8))
def test_received_blocks_are_decoded_as_by_hpack(
    blocks: list[tuple[list[int], list[Sent], int]],
) -> None:
    server, ours, reference = Server(), CachingDecoder(LIMIT), Decoder(LIMIT)
    hits = 0
    for sizes, fields, times in blocks:
        for resizes in [sizes, *[[]] * (times - 1)]:
            block = b"".join(map(server.resize, resizes)) + b"".join(map(server.encode, fields))
            hits += block in ours._sections
            section = ours.decode_block(block)
            assert section == list(reference.decode(block, raw=True))
            assert section == [sent.field for sent in fields]
            assert ours.header_table.dynamic_entries == reference.header_table.dynamic_entries
            assert ours.header_table_size == reference.header_table_size
    event(f"{min(hits, 3)} blocks or more were cached")


@pytest.mark.parametrize("kind", [NGINX, CADDY], ids=["constant", "dynamic"])
def test_an_equal_block_gives_the_same_object(kind: list[Sent]) -> None:
    server, decoder = Server(), CachingDecoder(LIMIT)
    sections = [decoder.decode_block(b"".join(map(server.encode, kind))) for _ in range(4)]
    assert sections[1] == sections[0]
    assert sections[2] is sections[3]


def test_the_number_and_the_size_of_cached_blocks_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_hpack, "_MAX_BLOCKS", 2)
    server, decoder = Server(), CachingDecoder(LIMIT)

    def decode(value: bytes) -> FieldSection:
        return decoder.decode_block(server.encode(Sent((b"x", value), 0x00, False, False)))

    first, second = decode(b"1"), decode(b"2")
    assert decode(b"1") is first and decode(b"2") is second
    assert decode(b"3") is decode(b"3")
    assert decode(b"1") is not first
    assert decode(bytes(2000)) is not decode(bytes(2000))


# Requests that are sent

REQUEST_FIELDS = st.lists(
    st.sampled_from(
        [
            (b"accept", b"*/*"),
            (b"x-long", b"x" * 3000),
            (b"x-long", b"y" * 3000),
            (b"content-length", b"3"),
            NeverIndexedHeaderTuple(b"authorization", b"secret"),
        ]
    ),
    max_size=3,
)
PATHS = st.sampled_from([b"/", b"/1", b"/" + b"long" * 40, b"/" + b"longer" * 6000])
SENDING = st.one_of(
    st.tuples(st.just("resize"), st.sampled_from([0, 100, 4096, 70_000])),
    *[st.tuples(PATHS, st.sampled_from([b"GET", b"POST"]), REQUEST_FIELDS, st.integers(1, 3))] * 3,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(SENDING, max_size=8))
def test_requests_are_decoded_by_hpack_to_what_was_sent(steps: list[tuple[object, ...]]) -> None:
    encoder, server = CachingEncoder(4096), Decoder(2**20)
    hits = 0
    for step in steps:
        if step[0] == "resize":
            _, size = step
            assert isinstance(size, int)
            encoder.header_table_size = server.max_allowed_table_size = size
            continue
        path, method, fields, times = step
        assert isinstance(path, bytes) and isinstance(method, bytes)
        assert isinstance(fields, list) and isinstance(times, int)
        pseudo = [(b":method", method), AUTHORITY, (b":scheme", b"http"), (b":path", path)]
        for is_same in [False, *[True] * (times - 1)]:
            block = encoder.encode_request(pseudo if is_same else [*pseudo], fields)
            assert server.decode(block, raw=True) == [*pseudo, *fields]
            hits += encoder.encode_request(pseudo, fields) is block
            server.decode(encoder._block, raw=True)
            assert encoder.header_table.dynamic_entries == server.header_table.dynamic_entries
    event(f"{min(hits, 3)} blocks or more were cached")
