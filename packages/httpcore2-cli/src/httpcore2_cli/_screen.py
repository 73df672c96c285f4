"""What is shown beside the body: messages on the standard error.

Rules: errors are shown with how far the transfer came, its causes, and a hint. -s hides all, -S shows errors again.
Must not know: how a transfer is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from ._outputs import OutputClosed
from ._terminal import escape, is_plain, is_terminal, terminal_width
from ._timeline import Phase
from ._transfer import Transfer
from ._verbose import describe, shown_address

if TYPE_CHECKING:
    from rich.text import Text


class Screen:
    """The standard error of a run.

    Args:
        stream: the standard error.
        is_silent: whether messages are hidden.
        shows_errors: whether errors are shown all the same.

    Attributes:
        stream: the standard error.
        is_terminal: whether it is a terminal.
        is_plain: whether it gets ASCII without styles.
    """

    def __init__(self, stream: TextIO, *, is_silent: bool, shows_errors: bool) -> None:
        self.stream = stream
        self.is_terminal = is_terminal(stream)
        self.is_plain = is_plain(stream)
        self._is_silent = is_silent
        self._shows_errors = shows_errors or not is_silent

    @property
    def width(self) -> int:
        """The columns of the window; 80 without one."""
        return terminal_width(self.stream)

    def draw(self, lines: Iterable[Text]) -> None:
        """Show lines with styles."""
        from rich.console import Console

        console = Console(
            file=self.stream,
            width=self.width,
            force_terminal=not self.is_plain,
            no_color=self.is_plain,
            highlight=False,
        )
        with console.capture() as capture:
            for line in lines:
                console.print(line, no_wrap=True, overflow="crop")
        self.line(capture.get().removesuffix("\n"))

    def line(self, text: str) -> None:
        """Show a line that the user asked for. It is escaped already."""
        try:
            self.stream.write(f"{text}\n")
            self.stream.flush()
        except BrokenPipeError as exc:
            raise OutputClosed from exc

    def warn(self, text: str) -> None:
        """Show a warning, unless messages are hidden."""
        if not self._is_silent:
            self.line(f"Warning: {text}")

    def note(self, text: str) -> None:
        """Show a message, unless messages are hidden."""
        if not self._is_silent:
            self.line(text)

    def error(self, code: int, message: str, hint: str | None = None) -> None:
        """Show an error, with the form of curl."""
        if not self._shows_errors:
            return
        self.line(f"httpcore2: ({code}) {escape(message)}")
        if hint is not None:
            self.line(f"  Hint: {escape(hint)}")

    def failure(self, transfer: Transfer) -> None:
        """Show how a transfer failed: the message, how far it came, the causes, and a hint."""
        failure = transfer.failure
        assert failure is not None, "it failed"
        if not self._shows_errors:
            return
        self.line(f"httpcore2: ({int(failure.code)}) {escape(failure.message)}")
        if transfer.chain and not isinstance(transfer.chain[0], type(failure)):
            self.line(f"  Came as far as: {progress_of(transfer)}")
            for address, error in getattr(transfer.chain[0], "attempts", ()):
                outcome = "no answer" if error is None else describe(error)
                self.line(f"  Tried {shown_address(address[:2])}: {outcome}")
            for cause in transfer.chain[1:]:
                self.line(f"  Caused by {describe(cause)}")
        if failure.hint is not None:
            self.line(f"  Hint: {escape(failure.hint)}")


def progress_of(transfer: Transfer) -> str:
    """Return the phases that a failed transfer completed, and the one in which it failed."""
    timeline = transfer.timeline
    done = [
        f"{phase.label} {milliseconds(span.seconds)}"
        for phase, span in timeline.spans.items()
        if phase is not Phase.QUEUED
    ]
    if timeline.unfinished is not None:
        failed = (
            f"{timeline.current.label} failed after {milliseconds(timeline.unfinished.seconds)}"
        )
        done.append(failed)
    return ", ".join(done)


def milliseconds(seconds: float) -> str:
    """Return a time as text."""
    return f"{seconds * 1000:,.1f} ms"
