"""Module path of 2.16.2: `Trace`, by which a caller's own connection classes report trace events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from httpcore2_core._http.trace import Tracer
from httpcore2_core._net.coroutines import run_blocking

if TYPE_CHECKING:
    from logging import Logger
    from types import TracebackType

    from . import Request

_DEBUG = 10  # logging.DEBUG


class Trace:
    """A sync and async context manager that reports the start and the end of an operation.

    It reports to the `trace` extension of a request, and to a logger.

    Attributes:
        should_trace: whether there is a `trace` extension, or the logger is enabled.
        return_value: the result of the operation. The block sets it.
    """

    def __init__(
        self,
        name: str,
        logger: Logger,
        request: Request | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Name the operation. The names of its events begin with the last part of the logger's name."""
        self._name = name
        self._prefix = logger.name.rpartition(".")[2]
        self._logger = logger if logger.isEnabledFor(_DEBUG) else None
        self._callback = None if request is None else request.extensions.get("trace")
        self._kwargs = kwargs or {}
        self.should_trace = self._logger is not None or self._callback is not None
        self.return_value: Any = None

    async def _report(self, event: str, info: dict[str, Any], is_blocking: bool) -> None:
        if self.should_trace:
            tracer = Tracer(self._prefix, self._logger, self._callback, is_blocking)
            await tracer.event(f"{self._name}.{event}", info)

    async def _report_end(self, exc_value: BaseException | None, is_blocking: bool) -> None:
        if exc_value is None:
            await self._report("complete", {"return_value": self.return_value}, is_blocking)
        else:
            await self._report("failed", {"exception": exc_value}, is_blocking)

    def __enter__(self) -> Trace:
        run_blocking(self._report("started", self._kwargs, True))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        run_blocking(self._report_end(exc_value, True))

    async def __aenter__(self) -> Trace:
        await self._report("started", self._kwargs, False)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._report_end(exc_value, False)


__all__ = ["Trace"]
