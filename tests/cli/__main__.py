"""Write the page of outcomes: `python -m tests.cli`. It needs the servers and proxies of `outcomes.PROGRAMS`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import trustme

from ..support.real_proxies import Proxies
from .outcome_page import PAGE, page
from .outcomes import Setting, rows


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        authority = trustme.CA()
        trusted = root / "authority.pem"
        authority.cert_pem.write_to_path(str(trusted))

        def make_folder(label: str) -> Path:
            path = root / f"proxy-{label}"
            path.mkdir()
            return path

        with Proxies(make_folder, root / "unused.pem", authority) as proxies:
            PAGE.write_text(page(rows(Setting(root, authority, trusted, proxies))))


if __name__ == "__main__":
    main()
