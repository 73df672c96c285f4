"""The ways to an origin: a dial, and then step by step what lies over it. A proxy is but another way.

Rules: from the moment that it is opened a stream has exactly one owner, here its `Opening`; what fails closes it.
Must not know: what is spoken over the stream, connections, pools.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .._exceptions import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    WriteError,
    WriteTimeout,
    add_context,
)
from .._http.timeouts import Timeouts
from .._http.trace import Tracer
from .._models import Origin, Request
from .._net.backend_stream import BackendStream
from .._net.network_adapters import adapt_async_stream
from .._net.network_interfaces import SOCKET_OPTION, AsyncNetworkStream
from .._net.runtime_backend import RuntimeBackend
from .._net.ssl_context import offer_protocols, shared_ssl_context
from .._urls import host_to_dial, server_name
from .config import ConnectionConfig

if TYPE_CHECKING:
    import ssl

_SECURE_SCHEMES = (b"https", b"wss")


def own_server_name(request: Request) -> bytes | None:
    """Return the name that the origin's certificate must hold for, if `sni_hostname` gives another than the URL.

    A connection was verified for one name, and serves no request for another. Without TLS there is none. Names are the
    same whatever their case and with a final dot (RFC 9110, section 4.2.3; RFC 6066, section 3).

    Raises:
        TypeError: the extension is neither text nor bytes.
    """
    name = request.extensions.get("sni_hostname")
    url = request.url
    if not name or url.scheme not in _SECURE_SCHEMES:
        return None
    if isinstance(name, str):
        name = name.encode()
    elif not isinstance(name, (bytes, bytearray)):
        raise TypeError(
            f"extensions['sni_hostname'] must be str or bytes, but got {type(name).__name__}."
        )
    name = _comparable(bytes(name))
    return None if name == _comparable(url.host) else name


def _comparable(name: bytes) -> bytes:
    return name.lower().removesuffix(b".")


class Opening:
    """A stream while it is being opened: its owner, and what it is opened for."""

    def __init__(self, backend: RuntimeBackend, request: Request, timeouts: Timeouts) -> None:
        self.backend = backend
        self.request = request
        self.timeouts = timeouts
        self._stream: BackendStream | None = None

    @property
    def stream(self) -> BackendStream:
        """The stream as far as it has come."""
        assert self._stream is not None, "the first step is a dial"
        return self._stream

    @stream.setter
    def stream(self, stream: BackendStream) -> None:
        self._stream = stream

    async def advance(
        self,
        prefix: str,
        name: str,
        info: dict[str, Any],
        make: Callable[[], Coroutine[Any, Any, AsyncNetworkStream]],
    ) -> None:
        """Go on with the stream that `make` makes of the present one; see `Tracer` for the rest."""

        async def keep() -> BackendStream:
            # It has its owner before a listener can fail.
            self._stream = adapt_async_stream(await make())
            return self._stream

        tracer = Tracer.of(prefix, self.request, self.backend.runtime.is_blocking)
        if tracer is None:
            await keep()
        else:
            await tracer.span(name, info, keep(), lambda stream: stream.unwrapped)

    @contextmanager
    def conversing(self) -> Iterator[Timeouts]:
        """Give the limits for a step that writes and reads by turns.

        Each turn has the limit of its kind, and all together what connecting has. What fails meanwhile is a
        failure to connect.

        Raises:
            ConnectTimeout: the step took longer.
            ConnectError: the network failed.
        """
        timeouts = self.timeouts
        limit = timeouts.for_connect()
        if limit is not None:
            runtime = self.backend.runtime
            timeouts = Timeouts(
                read=timeouts.read, write=timeouts.write, total=limit, runtime=runtime
            )
        try:
            yield timeouts
        except (ReadTimeout, WriteTimeout) as exc:
            if not timeouts.is_cut:
                raise
            raise ConnectTimeout(f"The proxy took longer than {limit} seconds.") from exc
        except (ReadError, WriteError) as exc:
            raise ConnectError(str(exc)) from exc

    async def close(self) -> None:
        """Close what has been opened."""
        if self._stream is not None:
            self._stream.abort()
            await self._stream.wait_closed()


class Step(Protocol):
    """One step on the way to an origin."""

    @property
    def purpose(self) -> str:
        """What it does and for whom, for the message of its failure."""

    async def take(self, opening: Opening) -> None:
        """Take the step. What it raises ends the way."""


class Endpoint(NamedTuple):
    """How somebody is dialled; as for `AsyncHTTPConnection`."""

    origin: Origin
    local_address: str | None
    uds: str | None
    socket_options: list[SOCKET_OPTION] | None

    @classmethod
    def of(cls, origin: Origin, config: ConnectionConfig) -> Endpoint:
        """Return how `origin`, or a proxy of that origin, is dialled."""
        return cls(origin, config.local_address, config.uds, config.socket_options)

    def __str__(self) -> str:
        return (
            str(self.origin) if self.uds is None else f"{self.origin} at the unix socket {self.uds}"
        )


class Dial(NamedTuple):
    """Connect over TCP, or to a unix socket."""

    endpoint: Endpoint
    purpose: str
    prefix: str

    def info(self, timeouts: Timeouts) -> dict[str, Any]:
        """The arguments of the backend's method, which the listeners are told, too."""
        origin, local_address, uds, socket_options = self.endpoint
        timeout = timeouts.for_connect()
        if uds is not None:
            return {"path": uds, "timeout": timeout, "socket_options": socket_options}
        return {
            "host": host_to_dial(origin.host),
            "port": origin.port,
            "local_address": local_address,
            "timeout": timeout,
            "socket_options": socket_options,
        }

    async def take(self, opening: Opening) -> None:
        name = "connect_tcp" if self.endpoint.uds is None else "connect_unix_socket"
        connect = getattr(opening.backend, name)
        info = self.info(opening.timeouts)
        await opening.advance(self.prefix, name, info, lambda: connect(**info))


class Secure(NamedTuple):
    """Encrypt the stream with TLS, if the scheme asks for it, and agree on a protocol by ALPN (RFC 7301).

    Attributes:
        obeys_sni_hostname: whether the extension of that name means this end.
    """

    origin: Origin
    ssl_context: ssl.SSLContext | None
    protocols: tuple[str, ...]
    purpose: str
    prefix: str
    obeys_sni_hostname: bool = True

    async def take(self, opening: Opening) -> None:
        if self.origin.scheme not in _SECURE_SCHEMES:
            return
        context = self.ssl_context or shared_ssl_context(self.protocols)
        name = None
        if self.obeys_sni_hostname:
            name = opening.request.extensions.get("sni_hostname")
        info: dict[str, Any] = {
            "ssl_context": context,
            "server_hostname": server_name(name or self.origin.host),
            "timeout": opening.timeouts.for_connect(),
        }

        def start_tls() -> Coroutine[Any, Any, BackendStream]:
            if self.ssl_context is not None:
                # As late as can be: a proxy may have been given the same context, and is offered less.
                offer_protocols(self.ssl_context, self.protocols)
            return opening.stream.start_tls(**info)

        await opening.advance(self.prefix, "start_tls", info, start_tls)


class Route:
    """The way to an origin. As text it says whom it leads to, and through which proxy or unix socket."""

    def __init__(self, origin: Origin, dial: Dial, *steps: Step, retries: int) -> None:
        """Say which steps it takes, and how often to try again, after 0, 0.5, 1, 2, … seconds."""
        self._origin = origin
        self._dial = dial
        self._steps = (dial, *steps)
        self._retries = retries

    def __str__(self) -> str:
        dialled = self._dial.endpoint
        if dialled.origin is self._origin:
            return str(dialled)
        return f"{self._origin} through the proxy {dialled}"

    async def open(
        self, backend: RuntimeBackend, request: Request, timeouts: Timeouts
    ) -> BackendStream:
        """Open a stream to the origin.

        Raises:
            ConnectError, ConnectTimeout: it could not be opened, at the last attempt.
            ProxyError: a proxy refused.
            RemoteProtocolError, ReadTimeout, WriteTimeout: a proxy answered wrongly, or not in time.
        """
        delay = 0.0
        left = self._retries
        while True:
            try:
                return await self._attempt(Opening(backend, request, timeouts))
            except (ConnectError, ConnectTimeout):
                if not left:
                    raise
            left -= 1
            try:
                pause = timeouts.for_pause(delay)
            except ConnectTimeout as exc:
                add_context(exc, self._dial.purpose)
                raise
            delay = delay * 2 or 0.5
            tracer = Tracer.of(self._dial.prefix, request, backend.runtime.is_blocking)
            if tracer is None:
                await backend.sleep(pause)
            else:
                await tracer.span("retry", self._dial.info(timeouts), backend.sleep(pause))

    async def _attempt(self, opening: Opening) -> BackendStream:
        step: Step = self._dial
        try:
            for step in self._steps:
                await step.take(opening)
        except BaseException as exc:
            add_context(exc, step.purpose)
            await opening.close()
            raise
        return opening.stream


def direct_route(origin: Origin, config: ConnectionConfig) -> Route:
    """Return the route to an origin without a proxy."""
    endpoint = Endpoint.of(origin, config)
    purpose = f"connecting to {endpoint}"
    return Route(
        origin,
        Dial(endpoint, purpose, "connection"),
        Secure(origin, config.ssl_context, config.alpn_protocols, purpose, "connection"),
        retries=config.retries,
    )
