"""Runs the core's tests on newer CPythons that need not be installed: those of Pyodide, under Node.

Without Node and npm it prints a message and succeeds. It installs its packages into `.tools/wasm`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".tools" / "wasm"

RELEASES = {"3.14": "314.0.7", "3.15": "315.0.0-alpha.2"}
"""The npm package `pyodide` for each Python."""

PACKAGES = ("certifi", "h11", "hypothesis>=6.130,<7", "pytest>=8.4,<10")
"""Packages in pure Python, in their newest release with a wheel for all platforms."""


def main() -> None:
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        print(f"Skipped: {' and '.join(missing)} not found (Debian: apt-get install nodejs npm)")
        return
    _install()
    command: list[str | Path] = [
        "node",
        Path(__file__).with_name("run.mjs"),
        ROOT,
        HOME / "packages",
    ]
    runs = [
        subprocess.Popen(
            [*command, HOME / "node_modules" / f"pyodide-{version}" / "pyodide.mjs", *sys.argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for version in RELEASES
    ]
    failed = []
    for version, run in zip(RELEASES, runs, strict=True):
        output = run.communicate()[0]
        print(f"===== Python {version} (Pyodide {RELEASES[version]}) =====\n{output}", flush=True)
        if run.returncode:
            failed.append(version)
    if failed:
        raise SystemExit(f"The tests failed on Python {' and '.join(failed)}.")


def _install() -> None:
    """Install the missing packages; after a change of the versions, install all again."""
    wanted = json.dumps([RELEASES, PACKAGES])
    done = HOME / "installed.json"
    if done.exists() and done.read_text() == wanted:
        return
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    (HOME / "package.json").write_text("{}")
    releases = [f"pyodide-{version}@npm:pyodide@{name}" for version, name in RELEASES.items()]
    npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact"]
    subprocess.run([*npm, *releases], cwd=HOME, check=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pure = ["--platform", "any", "--only-binary", ":all:", "--python-version", min(RELEASES)]
    subprocess.run([*pip, *pure, "--target", HOME / "packages", *PACKAGES], check=True)
    done.write_text(wanted)


if __name__ == "__main__":
    main()
