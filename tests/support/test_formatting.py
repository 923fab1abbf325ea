from __future__ import annotations

import io
from contextlib import redirect_stdout

import numpy as np
import pandas as pd
import pytest

import kmagic
from kmagic.support.errors import BuildError, DSLError, KmagicError, Problem
from kmagic.support.formatting import (
    escape_control_characters,
    format_shape,
    isolate_direction,
    natural_sort_key,
    safe_repr,
    shorten_names,
    to_single_line,
)
from kmagic.support.messages import Option, Text

CONTROLS = "\x1b\x07\x00\x9b\x7f\r\u202e\u2028\u2029\u200b\u2060\ufeff"
EVIL = "red\x1b[31m\x1b]0;title\x07\x9b\x7f\u202eabc\u2028\r\u200b"


@pytest.mark.parametrize("character", [*CONTROLS, "\ud800", "\u2066", "\u202a", "\x85", "\x0b"])
def test_control_characters_are_shown_as_escapes(character: str) -> None:
    shown = escape_control_characters(f"a{character}b")
    assert shown.isascii()
    assert shown.isprintable()
    assert shown[1:-1].encode("ascii").decode("unicode_escape") == character
    assert escape_control_characters(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "two\nlines\tand a tab", "Größe", "日本語", "naïve “x”", "\u05e9\u05dc\u05d5\u05dd",
        "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, with a non-joiner
        "\U0001f469\u200d\U0001f52c", "\u2764\ufe0f",  # emoji of several characters
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "e\u0301", isolate_direction("\u05d0"),
    ],
)  # fmt: skip
def test_text_of_any_script_is_unchanged(text: str) -> None:
    assert escape_control_characters(text) == text


def test_a_name_is_on_one_line() -> None:
    assert isolate_direction("a\nb\t") == r"a\nb\t"
    assert to_single_line("a\nb\x1b") == r"a b\x1b"


# --- wherever text is shown -----------------------------------------------------------------------


def plain(text: str) -> bool:
    return not set(text) & set(CONTROLS)


def shown_parts(value: object) -> list[str]:
    bundle = value._repr_mimebundle_()  # type: ignore[attr-defined]
    return [repr(value), bundle["text/plain"], bundle["text/html"]]


@pytest.fixture(scope="module")
def data() -> kmagic.Dataset:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({EVIL: rng.normal(size=30), "b" + EVIL: rng.normal(size=30)})
    return kmagic.load_data(frame.assign(kind=[EVIL, "q", "r"] * 10), target="kind")


@pytest.fixture(scope="module")
def model(data: kmagic.Dataset) -> object:
    model = kmagic.build("input 2 / dense 3 softmax")
    model.compile("adam", "sparse_categorical_crossentropy")
    with redirect_stdout(io.StringIO()) as printed:
        kmagic.fit(model, data, epochs=1, name=EVIL)
    assert plain(printed.getvalue())
    assert r"\x1b[31m" in printed.getvalue()
    return model


def test_results_show_names_of_columns_and_classes_as_escapes(data, model) -> None:
    matrix = kmagic.confusion_of(model, data, name=EVIL)
    for result in (
        data, matrix, matrix.versus(kmagic.confusion_of(model, data)),
        kmagic.predict(model, data, name=EVIL), kmagic.evaluate(model, data, name=EVIL),
    ):  # fmt: skip
        parts = shown_parts(result)
        assert all(map(plain, parts))
        assert all(r"\x1b[31m" in part for part in parts[1:])
    assert matrix.classes[2] == EVIL, "the class itself keeps its name"


@pytest.mark.parametrize(
    "call",
    [
        lambda: kmagic.load_data(f"missing/{EVIL}.csv"),
        lambda: kmagic.load(f"missing/{EVIL}.keras"),
        lambda: kmagic.load_data(pd.DataFrame({EVIL: [1.0, 2.0]}), target="x"),
        lambda: kmagic.confusion([0, 1], [0, 1], class_names=[EVIL, EVIL]),
        lambda: kmagic.confusion([EVIL, "b"], ["b", "c"], class_names=["b", "c"]),
        lambda: kmagic.build(f"input 2 / dense 3 re{EVIL}lu"),
        lambda: kmagic.build(f'input 2 / dense 3 name="{EVIL}" wrong=1'),
    ],
)
def test_errors_show_names_as_escapes(call) -> None:
    with pytest.raises(KmagicError) as caught:
        call()
    own_colours = ("\x1b[1m", "\x1b[0m", "\x1b[33m", "\x1b[2m")
    shown = "\n".join(caught.value._render_traceback_())
    for colour in own_colours:
        shown = shown.replace(colour, "")
    assert plain(shown)
    assert plain(str(caught.value))
    assert r"\x1b" in shown


def test_the_caret_is_under_what_is_shown() -> None:
    source = "input 4 / \x1bdense\x1b 3"
    error = BuildError([Problem("is wrong", 1, 11, 7)], source)
    _, line, caret = error.render(colour=False).splitlines()
    assert line[caret.index("^") : caret.rindex("^") + 1] == r"\x1bdense\x1b"
    assert isinstance(error, DSLError)


def test_an_option_of_a_message_is_escaped() -> None:
    assert plain(str(Text(Option("target", EVIL), EVIL)))


FAMILIES = {
    "prefix": [f"convolutional_network_layer_{k:02d}" for k in range(50)],
    "suffix": [f"{k}_images_of_the_second_camera" for k in range(50)],
    "both": [f"images_of_the_class_{k}_from_the_second_camera" for k in range(50)],
    "two places": [f"study_{k % 7}_of_the_subject_{k // 7}_in_the_laboratory" for k in range(49)],
    "one within another": ["a" * 30, "a" * 31, "a" * 32, "a" * 60],
    "words": ["the quick brown fox jumps", "the quick brown dog jumps", "the quick brown fox sits"],
    "random": [
        "".join("ab"[k >> bit & 1] for bit in range(30)) for k in range(7, 2**30, 2**25 + 9)
    ],
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("limit", [9, 13, 18, 24])
def test_different_names_stay_different_when_they_are_shortened(family: str, limit: int) -> None:
    names = FAMILIES[family]
    short = shorten_names(names, limit)
    assert len(set(short)) == len(names)
    assert max(map(len, short)) <= limit


def test_only_names_that_are_too_long_are_shortened() -> None:
    names = ["cat", "a" * 18, "dog", "cat"]
    assert shorten_names(names, 18) == names


def test_long_values_are_shortened() -> None:
    assert format_shape(range(1, 17)).endswith("15 x 16")
    assert format_shape([2] * 10**6) == "2 x 2 x 2 x 2 x 2 x 2 x 2 x 2 ... (1,000,000 sides)"
    assert safe_repr("a" * 200) == f"'{'a' * 98}…{'a' * 99}'"
    assert safe_repr(10**5000) == "<int object>"


def test_numbers_in_names_are_sorted_by_value() -> None:
    names = ["a", "b0", "b2", "b010", "b10c", "c" + "9" * 5000, "c1" + "0" * 5000, "7"]
    assert sorted({*names}, key=natural_sort_key) == ["7", *names[:-1]]
