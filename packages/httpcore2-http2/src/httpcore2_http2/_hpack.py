"""Header compression that caches field blocks in each direction (RFC 7541). Layer: frames.

Rules: the meaning of a block depends on the dynamic table. So a block is cached only if it made no change to the table,
and all are dropped when another one changes it.

Must not know: streams, the meaning of fields, except for `:path`.
"""

from __future__ import annotations

from hpack import Decoder, Encoder, HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from httpcore2_core._http.stream_fields import FieldSection

from ._errors import ConnectionFault, ErrorCode

Field = tuple[bytes, bytes]

_SIZE_UPDATES = frozenset(bytes([code]) for code in range(0x20, 0x40))

# Received field blocks that are cached: how many, and the most bytes of one.
_MAX_BLOCKS = 64
_MAX_BLOCK = 1024

_PATH = 0x04  # the index of `:path` in the static table, for a field that is not added to the dynamic one


class _Table(HeaderTable):
    """A dynamic table that counts its changes.

    Attributes:
        changes: how many there were.
    """

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0

    def add(self, name: bytes, value: bytes) -> None:
        was_empty = not self.dynamic_entries
        super().add(name, value)
        # Where the server allows no table, as nginx does, hpack adds to a table that can hold nothing.
        if not was_empty or self.dynamic_entries:
            self.changes += 1


class CachingDecoder(Decoder):
    """Decodes equal field blocks once, as most servers send them within a second for the same resource."""

    def __init__(self, max_header_list_size: int) -> None:
        super().__init__(max_header_list_size)
        self.header_table: _Table = _Table()
        self._sections: dict[bytes, FieldSection] = {}

    def decode_block(self, block: bytes) -> FieldSection:
        """Return the fields of a block; the same object for an equal block, unless the table has changed.

        Raises:
            ConnectionFault: it can't be decoded, or has too many bytes of fields.
        """
        section = self._sections.get(block)
        if section is not None:
            return section
        changes = self.header_table.changes
        try:
            section = FieldSection(self.decode(block, raw=True))
        except OversizedHeaderListError as exc:
            raise ConnectionFault(
                f"The server sent a field section that is too long: {exc}. "
                f"At most {self.max_header_list_size} bytes are allowed.",
                ErrorCode.ENHANCE_YOUR_CALM,
            ) from exc
        except HPACKError as exc:
            # RFC 9113, section 4.3: the tables of the two sides differ from here on.
            raise ConnectionFault(
                f"The server sent a field block that can't be decoded: {exc}.",
                ErrorCode.COMPRESSION_ERROR,
            ) from exc
        # A block may begin by changing the table's size (RFC 7541, section 6.3).
        is_constant = self.header_table.changes == changes and block[:1] not in _SIZE_UPDATES
        if not is_constant or len(self._sections) == _MAX_BLOCKS:
            self._sections.clear()
        if is_constant and len(block) <= _MAX_BLOCK:
            self._sections[block] = section
        return section


class CachingEncoder(Encoder):
    """Encodes equal fields once, as those of a client's requests mostly are.

    `:path` is the field that differs from request to request. It is not added to the dynamic table, as in nghttp2, so
    that the other fields of the next request refer to the same entries. Equal fields must agree on whether they may be
    indexed.
    """

    def __init__(self, max_table_size: int) -> None:
        """Create an encoder with an empty table.

        Args:
            max_table_size: the most bytes of its dynamic table, even if the server allows more.
        """
        super().__init__()
        self.header_table: _Table = _Table()
        self._max_table_size = max_table_size
        # The fields of the last block, the block, and its two parts before and after `:path`: `None` if it must be
        # encoded again.
        self._pseudo: list[Field] = []
        self._constant_pseudo: list[Field] = []
        self._headers: list[Field] = []
        self._block = b""
        self._parts: tuple[bytes, bytes] | None = None

    @property
    def header_table_size(self) -> int:
        return self.header_table.maxsize

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        value = min(value, self._max_table_size)
        # If it is set to the same size once more, hpack forgets to signal the change before.
        if value != self.header_table.maxsize:
            self.header_table.maxsize = value
            # The smallest size since the last block and the current one are signalled, and no larger one, which the
            # server may not allow any more (RFC 7541, section 4.2).
            smallest = min([value, *self.table_size_changes])
            self.table_size_changes = [value] if smallest == value else [smallest, value]
            self._parts = None

    def encode_request(self, pseudo: list[Field], headers: list[Field]) -> bytes:
        """Return the field block of a request.

        Args:
            pseudo: its pseudo-header fields. `:path` is cached apart if it comes last.
            headers: its other fields. Neither list may be changed afterwards.
        """
        if pseudo is self._pseudo and headers is self._headers and self._parts is not None:
            return self._block
        self._pseudo = pseudo
        name, path = pseudo[-1]
        encoded_path = b""
        if name == b":path":
            encoded_path = _encode_path(path)
            pseudo = pseudo[:-1]
        parts = self._parts
        # The list of the request before is often the same object.
        if (
            parts is None
            or pseudo != self._constant_pseudo
            or (headers is not self._headers and headers != self._headers)
        ):
            # The first block after a change of the table's size begins with the new size.
            is_constant = not self.header_table.resized
            changes = self.header_table.changes
            parts = (self.encode(pseudo), self.encode(headers))
            is_constant = is_constant and self.header_table.changes == changes
            self._constant_pseudo = pseudo
            self._parts = parts if is_constant else None
        self._headers = headers
        self._block = parts[0] + encoded_path + parts[1]
        return self._block


def _encode_path(path: bytes) -> bytes:
    """Return `:path` as a literal that is not indexed (RFC 7541, sections 5.1, 5.2 and 6.2.2)."""
    size = len(path)
    if size < 127:
        return bytes((_PATH, size)) + path
    encoded = bytearray((_PATH, 127))
    size -= 127
    while size >= 128:
        encoded.append(size & 127 | 128)
        size >>= 7
    encoded.append(size)
    return bytes(encoded + path)
