"""One request and its response: sends it, reads the body into an output, and notes what happened.

Rules: an error ends up in the record of the transfer. Only interruptions, and the end of the standard output, pass.
Must not know: what is shown, which runtime it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from httpcore2_core import Request, Response

from ._failures import ExitCode, Failure, causes, explain
from ._outputs import Output, OutputClosed, size_of
from ._requests import Upload
from ._runtimes import Client, Trace
from ._timeline import Phase, Timeline
from ._trace import TraceReader


@dataclass
class ConnectionFacts:
    """What is known of the connection that a response came on.

    Attributes:
        local: the address and port of this end, or `None`.
        remote: those of the other end, or of the proxy.
        tls_version: such as `TLSv1.3`; `None` without TLS, as are the next three.
        cipher: the name of the cipher.
        alpn: the protocol that was negotiated.
        certificate: the certificate as `ssl.SSLSocket.getpeercert()` returns it; empty if it was not verified.
    """

    local: tuple[str, int] | None = None
    remote: tuple[str, int] | None = None
    tls_version: str | None = None
    cipher: str | None = None
    alpn: str | None = None
    certificate: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, stream: Any) -> ConnectionFacts:
        """Read them from a network stream."""
        facts = cls(
            _pair(stream.get_extra_info("client_addr")), _pair(stream.get_extra_info("server_addr"))
        )
        tls = stream.get_extra_info("ssl_object")
        if tls is not None:
            facts.tls_version = tls.version()
            facts.cipher = tls.cipher()[0]
            facts.alpn = tls.selected_alpn_protocol()
            facts.certificate = tls.getpeercert() or {}
        return facts


def _pair(address: Any) -> tuple[str, int] | None:
    """Return host and port of an address; `None` for that of a unix socket, which is a path."""
    return tuple(address[:2]) if isinstance(address, tuple) else None


class Meter:
    """What is told how a transfer goes on. This one shows nothing."""

    def start(self, label: str, total: int | None, done: int = 0) -> None:
        """A body begins.

        Args:
            label: what is transferred.
            total: its bytes, or `None` if that is unknown.
            done: the bytes that were there before.
        """

    def advance(self, count: int) -> None:
        """So many bytes more were transferred."""

    def stop(self) -> None:
        """The transfer is over."""


class Transfer:
    """The record of one transfer.

    Args:
        url: the URL as given.
        request: the request.
        upload: the file that is its body, or `None`.
        output: where the body of the response is written.
        is_proxied: whether it passes through a proxy.

    Attributes:
        timeline: its phases.
        response: the response, once its head was received.
        connection: what is known of the connection.
        received: the bytes of the body that were received.
        sent: the bytes of the body that were sent.
        failure: how it failed, or `None`.
        chain: the exception and its causes.
    """

    def __init__(
        self, url: str, request: Request, upload: Upload | None, output: Output, is_proxied: bool
    ) -> None:
        self.url = url
        self.request = request
        self.upload = upload
        self.output = output
        self.is_proxied = is_proxied
        self.timeline = Timeline()
        self.response: Response | None = None
        self.connection = ConnectionFacts()
        self.received = 0
        self.sent = 0
        self.failure: Failure | None = None
        self.chain: list[BaseException] = []
        self.retries = 0
        self.number = 0
        self._started = time.perf_counter()

    def clock(self) -> float:
        """Return the seconds since the transfer began."""
        return time.perf_counter() - self._started

    def on_lookup(self) -> None:
        """Note that a name is being looked up."""
        self.timeline.begin(Phase.DNS, self.clock())

    def on_resolved(self) -> None:
        """Note that the name was resolved, and that the connection goes on."""
        self.timeline.end(self.clock())
        self.timeline.begin(self.timeline.dial, self.clock())

    def field(self, name: bytes) -> bytes:
        """Return the value of a field of the response; empty if it has none."""
        fields = self.response.headers if self.response else []
        return next((value for key, value in fields if key.lower() == name), b"")

    @property
    def http_version(self) -> str:
        """Such as `1.1` and `2`; `0` before there is a response, as curl has it."""
        if self.response is None:
            return "0"
        version: bytes = self.response.extensions["http_version"]
        return version.decode("ascii").removeprefix("HTTP/")

    @property
    def expected(self) -> int | None:
        """The bytes that the body has, or `None` if that is unknown."""
        length = self.field(b"content-length")
        return int(length) if length.isdigit() and self.request.method != b"HEAD" else None

    async def run(
        self,
        client: Client,
        readers: Sequence[Trace],
        *,
        fails_by_status: bool,
        includes_head: bool,
        is_retried: Callable[[int], bool],
        meter: Meter,
    ) -> None:
        """Send the request, and read the response.

        Args:
            client: the pool.
            readers: called with each trace event.
            fails_by_status: whether a status of 400 or more is a failure.
            includes_head: whether the head is written before the body.
            is_retried: whether a response with this status is not wanted, since the request is going to be repeated.
            meter: told how much was transferred.

        Raises:
            OutputClosed: the reader of the standard output has closed it.
        """
        self._started = time.perf_counter()
        reader = TraceReader(self.timeline, self.clock, self.is_proxied)
        protocol = ""

        def trace(name: str, info: dict[str, Any]) -> None:
            nonlocal protocol
            if name.startswith("http"):
                protocol = name.partition(".")[0]
            reader.on_event(name, info)
            for each in readers:
                each(name, info)

        try:
            self._watch_upload(meter)
            self.response = await client.send(self.request, trace)
            try:
                self.connection = ConnectionFacts.of(self.response.extensions["network_stream"])
                await self._receive(client, fails_by_status, includes_head, is_retried, meter)
            finally:
                self.output.close()
                await client.close_response(self.response)
        except OutputClosed:
            raise
        except Exception as exc:  # noqa: BLE001 - each becomes an exit code
            self.chain = list(causes(exc))
            if self.response is None:
                self.connection = ConnectionFacts(
                    _pair(getattr(exc, "local_address", None)),
                    _pair(getattr(exc, "peer_address", None)),
                )
            self.failure = explain(
                exc,
                self.timeline.current,
                is_http2=protocol == "http2",
                is_http3=protocol == "http3",
                is_proxied=self.is_proxied,
            )
            self._add_what_came()
        finally:
            self.timeline.finish(self.clock(), is_failed=self.failure is not None)
            meter.stop()
            if self.upload is not None:
                self.upload.close()

    def _watch_upload(self, meter: Meter) -> None:
        if self.upload is None:
            length = dict(self.request.headers).get(b"Content-Length", b"")
            self.sent = int(length) if length.isdigit() else 0  # a field of -H may be anything
            return
        meter.start(f"upload of {os.path.basename(self.upload.path)}", self.upload.size)

        def on_bytes(count: int) -> None:
            self.sent += count
            meter.advance(count)

        self.upload.on_bytes = on_bytes

    async def _receive(
        self,
        client: Client,
        fails_by_status: bool,
        includes_head: bool,
        is_retried: Callable[[int], bool],
        meter: Meter,
    ) -> None:
        response = self.response
        assert response is not None, "it was received"
        meter.stop()
        self.timeline.begin(Phase.DOWNLOAD, self.clock())
        if is_retried(response.status):
            self.output = Output(self.output.stream, None, is_discarded=True)
        elif fails_by_status and response.status >= 400:
            message = f"The server answered {response.status}, which --fail makes an error."
            raise Failure(ExitCode.HTTP_STATUS, message)
        content_range = self.field(b"content-range")
        self.output.check_range(response.status, content_range, self.expected)
        if includes_head:
            self.output.write(head_of(response), is_body=False)
        self.output.write(b"")  # an empty body makes an empty file
        if self.output.is_shown:
            path = self.output.path
            label = "standard output" if path is None else os.path.basename(path)
            meter.start(label, self.total, self.output.offset)
        async for chunk in client.chunks(response):
            self.received += len(chunk)
            self.output.write(chunk)
            meter.advance(len(chunk))
        self.timeline.end(self.clock())

    @property
    def total(self) -> int | None:
        """The bytes that the file is going to have, or `None` if that is unknown."""
        return None if self.expected is None else self.expected + self.output.offset

    def _add_what_came(self) -> None:
        failure, output = self.failure, self.output
        if failure is None or output.path is None or not output.written:
            return
        failure.hint = f"{self.kept()} Continue with -C -."

    def kept(self) -> str:
        """Say how much of the file there is."""
        assert self.output.path is not None, "it was written to a file"
        # The file itself is asked: an interruption may have come before the last chunk was counted.
        whole = "" if self.total is None else f" of {self.total:,}"
        return f"{size_of(self.output.path):,}{whole} bytes are in {self.output.path}."


def head_of(response: Response) -> bytes:
    """Return the head of a response in the form of HTTP/1.1, as curl writes it for each version."""
    version: bytes = response.extensions["http_version"]
    reason: bytes = response.extensions.get("reason_phrase", b"")
    lines = [b"%b %d %b" % (version, response.status, reason)]
    lines += [b"%b: %b" % field for field in response.headers]
    return b"\r\n".join([*lines, b"", b""])
