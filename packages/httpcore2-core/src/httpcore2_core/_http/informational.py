"""Reports interim responses (1xx) to the `informational` extension of a request, and to its observers.

They are those of RFC 9110, section 15.2.
Rules: the callback is called by the task or thread that waits for the response, never by another one that reads on its
behalf. A 101 is no interim response: it is returned. What the callback raises ends the request.
Must not know: how a protocol frames responses, connections.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from .._models import Request
from .fields import Headers
from .observation import RequestObservation

_CO_COROUTINE = 0x80  # of `inspect`, which would take 6 ms to import


class Informer:
    """Reports the interim responses to one request.

    Attributes:
        pending: status and fields of those that were received, and not reported yet.
    """

    __slots__ = ("_callback", "_is_blocking", "_observation", "pending")

    def __init__(
        self,
        callback: Callable[[int, Headers], Any] | None,
        is_blocking: bool,
        observation: RequestObservation | None,
    ) -> None:
        self._callback = callback
        self._observation = observation
        self._is_blocking = is_blocking
        self.pending: list[tuple[int, Headers]] = []

    @classmethod
    def of(
        cls, request: Request, is_blocking: bool, observation: RequestObservation | None
    ) -> Informer | None:
        """Return an informer for the extension of `request`, and for its observers; `None` if it has neither.

        Args:
            request: the request.
            is_blocking: whether the runtime is threads, which can't call an async function.
            observation: the request as its observers see it; `None` for none.

        Raises:
            TypeError: the extension is not a function, or an async one in the sync API.
        """
        callback = request.extensions.get("informational")
        if callback is None:
            return None if observation is None else cls(None, is_blocking, observation)
        if not callable(callback):
            raise TypeError(
                f"extensions['informational'] must be a function, but got {type(callback).__name__}."
            )
        code = getattr(callback, "__code__", None)
        if is_blocking and getattr(code, "co_flags", 0) & _CO_COROUTINE:
            raise _async_in_sync_api()
        return cls(callback, is_blocking, observation)

    async def report(self) -> None:
        """Call the callback with each interim response that was received, in their order.

        Raises:
            TypeError: the callback is async in the sync API.
        """
        while self.pending:
            status, headers = self.pending.pop(0)
            if self._observation is not None:
                self._observation.interim_received(status, headers.copy())
            if self._callback is None:
                continue
            result = self._callback(status, headers.copy())
            if not self._is_blocking:
                if isinstance(result, Awaitable):
                    await result
            elif isinstance(result, Coroutine):
                result.close()
                raise _async_in_sync_api()


def _async_in_sync_api() -> TypeError:
    return TypeError(
        "extensions['informational'] is an async function, which the sync API can't call. "
        "Give a function, or use an AsyncConnectionPool."
    )
