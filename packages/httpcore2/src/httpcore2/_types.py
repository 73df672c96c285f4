"""Module path of 2.16.2: the types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from httpcore2_core._models import (
    ByteOrStr,
    Extensions,
    HeadersAsMapping,
    HeadersAsSequence,
    HeaderTypes,
)

from . import SOCKET_OPTION

ExceptionMapping: TypeAlias = Mapping[type[Exception], type[Exception]]

__all__ = [
    "SOCKET_OPTION",
    "ByteOrStr",
    "ExceptionMapping",
    "Extensions",
    "HeaderTypes",
    "HeadersAsMapping",
    "HeadersAsSequence",
]
