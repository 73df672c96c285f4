"""Reports the events of a request to its `trace` extension and to the loggers.

Rules: without a `trace` extension or an enabled logger, a request makes one check. Events are those of 2.x:
`<prefix>.<operation>.started`, then `.complete` with `return_value`, or `.failed` with `exception`.
Must not know: the operations.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from .._distributions import PREFIX

if TYPE_CHECKING:
    from logging import Logger

    from .._models import Request

T = TypeVar("T")

_DEBUG = 10  # logging.DEBUG

_loggers: dict[str, Logger] = {}


def _logger(name: str) -> Logger | None:
    """Return the logger `httpcore2.<name>`, or `None` if the program has not imported `logging`, which takes 8 ms."""
    if "logging" not in sys.modules:
        return None
    import logging

    _loggers[name] = logging.getLogger(f"{PREFIX}httpcore2.{name}")
    return _loggers[name]


def log(prefix: str, message: str) -> None:
    """Log a message that belongs to no request."""
    logger = _logger(prefix)
    if logger is not None:
        logger.debug(message)


def log_exception(prefix: str, message: str, error: Exception) -> None:
    """Log an exception that was not raised, with its traceback, also if the program has not imported `logging`."""
    import logging

    logging.getLogger(f"{PREFIX}httpcore2.{prefix}").error(message, exc_info=error)


class Tracer:
    """Reports the operations of one request under one prefix."""

    __slots__ = ("_callback", "_is_blocking", "_logger", "_prefix")

    def __init__(
        self,
        prefix: str,
        logger: Logger | None,
        callback: Callable[[str, dict[str, Any]], Any] | None,
        is_blocking: bool,
    ) -> None:
        self._prefix = prefix
        self._logger = logger
        self._callback = callback
        self._is_blocking = is_blocking

    @classmethod
    def of(cls, prefix: str, request: Request, is_blocking: bool) -> Tracer | None:
        """Return a tracer, or `None` if there is no `trace` extension and no enabled logger.

        Args:
            prefix: the first part of the names of events, and the last part of the logger's name.
            request: the request with the extension.
            is_blocking: whether the `trace` extension is a sync function.
        """
        logger = _loggers[prefix] if prefix in _loggers else _logger(prefix)
        if logger is not None and not logger.isEnabledFor(_DEBUG):
            logger = None
        if logger is None and "trace" not in request.extensions:
            return None
        callback = request.extensions.get("trace")
        if logger is None and callback is None:
            return None
        return cls(prefix, logger, callback, is_blocking)

    async def event(self, name: str, info: dict[str, Any]) -> None:
        """Report one event, such as `receive_response_body.started`.

        Raises:
            TypeError: the callback is async in the sync API, or sync in the async API.
        """
        if self._callback is not None:
            result = self._callback(f"{self._prefix}.{name}", info)
            if self._is_blocking:
                if isinstance(result, Coroutine):
                    result.close()
                    raise TypeError(
                        "If you are using a synchronous interface, the callback of the `trace` "
                        "extension should be a normal function instead of an asynchronous function."
                    )
            elif not isinstance(result, Awaitable):
                raise TypeError(
                    "If you're using an asynchronous interface, the callback of the `trace` "
                    "extension should be an asynchronous function rather than a normal function."
                )
            else:
                await result
        if self._logger is not None:
            if not info or info == {"return_value": None}:
                message = name
            else:
                message = name + " " + " ".join(f"{key}={value!r}" for key, value in info.items())
            self._logger.debug(message)

    async def span(
        self,
        name: str,
        info: dict[str, Any],
        operation: Coroutine[Any, Any, T],
        present: Callable[[T], object] = lambda result: result,
    ) -> T:
        """Run `operation`, and report its start and its end with the result that `present` returns."""
        try:
            await self.event(f"{name}.started", info)
            result = await operation
        except BaseException as exc:
            operation.close()  # a callback may have raised before the operation began
            await self.event(f"{name}.failed", {"exception": exc})
            raise
        await self.event(f"{name}.complete", {"return_value": present(result)})
        return result
