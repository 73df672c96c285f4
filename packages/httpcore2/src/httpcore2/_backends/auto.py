"""Module path of 2.16.2: `AutoBackend`."""

from httpcore2_core._net.detection import AutoBackend

__all__ = ["AutoBackend"]
