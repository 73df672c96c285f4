"""The instrumentation is found by `opentelemetry-instrument`, as users run it, and exports to Sentry and Logfire."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from .conftest import Make
from .environments import OWN_PYTHON, ROOT, each_python, run, version

OBSERVE = (ROOT / "docs" / "guide" / "observe.md").read_text()
CLIENT = 3
"""The kind of the span of a client, in OTLP."""


@each_python
def test_opentelemetry_instrument_finds_the_instrumentation(
    python: str, environment: Make, servers: str
) -> None:
    made = environment(python, f"httpcore2[opentelemetry]=={version()}", "opentelemetry-distro")
    program = made.folder / "program.py"
    program.write_text(
        textwrap.dedent(f"""
            import httpcore2

            print(httpcore2.request("GET", {json.loads(servers)["plain"]!r} + "/1000").status)
        """)
    )
    command = [
        *(str(made.folder / "bin" / "opentelemetry-instrument"), "--traces_exporter", "console"),
        *("--metrics_exporter", "none", "--logs_exporter", "none", str(made.python), str(program)),
    ]
    output = run(command, folder=made.folder).stdout
    assert '"http.response.status_code": 200' in output
    assert output.count('"kind": "SpanKind.CLIENT"') == 1


def snippet_of(package: str) -> str:
    """Return the block of the page that imports a package."""
    blocks = re.findall(r"```python\n(.*?)```", OBSERVE, re.DOTALL)
    (found,) = (block for block in blocks if f"import {package}\n" in block)
    return str(found)


@pytest.mark.parametrize(
    ("package", "requirement", "metrics"),
    [
        ("sentry_sdk", "sentry-sdk[opentelemetry-otlp]>=2.75,<3", []),
        ("logfire", "logfire>=5.4,<6", ["http.client.request.duration"]),
    ],
)
def test_a_service_gets_spans_and_metrics_by_the_lines_of_the_page(
    environment: Make, package: str, requirement: str, metrics: list[str]
) -> None:
    made = environment(
        OWN_PYTHON,
        f"httpcore2[asyncio,opentelemetry]=={version()}",
        "opentelemetry-sdk",
        requirement,
    )
    program = Path(__file__).parent / "exported.py"
    received: dict[str, Any] = json.loads(made.run(str(program), snippet_of(package)))
    assert received["metrics"] == metrics
    job, *requests = sorted(
        received["spans"], key=lambda span: str(span["attributes"].get("url.full", ""))
    )
    assert job["name"] == "job"
    for span, path, status in zip(requests, ["found", "missing"], [200, 404], strict=True):
        attributes = span["attributes"]
        assert (span["name"], span["kind"], span["parent"]) == ("GET", CLIENT, job["id"])
        assert attributes["url.full"].endswith(f"/{path}")
        assert attributes["http.response.status_code"] == status
        assert attributes["network.peer.address"] == attributes["server.address"] == "127.0.0.1"
        assert attributes["network.peer.port"] == attributes["server.port"]
        assert attributes.get("error.type") == ("404" if status == 404 else None)
