"""The cases: what is measured, with which clients, and the goals.

Must not know: how a client is driven. This module runs in every client's environment, with the standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

THIS = "this"
"""The name of this httpcore2 among the clients."""

KIB = 1024
MIB = 1024 * KIB

PYTHONS = ("3.11", "3.12", "3.13")
"""The supported Pythons."""

ALL = (
    "floor",
    "published",
    "httpcore",
    "httpx2",
    "aiohttp",
    "pyreqwest",
    "niquests",
    "urllib3",
    "pycurl",
    "standard",
)
"""The other clients. A case skips those that do not support it."""

PEERS = ("published", "aiohttp", "pyreqwest", "niquests")
"""One client of each kind, for most cases of a long run, which takes too long with all clients."""

PROMPT = ("published", "aiohttp", "pyreqwest")
"""The same without niquests, for cases in which it takes minutes."""

Runtime = Literal["threads", "asyncio", "uvloop", "trio", "anyio"]
Operation = Literal["get", "post", "upload", "download", "idle", "import"]
ServerName = Literal["nginx", "caddy", "h2o", "haproxy"]


@dataclass(frozen=True)
class Case:
    """One case to measure.

    Attributes:
        name: its name on the command line.
        title: its title in tables and plots.
        operation: the operation that is repeated. `idle` measures the memory of an idle connection, `import` the time
            of the import; neither counts requests.
        runtime: the runtime. `anyio` is anyio on asyncio.
        tasks: the number of concurrent requests: tasks, or threads.
        connections: the most connections that a client may open.
        size: the size of the response's body, or of the request's for an upload, in bytes.
        origins: the number of origins that the requests are spread over.
        tls: whether the client uses TLS 1.3.
        http2: whether the client uses HTTP/2: by ALPN over TLS, with prior knowledge in clear text.
        http3: whether the client uses HTTP/3, with prior knowledge. `http2` is then true, too.
        server: the server that it connects to; those besides nginx serve GET over HTTP/2 and TLS.
        proxy: the kind of proxy, if any.
        keep_alive: whether connections are reused.
        patience: the value of each of the four timeouts, in seconds.
        limit: the most requests in a round. It bounds what a round leaves in the system, such as ports in TIME_WAIT.
        clients: the clients that a short run compares with. One without HTTP/2 takes part over HTTP/1.1.
        others: the clients that a long run adds.
        variants: the same client with other parameters, to compare with.
        pythons: the further Pythons on which it is compared with itself.
        goals: for each client or variant, the least ratio to its requests a second.
        costs: for each variant, the greatest ratio to its CPU time a request.
        most: for `idle`, `import` and the peak of memory of a transfer: the upper limit in bytes or seconds.
        is_daily: whether a short run includes it.
    """

    name: str
    title: str
    operation: Operation = "get"
    runtime: Runtime = "asyncio"
    tasks: int = 16
    connections: int = 16
    size: int = KIB
    origins: int = 1
    tls: bool = False
    http2: bool = False
    http3: bool = False
    server: ServerName = "nginx"
    proxy: Literal["forward", "tunnel"] | None = None
    keep_alive: bool = True
    patience: float = 5.0
    limit: int = 1_000_000
    clients: tuple[str, ...] = ()
    others: tuple[str, ...] = PEERS
    variants: tuple[tuple[str, Mapping[str, int | str]], ...] = ()
    pythons: tuple[str, ...] = ()
    goals: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    most: float | None = None
    is_daily: bool = True

    def variant(self, changes: Mapping[str, int | str]) -> Case:
        return replace(self, variants=(), **changes)  # type: ignore[arg-type]

    @property
    def is_less_better(self) -> bool:
        return self.operation in ("idle", "import")


def _gets() -> list[Case]:
    """GET of two sizes at three concurrencies, on asyncio."""
    found = {
        (KIB, 16): (
            ("floor", "published", "aiohttp", "pyreqwest"),
            {"published": 8, "aiohttp": 2.5, "pyreqwest": 1.5, "floor": 0.5},
        ),
        (100 * KIB, 64): (
            ("published", "aiohttp", "pyreqwest"),
            {"published": 8, "aiohttp": 2, "pyreqwest": 1.2},
        ),
    }
    cases = []
    for size in (KIB, 100 * KIB):
        for tasks in (1, 16, 64):
            clients, goals = found.get((size, tasks), ((), {}))
            cases.append(
                Case(
                    f"get-{size // KIB}k-{tasks}",
                    f"asyncio, {tasks} connection{'s'[: tasks > 1]}, {size // KIB} KiB",
                    tasks=tasks,
                    connections=tasks,
                    size=size,
                    clients=clients,
                    others=ALL if tasks == 16 else ("floor", "httpx2", *PEERS),
                    goals=goals,
                    is_daily=bool(clients),
                )
            )
    return cases


def _over_http2() -> list[Case]:
    """HTTP/2 over TLS on one connection, unless a title says otherwise."""
    one = Case("http2-16", "asyncio, HTTP/2, 16 streams", tls=True, http2=True, connections=1)
    return [
        replace(
            one,
            name="http2-1",
            title="asyncio, HTTP/2, 1 stream",
            tasks=1,
            variants=(("this, HTTP/1.1", {"http2": False}),),
            goals={"this, HTTP/1.1": 0.7},
            is_daily=False,
        ),
        replace(
            one,
            clients=("published", "pyreqwest", "niquests"),
            others=ALL,
            goals={"published": 7, "pyreqwest": 1, "niquests": 10},
        ),
        replace(
            one,
            name="http2-clear",
            title="asyncio, HTTP/2 in clear text, 16 streams",
            tls=False,
            clients=("published", "pyreqwest", "niquests"),
            goals={"published": 7, "pyreqwest": 1, "niquests": 10},
            is_daily=False,
        ),
        replace(
            one,
            name="http2-16-100k",
            title="asyncio, HTTP/2, 16 streams, 100 KiB",
            size=100 * KIB,
            clients=("published", "pyreqwest", "niquests"),
            goals={"published": 6, "pyreqwest": 1},
        ),
        replace(
            one,
            name="http2-100",
            title="asyncio, HTTP/2, 100 streams",
            tasks=100,
            clients=("pyreqwest",),
            variants=(("this, 16 streams", {"tasks": 16}),),
            goals={"pyreqwest": 1},
            costs={"this, 16 streams": 1.1},
            is_daily=False,
        ),
        replace(
            one,
            name="http2-download",
            title="asyncio, HTTP/2, 10 MiB down, streamed",
            operation="download",
            tasks=1,
            size=10 * MIB,
            clients=("aiohttp", "published", "pyreqwest"),
            goals={"aiohttp": 0.8},
            most=2 * MIB,
            is_daily=False,
        ),
        replace(
            one,
            name="http2-upload",
            title="asyncio, HTTP/2, 10 MiB up",
            operation="upload",
            tasks=1,
            size=10 * MIB,
            clients=("aiohttp", "published", "pyreqwest"),
            goals={"aiohttp": 0.8},
            is_daily=False,
        ),
        *(
            replace(
                one,
                name=f"http2-trio{suffix}",
                title=f"trio, HTTP/2, 16 streams{also}",
                runtime="trio",
                size=size,
                clients=("published",),
                variants=(("this, asyncio", {"runtime": "asyncio"}),),
                goals={"published": 2, "this, asyncio": 0.8},
            )
            for suffix, also, size in (("", "", KIB), ("-100k", ", 100 KiB", 100 * KIB))
        ),
        replace(
            one,
            name="http2-thread",
            title="one thread, HTTP/2",
            runtime="threads",
            tasks=1,
            clients=("published", "pycurl", "pyreqwest"),
            is_daily=False,
        ),
        replace(
            one,
            name="http2-threads-16",
            title="16 threads, HTTP/2",
            runtime="threads",
            clients=("published", "pyreqwest"),
            goals={"published": 4},
            is_daily=False,
        ),
        *(
            replace(
                one,
                name=f"http2-{server}",
                title=f"asyncio, HTTP/2, 16 streams, {server}",
                server=server,
                clients=("pyreqwest",),
                others=PROMPT,
                variants=(("this, nginx", {"server": "nginx"}),),
                goals={"this, nginx": 0.7},
                is_daily=False,
            )
            for server in ("caddy", "h2o", "haproxy")
        ),
    ]


def _over_http3() -> list[Case]:
    """HTTP/3 on one connection to caddy, beside HTTP/2 over TLS to the same server."""
    one = Case(
        "http3-16",
        "asyncio, HTTP/3, 16 streams",
        connections=1,
        tls=True,
        http2=True,
        http3=True,
        server="caddy",
        clients=("niquests",),
        others=("niquests",),
        variants=(("this, HTTP/2", {"http3": False}),),
        goals={"niquests": 3, "this, HTTP/2": 0.6},
    )
    return [
        one,
        replace(
            one,
            name="http3-16-100k",
            title="asyncio, HTTP/3, 16 streams, 100 KiB",
            size=100 * KIB,
            goals={},
            is_daily=False,
        ),
        replace(
            one,
            name="http3-download",
            title="asyncio, HTTP/3, 10 MiB down, streamed",
            operation="download",
            tasks=1,
            size=10 * MIB,
            goals={},
            most=2 * MIB,
            is_daily=False,
        ),
        replace(
            one,
            name="http3-thread",
            title="one thread, HTTP/3",
            runtime="threads",
            tasks=1,
            goals={},
            is_daily=False,
        ),
    ]


CASES = [
    *_gets(),
    Case(
        "1000-on-1000",
        "asyncio, 1000 tasks on 1000 connections",
        tasks=1000,
        connections=1000,
        patience=60,
        clients=("published", "aiohttp"),
        others=("floor", "httpx2", *PEERS),
        variants=(("this at 16", {"tasks": 16, "connections": 16}),),
        goals={"published": 20, "aiohttp": 2},
        costs={"this at 16": 1.7},
    ),
    Case(
        "10000-on-100",
        "asyncio, 10,000 tasks on 100 connections",
        tasks=10_000,
        connections=100,
        patience=120,
        variants=(("this at 100 tasks", {"tasks": 100}),),
        others=PROMPT,
        costs={"this at 100 tasks": 1.25},
    ),
    Case(
        "1000-origins",
        "asyncio, 16 tasks, 1000 origins",
        connections=1100,
        origins=1000,
        others=PROMPT,
        variants=(("this, 1 origin", {"origins": 1, "connections": 16}),),
        is_daily=False,
    ),
    Case(
        "pythons",
        "asyncio, 16 connections, on each Python",
        others=(),
        pythons=PYTHONS,
        is_daily=False,
    ),
    Case("post", "asyncio, POST of 1 KiB", operation="post", is_daily=False),
    Case(
        "download",
        "asyncio, 10 MiB down, streamed",
        operation="download",
        tasks=1,
        connections=1,
        size=10 * MIB,
        clients=("aiohttp",),
        goals={"aiohttp": 1},
        most=2 * MIB,
    ),
    Case(
        "upload",
        "asyncio, 10 MiB up",
        operation="upload",
        tasks=1,
        connections=1,
        size=10 * MIB,
        clients=("published",),
        goals={"published": 2},
    ),
    Case(
        "new-connections",
        "asyncio, a new connection for each request",
        keep_alive=False,
        limit=2000,
        is_daily=False,
    ),
    Case(
        "tls",
        "asyncio, TLS 1.3",
        tls=True,
        clients=("published", "aiohttp", "pyreqwest"),
        others=ALL,
        goals={"published": 7, "aiohttp": 2, "pyreqwest": 1.1},
    ),
    Case(
        "tls-handshakes",
        "asyncio, a TLS 1.3 handshake for each request",
        tls=True,
        keep_alive=False,
        limit=1000,
        is_daily=False,
    ),
    Case("forward", "asyncio, through a forward proxy", proxy="forward", is_daily=False),
    Case(
        "tunnel",
        "asyncio, TLS 1.3 through a CONNECT proxy",
        proxy="tunnel",
        others=PROMPT,
        tls=True,
        is_daily=False,
    ),
    *_over_http2(),
    *_over_http3(),
    Case(
        "uvloop",
        "uvloop, 16 connections",
        runtime="uvloop",
        clients=("aiohttp", "pyreqwest"),
        others=("floor", *PEERS),
        goals={"aiohttp": 2, "pyreqwest": 1.2},
    ),
    Case(
        "trio",
        "trio, 16 connections",
        runtime="trio",
        clients=("published",),
        others=("floor", *PEERS),
        goals={"published": 5},
    ),
    Case("anyio", "anyio, 16 connections", runtime="anyio", is_daily=False),
    Case(
        "thread",
        "one thread",
        runtime="threads",
        tasks=1,
        connections=1,
        clients=("published", "urllib3", "pycurl", "pyreqwest"),
        others=ALL,
        goals={"published": 3, "urllib3": 4.5, "pycurl": 0.95, "pyreqwest": 0.95},
    ),
    Case(
        "threads-16",
        "16 threads",
        runtime="threads",
        clients=("published", "urllib3"),
        others=ALL,
        goals={"published": 3, "urllib3": 4},
    ),
    Case(
        "idle",
        "memory of an idle connection",
        operation="idle",
        tasks=1000,
        connections=1000,
        patience=60,
        clients=("aiohttp",),
        most=8 * KIB,
    ),
    Case(
        "idle-tls",
        "memory of an idle connection with TLS",
        operation="idle",
        tasks=1000,
        connections=1000,
        tls=True,
        patience=60,
        is_daily=False,
    ),
    Case(
        "import",
        "import, over the bare interpreter",
        operation="import",
        clients=("published", "aiohttp"),
        others=ALL,
        most=0.030,
    ),
]
