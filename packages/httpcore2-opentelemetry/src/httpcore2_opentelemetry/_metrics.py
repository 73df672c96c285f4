"""The instruments: the duration of requests, and those metrics of the conventions that must be chosen.

Must not know: observers, spans.
"""

from __future__ import annotations

from collections.abc import Collection

from opentelemetry.metrics import Histogram, Meter, UpDownCounter
from opentelemetry.semconv.metrics.http_metrics import HTTP_CLIENT_REQUEST_DURATION

ACTIVE_REQUESTS = "http.client.active_requests"
OPEN_CONNECTIONS = "http.client.open_connections"
CONNECTION_DURATION = "http.client.connection.duration"
REQUEST_BODY_SIZE = "http.client.request.body.size"
RESPONSE_BODY_SIZE = "http.client.response.body.size"
DNS_LOOKUP_DURATION = "dns.lookup.duration"

OPTIONAL = (
    ACTIVE_REQUESTS,
    CONNECTION_DURATION,
    DNS_LOOKUP_DURATION,
    OPEN_CONNECTIONS,
    REQUEST_BODY_SIZE,
    RESPONSE_BODY_SIZE,
)
"""The metrics that are only recorded if they are chosen: the conventions are still in development there."""

# The boundaries of the conventions, in seconds.
_REQUEST_SECONDS = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
)  # fmt: skip
_CONNECTION_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
_LOOKUP_SECONDS = _REQUEST_SECONDS


def check_names(chosen: Collection[str]) -> frozenset[str]:
    """Return the names of optional metrics, of which "all" stands for all.

    Raises:
        ValueError: a name is unknown.
    """
    names = frozenset((chosen,) if isinstance(chosen, str) else chosen)
    unknown = names.difference(OPTIONAL, ("all",))
    if unknown:
        raise ValueError(
            f"optional_metrics has the unknown name {min(unknown)!r}. "
            f"The names are 'all', {', '.join(map(repr, OPTIONAL))}."
        )
    return frozenset(OPTIONAL) if "all" in names else names


class Instruments:
    """The instruments of one meter. One that was not chosen is `None`."""

    def __init__(self, meter: Meter, chosen: frozenset[str]) -> None:
        def histogram(
            name: str, unit: str, description: str, boundaries: Collection[float] | None = None
        ) -> Histogram | None:
            if name not in chosen:
                return None
            return meter.create_histogram(
                name,
                unit,
                description,
                explicit_bucket_boundaries_advisory=None if boundaries is None else [*boundaries],
            )

        def counter(name: str, unit: str, description: str) -> UpDownCounter | None:
            return meter.create_up_down_counter(name, unit, description) if name in chosen else None

        self.request_duration = meter.create_histogram(
            HTTP_CLIENT_REQUEST_DURATION,
            "s",
            "Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=[*_REQUEST_SECONDS],
        )
        self.active_requests = counter(
            ACTIVE_REQUESTS, "{request}", "Number of active HTTP requests."
        )
        self.open_connections = counter(
            OPEN_CONNECTIONS,
            "{connection}",
            "Number of outbound HTTP connections that are currently active or idle on the client.",
        )
        self.connection_duration = histogram(
            CONNECTION_DURATION,
            "s",
            "The duration of the successfully established outbound HTTP connections.",
            _CONNECTION_SECONDS,
        )
        self.request_body_size = histogram(
            REQUEST_BODY_SIZE, "By", "Size of HTTP client request bodies."
        )
        self.response_body_size = histogram(
            RESPONSE_BODY_SIZE, "By", "Size of HTTP client response bodies."
        )
        self.lookup_duration = histogram(
            DNS_LOOKUP_DURATION,
            "s",
            "Measures the time taken to perform a DNS lookup.",
            _LOOKUP_SECONDS,
        )
