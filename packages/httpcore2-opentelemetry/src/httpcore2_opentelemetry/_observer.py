"""The observer that makes spans and metrics of requests.

Rules: a request for which a client above has a span gets no second one: that span is enriched. Where instrumentation is
suppressed, nothing is recorded. A request that its caller cancels is no error.
Must not know: how an observer is installed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from opentelemetry.metrics import Meter, MeterProvider, get_meter
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_REQUEST_RESEND_COUNT,
    HTTP_RESPONSE_STATUS_CODE,
)
from opentelemetry.semconv.attributes.network_attributes import NETWORK_PROTOCOL_VERSION
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.trace import Span, SpanKind, Tracer, TracerProvider, get_tracer

from httpcore2_core import CloseReason, ObservedConnection, Observer, Request, Response
from httpcore2_core._distributions import VERSION

from . import _attributes
from ._connection_spans import ConnectionSpans, end
from ._metrics import Instruments, check_names

_NAME = "httpcore2"
# The first version of the conventions in which those of HTTP were stable.
_SCHEMA = "https://opentelemetry.io/schemas/1.23.1"
_STATE = "http.connection.state"
_LEAST_ERROR = 400
_RESOLUTION, _TLS = "resolution", "tls"
# The attributes that a request has from its start: those of `http.client.active_requests`.
_FROM_START = (HTTP_REQUEST_METHOD, SERVER_ADDRESS, SERVER_PORT)
# The attributes by which instrumentations of clients mark their spans, by the stable and the old conventions.
_MARKS = (HTTP_REQUEST_METHOD, "http.method")


class _Exchange:
    """A request that is observed: the token of its events."""

    __slots__ = ("attributes", "context", "is_own", "span", "started_at")

    def __init__(
        self,
        span: Span,
        context: Context | None,
        is_own: bool,
        attributes: dict[str, Any],
        started_at: float,
    ) -> None:
        self.span: Span = span
        self.context: Context | None = context
        """The context of the span, which gives metrics their exemplars."""
        self.is_own: bool = is_own
        """Whether the span was made here, and ends here."""
        self.attributes: dict[str, Any] = attributes
        """The attributes of metrics."""
        self.started_at: float = started_at


class OpenTelemetryObserver(Observer):
    """Records a span and the duration of each request, by OpenTelemetry's stable conventions for HTTP clients.

    A request gets a CLIENT span. Its context is sent to the server, in header fields that the global propagator adds to
    a copy of the request's. Where a client above has made a span for the request, that span gets the attributes that
    only the transport knows, and the client's own metrics count it. A status of 400 or more, or an exception, is an
    error; a cancellation is not.

    Args:
        tracer_provider: makes the spans; by default the global one.
        meter_provider: makes the instruments; by default the global one.
        optional_metrics: the names of further metrics to record, or `"all"`: `http.client.active_requests`,
            `http.client.connection.duration`, `http.client.open_connections`, `http.client.request.body.size`,
            `http.client.response.body.size`, `dns.lookup.duration`.
        connection_spans: whether connections get spans, too: of name resolution, each attempt to connect, and TLS. The
            span of a request has a link to that of the connection on which it was sent.

    Raises:
        ValueError: `optional_metrics` has an unknown name.

    Example:
        ```python
        import httpcore2
        from httpcore2_opentelemetry import OpenTelemetryObserver

        with httpcore2.ConnectionPool() as http:
            http.observe(OpenTelemetryObserver())
            http.request("GET", "https://www.example.com/")
        ```

    Source: https://opentelemetry.io/docs/specs/semconv/http/
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        optional_metrics: Collection[str] = (),
        connection_spans: bool = False,
    ) -> None:
        chosen = check_names(optional_metrics)
        self._tracer: Tracer = get_tracer(_NAME, VERSION, tracer_provider, _SCHEMA)
        meter: Meter = get_meter(_NAME, VERSION, meter_provider, _SCHEMA)
        self._instruments = Instruments(meter, chosen)
        self._spans = ConnectionSpans(self._tracer) if connection_spans else None
        self._known_methods = _attributes.known_methods()
        # The state that `http.client.open_connections` counts for each connection.
        self._counted: dict[ObservedConnection, dict[str, Any]] = {}
        self._lookups: dict[ObservedConnection, float] = {}

    # Requests

    def request_started(self, request: Request, time: float) -> _Exchange | None:
        if not is_http_instrumentation_enabled():
            return None
        method = _attributes.method_of(request, self._known_methods)
        attributes: dict[str, Any] = {
            HTTP_REQUEST_METHOD: method[HTTP_REQUEST_METHOD],
            **_attributes.server_of(request.url),
        }
        span = trace.get_current_span()
        context: Context | None = None
        is_own = not _is_of_client(span)
        if is_own:
            name = method[HTTP_REQUEST_METHOD]
            span = self._tracer.start_span(
                "HTTP" if name == "_OTHER" else name,
                kind=SpanKind.CLIENT,
                attributes={**attributes, **method, **_attributes.url_of(request.url)},
            )
            context = trace.set_span_in_context(span)
            _inject(request, context)
        if self._instruments.active_requests is not None:
            self._instruments.active_requests.add(1, attributes, context)
        return _Exchange(span, context, is_own, attributes, time)

    def connection_acquired(
        self,
        token: _Exchange | None,
        connection: ObservedConnection,
        reused: bool,
        waited: float,
        time: float,
    ) -> None:
        if token is None or not token.span.is_recording():
            return
        token.span.set_attributes(_attributes.peer_of(connection.peer_address))
        linked = None if self._spans is None else self._spans.context_of(connection)
        if linked is not None:
            token.span.add_link(linked)

    def request_resent(
        self, token: _Exchange | None, count: int, cause: Exception, time: float
    ) -> None:
        if token is not None:
            token.span.set_attribute(HTTP_REQUEST_RESEND_COUNT, count)

    def response_received(self, token: _Exchange | None, response: Response, time: float) -> None:
        if token is None:
            return
        found: dict[str, Any] = {HTTP_RESPONSE_STATUS_CODE: response.status}
        version = response.extensions.get("http_version")
        if version is not None:
            found[NETWORK_PROTOCOL_VERSION] = _attributes.version_of(version.decode("ascii"))
        token.attributes |= found
        token.span.set_attributes(found)

    def request_ended(
        self,
        token: _Exchange | None,
        status: int | None,
        error: BaseException | None,
        sent: int,
        received: int,
        time: float,
    ) -> None:
        if token is None:
            return
        attributes = token.attributes
        instruments = self._instruments
        if instruments.active_requests is not None:
            first = {key: attributes[key] for key in _FROM_START}
            instruments.active_requests.add(-1, first, token.context)
        if isinstance(error, Exception):
            attributes[ERROR_TYPE] = _attributes.error_type_of(error)
        elif status is not None and status >= _LEAST_ERROR:
            attributes[ERROR_TYPE] = str(status)
        if token.is_own:
            end(token.span, error, attributes.get(ERROR_TYPE))
            instruments.request_duration.record(time - token.started_at, attributes, token.context)
        if instruments.request_body_size is not None:
            instruments.request_body_size.record(sent, attributes, token.context)
        if instruments.response_body_size is not None:
            instruments.response_body_size.record(received, attributes, token.context)

    # Connections

    def resolution_started(self, connection: ObservedConnection, host: str, time: float) -> None:
        if _attributes.is_address(host) or not is_http_instrumentation_enabled():
            return
        self._lookups[connection] = time
        if self._spans is not None:
            name = {"dns.question.name": host}
            self._spans.start_step(connection, _RESOLUTION, "DNS lookup", name)

    def resolution_ended(
        self,
        connection: ObservedConnection,
        host: str,
        addresses: list[str],
        error: BaseException | None,
        time: float,
    ) -> None:
        started_at = self._lookups.pop(connection, None)
        duration = self._instruments.lookup_duration
        if started_at is not None and duration is not None:
            attributes = {"dns.question.name": host}
            if isinstance(error, Exception):
                attributes[ERROR_TYPE] = _attributes.error_type_of(error)
            duration.record(time - started_at, attributes)
        if self._spans is not None:
            self._spans.end_step(connection, _RESOLUTION, error, {"dns.answers": addresses})

    def attempt_started(
        self, connection: ObservedConnection, address: tuple[str, int] | str, time: float
    ) -> None:
        if self._spans is not None:
            peer = _attributes.peer_of(address)
            self._spans.start_step(connection, address, "socket connect", peer)

    def attempt_ended(
        self,
        connection: ObservedConnection,
        address: tuple[str, int] | str,
        error: BaseException | None,
        time: float,
    ) -> None:
        if self._spans is not None:
            self._spans.end_step(connection, address, error, {})

    def tls_started(self, connection: ObservedConnection, server_name: str, time: float) -> None:
        if self._spans is not None:
            name = {"tls.client.server_name": server_name}
            self._spans.start_step(connection, _TLS, "TLS handshake", name)

    def tls_ended(
        self,
        connection: ObservedConnection,
        version: str | None,
        cipher: str | None,
        alpn: str | None,
        error: BaseException | None,
        time: float,
    ) -> None:
        if self._spans is not None:
            found = _attributes.tls_of(version, cipher, alpn)
            self._spans.end_step(connection, _TLS, error, found)

    def connection_opened(self, connection: ObservedConnection, time: float) -> None:
        self._count(connection, "active")
        if self._spans is not None:
            self._spans.opened(connection)

    def connection_active(self, connection: ObservedConnection, time: float) -> None:
        self._count(connection, "active")

    def connection_idle(self, connection: ObservedConnection, time: float) -> None:
        self._count(connection, "idle")

    def connection_closed(
        self, connection: ObservedConnection, reason: CloseReason, time: float
    ) -> None:
        self._count(connection, None)
        if self._spans is not None:
            self._spans.closed(connection)
        duration = self._instruments.connection_duration
        if duration is not None and connection.opened_at is not None:
            duration.record(time - connection.opened_at, _of_connection(connection))

    def _count(self, connection: ObservedConnection, state: str | None) -> None:
        counter = self._instruments.open_connections
        if counter is None:
            return
        before = self._counted.pop(connection, None)
        if before is not None:
            counter.add(-1, before)
        if state is not None:
            counted = {**_of_connection(connection), _STATE: state}
            self._counted[connection] = counted
            counter.add(1, counted)


def _is_of_client(span: Span) -> bool:
    """Return whether an instrumentation of an HTTP client has made a span, for the request that it is about to send."""
    attributes = getattr(span, "attributes", None) or ()
    return (
        span.is_recording()
        and getattr(span, "kind", None) is SpanKind.CLIENT
        and any(mark in attributes for mark in _MARKS)
    )


def _inject(request: Request, context: Context) -> None:
    """Add the context to the header fields, in place of one that is there."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier, context)
    if carrier:
        fields = {
            name.lower().encode("ascii"): value.encode("latin-1") for name, value in carrier.items()
        }
        kept = [field for field in request.headers if field[0].lower() not in fields]
        request.headers = [*kept, *fields.items()]


def _of_connection(connection: ObservedConnection) -> dict[str, Any]:
    """Return the attributes of the metrics of an established connection."""
    assert connection.http_version is not None, "it is established"
    return {
        **_attributes.server_of(connection.origin),
        NETWORK_PROTOCOL_VERSION: _attributes.version_of(connection.http_version),
    }
