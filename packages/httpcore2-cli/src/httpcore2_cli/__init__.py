"""The command line of httpcore2: sends requests with the options of curl, and shows where their time goes."""

from __future__ import annotations

from httpcore2_core._distributions import check_version

check_version(__name__, "3.0.0")

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and exit with the exit code that curl has for the outcome.

    Args:
        arguments: the arguments after the name of the program, by default those of the process.

    Raises:
        SystemExit: always. Its code is 0, or says what failed.

    Example:
        A program can run the command as a user does.

        ```python
        import httpcore2_cli

        try:
            httpcore2_cli.main(["--fail", "https://www.example.com/"])
        except SystemExit as exit_:
            assert exit_.code == 0
        ```
    """
    from ._command import command

    command.main(arguments, prog_name="httpcore2")
