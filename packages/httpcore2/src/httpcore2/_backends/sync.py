"""Module path of 2.16.2: `SyncBackend`."""

from .. import SyncBackend

__all__ = ["SyncBackend"]
