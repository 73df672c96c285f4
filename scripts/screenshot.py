"""The picture of the waterfall in the README: docs/assets/waterfall.svg.

python scripts/screenshot.py

It runs the command in a pseudo-terminal, against an nginx on the loopback interface with HTTP/2 and TLS, which must be
installed. The picture is what the terminal shows.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "assets" / "waterfall.svg"
COLUMNS = 88

sys.path.insert(0, str(ROOT))  # for the helpers of the tests

from tests.cli.terminal import terminal  # noqa: E402
from tests.support.real_servers import running_server  # noqa: E402


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[str, Path]]:
    """Run nginx while the block runs; the value is its port, and the file with its authority."""
    authority = trustme.CA(organization_name="Example Authority")
    certificate = authority.issue_cert(
        "127.0.0.1",
        "localhost",
        common_name="localhost",
        organization_name="Example",
        not_after=datetime.now(UTC) + timedelta(days=90),
    )
    both, trusted = folder / "server.pem", folder / "authority.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(both))
    authority.cert_pem.write_to_path(str(trusted))
    (folder / "nginx").mkdir()
    with running_server("nginx", folder / "nginx", both, http2=True) as origin:
        yield origin.rpartition(":")[2], trusted


def shown(arguments: list[str]) -> str:
    """Return what the command shows, with escape sequences."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        with terminal(*arguments, columns=COLUMNS, stdout=null) as screen:
            code = screen.finish()
    finally:
        os.close(null)
    assert code == 0, screen.text
    return screen.text


def draw(command: str, text: str) -> str:
    """Return the SVG of a command and what it showed."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ ", "bold green").append(command, "bold"), highlight=False)
    for line in text.splitlines():
        console.print(Text.from_ansi(line), no_wrap=True, highlight=False)
    picture = console.export_svg(title="httpcore2", unique_id="waterfall")
    # The fonts come from the reader's machine, not from a third party.
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.S)


def main() -> None:
    with tempfile.TemporaryDirectory() as name, serving(Path(name)) as (port, trusted):
        url = f"https://localhost:{port}/1000000"
        text = shown(["-4", "--repeat", "2", "--cacert", str(trusted), url])
    PICTURE.write_text(draw(f"httpcore2 --repeat 2 {url} >/dev/null", text))
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
