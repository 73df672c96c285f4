"""The published httpcore2 2.16.2, in an environment of its own, to compare with."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

PUBLISHED = "2.16.2"
REQUIREMENTS = (f"httpcore2[asyncio,http2,socks,trio]=={PUBLISHED}", "anyio", "trustme", "uvloop")
TOOLS = Path(__file__).parents[2] / ".tools"


def published_python() -> Path:
    """Return the Python of that environment, which is made when it is first needed."""
    folder = TOOLS / f"httpcore2-{PUBLISHED}-py{sys.version_info[0]}.{sys.version_info[1]}"
    python = folder / "bin" / "python"
    note = folder / "complete"
    if not note.exists() or note.read_text().split() != list(REQUIREMENTS):
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
        note.write_text("\n".join(REQUIREMENTS))
    return python
