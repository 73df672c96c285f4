"""What the conversations with a proxy have in common: their limits, and who carries the bytes.

Must not know: any protocol.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from .._exceptions import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    WriteError,
    WriteTimeout,
)
from .._network import BackendStream
from .._routes import Opening
from .._timeouts import Timeouts

Dialogue: TypeAlias = Generator[tuple[bytes, int], bytes, None]
"""A conversation without I/O: yields what to send and how many bytes the reply has, and is sent those."""

Headers: TypeAlias = list[tuple[bytes, bytes]]

_RECEIVE = 4096


def merged(fields: Headers, overriding: Headers) -> Headers:
    """Return both, those of `fields` that `overriding` names left out."""
    names = {name.lower() for name, _ in overriding}
    return [field for field in fields if field[0].lower() not in names] + overriding


@contextmanager
def handshake_limits(opening: Opening) -> Iterator[Timeouts]:
    """Give the limits for a step of connecting that writes and reads by turns.

    Each of them has the limit of its kind, and all together what connecting has. What fails meanwhile
    is a failure to connect.

    Raises:
        ConnectTimeout: the step took longer.
        ConnectError: the network failed.
    """
    timeouts = opening.timeouts
    limit = timeouts.for_connect()
    if limit is not None:
        runtime = opening.backend.runtime
        timeouts = Timeouts(read=timeouts.read, write=timeouts.write, total=limit, runtime=runtime)
    try:
        yield timeouts
    except (ReadTimeout, WriteTimeout) as exc:
        if not timeouts.is_cut:
            raise
        raise ConnectTimeout(f"The proxy took longer than {limit} seconds.") from exc
    except (ReadError, WriteError) as exc:
        raise ConnectError(str(exc)) from exc


async def converse(dialogue: Dialogue, stream: BackendStream, limits: Timeouts) -> bytes:
    """Carry a dialogue's bytes, and return those that came beyond its end.

    Raises:
        RemoteProtocolError: the proxy closed before it had replied.
    """
    received = b""
    reply: bytes | None = None
    while True:
        try:
            data, count = next(dialogue) if reply is None else dialogue.send(reply)
        except StopIteration:
            return received
        if data:
            await stream.write(data, limits.for_write())
        while len(received) < count:
            piece = await stream.read(_RECEIVE, limits.for_read())
            if not piece:
                raise RemoteProtocolError(
                    f"The proxy closed the connection after {len(received)} of the {count} bytes of a reply."
                )
            received += piece
        reply, received = received[:count], received[count:]
