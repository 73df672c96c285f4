"""What the system tells of this process and of the machine, and what it is asked for.

Runs in every client's environment: the standard library is all it needs. What only Linux tells is `None` elsewhere.
"""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

_PROCESS = Path("/proc/self")


def cores() -> tuple[int | None, int | None]:
    """Return a core for the clients and another for the server; none where there is but one, or no choice."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) == 1:
        return None, None
    return usable[0], usable[-1]


def pin(process: int, core: int | None) -> None:
    """Keep a process, 0 for this one, on a core."""
    if core is not None:
        os.sched_setaffinity(process, {core})


def raise_limit_of_descriptors() -> int:
    """Allow this process and its children as many open files as the system lets us; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else hard
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def _status(name: str) -> int | None:
    """Return a line of the process's status, in bytes."""
    try:
        lines = (_PROCESS / "status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def resident() -> int | None:
    """Return how many bytes of memory this process holds."""
    return _status("VmRSS")


def peak() -> int | None:
    """Return the most that it has held since `reset_peak()`."""
    return _status("VmHWM")


def reset_peak() -> None:
    """Let `peak()` begin anew."""
    try:
        (_PROCESS / "clear_refs").write_text("5")
    except OSError:
        pass  # not Linux, or not allowed: the peak is then that of the whole life


def sockets() -> int | None:
    """Return how many sockets are open."""
    try:
        names = list((_PROCESS / "fd").iterdir())
    except OSError:
        return None
    count = 0
    for name in names:
        try:
            count += os.readlink(name).startswith("socket:")
        except OSError:
            pass  # the descriptor that listed the folder is gone
    return count


def describe() -> dict[str, str]:
    """Return what figures depend on."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "load": f"{os.getloadavg()[0]:.2f}",
    }
