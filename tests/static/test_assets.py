"""The files for the browser: modules that can be joined and type-checked, and style sheets."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

import kmagic
from kmagic.display.kit.assets import js_module, minified_css, read_static

from .conftest import find_tool

STATIC = Path(kmagic.__file__).parent / "static"
ENTRIES = {
    "training/live_view.js": ("formatNumber", "LiveChart", "LiveMatrix", "LiveView"),
    "confusion/interactive_matrix.js": ("element", "Heatmap", "LargeMatrix", "MatrixView"),
    "regression/interactive_errors.js": ("CardClient", "element", "SamplePanel", "ErrorsView"),
    "labels/label_review.js": ("CardClient", "element", "replaceCard", "ReviewView"),
    "tuning/study_view.js": ("element", "StopControl", "StudyView"),
}
"""The modules of widgets, and some of the names in them, imported ones first."""
DECLARED = re.compile(
    r"^(?:export )?(?:(?:async )?function|class|const|let) (\w+|\[[^]]+\])", re.MULTILINE
)


def declared(text: str) -> list[str]:
    return [word for name in DECLARED.findall(text) for word in re.findall(r"\w+", name)]


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_joined_module_declares_each_name_once_and_imports_nothing(entry: str) -> None:
    joined = js_module(entry)
    assert not re.search(r"^import ", joined, re.MULTILINE)
    assert re.findall(r"^export .*", joined, re.MULTILINE) == ["export default {"]
    names = declared(joined)
    assert [name for name, times in Counter(names).items() if times > 1] == []
    indices = [names.index(name) for name in ENTRIES[entry]]
    assert indices == sorted(indices)


def test_every_module_belongs_to_a_widget() -> None:
    joined = {name for entry in ENTRIES for name in declared(js_module(entry))}
    modules = list(STATIC.rglob("*.js"))
    assert len(modules) >= 15
    for path in modules:
        text = path.read_text(encoding="utf-8")
        assert set(declared(text)) <= joined, path.name
        assert len(text.splitlines()) <= 400, path.name


def test_static_folders_are_those_of_the_displays() -> None:
    folders = {path.name for path in STATIC.iterdir() if path.is_dir()}
    displays = {path.name for path in (STATIC.parent / "display").iterdir() if path.is_dir()}
    assert folders <= displays
    assert not [path.name for path in STATIC.iterdir() if path.suffix in (".js", ".css")]


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_joined_module_is_valid_javascript(entry: str, node: str) -> None:
    command = [node, "--input-type=module", "--check", "-"]
    done = subprocess.run(
        command, input=js_module(entry), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_types_of_all_modules_are_correct() -> None:
    project = Path(__file__).with_name("tsconfig.json")
    command = [find_tool("tsc"), "--noEmit", "--checkJs", "--project", str(project)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_module_is_type_checked(root: Path) -> None:
    extension = root / "jupyter-config" / "labextension" / "static"
    for path in [*STATIC.rglob("*.js"), *extension.glob("*.js")]:
        assert path.read_text(encoding="utf-8").startswith("// @ts-check\n"), path.name


def test_minified_css_has_the_same_rules() -> None:
    text = minified_css("kit/card.css")
    assert "/*" not in text
    assert text.count("{") == re.sub(
        r"/\*.*?\*/", "", read_static("kit/card.css"), flags=re.DOTALL
    ).count("{")
    assert ".km-muted,.km-footer{color:var(--km-muted)}" in text


def test_the_live_view_has_its_own_css_classes() -> None:
    """All cards of a page share it, and the style sheet of each applies to the whole page."""

    def classes(path: Path) -> set[str]:
        return set(re.findall(r"\.(km-[\w-]+)", path.read_text(encoding="utf-8")))

    shared = set().union(*map(classes, (STATIC / "kit").glob("*.css")))
    sheets = {path.name: classes(path) - shared for path in STATIC.rglob("*.css")}
    own = sheets.pop("live_view.css")
    assert "km-live-aside" in own
    assert {name: own & others for name, others in sheets.items() if own & others} == {}


def test_every_css_class_is_used() -> None:
    """A class renamed in Python or JavaScript must be renamed in the style sheets too."""
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for path in [*STATIC.rglob("*.js"), *(STATIC.parent / "display").rglob("*.py")]
    )
    used = set(re.findall(r"km-[\w-]+", code))
    dynamic = (
        "km-label-",
        "km-other-",
        "km-layout-",
        "km-train",
        "km-val",
        "km-previous",
        "km-batches",
        "km-raw",
        "km-code-",
    )
    sheets = "\n".join(path.read_text(encoding="utf-8") for path in STATIC.rglob("*.css"))
    unused = set(re.findall(r"\.(km-[\w-]+)", sheets)) - used
    assert {name for name in unused if not name.startswith(dynamic)} == set()


def test_the_styles_of_one_card_do_not_apply_to_another() -> None:
    # A page shows many cards, and a style sheet applies to all of them.
    styled: dict[str, set[str]] = {}
    for sheet in STATIC.rglob("*.css"):
        rules = re.sub(r"/\*.*?\*/", "", sheet.read_text(), flags=re.DOTALL)
        styled.setdefault(sheet.parent.name, set()).update(re.findall(r"\.(km-[\w-]+)", rules))
    shared = styled.pop("kit")
    used: dict[str, set[str]] = {}
    for source in [*STATIC.rglob("*.js"), *STATIC.with_name("display").rglob("*.py")]:
        names = re.findall(r"\bkm-[\w-]+", source.read_text())
        used.setdefault(source.parent.name, set()).update(names)
    assert {
        (subject, other): clash
        for subject, classes in styled.items()
        for other in used.keys() - {subject, "kit"}
        if (clash := classes & used[other] - shared)
    } == {}
