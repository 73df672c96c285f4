"""Sending a body where nothing can wait for the network beside it: on threads, and through callers' own streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import httpcore2
from httpcore2_core._http.timeouts import Timeouts
from httpcore2_core._http.traffic import Traffic
from httpcore2_core._http11.codec import HTTP11Codec
from httpcore2_core._http11.upload import WAIT_LIMIT, Upload
from httpcore2_core._models import ByteStream
from httpcore2_core._net.coroutines import run_blocking

from ...support.custom_network import CustomBackend, CustomStream
from ...support.fake_network import FakeNetworkStream
from ...support.runtimes import TestedRuntime
from ...support.scripted_servers import Peer, response, scripted_server
from ..fake_runtime import FakeRuntime, FakeStream

REFUSAL = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"
SUCCESS = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CHUNK = bytes(1 << 18)


class ThreadRuntime(FakeRuntime):
    """A runtime of threads, with a clock that is set by hand."""

    is_blocking = True


class ThreadStream(FakeStream):
    """A stream that receives one segment after the other, and whose socket has limited room."""

    is_resumable = True

    def __init__(self, *segments: bytes, room: int = 1 << 30) -> None:
        super().__init__(*segments)
        self.fake_runtime = ThreadRuntime()
        self.room = room
        self.sent = b""

    def write_nowait(self, buffer: bytes) -> int:
        taken = min(self.room, len(buffer))
        self.room -= taken
        self.sent += buffer[:taken]
        return taken

    async def write_some(self, buffer: bytes, timeout: float | None = None) -> int:
        assert timeout is not None, "it never waits without end"
        assert timeout <= WAIT_LIMIT
        self.fake_runtime.time += timeout
        return self.write_nowait(buffer)


def upload_of(stream: FakeStream, size: int, **limits: float) -> Upload:
    codec = HTTP11Codec()
    codec.start_request(b"POST", b"/", [(b"Host", b"a"), (b"Content-Length", b"%d" % size)], None)
    return Upload(stream, codec, Traffic(), 65536, Timeouts(**limits, runtime=stream.runtime))


def test_a_thread_polls_for_a_response_after_each_chunk_of_the_body() -> None:
    stream = ThreadStream(REFUSAL)
    upload = upload_of(stream, 6)
    closed = []

    def chunks() -> Iterator[bytes]:
        yield b"one"
        stream.fake_runtime.time += 1.0
        try:
            yield b"two"
        finally:
            closed.append(True)

    head = run_blocking(upload.send(chunks()))
    assert head is not None
    assert head.status == 413
    assert stream.sent == b"one"
    assert upload.has_begun


def test_a_thread_polls_at_most_once_in_an_interval() -> None:
    stream = ThreadStream()
    run_blocking(upload_of(stream, 1000).send(b"x" for _ in range(1000)))
    assert stream.calls == []
    assert stream.sent == b"x" * 1000


@pytest.mark.parametrize("last", [False, True], ids=["before a chunk", "before the end"])
def test_a_total_that_ends_while_a_body_blocks_its_thread_is_noticed_after_it(
    last: bool,
) -> None:
    stream = ThreadStream()

    def chunks() -> Iterator[bytes]:
        yield b"one"
        stream.fake_runtime.time += 6.0
        if not last:
            yield b"two"

    with pytest.raises(httpcore2.WriteTimeout, match=r"total of 1\.0 seconds"):
        run_blocking(upload_of(stream, 3 if last else 6, total=1.0).send(chunks()))
    assert stream.sent == b"one"


@pytest.mark.parametrize("limits", [{"write": 1.0}, {"total": 1.0}], ids=["write", "total"])
def test_a_thread_waits_for_a_full_socket_and_polls_in_turns_until_the_write_timeout(
    limits: dict[str, float],
) -> None:
    stream = ThreadStream(room=100)
    with pytest.raises(httpcore2.WriteTimeout):
        run_blocking(upload_of(stream, 1000, **limits).send(ByteStream(bytes(1000))))
    assert stream.fake_runtime.time == pytest.approx(1.0)
    assert stream.calls.count(("read_nowait", 65536)) == pytest.approx(1.0 / WAIT_LIMIT, abs=2)


def test_the_remaining_data_is_written_when_a_full_socket_has_room_again() -> None:
    class Draining(ThreadStream):
        async def write_some(self, buffer: bytes, timeout: float | None = None) -> int:
            self.room = 70_000
            return await super().write_some(buffer, timeout)

    stream = Draining(room=100)
    content = bytes(range(256)) * 1024
    assert run_blocking(upload_of(stream, len(content)).send(ByteStream(content))) is None
    assert stream.sent == content


def test_a_refusal_before_a_write_timeout_is_returned() -> None:
    class Full(ThreadStream):
        async def write_some(self, buffer: bytes, timeout: float | None = None) -> int:
            raise httpcore2.WriteTimeout("The peer accepted too little.")

    stream = Full(REFUSAL, b"", room=100)
    head = run_blocking(upload_of(stream, 1000, write=1.0).send(ByteStream(bytes(1000))))
    assert head is not None
    assert head.status >= 300


def test_a_success_does_not_hide_that_a_full_socket_timed_out() -> None:
    upload = upload_of(ThreadStream(SUCCESS, room=100), 1000, write=1.0)
    with pytest.raises(httpcore2.WriteTimeout):
        run_blocking(upload.send(ByteStream(bytes(1000))))
    assert upload.final_poll() is None


def test_a_connection_is_polled_once_more_before_a_write_timeout_is_raised(
    runtime: TestedRuntime,
) -> None:
    class Full(FakeNetworkStream):
        async def write(self, buffer: bytes, timeout: float | None = None) -> None:
            raise httpcore2.WriteTimeout("The peer accepted too little.")

    async def scenario() -> None:
        # Of a caller's own stream, nothing can be had without waiting.
        origin = httpcore2.Origin(b"http", b"example.com", 80)
        connection = runtime.http11_connection(origin, Full([response(b"fine")]))
        with pytest.raises(httpcore2.WriteTimeout):
            await connection.request("POST", "http://example.com/", content=b"x")
        assert connection.is_closed()

    runtime.run(scenario)


def test_a_small_body_that_is_not_taken_does_not_lose_the_answer() -> None:
    class Full(ThreadStream):
        async def write(self, buffer: bytes, timeout: float | None = None) -> None:
            raise httpcore2.WriteTimeout("The peer accepted too little.")

    async def exchange(stream: Full) -> tuple[int, bytes]:
        origin = httpcore2.Origin(b"http", b"example.com", 80)
        connection = httpcore2.AsyncHTTP11Connection(origin, stream)
        request = httpcore2.Request("POST", "http://example.com/", content=b"x" * 100)
        request.headers.extend([(b"Host", b"example.com"), (b"Content-Length", b"100")])
        reply = await connection.handle_async_request(request)
        await reply.aread()
        assert connection.is_closed()
        return reply.status, reply.content

    refusal = response(b"no").replace(b"200 OK", b"413 Content Too Large")
    assert run_blocking(exchange(Full(refusal, b""))) == (413, b"no")
    with pytest.raises(httpcore2.WriteTimeout):
        run_blocking(exchange(Full(response(b"fine"), b"")))
    with pytest.raises(httpcore2.WriteTimeout):
        run_blocking(exchange(Full()))


def test_a_total_that_is_over_before_the_head_leaves_the_connection_as_it_was() -> None:
    stream = ThreadStream(SUCCESS)

    async def exchange() -> None:
        origin = httpcore2.Origin(b"http", b"example.com", 80)
        connection = httpcore2.AsyncHTTP11Connection(origin, stream)
        request = httpcore2.Request("GET", "http://example.com/", headers=[(b"Host", b"a")])
        request.extensions["timeout"] = {"total": 0}
        with pytest.raises(httpcore2.WriteTimeout):
            await connection.handle_async_request(request)
        assert connection.is_idle()
        assert stream.sent == b""

    run_blocking(exchange())


# Callers' own streams


class AlwaysReadable(CustomStream):
    """Reports to be readable although a read returns nothing, as after a TLS session ticket."""

    def get_extra_info(self, info: str) -> Any:
        return True if info == "is_readable" else super().get_extra_info(info)


@pytest.mark.parametrize("ending", ["refused", "interim", "ended"])
def test_a_callers_own_stream_is_read_between_the_chunks(
    runtime: TestedRuntime, ending: str
) -> None:
    answered = runtime.event()

    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.receive_until(b"first")
        if ending == "interim":
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif ending == "refused":
            peer.send(REFUSAL)
        else:
            peer.half_close()
        answered.set()
        if ending == "interim":
            peer.receive_until(b"0\r\n\r\n")
            peer.send(SUCCESS)
        assert b"last" not in peer.receive_until_close()

    def chunks() -> Iterator[bytes]:
        yield b"first"
        answered.wait_in_thread()
        yield from [b"x"] * 100
        yield b"last"

    async def chunks_in_turns() -> AsyncIterator[bytes]:
        for chunk in chunks():
            yield chunk
            await runtime.let_others_run()  # an event loop has to receive the data

    async def scenario() -> None:
        backend = CustomBackend(runtime.backend())
        async with runtime.pool(network_backend=backend) as pool:
            content: Any = chunks() if runtime.name == "threads" else chunks_in_turns()
            posting = pool.request("POST", server.url, content=content)
            if ending == "ended":
                with pytest.raises(httpcore2.RemoteProtocolError, match="disconnected"):
                    await posting
            else:
                assert (await posting).status == (413 if ending == "refused" else 200)

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_a_callers_own_stream_that_can_be_read_in_vain_is_waited_for_once(
    runtime: TestedRuntime,
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(response(b"fine"))
        peer.receive_until_close()

    async def scenario() -> None:
        backend = CustomBackend(runtime.backend(), AlwaysReadable)
        async with runtime.pool(network_backend=backend) as pool:
            reply = await pool.request(
                "POST", server.url, content=runtime.body(b"chunk" for _ in range(20))
            )
            assert reply.content == b"fine"
            assert backend.streams[0].reads.count(WAIT_LIMIT) == 1

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_a_refusal_at_the_time_of_a_write_timeout_is_returned() -> None:
    class Late(ThreadStream):
        async def write_some(self, buffer: bytes, timeout: float | None = None) -> int:
            upload._receive(REFUSAL)
            raise httpcore2.WriteTimeout("The peer accepted too little.")

    upload = upload_of(Late(room=100), 1000, write=1.0)
    head = run_blocking(upload.send(ByteStream(bytes(1000))))
    assert head is not None
    assert head.status == 413
