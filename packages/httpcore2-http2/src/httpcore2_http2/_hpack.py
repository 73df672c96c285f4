"""A decoder of header blocks that remembers the block before (RFC 7541).

Must not know: streams, what fields mean.
"""

from __future__ import annotations

from hpack import Decoder, HeaderTuple
from hpack.table import HeaderTable

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
    """Remembers the header block before: servers send the same one, from one second to the next.

    What a block stands for depends on the table, so only one that found it and left it as it was counts.
    """

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
