"""A pseudo-terminal with the command in it, which reads what a user sees and presses keys.

Rules: the command has a session of its own, so that Ctrl-C reaches it alone.
Must not know: the options of the command.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

LIMIT = 20.0
"""Seconds until a text must be there."""

# The session of the command has no terminal yet.
LAUNCH = """
import fcntl, sys, termios
fcntl.ioctl(2, termios.TIOCSCTTY, 0)
import httpcore2_cli
httpcore2_cli.main()
"""

CTRL_C = b"\x03"


class Terminal:
    """A running command and its terminal.

    Attributes:
        process: the command.
        text: what was shown until now, with escape sequences.
    """

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self.text = ""
        self._descriptor = descriptor

    def wait_for(self, pattern: str) -> None:
        """Read until a pattern was shown."""
        while not re.search(pattern, self.text):
            assert self._read(), f"{pattern!r} is not in {self.text!r}"

    def finish(self) -> int:
        """Read until the command ends, and return its exit code."""
        while self._read():
            pass
        return self.process.wait(LIMIT)

    def press(self, keys: bytes) -> None:
        os.write(self._descriptor, keys)

    def _read(self) -> bool:
        end = time.monotonic() + LIMIT
        ready, _, _ = select.select([self._descriptor], [], [], max(end - time.monotonic(), 0))
        assert ready, f"nothing more was shown after {self.text!r}"
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # Linux reports the end of the other side as an error
            return False
        self.text += data.decode().replace("\r\n", "\n")
        return bool(data)

    @property
    def plain(self) -> str:
        """The text without escape sequences."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text)


@contextmanager
def terminal(
    *arguments: object,
    columns: int = 80,
    environment: Mapping[str, str] | None = None,
    stdout: int | None = None,
) -> Iterator[Terminal]:
    """Run the command in a terminal.

    Args:
        arguments: those of the command line.
        columns: the width of the window.
        environment: further variables.
        stdout: a descriptor for the standard output, by default the terminal.
    """
    own, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    inherited = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR",)}
    for name in ("COLUMNS", "LINES"):
        inherited.pop(name, None)
    variables = {**inherited, "TERM": "xterm", "LANG": "C.UTF-8", **(environment or {})}
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, *map(str, arguments)],
        stdin=other,
        stdout=other if stdout is None else stdout,
        stderr=other,
        env=variables,
        start_new_session=True,
    )
    os.close(other)
    try:
        yield Terminal(process, own)
    finally:
        process.kill()
        process.wait()
        os.close(own)
