"""Ends the requests of each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .ledgers import HELD


@pytest.fixture(autouse=True)
def _end_requests() -> Iterator[None]:
    yield
    HELD.clear()
