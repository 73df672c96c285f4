"""A proxy for SOCKS4 and SOCKS4a, tiny-proxy, as a program: `python -m tests.support.socks4_server PORT [USER]`.

It runs in a process of its own, so it imports nothing of this project.
"""

from __future__ import annotations

import sys

import anyio
import tiny_proxy  # type: ignore[import-untyped]


async def main(port: int, user: str | None) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    await listener.serve(tiny_proxy.Socks4ProxyHandler(username=user).handle)


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
