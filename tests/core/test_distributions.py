"""Loading the sibling distributions by name."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from httpcore2_core import _distributions
from httpcore2_core._distributions import VERSION, check_version, load


def write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(text)


def vendored() -> ModuleType:
    """Return the module of a copy inside another package."""
    copy = ModuleType("app._vendor.httpcore2_core._distributions")
    source = Path(_distributions.__file__ or "")
    exec(compile(source.read_text(), source, "exec"), copy.__dict__)
    return copy


@pytest.fixture
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on `sys.path` whose modules are unloaded after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def test_a_sibling_is_found_beside_the_core(importable: Path) -> None:
    write(importable, "some_sibling", "thing = 3")
    assert load("some_sibling", "thing", "some", "Something") == 3


def test_in_a_vendored_copy_a_sibling_is_found_beside_it(
    importable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(importable / "app" / "_vendor", "some_sibling", "thing = 3")
    assert vendored().load("some_sibling", "thing", "some", "Something") == 3


def test_a_sibling_that_is_not_installed_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(ImportError) as raised:
        load("some_sibling", "thing", "some", "Something")
    assert str(raised.value) == (
        "Something needs a distribution that is not installed. Run: pip install 'httpcore2[some]'"
    )


def test_a_sibling_without_the_attribute_counts_as_not_installed(importable: Path) -> None:
    write(importable, "some_sibling", "")
    with pytest.raises(ImportError, match="Something needs a distribution"):
        load("some_sibling", "thing", "some", "Something")


def test_a_missing_dependency_of_a_sibling_is_reported_itself(importable: Path) -> None:
    write(importable, "some_sibling", "import not_to_be_found")
    with pytest.raises(ModuleNotFoundError, match="not_to_be_found"):
        load("some_sibling", "thing", "some", "Something")


def test_in_a_vendored_copy_a_sibling_that_is_missing_is_named_with_its_place(
    importable: Path,
) -> None:
    (importable / "app" / "_vendor").mkdir(parents=True)
    with pytest.raises(ImportError) as raised:
        vendored().load("some_sibling", "thing", "some", "Something")
    assert str(raised.value) == (
        "Something needs some_sibling, which is not in app._vendor. "
        "Copy it there, beside httpcore2_core."
    )


def test_a_sibling_of_another_version_is_refused_with_the_command_that_installs_the_right_one() -> (
    None
):
    check_version("httpcore2_trio", VERSION)
    with pytest.raises(ImportError) as raised:
        check_version("httpcore2_trio", "2.9")
    assert str(raised.value) == (
        f"httpcore2_trio 2.9 does not work with httpcore2_core {VERSION}. "
        f"Run: pip install 'httpcore2-trio=={VERSION}'"
    )


def test_in_a_vendored_copy_a_sibling_of_another_version_is_to_be_copied_again() -> None:
    with pytest.raises(ImportError, match=r"Copy both from one version\.$"):
        vendored().check_version("app._vendor.httpcore2_trio", "2.9")


def test_a_sibling_of_another_version_is_refused_when_it_is_loaded(importable: Path) -> None:
    check = (
        "from httpcore2_core._distributions import check_version\ncheck_version(__name__, '2.9')\n"
    )
    write(importable, "some_sibling", check + "from httpcore2_core import what_was_there_in_2_9")
    with pytest.raises(ImportError, match=r"some_sibling 2\.9 does not work with httpcore2_core"):
        load("some_sibling", "thing", "some", "Something")
