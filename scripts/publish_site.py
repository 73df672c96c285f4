"""Publish the built site on the branch `gh-pages`: `python scripts/publish_site.py REF [--remote REMOTE]`.

A tag such as `v3.1.0` goes to the folder `3.1/`, and unless a later version is there, to the root too: links without a
version lead to the latest release. A branch goes to `dev/`. `versions/` lists all.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SITE = ROOT / "site"
BRANCH = "gh-pages"
MINOR = re.compile(r"[0-9]+\.[0-9]+")
PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Versions of httpcore2's documentation</title>
<h1>Versions</h1>
<ul>
{items}
</ul>
"""


def git(*arguments: str, folder: Path) -> str:
    """Run git and return what it prints."""
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


def versions(folder: Path) -> list[str]:
    """The minor versions that are published, the latest first."""
    found = [path.name for path in folder.iterdir() if MINOR.fullmatch(path.name)]
    return sorted(found, key=lambda name: [int(part) for part in name.split(".")], reverse=True)


def put(folder: Path, ref: str) -> None:
    """Put the site into a checkout of the branch."""
    tag = re.fullmatch(r"v([0-9]+\.[0-9]+)\..*", ref)
    name = tag[1] if tag else "dev"
    shutil.rmtree(folder / name, ignore_errors=True)
    shutil.copytree(SITE, folder / name)
    published = versions(folder)
    if name in published[:1]:
        for path in folder.iterdir():
            if path.name not in (".git", "dev", *published):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(SITE, folder, dirs_exist_ok=True)
    (folder / ".nojekyll").touch()
    items = "\n".join(f'<li><a href="../{each}/">{each}</a>' for each in [*published, "dev"])
    page = folder / "versions" / "index.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text(PAGE.format(items=items))


def publish(remote: str, ref: str) -> None:
    """Commit the site to the branch, and push it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        git("init", "--quiet", "--initial-branch", BRANCH, folder=folder)
        git("remote", "add", "origin", remote, folder=folder)
        if git("ls-remote", "--heads", "origin", BRANCH, folder=folder):
            git("fetch", "--quiet", "--depth=1", "origin", BRANCH, folder=folder)
            git("reset", "--quiet", "--hard", "FETCH_HEAD", folder=folder)
        put(folder, ref)
        git("add", "--all", folder=folder)
        if git("status", "--porcelain", folder=folder):
            who = ["-c", "user.name=documentation", "-c", "user.email=documentation@localhost"]
            git(*who, "commit", "--quiet", "--message", f"Publish {ref}", folder=folder)
            git("push", "--quiet", "origin", f"HEAD:{BRANCH}", folder=folder)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Publish the built site.")
    parser.add_argument("ref", help="the tag or branch that was built")
    parser.add_argument("--remote", help="the repository to push to; by default the origin")
    given = parser.parse_args(arguments)
    if not (SITE / "index.html").exists():
        print("There is no site: run scripts/hatch run docs:build", file=sys.stderr)
        return 1
    publish(given.remote or git("remote", "get-url", "origin", folder=ROOT), given.ref)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
