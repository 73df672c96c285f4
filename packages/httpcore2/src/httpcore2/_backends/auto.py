"""The place of `AutoBackend` in 2.16.2."""

from httpcore2_core._backends.detect import AutoBackend

__all__ = ["AutoBackend"]
