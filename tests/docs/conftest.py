"""The servers that examples reach, once for all tests of the documentation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .hosts import Hosts, serving


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with serving(tmp_path_factory.mktemp("docs")) as running:
        yield running
