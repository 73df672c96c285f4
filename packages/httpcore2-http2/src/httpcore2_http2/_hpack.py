"""Header compression that remembers the header block before, each way (RFC 7541).

What a block stands for depends on the table, so only one counts that found it, and left it, as it was.
Must not know: streams, what fields mean, but that a status comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hpack import Decoder, Encoder, HeaderTuple, HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from ._codec import ErrorCode
from ._frames import Fault

Field = tuple[bytes, bytes]

_SIZE_UPDATES = frozenset(bytes([code]) for code in range(0x20, 0x40))


class _Table(HeaderTable):
    """A header table that tells when it changes."""

    def __init__(self) -> None:
        super().__init__()
        self.has_changed = False

    def add(self, name: bytes, value: bytes) -> None:
        was_empty = not self.dynamic_entries
        super().add(name, value)
        # nginx has us keep a table of size 0, and adds to it.
        self.has_changed = self.has_changed or not was_empty or bool(self.dynamic_entries)


class RememberingDecoder(Decoder):
    """Remembers what was received: servers send the same fields, from one second to the next."""

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


class StatusDecoder(RememberingDecoder):
    """Shows h2 no more of a header block than it must know: whether it begins with a status, and which.

    h2 would check a Content-Length, against that of a 304, too, and let the connection pay for one that is wrong.

    Attributes:
        fields: what the last block stood for.
    """

    def __init__(self, max_header_list_size: int) -> None:
        super().__init__(max_header_list_size)
        self.fields: Sequence[Field] = ()

    def decode(self, data: bytes, raw: bool = False) -> list[HeaderTuple]:
        try:
            self.fields = fields = super().decode(data, raw)
        except OversizedHeaderListError as exc:
            raise Fault(
                f"The server sent a header list that is too long: {exc}. "
                f"At most {self.max_header_list_size} bytes are allowed.",
                ErrorCode.ENHANCE_YOUR_CALM,
            ) from exc
        except HPACKError as exc:
            # RFC 9113, section 4.3: both sides' tables differ from here on.
            raise Fault(
                f"The server sent a header block that can't be decoded: {exc}.",
                ErrorCode.COMPRESSION_ERROR,
            ) from exc
        return fields[:1] if fields and fields[0][0][:1] == b":" else []


class RememberingEncoder(Encoder):
    """Remembers what was sent: most requests of a client are alike.

    Fields that are equal must agree on whether they are to be indexed.
    """

    def __init__(self, max_table_size: int) -> None:
        """Begin.

        Args:
            max_table_size: bytes of headers to refer to, though the peer may have room for any number.
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
        # Set to the same size once more, hpack would forget to tell the peer of the change before.
        if value != self.header_table.maxsize:
            self.header_table.maxsize = value
            self.table_size_changes.append(value)

    def encode(self, headers: Iterable[Field], huffman: bool = True) -> bytes:  # type: ignore[override]
        table = self.header_table
        fields = list(headers)
        if fields == self._fields and not table.resized:
            return self._block
        # The first block after a change of the table's size tells of it.
        is_constant = not table.resized
        table.has_changed = False
        self._block = super().encode(fields, huffman)
        self._fields = fields if is_constant and not table.has_changed else None
        return self._block
