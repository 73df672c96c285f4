"""The bill of materials of each distribution, which its wheel carries (PEP 770), in CycloneDX 1.6.

python scripts/sbom.py            write them, after a change of version or dependencies
python scripts/sbom.py --check    fail if one is not up to date

A wheel holds only files of its distribution, so that its bill names the distribution and its requirements. It has no
date and no serial number, so that the same source makes the same wheel.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

PACKAGES = Path(__file__).parents[1] / "packages"
REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)(?:\[(?P<extras>[a-z0-9,]+)\])?(?P<range>[^;]*)"
)


def bill(project: dict[str, Any]) -> dict[str, Any]:
    """Make the bill of a distribution from the `[project]` table of its `pyproject.toml`."""
    own = _purl(project["name"], project["version"])
    scopes = dict.fromkeys(project["dependencies"], "required")
    for extra in project.get("optional-dependencies", {}).values():
        scopes |= {requirement: "optional" for requirement in extra if requirement not in scopes}
    components: dict[str, dict[str, Any]] = {}
    for requirement, scope in sorted(scopes.items()):
        found = _component(requirement, scope)
        # A dependency may be listed with and without extras.
        components.setdefault(found["bom-ref"], found)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": own,
                "name": project["name"],
                "version": project["version"],
                "description": project["description"],
                "licenses": [{"license": {"id": project["license"]}}],
                "purl": own,
                "externalReferences": [
                    {"type": "vcs", "url": project["urls"]["Source"]},
                    {"type": "issue-tracker", "url": project["urls"]["Issues"]},
                ],
            }
        },
        "components": list(components.values()),
        "dependencies": [
            {"ref": own, "dependsOn": sorted(components)},
            *({"ref": ref} for ref in sorted(components)),
        ],
    }


def _component(requirement: str, scope: str) -> dict[str, Any]:
    parts = REQUIREMENT.match(requirement)
    assert parts, f"not a requirement: {requirement}"
    name, versions = parts["name"], parts["range"].strip()
    component: dict[str, Any] = {"type": "library", "name": name, "scope": scope}
    if versions.startswith("=="):
        version = versions.removeprefix("==")
        component |= {"version": version, "purl": _purl(name, version)}
    else:
        component["purl"] = _purl(name)
        if versions:
            component["properties"] = [{"name": "httpcore2:versions", "value": versions}]
    return {"bom-ref": component["purl"], **component}


def _purl(name: str, version: str | None = None) -> str:
    return f"pkg:pypi/{name}" + (f"@{version}" if version else "")


def bills() -> dict[Path, str]:
    """Yield the file and the text of each bill."""
    texts = {}
    for path in sorted(PACKAGES.glob("*/pyproject.toml")):
        project = tomllib.loads(path.read_text())["project"]
        file = path.parent / f"{project['name']}.cdx.json"
        texts[file] = json.dumps(bill(project), separators=(",", ":")) + "\n"
    return texts


def write() -> None:
    for path, text in bills().items():
        path.write_text(text)


def check() -> int:
    stale = [
        path for path, text in bills().items() if not path.exists() or path.read_text() != text
    ]
    for path in stale:
        print(f"{path.name} is not up to date: run python scripts/sbom.py", file=sys.stderr)
    return 1 if stale else 0


def main(arguments: list[str]) -> int:
    match arguments:
        case []:
            write()
            return 0
        case ["--check"]:
            return check()
    print("usage: python scripts/sbom.py [--check]", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
