"""Fills a timeline from the trace events of a request.

Observers of a pool are not told of the handshakes with a proxy, nor of the end of an upload, and `Timings` has figures
for requests that were answered. The trace events have all phases, also of a request that fails.
Must not know: how the phases are shown, which runtime it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._timeline import Phase, Timeline


class TraceReader:
    """Notes the phases of one request. Its method `on_event` is the `trace` callback.

    Args:
        timeline: what is filled.
        clock: returns the seconds since the transfer began.
        is_proxied: whether the request passes through a proxy, so that the first TLS handshake is with that.
    """

    def __init__(self, timeline: Timeline, clock: Callable[[], float], is_proxied: bool) -> None:
        self._timeline = timeline
        self._clock = clock
        self._is_proxied = is_proxied

    def on_event(self, name: str, info: dict[str, Any]) -> None:
        """Note what an event says about a phase."""
        operation, _, moment = name.rpartition(".")
        prefix, _, step = operation.partition(".")
        phase = self._phase(prefix, step, info)
        if phase is None:
            return
        if moment == "started":
            self._timeline.begin(phase, self._clock())
        elif self._timeline.current is phase and (moment == "complete" or phase is Phase.QUIC):
            # A QUIC handshake that fails, or is slow, may be followed by TCP.
            self._timeline.end(self._clock())

    def _phase(self, prefix: str, step: str, info: dict[str, Any]) -> Phase | None:
        timeline = self._timeline
        if step in ("connect_tcp", "connect_unix_socket"):
            return Phase.TCP
        if step in ("connect_udp", "quic_handshake"):
            return Phase.QUIC
        if step == "start_tls":
            # Through a tunnel the origin's has the prefix of the proxy.
            is_origin = prefix in ("proxy", "socks") or not self._is_proxied
            return Phase.TLS if is_origin else Phase.PROXY
        if step.startswith("setup_socks"):
            return Phase.PROXY
        if is_for_proxy(info) or (timeline.current is Phase.PROXY and "request" not in info):
            return Phase.PROXY if "headers" in step else None
        return {
            "send_request_headers": Phase.SEND,
            "send_request_body": Phase.SEND,
            "receive_response_headers": Phase.WAIT,
            "receive_response_body": Phase.DOWNLOAD,
        }.get(step)


def is_for_proxy(info: dict[str, Any]) -> bool:
    """Return whether an event belongs to the request that asks a proxy for a tunnel."""
    request = info.get("request")
    return request is not None and request.method == b"CONNECT"
