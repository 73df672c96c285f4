"""The one version of all distributions.

python scripts/version.py            print it
python scripts/version.py 3.1.0      write it to all files, and rewrite the bills of materials
python scripts/version.py --check    fail if a file has another version
"""

from __future__ import annotations

import re
import runpy
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION = r"[0-9]+(?:\.[0-9]+)*(?:(?:a|b|rc)[0-9]+)?(?:\.(?:post|dev)[0-9]+)?"
PINNED = r"httpcore2[a-z0-9-]*(?:\[[a-z0-9,]+\])?=="
# The files that have the version, and the text before it.
PLACES = {
    "packages/*/pyproject.toml": rf'^version = "|"{PINNED}',
    "packages/*/src/*/__init__.py": r'^__version__ = "|^check_version\(__name__, "',
    "packages/*/src/*/_distributions.py": r'^VERSION = "',
    "packages/pytest-httpcore2/src/*/_core.py": r'^check_version\("pytest_httpcore2", "',
    "docs/vendoring.md": PINNED,
    "CITATION.cff": r"^version: ",
}


def files() -> Iterator[tuple[Path, re.Pattern[str]]]:
    for glob, before in PLACES.items():
        paths = sorted(ROOT.glob(glob))
        assert paths, f"there is no {glob} any more"
        for path in paths:
            yield path, re.compile(rf"({before})({VERSION})", re.M)


def places() -> Iterator[tuple[str, str]]:
    """Yield each place of a version, as file and line, and the version."""
    for path, pattern in files():
        text = path.read_text()
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path.relative_to(ROOT)}:{line}", match[2]


def unpinned() -> Iterator[str]:
    """Yield the requirements of siblings that allow more than one version."""
    for path in sorted(ROOT.glob("packages/*/pyproject.toml")):
        project = tomllib.loads(path.read_text())["project"]
        extras = project.get("optional-dependencies", {}).values()
        for requirement in sum(extras, start=project["dependencies"]):
            if requirement.startswith("httpcore2") and not re.match(PINNED, requirement):
                yield f"{path.relative_to(ROOT)}: {requirement} is not pinned"


def check() -> int:
    found = list(places())
    faults = list(unpinned())
    if len({version for _, version in found}) > 1:
        faults += [f"{where}: {version}" for where, version in found]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def write(version: str) -> int:
    for path, pattern in files():
        path.write_text(pattern.sub(rf"\g<1>{version}", path.read_text()))
    runpy.run_path(str(ROOT / "scripts" / "sbom.py"))["write"]()
    return check()


def main(arguments: list[str]) -> int:
    match arguments:
        case []:
            print(next(places())[1])
            return 0
        case ["--check"]:
            return check()
        case [version] if re.fullmatch(VERSION, version):
            return write(version)
    print("usage: python scripts/version.py [--check | VERSION]", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
