"""The examples of the documentation: where they are, and how they belong together.

Each `python` block, and each run of `>>>` lines, is a block. Blocks form programs: one block each, unless a comment
says that a block continues the one before it.
Must not know: how examples are run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sybil import Document, Example, Region
from sybil.document import PythonDocStringDocument
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.abstract.doctest import DocTestStringParser
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

ROOT = Path(__file__).parents[2]

FENCES = RawFencedCodeBlockLexer(
    re.compile(r"[ \t]*(?P<language>[\w-]*)(?P<attributes>[^\n]*)$\n", re.MULTILINE)
)
DOCTESTS = DocTestStringParser(DocTestEvaluator())
COMMENT = re.compile(r"<!-- (?P<word>not run|needs|continues)(?:: (?P<reason>[^>]*?))? -->\s*\Z")
PYTHON = ("python", "pycon", "py", "python3")


def pages() -> list[Path]:
    """All files that may have examples."""
    found = [
        *ROOT.glob("docs/**/*.md"),
        ROOT / "README.md",
        *ROOT.glob("packages/*/README.md"),
        *ROOT.glob("packages/*/src/**/*.py"),
    ]
    return sorted(found)


@dataclass
class Block:
    """A block of an example.

    Attributes:
        page: the file, from the root of the repository.
        line: where it begins.
        examples: what sybil evaluates: one for Python, one for each statement after `>>>`.
        not_run: why it can't run, if a comment says so.
        needs: the package that it imports beside ours, if a comment names one.
        continues: whether it goes on where the block before it ends.
        output: what it prints, if the page shows that.
        file: the name of its file, if that is the title of the block. pytest runs a `test_*.py`.
    """

    page: str
    line: int
    examples: list[Example]
    not_run: str | None = None
    needs: str | None = None
    continues: bool = False
    output: str | None = None
    file: str = ""


@dataclass
class Program:
    """Blocks that run one after another in one process."""

    blocks: list[Block]

    @property
    def page(self) -> str:
        return self.blocks[0].page

    def __str__(self) -> str:
        return f"{self.page}:{self.blocks[0].line}"


@dataclass
class Page:
    """What a file, or one docstring of it, has.

    Attributes:
        blocks: in their order.
        other: the fenced blocks of other languages: the line, the language and the text of each.
    """

    blocks: list[Block] = field(default_factory=list)
    other: list[tuple[int, str, str]] = field(default_factory=list)


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """The text of a page, or each docstring of a module, with the number of lines before it."""
    source = path.read_text()
    if path.suffix == ".md":
        yield 0, source
        return
    for start, _, docstring in PythonDocStringDocument.extract_docstrings(source):
        yield source.count("\n", 0, start), docstring


def _doctests(text: str, gaps: list[tuple[int, int]]) -> Iterator[list[Region]]:
    """The runs of `>>>` lines in the parts of a text, each the list of its statements."""
    for start, end in gaps:
        regions = list(DOCTESTS(text[start:end], "<docstring>"))
        for region in regions:
            region.start += start
            region.end += start
        if regions:
            yield regions


def read(path: Path) -> Page:
    """Return what a file has."""
    page = Page()
    for before, text in _texts(path):
        _read(page, str(path.relative_to(ROOT)), text, before)
    return page


def _read(page: Page, name: str, text: str, before: int) -> None:
    document = Document(text, str(ROOT / name))
    fences = sorted(FENCES(document), key=lambda region: region.start)
    edges = [0, *(edge for region in fences for edge in (region.start, region.end)), len(text)]
    groups = list(_doctests(text, list(zip(edges[::2], edges[1::2], strict=True))))
    for region in fences:
        source = region.lexemes["source"]
        language = region.lexemes["language"]
        if language not in PYTHON:
            page.other.append((before + text.count("\n", 0, region.start) + 1, language, source))
        elif source.startswith(">>>"):
            statements = list(DOCTESTS(source, "<example>"))
            for statement in statements:
                statement.adjust(region, source)
            groups.append(statements)
        else:
            region.parsed = source
            region.evaluator = PythonEvaluator()
            groups.append([region])
    for regions in sorted(groups, key=lambda group: group[0].start):
        page.blocks.append(_block(document, name, regions, fences, before))


def _block(
    document: Document, name: str, regions: list[Region], fences: list[Region], before: int
) -> Block:
    text = document.text
    lines = [before + text.count("\n", 0, region.start) + 1 for region in regions]
    block = Block(
        name,
        lines[0],
        [
            Example(document, line, 0, region, {})
            for line, region in zip(lines, regions, strict=True)
        ],
    )
    fence = next((each for each in fences if each.start <= regions[0].start < each.end), None)
    if comment := COMMENT.search(text[: (fence or regions[0]).start]):
        block.continues = comment["word"] == "continues"
        if comment["word"] == "not run":
            block.not_run = comment["reason"] or ""
        elif comment["word"] == "needs":
            block.needs = comment["reason"]
    if fence is not None:
        title = re.search(r'title="([^"]*)"', fence.lexemes["attributes"])
        block.file = title[1] if title else ""
        following = next((each for each in fences if each.start >= fence.end), None)
        if following is not None and _is_output(text, fence, following):
            block.output = following.lexemes["source"]
    return block


def _is_output(text: str, fence: Region, following: Region) -> bool:
    return (
        following.lexemes["language"] == "text"
        and following.lexemes["attributes"].strip() in ("", 'title="Output"')
        and not text[fence.end : following.start].strip()
    )


def programs(page: Page) -> list[Program]:
    """Join the blocks of a page that run into programs."""
    found: list[Program] = []
    for block in page.blocks:
        if block.not_run is not None:
            continue
        if block.continues and found:
            found[-1].blocks.append(block)
        else:
            found.append(Program([block]))
    return found
