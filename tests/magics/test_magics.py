"""The magics in a bare IPython shell: what they assign, show, return and reject."""

import io
import json
import subprocess
import sys
import warnings
from contextlib import redirect_stdout

import numpy as np
import pandas as pd
import pytest

import kmagic

from ..shells import run_cell

NET = """input 28x28x1
maxpool 4x4 / flatten / dense 16 relu
dense 10 softmax
compile adam loss=sparse_categorical_crossentropy metrics=accuracy
"""


@pytest.fixture
def digits(shell):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 120)
    x = (np.eye(10)[y] @ rng.random((10, 784))).reshape(-1, 28, 28, 1).astype("float32")
    parts = {"x_train": x[:80], "y_train": y[:80], "x_test": x[80:], "y_test": y[80:]}
    names = tuple(map(str, range(10)))
    data = type("Digits", (), {**parts, "classes": names, "scaling": None})()
    shell.user_ns["digits"] = data
    return data


@pytest.fixture
def cnn(shell, digits):
    shell.run_cell_magic("keras_model", "cnn -q", NET)
    return shell.user_ns["cnn"]


def test_a_model_is_assigned_and_shown_once(shell):
    result, captured = run_cell(shell, "%%keras_model net\n" + NET)
    assert result.success
    assert result.result is shell.user_ns["net"]
    assert shell.user_ns["net"].name == "net"
    (shown,) = captured.outputs
    assert "dense 16 relu" in shown.data["text/plain"]
    assert "<table" in shown.data["text/html"]


def test_a_failing_cell_changes_no_variable(shell, cnn):
    before = {name: value for name, value in shell.user_ns.items() if not name.startswith("_")}
    result, _ = run_cell(shell, "%%keras_model cnn\ninput 28x28x1\ndense 10 sofmax")
    after = {name: value for name, value in shell.user_ns.items() if not name.startswith("_")}
    assert not result.success
    assert after == before
    assert after["cnn"] is cnn


def test_a_mistake_shows_the_cells_line_without_traceback(shell):
    with redirect_stdout(io.StringIO()) as printed:
        shell.run_cell("%%keras_model cnn\ninput 28x28x1\ndense 10 sofmax")
    text = printed.getvalue()
    assert "in %%keras_model cnn" in text
    assert "line 3, column 10" in text
    assert "Did you mean softmax?" in text
    assert "Traceback" not in text
    assert ".py" not in text


def test_a_bug_keeps_its_traceback(shell, monkeypatch):
    monkeypatch.setattr(sys.modules["kmagic.models.build"], "build_model", lambda *_, **__: 1 / 0)
    with redirect_stdout(io.StringIO()) as printed:
        shell.run_cell("%%keras_model cnn\n" + NET)
    assert "ZeroDivisionError" in printed.getvalue()
    assert ".py" in printed.getvalue()


def test_fit_assigns_the_run_and_returns_it(shell, cnn):
    result, captured = run_cell(
        shell, "run = %keras_fit cnn --data digits -e 2 -b 16 --val 0.2 -o same"
    )
    assert result.success
    assert shell.user_ns["run"] is shell.user_ns["same"]
    assert set(shell.user_ns["run"].history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert len(shell.user_ns["run"].history["loss"]) == 2
    assert len(captured.outputs) == 1


def test_data_without_an_end_needs_numbers_of_batches(shell, cnn, digits):
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensor_slices((digits.x_train, digits.y_train)).batch(10)
    shell.user_ns["endless"] = batches.repeat()
    result, _ = run_cell(shell, "%keras_fit cnn endless -q")
    assert "for example --steps-per-epoch 100, or leave out .repeat()" in str(
        result.error_in_exec.remedy
    )
    line = "%keras_fit cnn endless --steps-per-epoch 3 --val endless -q"
    result, _ = run_cell(shell, line)
    assert "--validation-steps 100" in str(result.error_in_exec.remedy)
    result, _ = run_cell(shell, f"{line} --validation-steps 2")
    assert (result.result.status, result.result.steps) == ("done", 3)


def test_a_bare_resume_repeats_data_and_options(shell, cnn, digits):
    digits.x_train[:] = np.random.default_rng(1).random(digits.x_train.shape)
    run_cell(shell, "%keras_fit cnn --data digits -e 2 -b 20 --val 0.1 -q")
    result, _ = run_cell(shell, "%keras_fit cnn --resume -e 3 -q")
    run = result.result
    assert (len(run.log), run.steps, run.validation_samples) == (3, 4, 8)
    result, _ = run_cell(shell, "%keras_fit cnn --data digits --resume -e 4 --val 0 -q")
    assert "pass --no-checks to train on them" in str(result.error_in_exec.remedy)
    result, _ = run_cell(shell, "%keras_fit cnn --resume -e 4 --val 0 --no-checks -q")
    assert result.result.samples == 80


def test_a_result_at_a_cells_end_is_shown_once(shell, cnn):
    _, captured = run_cell(shell, "%keras_evaluate cnn --data digits")
    assert len(captured.outputs) == 1


def test_quiet_shows_nothing_but_returns_the_result(shell, cnn):
    result, captured = run_cell(shell, "%keras_evaluate cnn --data digits -q")
    assert captured.outputs == []
    assert set(result.result) == {"loss", "accuracy"}


def test_the_model_is_optional(shell, cnn):
    result, _ = run_cell(shell, "%keras_evaluate --data digits")
    assert result.success


def test_confusion_of_a_model_and_of_labels(shell, cnn, digits):
    result, _ = run_cell(shell, "%keras_confusion cnn --data digits")
    assert result.result.matrix.sum() == len(digits.y_test)
    shell.user_ns["pred"] = digits.y_test
    result, _ = run_cell(shell, "%keras_confusion --true {digits.y_test} --pred pred")
    assert result.result.accuracy == 1.0


def test_classify_knows_the_models_classes(shell, cnn):
    result, _ = run_cell(shell, "%keras_classify cnn {digits.x_test[:3]} --top 2")
    assert len(result.result.to_frame()) == 6


def test_predict_gives_probabilities_or_classes(shell, cnn, digits):
    result, _ = run_cell(shell, "%keras_predict cnn {digits.x_test} -o p")
    np.testing.assert_allclose(result.result.sum(axis=1), 1, rtol=1e-5)
    result, _ = run_cell(shell, "%keras_predict cnn {digits.x_test} --classes")
    assert (result.result == shell.user_ns["p"].argmax(axis=1)).all()


def test_compile_by_a_line(shell, cnn):
    run_cell(shell, "%keras_compile cnn sgd(0.5) --loss mse --metrics mae,accuracy")
    assert cnn.loss == "mse"
    assert float(cnn.optimizer.learning_rate) == 0.5


def test_a_model_at_a_cells_end_is_its_card(shell, cnn):
    _, captured = run_cell(shell, "cnn")
    (shown,) = captured.outputs
    assert shown.data["text/plain"].startswith("cnn:")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%keras_fit cnm --data digits", "Did you mean cnn?"),
        ("%keras_fit cnn --data digitz", "Did you mean digits?"),
        ("%keras_fit cnn --data imdb", "Load it first: `%keras_data ... -o imdb`"),
        ("%keras_fit cnn --data {opens}", "opens"),
        ("%keras_fit cnn opne 3", "Write a number"),
        ("%keras_fit cnn", "or arrays, `x_train y_train`"),
        ("%keras_evaluate cnn", "or arrays, `x_test y_test`"),
        ("%keras_confusion cnn --data digits --vs cnm", "Did you mean cnn?"),
        ("%keras_confusion cnn --data digits --vs opne", "is not a model of this notebook"),
        ("%keras_fit cnn --data digits -e 0", "must be a whole number of at least 1; got 0"),
        ("%keras_fit cnn --data digits --val 2", "must be between 0 and 1; got 2"),
        ("%keras_fit cnn --data digits --val 0,1", "a fraction with a point"),
        ("%keras_fit cnn --data digits epochs=2", "Did you mean --epochs 2?"),
        ("%keras_fit cnn x y epochs 3", "Did you mean --epochs?"),
        ("%keras_fit cnn x y batch_size=3", "Did you mean --batch-size 3?"),
        ("%keras_fit cnn, x, y", "Separate words by spaces"),
        ("%keras_fit cnn --data digits -e 2 -b 8 --epochs 3", "--epochs is given twice"),
        ("%keras_fit cnn --data digits -q -q", "-q is given twice"),
        ("%keras_summary digits", "is not a model"),
        ("%keras_fit cnn --data cnn", "must be a dataset"),
        ("%keras_classify cnn digits", "{digits.x_test[:8]}"),
        ("%keras_confusion cnn --true x", "--pred is missing"),
        ("%keras_classify cnn", "expected images"),
        ("%keras_compile cnn adma", "Did you mean adam?"),
        ("%%keras_model 3d\ninput 3", "is not a valid variable name"),
        ("%%keras_model for\ninput 3", "is not a valid variable name"),
    ],
)
def test_an_invalid_line_has_a_remedy(shell, cnn, line, words):
    result, _ = run_cell(shell, line)
    assert isinstance(result.error_in_exec, kmagic.KmagicError)
    assert words in str(result.error_in_exec)


@pytest.mark.parametrize("magic", ["fit", "data", "evaluate", "confusion", "classify", "compile"])
def test_help_prints_and_does_nothing(shell, magic):
    result, captured = run_cell(shell, f"%keras_{magic} -h")
    assert result.result is None
    assert f"usage: %keras_{magic}" in captured.stdout


def test_loading_is_light():
    code = (
        "import json, sys\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance(); before = set(sys.modules)\n"
        "shell.run_line_magic('load_ext', 'kmagic')\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(json.dumps(sorted(new)))\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    heavy = {"tensorflow", "keras", "matplotlib", "pandas", "sklearn", "anywidget", "ipywidgets"}
    assert not heavy & set(json.loads(printed))


@pytest.mark.parametrize(("warm", "starts"), [("1", 1), (None, 1), ("0", 0)])
def test_loading_starts_keras_in_the_background(plain_shell, monkeypatch, warm, starts):
    started = []
    monkeypatch.setattr("kmagic.support.keras_import.preload", started.append)
    if warm is None:
        monkeypatch.delenv("KMAGIC_WARM")
    else:
        monkeypatch.setenv("KMAGIC_WARM", warm)
    plain_shell.run_line_magic("load_ext", "kmagic")
    assert len(started) == starts


def test_code_shows_the_program_and_the_text(shell, cnn):
    result, captured = run_cell(shell, "%keras_code cnn")
    assert "cnn = keras.Sequential(" in result.result
    assert captured.outputs[0].data["text/plain"] == result.result
    result, _ = run_cell(shell, "%keras_code cnn --as dsl -o text")
    assert "dense 16 relu" in shell.user_ns["text"]
    same = kmagic.build(shell.user_ns["text"])
    assert same.count_params() == cnn.count_params()


def test_code_can_go_into_a_new_cell(shell, cnn, monkeypatch):
    put = []
    monkeypatch.setattr(shell, "set_next_input", put.append, raising=False)
    _, captured = run_cell(shell, "%keras_code cnn --as dsl --cell")
    assert put[0].startswith("%%keras_model cnn\n")
    assert captured.outputs == []


def test_plot_shows_a_diagram(shell, cnn):
    _, captured = run_cell(shell, "%keras_plot cnn")
    (shown,) = captured.outputs
    assert "dense 16 relu" in shown.data["text/plain"]


def test_advice_below_the_model_can_be_disabled(shell):
    text = "input 4\ndense 3\ncompile adam loss=sparse_categorical_crossentropy"
    _, captured = run_cell(shell, "%%keras_model net\n" + text)
    assert "line 3: " in captured.outputs[0].data["text/plain"]
    _, captured = run_cell(shell, "%%keras_model net --no-checks\n" + text)
    assert "line 3: " not in captured.outputs[0].data["text/plain"]


def test_keras_does_not_repeat_our_advice(shell):
    net = "\ninput 4 / dense 1 softmax\ncompile adam loss=binary_crossentropy"
    shell.user_ns |= {"four": np.ones((8, 4)), "ones": np.ones(8)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run_cell(shell, f"%%keras_model one --no-checks{net}")
        run_cell(shell, "%keras_fit one four ones --no-checks")
        assert any("a softmax over" in str(each.message) for each in caught)  # only Keras says it
        caught.clear()
        _, captured = run_cell(shell, f"%%keras_model one{net}")
        assert "softmax has a single unit" in captured.outputs[0].data["text/plain"]
        for line in ("%keras_fit one four ones --no-checks", "%keras_predict one four"):
            assert run_cell(shell, line)[0].success
        assert not any("softmax" in str(each.message) for each in caught)


def test_a_model_starts_with_the_weights_of_another(shell, cnn, digits):
    run_cell(shell, "%keras_fit cnn digits -e 2 -q")
    weights = cnn.get_weights()
    head, compiled = NET.rsplit("\n", 2)[:2]
    text = f"{head}\nfreeze\n{compiled}"
    result, captured = run_cell(shell, f"%%keras_model cnn --weights-from cnn\n{text}")
    assert result.success
    assert shell.user_ns["cnn"] is not cnn
    assert all(map(np.array_equal, shell.user_ns["cnn"].get_weights(), weights))
    shown = captured.outputs[0].data["text/plain"]
    assert "Starts with the weights of cnn, trained for 2 epochs." in shown
    now = shell.user_ns["cnn"]
    for word, text, message in (
        ("digits", NET, "is not a model of this notebook"),
        ("nothing", NET, "is not a model of this notebook"),
        ("cnn", NET.replace("16", "8"), "The weights of cnn do not fit"),
    ):
        result, _ = run_cell(shell, f"%%keras_model cnn --weights-from {word}\n{text}")
        assert message in str(result.error_in_exec)
        assert shell.user_ns["cnn"] is now


def test_a_seed_gives_the_same_weights(shell):
    def weights(line):
        shell.run_cell_magic("keras_model", line, "input 4 / dense 3")
        return shell.user_ns["small"].get_weights()[0]

    assert (weights("small -q --seed 7") == weights("small -q --seed 7")).all()
    assert (weights("small -q --seed 7") != weights("small -q --seed 8")).any()
    result, _ = run_cell(shell, "%%keras_model small --seed half\ninput 4 / dense 3")
    assert "--seed must be a whole number" in str(result.error_in_exec)


LONG = "a" * 300


@pytest.mark.parametrize(
    "line",
    [
        f"%keras_load {LONG}.keras",
        f"%keras_save net {LONG}.keras",
        "%keras_save net 'a\ud800.keras'",
        f"%keras_data {LONG}.csv",
        f"%keras_data {LONG}",
        "%keras_data ~no-such-user/a.csv",
        "%keras_evaluate net ~no-such-user",
        "%keras_classify net ~no-such-user.png",
        "%keras_classify net frame",
        f"%keras_fit net x y --csv {LONG}.csv",
        "%keras_fit net x y --csv 'a\ud800.csv'",
        "%keras_fit net x y -b 99999999999999999999",
        "%keras_fit net x y -e 99999999999999999999",
        "%keras_predict net x -b 99999999999999999999",
        "%%keras_model m --seed 4294967296\ninput 4 / dense 2",
        f"%keras_history {'9' * 5000}",
        f"%keras_data x y --size {'9' * 5000}x3",
        "%keras_fit net x y -e {huge}",
        "%keras_confusion net x y --threshold {huge}",
        "%keras_fit net x y --class-weight {{0: x}}",
    ],
    ids=range(20),
)
def test_names_and_numbers_beyond_the_limits_are_refused(shell, line):
    shell.user_ns["x"] = np.zeros((4, 8, 8, 1), "float32")
    shell.user_ns["y"] = np.zeros(4, int)
    shell.user_ns["huge"] = 10**5000
    shell.user_ns["frame"] = pd.DataFrame({"a": [0.5, 1.0]})
    text = (
        "input 8x8x1 / flatten / dense 2 softmax\ncompile sgd loss=sparse_categorical_crossentropy"
    )
    shell.run_cell_magic("keras_model", "net -q", text)
    result, _ = run_cell(shell, line)
    assert isinstance(result.error_in_exec, kmagic.KmagicError)
