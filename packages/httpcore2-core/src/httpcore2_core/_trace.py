"""Tells a request's progress to its `trace` extension and to the loggers.

Rules: a request that has no `trace` and no logger that listens pays one check. Names and payloads are those of the
published `httpcore2`: `<prefix>.<step>.started`, then `.complete` with `return_value`, or `.failed` with `exception`.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ._models import Request

T = TypeVar("T")


class Tracer:
    """Reports the steps of one request under one prefix."""

    __slots__ = ("_callback", "_is_blocking", "_logger", "_prefix")

    def __init__(
        self,
        logger: logging.Logger,
        callback: Callable[[str, dict[str, Any]], Any] | None,
        is_blocking: bool,
    ) -> None:
        self._logger = logger
        self._prefix = logger.name.rpartition(".")[2]
        self._callback = callback
        self._is_blocking = is_blocking

    @classmethod
    def of(
        cls, logger: logging.Logger, request: Request | None, is_blocking: bool
    ) -> Tracer | None:
        """Return a tracer if anybody wants to know, else `None`."""
        callback = None if request is None else request.extensions.get("trace")
        if callback is None and not logger.isEnabledFor(logging.DEBUG):
            return None
        return cls(logger, callback, is_blocking)

    async def event(self, name: str, info: dict[str, Any]) -> None:
        """Report one event, such as `receive_response_body.started`.

        Raises:
            TypeError: the callback has the wrong colour.
        """
        if self._callback is not None:
            result = self._callback(f"{self._prefix}.{name}", info)
            if self._is_blocking:
                if inspect.iscoroutine(result):
                    result.close()
                    raise TypeError(
                        "If you are using a synchronous interface, the callback of the `trace` extension should be a "
                        "normal function instead of an asynchronous function."
                    )
            elif not inspect.isawaitable(result):
                raise TypeError(
                    "If you're using an asynchronous interface, the callback of the `trace` extension should be an "
                    "asynchronous function rather than a normal function."
                )
            else:
                await result
        if self._logger.isEnabledFor(logging.DEBUG):
            if not info or info == {"return_value": None}:
                message = name
            else:
                message = name + " " + " ".join(f"{key}={value!r}" for key, value in info.items())
            self._logger.debug(message)

    async def span(
        self,
        name: str,
        info: dict[str, Any],
        step: Coroutine[Any, Any, T],
        present: Callable[[T], object] = lambda result: result,
    ) -> T:
        """Run `step`, and report its start and its end; the listener is shown its result as `present` gives it."""
        try:
            await self.event(f"{name}.started", info)
            result = await step
        except BaseException as exc:
            step.close()  # a callback may have raised before it began
            await self.event(f"{name}.failed", {"exception": exc})
            raise
        await self.event(f"{name}.complete", {"return_value": present(result)})
        return result
