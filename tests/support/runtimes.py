"""The runtimes under test: threads, asyncio, uvloop, trio, and anyio on both event loops.

For all tests that run on several runtimes, through the fixtures `runtime` and `async_runtime` or `RUNTIMES`.
"""

from __future__ import annotations

import asyncio

from .asyncio_runtimes import (
    TestedAnyIOOnAsyncio,
    TestedAsyncio,
    TestedEagerAsyncio,
    TestedUvloop,
)
from .runtime_base import CancellationOutcome, RuntimeEvent, TestedAsyncRuntime, TestedRuntime
from .thread_runtime import TestedThreads
from .trio_runtimes import TestedAnyIOOnTrio, TestedTrio

__all__ = [
    "MAIN_RUNTIMES",
    "RUNTIMES",
    "CancellationOutcome",
    "RuntimeEvent",
    "TestedAsyncRuntime",
    "TestedRuntime",
    "TestedTrio",
]

RUNTIMES: dict[str, TestedRuntime] = {
    runtime.name: runtime
    for runtime in (
        TestedThreads(),
        TestedAsyncio(),
        TestedUvloop(),
        TestedTrio(),
        TestedAnyIOOnAsyncio(),
        TestedAnyIOOnTrio(),
    )
}
if hasattr(asyncio, "eager_task_factory"):
    RUNTIMES["asyncio-eager"] = TestedEagerAsyncio()

# One runtime of each kind, for tests with tables of cases. Cancellation, lifetimes and the conformance of backends,
# where the others could differ, are tested on all.
MAIN_RUNTIMES = [name for name in RUNTIMES if name not in ("anyio-trio", "asyncio-eager")]
