"""OpenTelemetry spans and metrics of httpcore2."""

from __future__ import annotations

from httpcore2_core._distributions import check_version

check_version(__name__, "3.0.0")

from ._instrumentor import HTTPCore2Instrumentor
from ._observer import OpenTelemetryObserver

__all__ = ["HTTPCore2Instrumentor", "OpenTelemetryObserver"]
