"""Header compression that caches the last field block in each direction (RFC 7541). Layer: frames.

Rules: the meaning of a block depends on the dynamic table, so a block is cached only if it neither used nor made a
change to it.

Must not know: streams, the meaning of fields, except that `:status` comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hpack import Decoder, Encoder, HeaderTuple, HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from ._errors import ConnectionFault, ErrorCode

Field = tuple[bytes, bytes]

_SIZE_UPDATES = frozenset(bytes([code]) for code in range(0x20, 0x40))


class _Table(HeaderTable):
    """A dynamic table that notes when it changes."""

    def __init__(self) -> None:
        super().__init__()
        self.has_changed = False

    def add(self, name: bytes, value: bytes) -> None:
        was_empty = not self.dynamic_entries
        super().add(name, value)
        # Where the server allows no table, as nginx does, hpack adds to a table that can hold nothing.
        self.has_changed = self.has_changed or not was_empty or bool(self.dynamic_entries)


class CachingDecoder(Decoder):
    """Decodes a field block once if several in a row are equal, as many servers send them within a second."""

    def __init__(self, max_header_list_size: int) -> None:
        super().__init__(max_header_list_size)
        self.header_table: _Table = _Table()
        self._block = b""
        self._headers: list[HeaderTuple] = []

    def decode(self, data: bytes, raw: bool = False) -> list[HeaderTuple]:
        if data == self._block and data:
            return self._headers
        self.header_table.has_changed = False
        headers = list(super().decode(data, raw))
        # One may begin by changing the table's size (RFC 7541, section 6.3).
        is_constant = not self.header_table.has_changed and data[:1] not in _SIZE_UPDATES
        self._block, self._headers = (data if is_constant else b""), headers
        return headers


class StatusDecoder(CachingDecoder):
    """Returns to h2 only the part of a field block that it needs: the status, if the block begins with one.

    h2 would check a Content-Length, also that of a 304, and end the connection for a wrong one.

    Attributes:
        fields: all fields of the last block.
    """

    def __init__(self, max_header_list_size: int) -> None:
        super().__init__(max_header_list_size)
        self.fields: Sequence[Field] = ()

    def decode(self, data: bytes, raw: bool = False) -> list[HeaderTuple]:
        try:
            self.fields = fields = super().decode(data, raw)
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
        return fields[:1] if fields and fields[0][0][:1] == b":" else []


class CachingEncoder(Encoder):
    """Encodes a field section once if several in a row are equal, as the requests of a client mostly are.

    Equal fields must agree on whether they may be indexed.
    """

    def __init__(self, max_table_size: int) -> None:
        """Create an encoder with an empty table.

        Args:
            max_table_size: the most bytes of its dynamic table, even if the server allows more.
        """
        super().__init__()
        self.header_table: _Table = _Table()
        self._max_table_size = max_table_size
        self._fields: list[Field] | None = None
        self._block = b""

    @property
    def header_table_size(self) -> int:
        return self.header_table.maxsize

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        value = min(value, self._max_table_size)
        # If it is set to the same size once more, hpack forgets to signal the change before.
        if value != self.header_table.maxsize:
            self.header_table.maxsize = value
            self.table_size_changes.append(value)

    def encode(self, headers: Iterable[Field], huffman: bool = True) -> bytes:  # type: ignore[override]
        table = self.header_table
        fields = list(headers)
        if fields == self._fields and not table.resized:
            return self._block
        # The first block after a change of the table's size begins with the new size.
        is_constant = not table.resized
        table.has_changed = False
        self._block = super().encode(fields, huffman)
        self._fields = fields if is_constant and not table.has_changed else None
        return self._block
