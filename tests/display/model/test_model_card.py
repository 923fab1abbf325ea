"""A model's card: its own text, the shapes, the parameters."""

import keras
import pytest

import kmagic
from kmagic.display.model.diagram_graph import read_graph
from kmagic.display.model.diagram_rows import plan_rows
from kmagic.display.model.model_card import _Counted, _folded_rows, _step_rows, model_bundle
from kmagic.models.build import origin_of
from kmagic.support.formatting import format_bytes, format_output_shape

NET = """block pair(f):
  conv2d {f} 3x3 same relu
  conv2d {f} 3x3 same relu
input 8x8x3
pair 4 * 2
d = dense 3
reuse d <- d
gap / dense 2 softmax"""


@pytest.fixture
def card():
    model = kmagic.build("input 8x8x3\nd = dense 3\nreuse d\n" + "gap / dense 2 softmax")
    return model_bundle(model, "net", origin_of(model))


def test_each_line_has_its_shape_and_parameters(card):
    rows = card["text/plain"].splitlines()
    assert rows[0] == "net: 20 parameters · 80 bytes · not compiled"
    assert rows[1].split() == ["input", "8x8x3", "8", "x", "8", "x", "3"]
    assert rows[2].split() == ["d", "=", "dense", "3", "8", "x", "8", "x", "3", "12"]


def test_a_shape_is_never_wrapped(card):
    assert ">8\u00a0x\u00a08\u00a0x\u00a03</td>" in card["text/html"]


def test_a_layer_used_again_is_counted_once(card):
    assert card["text/plain"].splitlines()[3].endswith("shared")


def test_a_block_is_one_row_that_opens():
    model = kmagic.build(NET.replace("reuse d <- d\n", ""))
    bundle = model_bundle(model, "net", origin_of(model))
    (line,) = (row for row in bundle["text/plain"].splitlines() if "pair" in row)
    assert line.split() == ["pair", "4", "*", "2", "8", "x", "8", "x", "4", "556"]
    assert bundle["text/html"].count("<details>") == 1
    words = '<span class="km-code-layer">conv2d</span> <span class="km-code-expression">{f}</span> '
    assert words in bundle["text/html"]


def test_a_large_model_is_folded_as_in_its_diagram():
    model = keras.applications.MobileNetV2(weights=None)
    bundle = model_bundle(model, "mobile", None)
    assert 20 < bundle["text/html"].count("<tr>") < 40
    assert len(bundle["text/html"]) < 30_000
    rows = list(_folded_rows(plan_rows(read_graph(model))))
    assert sum(row.parameters for row in rows) == model.count_params()


def test_the_parameters_of_the_rows_are_those_of_the_model():
    model = kmagic.build(NET.replace("reuse d <- d\n", ""))
    assert (
        sum(row.parameters for row in _step_rows(origin_of(model).steps, 0, _Counted(model)))
        == model.count_params()
    )


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("block b:\n  dense 4 * 2\ninput 4\nb", "b 4 40"),
        ("block b:\n  dense 4 * 2\ninput 4\nb * 3", "b * 3 4 120"),
        ("block b:\n  dense 4 / dense 4 * 2\ninput 4\nrepeat 2: b", "b * 2 4 120"),
        ("block b(n):\n  dense 4 * {n}\ninput 4\nfor n in 1 2: b {n}", "b {n} * 2 4 60"),
        ("block b:\n  dense 4\nblock c:\n  b * 2\ninput 4\nc", "c 4 40"),
    ],
)
def test_a_block_shows_how_often_it_is_used_not_how_often_its_lines_are(text, row):
    model = kmagic.build(text)
    lines = model_bundle(model, "net", origin_of(model))["text/plain"].splitlines()
    assert row.split() in [line.split() for line in lines]


def test_a_layer_that_is_not_in_the_model_is_not_counted():
    model = kmagic.build("x = input 4\nh = dense 9\ndense 2 <- x")
    lines = model_bundle(model, "net", origin_of(model))["text/plain"].splitlines()
    assert "10 parameters" in lines[0]
    assert lines[2].split() == ["h", "=", "dense", "9", "9", "not", "used"]


def test_a_model_made_without_kmagic_has_a_card_too():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="out")])
    model.compile(keras.optimizers.AdamW(), loss={"out": "mse"})
    text = model_bundle(model, "net", None)["text/plain"]
    assert "out (Dense)" in text
    assert "compiled: adamw, learning rate 0.001, out mse" in text


def test_the_schedule_the_clipping_and_the_precision_are_shown():
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 100)
    hidden = keras.layers.Dense(2, dtype="mixed_float16")
    model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(schedule, clipnorm=1.0), "mse")
    text = model_bundle(model, "net", None)["text/plain"]
    shown = "sgd(cosine_decay(0.01, 100), clipnorm=1.0), learning rate 0.01, mixed_float16, mse"
    assert f"compiled: {shown}" in text
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)), "mse")
    assert "compiled: adam, learning rate 0.01" in model_bundle(model, "net", None)["text/plain"]


@pytest.mark.parametrize(("rate", "shown"), [(lambda: 0.5, "0.5, mse"), (lambda step: step, "")])
def test_a_function_as_the_learning_rate(rate, shown):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    text = model_bundle(model, "net", None)["text/plain"]
    assert f"learning rate {shown}" in text if shown else "compiled: sgd, mse" in text


def test_a_model_without_an_input_says_so():
    text = model_bundle(keras.Sequential([keras.layers.Dense(2)]), "net", None)["text/plain"]
    assert "not built yet" in text


def test_frozen_weights_are_counted_separately():
    model = kmagic.build("input 4\ndense 3 !trainable\ndense 2")
    text = model_bundle(model, "net", origin_of(model))["text/plain"]
    assert "23 parameters · 15 not trainable" in text


def test_names_are_text():
    model = kmagic.build("input 4 / dense 2")
    html = model_bundle(model, "<script>", origin_of(model), ["<b>note</b>"])["text/html"]
    assert "<script>" not in html
    assert "<b>note" not in html


def test_shapes_and_sizes_as_text():
    sizes = [format_bytes(size) for size in (12, 2_500, 3e6, 4e9)]
    assert sizes == ["12 bytes", "2.5 kB", "3.0 MB", "4.0 GB"]
    assert format_output_shape({"a": (None, 2), "b": (None, None, 3)}) == "a: 2, b: ? x 3"
    assert format_output_shape([(None, 2), (None,)]) == "2, one number"
