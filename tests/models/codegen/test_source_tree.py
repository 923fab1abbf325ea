"""Source is printed as ruff formats it, whatever the tree."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kmagic.models.codegen.source_tree import (
    Assign,
    Atom,
    BlankLine,
    Call,
    Code,
    CodeLine,
    Collection,
    Comprehension,
    ForLoop,
    FunctionDef,
    Item,
    SourceStatement,
    call,
    list_of,
    literal,
    one_line,
    render_source,
)

from ...ruff_format import ruff_formatted

NAMES = ("x", "a1", "filters", "layers.Dense", "keras.layers.Conv2D", "very_long_variable_name")
TEXTS = ("relu", "same", "sparse_categorical_crossentropy", "it's", 'say "so"')
NUMBERS = (1e-4, 0.5, 1e6, -3, 5000, None, True)


names = st.sampled_from(NAMES).map(Atom)
atoms = st.one_of(names, st.sampled_from((*TEXTS, *NUMBERS)).map(literal))


def _items(codes: st.SearchStrategy[Code], *prefixes: str) -> st.SearchStrategy[tuple[Item, ...]]:
    """Arguments, those with a name after those without."""
    pairs = st.lists(st.tuples(codes, st.sampled_from(("", "", *prefixes))), max_size=6)
    ordered = pairs.map(lambda pairs: sorted(pairs, key=lambda pair: bool(pair[1])))
    return ordered.map(lambda items: tuple(Item(code, prefix) for code, prefix in items))


def _larger(codes: st.SearchStrategy[Code]) -> st.SearchStrategy[Code]:
    calls = st.builds(Call, names, _items(codes, "name=", "kernel_initializer="))
    entries = st.lists(st.tuples(codes, st.sampled_from(('"a": ', '"long_key": '))), max_size=4)
    return st.one_of(
        calls,
        st.builds(Call, calls, _items(st.one_of(names, codes), "mask=")),
        st.lists(codes, max_size=5).map(list_of),
        st.lists(codes, max_size=5).map(lambda items: Collection("()", tuple(map(Item, items)))),
        entries.map(lambda items: Collection("{}", tuple(Item(*entry) for entry in items))),
        codes.map(lambda code: Comprehension(code, "_", call("range", literal(3)))),
    )


larger = _larger(st.recursive(atoms, _larger, max_leaves=12))
lines: st.SearchStrategy[SourceStatement] = st.one_of(
    st.builds(Assign, st.sampled_from(("x", "a_longer_target", "a, b")), larger),
    st.builds(CodeLine, st.sampled_from(("return ", "", "stack += ")), larger),
)
loops: st.SearchStrategy[SourceStatement] = st.builds(
    ForLoop,
    st.just("f"),
    st.lists(atoms, min_size=1, max_size=9).map(list_of),
    st.lists(lines, min_size=1, max_size=3).map(tuple),
)
params = st.lists(st.sampled_from(("x", "filters", "strides", "activation")), unique=True)
functions: st.SearchStrategy[SourceStatement] = st.builds(
    FunctionDef,
    st.just("block_with_a_long_name_" * 2),
    params.map(lambda names: tuple(Item(Atom(name)) for name in names)),
    st.lists(st.one_of(lines, loops), min_size=1, max_size=3).map(tuple),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(lines, loops, functions), min_size=1, max_size=5))
def test_ruff_format_changes_nothing(statements: list[SourceStatement]) -> None:
    source = render_source(statements)
    assert ruff_formatted(source) == source


def test_blank_line_is_kept_between_statements() -> None:
    parts = [Assign("x", literal(1)), BlankLine(), Assign("y", literal(2))]
    assert render_source(parts) == "x = 1\n\ny = 2\n"


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
    assert one_line(literal(value)) == text
