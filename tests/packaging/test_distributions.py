"""The content of the built wheels and sdists: complete, minimal and reproducible."""

from __future__ import annotations

import importlib
import json
import re
import sys
import tarfile
from collections import Counter
from email import message_from_bytes
from pathlib import Path

import pytest

from .environments import DIST, DISTRIBUTIONS, ROOT, files_of, run, version, wheel_of

ENTRY_POINTS = {
    "httpcore2-cli": "[console_scripts]\nhttpcore2 = httpcore2_cli:main\n",
    "httpcore2-opentelemetry": (
        "[opentelemetry_instrumentor]\nhttpcore2 = httpcore2_opentelemetry:HTTPCore2Instrumentor\n"
    ),
    "pytest-httpcore2": "[pytest11]\npytest_httpcore2 = pytest_httpcore2\n",
}

each_distribution = pytest.mark.parametrize("distribution", DISTRIBUTIONS)


def sdist_of(distribution: str) -> Path:
    return DIST / f"{distribution.replace('-', '_')}-{version()}.tar.gz"


def source_of(distribution: str) -> dict[str, bytes]:
    """Return the files of the import package in the working tree, by their names in a wheel."""
    source = ROOT / "packages" / distribution / "src"
    return {
        str(path.relative_to(source)): path.read_bytes()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_only_the_distributions_of_the_list_are_built() -> None:
    built = {path.name for path in DIST.iterdir()} - {".gitignore"}
    assert built == {
        path.name for each in DISTRIBUTIONS for path in (wheel_of(each), sdist_of(each))
    }


@each_distribution
def test_a_wheel_contains_only_source_licence_and_bill_of_materials(
    distribution: str,
) -> None:
    files = files_of(wheel_of(distribution))
    source = source_of(distribution)
    information = f"{distribution.replace('-', '_')}-{version()}.dist-info"
    others = {"METADATA", "RECORD", "WHEEL", "licenses/LICENSE", f"sboms/{distribution}.cdx.json"}
    if distribution in ENTRY_POINTS:
        others.add("entry_points.txt")
        assert files[f"{information}/entry_points.txt"].decode() == ENTRY_POINTS[distribution]
    assert set(files) == set(source) | {f"{information}/{name}" for name in others}
    changed = [name for name, content in source.items() if files[name] != content]
    assert not changed, "run scripts/hatch run build:all"
    strangers = [name for name in source if not re.fullmatch(r"[a-z0-9_/]+(\.py|/py\.typed)", name)]
    assert not strangers


@each_distribution
def test_an_sdist_contains_only_the_input_of_its_wheel(distribution: str) -> None:
    others = {"LICENSE", "README.md", "pyproject.toml", f"{distribution}.cdx.json"}
    # The build backend adds these two.
    expected = {f"src/{name}" for name in source_of(distribution)} | others
    assert set(files_of(sdist_of(distribution))) - {"PKG-INFO", ".gitignore"} == expected


def test_no_file_is_in_two_distributions() -> None:
    owners = Counter(name for each in DISTRIBUTIONS for name in files_of(wheel_of(each)))
    assert max(owners.values()) == 1


@each_distribution
def test_building_the_sdist_reproduces_the_wheel_and_the_sdist(
    distribution: str, tmp_path: Path
) -> None:
    with tarfile.open(sdist_of(distribution)) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / "dist")],
        folder=folder,
        environment={"TZ": "Pacific/Chatham", "LC_ALL": "C"},
    )
    for path in (wheel_of(distribution), sdist_of(distribution)):
        assert (tmp_path / "dist" / path.name).read_bytes() == path.read_bytes(), path.name


@each_distribution
def test_source_date_epoch_sets_the_dates_of_a_build(distribution: str, tmp_path: Path) -> None:
    for name in ("first", "second"):
        run(
            [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / name)],
            folder=ROOT / "packages" / distribution,
            environment={"SOURCE_DATE_EPOCH": "1800000000"},
        )
    for path in (wheel_of(distribution), sdist_of(distribution)):
        first = (tmp_path / "first" / path.name).read_bytes()
        assert first == (tmp_path / "second" / path.name).read_bytes()
        assert first != path.read_bytes()


@each_distribution
def test_the_bill_of_materials_is_valid_and_lists_the_requirements_of_the_metadata(
    distribution: str,
) -> None:
    files = files_of(wheel_of(distribution))
    (bill,) = (content for name, content in files.items() if "/sboms/" in name)
    # Its modules are not installed in the environment of the type checks.
    validation = importlib.import_module("cyclonedx.validation.json")
    schema = importlib.import_module("cyclonedx.schema")
    validator = validation.JsonStrictValidator(schema.SchemaVersion.V1_6)
    assert validator.validate_str(bill.decode()) is None

    (text,) = (content for name, content in files.items() if name.endswith("/METADATA"))
    metadata = message_from_bytes(text)
    parsed = json.loads(bill)
    assert parsed["metadata"]["component"]["version"] == metadata["Version"] == version()
    required = metadata.get_all("Requires-Dist", [])
    assert {component["name"] for component in parsed["components"]} == {
        re.split(r"[^A-Za-z0-9._-]", each)[0] for each in required
    }


def test_the_sizes_of_the_wheels_are_within_their_limit_and_in_the_changelog() -> None:
    size = sum(wheel_of(name).stat().st_size for name in ("httpcore2", "httpcore2-core")) / 1000
    assert size <= 320
    newest_first = [*(ROOT / "changelog.d").glob("*.md"), ROOT / "CHANGELOG.md"]
    changes = "".join(path.read_text() for path in newest_first)
    stated = re.search(r"take (\d+) kB together", changes)
    assert stated and int(stated[1]) == pytest.approx(size, rel=0.05), (
        "run scripts/hatch run build:figures --changelog"
    )
