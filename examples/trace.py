"""Print the trace events of a request on asyncio: `python examples/trace.py URL`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httpcore2


async def show(event: str, info: dict[str, Any]) -> None:
    print(event, *(f"{name}={value!r}" for name, value in info.items()))


async def main(url: str) -> None:
    async with httpcore2.AsyncConnectionPool() as http:
        response = await http.request("GET", url, extensions={"trace": show})
        print(response, len(response.content), "bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    asyncio.run(main(sys.argv[1]))
