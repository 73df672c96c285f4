"""Where a built site goes on the branch from which it is served."""

from __future__ import annotations

import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .examples import ROOT

Put = Callable[[Path, str], None]


@pytest.fixture
def script(tmp_path: Path) -> dict[str, Any]:
    """The script's functions, for a site in a temporary folder."""
    names = runpy.run_path(str(ROOT / "scripts" / "publish_site.py"))
    (tmp_path / "site").mkdir()
    names["put"].__globals__["SITE"] = tmp_path / "site"
    return names


@pytest.fixture
def put(script: dict[str, Any], tmp_path: Path) -> Put:
    """Put a site whose home page has the name of what was built."""

    def build_and_put(folder: Path, ref: str) -> None:
        (tmp_path / "site" / "index.html").write_text(ref)
        script["put"](folder, ref)

    return build_and_put


@pytest.fixture
def branch(tmp_path: Path) -> Path:
    folder = tmp_path / "branch"
    folder.mkdir()
    return folder


def test_a_release_goes_to_the_folder_of_its_version_and_to_the_root(
    put: Put, branch: Path
) -> None:
    put(branch, "v3.9.0")
    put(branch, "v3.10.1")
    assert (branch / "3.9" / "index.html").read_text() == "v3.9.0"
    assert (branch / "3.10" / "index.html").read_text() == "v3.10.1"
    assert (branch / "index.html").read_text() == "v3.10.1"


def test_a_correction_of_an_earlier_version_leaves_the_root(put: Put, branch: Path) -> None:
    put(branch, "v3.10.0")
    put(branch, "v3.9.7")
    assert (branch / "3.9" / "index.html").read_text() == "v3.9.7"
    assert (branch / "index.html").read_text() == "v3.10.0"


def test_a_branch_goes_to_a_folder_of_its_own(put: Put, branch: Path) -> None:
    put(branch, "main")
    assert (branch / "dev" / "index.html").read_text() == "main"
    assert not (branch / "index.html").exists()


def test_pages_that_are_gone_do_not_stay_at_the_root(put: Put, branch: Path) -> None:
    put(branch, "v3.9.0")
    (branch / "gone").mkdir()
    put(branch, "v3.10.0")
    assert not (branch / "gone").exists()
    assert (branch / "3.9" / "index.html").exists()


def test_the_versions_are_listed_with_the_latest_first(put: Put, branch: Path) -> None:
    for ref in ("v3.9.0", "v3.10.0", "main"):
        put(branch, ref)
    page = (branch / "versions" / "index.html").read_text()
    assert page.index(">3.10<") < page.index(">3.9<") < page.index(">dev<")


def test_the_branch_is_made_and_then_extended(script: dict[str, Any], tmp_path: Path) -> None:
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
    for ref in ("v3.9.0", "main", "main"):
        (tmp_path / "site" / "index.html").write_text(ref)
        script["publish"](str(remote), ref)
    listing = script["git"]("ls-tree", "-r", "--name-only", "gh-pages", folder=remote)
    assert set(listing.splitlines()) == {
        ".nojekyll",
        "3.9/index.html",
        "dev/index.html",
        "index.html",
        "versions/index.html",
    }
