"""Shows how a transfer goes on: bytes, rate and time left; a spinner where the length is unknown.

Must not know: what is transferred.
"""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from ._terminal import escape
from ._transfer import Meter

_FIGURES = 40
_BAR = 20
_LEAST_NAME = 8


class ProgressMeter(Meter):
    """A line on a terminal.

    Args:
        stream: the terminal.
        is_plain: whether it gets ASCII without styles.
    """

    def __init__(self, stream: TextIO, *, is_plain: bool) -> None:
        self._stream = stream
        self._is_plain = is_plain
        self._progress: Progress | None = None

    def start(self, label: str, total: int | None, done: int = 0) -> None:
        console = Console(file=self._stream, no_color=self._is_plain, highlight=False)
        self._progress = Progress(
            *self._columns(total),
            console=console,
            # The body may go to the standard output meanwhile.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        # The figures need their columns; the name gets what is left.
        columns = max(console.width - _FIGURES - (0 if self._is_plain else _BAR), _LEAST_NAME)
        name = escape(label)
        shown = name if len(name) <= columns else f"...{name[3 - columns :]}"
        self._progress.add_task(shown, total=total, completed=done)
        self._progress.start()

    def _columns(self, total: int | None) -> list[ProgressColumn]:
        # Text of the user is no markup.
        label = TextColumn("{task.description}", markup=False)
        if total is None:
            spinner = SpinnerColumn("line" if self._is_plain else "dots")
            return [spinner, label, DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn()]
        bar: list[ProgressColumn] = [] if self._is_plain else [BarColumn(_BAR - 1)]
        return [label, *bar, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]

    def advance(self, count: int) -> None:
        if self._progress is not None:
            self._progress.advance(self._progress.task_ids[0], count)

    def stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
