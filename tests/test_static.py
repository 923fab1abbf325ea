"""The files that go to the browser: modules that can be joined, style sheets that keep apart."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

import kmagic
from kmagic.display.kit.assets import js_module

STATIC = Path(kmagic.__file__).parent / "static"
ENTRIES = {
    "dashboard.js": ("number", "Chart", "Matrix", "View"),
    "confusion.js": ("element", "Heat", "LargeMap", "View"),
}
"""What widgets are made of, and some of the names therein, what is needed first."""
DECLARED = re.compile(
    r"^(?:export )?(?:(?:async )?function|class|const|let) (\w+|\[[^]]+\])", re.MULTILINE
)


def declared(text: str) -> list[str]:
    return [word for each in DECLARED.findall(text) for word in re.findall(r"\w+", each)]


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_joined_module_holds_each_once_and_imports_nothing(entry: str) -> None:
    joined = js_module(entry)
    assert not re.search(r"^import ", joined, re.MULTILINE)
    assert re.findall(r"^export .*", joined, re.MULTILINE) == ["export default {"]
    names = declared(joined)
    assert [name for name, times in Counter(names).items() if times > 1] == []
    places = [names.index(each) for each in ENTRIES[entry]]
    assert places == sorted(places)


def test_every_module_is_one_concept_of_a_widget() -> None:
    joined = {name for entry in ENTRIES for name in declared(js_module(entry))}
    for path in STATIC.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert set(declared(text)) <= joined, path.name
        assert len(text.splitlines()) <= 400, path.name


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node to read JavaScript")
@pytest.mark.parametrize("entry", ENTRIES)
def test_the_joined_module_is_javascript(entry: str) -> None:
    command = ["node", "--input-type=module", "--check", "-"]
    done = subprocess.run(
        command, input=js_module(entry), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_live_view_s_classes_are_its_own() -> None:
    """Cards of all kinds stand in one page, and each brings its style sheet for the whole of it."""

    def classes(path: Path) -> set[str]:
        return set(re.findall(r"\.(km-[\w-]+)", path.read_text(encoding="utf-8")))

    shared = classes(STATIC / "card.css") | classes(STATIC / "chart.css")
    sheets = {path.name: classes(path) - shared for path in STATIC.glob("*.css")}
    own = sheets.pop("dashboard.css")
    assert "km-live-aside" in own
    assert {name: own & theirs for name, theirs in sheets.items() if own & theirs} == {}
