"""Uses the copy of each import package in `acme/_vendor`; its argument contains the servers' URLs.

A failed assertion ends the program. If an `httpcore2` is installed, too, both are used, and must share no state.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import re
import ssl
import sys
import warnings
from importlib.util import find_spec
from types import FunctionType, ModuleType
from typing import Any

import trio

# The transport creates its loggers only if logging is configured.
logging.basicConfig(filename="log", level=logging.DEBUG, format="%(name)s")

PLACE = "acme._vendor"
NAMES = (
    "httpcore2",
    "httpcore2_core",
    "httpcore2_asyncio",
    "httpcore2_trio",
    "httpcore2_http2",
    "httpcore2_http3",
)
servers: dict[str, str] = json.loads(sys.argv[1])
tls = ssl.create_default_context(cafile=servers["authority"])
URL = servers["tls"] + "/1000"

# The older release emits a warning at import.
with warnings.catch_warnings(action="ignore"):
    installed: Any = importlib.import_module("httpcore2") if find_spec("httpcore2") else None


async def get(pool: Any) -> bytes:
    async with pool:
        response = await pool.request("GET", URL)
        assert response.status == 200
        assert repr(response) == "<Response [200]>"
        version: bytes = response.extensions["http_version"]
        return version


def on_asyncio(backend: Any = None, **options: Any) -> bytes:
    return asyncio.run(get(core.AsyncConnectionPool(tls, network_backend=backend, **options)))


def on_trio(backend: Any = None, **options: Any) -> bytes:
    return trio.run(get, core.AsyncConnectionPool(tls, network_backend=backend, **options))


def on_threads(package: Any, **options: Any) -> bytes:
    with package.ConnectionPool(tls, **options) as pool:
        response = pool.request("GET", URL)
        assert (response.status, response.content) == (200, bytes(1000))
        (connection,) = pool.connections
        assert re.match(r"<\w+Connection \['https://127\.0\.0\.1:", repr(connection))
        version: bytes = response.extensions["http_version"]
        return version


if installed is not None:
    assert on_threads(installed) == b"HTTP/1.1"
before = set(sys.modules)
front, core, for_asyncio, for_trio, http2, http3 = (
    importlib.import_module(f"{PLACE}.{name}") for name in NAMES
)
# The `vendoring` tool copies these dependencies, too.
COMPANIONS = {
    name for name in ("certifi", "h11", "h2", "hpack", "socksio") if find_spec(f"{PLACE}.{name}")
}


def its_work() -> None:
    assert on_threads(core, network_backend=core.SyncBackend()) == b"HTTP/1.1"
    assert on_threads(front, http2=True) == b"HTTP/2"
    assert on_threads(core, proxy=core.Proxy(servers["socks"])) == b"HTTP/1.1"
    assert on_asyncio(for_asyncio.AsyncIOBackend()) == b"HTTP/1.1"
    assert on_asyncio(for_asyncio.AnyIOBackend(), http2=True) == b"HTTP/2"
    assert on_trio(for_trio.TrioBackend()) == b"HTTP/1.1"
    assert on_trio(for_asyncio.AnyIOBackend(), http2=True) == b"HTTP/2"
    # The core finds them beside itself.
    assert on_asyncio() == on_trio() == b"HTTP/1.1"
    assert isinstance(http2.HTTP2Connection, type)
    assert isinstance(http3.HTTP3Connection, type)
    core.ConnectionPool(tls, http1=False, http3=True).close()


def error_of(backend: Any, package: Any) -> str:
    """Return the module of the exception of a failed connection."""
    try:
        on_asyncio(backend, uds="/nowhere")
    except package.ConnectError as exc:
        return type(exc).__module__
    raise AssertionError("it was connected")


def its_module_paths_of_2_16_2() -> None:
    """Check the private modules that test kits patch."""
    pools = importlib.import_module(f"{PLACE}.httpcore2._sync.connection_pool")
    assert pools.ConnectionPool is front.ConnectionPool
    connections = importlib.import_module(f"{PLACE}.httpcore2._async.connection")
    assert connections.AsyncHTTPConnection is core.AsyncHTTPConnection
    backend = front._backends.auto.AutoBackend()
    assert on_asyncio(backend) == on_trio(backend) == b"HTTP/1.1"


def its_errors() -> None:
    assert error_of(for_asyncio.AsyncIOBackend(), core) == f"{PLACE}.httpcore2"


def its_names() -> None:
    named = {name for name in logging.root.manager.loggerDict if "httpcore2" in name}
    outside = {name for name in named if not name.startswith(PLACE)}
    assert f"{PLACE}.httpcore2.connection" in named
    assert f"{PLACE}.httpcore2.http2" in named
    assert not outside or installed, outside
    assert repr(for_trio.TrioBackend()).startswith(f"<{PLACE}.httpcore2")
    modules = set(sys.modules) - before
    strangers = {name for name in modules if name.partition(".")[0] in (*NAMES, *COMPANIONS)}
    assert not strangers, strangers


def state_of(place: str) -> dict[int, str]:
    """Return all mutable objects, classes and functions in the modules of a package, by identity."""
    kinds = (type, FunctionType, dict, list, set)
    prefixes = tuple(f"{place}{name}" for name in NAMES)
    found = {}
    for name, module in list(sys.modules.items()):
        if name.startswith(prefixes) and isinstance(module, ModuleType):
            for key, value in vars(module).items():
                own = getattr(value, "__module__", name) or ""
                if isinstance(value, kinds) and own.startswith(prefixes) and key != "__builtins__":
                    found[id(value)] = f"{name}.{key}"
    return found


its_work()
its_module_paths_of_2_16_2()
its_errors()
its_names()
if installed is not None:
    # For the copy, a backend of the installed package is a caller's backend.
    assert on_asyncio(installed.AnyIOBackend()) == on_trio(installed.AnyIOBackend()) == b"HTTP/1.1"
    assert error_of(installed.AnyIOBackend(), installed).startswith("httpcore2")
    assert state_of("")
    assert not set(state_of("")) & set(state_of(f"{PLACE}."))
    assert on_threads(installed) == b"HTTP/1.1"
sys.stdout.write(getattr(installed, "__version__", "nothing"))
