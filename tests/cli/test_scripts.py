"""The scripts that show the command: the demonstration, and the picture of the README."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from ..support import programs

ROOT = Path(__file__).parents[2]


def test_the_demonstration_ends_with_the_waterfall(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["scripts/demo"])
    with pytest.raises(SystemExit) as exit_:
        runpy.run_path(str(ROOT / "scripts" / "demo.py"), run_name="__main__")
    assert exit_.value.code == 0
    shown = capsys.readouterr()
    assert shown.out.endswith("httpcore2, the command\n")
    phases, last = shown.err.rsplit("\n", 2)[:2]
    assert re.search(r"^download .*#$", phases, re.M)
    assert last.startswith("new ")


def test_the_picture_shows_what_the_command_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.require("nginx")
    script = runpy.run_path(str(ROOT / "scripts" / "screenshot.py"))
    picture = tmp_path / "waterfall.svg"
    main = script["main"]
    monkeypatch.setitem(main.__globals__, "PICTURE", picture)
    monkeypatch.setitem(main.__globals__, "ROOT", tmp_path)
    main()
    for path in (picture, ROOT / "docs/assets/waterfall.svg"):
        text = path.read_text().replace("&#160;", " ")
        assert "HTTP/2, stream 3, reused connection" in text
        assert "reuse saves" in text
        assert "cdn" not in text
