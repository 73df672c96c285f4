"""Where the body of a response is written: the standard output, a file, or nowhere.

Rules: a file is opened when the response has come, so that a failure before that leaves it as it was. What was written
stays when a transfer breaks off.
Must not know: the network, what is shown beside the body.
"""

from __future__ import annotations

import os
import re
from stat import S_ISREG
from typing import BinaryIO

from ._failures import ExitCode, Failure
from ._terminal import escape, is_binary

_RANGE = re.compile(rb"bytes (\d+)-\d+/(?:\d+|\*)")
_UNSATISFIED = re.compile(rb"bytes \*/(\d+)")


class OutputClosed(Exception):
    """The reader of the standard output has closed it, as `head` does: no error, but nothing more can be written."""


class Output:
    """The destination of one body.

    Args:
        stream: the standard output.
        path: the file, or `None` for the standard output.
        guards_terminal: whether binary data is refused, since the standard output is a terminal.
        is_discarded: whether the body is read, and written nowhere.
        offset: the size of the file that is continued.

    Attributes:
        stream: the standard output.
        path: the file, or `None`.
        offset: the bytes that were there before.
        written: the bytes of the body that were written.
        is_complete: whether the file had the whole body before.
        is_mid_line: whether what was written does not end a line.
    """

    def __init__(
        self,
        stream: BinaryIO,
        path: str | None,
        *,
        guards_terminal: bool = False,
        is_discarded: bool = False,
        offset: int = 0,
    ) -> None:
        self.path = path
        self.offset = offset
        self.written = 0
        self.is_complete = False
        self.is_mid_line = False
        self.stream = stream
        self._guards_terminal = guards_terminal
        self._is_discarded = is_discarded
        self._file: BinaryIO | None = None

    def check_range(self, status: int, content_range: bytes, length: int | None) -> None:
        """Check that a response continues the file.

        Args:
            status: its status.
            content_range: its Content-Range; empty if it has none.
            length: the bytes of its body, or `None` if they are unknown.

        Raises:
            Failure: it does not: the file is left as it is.
        """
        if not self.offset:
            return
        found = _RANGE.fullmatch(content_range)
        if status == 206 and found and int(found[1]) == self.offset:
            return
        whole = _UNSATISFIED.fullmatch(content_range)
        is_at_end = status == 416 and whole and int(whole[1]) == self.offset
        # A server without ranges sends all, which may be what there is.
        if is_at_end or (status == 200 and length == self.offset):
            self.is_complete = True
            return
        raise Failure(
            ExitCode.RANGE,
            f"The server did not continue at byte {self.offset}: its status is {status}, "
            f"and its Content-Range {escape(content_range)!r}.",
            "Remove -C to download the whole file.",
        )

    def write(self, data: bytes, *, is_body: bool = True) -> None:
        """Write a part of the body, or a head before it.

        Raises:
            Failure: it was not written.
            OutputClosed: the reader of the standard output has closed it.
        """
        if self._is_discarded or self.is_complete:
            return
        if self.path is None and self._guards_terminal and is_body and is_binary(data):
            hint = "Write it to a file with -o FILE, or to the terminal all the same with -o -."
            raise Failure(
                ExitCode.WRITE, "The body is binary, which could disturb the terminal.", hint
            )
        try:
            target = self._open()
            target.write(data)
            if self._file is None:
                target.flush()
        except BrokenPipeError as exc:
            raise OutputClosed from exc
        except OSError as exc:
            where = "The standard output" if self.path is None else self.path
            raise Failure(ExitCode.WRITE, f"{where} cannot be written: {exc.strerror}.") from exc
        if is_body:
            self.written += len(data)
        if data:
            self.is_mid_line = not data.endswith(b"\n")

    @property
    def is_shown(self) -> bool:
        """Whether progress is worth showing: the body goes to a file, by its name or by the shell."""
        if self.path is not None:
            return True
        try:
            return not self._is_discarded and S_ISREG(os.fstat(self.stream.fileno()).st_mode)
        except OSError:
            return False  # it is not a file of the system

    def _open(self) -> BinaryIO:
        if self.path is None:
            return self.stream
        if self._file is None:
            self._file = open(self.path, "ab" if self.offset else "wb")  # noqa: SIM115 - `close` does
        return self._file

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def size_of(path: str) -> int:
    """Return the size of a file; 0 if there is none."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0
