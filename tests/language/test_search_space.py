"""Ranges and choices in a text, and the text for some of their values."""

from __future__ import annotations

import pytest

from kmagic.language import format_spec, parse
from kmagic.language.parser import parse_partial
from kmagic.language.search_space import (
    MAX_CORNERS,
    Hyperparameter,
    SearchSpace,
    corners,
    filled,
    find_places,
    first_values,
    naming_problems,
    parse_range,
)
from kmagic.support.errors import DSLError

TEXT = """\
vary width = 32..256:32
vary optimizer = adam(1e-4..1e-2~log)|sgd(0.1)
block res(f, k=3x3|5x5):
  conv2d {f} {k} same
input 28x28x1
repeat 1..4:
  conv2d 16..64 3x3|5x5 relu strides=(1..2, 1)
for f in 8..16 32: res {f}
flatten
h = dense|highway {width // 2} relu|gelu | identity
dense 64 * 1..3
dropout 0.0..0.5
dense 10 softmax
compile {optimizer} loss={a: mse|mae} metrics=[mae, acc|auc]"""


def space_of(text: str) -> SearchSpace:
    parsed = parse(text, ranges=True)
    places = find_places(parsed.statements)
    return SearchSpace(text, parsed, {p.parameter(str(i)): p for i, p in enumerate(places)})


def test_a_text_with_ranges_survives_the_round_trip():
    parsed = parse(TEXT, ranges=True)
    assert format_spec(parsed) == TEXT.replace("16 32: res", "16 32:\n  res").replace(
        "1e-2", "0.01"
    )
    assert parse(format_spec(parsed), ranges=True) == parsed


@pytest.mark.parametrize("index", [0, -1])
def test_a_filled_text_is_plain(index):
    space = space_of(TEXT)
    text = space.fill({p.name: p.ends()[index] for p in space.parameters})
    assert not list(find_places(parse(text).statements))
    assert ("dense 16 relu" in text, "identity" in text) == ((True, False), (False, True))[index]
    assert ("adam(1e-4)" if index == 0 else "sgd(0.1)") in text
    assert "vary" not in text


def test_the_first_values_stand_where_the_ranges_are():
    parsed = parse("input 4\ndense 8..16 relu|tanh\ndense 9", ranges=True)
    first = first_values(parsed)
    assert format_spec(first) == "input 4\ndense 8 relu\ndense 9"
    units, activation = first.statements[1].args
    assert (units.value.span.line, units.value.span.column, units.value.span.width) == (2, 7, 5)
    assert activation.value.span.column == 13


@pytest.mark.parametrize(
    ("text", "values", "written"),
    [
        ("dense 8..64", {"0": 9}, "dense 9"),
        ("dropout 0..0.5", {"0": 0.123456789}, "dropout 0.1235"),
        ("dropout 0.3333333..0.5", {"0": 0.3333333}, "dropout 0.3333333"),
        ("dense 8 relu|{act}|gelu", {"0": "{act}"}, "dense 8 {act}"),
        ("conv2d 8 3x3|5x5|(3, 1)", {"0": "(3, 1)"}, "conv2d 8 (3, 1)"),
        ("dense 8 use_bias=true|false", {"0": False}, "dense 8 !use_bias"),
        (
            "vary a = relu|tanh\ndense 8 {a}\ndense 9 {a}",
            {"0": "tanh"},
            "dense 8 tanh\ndense 9 tanh",
        ),
        ("vary n = 8..64\ndense {n * k + n}", {"0": 8}, "dense {8 * k + 8}"),
        ("vary n = 8..64\nreshape {n}x{n // 2}", {"0": 9}, "reshape (9, 4)"),
        ("vary k = 3x3|5x5\nconv2d {k[0]} {k}", {"0": "5x5"}, "conv2d 5 5x5"),
        ("a = dense 4 | b", {"0": "b"}, "a = b"),
        ("dense 4 | dense 8", {"0": "dense 8"}, "dense 8"),
        ("dense 4 * 2|3", {"0": 3}, "dense 4 * 3"),
    ],
)
def test_fill(text, values, written):
    assert space_of(text).fill(values) == written


def test_values_outside_of_the_space_are_refused():
    space = space_of("dense 8..64 relu|tanh")
    with pytest.raises(ValueError, match="from 8 to 64; got 65"):
        space.fill({"0": 65, "1": "relu"})
    with pytest.raises(ValueError, match="must be one of"):
        space.fill({"0": 8, "1": "gelu"})
    with pytest.raises(KeyError):
        space.fill({"0": 8})


def test_parameters_of_unused_steps_do_not_matter():
    space = space_of("vary r = l2(0.1..1.0)|l1(0.5)\ndense 8..64 {r} | lstm|gru 5..9 | identity")
    first = {p.name: p.ends()[0] for p in space.parameters}
    names = {p.name: p.ends() for p in space.parameters}
    assert names["2"] == ("dense", "lstm|gru", "identity")
    assert space.used(first) == {"0", "1", "2", "3"}
    assert space.used(first | {"0": "l1"}) == {"0", "2", "3"}
    assert space.used(first | {"2": "lstm|gru"}) == {"0", "1", "2", "4", "5"}
    assert space.used(first | {"2": "identity"}) == {"0", "1", "2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vary n = 1..5\ndense 4", "n is not used in the text"),
        ("vary n = 1..5\nvary n = 1..6\ndense {n}", "n is varied twice"),
        ("vary f = 1..5\nfor f in 3 4: dense {f}", "f is also a parameter or loop variable"),
        ("vary f = 1..5\nblock b(f): dense {f}\nb 4", "f is also a parameter or loop variable"),
    ],
)
def test_names_of_vary_lines(text, message):
    (problem,) = naming_problems(parse(text, ranges=True))
    assert message in problem.message


def test_all_corners_of_a_small_space():
    found = corners((Hyperparameter("a", low=1, high=2), Hyperparameter("b", ("x", "y", "z"))))
    assert len(found) == 6
    assert found[0] == {"a": 1, "b": "x"}


def test_a_part_of_the_corners_of_a_large_space():
    many = tuple(Hyperparameter(str(index), low=1, high=2) for index in range(20))
    found = corners(many)
    assert found == corners(many)
    assert len(found) <= MAX_CORNERS
    for parameter in many:
        assert {values[parameter.name] for values in found} == {1, 2}
    assert {tuple(values.values()) for values in found} >= {(1,) * 20, (2,) * 20}


@pytest.mark.parametrize(
    ("text", "parameter"),
    [
        ("16|32", Hyperparameter("b", (16, 32))),
        ("8..64:8", Hyperparameter("b", (), 8, 64, 8)),
        ("1e-4..1~log", Hyperparameter("b", (), 1e-4, 1.0, None, log=True)),
        ("balanced|none", Hyperparameter("b", ("balanced", "none"))),
        ("32", None),
        ("{n}", None),
        ("", None),
        ("a b", None),
    ],
)
def test_the_range_of_an_option(text, parameter):
    assert parse_range(text, "b") == parameter


@pytest.mark.parametrize("text", ["1|", "64..8", "a..b", "1|2 3", "|1", "(1|2"])
def test_a_wrong_range_of_an_option_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_range(text, "b")


def test_what_is_no_search_refuses_ranges_and_keeps_the_other_lines():
    parsed = parse_partial("input 4\ndense 8..9\ndense 3 | dense 2\ndense {a: b|c}\nrelu")
    assert [problem.line for problem in parsed.problems] == [2, 3, 4]
    assert format_spec(parsed) == "input 4\nrelu"
    with pytest.raises(DSLError, match="keras_tune"):
        parse("dense 8..9")


def test_values_are_found_in_their_order():
    parsed = parse("dense 8..9 relu|tanh\nlstm|gru 3..4", ranges=True)
    places = list(find_places(parsed.statements))
    names = [type(place.part).__name__ for place in places]
    assert names == ["Range", "Choice", "Choice", "Range"]
    assert format_spec(filled(parsed, [(place, place.parameter("").ends()[0]) for place in places]))
