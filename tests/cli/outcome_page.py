"""The page of the documentation with what the command does at servers of each kind, and how it differs from curl.

Must not know: how the rows are made.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .curl_cases import CASES
from .outcomes import Row

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-line-outcomes.md"

TEXT = """\
# Command line: outcomes

What `httpcore2` does at real servers and at servers that fail in each phase, and where it differs from curl.
The tests make this page: `python -m tests.cli` writes it.

## At servers

Ports and times are left out. [Exit codes](../guide/command-line.md#what-do-the-exit-codes-mean) are those of curl.

| server | command | exit code | status and phases, or message |
|---|---|---:|---|
{rows}

## Compared with curl

These command lines do the same in `curl` and in `httpcore2`: the same requests, bodies, files and exit codes.

```text
{equal}
```

These do not:

| options and URL | difference |
|---|---|
{different}
"""


def page(rows: Iterable[Row]) -> str:
    """Return the page."""
    names = dict.fromkeys(
        ("origin", "tls", "h2", "proxy", "socks", "socket", "ca", "port", "closed")
    )
    shown = {name: f"{name.upper()}" for name in names}
    equal = [case.arguments.format(**shown) for case in CASES if case.difference is None]
    different = [
        f"| `{case.arguments.format(**shown)}` | {case.difference} |"
        for case in CASES
        if case.difference is not None
    ]
    return TEXT.format(
        rows="\n".join(
            f"| {row.server} | `{row.command}` | {row.code} | {row.result} |" for row in rows
        ),
        equal="\n".join(equal),
        different="\n".join(different),
    )
