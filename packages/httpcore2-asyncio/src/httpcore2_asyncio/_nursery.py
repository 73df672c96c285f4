"""A nursery of asyncio tasks, as trio and anyio have it: for attempts to connect.

Rules: whatever happens, `async with` returns when all tasks have ended.
Must not know: sockets, streams, HTTP, the pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any

from ._runtime import wait_out


class TaskNursery:
    """Runs tasks, and cancels those that are left at the end of its `async with` block.

    `asyncio.TaskGroup` can be cancelled from outside alone.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> TaskNursery:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()
        cancellation = await wait_out(self._tasks)
        if cancellation is not None:
            raise cancellation
        # Every exception is retrieved: asyncio would log the others.
        errors = [task.exception() for task in self._tasks if not task.cancelled()]
        error = next(filter(None, errors), None)
        if error is not None and exc_value is None:
            raise error

    @property
    def cancel_scope(self) -> TaskNursery:
        """The scope of all tasks: the nursery itself."""
        return self

    def start_soon(self, async_fn: Callable[..., Coroutine[Any, Any, Any]], /, *args: Any) -> None:
        """Run `async_fn(*args)` in a task."""
        self._tasks.add(self._loop.create_task(async_fn(*args)))

    def cancel(self) -> None:
        """Cancel the tasks that have not ended."""
        for task in self._tasks:
            task.cancel()
