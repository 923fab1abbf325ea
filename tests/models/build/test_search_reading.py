"""What the parameters of a search are called, and the models with extreme values."""

from __future__ import annotations

import pytest

from kmagic.models.build import build_model
from kmagic.models.build.search_reading import check_corners, read_search_space
from kmagic.support.errors import DSLError


def names_of(text: str, **names: object) -> list[str]:
    return [parameter.name for parameter in read_search_space(text, names).parameters]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("input 4\ndense 8..9 relu|tanh", ["dense.units", "dense.activation"]),
        ("input 4\ndense 8..9\ndense 5\ndense 3..4", ["dense.units", "dense_2.units"]),
        (
            "input 9x9x1\nconv2d 4 3x3|5x5 strides=(1..2, 1)",
            ["conv2d.kernel_size", "conv2d.strides"],
        ),
        ("input 4\nrepeat 1..4: dense 4", ["repeat.times"]),
        ("input 4\ndense 4 * 1..4", ["dense.times"]),
        ("input 4\nfor f in 4 8..16: dense {f}", ["f"]),
        ("input 4\ndense 4 relu | identity", ["dense_or_identity"]),
        ("input 4x1\nlstm|gru 8..16", ["lstm_or_gru", "lstm_or_gru.units"]),
        ("input 4\ndense 4 | dense 5..6 | identity", ["dense_or_dense_or_identity", "dense.units"]),
        ("block b(f, g=1..2): dense {f + g}\ninput 4\nb 3..4\nb 5..6", ["b.g", "b.f", "b_2.f"]),
        ("input 4\ndense 4 kernel_regularizer=l2(1e-4..1e-2~log)", ["l2.l2"]),
        ("vary n = 3..4\ninput 4\ndense {n}", ["n"]),
        ("input 4x1\nbidirectional(lstm 4..8)", ["lstm.units"]),
        (
            "a = input 4\nb = input 4\nmerge add|multiply:\n  branch: relu\n  branch: relu <- b",
            ["add_or_multiply"],
        ),
        (
            "input 4\ndense 1\ncompile adam(1e-4..1e-2~log)|sgd(0.1..0.2) loss=mse|mae",
            ["optimizer", "adam.learning_rate", "sgd.learning_rate", "loss"],
        ),
        ("input 4\ndense 1\ncompile adam loss=huber(0.1..0.9)", ["huber.delta"]),
        ("input 4\ndense {n}|8", ["dense.units"]),
    ],
)
def test_names(text, names):
    assert names_of(text, n=4) == names
    assert names_of(text, n=4) == names  # also if the editor knows the layers already


def test_all_mistakes_of_the_text_are_reported():
    with pytest.raises(DSLError) as caught:
        read_search_space("input 4\ndense 3..2\nvary x = 1..2\ndense 4..\n", {}, first_line=2)
    assert [problem.line for problem in caught.value.problems] == [2, 4]


def test_every_corner_is_checked():
    text = "input 16x16x1\nrepeat 1..2:\n  conv2d 4..8 3x3\n  maxpool 2\nflatten\ndense 1"
    assert check_corners(read_search_space(text, {})) == 4


def test_the_values_that_do_not_fit_are_named():
    text = "input 16x16x1\nrepeat 1..4:\n  conv2d 4..8 3x3\n  maxpool 2\nflatten\ndense 1"
    with pytest.raises(DSLError) as caught:
        check_corners(read_search_space(text, {}, where="%%keras_tune cnn", first_line=2))
    (problem, *_) = caught.value.problems
    assert problem.line == 3
    assert "a trial with repeat.times = 4" in problem.trail
    assert "conv2d.filters" not in str(caught.value)
    assert caught.value.where == "%%keras_tune cnn"


def test_a_mistake_that_all_trials_have_is_plain():
    with pytest.raises(DSLError) as caught:
        check_corners(read_search_space("input 4\ndense 3..4 rleu", {}))
    (problem,) = caught.value.problems
    assert problem.column == 12
    assert problem.trail == ()
    assert "relu" in problem.remedy


@pytest.mark.parametrize("index", [0, -1])
def test_each_filled_text_can_be_built(index):
    text = "input 4x2\nlstm|gru 3..8 / dense 4..8 relu|tanh | identity\ncompile adam|sgd loss=mse"
    space = read_search_space(text, {})
    model = build_model(space.fill({p.name: p.ends()[index] for p in space.parameters}), {})
    assert model.output_shape == (None, 4 if index == 0 else 8)
