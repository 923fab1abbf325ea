"""Formatted specs are parsed as the same specs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kmagic.language import format_spec, format_statement, format_value, parse
from kmagic.language.spec import (
    HeadSpec,
    LayerRef,
    LayerSpec,
    ModelRef,
    ModelSpec,
    NodeOutput,
    NotebookValue,
    SequenceValue,
    Word,
)

from ..strategies import specs

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.kmagic"))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spec=specs, width=st.sampled_from([0, 20, 100]))
@example(spec=ModelSpec((HeadSpec("input"),)), width=0)
@example(spec=ModelSpec((HeadSpec("sequential", "functional"),)), width=0)
@example(spec=ModelSpec((LayerSpec(Word("dense"), targets=("for", "output")),)), width=0)
def test_parse_inverts_format(spec, width):
    text = format_spec(spec, width=width)
    read = parse(text)
    assert read == spec
    assert repr(read) == repr(spec)  # 1 == 1.0 == true, but they are not the same text
    assert format_spec(read, width=width) == text


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_models_survive_the_round_trip(path):
    spec = parse(path.read_text(encoding="utf-8"))
    assert parse(format_spec(spec)) == spec
    assert parse(format_spec(spec, width=90)) == spec


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("input 28x28x1", "input 28x28x1"),
        ("dense   32  relu  !use_bias", "dense 32 relu !use_bias"),
        ("dense 32 use_bias = false", "dense 32 !use_bias"),
        ("dense(32, relu)", "dense 32 relu"),
        ("bidirectional(lstm 32 dropout=0.2)", "bidirectional(lstm 32 dropout=0.2)"),
        ("h=dense 4<-a,b*3", "h = dense 4 <- a, b * 3"),
        ("a , b = lstm 4 return_state", "a, b = lstm 4 return_state"),
        ('dense 4 name = "it\'s"', 'dense 4 name="it\'s"'),
        ("reshape (0, 1)", "reshape (0, 1)"),
        ("reshape (7,)", "reshape (7,)"),
        ("reshape (7)", "reshape 7"),
        ("dense { units//2 } # half", "dense {units//2}"),
        ("compile adam metrics=mae, mse", "compile adam metrics=[mae, mse]"),
        ("model 'mobilenet 1.0'", 'model "mobilenet 1.0"'),
        ("dropout +.5", "dropout 0.5"),
        ("activity_regularization 1_000 1E-3", "activity_regularization 1000 1e-3"),
    ],
)
def test_the_canonical_form(text, written):
    assert format_spec(parse(text)) == written


def test_steps_share_a_line_up_to_the_width():
    spec = parse("input 4\ndense 3 relu\ndense 3 relu\nh = dense 2\ncompile adam loss=mse")
    assert format_spec(spec, width=30).splitlines() == [
        "input 4 / dense 3 relu",
        "dense 3 relu",
        "h = dense 2",
        "compile adam loss=mse",
    ]


def test_bodies_are_indented_and_joined_within():
    text = "residual:\n  dense 4\n  dense 4\n  residual:\n    dense 4\ndense 2"
    assert format_spec(parse(text)) == text
    assert format_spec(parse(text), width=40).splitlines()[1] == "  dense 4 / dense 4"


def test_a_statement_alone_has_no_body():
    (block,) = parse("block res(f, s=1):\n  dense {f}")
    assert format_statement(block) == "block res(f, s=1):"


def test_a_value_of_the_notebook_is_written_as_its_expression():
    assert format_value(SequenceValue("list", (NotebookValue(3, "n // 2"),))) == "[{n // 2}]"


@pytest.mark.parametrize("value", [NodeOutput(0), LayerRef(0), ModelRef(0)])
def test_parts_of_a_graph_have_no_text(value):
    with pytest.raises(TypeError, match="has no text"):
        format_value(SequenceValue("list", (value,)))
