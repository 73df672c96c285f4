"""Module path of 2.16.2: `HTTP11Connection`."""

from .. import HTTP11Connection

__all__ = ["HTTP11Connection"]
