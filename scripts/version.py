"""The one version of the five distributions.

python scripts/version.py            print it
python scripts/version.py 3.1.0      write it into every pyproject.toml, pins of siblings included
python scripts/version.py --check    fail where one differs
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PACKAGES = Path(__file__).parents[1] / "packages"
VERSION = r"[0-9]+(?:\.[0-9]+)*(?:(?:a|b|rc)[0-9]+)?(?:\.(?:post|dev)[0-9]+)?"
# The version of [project], and pins: "httpcore2-core==…", "httpcore2-asyncio[anyio]==…".
PLACE = re.compile(rf'(^version = "|"httpcore2[a-z0-9-]*(?:\[[a-z0-9,]+\])?==)({VERSION})"', re.M)


def projects() -> list[Path]:
    return sorted(PACKAGES.glob("*/pyproject.toml"))


def places(path: Path) -> list[tuple[str, str]]:
    """What each version in the file belongs to, and the version."""
    project = tomllib.loads(path.read_text())["project"]
    requirements = list(project["dependencies"])
    for extra in project.get("optional-dependencies", {}).values():
        requirements += extra
    found = [(f"{project['name']} itself", project["version"])]
    for requirement in requirements:
        if re.match(r"httpcore2\b", requirement):
            sibling, _, version = requirement.partition("==")
            found.append((f"{project['name']} on {sibling}", version or "not pinned"))
    return found


def check() -> int:
    versions = [place for path in projects() for place in places(path)]
    if len({version for _, version in versions}) == 1:
        return 0
    for where, version in versions:
        print(f"{where}: {version}", file=sys.stderr)
    return 1


def write(version: str) -> int:
    for path in projects():
        text, count = PLACE.subn(rf'\g<1>{version}"', path.read_text())
        assert count == len(places(path)), f"{path}: a version is written in a way not known here"
        path.write_text(text)
    return check()


def main(arguments: list[str]) -> int:
    match arguments:
        case []:
            print(places(projects()[0])[0][1])
            return 0
        case ["--check"]:
            return check()
        case [version] if re.fullmatch(VERSION, version):
            return write(version)
    print("usage: python scripts/version.py [--check | VERSION]", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
