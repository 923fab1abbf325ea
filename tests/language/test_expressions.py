"""Expressions in braces: their values, and what is rejected."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmagic.language.expressions import (
    ExpressionError,
    evaluate,
    names_in_expression,
    parse_expression,
)

NAMES = {
    "n": 7,
    "units": 64,
    "half": 0.5,
    "name": "relu",
    "sizes": [8, 16, 32],
    "table": {"a": 1, "b": {"c": 2}},
    "data": SimpleNamespace(shape=(10, 4), inner=SimpleNamespace(size=3), _hidden=1),
    "array": np.arange(12).reshape(3, 4),
    "flag": True,
    "nothing": None,
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("n", 7),
        ("n + 1", 8),
        ("units // n", 9),
        ("units / 2", 32.0),
        ("-n", -7),
        ("+n", 7),
        ("~n", -8),
        ("not flag", False),
        ("2 ** n", 128),
        ("n % 4", 3),
        ("'block_%02d' % n", "block_07"),
        ("n << 1 | 1", 15),
        ("n & 3 ^ 1", 2),
        ("n >> 1", 3),
        ("n - 1 * 2", 5),
        ("sizes[0]", 8),
        ("sizes[-1]", 32),
        ("sizes[1:]", [16, 32]),
        ("sizes[::2]", [8, 32]),
        ("table['b']['c']", 2),
        ("data.shape[1]", 4),
        ("data.inner.size", 3),
        ("(n, units)", (7, 64)),
        ("[n, 1]", [7, 1]),
        ("{'a': n}", {"a": 7}),
        ("'a' + name", "arelu"),
        ("n < 8", True),
        ("1 < n < 5", False),
        ("n == 7 != 8", True),
        ("n >= 7", True),
        ("n <= 6", False),
        ("n > 6", True),
        ("8 in sizes", True),
        ("9 not in sizes", True),
        ("nothing is None", True),
        ("n is not None", True),
        ("flag and n", 7),
        ("nothing or n", 7),
        ("n and nothing", None),
        ("n if flag else units", 7),
        ("units if nothing else n", 7),
        ("...", ...),
        ("1e-3", 0.001),
    ],
)
def test_values(source, value):
    found = evaluate(source, NAMES)
    assert found == value
    assert type(found) is type(value)


def test_arrays():
    assert evaluate("array[1, 2:]", NAMES).tolist() == [6, 7]
    assert evaluate("(array @ array.T)[0, 0]", NAMES) == 14
    assert evaluate("array.shape[0] * 2", NAMES) == 6


def test_evaluation_is_lazy():
    assert evaluate("nothing is None or nothing.shape", NAMES) is True
    assert evaluate("n if True else missing", NAMES) == 7
    with pytest.raises(ExpressionError):
        evaluate("n if False else missing", NAMES)


def test_names_in():
    assert names_in_expression("a.b[c] + 1 if d else 'e'") == {"a", "c", "d"}


def test_new_lines_do_not_matter():
    assert evaluate("n +\n  1", NAMES) == 8


@pytest.mark.parametrize(
    ("source", "message", "column", "width"),
    [
        ("len(sizes)", "calls are not allowed in braces", 0, 10),
        ("1 + len(sizes)", "calls are not", 4, 10),
        ("data.shape.count(1)", "calls are not", 0, 19),
        ("data._hidden", "_hidden is private", 0, 12),
        ("n.__class__", "__class__ is private", 0, 11),
        ("missing", "is not defined", 0, 7),
        ("n + missing", "is not defined", 4, 7),
        ("data.shpe", "SimpleNamespace has no attribute shpe", 0, 9),
        ("sizes[9]", "raised IndexError", 0, 8),
        ("table['z']", "raised KeyError", 0, 10),
        ("n / 0", "raised ZeroDivisionError", 0, 5),
        ("n + name", "raised TypeError", 0, 8),
        ("name < n", "raised TypeError", 0, 8),
        ("-name", "raised TypeError", 0, 5),
        ("lambda: 1", "lambda: 1 is not allowed", 0, 9),
        ("[x for x in sizes]", "is not allowed", 0, 18),
        ("{x for x in sizes}", "is not allowed", 0, 18),
        ("{n, 1}", "is not allowed", 0, 6),
        ("f'{n}'", "is not allowed", 0, 6),
        ("(m := n)", "is not allowed", 1, 6),
        ("[*sizes]", "is not allowed", 1, 6),
        ("{**table}", "** is not allowed", 0, 9),
        ("n +", "is not an expression", 0, 1),
        ("n = 1", "is not an expression", 0, 1),
        ("import os", "is not an expression", 0, 1),
        ("", "is not an expression", 0, 1),
    ],
)
def test_mistakes(source, message, column, width):
    with pytest.raises(ExpressionError) as caught:
        evaluate(source, NAMES)
    assert caught.value.message.startswith(message) or message in caught.value.message
    assert (caught.value.column, caught.value.width) == (column, width)


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        ("unist", "Did you mean units?"),
        ("data.shpe", "Did you mean shape?"),
        ("missing", "Define it in a cell above."),
        ("len(sizes)", "Call it in a cell above and use the name of the result here."),
        ("data._hidden", "Compute it in a cell above and use the name of the result here."),
    ],
)
def test_remedies(source, remedy):
    with pytest.raises(ExpressionError) as caught:
        evaluate(source, NAMES)
    assert caught.value.remedy == remedy


class Trap:
    """An object on which nothing may be called by looking at it in braces."""

    def __init__(self):
        self.calls = []

    def __call__(self, *_):
        self.calls.append("call")

    def method(self):
        self.calls.append("method")


@pytest.mark.parametrize(
    "source",
    [
        "trap()",
        "trap.method()",
        "[trap][0]()",
        "(trap if flag else trap)()",
        "trap.method.__func__",
        "trap.__class__.__bases__",
        "().__class__.__base__.__subclasses__()",
        "__import__('os').system('true')",
        "[trap() for _ in sizes]",
        "(lambda: trap())()",
        "trap.calls.append(1)",
        "f'{trap()}'",
        "(yield trap())",
        "await trap()",
    ],
)
def test_nothing_is_ever_called(source):
    trap = Trap()
    with pytest.raises(ExpressionError):
        evaluate(source, {**NAMES, "trap": trap})
    assert not trap.calls


def test_builtins_are_not_defined():
    with pytest.raises(ExpressionError, match="is not defined"):
        evaluate("print", {})


@given(st.text(max_size=40))
def test_any_text_is_evaluated_or_rejected(source):
    try:
        parse_expression(source)
    except ExpressionError as error:
        refused = error
    else:
        refused = None
    if refused is not None:
        with pytest.raises(ExpressionError):
            evaluate(source, NAMES)


def test_deep_nesting_is_rejected():
    with pytest.raises(ExpressionError):
        evaluate("(" * 5_000 + "1" + ")" * 5_000, {})
