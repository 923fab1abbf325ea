"""``%%keras_tune``: what a user writes, and gets."""

from __future__ import annotations

import sys

import keras
import pytest

from tests.shells import kmagic_shell, run_cell, value_of

SETUP = """import keras, numpy as np
x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = (x.sum(axis=1) > 0).astype(int)
"""
TEXT = "input 4 / dense 2|4 relu / dense 2 softmax\n"
COMPILE = "compile adam loss=sparse_categorical_crossentropy metrics=accuracy\n"
OPTIONS = "-t 2 -e 1 --val 0.25 --in-process --seed 1"


@pytest.fixture(scope="module")
def shell():
    with pytest.MonkeyPatch.context() as patch, kmagic_shell() as shell:
        patch.setenv("KMAGIC_DISPLAY", "text")
        run_cell(shell, SETUP)
        yield shell


def tune(shell, line, text=TEXT + COMPILE):
    """Run the magic with the usual options."""
    return run_cell(shell, f"%%keras_tune {line} {OPTIONS}\n{text}")


def test_the_best_model_can_be_used_as_any_other(shell):
    result, output = tune(shell, "größe x y -o study", TEXT)
    result.raise_error()
    study, model = shell.user_ns["study"], shell.user_ns["größe"]
    assert "this one was added: `compile adam loss=sparse_cat" in output.stdout
    assert study.text().splitlines()[-1] == COMPILE.strip()
    assert 'loss="sparse_categorical_crossentropy"' in str(value_of(shell, "%keras_code study")[0])
    x, y = shell.user_ns["x"], shell.user_ns["y"]
    loss, _ = model.evaluate(x[48:], y[48:], verbose=0)
    assert loss == pytest.approx(study.best.value, rel=1e-5)
    evaluation, _ = value_of(shell, "%keras_evaluate größe x y")
    assert set(evaluation) == {"accuracy", "loss"}
    value_of(shell, "%keras_fit größe x y -e 1 -q")  # TensorFlow refuses this name as it is


def test_the_result_is_not_printed_with_q_and_can_be_kept(shell):
    result, output = tune(shell, "net x y -q -o quiet")
    result.raise_error()
    assert not output.stdout
    assert shell.user_ns["quiet"].status == "done"
    assert isinstance(shell.user_ns["net"], keras.Model)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x y", "is data.*name of the model comes first: `%%keras_tune model x ...`"),
        ("x x y", "is data"),
        ("keras.net x y", "is not a valid variable name"),
        ("net", "expected data"),
        ("net x y -o net", "is also the name of the model"),
        ("net x y --goal val_acc", r"\^{7} The goal is 'val_acc'.*Did you mean val_accuracy"),
        ("net x y --goal val_auc", r"does not compute.*Available: loss, accuracy, val_loss"),
        ("net x y --goals loss", "Did you mean --goal"),
        ("net x y -b 16..8", r"\^{5} .*larger than the first\. Write 8\.\.16\."),
        ("net x y -b 8|a", "--batch-size must be a positive integer"),
        ("net x y --class-weight nobody", "--class-weight must be a dictionary or"),
        ("net x y --on local", "--on local and --in-process cannot be combined"),
        ("net x y --repeat 0", "--repeat must be a whole number of at least 1"),
    ],
)
def test_mistakes_in_the_line(shell, line, message):
    shell.user_ns["net"] = before = object()
    result, _ = tune(shell, line)
    with pytest.raises(Exception, match=f"(?s){message}"):
        result.raise_error()
    assert shell.user_ns["net"] is before


def test_validation_data_is_needed_for_its_loss(shell):
    result, _ = run_cell(shell, f"%%keras_tune net x y -t 1 --in-process\n{TEXT}{COMPILE}")
    with pytest.raises(Exception, match=r"(?s)val_loss needs validation data.*--val 0\.1"):
        result.raise_error()


def test_mistakes_in_the_text_have_the_lines_of_the_cell(shell):
    text = "vary n = 2|4\n\nh = input 4\na = dense {n}\nb = dense 2 <- h\noutput a=a, b=b\n"
    text += "compile adam loss={c: mse}"
    result, _ = tune(shell, "net x y", text)
    with pytest.raises(Exception, match=r"(?s)line 8, column 20"):
        result.raise_error()


def test_a_goal_of_the_training_data_is_pointed_out(shell):
    result, output = tune(shell, "net x y --goal accuracy --class-weight balanced -o trained")
    result.raise_error()
    assert "goal accuracy is measured on the training data; val_accuracy" in output.stdout
    assert shell.user_ns["trained"].is_maximized


def test_streams_and_names_of_a_calling_function(shell):
    cell = f"""import tensorflow as tf
def search(data):
    get_ipython().run_cell_magic("keras_tune", "streamed data --val data -t 1 -e 1 --in-process -q",
        {TEXT + COMPILE!r})
search(tf.data.Dataset.from_tensor_slices((x, y)).batch(16))"""
    run_cell(shell, cell)[0].raise_error()
    assert shell.user_ns["streamed"].predict(shell.user_ns["x"], verbose=0).shape == (64, 2)


def test_layers_of_the_notebook_are_copied_for_each_trial(shell):
    cell = """class Scale(keras.layers.Layer):
    def __init__(self, factor=1.0, **keywords):
        super().__init__(**keywords)
        self.factor = factor
    def call(self, x):
        return x * self.factor
    def get_config(self):
        return super().get_config() | {"factor": self.factor}
def square(x):
    return x * x
scale, squares = Scale(3.0), keras.layers.Dense(3, activation=square)"""
    run_cell(shell, cell)[0].raise_error()
    text = f"input 4 / dense 2|4 / {{scale}} / {{squares}} / Scale 1|2 / dense 2 softmax\n{COMPILE}"
    tune(shell, "scaled x y", text)[0].raise_error()
    copy = next(layer for layer in shell.user_ns["scaled"].layers if layer.name == "scale")
    assert (copy.factor, copy is shell.user_ns["scale"]) == (3.0, False)
    assert not shell.user_ns["squares"].built


def test_the_batch_size_alone_can_vary(shell):
    text = TEXT.replace("2|4", "4") + COMPILE
    result, _ = tune(shell, "net x y", text)
    with pytest.raises(Exception, match=r"(?s)no range and no choice.*Write one"):
        result.raise_error()
    tune(shell, "net x y -b 8|16 -o batches", text)[0].raise_error()
    assert set(shell.user_ns["batches"].to_frame()["batch_size"]) == {8, 16}
    program, _ = value_of(shell, "%keras_code batches")
    assert 'trial.suggest_categorical("batch_size", [8, 16])' in str(program)


@pytest.mark.parametrize("line", ["%%keras_tune -h", "%%keras_model net --help\n"])
def test_help_needs_no_text(shell, line):
    result, output = run_cell(shell, line)
    result.raise_error()
    assert f"usage: {line.split()[0]} [-h]" in output.stdout


def test_one_store_has_one_search(shell, tmp_path):
    store = f"net x y --store {tmp_path} -o stored"
    tune(shell, store)[0].raise_error()
    first = shell.user_ns["stored"].to_frame()
    tune(shell, store)[0].raise_error()
    assert shell.user_ns["stored"].to_frame().equals(first)
    result, _ = tune(shell, store, TEXT.replace("2|4", "2|8") + COMPILE)
    with pytest.raises(Exception, match=r"(?s)another search. Different: text, ranges\..*--fresh"):
        result.raise_error()
    tune(shell, f"{store} --fresh", TEXT.replace("2|4", "2|8") + COMPILE)[0].raise_error()
    assert set(shell.user_ns["stored"].to_frame()["dense.units"]) == {2, 8}


def test_optuna_is_an_extra(shell, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    result, _ = tune(shell, "net x y")
    with pytest.raises(Exception, match=r'(?s)needs optuna.*%pip install "kmagic\[tune\]"'):
        result.raise_error()


def test_no_complete_trial_assigns_nothing(shell):
    text = TEXT + "compile sgd(1e18|1e19) loss=sparse_categorical_crossentropy"
    result, _ = tune(shell, "none x y", text)
    with pytest.raises(Exception, match="The first 2 trials failed"):
        result.raise_error()
    assert "none" not in shell.user_ns
