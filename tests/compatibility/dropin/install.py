"""Installs the clients without their dependencies, and the test kits; downloads the tests that `httpx` ships."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[3]
CLIENTS = {"httpx": "0.28.1", "httpx2": "2.16.2"}
TOOLS = ROOT / ".tools"
SOURCE = TOOLS / f"httpx-{CLIENTS['httpx']}.tar.gz"

KITS = {
    "httpx2-pytest": ("httpx2-pytest==2.0.0",),
    "pytest-httpx2": ("pytest-httpx2==1.0.0", "respx==0.23.1"),
    "respx": ("respx==0.23.1",),
    "vcrpy": ("vcrpy==9.4.2", "PyYAML==6.0.3", "wrapt==2.0.1"),
}
"""The requirements of each kit. Each has a folder of its own, since two of them contain the package `pytest_httpx2`."""


def folder_of(kit: str) -> Path:
    """Return the folder of a kit, for its required versions and this Python."""
    name = "-".join(each.replace("==", "-") for each in KITS[kit])
    return TOOLS / "kits" / f"py{sys.version_info.major}.{sys.version_info.minor}-{name}"


def _is_installed(name: str) -> bool:
    try:
        return version(name) == CLIENTS[name]
    except PackageNotFoundError:
        return False


def main() -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    missing = [f"{name}=={CLIENTS[name]}" for name in CLIENTS if not _is_installed(name)]
    if missing:
        subprocess.run([*pip, "install", "--no-deps", *missing], check=True)
    for kit, requirements in KITS.items():
        if not folder_of(kit).exists():
            target = ["--no-deps", "--target", str(folder_of(kit))]
            subprocess.run([*pip, "install", *target, *requirements], check=True)
    if not SOURCE.exists():
        source = ["--no-deps", "--no-binary", ":all:", "--dest", str(TOOLS)]
        subprocess.run([*pip, "download", *source, f"httpx=={CLIENTS['httpx']}"], check=True)


if __name__ == "__main__":
    main()
