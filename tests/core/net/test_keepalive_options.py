"""Socket options for TCP keep-alive: on a real socket here, and with the constants of other systems."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest

from httpcore2_core import tcp_keepalive

KEEPALIVE = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
CONSTANTS = ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")


def on(monkeypatch: pytest.MonkeyPatch, platform: str, **constants: int) -> None:
    """Simulate another operating system, whose `socket` has these constants."""
    monkeypatch.setattr(sys, "platform", platform)
    for name in CONSTANTS:
        monkeypatch.delattr(socket, name, raising=False)
    for name, number in constants.items():
        monkeypatch.setattr(socket, name, number, raising=False)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems name the options differently")
def test_the_options_are_in_force_on_a_socket() -> None:
    with socket.socket() as sock:
        for option in tcp_keepalive(20, 5, 3, user_timeout=30.5):
            sock.setsockopt(*option)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 20
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 5
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30500


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")
def test_the_system_accepts_the_limits() -> None:
    for least in (1, 1, 1), (32767, 32767, 127):
        with socket.socket() as sock:
            for option in tcp_keepalive(*least, user_timeout=2147483):
                sock.setsockopt(*option)


def test_the_defaults_are_those_of_go(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "linux", TCP_KEEPIDLE=4, TCP_KEEPINTVL=5, TCP_KEEPCNT=6)
    assert tcp_keepalive() == [KEEPALIVE, (6, 4, 15), (6, 5, 15), (6, 6, 9)]


@pytest.mark.parametrize(
    "constants", [{}, {"TCP_KEEPALIVE": 0x10, "TCP_KEEPINTVL": 0x101, "TCP_KEEPCNT": 0x102}]
)
def test_macos_names_the_idle_time_tcp_keepalive(
    monkeypatch: pytest.MonkeyPatch, constants: dict[str, int]
) -> None:
    on(monkeypatch, "darwin", **constants)
    assert tcp_keepalive(20, 5, 3) == [KEEPALIVE, (6, 0x10, 20), (6, 0x101, 5), (6, 0x102, 3)]


@pytest.mark.parametrize(
    "constants", [{}, {"TCP_KEEPIDLE": 3, "TCP_KEEPINTVL": 17, "TCP_KEEPCNT": 16}]
)
def test_windows_has_the_options_in_seconds(
    monkeypatch: pytest.MonkeyPatch, constants: dict[str, int]
) -> None:
    on(monkeypatch, "win32", **constants)
    assert tcp_keepalive(20, 5, 3) == [KEEPALIVE, (6, 3, 20), (6, 17, 5), (6, 16, 3)]


def test_a_part_of_a_millisecond_counts_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "linux", TCP_KEEPIDLE=4, TCP_KEEPINTVL=5, TCP_KEEPCNT=6)
    assert tcp_keepalive(user_timeout=0.0001)[-1] == (6, 18, 1)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_a_system_without_a_user_timeout_says_so(
    monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    on(monkeypatch, platform)
    with pytest.raises(
        OSError, match=rf"\({platform}\) has no TCP_USER_TIMEOUT. Leave user_timeout"
    ):
        tcp_keepalive(user_timeout=30)


def test_a_system_without_keep_alive_options_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "elsewhere")
    with pytest.raises(
        OSError, match=r"This operating system \(elsewhere\) has no TCP_KEEPIDLE\.$"
    ):
        tcp_keepalive()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"idle": 0}, "idle must be from 1 to 32767 seconds, but got 0."),
        ({"idle": 32768}, "idle must be from 1 to 32767 seconds, but got 32768."),
        ({"interval": -1}, "interval must be from 1 to 32767 seconds, but got -1."),
        ({"count": 128}, "count must be from 1 to 127 probes, but got 128."),
        ({"user_timeout": 0}, "user_timeout must be more than 0 and at most 2147483 seconds"),
        ({"user_timeout": float("nan")}, "but got nan."),
        ({"user_timeout": 2147484}, "but got 2147484."),
    ],
)
def test_a_value_out_of_range_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        tcp_keepalive(**arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"idle": 1.5}, "idle must be an integer, but got float."),
        ({"count": True}, "count must be an integer, but got bool."),
        ({"user_timeout": "30"}, "user_timeout must be a number of seconds or None, but got str."),
        ({"user_timeout": True}, "but got bool."),
    ],
)
def test_a_value_of_another_type_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match="must be") as caught:
        tcp_keepalive(**arguments)
    assert message in str(caught.value)
