"""The page of outcomes is what the command does."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from ..support.real_proxies import Proxies
from .outcome_page import PAGE, page
from .outcomes import Setting, require_programs, rows


def test_the_page_is_what_the_command_does(
    certificate_authority: trustme.CA,
    ca_file: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    require_programs()
    unused = tmp_path / "unused.pem"
    with Proxies(tmp_path_factory.mktemp, unused, certificate_authority) as proxies:
        text = page(rows(Setting(tmp_path, certificate_authority, ca_file, proxies)))
    assert PAGE.read_text() == text, "run python -m tests.cli"
