"""Fetch Mermaid, which draws the diagrams of the documentation in the browser, so that the site serves it itself.

`docs/assets/diagrams.js` loads it. It is an npm package; without npm the diagrams of the site stay empty, so CI
requires npm.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION = "12.3.0"
CACHE = ROOT / ".tools" / f"mermaid-{VERSION}"
TARGET = ROOT / "docs" / "assets" / "mermaid.min.js"


def fetch(npm: str) -> Path:
    """Return the script of the pinned release; npm checks the digest of what it downloads."""
    script = CACHE / "mermaid.min.js"
    if not script.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [npm, "pack", "--silent", f"mermaid@{VERSION}", "--pack-destination", str(CACHE)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        with tarfile.open(CACHE / done.stdout.strip()) as archive:
            member = archive.extractfile("package/dist/mermaid.min.js")
            assert member is not None
            script.write_bytes(member.read())
    return script


def main() -> int:
    npm = shutil.which("npm")
    if npm is not None:
        shutil.copyfile(fetch(npm), TARGET)
        return 0
    print("The site has no diagrams: npm is not installed (Debian: apt-get install npm)")
    return 1 if os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main())
