"""Spans of connections: one for the whole set-up, with one for name resolution, each attempt to connect, and TLS.

Rules: they begin a trace of their own, since other requests use the connection, too. The spans of requests have links.
Must not know: requests, metrics.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import Span, SpanContext, StatusCode, Tracer

from httpcore2_core import ObservedConnection

from . import _attributes


class ConnectionSpans:
    """The spans of the connections that are open or being established."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._setups: dict[ObservedConnection, Span] = {}
        self._steps: dict[tuple[ObservedConnection, object], Span] = {}

    def context_of(self, connection: ObservedConnection) -> SpanContext | None:
        """Return the context of the span of a connection, to link to; `None` if there is none."""
        setup = self._setups.get(connection)
        return None if setup is None else setup.get_span_context()

    def start_step(
        self, connection: ObservedConnection, step: object, name: str, attributes: dict[str, Any]
    ) -> None:
        """Start the span of a step, and with the first one that of the connection.

        Args:
            connection: the connection.
            step: names the step within the connection.
            name: the name of the span.
            attributes: its attributes.
        """
        if not is_http_instrumentation_enabled():
            return
        setup = self._setups.get(connection)
        if setup is None:
            setup = self._setups[connection] = self._tracer.start_span(
                "HTTP connection_setup",
                context=Context(),
                attributes=_attributes.server_of(connection.origin),
            )
        self._steps[connection, step] = self._tracer.start_span(
            name, context=trace.set_span_in_context(setup, Context()), attributes=attributes
        )

    def end_step(
        self,
        connection: ObservedConnection,
        step: object,
        error: BaseException | None,
        attributes: dict[str, Any],
    ) -> None:
        """End the span of a step, with what is known of it now."""
        span = self._steps.pop((connection, step), None)
        if span is not None:
            span.set_attributes(attributes)
            end(span, error)

    def opened(self, connection: ObservedConnection) -> None:
        """The connection was established."""
        setup = self._setups.get(connection)
        if setup is not None:
            setup.set_attributes(_attributes.peer_of(connection.peer_address))
            setup.end()

    def closed(self, connection: ObservedConnection) -> None:
        """The connection was closed, or not established."""
        setup = self._setups.pop(connection, None)
        if setup is not None and connection.opened_at is None:
            setup.set_status(StatusCode.ERROR)
            setup.end()


def end(span: Span, error: BaseException | None, error_type: str | None = None) -> None:
    """End a span.

    Args:
        span: the span.
        error: the exception that ended it; one that is no `Exception`, such as a cancellation, is no error.
        error_type: the value of `error.type` for an error without an exception.
    """
    if isinstance(error, Exception):
        error_type = _attributes.error_type_of(error)
        span.record_exception(error)
        span.set_status(StatusCode.ERROR, str(error))
    elif error_type is not None:
        span.set_status(StatusCode.ERROR)
    if error_type is not None:
        span.set_attribute(ERROR_TYPE, error_type)
    span.end()
