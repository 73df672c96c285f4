"""The trio backend: connects on the running event loop of trio.

Rules: it holds no state, so one instance serves any number of runs, one after the other or in
several threads. How a stream reads, writes and connects is core's, for every loop with nurseries.
Must not know: TLS, HTTP, the pool.
"""

from __future__ import annotations

from httpcore2_core._net.socket_backend import ReadinessBackend

from ._runtime import TrioRuntime


class TrioBackend(ReadinessBackend):
    """Opens connections under trio, natively.

    Example:
        >>> import trio
        >>> from httpcore2_trio import TrioBackend
        >>> async def main() -> None:
        ...     stream = await TrioBackend().connect_tcp("www.example.com", 80, timeout=5.0)
        ...     await stream.aclose()
        >>> trio.run(main)
    """

    runtime: TrioRuntime = TrioRuntime()
