"""Uses each distribution in an environment that has some of them; its argument contains the servers' URLs.

Prints the outcome of each job as JSON: "done", or the error of a distribution that is not installed. Any other
exception ends the program. It needs only the standard library, and httpcore2 or the core.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from pathlib import Path
from typing import Any

http: Any = importlib.import_module("httpcore2" if find_spec("httpcore2") else "httpcore2_core")
servers: dict[str, str] = json.loads(sys.argv[1])
tls = ssl.create_default_context(cafile=servers["authority"])

URLS = [servers["plain"] + "/1000", servers["tls"] + "/1000"] * 2


def check(response: Any, version: bytes = b"HTTP/1.1") -> None:
    assert (response.status, response.content) == (200, bytes(1000))
    assert response.extensions["http_version"] == version


def on_threads() -> None:
    with http.ConnectionPool(tls) as pool:
        for url in URLS:
            check(pool.request("GET", url))
        assert len(pool.connections) == 2


async def on_a_loop(backend: Any = None) -> None:
    async with http.AsyncConnectionPool(tls, network_backend=backend) as pool:
        for url in URLS:
            check(await pool.request("GET", url))
        assert len(pool.connections) == 2


def on_asyncio() -> None:
    asyncio.run(on_a_loop())


def on_trio() -> None:
    run_trio(on_a_loop)


def run_trio(function: Callable[[], Coroutine[Any, Any, None]]) -> None:
    if find_spec("trio") is None:
        # Without trio there is no loop to run on, so name the backend as a user would.
        http.TrioBackend()
    importlib.import_module("trio").run(function)


def on_anyio() -> None:
    package = (
        http if hasattr(http, "AnyIOBackend") else importlib.import_module("httpcore2_asyncio")
    )
    backend = package.AnyIOBackend()
    asyncio.run(on_a_loop(backend))
    if find_spec("trio"):
        importlib.import_module("trio").run(on_a_loop, backend)


def over_http2() -> None:
    on_installed_runtimes(b"HTTP/2", http2=True)


def over_http3() -> None:
    # The server offers none, so the distribution is loaded, and not used.
    on_installed_runtimes(b"HTTP/1.1", http3=True)


def through_socks() -> None:
    on_installed_runtimes(b"HTTP/1.1", proxy=http.Proxy(servers["socks"]))


def on_installed_runtimes(version: bytes, **options: Any) -> None:
    """Send two requests over one connection, on threads and on each event loop whose backend is installed."""
    with http.ConnectionPool(tls, **options) as pool:
        for _ in range(2):
            check(pool.request("GET", URLS[1]), version)
        assert len(pool.connections) == 1

    async def on_a_loop() -> None:
        async with http.AsyncConnectionPool(tls, **options) as pool:
            for _ in range(2):
                check(await pool.request("GET", URLS[1]), version)
            assert len(pool.connections) == 1

    if find_spec("httpcore2_asyncio"):
        asyncio.run(on_a_loop())
    if find_spec("httpcore2_trio"):
        run_trio(on_a_loop)


def by_command() -> None:
    """Download a file by the script of the command line, and by `python -m httpcore2` if that is installed."""
    commands = [[str(Path(sys.executable).parent / "httpcore2")]]
    if find_spec("httpcore2"):
        commands.append([sys.executable, "-m", "httpcore2"])
        done = subprocess.run([*commands[-1], "-V"], capture_output=True, text=True, check=False)
        if done.returncode == 2:
            raise ImportError(done.stderr.strip())
    for command in commands:
        arguments = ["--cacert", servers["authority"], URLS[1]]
        done_ = subprocess.run([*command, *arguments], capture_output=True, check=True)
        assert done_.stdout == bytes(1000)


def by_system_store() -> None:
    """Make a context that lets the operating system verify certificates."""
    # Certificates that the environment names come first.
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        os.environ.pop(name, None)
    assert http.default_ssl_context(system_store=True).check_hostname


JOBS = {
    "threads": on_threads,
    "asyncio": on_asyncio,
    "trio": on_trio,
    "anyio": on_anyio,
    "http2": over_http2,
    "http3": over_http3,
    "socks": through_socks,
    "truststore": by_system_store,
    "cli": by_command,
}


def outcome(job: Callable[[], None]) -> str:
    try:
        job()
    except ImportError as exc:
        return str(exc)
    return "done"


if __name__ == "__main__":
    names = sys.argv[2:] or list(JOBS)
    sys.stdout.write(json.dumps({name: outcome(JOBS[name]) for name in names}))
