"""How a failed attempt to connect is repeated.

Must not know: what an attempt does.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .._exceptions import ConnectError, ConnectTimeout

T = TypeVar("T")


async def connect_with_retries(
    attempt: Callable[[], Coroutine[Any, Any, T]],
    retries: int,
    pause: Callable[[float], Coroutine[Any, Any, None]],
) -> T:
    """Return what `attempt` returns, and repeat it if it fails to connect.

    Args:
        attempt: connects.
        retries: how often it is repeated.
        pause: waits before a repetition, for 0, 0.5, 1, 2, … seconds.

    Raises:
        ConnectError: the last attempt failed.
        ConnectTimeout: the last attempt took too long, or no time was left to wait.
    """
    delay = 0.0
    while True:
        try:
            return await attempt()
        except (ConnectError, ConnectTimeout):
            if not retries:
                raise
        retries -= 1
        await pause(delay)
        delay = delay * 2 or 0.5
