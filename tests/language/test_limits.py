"""Texts that would take too much time, memory or recursion are refused with a position."""

from __future__ import annotations

import functools
from itertools import count

import numpy as np
import pandas as pd
import pytest

from kmagic.language import parse
from kmagic.language.expand import expand
from kmagic.language.expressions import ExpressionError, evaluate
from kmagic.language.name_lookup import MAX_LAYERS, ExpansionError
from kmagic.language.parser import parse_partial
from kmagic.support.errors import DSLError

MANY = 10_000


def pair(value, _):
    return [value, value]


@pytest.mark.parametrize(
    ("opening", "closing"), [("(", ")"), ("[", "]"), ("{", "}"), ("a(", ")"), ("{a: ", "}")]
)
@pytest.mark.parametrize("is_closed", [True, False])
def test_deeply_nested_brackets(opening, closing, is_closed):
    text = f"input 4\ndense {opening * MANY}1{closing * MANY * is_closed}"
    (problem,) = parse_partial(text).problems
    assert "nested more than 40 levels" in problem.message
    assert problem.line == 2


@pytest.mark.parametrize(
    "text",
    [
        "".join("  " * depth + "residual:\n" for depth in range(200)) + "  " * 200 + "dense 4",
        "residual: " * MANY + "dense 4",
    ],
)
def test_deeply_nested_bodies(text):
    assert any("nested more than 40" in p.message for p in parse_partial(text).problems)


def test_deep_indentation_and_long_lines_are_no_recursion():
    indented = "\n".join(" " * depth + "dense 4" for depth in range(1000))
    assert parse_partial(indented).problems
    assert len(parse("input 4" + " / relu" * MANY).statements) == MANY + 1


@pytest.mark.parametrize(
    "text", ["dense {}", "input {}x3", "dropout 0.{}", "dense 2 * {}", "dense 9_{}"]
)
def test_long_numbers(text):
    with pytest.raises(DSLError, match="more than 100 digits") as caught:
        parse(text.format("9" * 5000))
    assert max(map(len, str(caught.value).splitlines())) < 300


@pytest.mark.parametrize("number", ["1e999", "-1e999", "{}.0e308".format("9" * 50)])
def test_numbers_that_would_be_infinite(number):
    with pytest.raises(DSLError, match="too large for a floating-point number") as caught:
        parse(f"input 4\ndense 2\ncompile adam({number}) loss=mse")
    assert (caught.value.problems[0].line, caught.value.problems[0].column) == (3, 14)


@pytest.mark.parametrize(
    ("source", "value"),
    [("x * 100", 20_000), ("-x", -200), ("x + x", 400), ("x ** 2", 40_000), ("~x", -201)],
)
@pytest.mark.parametrize("x", [np.uint8(200), np.array(200, "uint8")])
def test_integers_of_numpy_do_not_overflow(source, value, x):
    assert evaluate(source, {"x": x}) == value


def test_arrays_keep_their_dtype_in_expressions():
    x = np.array([200], "uint8")
    assert evaluate("x + 1", {"x": x}).dtype == np.uint8
    assert evaluate("x * n", {"x": x / 2, "n": np.float32(2)}).dtype == np.float64


@pytest.mark.parametrize("text", [r'dense "\udc80"', 'dense "\udc80"', "dense {'\udc80'}"])
def test_half_a_surrogate_pair(text):
    with pytest.raises(DSLError, match=r"surrogate|symbol") as caught:
        parse(text)
    str(caught.value).encode()


@pytest.mark.parametrize(
    "source",
    [
        "9**9**9",
        "-9**9**9",
        "2 ** big",
        "1 << 10**9",
        "big * big",
        "'a' * 10**10",
        "b'a' * 10**10",
        "10**9 * [0]",
        "(0,) * 10**9",
        "'a' * 1000 * 1000 * 1000",
        "'%1000000000d' % 1",
        "'%*d' % (10**9, 1)",
        "'%.1000000000f' % 1",
        "f'{1:1000000000}'",
        "column[:, None] * column",
        "column[:, None] @ column[None]",
        "+".join("1" * MANY),
        "not " * MANY + "1",
        "-" * MANY + "1",
        "x" + "[0]" * MANY,
        "huge",
        "[[1] * 10**5] * 10**5",
        "([[items] * 1000] * 1000,)",
        "{1: [[items] * 100] * 1000}",
        "[deep]",
        "many + many",
        "circle",
        "[circle, 1]",
        "circle[0][0]",
        "loop",
        "loop['a']",
        "often",
        "deep",
        "0.5 in endless",
        "circle in endless",
        "'a' not in endless",
        "1 in iterator",
        r"'\udc80'",
    ],
)
def test_expressions_that_are_too_large(source):
    deep = functools.reduce(lambda inner, _: [inner], range(MANY), 0)
    names = {"big": 10**3000, "huge": 10**4000, "x": 1, "column": np.zeros(10**5)}
    circle, loop = [], {}
    circle.append(circle)
    loop["a"] = loop
    names |= {"circle": circle, "loop": loop, "often": functools.reduce(pair, range(40), 0)}
    names |= {"endless": range(10**12), "iterator": count()}
    names |= {"items": [1] * 1000, "many": [0] * 6_000_000, "deep": deep}
    with pytest.raises(ExpressionError):
        evaluate(source, names)


def test_usual_expressions_are_not_limited():
    image, circle = np.zeros((100, 100, 3)), [1]
    circle.append(circle)
    assert evaluate("circle[0]", {"circle": circle}) == 1
    assert evaluate("3 in r and 10**13 not in r", {"r": range(10**12)}) is True
    assert evaluate("0.5 in range", {"range": range(1000)}) is False
    assert evaluate("2**64 - 1", {}) == 2**64 - 1
    assert evaluate("[32] * 3 + [64]", {}) == [32, 32, 32, 64]
    assert evaluate("(image / 255)[:, :, 0].shape", {"image": image}) == (100, 100)
    assert evaluate("0**1000000 + 1**1000000", {}) == 1
    rows = [[0]] * 1000
    assert evaluate("[rows, rows + rows]", {"rows": rows}) == [rows, rows * 2]
    texts = ["a"] * 1_500_000
    assert len(evaluate("[texts, texts + texts]", {"texts": texts})[1]) == 3_000_000


@pytest.mark.parametrize("value", [np, pd.DataFrame, np.ndarray])
@pytest.mark.parametrize("operator", ["+", "*", "@", "%", "//", "&"])
def test_operators_with_modules_and_classes(operator, value):
    for source in (f"x {operator} 1", f"1 {operator} x"):
        with pytest.raises(ExpressionError, match="raised TypeError"):
            evaluate(source, {"x": value})


@pytest.mark.parametrize("value", [np.arange(3), pd.Series([1, 2]), pd.DataFrame({"a": [1]})])
@pytest.mark.parametrize(
    "source", ["x and 1", "x or 1", "not x", "1 if x else 2", "0 < x < 2", "x == x and 1"]
)
def test_arrays_are_neither_true_nor_false(source, value):
    with pytest.raises(ExpressionError, match="raised ValueError") as caught:
        evaluate(source, {"x": value})
    assert "decide in a cell above" in caught.value.remedy


def test_what_properties_and_keys_raise():
    class Broken:
        @property
        def size(self):
            raise KeyError("size")

    with pytest.raises(ExpressionError, match="size raised KeyError"):
        evaluate("x.size", {"x": Broken()})
    with pytest.raises(ExpressionError, match="unhashable"):
        evaluate("{[1]: 2}", {})


def expansion_error(text, **names):
    with pytest.raises(ExpansionError) as caught:
        expand(parse(text), names)
    ((problem, _),) = caught.value.problems
    assert not caught.value.graph.nodes or "loop" in problem.message
    return problem.message


def test_texts_that_expand_to_too_much():
    doubling = "block b0:\n  relu / relu\n"
    doubling += "".join(f"block b{n}:\n  b{n - 1} / b{n - 1}\n" for n in range(1, 31))
    assert "more than 20,000 layers" in expansion_error(f"{doubling}input 4\nb30")
    loops = "input 4\nrepeat 1000:\n  repeat 1000:\n    repeat 1000: "
    assert "more than 20,000 layers" in expansion_error(loops + "relu")
    assert "more than 200,000 steps" in expansion_error(loops + "freeze")
    chain = "block b0:\n  relu\n"
    chain += "".join(f"block b{n}:\n  b{n - 1}\n" for n in range(1, 100))
    assert "more than 40 levels deep" in expansion_error(f"{chain}input 4\nb99")
    models = "model m0:\n  input 4\n  relu\n"
    models += "".join(f"model m{n}:\n  input 4\n  m{n - 1}\n" for n in range(1, 100))
    assert "more than 10 levels deep" in expansion_error(f"{models}input 4\nm99")


@pytest.mark.parametrize("values", [range(10**12), range(10**30), count(), [0] * 10**6])
def test_loops_over_too_many_values(values):
    message = expansion_error("input 4\nfor n in {values}:\n  relu", values=values)
    assert message == "a loop must not have more than 100,000 iterations"


def test_large_models_are_expanded():
    assert len(expand(parse(f"input 4\nrepeat {MAX_LAYERS - 1}: relu"), {}).nodes) == MAX_LAYERS
    text = "input 4\nrepeat 3000:\n  relu\n  freeze"
    assert expand(parse(text), {}).frozen_nodes == 3001


def test_a_value_that_cannot_be_shown_may_be_a_loop_variable():
    class Silent:
        def __repr__(self):
            raise AttributeError

    graph = expand(parse("input 4\nfor k in {items}:\n  relu"), {"items": [(1, Silent()), 2]})
    assert len(graph.nodes) == 3
