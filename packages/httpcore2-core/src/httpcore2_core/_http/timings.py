"""`Timings`, an observer that adds to each response how long each phase of its request took.

Must not know: where the events come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from .._models import Request, Response
from .._net.dial_listener import PeerAddress
from .observer import ObservedConnection, Observer


class RequestTimings:
    """How long each phase of a request took, in seconds; a phase that did not take place is `None`.

    A request that was sent again has the times of its last attempt, but for `queued` and `total`.

    Attributes:
        reused: whether the connection existed before.
        queued: the wait for a connection, or for a slot to make one.
        resolve: the look-up of the addresses, if a connection was made.
        connect: connecting to an address, from the first attempt to the end of the one that succeeded.
        tls: the TLS handshakes, those with the origin and with an HTTPS proxy together.
        send: from the acquisition of the connection until the head was written, and a small body along with it.
        wait: from there to the first byte of the response; the upload of a large body is a part of it.
        receive: from the first byte to the end of the body; `None` until the body was read or closed.
        total: from the start of the request to the end of the body; `None` until then.

    Example:
        ```python
        import httpcore2

        with httpcore2.ConnectionPool() as http:
            http.observe(httpcore2.Timings())
            response = http.request("GET", "https://www.example.com/")
        timings = response.extensions["timings"]
        assert timings.total >= timings.resolve + timings.connect + timings.tls
        assert not timings.reused
        ```
    """

    __slots__ = (
        "connect",
        "queued",
        "receive",
        "resolve",
        "reused",
        "send",
        "tls",
        "total",
        "wait",
    )

    def __init__(self) -> None:
        self.reused: bool = False
        self.queued: float = 0.0
        self.resolve: float | None = None
        self.connect: float | None = None
        self.tls: float | None = None
        self.send: float | None = None
        self.wait: float | None = None
        self.receive: float | None = None
        self.total: float | None = None

    def __repr__(self) -> str:
        phases = ", ".join(
            f"{name}={value:.6f}"
            for name in ("queued", "resolve", "connect", "tls", "send", "wait", "receive", "total")
            if (value := getattr(self, name)) is not None
        )
        return f"<RequestTimings [reused={self.reused}, {phases}]>"


class _Setup:
    """The times of a connection that is being established."""

    __slots__ = ("began", "connect", "first_attempt", "resolve", "tls", "tls_began")

    def __init__(self) -> None:
        self.began = self.tls_began = 0.0
        self.first_attempt: float | None = None
        self.resolve: float | None = None
        self.connect: float | None = None
        self.tls: float | None = None


class _Token:
    """The times of a request that has not ended."""

    __slots__ = ("mark", "started_at", "timings")

    def __init__(self, time: float) -> None:
        self.timings: RequestTimings = RequestTimings()
        self.started_at: float = time
        self.mark: float = time


class Timings(Observer):
    """An observer that gives each response `extensions["timings"]`, the `RequestTimings` of its request.

    One object may be installed for any number of pools, on any runtime.

    Example:
        ```python
        import asyncio

        import httpcore2


        async def main():
            async with httpcore2.AsyncConnectionPool() as http:
                http.observe(httpcore2.Timings())
                for _ in range(2):
                    response = await http.request("GET", "https://www.example.com/")
                    print(response.extensions["timings"].reused)


        asyncio.run(main())
        ```

        ```text
        False
        True
        ```
    """

    def __init__(self) -> None:
        # Only connections that are being established have an entry, until the first request acquires them.
        self._setups: WeakKeyDictionary[ObservedConnection, _Setup] = WeakKeyDictionary()

    def _setup(self, connection: ObservedConnection) -> _Setup:
        return self._setups.setdefault(connection, _Setup())

    # Connections

    def resolution_started(self, connection: ObservedConnection, host: str, time: float) -> None:
        self._setup(connection).began = time

    def resolution_ended(
        self,
        connection: ObservedConnection,
        host: str,
        addresses: Sequence[str],
        error: BaseException | None,
        time: float,
    ) -> None:
        setup = self._setup(connection)
        setup.resolve = (setup.resolve or 0.0) + time - setup.began

    def attempt_started(
        self, connection: ObservedConnection, address: PeerAddress, time: float
    ) -> None:
        setup = self._setup(connection)
        if setup.first_attempt is None:
            setup.first_attempt = time

    def attempt_ended(
        self,
        connection: ObservedConnection,
        address: PeerAddress,
        error: BaseException | None,
        time: float,
    ) -> None:
        setup = self._setup(connection)
        if error is None and setup.first_attempt is not None:
            setup.connect = time - setup.first_attempt

    def tls_started(self, connection: ObservedConnection, server_name: str, time: float) -> None:
        self._setup(connection).tls_began = time

    def tls_ended(
        self,
        connection: ObservedConnection,
        version: str | None,
        cipher: str | None,
        alpn: str | None,
        error: BaseException | None,
        time: float,
    ) -> None:
        setup = self._setup(connection)
        setup.tls = (setup.tls or 0.0) + time - setup.tls_began

    # Requests

    def request_started(self, request: Request, time: float) -> _Token:
        return _Token(time)

    def connection_acquired(
        self,
        token: _Token,
        connection: ObservedConnection,
        reused: bool,
        waited: float,
        time: float,
    ) -> None:
        timings = token.timings
        timings.reused = reused
        timings.queued += waited
        setup = None if reused else self._setups.pop(connection, None)
        timings.resolve = None if setup is None else setup.resolve
        timings.connect = None if setup is None else setup.connect
        timings.tls = None if setup is None else setup.tls
        timings.send = timings.wait = None
        token.mark = time

    def request_head_sent(self, token: _Token, time: float) -> None:
        token.timings.send = time - token.mark
        token.mark = time

    def first_byte_received(self, token: _Token, time: float) -> None:
        token.timings.wait = time - token.mark
        token.mark = time

    def response_received(self, token: _Token, response: Response, time: float) -> None:
        response.extensions["timings"] = token.timings

    def request_ended(
        self,
        token: _Token,
        status: int | None,
        error: BaseException | None,
        sent: int,
        received: int,
        time: float,
    ) -> None:
        timings = token.timings
        if timings.wait is not None:
            timings.receive = time - token.mark
        timings.total = time - token.started_at
