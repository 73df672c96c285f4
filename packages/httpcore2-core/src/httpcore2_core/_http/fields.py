"""The grammar of header fields, which HTTP/1.1, HTTP/2 and proxies share (RFC 9110, section 5).

Each `is_…` matches the whole of its argument. Matching takes linear time: no two repetitions of a pattern can match the
same byte. No pattern is possessive or atomic: CPython 3.11.0 to 3.11.4 match such groups wrongly (gh-106052).
Must not know: how a protocol frames fields, states, bodies, the network.
"""

from __future__ import annotations

import re
from typing import TypeAlias

Headers: TypeAlias = list[tuple[bytes, bytes]]

# The name of a field and a method (RFC 9110, section 5.6.2), as a part of larger patterns.
TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
BLANKS = b" \t"

_VISIBLE = rb"[\x21-\x7e\x80-\xff]"
_VALUE = rb"(?:" + _VISIBLE + rb"(?:[\t \x21-\x7e\x80-\xff]*" + _VISIBLE + rb")?)?"

is_token = re.compile(TOKEN).fullmatch
is_target = re.compile(rb"[\x21-\x7e]+").fullmatch
# A field's value (RFC 9110, section 5.5): visible text, blanks only in between.
is_value = re.compile(_VALUE).fullmatch
# A Content-Length (RFC 9110, section 8.6). It fits into 64 bits.
is_length = re.compile(rb"[0-9]{1,19}").fullmatch
_find_keep_alive = re.compile(rb"(?:^|[,;\s])timeout\s*=\s*([0-9]{1,9})(?![0-9])", re.I).search


def list_elements(value: bytes) -> list[bytes]:
    """Return the elements of a comma-separated list, in lower case (RFC 9110, section 5.6.1)."""
    return [element.strip() for element in value.lower().split(b",")]


def keep_alive_timeout(value: bytes) -> int | None:
    """Return the seconds that a Keep-Alive field's `timeout` states (RFC 2068, section 19.7.1); `None` without one."""
    found = _find_keep_alive(value)
    return None if found is None else int(found[1])
