"""One client, in a process of its own: does a round when it is told to, and tells what the round gave.

Each line of its input is an order; each line of its output, as JSON, the answer; the first says that it is ready.
Runs in every client's environment: it imports the standard library, and the one client that it is for.
"""

from __future__ import annotations

import gc
import itertools
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

from benchmarks import machine
from benchmarks.cases import Case
from benchmarks.clients import AsyncClient, Client, Settings
from benchmarks.pages import Expected, Wrong

Check = Callable[[int, Any], None]


@dataclass
class Job:
    """What this process is for.

    Attributes:
        module: of `benchmarks.clients`.
        package: what the client is imported as.
        case: what to do, as the fields of a `Case`.
        origins: where to send requests.
        proxy: what to send them through.
        authority: the file with the authority's certificate, for TLS.
        core: where to run.
    """

    module: str
    package: str
    case: dict[str, Any]
    origins: list[str]
    proxy: str | None
    authority: str | None
    core: int | None


@dataclass
class Order:
    """A round.

    Attributes:
        seconds: how long, at least.
        least: how many requests, at least.
        limit: how many, at most.
        is_warm_up: whether bodies are looked at as a whole, and large transfers left out.
    """

    seconds: float
    least: int = 0
    limit: int = 1_000_000
    is_warm_up: bool = False


class Round:
    """Measures while the clients work."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.latencies: list[float] = []
        self.begin()

    def begin(self) -> None:
        self._cpu = time.process_time()
        self._began = time.perf_counter()
        self.deadline = self._began + self.order.seconds

    def goes_on(self, now: float) -> bool:
        count = len(self.latencies)
        if now < self.deadline:
            return count < self.order.limit
        return count < self.order.least

    def result(self) -> dict[str, float]:
        seconds = time.perf_counter() - self._began
        cpu = time.process_time() - self._cpu
        latencies = sorted(self.latencies)
        count = len(latencies)
        return {
            "requests": count,
            "seconds": seconds,
            "cpu": cpu,
            "p50": latencies[count // 2],
            "p99": latencies[count * 99 // 100],
        }


class Session:
    """What all runtimes have in common."""

    def __init__(self, job: Job) -> None:
        self.case = Case(**job.case)
        case = self.case
        self.settings = Settings(
            runtime=case.runtime,
            connections=case.connections,
            authority=job.authority,
            http2=case.http2,
            keep_alive=case.keep_alive,
            proxy=job.proxy,
            patience=case.patience,
        )
        self._job = job
        self._expected = Expected(1024 if case.operation == "upload" else case.size)
        self._idle: int | None = None
        self._urls = {
            path: itertools.cycle([f"{origin}/{path}" for origin in job.origins])
            for path in ("1024", self._path(case.operation))
        }

    def create(self) -> Client | AsyncClient:
        module = import_module(f"benchmarks.clients.{self._job.module}")
        created: Client | AsyncClient = module.create(self.settings, self._job.package)
        return created

    def _path(self, operation: str) -> str:
        return {"post": "post", "upload": "sink"}.get(operation, str(self.case.size))

    def work_of(self, order: Order) -> tuple[str, Iterator[str], Check]:
        """Return what a round does: the operation, the URLs, and the check of the answers."""
        operation = self.case.operation
        if operation in ("upload", "download"):
            if order.is_warm_up:
                return "get", self._urls["1024"], Expected(1024).whole
            of = {"upload": self._check_count, "download": self._expected.download}
            return operation, self._urls[self._path(operation)], of[operation]
        check = self._expected.whole if order.is_warm_up else self._expected.check
        return "get" if operation == "idle" else operation, self._urls[self._path(operation)], check

    def _check_count(self, status: int, answer: Any) -> None:
        received = int(bytes(answer))
        # What the server counts includes the head and the framing of chunks.
        if status != 200 or not self.case.size <= received <= self.case.size * 1.01:
            raise Wrong(f"status {status}, {received} bytes")

    def finish(self, round_: Round) -> None:
        """Tell what a round gave, and how much memory it took beyond that of an idle client."""
        result: dict[str, Any] = round_.result()
        peak = machine.peak()
        if self._idle is None:
            machine.reset_peak()
            self._idle = machine.resident()
        elif peak is not None:
            result["peak"] = peak - self._idle
        reply(result)


def orders() -> Iterator[Order]:
    for line in sys.stdin:
        yield Order(**json.loads(line))


def reply(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


# Threads


def on_threads(session: Session) -> None:
    client = cast(Client, session.create())
    size = session.case.size
    operations: dict[str, Callable[[str], tuple[int, Any]]] = {
        "get": client.get,
        "post": lambda url: client.post(url, bytes(size)),
        "upload": lambda url: client.upload(url, size),
        "download": client.download,
    }

    def work(round_: Round, gate: threading.Event) -> None:
        name, urls, check = session.work_of(round_.order)
        operate = operations[name]
        gate.wait()
        begin = time.perf_counter()
        while round_.goes_on(begin):
            check(*operate(next(urls)))
            end = time.perf_counter()
            round_.latencies.append(end - begin)
            begin = end

    try:
        with ThreadPoolExecutor(session.case.tasks) as executor:
            reply({"ready": True})
            for order in orders():
                round_, gate = Round(order), threading.Event()
                futures = [executor.submit(work, round_, gate) for _ in range(session.case.tasks)]
                round_.begin()
                gate.set()
                for future in futures:
                    future.result()
                session.finish(round_)
    finally:
        client.close()


# Event loops


def async_operations(
    client: AsyncClient, size: int
) -> dict[str, Callable[[str], Awaitable[tuple[int, Any]]]]:
    return {
        "get": client.get,
        "post": lambda url: client.post(url, bytes(size)),
        "upload": lambda url: client.upload(url, size),
        "download": client.download,
    }


async def work(session: Session, client: AsyncClient, round_: Round, gate: Any) -> None:
    """What each task does; `gate` is an event of the loop."""
    name, urls, check = session.work_of(round_.order)
    operate = async_operations(client, session.case.size)[name]
    await gate.wait()
    begin = time.perf_counter()
    while round_.goes_on(begin):
        check(*await operate(next(urls)))
        end = time.perf_counter()
        round_.latencies.append(end - begin)
        begin = end


def on_asyncio(session: Session) -> None:
    import asyncio

    async def main() -> None:
        client = cast(AsyncClient, session.create())
        reply({"ready": True})
        for order in orders():
            round_, gate = Round(order), asyncio.Event()
            async with asyncio.TaskGroup() as group:
                for _ in range(session.case.tasks):
                    group.create_task(work(session, client, round_, gate))
                await asyncio.sleep(0)  # until all have come to the gate
                round_.begin()
                gate.set()
            session.finish(round_)
        await client.close()

    async def ask(client: AsyncClient, url: str, check: Check) -> None:
        check(*await client.get(url))

    async def main_idle() -> None:
        """Each round opens connections, in a client of its own, and leaves them open.

        What is needed in between is there from the first round on, so that what the later ones add is what stays.
        """
        clients = []
        reply({"ready": True})
        for order in orders():
            _, urls, check = session.work_of(order)
            memory, count = machine.resident(), machine.sockets()
            client = cast(AsyncClient, session.create())
            clients.append(client)
            await asyncio.gather(
                *[ask(client, next(urls), check) for _ in range(session.case.tasks)]
            )
            gc.collect()
            after, opened = machine.resident(), machine.sockets()
            if memory is None or after is None or count is None or opened is None:
                raise NotImplementedError("memory is only told on Linux")
            reply({"bytes": (after - memory) / (opened - count), "connections": opened - count})
        for client in clients:
            await client.close()

    run: Callable[[Any], Any] = asyncio.run
    if session.case.runtime == "uvloop":
        import uvloop

        run = uvloop.run
    run(main_idle() if session.case.operation == "idle" else main())


def on_trio(session: Session) -> None:
    import trio

    async def main() -> None:
        client = cast(AsyncClient, session.create())
        reply({"ready": True})
        for order in orders():
            round_, gate = Round(order), trio.Event()
            async with trio.open_nursery() as nursery:
                for _ in range(session.case.tasks):
                    nursery.start_soon(work, session, client, round_, gate)
                while gate.statistics().tasks_waiting < session.case.tasks:
                    await trio.lowlevel.checkpoint()
                round_.begin()
                gate.set()
            session.finish(round_)
        await client.close()

    trio.run(main)


def cause(error: BaseException) -> BaseException:
    """Return the first of what a group of tasks raised."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def main() -> None:
    job = Job(**json.loads(sys.argv[1]))
    machine.pin(0, job.core)  # before a client starts threads of its own
    machine.raise_limit_of_descriptors()
    session = Session(job)
    try:
        if session.case.runtime == "threads":
            on_threads(session)
        elif session.case.runtime == "trio":
            on_trio(session)
        else:
            on_asyncio(session)
    except Exception as exc:
        first = cause(exc)
        reply({"error": f"{type(first).__name__}: {first}"})
        raise


if __name__ == "__main__":
    main()
