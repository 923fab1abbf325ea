"""Hypothesis: every spec that a text can stand for.

Read by path (``runpy``), since test modules do not import each other.
"""

from __future__ import annotations

import math
import string

from hypothesis import strategies as st

from kmagic.language.spec import (
    Arg,
    BlockSpec,
    BranchSpec,
    CompileSpec,
    Expr,
    ForSpec,
    FreezeSpec,
    HeadSpec,
    Index,
    InnerLayer,
    InputsSpec,
    LayerSpec,
    LiteralValue,
    MappingValue,
    MergeSpec,
    ModelSpec,
    NestedSpec,
    Object,
    OutputSpec,
    Param,
    Ref,
    RepeatSpec,
    ResidualSpec,
    SequenceValue,
    Shape,
    Word,
)

CONSTANTS = {"true", "false", "none", "True", "False", "None", "inf", "nan"}
STATEMENTS = {
    *("model", "block", "repeat", "for", "residual", "merge", "branch"),
    *("compile", "freeze", "unfreeze", "output", "inputs"),
}
LANGUAGE = STATEMENTS | {"reuse", "input", "_", "_in"}

# --- names and values -------------------------------------------------------------------------

_first = st.sampled_from(string.ascii_letters + "_é")
_rest = st.text(string.ascii_letters + string.digits + "_ü", max_size=8)
names = st.builds("{}{}".format, _first, _rest).filter(lambda name: name not in CONSTANTS)
new_names = names.filter(lambda name: name not in LANGUAGE)
targets = names.filter(lambda name: name not in {"_in", "reuse"})
dotted = st.lists(names, min_size=1, max_size=3).map(".".join)
words = dotted.filter(lambda text: text not in CONSTANTS).map(Word)
layer_words = dotted.filter(lambda text: text not in STATEMENTS | {"reuse"}).map(Word)
expressions = st.recursive(
    st.one_of(
        st.sampled_from(["units", "dim", "backbone", "0", "1e-3", "'a:b'", "x.shape", "y[1:2]"])
    ),
    lambda inner: st.one_of(
        st.builds("{} + {}".format, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("(not {} < {})".format, inner, inner),
    ),
    max_leaves=4,
).map(Expr)
numbers = st.one_of(
    st.integers(-(10**12), 10**12), st.floats(allow_nan=False), st.sampled_from([math.nan, 0.0])
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
literals = st.builds(
    LiteralValue, st.one_of(numbers, texts, st.sampled_from([True, False, None, ...]))
)
dimensions = st.one_of(st.none(), st.integers(0, 4096))
shapes = st.one_of(
    st.just(Shape((None,))),
    st.lists(dimensions, min_size=2, max_size=5).map(tuple).map(Shape),
)
refs = st.builds(Ref, names)
simple = st.one_of(literals, words, shapes, expressions, refs)


def args_of(values: st.SearchStrategy) -> st.SearchStrategy:
    """Arguments with and without names; ``!flag`` is one with a name."""
    named = st.builds(Arg, values, names)
    return st.one_of(
        st.builds(Arg, values), named, st.builds(Arg, st.just(LiteralValue(False)), names)
    )


def lists_of(items: st.SearchStrategy, least: int = 0) -> st.SearchStrategy:
    return st.lists(items, min_size=least, max_size=3).map(tuple)


callees = st.one_of(words, expressions)


def deeper(values: st.SearchStrategy) -> st.SearchStrategy:
    """Values made of values; a phrase stands only where a comma or a bracket ends it."""
    phrases = st.builds(InnerLayer, callees, lists_of(args_of(values), least=1))
    inside = st.one_of(values, phrases)
    keys = st.one_of(words, st.builds(LiteralValue, st.one_of(st.integers(), texts)))
    return st.one_of(
        st.builds(Object, callees, lists_of(args_of(inside))),
        st.builds(SequenceValue, st.just("list"), lists_of(inside)),
        st.builds(SequenceValue, st.just("tuple"), lists_of(inside)).filter(
            lambda value: value.kind == "tuple"
        ),
        st.builds(MappingValue, lists_of(st.tuples(keys, inside), least=1)),
    )


values = st.recursive(simple, deeper, max_leaves=4)
phrases = st.builds(InnerLayer, callees, lists_of(args_of(values), least=1))
args = lists_of(args_of(values))
layer_args = lists_of(args_of(st.one_of(values, phrases)))
indices = st.builds(
    Index,
    names,
    st.lists(st.one_of(st.integers(-9, 9), texts), min_size=1, max_size=2).map(tuple),
)
tensors = lists_of(
    st.one_of(
        st.builds(Arg, st.one_of(words, indices, values)),
        st.builds(Arg, st.one_of(words, indices, values), names),
    ),
    least=1,
)

# --- statements -------------------------------------------------------------------------------

kinds = st.sampled_from(["", "sequential", "functional"])
layers = st.builds(
    LayerSpec,
    st.one_of(layer_words, expressions),
    layer_args,
    st.one_of(st.none(), tensors),
    lists_of(targets),
    st.just(False),
    st.one_of(st.none(), values),
)
reused = st.builds(
    LayerSpec,
    words,
    st.just(()),
    st.one_of(st.none(), tensors),
    lists_of(targets),
    st.just(True),
)


def begins_with_a_name(entries: tuple[Arg, ...]) -> bool:
    """Whether ``inputs`` accepts the entries: `inputs 8` is rejected, `input 8` is meant."""
    value = entries[0].value
    number = isinstance(value, LiteralValue) and isinstance(value.value, int | float)
    return entries[0].name is not None or not (number or isinstance(value, Shape))


directives = st.one_of(
    st.builds(CompileSpec, args),
    st.builds(FreezeSpec, args),
    st.builds(OutputSpec, tensors),
    st.builds(InputsSpec, tensors.filter(begins_with_a_name)),
    st.builds(HeadSpec, texts.filter(bool), kinds, args),
    st.builds(HeadSpec, st.just(""), st.sampled_from(["sequential", "functional"]), args),
)


def params_of(drawn: list[tuple[str, object]]) -> tuple[Param, ...]:
    """Parameters of a block: those with defaults last, no name twice."""
    found = {name: Param(name, default) for name, default in drawn}
    return tuple(sorted(found.values(), key=lambda param: param.default is not None))


params = st.lists(st.tuples(names, st.one_of(st.none(), values, phrases)), max_size=3).map(
    params_of
)


def bodies_of(inner: st.SearchStrategy) -> st.SearchStrategy:
    body = lists_of(inner, least=1)
    branches = lists_of(st.builds(BranchSpec, body), least=1)
    return st.one_of(
        st.builds(NestedSpec, new_names, body, kinds, args),
        st.builds(BlockSpec, new_names, params, body),
        st.builds(RepeatSpec, values, body),
        st.builds(ForSpec, new_names, lists_of(values, least=1), body),
        st.builds(ResidualSpec, body),
        st.builds(MergeSpec, st.one_of(layer_words, expressions), args, branches),
    )


statements = st.recursive(st.one_of(layers, reused, directives), bodies_of, max_leaves=3)
specs = st.builds(ModelSpec, st.lists(statements, max_size=3).map(tuple))
