"""The time of each workload; a figure is that of 100 operations."""

from __future__ import annotations

from typing import Any

import pytest

from .workloads import WORKLOADS


@pytest.mark.parametrize("name", WORKLOADS)
def test_time(benchmark: Any, name: str) -> None:
    with WORKLOADS[name]() as run:
        benchmark(run, 100)
