"""A scripted HTTP/3 server in a process of its own, so that this process has the memory of the client alone.

Must not know: httpcore2.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection

from . import h3peer
from .h3peer import H3Server, Script


class RemoteServer:
    """A server in another process.

    Attributes:
        url: where it is.
        connections: how many it has had; known at the end of the block.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.connections: int | None = None


def _serve(pipe: Connection, script: Script, certificate: bytes, limit: float) -> None:
    h3peer.LIMIT = limit
    server = H3Server(script, certificate)
    with server.running():
        pipe.send(server.url)
        pipe.recv()
    pipe.send(len(server.peers))


@contextmanager
def running(script: Script, certificate: bytes) -> Iterator[RemoteServer]:
    """Run a server.

    Args:
        script: a function of a module, which the other process imports.
        certificate: key and chain in PEM.
    """
    context = get_context("spawn")  # a fork would copy the memory and the threads of this process
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, script, certificate, h3peer.LIMIT))
    process.start()
    theirs.close()
    try:
        server = RemoteServer(ours.recv())
        yield server
        ours.send(None)
        server.connections = ours.recv()
    finally:
        ours.close()
        process.join(h3peer.LIMIT)
        process.close()
