"""The public checks tell of a backend that does something wrong, and leave nothing behind."""

from __future__ import annotations

import re
import ssl
from typing import Any

import pytest

import httpcore2
from httpcore2_core.testing import Subject, _subject, backend_checks, run_blocking, thread_subject
from httpcore2_core.testing._subject import Peer, raises

from ..support.blocking import AsyncAdapterBackend, SyncAdapterBackend, SyncAdapterStream

CHECKS = {str(check): check for check in backend_checks}

pytestmark = pytest.mark.usefixtures("nothing_left")


class WrongStream(SyncAdapterStream):
    """A stream that always seems to have ended."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return b""


class WrongBackend(SyncAdapterBackend):
    def __init__(self) -> None:
        super().__init__(AsyncAdapterBackend(httpcore2.SyncBackend()))

    def connect_tcp(self, *args: Any, **options: Any) -> httpcore2.NetworkStream:
        stream = super().connect_tcp(*args, **options)
        assert not isinstance(stream, httpcore2.AsyncNetworkStream)
        return WrongStream(DressedBackendStream(stream))


class DressedBackendStream(httpcore2.AsyncNetworkStream):
    """Hands on what a wrong stream leaves right."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self.stream = stream

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.stream.write(buffer, timeout)

    async def aclose(self) -> None:
        self.stream.close()


@pytest.fixture
def subject(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> Subject:
    return thread_subject(httpcore2.SyncBackend(), server_tls=server_tls, client_tls=client_tls)


@pytest.mark.parametrize(
    ("check", "complaint"),
    [
        ("a_read_returns_what_came", "the stream ended after 0 of 5 bytes"),
        ("a_read_waits_no_longer_than_its_timeout", "it did not raise ReadTimeout"),
    ],
)
def test_a_check_says_what_is_wrong_with_a_stream(
    check: str, complaint: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    wrong = thread_subject(WrongBackend(), server_tls=server_tls, client_tls=client_tls)
    with pytest.raises(AssertionError, match=re.escape(complaint)):
        run_blocking(CHECKS[check](wrong))


@pytest.mark.parametrize(
    ("error", "complaint"),
    [
        (None, "it did not raise ReadError or OSError"),
        (KeyError("else"), "it raised KeyError('else'), not ReadError or OSError"),
        (httpcore2.ReadError(), "it raised ReadError(), which says nothing"),
    ],
)
def test_an_error_is_of_the_expected_kind_and_says_something(
    error: Exception | None, complaint: str
) -> None:
    def use() -> None:
        with raises(httpcore2.ReadError, OSError):
            if error is not None:
                raise error

    with pytest.raises(AssertionError, match=f"^{re.escape(complaint)}$"):
        use()


def test_what_the_peer_complains_of_fails_the_check(subject: Subject) -> None:
    def script(peer: Peer) -> None:
        peer.receive_exactly(2)

    async def check() -> None:
        async with subject.connected(script) as stream:
            await stream.write(b"x")

    with pytest.raises(AssertionError, match=r"^the client closed after 1 of 2 bytes$"):
        run_blocking(check())


def test_a_peer_that_is_not_done_in_time_fails_the_check(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_subject, "LIMIT", 0.1)

    async def check() -> None:
        async with subject.serving(Peer.receive_end):
            pass

    with pytest.raises(AssertionError, match="waits for something that the client did not do"):
        run_blocking(check())


def test_what_one_of_several_tasks_raises_comes_out(subject: Subject) -> None:
    async def succeed() -> None:
        pass

    async def fail() -> None:
        raise KeyError("failed")

    with pytest.raises(KeyError, match="failed"):
        run_blocking(subject.concurrently(succeed, fail))  # type: ignore[arg-type]


def test_a_peer_expects_no_more_than_it_says(subject: Subject) -> None:
    def script(peer: Peer) -> None:
        peer.receive_exactly(1)

    async def check() -> None:
        async with subject.connected(script) as stream:
            await stream.write(b"xx")

    with pytest.raises(AssertionError, match=r"^the client sent 2 bytes, not 1$"):
        run_blocking(check())
