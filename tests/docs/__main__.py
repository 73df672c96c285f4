"""Count the blocks of the documentation: `python -m tests.docs`."""

from __future__ import annotations

from collections import Counter

from .examples import ROOT, pages, read


def main() -> None:
    found = {path.relative_to(ROOT): read(path) for path in pages()}
    blocks = [block for page in found.values() for block in page.blocks]
    exempt = [block for block in blocks if block.not_run is not None]
    shown = sum(block.output is not None for block in blocks)
    print(f"{len(blocks)} Python blocks: {len(blocks) - len(exempt)} run, {len(exempt)} do not")
    print(f"{shown} blocks show their output, which is compared")
    for block in exempt:
        print(f"  {block.page}:{block.line}: {block.not_run}")
    others = Counter(language for page in found.values() for _, language, _ in page.other)
    print("Other blocks:", ", ".join(f"{count} {name}" for name, count in others.most_common()))


if __name__ == "__main__":
    main()
