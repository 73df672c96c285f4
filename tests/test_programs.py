"""The tests on a machine that lacks the programs which they start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trustme

from .support import programs, real_proxies, real_servers


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A developer's machine, with an empty folder for its `PATH`."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("CI", raising=False)


def _executable(path: Path) -> str:
    path.parent.mkdir(exist_ok=True)
    path.touch(mode=0o755)
    return str(path)


def test_the_table_names_each_program_that_tests_start() -> None:
    commands = [program.command for program in real_servers.PROGRAMS.values()]
    commands += [program.command for program in real_proxies.PROGRAMS.values()]
    started = {command.split()[0] for command in commands} - {"python"} | {"curl"}
    assert started == set(programs.PACKAGES)


@pytest.mark.usefixtures("nothing_installed")
def test_a_program_is_found_on_the_path_and_in_the_folder_for_daemons_beside_it(
    tmp_path: Path,
) -> None:
    assert programs.find("nginx") is None
    daemon = _executable(tmp_path / "sbin" / "nginx")
    assert programs.find("nginx") == daemon
    first = _executable(tmp_path / "bin" / "nginx")
    assert programs.find("nginx") == first


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize("name", real_servers.PROGRAMS)
def test_a_server_that_is_not_installed_skips_each_test_and_leaves_no_file(
    name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    for _ in range(2):
        with pytest.raises(pytest.skip.Exception, match="is not installed"):
            real_servers.running_server(name, folder, None).__enter__()
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize(
    "name",
    [
        name
        for name, kind in real_proxies.SETUPS.items()
        if not real_proxies.PROGRAMS[kind.program].package
    ],
)
def test_a_proxy_that_is_not_installed_skips_each_test_and_leaves_no_file(
    name: str, tmp_path: Path
) -> None:
    made: list[str] = []

    def make_folder(name: str) -> Path:
        made.append(name)
        folder = tmp_path / f"{name}-{len(made)}"
        folder.mkdir()
        return folder

    with real_proxies.Proxies(make_folder, tmp_path / "none.pem", trustme.CA()) as running:
        for _ in range(2):
            with pytest.raises(pytest.skip.Exception, match="is not installed"):
                running[name]
    assert made == ["authority"]


@pytest.mark.usefixtures("nothing_installed")
def test_a_proxy_whose_upstream_proxy_is_not_installed_leaves_no_file(tmp_path: Path) -> None:
    _executable(tmp_path / "bin" / "haproxy")
    made: list[str] = []

    def make_folder(name: str) -> Path:
        made.append(name)
        folder = tmp_path / name
        folder.mkdir()
        return folder

    with (
        real_proxies.Proxies(make_folder, tmp_path / "none.pem", trustme.CA()) as running,
        pytest.raises(pytest.skip.Exception, match="squid is not installed"),
    ):
        running["haproxy-locked"]
    assert made == ["authority"]


@pytest.mark.usefixtures("nothing_installed")
def test_a_missing_program_is_a_failure_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="nginx is not installed"):
        programs.require("nginx")


def test_the_summary_counts_skipped_tests_and_names_the_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for program in programs.PACKAGES.keys() - {"danted", "nginx"}:
        _executable(tmp_path / "bin" / program)
    reasons = [f"Skipped: {what} is not installed" for what in ("nginx", "hypercorn", "nginx")]
    assert list(programs.summary([*reasons, "Skipped: no IPv6"])) == [
        "hypercorn is not installed: 1 test skipped",
        "nginx is not installed: 2 tests skipped",
        "On Debian: apt-get install --no-install-recommends dante-server nginx",
    ]
    assert list(programs.summary(["Skipped: no IPv6"])) == []


def test_without_a_path_the_folders_of_the_system_are_searched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PATH")
    assert programs.find("sh") in {f"{folder}/sh" for folder in os.defpath.split(":")}
