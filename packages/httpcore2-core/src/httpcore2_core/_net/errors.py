"""The errors that all streams and backends raise in the same words.

Rules: a message says what happened and names the limit. `add_context` adds the peer where it is known.
Must not know: sockets, HTTP, the pool.
"""

from __future__ import annotations

from .._exceptions import ConnectTimeout, ReadTimeout, WriteTimeout

CLOSED_HERE = "The connection was closed on this side."


def rounded(timeout: float | None) -> float | None:
    """Round a timeout to milliseconds: it may be the rest of the caller's, such as 1.9999964 of 2.0 seconds."""
    return None if timeout is None else round(timeout, 3)


def connect_timeout(missing: str, timeout: float | None) -> ConnectTimeout:
    """Make the error for `missing`, such as "connection to 192.0.2.1:80", which was not there in `timeout` seconds."""
    return ConnectTimeout(f"No {missing} within {rounded(timeout)} seconds (connect timeout).")


def read_timeout(timeout: float | None) -> ReadTimeout:
    """Make the error for a peer that sent nothing in `timeout` seconds."""
    return ReadTimeout(f"No data within {rounded(timeout)} seconds (read timeout).")


def write_timeout(timeout: float | None) -> WriteTimeout:
    """Make the error for a peer that accepted too little in `timeout` seconds."""
    return WriteTimeout(
        f"The peer did not accept all data within {rounded(timeout)} seconds (write timeout)."
    )
