"""The asyncio and anyio backends of httpcore2.

`AnyIOBackend` is loaded on first use, since it alone needs anyio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from httpcore2_core._distributions import check_version

check_version(__name__, "3.0.0")

from ._backend import AsyncIOBackend

if TYPE_CHECKING:
    from ._anyio import AnyIOBackend

__all__ = ["AnyIOBackend", "AsyncIOBackend"]


def __getattr__(name: str) -> Any:
    if name == "AnyIOBackend":
        from ._anyio import AnyIOBackend

        return AnyIOBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
