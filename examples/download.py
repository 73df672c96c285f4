"""Download a page to a file, and print its progress: `python examples/download.py URL FILE`."""

from __future__ import annotations

import sys

import httpcore2

TIMEOUTS = {"pool": 5.0, "connect": 5.0, "read": 10.0, "write": 10.0}


def main(url: str, path: str) -> None:
    with (
        httpcore2.stream("GET", url, extensions={"timeout": TIMEOUTS}) as response,
        open(path, "wb") as file,
    ):
        if response.status != 200:
            raise SystemExit(f"{url} responded with status {response.status}")
        size = 0
        for chunk in response.iter_stream():
            size += file.write(chunk)
            print(f"\r{size} bytes", end="", file=sys.stderr)
    print(file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2])
