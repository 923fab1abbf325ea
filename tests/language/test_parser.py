"""Text to spec: the grammar, one production after the other."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmagic.language import parse
from kmagic.language.parser import parse_partial
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
    Span,
    UnfreezeSpec,
    Word,
)
from kmagic.support.errors import DSLError


def only(text):
    (statement,) = parse(text)
    return statement


def args(text):
    return only(text).args


def value(text):
    ((arg),) = args(f"layer {text}")
    assert arg.name is None
    return arg.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("32", LiteralValue(32)),
        ("-1", LiteralValue(-1)),
        ("1_000", LiteralValue(1000)),
        ("0.5", LiteralValue(0.5)),
        ("1e3", LiteralValue(1000.0)),
        ("true", LiteralValue(True)),
        ("False", LiteralValue(False)),
        ("none", LiteralValue(None)),
        ("inf", LiteralValue(math.inf)),
        ("-inf", LiteralValue(-math.inf)),
        ("...", LiteralValue(...)),
        ('"a b"', LiteralValue("a b")),
        (r"'\n'", LiteralValue("\n")),
        ("relu", Word("relu")),
        ("keras.activations.relu", Word("keras.activations.relu")),
        ("3x3", Shape((3, 3))),
        ("?x64", Shape((None, 64))),
        ("?", Shape((None,))),
        ("{units // 2}", Expr("units // 2")),
        ("{x[1:2]}", Expr("x[1:2]")),
        ("l2(1e-4)", Object(Word("l2"), (Arg(LiteralValue(1e-4)),))),
        ("zeros()", Object(Word("zeros"))),
        ("{Own}(3)", Object(Expr("Own"), (Arg(LiteralValue(3)),))),
        (
            "f(a=1, !b)",
            Object(Word("f"), (Arg(LiteralValue(1), "a"), Arg(LiteralValue(False), "b"))),
        ),
        ("f(lstm 3)", Object(Word("f"), (Arg(InnerLayer(Word("lstm"), (Arg(LiteralValue(3)),))),))),
        (
            "f(cell=lstm 3)",
            Object(Word("f"), (Arg(InnerLayer(Word("lstm"), (Arg(LiteralValue(3)),)), "cell"),)),
        ),
        ("[]", SequenceValue("list", ())),
        ("[1, a]", SequenceValue("list", (LiteralValue(1), Word("a")))),
        (
            "[dense 3,]",
            SequenceValue("list", (InnerLayer(Word("dense"), (Arg(LiteralValue(3)),)),)),
        ),
        ("(0, 1)", SequenceValue("tuple", (LiteralValue(0), LiteralValue(1)))),
        ("(7,)", SequenceValue("tuple", (LiteralValue(7),))),
        ("(7)", LiteralValue(7)),
        ("()", SequenceValue("tuple", ())),
        (
            "{a: 1, 'b': mse}",
            MappingValue(((Word("a"), LiteralValue(1)), (LiteralValue("b"), Word("mse")))),
        ),
        ("{}", MappingValue(())),
        (
            "{a: {b: 1}}",
            MappingValue(((Word("a"), MappingValue(((Word("b"), LiteralValue(1)),))),)),
        ),
        ("&encoder", Ref("encoder")),
    ],
)
def test_values(text, expected):
    assert value(text) == expected
    assert repr(value(text)) == repr(expected)


def test_arguments_with_and_without_names():
    assert args("dense 4 activation=relu !use_bias seed = 3") == (
        Arg(LiteralValue(4)),
        Arg(Word("relu"), "activation"),
        Arg(LiteralValue(False), "use_bias"),
        Arg(LiteralValue(3), "seed"),
    )


def test_brackets_around_arguments_are_allowed_and_more_may_follow():
    assert args("dense(4, relu) !use_bias") == args("dense 4 relu !use_bias")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flatten", LayerSpec(Word("flatten"))),
        ("{backbone}", LayerSpec(Expr("backbone"))),
        ("h = flatten", LayerSpec(Word("flatten"), targets=("h",))),
        ("a, b = split", LayerSpec(Word("split"), targets=("a", "b"))),
        ("reuse d", LayerSpec(Word("d"), reuse=True)),
        ("dense 4 * 3", LayerSpec(Word("dense"), (Arg(LiteralValue(4)),), times=LiteralValue(3))),
        ("add <- a, _", LayerSpec(Word("add"), inputs=(Arg(Word("a")), Arg(Word("_"))))),
        ("f <- a[0]['k']", LayerSpec(Word("f"), inputs=(Arg(Index("a", (0, "k"))),))),
        (
            "f <- [a, b]",
            LayerSpec(Word("f"), inputs=(Arg(SequenceValue("list", (Word("a"), Word("b")))),)),
        ),
        (
            "f <- _, training=false * {n}",
            LayerSpec(
                Word("f"),
                inputs=(Arg(Word("_")), Arg(LiteralValue(False), "training")),
                times=Expr("n"),
            ),
        ),
        ("compile adam loss=mse", CompileSpec((Arg(Word("adam")), Arg(Word("mse"), "loss")))),
        (
            "compile adam metrics=mae, mse",
            CompileSpec(
                (
                    Arg(Word("adam")),
                    Arg(SequenceValue("list", (Word("mae"), Word("mse"))), "metrics"),
                )
            ),
        ),
        ("freeze", FreezeSpec()),
        ("freeze a &b", FreezeSpec((Arg(Word("a")), Arg(Ref("b"))))),
        ("unfreeze a 3 b", UnfreezeSpec((Arg(Word("a")), Arg(LiteralValue(3)), Arg(Word("b"))))),
        ("output a, k=b", OutputSpec((Arg(Word("a")), Arg(Word("b"), "k")))),
        ("inputs b, a", InputsSpec((Arg(Word("b")), Arg(Word("a"))))),
        ("model net sequential", HeadSpec("net", "sequential")),
        (
            "model 'my net' trainable=false",
            HeadSpec("my net", args=(Arg(LiteralValue(False), "trainable"),)),
        ),
        ("model functional", HeadSpec("", "functional")),
        ("compile = dense", LayerSpec(Word("dense"), targets=("compile",))),
    ],
)
def test_lines(text, expected):
    assert only(text) == expected


INNER = (LayerSpec(Word("flatten")),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model enc functional:\n  flatten", NestedSpec("enc", INNER, "functional")),
        ("block b:\n  flatten", BlockSpec("b", (), INNER)),
        ("block b():\n  flatten", BlockSpec("b", (), INNER)),
        (
            "block b(f, s=1, act=l2(0.1)):\n  flatten",
            BlockSpec(
                "b",
                (
                    Param("f"),
                    Param("s", LiteralValue(1)),
                    Param("act", Object(Word("l2"), (Arg(LiteralValue(0.1)),))),
                ),
                INNER,
            ),
        ),
        ("repeat {n}:\n  flatten", RepeatSpec(Expr("n"), INNER)),
        ("for f in 32 64:\n  flatten", ForSpec("f", (LiteralValue(32), LiteralValue(64)), INNER)),
        ("for f in 32, 64:\n  flatten", ForSpec("f", (LiteralValue(32), LiteralValue(64)), INNER)),
        ("residual:\n  flatten", ResidualSpec(INNER)),
        ("residual: flatten", ResidualSpec(INNER)),
        (
            "merge concatenate axis=1:\n  branch:\n    flatten\n  branch: flatten",
            MergeSpec(
                Word("concatenate"),
                (Arg(LiteralValue(1), "axis"),),
                (BranchSpec(INNER), BranchSpec(INNER)),
            ),
        ),
    ],
)
def test_bodies(text, expected):
    assert only(text) == expected


def test_steps_between_slashes_are_lines():
    assert parse("input 4 / dense 3 / dense 2") == parse("input 4\ndense 3\ndense 2")


def test_bodies_nest_and_end_where_the_indentation_does():
    spec = parse("repeat 2:\n  residual:\n      dense 4\n  dense 4\ndense 2")
    assert [type(each).__name__ for each in spec] == ["RepeatSpec", "LayerSpec"]
    assert [type(each).__name__ for each in spec.statements[0].body] == [
        "ResidualSpec",
        "LayerSpec",
    ]


def test_a_whole_text_may_be_indented():
    assert parse("    input 4\n    dense 2") == parse("input 4\ndense 2")


def test_spans_are_positions_and_do_not_count():
    layer = only("  h = conv2d 32 3x3")
    assert layer.callee.span == Span(1, 7, 6)
    assert layer.args[1].value.span == Span(1, 17, 3)
    assert layer == only("h = conv2d   32   3x3")


def test_the_head_and_the_compile_line_are_found():
    spec = parse("model net\ninput 4\ndense 2\ncompile sgd\ncompile adam loss=mse")
    assert spec.head.name == "net"
    assert spec.compile.args[0] == Arg(Word("adam"))
    assert parse("input 4").head is None
    assert parse("input 4").compile is None


def test_the_source_is_kept():
    assert parse("input 4").source == "input 4"


def test_partial_parsing_returns_valid_lines_and_lost_names():
    reading = parse_partial("input 4\nh = dense 4, relu\nblock res(f:\n  dense {f}\nk = dense 2")
    assert reading == parse("input 4\nk = dense 2")
    assert reading.lost_names == {"h", "res"}
    assert [problem.line for problem in reading.problems] == [2, 3]


def test_line_numbers_are_those_of_the_editor():
    text = "input 4\n32 dense"
    error = DSLError(parse_partial(text).problems, text, first_line=6)
    assert str(error).startswith("line 7, column 1\n  7 | 32")


@given(st.text(alphabet=st.sampled_from(list("ab 3x(){}[]=<-,:/*!&._?\"'#\n\t$")), max_size=60))
def test_any_text_is_parsed_or_rejected(text):
    reading = parse_partial(text)
    assert isinstance(reading, ModelSpec)
    if reading.problems:
        with pytest.raises(DSLError) as caught:
            parse(text)
        assert str(caught.value)
    else:
        assert parse(text) == reading


@pytest.mark.parametrize("shape", ["{n}*{m}", "3*{n}", "{n}*3", "3*3"])
def test_a_product_of_sizes_is_not_a_repetition(shape):
    with pytest.raises(DSLError, match="Write a shape with the letter x") as caught:
        parse(f"reshape {shape}")
    assert f"x: {shape.replace('*', 'x')};" in str(caught.value)
    (step,) = parse("dense {n} * {m}").statements
    assert step.times == Expr("m")


def test_a_negative_size_of_a_shape_has_a_remedy():
    with pytest.raises(DSLError, match=r"as a tuple: \(-1, 4\)"):
        parse("reshape -1x4")
    shape = SequenceValue("tuple", (Expr("n"), LiteralValue(-1)))
    assert parse("reshape {n}x-1").statements[0].args == (Arg(shape),)
