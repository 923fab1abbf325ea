"""A model's answers about arrays, frames, files and sentences, and how they are shown."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.utils.capture import capture_output
from PIL import Image

import kmagic
from kmagic.data.dataset import Dataset
from kmagic.data.preparation.preparation import Preparation
from kmagic.data.preparation.scaling import Scaling
from kmagic.data.preparation.text_encoding import TextEncoding
from kmagic.evaluation.prediction.predictions import (
    MultiOutputPredictions,
    Predictions,
    output_kind_of,
)
from kmagic.support.errors import DataError, EvaluationError, MagicError
from kmagic.support.formatting import format_value
from kmagic.support.model_registry import set_dataset

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype("float32")
NAMES = ("ant", "bee", "cow")


@pytest.fixture(scope="module")
def net():
    return kmagic.build(
        "input 4 / dense 3 softmax\ncompile adam loss=sparse_categorical_crossentropy"
    )


@pytest.fixture(scope="module")
def line():
    return kmagic.build("input 4 / dense 1\ncompile adam loss=mse")


@pytest.fixture(scope="module")
def eye():
    """A model of small pictures that knows how they were scaled."""
    model = kmagic.build("input 6x6x1 / flatten / dense 3 softmax")
    set_dataset(
        model,
        Preparation("dots", NAMES, Scaling("255"), image_shape=(6, 6), sample_shape=(6, 6, 1)),
    )
    return model


@pytest.fixture
def photos(tmp_path: Path) -> tuple[Path, np.ndarray]:
    pixels = RNG.integers(0, 256, (3, 6, 6), dtype=np.uint8)
    for number, one in enumerate(pixels):
        Image.fromarray(one).save(tmp_path / f"dot{number}.png")
    return tmp_path, pixels


# --- an array in every way ------------------------------------------------------------------------


def test_predictions_are_those_of_keras(net) -> None:
    result = kmagic.predict(net, X)
    assert isinstance(result, np.ndarray)
    np.testing.assert_allclose(result, net.predict(X, verbose=0), rtol=1e-5)
    assert type(np.asarray(result)) is np.ndarray
    assert type(result.array) is np.ndarray


def test_the_inputs_must_have_the_names_and_number_of_the_models() -> None:
    two = kmagic.build("a = input 4 / b = input 4 / add <- a, b / dense 2")
    one = kmagic.build("a = input 4 / dense 2")
    for model, x, words in (
        (one, {"b": X}, "1 input, a, but x has nothing for a"),
        (one, {"": "relu"}, "1 input, a, but x has nothing for a"),
        (two, {"b": X}, "2 inputs, a, b, but x has nothing for a"),
        (two, [X, X, X], "2 inputs, a, b, but x is a list of 3"),
        (two, X, "2 inputs, a, b, but x is a single array"),
    ):
        with pytest.raises(EvaluationError, match=words) as caught:
            kmagic.predict(model, x)
        assert caught.value.remedy.startswith("Pass {'a': ...")
    assert kmagic.predict(two, {"a": X, "b": X}).shape == (40, 2)


def test_a_variable_is_an_array(net) -> None:
    import keras

    predictions = kmagic.predict(net, keras.Variable(X))
    np.testing.assert_allclose(predictions, kmagic.predict(net, X))
    assert predictions._repr_mimebundle_()


def test_derived_arrays_are_plain_arrays(net) -> None:
    result = kmagic.predict(net, X)
    assert type(result[:3]) is np.ndarray
    assert type(result > 0.5) is np.ndarray
    assert type(result + 1) is np.ndarray
    assert result.sum(axis=1).shape == (40,)
    assert repr(result.argmax(axis=1)).startswith("array(")
    with pytest.raises(NotImplementedError):
        result.argmax(axis=1)._repr_mimebundle_()


def test_they_can_be_written_into_and_pickled(net) -> None:
    result = kmagic.predict(net, X)
    result[0] = 0
    assert kmagic.predict(net, X)[0].sum() == pytest.approx(1, abs=1e-5)
    assert (pickle.loads(pickle.dumps(result)) == result).all()  # noqa: S301 - our own bytes


def test_classes_are_numbers_that_compare_with_labels(net) -> None:
    numbers = kmagic.predict_classes(net, X)
    assert numbers.dtype.kind == "i"
    assert (numbers == kmagic.predict(net, X).argmax(axis=1)).all()


def test_probabilities_have_a_column_for_each_class() -> None:
    model = kmagic.build("input 4 / dense 1 sigmoid")
    second = kmagic.predict(model, X)
    both = kmagic.predict_proba(model, X)
    np.testing.assert_allclose(both, np.hstack([1 - second, second]))
    assert (kmagic.predict_classes(model, X) == (second[:, 0] > 0.5)).all()


def test_softmax_is_applied_to_logits() -> None:
    model = kmagic.build(
        "input 4 / dense 3\ncompile adam loss=sparse_categorical_crossentropy(from_logits=true)"
    )
    scores = kmagic.predict(model, X).array
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(kmagic.predict_proba(model, X), shares, rtol=1e-4)


def test_several_labels_at_once() -> None:
    model = kmagic.build("input 4 / dense 5 sigmoid\ncompile adam loss=binary_crossentropy")
    result = kmagic.predict_classes(model, X)
    assert result.shape == (40, 5)
    assert (result == (kmagic.predict(model, X) > 0.5)).all()
    assert "labels" in repr(result)


def test_names_are_those_of_the_training_data(net) -> None:
    set_dataset(net, Preparation(classes=NAMES))
    words = kmagic.predict_classes(net, X, names=True)
    assert set(words) <= set(NAMES)
    assert (words == np.array(NAMES)[kmagic.predict_classes(net, X)]).all()
    frame = kmagic.predict(net, X).to_frame()
    assert list(frame.columns) == ["class", "probability", *NAMES]
    assert (frame["class"] == words).all()
    np.testing.assert_allclose(frame["probability"], frame[list(NAMES)].max(axis=1))


def test_class_names_may_be_passed(net) -> None:
    names = ["x", "y", "z"]
    assert kmagic.predict(net, X, class_names=names).classes == tuple(names)
    assert set(kmagic.predict_classes(net, X, names=True, class_names=names)) <= set(names)
    assert kmagic.predict_proba(net, X, class_names=names).classes == tuple(names)
    ids = np.arange(40) % 3
    words = [names[index] for index in ids]
    expected = kmagic.evaluate(net, X, ids)
    assert kmagic.evaluate(net, X, words, class_names=names) == expected


def test_a_regression_has_no_classes(line) -> None:
    with pytest.raises(EvaluationError, match="returns values of shape"):
        kmagic.predict_classes(line, X)
    set_dataset(line, Preparation(target="price"))
    assert list(kmagic.predict(line, X).to_frame().columns) == ["price"]


def test_several_outputs_are_arrays_by_name() -> None:
    model = kmagic.build("a = input 4\ncls = dense 3 softmax\nbox = dense 2 <- a\noutput cls, box")
    result = kmagic.predict(model, X, name="two")
    assert isinstance(result, MultiOutputPredictions)
    assert {key: value.shape for key, value in result.items()} == {"cls": (40, 3), "box": (40, 2)}
    one, other = model.predict(X, verbose=0)
    np.testing.assert_allclose(result["cls"], one, rtol=1e-5)
    np.testing.assert_allclose(result["box"], other, rtol=1e-4, atol=1e-6)
    assert "two, cls" in repr(result)
    assert ("cls", "probability") in result.to_frame().columns


def test_outputs_by_a_dictionary_and_inputs_too() -> None:
    text = "a = input 4\nb = input 2\nconcatenate <- a, b\n"
    text += "d = dense 3\ne = dense 1 <- d\noutput x=d, y=e"
    model = kmagic.build(text)
    result = kmagic.predict(model, {"a": X, "b": X[:, :2]})
    assert {key: value.shape for key, value in result.items()} == {"x": (40, 3), "y": (40, 1)}
    assert kmagic.predict(model, [X, X[:, :2]])["x"].shape == (40, 3)


# --- all kinds of input ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [X.tolist(), pd.DataFrame(X), X.astype("float64"), list(X)],
    ids=["lists", "frame", "float64", "rows"],
)
def test_the_same_numbers_in_other_types(line, given) -> None:
    expected = kmagic.predict(line, X)
    np.testing.assert_allclose(kmagic.predict(line, given), expected, rtol=1e-4)


def test_one_sample_alone(net) -> None:
    expected = kmagic.predict(net, X[:1])
    for one in (X[0], X[0].tolist(), pd.DataFrame(X).iloc[0]):
        np.testing.assert_allclose(kmagic.predict(net, one), expected, rtol=1e-5)


def test_a_data_set_is_its_test_part(net) -> None:
    labels = np.array([0, 1, 2, 1])
    data = Dataset("few", X[:8], np.zeros(8, int), X[8:12], labels, NAMES)
    result = kmagic.predict(net, data)
    np.testing.assert_allclose(result, kmagic.predict(net, X[8:12]), rtol=1e-6)
    said = repr(result)
    assert said.count("right") + said.count("wrong") == 4
    assert kmagic.predict_classes(net, data).info.y_true is labels


def test_a_raw_frame_is_prepared_like_the_training_data(line) -> None:
    raw = pd.DataFrame(X * 10 + 5, columns=list("abcd"))
    scaling = Scaling("standard", mean=raw.to_numpy().mean(0), deviation=raw.to_numpy().std(0))
    data = Dataset(
        "raw",
        scaling.apply(raw.to_numpy()),
        X[:, 0],
        X,
        X[:, 0],
        scaling=scaling,
        columns=tuple("abcd"),
    )
    set_dataset(line, data)
    expected = kmagic.predict(line, scaling.apply(raw.to_numpy()))
    np.testing.assert_allclose(kmagic.predict(line, raw), expected, rtol=1e-4, atol=1e-5)
    turned = raw[["d", "c", "b", "a"]]
    np.testing.assert_allclose(kmagic.predict(line, turned), expected, rtol=1e-4, atol=1e-5)


def test_image_bytes_are_scaled_and_floats_are_not(eye, photos) -> None:
    _, pixels = photos
    ready = (pixels / 255).astype("float32")[..., None]
    expected = kmagic.predict(eye, ready)
    np.testing.assert_allclose(kmagic.predict(eye, pixels), expected, rtol=1e-5)


def test_files_folders_and_patterns(eye, photos) -> None:
    folder, pixels = photos
    expected = kmagic.predict(eye, pixels)
    for given in (
        str(folder),
        folder,
        f"{folder}/*.png",
        [str(folder / f"dot{n}.png") for n in range(3)],
        [Image.fromarray(one) for one in pixels],
    ):
        np.testing.assert_allclose(kmagic.predict(eye, given), expected, rtol=1e-5)
    frame = kmagic.predict(eye, f"{folder}/*.png").to_frame()
    assert [Path(name).name for name in frame.index] == ["dot0.png", "dot1.png", "dot2.png"]
    assert list(frame.columns) == ["class", "probability", *NAMES]


def test_a_missing_or_damaged_file_is_an_error(eye, tmp_path) -> None:
    with pytest.raises(EvaluationError, match=r"nowhere\.png"):
        kmagic.predict(eye, "nowhere.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(EvaluationError, match="broken"):
        kmagic.predict(eye, tmp_path / "broken.png")


def test_sentences_after_training_on_word_numbers() -> None:
    model = kmagic.build("input 4 int32 / embedding 10 4 / gap1d / dense 1 sigmoid")
    encoding = TextEncoding(("", "[UNK]", "good", "bad", "film"), maxlen=4)
    data = Preparation("films", ("bad", "good"), encoding=encoding, sample_shape=(4,))
    set_dataset(model, data)
    texts = ["good film", "a bad film"]
    result = kmagic.predict(model, texts)
    np.testing.assert_allclose(result, kmagic.predict(model, encoding.encode(texts)), rtol=1e-6)
    assert "good film" in repr(result)
    assert kmagic.predict(model, "good film").shape == (1, 1)
    assert kmagic.predict(model, pd.Series(texts)).shape == (2, 1)
    assert kmagic.predict(model, [[2, 4], [3]]).shape == (2, 1)


def test_files_of_texts(tmp_path) -> None:
    model = kmagic.build("input 4 int32 / embedding 10 4 / gap1d / dense 1 sigmoid")
    encoding = TextEncoding(("", "[UNK]", "good", "bad", "film"), maxlen=4)
    set_dataset(model, Preparation("films", ("bad", "good"), encoding=encoding, sample_shape=(4,)))
    texts = {"a.txt": "good film", "b.txt": "a bad film"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    expected = kmagic.predict(model, list(texts.values()))
    files = [tmp_path / name for name in texts]
    for given in (
        tmp_path,
        str(tmp_path),
        f"{tmp_path}/*.txt",
        files,
        [str(each) for each in files],
    ):
        result = kmagic.predict(model, given)
        np.testing.assert_allclose(result, expected, rtol=1e-6)
    assert [Path(name).name for name in result.to_frame().index] == list(texts)
    with pytest.raises(EvaluationError, match="There is no file"):
        kmagic.predict(model, tmp_path / "nowhere.txt")


def test_sentences_to_a_model_of_strings() -> None:
    texts = ["a good film", "a bad film"]
    model = kmagic.build(
        "input string / text_vectorization 20 output_sequence_length=3 adapt={texts}"
        " / embedding 20 2"
        " / gap1d / dense 2 softmax",
        texts=texts,
    )
    assert kmagic.predict(model, texts).shape == (2, 2)
    assert kmagic.predict(model, texts[0]).shape == (1, 2)


def test_a_model_of_numbers_rejects_sentences() -> None:
    model = kmagic.build("input 4 / dense 1")
    with pytest.raises(EvaluationError, match="expects numbers") as caught:
        kmagic.predict(model, "a great film")
    assert "text_vectorization" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("input 4 / dense 1", None),
        ("input 25 / dense 1", tuple("abcdefghijklmnopqrstuvwxy")),
        ("input 25 int32 / embedding 9 2 / flatten / dense 1", None),
    ],
)
def test_a_model_of_rows_rejects_photos(text, columns, photos) -> None:
    model = kmagic.build(text)
    if columns:
        rows = np.zeros((1, len(columns)))
        set_dataset(model, Dataset("rows", rows, rows[:, 0], rows, rows[:, 0], columns=columns))
    with pytest.raises(EvaluationError, match=r"expects rows of \d+ numbers, not images"):
        kmagic.predict(model, photos[0] / "dot0.png")


def test_a_model_of_flat_images_accepts_photos(photos) -> None:
    assert kmagic.predict(kmagic.build("input 36 / dense 2"), photos[0] / "dot0.png").shape == (
        1,
        2,
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a great film", "was trained on rows of 4 columns; got the text 'a great film'"),
        ("rows.csv", "There is no file rows.csv."),
        ("~nosuchuser/rows.csv", "There is no file ~nosuchuser/rows.csv."),
    ],
)
def test_a_model_of_a_table_rejects_sentences(given, message) -> None:
    model = kmagic.build("input 4 / dense 1")
    set_dataset(model, Dataset("rows", X, X[:, 0], X, X[:, 0], columns=tuple("abcd")))
    with pytest.raises(EvaluationError) as caught:
        kmagic.predict(model, given)
    assert message in caught.value.message


def test_a_model_of_images_rejects_sentences(eye) -> None:
    with pytest.raises(EvaluationError, match="was trained on images"):
        kmagic.predict(eye, "a great film")


@pytest.mark.parametrize("given", [5, None, X[:, :3], []])
def test_invalid_samples_are_rejected(net, given) -> None:
    with pytest.raises((EvaluationError, DataError)):
        kmagic.predict(net, given)


def test_a_stream_is_predicted(net) -> None:
    import tensorflow as tf

    stream = tf.data.Dataset.from_tensor_slices(X).batch(8)
    np.testing.assert_allclose(kmagic.predict(net, stream), kmagic.predict(net, X), rtol=1e-5)


# --- evaluate -------------------------------------------------------------------------------------


def test_a_data_set_is_evaluated_with_its_own_labels(net) -> None:
    data = Dataset("few", X[:8], np.zeros(8, int), X[8:12], np.array([0, 1, 2, 1]), NAMES)
    result = kmagic.evaluate(net, data)
    assert result == kmagic.evaluate(net, X[8:12], data.y_test)
    assert result.unit == "test samples"


def test_class_names_are_evaluated_as_their_ids(net) -> None:
    set_dataset(net, Preparation(classes=NAMES))
    numbers = np.arange(40) % 3
    words = [NAMES[n] for n in numbers]
    assert kmagic.evaluate(net, X, words) == kmagic.evaluate(net, X, numbers)
    assert kmagic.evaluate(net, X, pd.Series(words)) == kmagic.evaluate(net, X, numbers)
    with pytest.raises(EvaluationError, match="y= contains 'dog'"):
        kmagic.evaluate(net, X, ["dog"] * 40)


def test_files_are_evaluated(eye, photos) -> None:
    folder, pixels = photos
    eye.compile("adam", "sparse_categorical_crossentropy")
    ready = (pixels / 255).astype("float32")[..., None]
    result = kmagic.evaluate(eye, str(folder), np.array([0, 1, 2]))
    assert result["loss"] == pytest.approx(kmagic.evaluate(eye, ready, np.array([0, 1, 2]))["loss"])


# --- what the answers mean ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "logits"),
    [
        ("input 2 / dense 3 softmax", "classes", False),
        ("input 2 / dense 3 / softmax", "classes", False),
        ("input 2 / dense 3 / activation softmax", "classes", False),
        ("input 2 / dense 1 sigmoid", "classes", False),
        ("input 2 / dense 4 sigmoid", "labels", False),
        ("input 2 / dense 1", "values", False),
        ("input 2 / dense 3 relu", "values", False),
        ("input 2 / dense 1\ncompile loss=binary_crossentropy(from_logits=true)", "classes", True),
        ("input 2 / dense 4\ncompile loss=binary_crossentropy(from_logits=true)", "labels", True),
        (
            "input 2 / dense 3\ncompile loss=categorical_crossentropy(from_logits=true)",
            "classes",
            True,
        ),
        ("input 2 / dense 1\ncompile loss=mse", "values", False),
    ],
)
def test_the_kind_of_output_is_inferred_from_the_model(text, kind, logits) -> None:
    model = kmagic.build(text)
    answers = model.predict(X[:, :2], verbose=0)
    result = output_kind_of(model, answers)
    assert (result.kind, result.logits) == (kind, logits)


# --- the card -------------------------------------------------------------------------------------


def test_the_card_shows_the_first_rows_and_how_to_keep_the_array(net) -> None:
    set_dataset(net, Preparation(classes=NAMES))
    bundle = kmagic.predict(net, X)._repr_mimebundle_()
    for kind in ("text/plain", "text/html"):
        assert "(40, 3)" in bundle[kind]
        assert "-o NAME" in bundle[kind]
        assert any(name in bundle[kind] for name in NAMES)
    assert bundle["text/html"].count("<tr>") == 10
    assert "30 more" in bundle["text/plain"]
    assert "`-o NAME`" in bundle["text/plain"]
    assert ">-o NAME</code>" in bundle["text/html"]


def test_a_number_of_a_sample_is_not_cut() -> None:
    rows = np.linspace(-1.23456, 9.87654, 4 * 13).reshape(4, 13)
    model = kmagic.build("input 13 / dense 1")
    bundle = kmagic.predict(model, rows)._repr_mimebundle_()
    whole = {format_value(value) for value in rows[0].tolist()}
    said = re.search(r"\[(.*?) \.\.\.\]", bundle["text/plain"])[1]
    cell = re.search(r"<bdi[^>]*>(-.*?) \.\.\.</bdi>", bundle["text/html"])[1]
    for shown in (said, cell):
        assert set(shown.split(", ")) <= whole
    assert len(said) <= 48 < len(cell) <= 90


def test_the_facts_agree_in_number(net) -> None:
    said = [kmagic.predict(net, X[:k])._repr_mimebundle_()["text/plain"] for k in (1, 2)]
    assert "1 prediction \u00b7 with its most likely classes" in said[0]
    assert "2 predictions \u00b7 with their most likely classes" in said[1]


def test_the_card_shows_thumbnails(eye, photos) -> None:
    folder, pixels = photos
    for given in (str(folder), pixels):
        assert kmagic.predict(eye, given)._repr_mimebundle_()["text/html"].count("<img") == 3


def test_text_is_left_aligned_in_untrusted_notebooks(net) -> None:
    set_dataset(net, Preparation(classes=NAMES))
    markup = kmagic.predict(net, X)._repr_mimebundle_()["text/html"]
    cells = re.findall(r'<td class="km-left[^>]*>', markup)
    assert cells
    assert all("text-align:left" in cell for cell in cells)


def test_names_are_escaped() -> None:
    model = kmagic.build("input 4 / dense 2 softmax")
    set_dataset(model, Preparation(classes=("<b>x</b>", "y")))
    markup = kmagic.predict(model, X)._repr_mimebundle_()["text/html"]
    assert "<b>x</b>" not in markup
    assert "&lt;b&gt;x" in markup


# --- the magic ------------------------------------------------------------------------------------


@pytest.fixture
def shell(shell, net, eye):
    shell.user_ns.update(net=net, eye=eye, x=X, y=np.arange(40) % 3)
    return shell


def test_o_binds_an_array(shell, net) -> None:
    with capture_output() as shown:
        shell.run_line_magic("keras_predict", "net x -o p")
    assert isinstance(shell.user_ns["p"], Predictions)
    np.testing.assert_allclose(shell.user_ns["p"], net.predict(X, verbose=0), rtol=1e-5)
    assert len(shown.outputs) == 1
    assert "<table" in shown.outputs[0].data["text/html"]


def test_classes_probabilities_and_quiet(shell) -> None:
    with capture_output() as shown:
        numbers = shell.run_line_magic("keras_predict", "net x --classes -q")
        shares = shell.run_line_magic("keras_predict", "net {x[:5]} --proba -q")
    assert shown.outputs == []
    assert numbers.shape == (40,)
    assert shares.shape == (5, 3)
    with pytest.raises(MagicError, match="cannot be combined"):
        shell.run_line_magic("keras_predict", "net x --classes --proba")


def test_errors_use_the_names_of_the_line(shell) -> None:
    shell.user_ns["mine"] = kmagic.build(
        "model b2\ninput 4 / dense 3 softmax\ncompile adam loss=mse"
    )
    for magic, words in (("predict", "mine {x[:, :3]}"), ("evaluate", "mine {x[:, :3]} y")):
        with pytest.raises(EvaluationError, match="The model 'mine' expects samples"):
            shell.run_line_magic(f"keras_{magic}", words)
    with pytest.raises(EvaluationError, match="data of %keras_data"):
        shell.run_line_magic("keras_predict", 'mine "a great film"')


def test_a_file_in_the_line(shell, photos) -> None:
    folder, _ = photos
    for words in (
        f"'{folder}/*.png'",
        f"{folder}/*.png",
        f"{folder}/dot0.png {folder}/dot1.png {folder}/dot2.png",
    ):
        result = shell.run_line_magic("keras_predict", f"eye {words} -q")
        assert result.shape == (3, 3)


def test_files_are_evaluated_by_the_magic(shell, photos) -> None:
    folder, _ = photos
    shell.user_ns["eye"].compile("adam", "sparse_categorical_crossentropy")
    result = shell.run_line_magic("keras_evaluate", f"eye {folder} {{y[:3]}} -q")
    assert list(result) == ["loss"]


def test_an_interrupt_is_quiet_and_the_next_call_predicts_all(shell, net, monkeypatch) -> None:
    asked = net.predict_on_batch
    done = []

    def once(batch):
        if done:
            raise KeyboardInterrupt
        done.append(len(batch))
        return asked(batch)

    shell.user_ns["fresh"] = X + 1
    monkeypatch.setattr(net, "predict_on_batch", once)
    with capture_output() as shown:
        assert shell.run_line_magic("keras_predict", "net fresh -b 10 -o never") is None
    assert shown.stdout == "Interrupted.\n"
    assert "never" not in shell.user_ns
    monkeypatch.setattr(net, "predict_on_batch", asked)
    result = shell.run_line_magic("keras_predict", "net fresh -b 10 -q")
    np.testing.assert_allclose(result, net.predict(X + 1, verbose=0), rtol=1e-4)


def test_x_and_y_may_both_be_named(shell) -> None:
    assert shell.run_line_magic("keras_predict", "net x y -q").shape == (40, 3)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("net", "expected something to predict"),
        ("net nowhere", "no such variable or file"),
        ("net x --data x", "already names the data"),
        ("net x -b zero", "must be a whole number"),
    ],
)
def test_invalid_lines(shell, line, said) -> None:
    with pytest.raises(MagicError, match=said):
        shell.run_line_magic("keras_predict", line)


@pytest.mark.parametrize(
    "text",
    [
        "input 4 / dense 1",
        "dense 3",
        "a = input 4\nb = input 4\nadd <- a, b",
        "model inner:\n  input 4\n  dense 2\ninput 4\ninner",
    ],
)
def test_any_model_has_a_summary(shell, text) -> None:
    shell.user_ns["any"] = kmagic.build(text)
    with capture_output() as shown:
        shell.run_line_magic("keras_summary", "any")
        shell.run_line_magic("keras_summary", "any --keras")
    assert "any" in shown.outputs[0].data["text/plain"]


def test_a_model_of_the_users_own_class_has_a_summary(shell) -> None:
    import keras

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    shell.user_ns["own"] = Own()
    with capture_output() as shown:
        shell.run_line_magic("keras_summary", "own")
    assert "own" in shown.outputs[0].data["text/plain"]


def test_patterns_of_text_files_leave_hidden_ones_out(tmp_path) -> None:
    model = kmagic.build("input 4 int32 / embedding 10 4 / gap1d / dense 1 sigmoid")
    encoding = TextEncoding(("", "[UNK]", "good", "bad", "film"), maxlen=4)
    set_dataset(model, Preparation("films", ("bad", "good"), encoding=encoding, sample_shape=(4,)))
    (tmp_path / "more").mkdir()
    for name in ("a.txt", ".a.txt", "._a.txt", "more/b.txt"):
        (tmp_path / name).write_text("good film", encoding="utf-8")
    for pattern, count in (("*.txt", 1), ("**/*.txt", 2), ("*", 1), ("more/*", 1)):
        assert len(kmagic.predict(model, f"{tmp_path}/{pattern}")) == count
    for missing in ("nope.txt", "nope*.txt"):
        with pytest.raises(EvaluationError, match=r"no file|No file"):
            kmagic.predict(model, f"{tmp_path}/{missing}")
    for sentence in ("Is it good?", "What a *good* film [sic]", "5/5 *"):
        assert kmagic.predict(model, sentence).shape == (1, 1)


def test_texts_of_a_dataset_with_another_vocabulary() -> None:
    model = kmagic.build("input 4 int32 / embedding 10 4 / gap1d / dense 1 sigmoid")
    encoding = TextEncoding(("", "[UNK]", "good", "bad", "film"), maxlen=4)
    own = Preparation("films", ("bad", "good"), encoding=encoding, sample_shape=(4,))
    set_dataset(model, own)
    texts = np.array(["good film", "bad film"], dtype=object)
    x, y = own.prepare(texts.tolist()), np.array([1, 0])

    def predictions(x_test: Any, preparation: Preparation) -> Any:
        fields = {"x_test": x_test, "y_test": y, "preparation": preparation, "name": "reviews"}
        return kmagic.predict(model, SimpleNamespace(**fields))

    expected = predictions(x, own)
    np.testing.assert_array_equal(predictions(x, replace(own, name="reviews")), expected)
    np.testing.assert_array_equal(predictions(texts, Preparation(sample_shape=())), expected)
    other = replace(own, encoding=TextEncoding(("", "[UNK]", "film", "good"), maxlen=4))
    with pytest.raises(EvaluationError, match="another vocabulary than that of reviews"):
        predictions(x, other)
