"""What -V shows. It loads nothing of the transport but its version.

Must not know: click.
"""

from __future__ import annotations

from collections.abc import Callable

from httpcore2_core._distributions import VERSION

FEATURES = {
    "HTTP2": "httpcore2_http2",
    "HTTP3": "httpcore2_http3",
    "SOCKS5": "socksio",
    "asyncio": "httpcore2_asyncio",
    "trio": "httpcore2_trio",
    "anyio": "anyio",
}
"""What optional packages bring, and the package to look for."""


def version_text(find: Callable[[str], object]) -> str:
    """Return the version, the protocols, and the installed parts.

    Args:
        find: returns `None` for a package that is not installed.
    """
    installed = [name for name, package in FEATURES.items() if find(package) is not None]
    features = sorted(["SOCKS4", "threads", "UnixSockets", *installed], key=str.lower)
    return f"httpcore2 {VERSION}\nProtocols: http https\nFeatures: {' '.join(features)}"
