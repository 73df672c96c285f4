"""The instrumentation is found by `opentelemetry-instrument`, as users run it."""

from __future__ import annotations

import json
import textwrap

from .conftest import Make
from .environments import each_python, run, version


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
