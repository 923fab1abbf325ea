"""docs/security.md: every promise names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
PROMISES = [
    line
    for line in PAGE.partition("## What is promised")[2].partition("\n## ")[0].splitlines()
    if line.startswith("- ")
]


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_has_tests(promise: str) -> None:
    (comment,) = re.findall("<!-- (.*) -->$", promise)
    for test in comment.split():
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in names, test


def test_the_page_is_linked_and_complete() -> None:
    assert len(PROMISES) > 5
    for page in ("README.md", "docs/architecture.md"):
        assert "security.md" in (ROOT / page).read_text(encoding="utf-8")
    assert "## What is not promised" in PAGE
    assert "Report it privately" in PAGE
    assert "@" not in PAGE
