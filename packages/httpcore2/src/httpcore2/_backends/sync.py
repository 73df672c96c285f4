"""The place of `SyncBackend` in 2.16.2."""

from .. import SyncBackend

__all__ = ["SyncBackend"]
