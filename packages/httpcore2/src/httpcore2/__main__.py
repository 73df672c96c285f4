"""`python -m httpcore2`: the command line, which is in the distribution `httpcore2-cli`."""

from __future__ import annotations

import sys

from httpcore2_core._distributions import load


def main() -> None:
    """Run the command line; without its distribution, say how to install it."""
    try:
        run = load("httpcore2_cli", "main", "cli", "python -m httpcore2")
    except ImportError as exc:
        sys.stderr.write(f"{exc}\n")
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
