"""What text may reach a terminal, and what must not: control characters, secrets, binary data.

Must not know: requests, responses, where the text comes from.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from typing import TextIO

SECRET_FIELDS = frozenset(
    (
        b"authorization",
        b"cookie",
        b"proxy-authorization",
        b"set-cookie",
        b"x-amz-security-token",
        b"x-api-key",
        b"x-auth-token",
        b"x-csrf-token",
    )
)
"""The header fields whose values are credentials. They are shown as `SECRET`."""

SECRET = "[secret]"  # noqa: S105 - it stands for one

# The bytes that text in any usual encoding does not have: C0 without BEL, BS, HT, LF, VT, FF, CR and ESC.
_BINARY = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f]")


def is_terminal(stream: TextIO) -> bool:
    """Return whether a stream is a terminal."""
    return stream.isatty()


def terminal_width(stream: TextIO) -> int:
    """Return the columns of a stream's window; 80 without one."""
    if not is_terminal(stream):
        return 80
    return os.get_terminal_size(stream.fileno()).columns or 80


def is_plain(stream: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Return whether a stream gets ASCII without styles: no terminal, `NO_COLOR`, `TERM=dumb`, or no Unicode."""
    environment = os.environ if environment is None else environment
    if not is_terminal(stream) or environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return True
    return not (stream.encoding or "").lower().replace("-", "").startswith("utf")


def is_binary(data: bytes) -> bool:
    """Return whether data would disturb a terminal."""
    return _BINARY.search(data) is not None


def escape(text: bytes | str) -> str:
    r"""Return text with its control and invisible characters as escapes, such as `\x1b`.

    A server could otherwise move the cursor, or reverse the direction of text.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        each.encode("unicode_escape").decode() if unicodedata.category(each)[0] == "C" else each
        for each in text
    )


def shown_value(name: bytes, value: bytes) -> str:
    """Return the value of a header field as it may be shown."""
    if name.lower() not in SECRET_FIELDS:
        return escape(value)
    scheme, blank, _ = value.partition(b" ")
    # The scheme of credentials is useful, and no secret.
    if name.lower().endswith(b"authorization") and blank:
        return f"{escape(scheme)} {SECRET}"
    return SECRET
