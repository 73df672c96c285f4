"""The place of the functions at the top in 2.16.2."""

from . import request, stream

__all__ = ["request", "stream"]
