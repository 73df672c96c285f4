"""The distributions have one version and the same metadata, and each has its licence, README and type marker."""

from __future__ import annotations

import ast
import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest

from .wasm.__main__ import RELEASES

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))

each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)


def project_of(package: Path) -> dict[str, Any]:
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert isinstance(project, dict)
    return project


def source_of(package: Path) -> Path:
    return package / "src" / package.name.replace("-", "_")


def test_the_distributions_are_those_of_the_list() -> None:
    assert [path.name for path in PACKAGES] == [
        "httpcore2",
        "httpcore2-asyncio",
        "httpcore2-cli",
        "httpcore2-core",
        "httpcore2-http2",
        "httpcore2-http3",
        "httpcore2-opentelemetry",
        "httpcore2-trio",
        "pytest-httpcore2",
    ]


@pytest.mark.parametrize("script", ["version", "sbom"])
def test_the_version_its_pins_and_the_bills_of_materials_agree(
    script: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [script, "--check"])
    with pytest.raises(SystemExit) as exit_:
        runpy.run_path(str(ROOT / "scripts" / f"{script}.py"), run_name="__main__")
    assert exit_.value.code in (None, 0), capsys.readouterr().err


def test_the_fragments_of_the_changelog_have_lines_of_known_categories() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["scriv"]
    known = {f"### {category}" for category in settings["categories"]}
    fragments = set((ROOT / "changelog.d").iterdir()) - {ROOT / "changelog.d" / "README.md"}
    for path in fragments:
        lines = [line for line in path.read_text().splitlines() if line]
        assert path.suffix == ".md"
        assert lines[0] in known, path
        assert {line for line in lines if line.startswith("#")} <= known, path
        assert all(line.startswith(("### ", "- ", "  ")) for line in lines), path


@each_package
def test_a_distribution_is_called_like_its_folder(package: Path) -> None:
    assert project_of(package)["name"] == package.name


def test_each_python_that_the_distributions_name_is_tested() -> None:
    prefix = "Programming Language :: Python :: 3."
    names = [
        [line.removeprefix(prefix) for line in project_of(package)["classifiers"] if prefix in line]
        for package in PACKAGES
    ]
    assert all(each == names[0] for each in names)
    pythons = [f"3.{minor}" for minor in names[0]]
    script = (ROOT / "scripts" / "test").read_text()
    found = re.findall(r"^(?:supported|newer)='(.*?)'", script, re.M)
    assert " ".join(found).split() == pythons
    hatch = tomllib.loads((ROOT / "hatch.toml").read_text())
    assert hatch["envs"]["test"]["matrix"] == [{"python": pythons}]
    for workflow in ("ci", "release"):
        text = (ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text()
        assert re.findall(r"^ +(3\.\d+)$", text, re.M) == pythons
    # The Pythons that few machines have are tested by Pyodide, too.
    assert list(RELEASES) == found[1].split()


@each_package
def test_a_distribution_carries_the_licence_of_the_project(package: Path) -> None:
    assert (package / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert project_of(package)["license"] == "BSD-3-Clause"


@each_package
def test_a_distribution_has_a_readme_of_its_own(package: Path) -> None:
    assert (package / "README.md").read_text().startswith(f"# {package.name}\n")


@each_package
def test_a_distribution_is_marked_as_typed(package: Path) -> None:
    assert (source_of(package) / "py.typed").read_bytes() == b""


@each_package
def test_a_distribution_imports_itself_by_relative_imports_alone(package: Path) -> None:
    own_name = source_of(package).name
    absolute = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in source_of(package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (
            isinstance(node, ast.Import)
            and any(alias.name.partition(".")[0] == own_name for alias in node.names)
        )
        or (
            isinstance(node, ast.ImportFrom)
            and node.level == 0
            and (node.module or "").partition(".")[0] == own_name
        )
    ]
    assert absolute == []
