"""The process and the machine: memory, sockets, cores, limits.

This module runs in every client's environment, with the standard library only. Figures that only Linux has are `None`
elsewhere.
"""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

_PROCESS = Path("/proc/self")


def cores() -> tuple[int | None, int | None]:
    """Return one core for the clients and another for the server; `None` if there is one core, or no affinity."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) == 1:
        return None, None
    return usable[0], usable[-1]


def pin(process: int, core: int | None) -> None:
    """Pin a process, 0 for this one, to a core."""
    if core is not None:
        os.sched_setaffinity(process, {core})


def raise_limit_of_descriptors() -> int:
    """Raise the limit of open files of this process and its children as far as possible, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else hard
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def _status(name: str) -> int | None:
    """Return a value of `/proc/self/status`, in bytes."""
    try:
        lines = (_PROCESS / "status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def resident() -> int | None:
    """Return the resident memory of this process, in bytes."""
    return _status("VmRSS")


def peak() -> int | None:
    """Return the peak of resident memory since `reset_peak()`, in bytes."""
    return _status("VmHWM")


def reset_peak() -> None:
    """Reset the peak of resident memory."""
    try:
        (_PROCESS / "clear_refs").write_text("5")
    except OSError:
        pass  # not Linux, or not permitted: the peak is then that of the whole process


def sockets() -> int | None:
    """Return the number of open sockets."""
    try:
        names = list((_PROCESS / "fd").iterdir())
    except OSError:
        return None
    count = 0
    for name in names:
        try:
            count += os.readlink(name).startswith("socket:")
        except OSError:
            pass  # the descriptor by which the folder was listed
    return count


def describe() -> dict[str, str]:
    """Return the properties of the machine that the figures depend on."""
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
