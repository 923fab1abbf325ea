"""The files that go to the browser: modules that can be joined, style sheets that keep apart."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

import kmagic
from kmagic.display.modules import module

STATIC = Path(kmagic.__file__).parent / "static"
LIVE = ("figures.js", "scales.js", "elements.js", "curves.js", "brake.js", "matrix.js")
LIVE += ("dashboard.js",)
DECLARED = re.compile(r"^(?:export )?(?:function|class|const|let) (\w+|\[[^]]+\])", re.MULTILINE)


def declared(name: str) -> list[str]:
    found = DECLARED.findall((STATIC / name).read_text(encoding="utf-8"))
    return [word for each in found for word in re.findall(r"\w+", each)]


def test_no_two_modules_of_the_live_view_share_a_name() -> None:
    names = Counter(name for file in LIVE for name in declared(file))
    assert {"View", "Chart", "Brake", "ticks", "number", "element"} <= set(names)
    assert [name for name, times in names.items() if times > 1] == []


def test_the_joined_module_holds_each_once_and_imports_nothing() -> None:
    joined = module("dashboard.js")
    assert not re.search(r"^import ", joined, re.MULTILINE)
    assert re.findall(r"^export .*", joined, re.MULTILINE) == ["export default {"]
    names = DECLARED.findall(joined)
    assert len(names) == len(set(names))
    assert names.index("number") < names.index("Chart") < names.index("View")


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node to read JavaScript")
def test_the_joined_module_is_javascript() -> None:
    command = ["node", "--input-type=module", "--check", "-"]
    done = subprocess.run(
        command, input=module("dashboard.js"), capture_output=True, text=True, check=False
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
