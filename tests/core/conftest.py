"""Ends of connections that the tests of streams and backends share."""

from __future__ import annotations

import os
import select
import signal
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from ..support.scripted_servers import refusing_port


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that accepts when the test does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """The address of a server that doesn't answer: its backlog is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        while True:
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
            if not select.select([], [client], [], 0.05)[1]:
                break
        yield server.getsockname()


@pytest.fixture
def refusing() -> Iterator[tuple[str, int]]:
    """An address that refuses connections: it is taken, and nobody listens."""
    with refusing_port() as port:
        yield "127.0.0.1", port


def in_child(function: Callable[[], object]) -> bool:
    """Call `function` in a forked child; whether it returned something true there."""
    with warnings.catch_warnings():
        # Other tests' libraries keep threads, which the child has no use for.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(10)
            status = 0 if function() else 1
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0
