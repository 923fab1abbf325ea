"""The shapes and mistakes of a text while it is being written."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.backend.common import global_state

from kmagic.api import build
from kmagic.models.build import origin_of
from kmagic.models.build.line_shapes import check_text
from kmagic.models.lint import advise
from kmagic.support.errors import DSLError
from kmagic.support.formatting import format_output_shape
from tests.models.build.test_error_messages import FILES, notebook, split

TEXTS = sorted(Path(__file__).parents[1].glob("*.kmagic"))
_ = notebook
NOT_SHOWN = {
    *("own_class", "empty", "only_comments"),  # creates the user's object; nothing is written yet
    *(
        f"adapt_{kind}" for kind in ("column", "frame", "none", "not_data", "one_text")
    ),  # reads data
}


def shapes(text: str, **names: Any) -> dict[int, str]:
    return {line.line: line.shape for line in check_text(text, names).shapes}


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.stem)
def test_the_last_shape_and_the_parameters_are_those_of_the_model(file):
    text = file.read_text(encoding="utf-8")
    check = check_text(text, {})
    model = build(text)
    assert check.problems == ()
    assert sum(line.parameters for line in check.shapes) == model.count_params()
    expected: dict[int, list[str]] = {}
    for step in (*origin_of(model).steps, *origin_of(model).nested):
        expected.setdefault(step.node.span.line, []).append(format_output_shape(step.shape))
    assert {line.line for line in check.shapes} == set(expected)
    for line in check.shapes:
        assert line.shape.split(" ... ")[-1] == expected[line.line][-1]
    assert [item.code for item in check.advice] == [
        item.code for item in advise(model, origin_of(model))
    ]


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.stem not in NOT_SHOWN], ids=lambda file: file.stem
)
def test_a_mistake_is_reported_as_when_the_cell_runs(file, notebook):
    text, _ = split(file)
    with pytest.raises(DSLError) as caught:
        build(text, **notebook)
    found = check_text(text, notebook).problems

    def facts(problems):
        # What follows from the calling code, or from R, is not part of the text.
        return [
            (item.message, item.line, item.column, item.width, item.trail)
            + (() if file.parent.name in ("r", "expressions") else (item.remedy,))
            for item in problems
        ]

    assert facts(found) == facts(caught.value.problems)


class TestPartialTexts:
    def test_shapes_end_at_the_first_line_with_a_mistake(self):
        text = "input 28x28x1\nconv2d 8 3x3\nmaxpol 2x2\nflatten"
        assert shapes(text) == {1: "28 x 28 x 1", 2: "26 x 26 x 8"}

    def test_an_unfinished_line_hides_what_depends_on_it(self):
        text = "input 28x28x1\nconv2d 8 3x3\nconv2d 8 kernel_size=\nflatten"
        assert shapes(text) == {1: "28 x 28 x 1", 2: "26 x 26 x 8"}

    def test_the_shape_of_a_line_is_that_of_its_last_layer(self):
        assert shapes("input 8x8x3 / flatten\ndense 4 / dense 2") == {1: "192", 2: "2"}

    def test_a_mistake_in_a_block_hides_its_uses_only(self):
        text = "block two(n):\n  dense {n}\n  dens 4\ninput 8\ndense 3\ntwo 5\ndense 6"
        assert shapes(text) == {2: "5", 4: "8", 5: "3"}

    def test_a_loop_shows_the_first_and_the_last_time(self):
        assert shapes("input 32x32x3\nfor f in 8 16:\n  conv2d {f} 3x3 / maxpool 2x2") == {
            1: "32 x 32 x 3",
            3: "15 x 15 x 8 ... 6 x 6 x 16",
        }
        assert shapes("input 32x32x3\nrepeat 3:\n  conv2d 3 3x3 same")[3] == "32 x 32 x 3"

    def test_a_nested_model_shows_its_own_lines(self):
        text = "model part:\n  input 4\n  dense 3\ninput 4\npart\ndense 2"
        assert shapes(text) == {2: "4", 3: "3", 4: "4", 5: "3", 6: "2"}

    def test_an_empty_text_shows_nothing(self):
        assert check_text("", {}).shapes == check_text("# later\n", {}).shapes == ()

    def test_equal_looking_numbers_are_not_taken_for_each_other(self):
        assert check_text("input 4\ndense 1", {}).problems == ()
        assert check_text("input 4\ndense 1.0", {}).problems
        assert check_text("input 4\ndense 1", {}).problems == ()

    def test_a_word_may_mean_another_class_later(self):
        text = "input 4\nD 3"
        assert shapes(text, D=keras.layers.Dense)[2] == "3"
        assert shapes(text, D=keras.layers.RepeatVector)[2] == "3 x 4"

    def test_a_global_setting_counts(self):
        keras.config.set_image_data_format("channels_first")
        try:
            assert shapes("input 1x8x8\nconv2d 2 3x3")[2] == "2 x 6 x 6"
        finally:
            keras.config.set_image_data_format("channels_last")
        assert shapes("input 1x8x8\nconv2d 2 1x1")[2] == "1 x 8 x 2"


class TestNothingIsChanged:
    def state(self) -> Any:
        counters = dict(
            global_state.get_global_attribute("object_name_uids", {}, set_to_default=True)
        )
        waiting = global_state.get_global_attribute("uninitialized_variables")
        return counters, waiting, random.getstate(), str(np.random.get_state())  # noqa: NPY002 - the user's

    def test_neither_random_numbers_nor_names_nor_waiting_variables(self):
        before = self.state()
        check_text(
            "input 8x8x3\nconv2d 4 3x3\ndropout 0.2\nflatten\ndense 2\ncompile adam loss=mse", {}
        )
        check_text("input 8x8x3\nconv2d 4\ndens 2", {})
        assert self.state() == before

    def test_layers_of_the_notebook(self):
        built = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        new = keras.layers.Dense(5)
        nodes = len(built._inbound_nodes)
        text = "input 4\n{built}\n{new}"
        assert shapes(text, built=built, new=new) == {1: "4", 2: "3", 3: "5"}
        assert not new.built
        assert not new._inbound_nodes
        assert len(built._inbound_nodes) == nodes

    def test_functions_and_classes_of_the_user_are_not_called(self):
        called = []

        class Own(keras.layers.Layer):
            def __init__(self, **keywords):
                called.append("class")
                super().__init__(**keywords)

        class OwnLoss(keras.losses.Loss):
            def __init__(self):
                called.append("loss")

        def halve(x):
            called.append("function")
            return x / 2

        lambda_layer = keras.layers.Lambda(halve)
        names = {"Own": Own, "OwnLoss": OwnLoss, "halve": halve, "layer": lambda_layer}
        for line in ("Own", "{halve}", "{layer}", "dense 3 activation=halve"):
            assert shapes(f"input 4\n{line}\ndense 2", **names) == {1: "4"}
        text = "input 4\ndense 2\ncompile adam loss=OwnLoss()"
        assert shapes(text, **names) == {1: "4", 2: "2"}
        assert called == []

    def test_a_file_is_not_read(self, tmp_path):
        file = tmp_path / "words.txt"
        file.write_text("a\nb\n")
        text = f"input 3 string\nstring_lookup vocabulary={str(file)!r}"
        assert shapes(text) == {1: "3"}

    def test_weights_are_counted_but_not_created(self):
        text = "input 4096\ndense 4096\n" + "dense 4096\n" * 20
        check = check_text(text, {})
        assert sum(line.parameters for line in check.shapes) == 21 * (4096 * 4096 + 4096)
        assert not any(
            variable._value is not None
            for variable in global_state.get_global_attribute("uninitialized_variables") or ()
        )

    def test_a_model_that_does_not_fit_into_memory_is_reported(self):
        problems = check_text("input 10000000\ndense 10000000", {}).problems
        assert "available memory" in problems[0].message
