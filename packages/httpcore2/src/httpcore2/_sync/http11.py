"""The place of `HTTP11Connection` in 2.16.2."""

from .. import HTTP11Connection

__all__ = ["HTTP11Connection"]
