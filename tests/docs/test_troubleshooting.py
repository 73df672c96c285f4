"""The messages that the page on troubleshooting quotes are those of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from .examples import ROOT

PAGE = (ROOT / "docs" / "guide" / "troubleshooting.md").read_text()
MESSAGES = sorted(
    {
        message
        for cell in re.findall(r"^\| (`.*?`) \|", PAGE, re.M)
        for message in re.findall(r"`([^`]+)`", cell)
        if " " in message  # not the name of an exception, nor a status
    }
)


def _text(node: ast.expr) -> str:
    """The text of an expression, with `…` for each part that is not known before it runs."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value) for value in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    return "…"


def _texts() -> Iterator[str]:
    for path in ROOT.glob("packages/*/src/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
                yield re.sub("…+", "…", _text(node)).replace("{}", "…")


TEXTS = set(_texts())


@pytest.mark.parametrize("message", [each for each in MESSAGES if not each[0].isdigit()])
def test_a_quoted_message_is_in_the_code(message: str) -> None:
    assert any(message.strip("… ") in text for text in TEXTS)
