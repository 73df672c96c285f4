"""Module path of 2.16.2: the functions `request` and `stream`."""

from . import request, stream

__all__ = ["request", "stream"]
