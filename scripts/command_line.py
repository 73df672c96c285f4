"""The pages of the documentation on the command line, from the command itself.

python scripts/command_line.py            write docs/reference/command-line.md
python scripts/command_line.py --check    fail if it is not up to date
"""

from __future__ import annotations

import sys
from pathlib import Path

from httpcore2_cli._command import command

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "command-line.md"

TEMPLATE = """\
# Command line

Every option of `httpcore2`, as `httpcore2 --help` prints it. [Command line](../guide/command-line.md) explains them.

```text title="httpcore2 --help"
{help}
```

::: httpcore2_cli.main
"""


def page() -> str:
    """Return the page."""
    context = command.make_context("httpcore2", [], resilient_parsing=True, terminal_width=100)
    return TEMPLATE.format(help=command.get_help(context))


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print("usage: python scripts/command_line.py [--check]", file=sys.stderr)
        return 2
    if not arguments:
        PAGE.write_text(page())
    elif PAGE.read_text() != page():
        print(f"{PAGE.name} is not up to date: run scripts/command_line.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
