"""The instrumentation that `opentelemetry-instrument` finds: the observer, installed for all pools.

Must not know: what is recorded.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from httpcore2_core import Observation, observe
from httpcore2_core._distributions import VERSION

from ._observer import OpenTelemetryObserver

OPTIONAL_METRICS_VARIABLE = "OTEL_PYTHON_HTTPCORE2_OPTIONAL_METRICS"
CONNECTION_SPANS_VARIABLE = "OTEL_PYTHON_HTTPCORE2_CONNECTION_SPANS"


class HTTPCore2Instrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Instruments all pools of the process. The command `opentelemetry-instrument` finds and calls it.

    `instrument()` takes the arguments of `OpenTelemetryObserver`. Those that are not given are read from the
    environment: `OTEL_PYTHON_HTTPCORE2_OPTIONAL_METRICS` has the names of metrics, separated by commas, or `all`, and
    `OTEL_PYTHON_HTTPCORE2_CONNECTION_SPANS` is `true` for spans of connections. `uninstrument()` removes the observer.

    Example:
        ```python
        import httpcore2
        from httpcore2_opentelemetry import HTTPCore2Instrumentor

        HTTPCore2Instrumentor().instrument()
        httpcore2.request("GET", "https://www.example.com/")
        HTTPCore2Instrumentor().uninstrument()
        ```
    """

    _observation: Observation | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Called by `instrument()`.

        Returns:
            The requirement that must be installed: the core, in the version of this distribution.
        """
        return (f"httpcore2-core == {VERSION}",)

    def _instrument(self, **options: Any) -> None:
        self._observation = observe(OpenTelemetryObserver(**{**_from_environment(), **options}))

    def _uninstrument(self, **options: Any) -> None:
        assert self._observation is not None, "`uninstrument` calls it after `instrument` alone"
        self._observation.remove()


def _from_environment() -> dict[str, Any]:
    names = os.environ.get(OPTIONAL_METRICS_VARIABLE, "")
    return {
        "optional_metrics": [name.strip() for name in names.split(",") if name.strip()],
        "connection_spans": os.environ.get(CONNECTION_SPANS_VARIABLE, "").strip().lower() == "true",
    }
