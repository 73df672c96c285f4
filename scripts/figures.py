"""The size of the wheels in `dist/`, and the time of an import.

python scripts/figures.py                print both
python scripts/figures.py --changelog    and write them into the next release's changelog

Both are for `httpcore2` with its core, the packages that a program on threads needs. The import is measured from the
files of the wheels, in a Python that loads nothing else: the least processor time of ten runs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FRAGMENT = ROOT / "changelog.d" / "figures.md"
BOTH = ("httpcore2", "httpcore2_core")
TEXT = """\
### Figures

- The wheels of `httpcore2` and `httpcore2-core` take {size:.0f} kB together.
- `import httpcore2` takes {time:.0f} ms of processor time and loads {modules} modules (CPython {python}).
"""

IMPORT = """
import sys, time
before = set(sys.modules)
sys.path.insert(0, sys.argv[1])
started = time.process_time()
import httpcore2
print(time.process_time() - started, len(set(sys.modules) - before))
"""


def wheels() -> dict[str, Path]:
    """Return the built wheels by import package."""
    found = {path.name.partition("-")[0]: path for path in sorted(ROOT.glob("dist/*.whl"))}
    if not set(BOTH) <= set(found):
        raise SystemExit("dist/ lacks wheels: run scripts/hatch run build:all")
    return found


def import_time() -> tuple[float, int]:
    """Return the processor time of the import in seconds, and the number of modules that it loads."""
    with tempfile.TemporaryDirectory() as folder:
        for name in BOTH:
            with zipfile.ZipFile(wheels()[name]) as wheel:
                wheel.extractall(folder)
        runs = []
        for _ in range(10):
            done = subprocess.run(
                [sys.executable, "-I", "-S", "-c", IMPORT, folder],
                capture_output=True,
                text=True,
                check=True,
            )
            seconds, modules = done.stdout.split()
            runs.append((float(seconds), int(modules)))
    return min(runs)


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--changelog"]):
        print("usage: python scripts/figures.py [--changelog]", file=sys.stderr)
        return 2
    sizes = {name: path.stat().st_size / 1000 for name, path in wheels().items()}
    for name, size in sizes.items():
        print(f"{name:20} {size:6.1f} kB")
    seconds, modules = import_time()
    figures = {
        "size": sum(sizes[name] for name in BOTH),
        "time": seconds * 1000,
        "modules": modules,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }
    print(f"{' and '.join(BOTH)}: {figures['size']:.1f} kB")
    print(f"import httpcore2: {figures['time']:.1f} ms of processor time, {modules} modules")
    if arguments:
        FRAGMENT.write_text(TEXT.format(**figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
