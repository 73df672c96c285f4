"""Installs the clients without what they ask for, and fetches the tests that one of them ships."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CLIENTS = {"httpx": "0.28.1", "httpx2": "2.16.2"}
TOOLS = Path(__file__).parents[2] / ".tools"
SOURCE = TOOLS / f"httpx-{CLIENTS['httpx']}.tar.gz"


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
    if not SOURCE.exists():
        source = ["--no-deps", "--no-binary", ":all:", "--dest", str(TOOLS)]
        subprocess.run([*pip, "download", *source, f"httpx=={CLIENTS['httpx']}"], check=True)


if __name__ == "__main__":
    main()
