"""Source is laid out as ruff formats it, whatever it contains."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kmagic.models.codegen.source_layout import (
    Compound,
    SourceStatement,
    call,
    dictionary,
    literal,
    render_source,
    sequence_of,
)

from ...ruff_format import ruff_formatted

NAMES = ("x", "a1", "filters", "layers.Dense", "keras.layers.Conv2D", "very_long_variable_name")
TEXTS = ("relu", "same", "sparse_categorical_crossentropy", "it's", 'say "so"')
PREFIXES = ("x = ", "a_longer_target = ", "a, b = ", "return ", "")
NUMBERS = (1e-4, 0.5, 1e6, -3, 5000, None, True)


names = st.sampled_from(NAMES)
atoms = st.one_of(names, st.sampled_from((*TEXTS, *NUMBERS)).map(literal))


def _items(codes: st.SearchStrategy[str], *prefixes: str) -> st.SearchStrategy[list[str]]:
    """Arguments, those with a name after those without."""
    pairs = st.lists(st.tuples(st.sampled_from(("", "", *prefixes)), codes), max_size=6)
    ordered = pairs.map(lambda pairs: sorted(pairs, key=lambda pair: bool(pair[0])))
    return ordered.map(lambda items: ["".join(item) for item in items])


def _larger(codes: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    calls = st.builds(
        lambda name, items: call(name, *items),
        names,
        _items(codes, "name=", "kernel_initializer="),
    )
    entries = st.lists(st.tuples(st.sampled_from(('"a"', '"long_key"')), codes), max_size=4)
    return st.one_of(
        calls,
        st.builds(
            lambda function, items: call(function, *items),
            calls,
            _items(st.one_of(names, codes), "mask="),
        ),
        st.builds(sequence_of, st.sampled_from(("list", "tuple")), st.lists(codes, max_size=5)),
        entries.map(dictionary),
    )


larger = _larger(st.recursive(atoms, _larger, max_leaves=12))
lines: st.SearchStrategy[SourceStatement] = st.builds(
    "{}{}".format, st.sampled_from(PREFIXES), larger
)
bodies = st.lists(lines, min_size=1, max_size=3).map(tuple)
loops: st.SearchStrategy[SourceStatement] = st.builds(
    lambda items, body: Compound(f"for f in {sequence_of('list', items)}:", body),
    st.lists(atoms, min_size=1, max_size=9),
    bodies,
)
params = st.lists(st.sampled_from(("x", "filters", "strides", "activation")), unique=True)
functions: st.SearchStrategy[SourceStatement] = st.builds(
    lambda params, body: Compound(f"def {call('block_with_a_long_name_' * 2, *params)}:", body),
    params,
    st.lists(st.one_of(lines, loops), min_size=1, max_size=3).map(tuple),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(lines, loops, functions), min_size=1, max_size=5))
def test_ruff_format_changes_nothing(statements: list[SourceStatement]) -> None:
    source = render_source(statements)
    assert ruff_formatted(source) == source


def test_blank_line_is_kept_between_statements() -> None:
    assert render_source(["x = 1", "", "y = 2"]) == "x = 1\n\ny = 2\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-4, "1e-4"),
        (3e-05, "3e-5"),
        (0.01, "0.01"),
        (0.001, "1e-3"),
        (-0.00025, "-2.5e-4"),
        (100.0, "100.0"),
        (1e6, "1e6"),
        (1e300, "1e300"),
        (0.1 + 0.2, "0.30000000000000004"),
        (0.0, "0.0"),
        (float("inf"), 'float("inf")'),
        (float("nan"), 'float("nan")'),
        ("it's", '"it\'s"'),
        ('say "so"', "'say \"so\"'"),
        ("a\nb", '"a\\nb"'),
        ((3,), "(3,)"),
        ([], "[]"),
        ({"a": [1, None]}, '{"a": [1, None]}'),
        (..., "..."),
    ],
)
def test_literal_is_python_source(value: object, text: str) -> None:
    assert render_source([f"x = {literal(value)}"]) == f"x = {text}\n"
