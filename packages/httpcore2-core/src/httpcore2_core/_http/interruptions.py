"""Tells exceptions that come from outside, as KeyboardInterrupt does, from those of an exchange.

Rules: from outside comes what neither an exchange nor the caller's code raises. An exception of the caller's code is
recognised by the function that called that code.

Must not know: connections, streams, frames.
"""

from __future__ import annotations

from .._exceptions import (
    ConnectionNotAvailable,
    NetworkError,
    ProtocolError,
    TimeoutException,
)
from .informational import Informer
from .stream_upload import StreamUpload
from .trace import Tracer

# Exceptions with which an exchange may end.
_EXPECTED = (ConnectionNotAvailable, NetworkError, ProtocolError, TimeoutException, TypeError)
# The functions that call the caller's code in the middle of an exchange.
_CALLS_CALLER = (
    StreamUpload.next_chunk.__code__,
    Tracer.event.__code__,
    Informer.report.__code__,
)


def came_from_outside(exc: BaseException) -> bool:
    """Return whether neither an exchange nor the caller's body, `trace` or `informational` has raised `exc`.

    No frame is half read or written where the caller's code is called.
    """
    if isinstance(exc, _EXPECTED):
        return False
    return not (isinstance(exc, Exception) and _came_from_caller(exc))


def _came_from_caller(exc: Exception) -> bool:
    traceback = exc.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code in _CALLS_CALLER:
            return True
        traceback = traceback.tb_next
    return False
