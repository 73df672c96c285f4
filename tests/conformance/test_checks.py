"""The public checks: their messages for a faulty backend, and their clean-up."""

from __future__ import annotations

import re
import ssl
from typing import Any

import pytest

import httpcore2
from httpcore2_core.testing import Subject, _checks, backend_checks, run_blocking, thread_subject
from httpcore2_core.testing._checks import raises
from httpcore2_core.testing._peers import Peer

from ..support.sync_adapters import AsyncAdapterBackend, SyncAdapterBackend, SyncAdapterStream

CHECKS = {str(check): check for check in backend_checks}

pytestmark = pytest.mark.usefixtures("no_leaks")


class EndedStream(SyncAdapterStream):
    """A stream whose reads always return the end."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return b""


class EndedStreamBackend(SyncAdapterBackend):
    def __init__(self) -> None:
        super().__init__(AsyncAdapterBackend(httpcore2.SyncBackend()))

    def connect_tcp(self, *args: Any, **options: Any) -> httpcore2.NetworkStream:
        stream = super().connect_tcp(*args, **options)
        assert not isinstance(stream, httpcore2.AsyncNetworkStream)
        return EndedStream(CorrectWrites(stream))


class CorrectWrites(httpcore2.AsyncNetworkStream):
    """The correct methods of the faulty stream."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self.stream = stream

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.stream.write(buffer, timeout)

    async def aclose(self) -> None:
        self.stream.close()


@pytest.fixture
def under_test(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> Subject:
    return thread_subject(httpcore2.SyncBackend(), server_tls=server_tls, client_tls=client_tls)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("a_read_returns_what_came", "the stream ended after 0 of 5 bytes"),
        ("a_read_waits_no_longer_than_its_timeout", "expected ReadTimeout, but nothing was raised"),
    ],
)
def test_the_message_of_a_failed_check_names_the_fault(
    check: str, message: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    faulty = thread_subject(EndedStreamBackend(), server_tls=server_tls, client_tls=client_tls)
    with pytest.raises(AssertionError, match=re.escape(message)):
        run_blocking(CHECKS[check](faulty))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (None, "expected ReadError or OSError, but nothing was raised"),
        (KeyError("else"), "expected ReadError or OSError, but KeyError('else') was raised"),
        (httpcore2.ReadError(), "ReadError() has no message"),
    ],
)
def test_an_error_has_the_expected_type_and_a_message(
    error: Exception | None, message: str
) -> None:
    def use() -> None:
        with raises(httpcore2.ReadError, OSError):
            if error is not None:
                raise error

    with pytest.raises(AssertionError, match=f"^{re.escape(message)}$"):
        use()


def test_an_assertion_of_the_peer_fails_the_check(under_test: Subject) -> None:
    def script(peer: Peer) -> None:
        peer.receive_exactly(2)

    async def check() -> None:
        async with under_test.connected(script) as stream:
            await stream.write(b"x")

    with pytest.raises(AssertionError, match=r"^the client closed after 1 of 2 bytes$"):
        run_blocking(check())


def test_a_script_that_does_not_end_in_time_fails_the_check(
    under_test: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_checks, "LIMIT", 0.1)

    async def check() -> None:
        async with under_test.serving(Peer.receive_end):
            pass

    with pytest.raises(AssertionError, match=r"script of the peer did not end within 0\.1 seconds"):
        run_blocking(check())


def test_an_error_of_one_of_several_tasks_is_raised(under_test: Subject) -> None:
    async def succeed() -> None:
        pass

    async def fail() -> None:
        raise KeyError("failed")

    with pytest.raises(KeyError, match="failed"):
        run_blocking(under_test.concurrently(succeed, fail))  # type: ignore[arg-type]


def test_more_bytes_than_the_script_expects_fail_the_check(under_test: Subject) -> None:
    def script(peer: Peer) -> None:
        peer.receive_exactly(1)

    async def check() -> None:
        async with under_test.connected(script) as stream:
            await stream.write(b"xx")

    with pytest.raises(AssertionError, match=r"^the client sent 2 bytes, not 1$"):
        run_blocking(check())
