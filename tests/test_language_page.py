"""docs/language.md: every sample builds, every message is what it says, every word is there."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import pytest

from kmagic.language import format_spec, parse
from kmagic.models.build import build_model
from kmagic.models.build.search_reading import check_corners, read_search_space
from kmagic.support.errors import DSLError

PAGE = Path(__file__).parents[1] / "docs" / "language.md"
SCRIPT = Path(__file__).parents[1] / "scripts" / "make_language_reference.py"


@dataclass(frozen=True)
class Sample:
    """A fenced block: its kind, its text, and its number among all."""

    kind: str
    text: str
    place: int


def _samples() -> list[Sample]:
    page = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"^```(\S+)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return [Sample(kind, text, place) for place, (kind, text) in enumerate(found)]


SAMPLES = _samples()
MODELS = [each for each in SAMPLES if each.kind == "kmagic"]


def _names_for(sample: Sample) -> dict[str, Any]:
    """What the Python sample right above a text defines."""
    before = SAMPLES[sample.place - 1] if sample.place else None
    names: dict[str, Any] = {}
    if before is not None and before.kind == "python":
        exec(before.text, names)  # noqa: S102 - the page's own sample
        names.pop("__builtins__")
    return names


def test_the_page_has_samples() -> None:
    assert len(MODELS) >= 12
    kinds = {"kmagic", "kmagic-error", "kmagic-tune", "python", "text"}
    assert {each.kind for each in SAMPLES} == kinds


@pytest.mark.parametrize("sample", MODELS, ids=lambda each: str(each.place))
def test_a_sample_builds(sample: Sample) -> None:
    model = build_model(sample.text, _names_for(sample))
    assert model.built
    assert model.outputs


@pytest.mark.parametrize("sample", MODELS, ids=lambda each: str(each.place))
def test_a_sample_survives_the_round_trip(sample: Sample) -> None:
    spec = parse(sample.text)
    assert parse(format_spec(spec)) == spec


def test_all_models_of_a_search_can_be_built() -> None:
    searches = [each for each in SAMPLES if each.kind == "kmagic-tune"]
    assert searches
    for sample in searches:
        space = read_search_space(sample.text, {})
        assert check_corners(space) > 1
        spec = parse(sample.text, ranges=True)
        assert parse(format_spec(spec), ranges=True) == spec


@pytest.mark.parametrize("sample", MODELS, ids=lambda each: str(each.place))
def test_a_compile_line_compiles(sample: Sample) -> None:
    model = build_model(sample.text, _names_for(sample))
    assert model.compiled == ("compile " in sample.text)


def test_a_mistake_is_shown_as_the_page_says() -> None:
    wrong = [each for each in SAMPLES if each.kind == "kmagic-error"]
    assert wrong
    for sample in wrong:
        with pytest.raises(DSLError) as caught:
            build_model(sample.text, {})
        assert str(caught.value).rstrip() == SAMPLES[sample.place + 1].text.rstrip()


def test_the_python_samples_run() -> None:
    last = SAMPLES[-1]
    assert last.kind == "python"
    names: dict[str, Any] = {}
    exec(last.text, names)  # noqa: S102 - the page's own sample
    assert names["model"].output_shape == (None, 3)


def test_the_first_part_is_short() -> None:
    page = PAGE.read_text(encoding="utf-8").split("# Every word", maxsplit=1)[0]
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
    assert len(prose.split()) <= 1200


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_language_reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_word_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    written = re.search(r"^As Keras (\S+) has them", page, re.MULTILINE)
    assert written
    if written[1] != keras.__version__:
        pytest.skip(f"the page is of Keras {written[1]}, here is {keras.__version__}")
    assert _script().whole(page) == page, "run scripts/make_language_reference.py"
