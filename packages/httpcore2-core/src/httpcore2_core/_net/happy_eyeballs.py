"""Happy Eyeballs (RFC 8305): what backends agree on where a name has several addresses; each runs the race itself.

Must not know: sockets, clocks.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import zip_longest
from typing import TypeVar

from .._exceptions import ConnectError

A = TypeVar("A", bound=tuple[Hashable, ...])

# Section 5: seconds after which the next address is tried while earlier ones still are.
ATTEMPT_DELAY = 0.25


def interleave(addresses: Iterable[A]) -> list[A]:
    """Order what `getaddrinfo` returned so that the families alternate, the first one's first (section 4)."""
    families: dict[Hashable, list[A]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    return [
        address
        for turn in zip_longest(*families.values())
        for address in turn
        if address is not None
    ]


def connect_error(errors: Sequence[OSError]) -> ConnectError:
    """Make one exception of the failures of all attempts."""
    texts = list(dict.fromkeys(str(error) for error in errors))
    return ConnectError("; ".join(texts))
