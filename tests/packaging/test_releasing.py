"""The tools of a release: the version script, the changelog, and upgrades by pip."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from itertools import combinations
from pathlib import Path

import pytest

from .conftest import Make, Work
from .environments import (
    DIST,
    DISTRIBUTIONS,
    IN_ALL,
    OWN_PYTHON,
    ROOT,
    Environment,
    run,
    run_uv,
    version,
)

# The next version is built once for all tests.
pytestmark = pytest.mark.xdist_group("releasing")

NEXT = "9.8.7rc6"
SCRIV = [sys.executable, "-m", "scriv"]


def copied(folder: Path) -> Path:
    """Return a copy of the files that a release changes."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("changelog.d", "docs", "packages", "scripts"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("CHANGELOG.md", "CITATION.cff", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheels of this version and of the next one."""
    tree = copied(tmp_path_factory.mktemp("tree"))
    run([sys.executable, str(tree / "scripts" / "version.py"), NEXT], folder=tree)
    links = tmp_path_factory.mktemp("links")
    for wheel in DIST.glob("*.whl"):
        shutil.copy(wheel, links)
    for name in DISTRIBUTIONS:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(links)]
        run(command, folder=tree / "packages" / name)
    return links


def test_the_version_script_replaces_the_version_everywhere(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    script = [sys.executable, str(tree / "scripts" / "version.py")]
    run([*script, NEXT])
    assert run(script).stdout.strip() == NEXT
    run([*script, "--check"])
    left = [
        path.relative_to(tree)
        for path in [tree / "docs" / "vendoring.md", *(tree / "packages").rglob("*")]
        if path.is_file() and version() in path.read_text()
    ]
    assert left == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("packages/httpcore2/src/httpcore2/__init__.py", '__version__ = "'),
        ("packages/httpcore2-core/src/httpcore2_core/_distributions.py", 'VERSION = "'),
        ("packages/httpcore2-trio/pyproject.toml", "httpcore2-core=="),
        ("packages/httpcore2-trio/src/httpcore2_trio/__init__.py", '(__name__, "'),
        ("packages/httpcore2-http2/pyproject.toml", 'version = "'),
    ],
)
def test_the_version_script_reports_a_version_that_differs(
    file: str, text: str, tmp_path: Path
) -> None:
    path = copied(tmp_path) / file
    path.write_text(path.read_text().replace(text + version(), text + "1.2.3"))
    check = partial(run, [sys.executable, str(tmp_path / "scripts" / "version.py"), "--check"])
    assert f"{file}:" in check(succeeds=False).stderr


def test_the_version_script_reports_a_sibling_that_is_not_pinned(tmp_path: Path) -> None:
    path = copied(tmp_path) / "packages" / "httpcore2" / "pyproject.toml"
    path.write_text(path.read_text().replace("httpcore2-trio==", "httpcore2-trio>=", 1))
    check = partial(run, [sys.executable, str(tmp_path / "scripts" / "version.py"), "--check"])
    assert "httpcore2-trio>=" in check(succeeds=False).stderr


def test_the_changelog_is_collected_from_its_fragments(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    (tree / "changelog.d" / "one-more.md").write_text("### Fixed\n\n- One thing more.\n")
    fragments = [path for path in (tree / "changelog.d").iterdir() if path.name != "README.md"]
    lines = {line for path in fragments for line in path.read_text().splitlines()}
    run([sys.executable, str(tree / "scripts" / "version.py"), NEXT])
    run([*SCRIV, "collect"], folder=tree)
    assert [path.name for path in (tree / "changelog.d").iterdir()] == ["README.md"]
    changelog = (tree / "CHANGELOG.md").read_text()
    assert f"\n## [{NEXT}] - 20" in changelog
    assert lines <= set(changelog.splitlines())


@pytest.mark.parametrize(("one", "other"), list(combinations(DISTRIBUTIONS, 2)))
def test_two_versions_can_not_be_resolved_together(one: str, other: str, both: Path) -> None:
    resolve = partial(
        run_uv,
        *("pip", "install", "--dry-run", "--target", str(both / "nowhere")),
        *("--prerelease", "allow", "--find-links", str(both)),
    )
    for pair in ((one, version(), other, NEXT), (one, NEXT, other, version())):
        done = resolve("{}=={}".format(*pair[:2]), "{}=={}".format(*pair[2:]), succeeds=False)
        assert "unsatisfiable" in done.stderr


def test_an_upgrade_upgrades_all_distributions(both: Path, environment: Make, work: Work) -> None:
    made: Environment = environment(OWN_PYTHON, f"httpcore2[all]=={version()}")
    made.install(f"httpcore2[all]=={NEXT}", links=both)
    installed = made.distributions()
    assert {installed[name].version for name in IN_ALL} == {NEXT}
    made.check()
    assert set(work(made).values()) == {"done"}
    output = made.run("-c", "import httpcore2; print(httpcore2.__version__)")
    assert output.strip() == NEXT


@pytest.mark.parametrize("job", ["asyncio", "http2", "trio"])
def test_a_distribution_of_another_version_is_named_with_the_command_to_upgrade_it(
    job: str, both: Path, environment: Make, work: Work
) -> None:
    made = environment(OWN_PYTHON, f"httpcore2[{job}]=={version()}")
    made.install(f"httpcore2=={NEXT}", links=both)
    left = f"httpcore2-{job}=={NEXT}"
    assert work(made, job)[job].endswith(f"Run: pip install '{left}'")
    made.install(left, links=both)
    made.check()
    assert work(made, job)[job] == "done"


def test_a_front_door_of_another_version_is_named_with_the_command_to_upgrade_it(
    both: Path, environment: Make
) -> None:
    made = environment(OWN_PYTHON, f"httpcore2=={version()}")
    made.install(f"httpcore2-core=={NEXT}", links=both)
    output = made.run("-c", "try: import httpcore2\nexcept ImportError as exc: print(exc)")
    assert output.strip().endswith(f"Run: pip install 'httpcore2=={NEXT}'")
