"""Asynchronous exceptions in a thread, and responses that are collected unclosed: neither leaks a slot of the pool."""

from __future__ import annotations

import gc
import os
import ssl
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import httpcore2

from ..support.interruption import interrupted_at
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server

FINE = response(b"fine")
SLOTS = 2
AT_ONCE: dict[str, Any] = {"timeout": {"pool": 0.0}}


class EchoStream(httpcore2.NetworkStream):
    """A fake stream that responds to each request with its target."""

    def __init__(self) -> None:
        self._responses = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data, self._responses = self._responses[:max_bytes], self._responses[max_bytes:]
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._responses += response(buffer.split(b" ")[1])

    def close(self) -> None:
        pass

    def get_extra_info(self, info: str) -> Any:
        return False if info == "is_readable" else None


class EchoBackend(httpcore2.NetworkBackend):
    def connect_tcp(self, *args: Any, **options: Any) -> EchoStream:
        return EchoStream()


def fetch(pool: httpcore2.ConnectionPool) -> None:
    assert pool.request("GET", "http://h/fetched", extensions=AT_ONCE).content == b"/fetched"


def stream(pool: httpcore2.ConnectionPool) -> None:
    with pool.stream("GET", "http://h/streamed", extensions=AT_ONCE) as reply:
        assert b"".join(reply.iter_stream()) == b"/streamed"


def leave(pool: httpcore2.ConnectionPool) -> None:
    with pool.stream("GET", "http://h/left", extensions=AT_ONCE):
        pass


def lease(pool: httpcore2.ConnectionPool) -> None:
    with pool.lease("http://h/", extensions=AT_ONCE) as connection:
        for target in (b"/leased", b"/again"):
            assert connection.request("GET", f"http://h{target.decode()}").content == target


def reuse(pool: httpcore2.ConnectionPool) -> None:
    for _ in range(2):
        with pool.lease("http://h/", reuse=True, extensions=AT_ONCE) as connection:
            assert connection.request("GET", "http://h/leased").content == b"/leased"


def make_pool(is_warm: bool) -> httpcore2.ConnectionPool:
    pool = httpcore2.ConnectionPool(max_connections=SLOTS, network_backend=EchoBackend())
    if is_warm:
        fetch(pool)
    return pool


# An exception before the first step of a coroutine leaves the coroutine unawaited.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("is_warm", [True, False], ids=["reused connection", "new connection"])
@pytest.mark.parametrize("use", [fetch, stream, lease, reuse])
def test_a_request_interrupted_at_any_place_leaks_no_slot_and_does_not_affect_other_requests(
    use: Callable[[httpcore2.ConnectionPool], None], is_warm: bool
) -> None:
    number = 0
    was_reached = True
    while was_reached:
        number += 1
        pool, spare = make_pool(is_warm), make_pool(is_warm)
        was_reached = interrupted_at(number, partial(use, pool), partial(use, spare))
        replies = [
            pool.handle_request(
                httpcore2.Request(
                    "GET", f"http://h/{slot}", headers={"Host": "h"}, extensions=AT_ONCE
                )
            )
            for slot in range(SLOTS)
        ]
        for slot, reply in enumerate(replies):
            assert reply.read() == b"/%d" % slot
        assert "0 active, 0 queued | Connections: 0 active, 2 idle" in repr(pool)
        for each in (pool, spare):
            each.close()
    assert number > 50


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("kind", ["SIGINT", "SIGALRM", "SetAsyncExc"])
def test_hundreds_of_random_interruptions_leak_no_slot(kind: str, no_leaks: None) -> None:
    script = """
        import ctypes, os, random, signal, sys, threading, time
        import httpcore2

        url, kind = sys.argv[1:]
        limits = {"timeout": {"pool": 20.0, "read": 20.0}}

        class Interruption(BaseException):
            pass

        def interrupt(*args):
            raise Interruption

        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGALRM, interrupt)
        pool = httpcore2.ConnectionPool(max_connections=10)
        chance = random.Random(1)
        me = threading.get_ident()
        is_wanted = threading.Semaphore(0)

        def send():
            while is_wanted.acquire():
                time.sleep(chance.random() * 0.002)
                if kind == "SIGINT":
                    os.kill(os.getpid(), signal.SIGINT)
                else:
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(me), ctypes.py_object(Interruption)
                    )

        threading.Thread(target=send, daemon=True).start()
        for _ in range(300):
            try:
                if kind == "SIGALRM":
                    signal.setitimer(signal.ITIMER_REAL, chance.random() * 0.002 + 1e-6, 1.0)
                else:
                    is_wanted.release()
                while True:
                    assert pool.request("GET", url, extensions=limits).content == b"fine"
            except Interruption:
                signal.setitimer(signal.ITIMER_REAL, 0)
        replies = [
            pool.handle_request(
                httpcore2.Request("GET", url, headers={"Host": "h"}, extensions=limits)
            )
            for _ in range(10)
        ]
        for reply in replies:
            assert reply.read() == b"fine"
        print(pool)
    """

    def handler(peer: Peer) -> None:
        while peer.receive_request():
            peer.send(FINE)

    with scripted_server(handler, allow_disconnect=True) as server:
        command = [sys.executable, "-c", textwrap.dedent(script), server.url, kind]
        # Without coverage: an interruption in its code would leave its locks held.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, env=environment
        )
    assert done.returncode == 0, done.stderr
    assert "0 active, 0 queued | Connections: 0 active, 10 idle" in done.stdout


def test_a_response_collected_without_being_closed_releases_its_slot(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:

            async def drop() -> None:
                request = httpcore2.Request("GET", server.url, headers={"Host": "h"})
                handle = getattr(pool, "handle_async_request", None)
                assert handle is not None
                await handle(request)

            await drop()
            gc.collect()
            reply = await pool.request("GET", server.url, extensions={"timeout": {"pool": 5.0}})
            assert reply.content == b"fine"

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
        assert server.accepted == 2


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS inside"])
def test_an_upgraded_stream_outlives_its_response(
    runtime: TestedRuntime, secured: bool, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
        )
        if secured:
            peer = Peer(server_tls.wrap_socket(peer.socket, server_side=True), peer.number)
        with peer.socket:
            while data := peer.receive_some():
                peer.send(data)

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            headers: dict[bytes | str, bytes | str] = {"Connection": "upgrade", "Upgrade": "echo"}
            request = httpcore2.Request("GET", server.url, headers={"Host": "a", **headers})
            switched = await pool.handle_async_request(request)
            stream = switched.extensions["network_stream"]
            if secured:
                stream = await stream.start_tls(client_tls, "localhost")
            del switched
            gc.collect()
            with pytest.raises(httpcore2.PoolTimeout):
                await pool.request("GET", server.url, extensions={"timeout": {"pool": 0.01}})
            await stream.write(b"ping")
            assert await stream.read(4) == b"ping"

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 1
