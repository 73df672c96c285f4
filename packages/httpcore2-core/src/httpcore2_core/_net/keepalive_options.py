"""Socket options for TCP keep-alive, as each operating system names them.

Rules: an option that the system lacks is an error that says so; nothing is accepted and ignored.
Must not know: connections, HTTP, the pool.
"""

from __future__ import annotations

import math
import socket
import sys

from .network_interfaces import SOCKET_OPTION

# The names of the options for `idle`, `interval` and `count` in `socket`. macOS has TCP_KEEPALIVE for the first one.
# Windows 10 has all three since version 1709, in seconds, unlike SIO_KEEPALIVE_VALS, which is no socket option.
_NAMES = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
_NAMES_ON_DARWIN = ("TCP_KEEPALIVE", "TCP_KEEPINTVL", "TCP_KEEPCNT")

# Python before 3.14 leaves some of them out on some systems, whose headers have these numbers.
_NUMBERS = {
    ("darwin", "TCP_KEEPALIVE"): 0x10,
    ("darwin", "TCP_KEEPINTVL"): 0x101,
    ("darwin", "TCP_KEEPCNT"): 0x102,
    ("win32", "TCP_KEEPIDLE"): 3,
    ("win32", "TCP_KEEPCNT"): 16,
    ("win32", "TCP_KEEPINTVL"): 17,
    ("linux", "TCP_USER_TIMEOUT"): 18,
}

# What Linux accepts (MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL, MAX_TCP_KEEPCNT), and other systems, too.
_LONGEST = 32767
_MOST_PROBES = 127
# Milliseconds in a C `int`.
_LONGEST_USER_TIMEOUT = (2**31 - 1) // 1000


def tcp_keepalive(
    idle: int = 15,
    interval: int = 15,
    count: int = 9,
    *,
    user_timeout: float | None = None,
) -> list[SOCKET_OPTION]:
    """Return the `socket_options` for TCP keep-alive (RFC 9293, section 3.8.4) on this operating system.

    The system then sends probes on connections without traffic. They keep firewalls and NAT from dropping an idle
    connection, and end a connection whose peer is gone after `idle + interval * count` seconds. The defaults are those
    of Go, which are shorter than the minutes after which many firewalls drop a connection.

    Args:
        idle: the seconds without traffic after which the first probe is sent, from 1 to 32767.
        interval: the seconds between probes that are not answered, from 1 to 32767.
        count: how many probes may stay unanswered, from 1 to 127.
        user_timeout: the seconds after which the system ends a connection whose peer does not acknowledge what was
            sent (RFC 5482), more than 0 and at most 2147483; `None` for the system's own limit. Only Linux has it.

    Returns:
        The options for the argument `socket_options` of pools and connections.

    Raises:
        TypeError: an argument is not a number, or not an integer.
        ValueError: an argument is out of range.
        OSError: this operating system does not have one of the options.

    Example:
        ```python
        import httpcore2

        options = httpcore2.tcp_keepalive(idle=60, interval=10, count=6)
        with httpcore2.ConnectionPool(socket_options=options) as http:
            http.request("GET", "https://www.example.com/")
        ```
    """
    values = (
        _checked("idle", idle, _LONGEST, " seconds"),
        _checked("interval", interval, _LONGEST, " seconds"),
        _checked("count", count, _MOST_PROBES, " probes"),
    )
    names = _NAMES_ON_DARWIN if sys.platform == "darwin" else _NAMES
    options: list[SOCKET_OPTION] = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    options += [
        (socket.IPPROTO_TCP, _number(name), value)
        for name, value in zip(names, values, strict=True)
    ]
    if user_timeout is not None:
        if isinstance(user_timeout, bool) or not isinstance(user_timeout, (int, float)):
            raise TypeError(
                f"user_timeout must be a number of seconds or None, but got {type(user_timeout).__name__}."
            )
        if not 0 < user_timeout <= _LONGEST_USER_TIMEOUT:
            raise ValueError(
                f"user_timeout must be more than 0 and at most {_LONGEST_USER_TIMEOUT} seconds, but got {user_timeout}."
            )
        milliseconds = math.ceil(user_timeout * 1000)
        options.append((socket.IPPROTO_TCP, _number("TCP_USER_TIMEOUT"), milliseconds))
    return options


def _checked(name: str, value: int, most: int, unit: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, but got {type(value).__name__}.")
    if not 1 <= value <= most:
        raise ValueError(f"{name} must be from 1 to {most}{unit}, but got {value}.")
    return value


def _number(name: str) -> int:
    """Return the number of a socket option.

    Raises:
        OSError: this operating system does not have it.
    """
    found: int | None = getattr(socket, name, _NUMBERS.get((sys.platform, name)))
    if found is None:
        hint = " Leave user_timeout out." if name == "TCP_USER_TIMEOUT" else ""
        raise OSError(f"This operating system ({sys.platform}) has no {name}.{hint}")
    return found
