"""The stream that is left when a connection leaves HTTP or a proxy has answered."""

from __future__ import annotations

import ssl

import pytest

from httpcore2_core._exceptions import ConnectError
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.coroutines import run_blocking
from httpcore2_core._net.prefixed_stream import PrefixedStream

from ..fake_runtime import FakeStream


def test_what_came_with_the_head_is_read_first() -> None:
    inner = FakeStream(b"later")
    stream = PrefixedStream(inner, b"hello")
    assert run_blocking(stream.read(3, timeout=1.0)) == b"hel"
    assert run_blocking(stream.read(100, timeout=1.0)) == b"lo"
    assert inner.calls == []
    assert run_blocking(stream.read(100, timeout=1.0)) == b"later"
    assert inner.calls == [("read", 100, 1.0)]


def test_what_came_with_the_head_is_there_without_waiting() -> None:
    inner = FakeStream(b"later")
    stream = PrefixedStream(inner, b"hello")
    assert stream.get_extra_info("is_readable") is True
    assert stream.read_nowait(3) == b"hel"
    assert stream.read_nowait(100) == b"lo"
    assert stream.read_nowait(100) == b"later"
    assert stream.read_nowait(100) is None


@pytest.mark.parametrize(
    ("leading_data", "info"), [(b"", "is_readable"), (b"hello", "socket"), (b"", "socket")]
)
def test_all_else_that_is_known_is_the_streams_own(leading_data: bytes, info: str) -> None:
    stream = PrefixedStream(FakeStream(), leading_data)
    assert stream.get_extra_info(info) == f"the stream's {info}"


def test_writing_watching_and_closing_are_the_streams_own() -> None:
    inner = FakeStream()
    stream = PrefixedStream(inner, b"hello")
    assert stream.runtime is inner.runtime
    run_blocking(stream.write(b"x", timeout=1.0))
    assert stream.write_nowait(b"y") == 0
    assert run_blocking(stream.write_some(b"z", timeout=2.0)) == 1
    stream.watch(None)
    stream.abort()
    run_blocking(stream.aclose())
    assert inner.calls == [
        ("write", b"x", 1.0),
        ("write", b"z", 2.0),
        ("watch", None),
        ("abort",),
        ("abort",),
    ]


@pytest.mark.parametrize("cleanly", [True, False])
def test_how_it_ended_is_the_streams_own(cleanly: bool) -> None:
    class Ended(FakeStream):
        @property
        def ended_cleanly(self) -> bool:
            return cleanly

    assert PrefixedStream(Ended(), b"hello").ended_cleanly is cleanly


def test_tls_begins_with_what_came_with_the_head() -> None:
    class Refusing(FakeStream):
        async def start_tls(self, *args: object, **kwargs: object) -> BackendStream:
            raise AssertionError("it does not have the first bytes")

    client_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stream = PrefixedStream(Refusing(), b"no TLS at all")
    with pytest.raises(ConnectError, match=r"(?i)ssl"):
        run_blocking(stream.start_tls(client_tls, "localhost"))


def test_tls_is_the_streams_own_if_nothing_came_before_it() -> None:
    class Willing(FakeStream):
        async def start_tls(
            self,
            ssl_context: ssl.SSLContext,
            server_hostname: str | None = None,
            timeout: float | None = None,
        ) -> BackendStream:
            self.calls.append(("start_tls", ssl_context, server_hostname, timeout))
            return self

    inner = Willing()
    client_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert run_blocking(PrefixedStream(inner, b"").start_tls(client_tls, "a", 1.0)) is inner
    assert inner.calls == [("start_tls", client_tls, "a", 1.0)]
