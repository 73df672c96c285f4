"""The process of one client: it runs a round for each order, and prints the results.

Each line of its input is an order, and each line of its output a result, as JSON. The first line of the output says
that the client is ready. This module runs in the client's environment: it imports the standard library and that client.
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
    """The client and the case of this process.

    Attributes:
        module: the module in `benchmarks.clients`.
        package: the package of the client.
        case: the fields of a `Case`.
        origins: the origins to send requests to.
        proxy: the proxy to send them through.
        authority: the file with the authority's certificate, for TLS.
        core: the core to run on.
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
        seconds: the least length.
        least: the least number of requests.
        limit: the most requests.
        is_warm_up: whether bodies are checked as a whole, and large transfers skipped.
    """

    seconds: float
    least: int = 0
    limit: int = 1_000_000
    is_warm_up: bool = False


class Round:
    """Measures a round: time, CPU time, memory."""

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
    """Base class of the workers for threads and event loops."""

    def __init__(self, job: Job) -> None:
        self.case = Case(**job.case)
        case = self.case
        self.settings = Settings(
            runtime=case.runtime,
            connections=case.connections,
            authority=job.authority,
            http2=case.http2,
            http3=case.http3,
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
        """Return the operation, the URLs and the check of responses for a round."""
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
        # The server's count includes the head and the framing of chunks.
        if status != 200 or not self.case.size <= received <= self.case.size * 1.01:
            raise Wrong(f"status {status}, {received} bytes")

    def finish(self, round_: Round) -> None:
        """Print the results of a round, with its memory beyond that of an idle client."""
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
    """Run one task; `gate` is an event of the loop."""
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
                await asyncio.sleep(0)  # until all tasks wait at the gate
                round_.begin()
                gate.set()
            session.finish(round_)
        await client.close()

    async def ask(client: AsyncClient, url: str, check: Check) -> None:
        check(*await client.get(url))

    async def main_idle() -> None:
        """Open connections in each round, with a new client, and leave them open.

        The first round allocates what all rounds share, so that later rounds add only the memory of connections.
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
                raise NotImplementedError("memory is only measured on Linux")
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
    """Return the first exception of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def main() -> None:
    job = Job(**json.loads(sys.argv[1]))
    machine.pin(0, job.core)  # before the client starts threads
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
