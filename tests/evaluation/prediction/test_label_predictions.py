"""Models of several labels per sample, from the data to predictions and thresholds."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import f1_score

import kmagic
from kmagic.data import load_data
from kmagic.evaluation.confusion.confusion import confusion, confusion_of
from kmagic.evaluation.prediction.file_prediction import predict_to_file
from kmagic.evaluation.prediction.predict import predict, predict_classes, predict_proba
from kmagic.support.errors import EvaluationError, TrainingError
from kmagic.support.model_registry import record_for

NAMES = ("sun", "sky, sea", "שמש")


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(80, 3)), columns=["u", "v", "w"])
    for name, column in zip(NAMES, ("u", "v", "w"), strict=True):
        frame[name] = (frame[column] > 0.3).astype(int)
    return frame


@pytest.fixture
def data():
    return load_data(table(), target=list(NAMES), features="u,v,w", name="views")


def model_of(activation: str | None = "sigmoid", units: int = 3) -> keras.Model:
    """A model whose logits are five times the inputs."""
    layer = keras.layers.Dense(units, activation=activation)
    model = keras.Sequential([keras.Input((3,)), layer], name="net")
    layer.set_weights([5 * np.eye(3, units), np.full(units, -1.0)])
    return model


def known(model, data):
    record_for(model).dataset = data
    return model


def test_labels_are_shown_with_their_probabilities(data):
    model = known(model_of(), data)
    result = predict(model, data)
    expected = result.array > 0.5
    frame = result.to_frame()
    assert list(frame.columns) == [*NAMES, "labels"]
    names = [[NAMES[k] for k in np.flatnonzero(row)] for row in expected]
    assert frame["labels"].tolist() == names
    text = repr(result)
    assert "with their labels above 0.5" in text
    assert text.count("(right)") + text.count("(wrong") == 10
    first = next(row for row, has in enumerate(expected) if has.any())
    share = result.array[first][expected[first]].max()
    assert f"{share:.1%}" in text.splitlines()[1 + first]
    np.testing.assert_array_equal(predict_classes(model, data), expected)
    assert predict_classes(model, data, names=True).tolist() == names
    assert predict_classes(model, data, names=True).to_frame()["labels"].tolist() == names
    np.testing.assert_allclose(predict_proba(model, data), result.array)


@pytest.mark.parametrize("threshold", [0.2, [0.2, 0.5, 0.9], {"sun": 0.2, "שמש": 0.9}])
def test_thresholds(data, threshold):
    model = known(model_of(), data)
    each = [0.2, 0.5, 0.9] if not isinstance(threshold, float) else [threshold] * 3
    expected = np.asarray(predict(model, data)) > each
    np.testing.assert_array_equal(predict_classes(model, data, threshold=threshold), expected)
    result = predict(model, data, threshold=threshold)
    assert [len(row) for row in result.to_frame()["labels"]] == expected.sum(axis=1).tolist()
    assert confusion_of(model, data, threshold=threshold).predictions.predicted.tolist() == (
        expected.tolist()
    )


def test_thresholds_that_are_refused(data):
    model = known(model_of(), data)
    with pytest.raises(EvaluationError, match="threshold= must be one number, or one for each"):
        predict(model, data, threshold=[0.1, 0.2])
    with pytest.raises(EvaluationError, match="'rain' is not one of the labels"):
        predict(model, data, threshold={"rain": 0.2})
    classes = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, "softmax")])
    with pytest.raises(EvaluationError, match="threshold= needs several labels per sample"):
        predict(classes, data.x_test, threshold=0.2)


def test_best_thresholds_are_used_to_predict(data):
    model = known(model_of(), data)
    found = confusion_of(model, data.x_train, data.y_train).best_thresholds()
    assert list(found) == list(NAMES)
    predicted = predict_classes(model, data.x_train, threshold=found)
    plain = predict_classes(model, data.x_train)
    for k in range(3):
        assert f1_score(data.y_train[:, k], predicted[:, k]) >= f1_score(
            data.y_train[:, k], plain[:, k]
        )
    note = confusion_of(model, data, threshold="best").note
    assert "on these test samples, so the metrics are too good" in note


def test_a_table_into_a_file(data, tmp_path):
    model = known(model_of(), data)
    table().to_parquet(tmp_path / "table.parquet")
    options = {"threshold": {"sun": 0.05}}
    result = predict_to_file(model, tmp_path / "table.parquet", tmp_path / "out.parquet", **options)
    frame, expected = result.to_frame(), predict(model, table()[["u", "v", "w"]], **options)
    np.testing.assert_allclose(frame[list(NAMES)], expected, rtol=1e-5)
    assert [list(row) for row in frame["labels"]] == expected.to_frame()["labels"].tolist()


def test_logits_become_probabilities(data):
    model, other = known(model_of(None), data), known(model_of(), data)
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    np.testing.assert_allclose(predict_proba(model, data), predict(other, data), rtol=1e-5)
    found = [confusion_of(m, data).predictions for m in (model, other)]
    np.testing.assert_allclose(found[0].scores, found[1].scores, rtol=1e-5)
    by_logit = confusion_of(model, data, threshold=0).predictions.predicted
    np.testing.assert_array_equal(by_logit, found[0].predicted)


def test_one_label_and_rows_like_classes(data):
    frame = table().assign(rest=lambda rows: 1 - rows["sun"])
    one = load_data(frame, target="sun", features="u,v,w", task="multilabel")
    model = known(model_of(units=1), one)
    assert list(predict(model, one).to_frame().columns) == ["sun", "labels"]
    assert confusion_of(model, one).classes == ("sun",)
    two = load_data(frame, target="sun,rest", features="u,v,w", task="multilabel")
    model = known(model_of(units=2), two)
    assert predict(model, two).info.output_kind.kind == "labels"
    assert len(confusion_of(model, two).matrices) == 2


# --- training -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "loss"), [("sigmoid", "binary_crossentropy"), (None, "binary_crossentropy")]
)
def test_the_loss_of_an_uncompiled_model(data, activation, loss):
    model = model_of(activation)
    run = kmagic.fit(model, data.x_train, data.y_train, epochs=1, displays=[])
    assert loss in (model.loss, getattr(model.loss, "name", ""))
    assert getattr(model.loss, "from_logits", False) == (activation is None)
    correct = (np.asarray(predict_classes(model, data)) == data.y_test).mean()
    assert model.evaluate(data.x_test, data.y_test, verbose=0)[1] == pytest.approx(correct)
    assert "metrics=binary_accuracy" in " ".join(text for _, text in run.messages)


def test_numbers_of_zero_and_one_stay_numbers():
    data = load_data(table(), target=list(NAMES), features="u,v,w", task="regression")
    model = model_of(None)
    kmagic.fit(model, data.x_train, data.y_train, epochs=1, displays=[])
    assert model.loss == "mse"


def test_what_suits_one_class_per_sample_is_refused(data):
    softmax = model_of("softmax")
    softmax.compile("adam", "categorical_crossentropy")
    with pytest.raises(TrainingError, match="0 to 3 labels per sample, but categorical"):
        kmagic.fit(softmax, data.x_train, data.y_train, displays=[])
    model = model_of()
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    for weights in ({"sun": 2.0}, {0: 2.0, 1: 1.0, 2: 1.0}, "balanced"):
        with pytest.raises(TrainingError, match="class_weight= needs one class per sample"):
            kmagic.fit(model, data.x_train, data.y_train, class_weight=weights, displays=[])
    with pytest.raises(TrainingError, match="the targets are not one class per sample"):
        kmagic.fit(
            model, data.x_train, data.y_train, validation_split=0.2, watch="confusion",
            displays=[],
        )  # fmt: skip
    run = kmagic.fit(model, data.x_train, data.y_train, epochs=1, displays=[])
    assert "accuracy compares only the most probable label" in run.messages[-1][1]


def test_folds_keep_the_proportions_of_labels(data):
    model = model_of()
    model.compile("adam", "binary_crossentropy")
    result = kmagic.cross_validate(
        model, data.x_train, data.y_train, folds=3, epochs=1, displays=[]
    )
    assert result.kind == "stratified by labels"
    assert result.is_multilabel
    matrix = confusion(result)
    assert matrix.classes == NAMES
    np.testing.assert_array_equal(matrix.predictions.true, data.y_train == 1)


def test_a_saved_model_keeps_the_labels(data, tmp_path):
    model = known(model_of(), data)
    kmagic.save(model, tmp_path / "net.keras")
    loaded = kmagic.load(tmp_path / "net.keras")
    rows = table()[["u", "v", "w"]].head(4)
    assert predict(loaded, rows).to_frame().equals(predict(model, rows).to_frame())


def test_several_values_have_their_names(tmp_path):
    data = load_data(table(), target=["u", "v"], features=["w", "sun", "שמש"])
    model = known(model_of(None, units=2), data)
    result = predict(model, data)
    assert list(result.to_frame().columns) == ["u", "v"]
    assert "u, v" in repr(result).splitlines()[0]
    kmagic.save(model, tmp_path / "net.keras")
    loaded = kmagic.load(tmp_path / "net.keras")
    assert list(predict(loaded, data.x_test).to_frame().columns) == ["u", "v"]


# --- images ---------------------------------------------------------------------------------------


def test_images_with_several_labels(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for number in range(24):
        has = rng.random(2) > 0.5
        pixels = np.zeros((8, 8, 3), np.uint8)
        pixels[:4, :, 0], pixels[4:, :, 1] = 250 * has[0], 250 * has[1]
        file = tmp_path / f"{number}.png"
        Image.fromarray(pixels).save(file)
        rows.append((str(file), *has.astype(int)))
    frame = pd.DataFrame(rows, columns=["file", "red", "green"])
    options = {"features": "file", "scale": 255}
    data = load_data(frame, target="red,green", **options)
    assert data.classes == ("red", "green")
    one = load_data(frame[["file", "red"]], target="red", task="multilabel", **options)
    assert (one.classes, one.y_train.shape[1:]) == (("red",), (1,))
    values = load_data(frame.assign(p=rng.random(24)), target="p,red", **options)
    assert values.targets == ("p", "red")
    tags = [[name for name in ("red", "green") if row[name]] for _, row in frame.iterrows()]
    listed = load_data((frame["file"].tolist(), tags), scale=255)
    assert listed.classes == ("green", "red")
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2))
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    kernel = np.zeros((8, 8, 3, 2))
    kernel[:4, :, 0, 0], kernel[4:, :, 1, 1] = 0.1, 0.2
    model.layers[-1].set_weights([kernel.reshape(-1, 2), np.array([-1.0, -2.0])])
    known(model, data)
    files = frame["file"].tolist()
    probabilities = predict_proba(model, files)
    np.testing.assert_array_equal(probabilities.array > 0.5, frame[["red", "green"]])
    result = kmagic.classify(files, model, top=2)
    for image, row in zip(result, probabilities.array, strict=True):
        assert {best.label: best.probability for best in image.top_classes} == pytest.approx(
            dict(zip(("red", "green"), row, strict=True)), abs=1e-5
        )
        assert image.true_class is None
    with pytest.raises(EvaluationError, match="y_true= must have one class per image"):
        kmagic.classify(files, model, y_true=frame["red"])
    table_of = predict_to_file(model, files, tmp_path / "out.parquet").to_frame()
    assert len(table_of) == 48
    with pytest.raises(EvaluationError, match="threshold= only applies to tables"):
        predict_to_file(model, files, tmp_path / "other.parquet", threshold=0.3)


def test_labels_that_only_one_part_has_are_reported(data):
    model = model_of()
    model.compile("adam", "binary_crossentropy")
    y = data.y_train.copy()
    y[:, 2] = np.arange(len(y)) >= 0.8 * len(y)
    run = kmagic.fit(model, data.x_train, y, validation_split=0.2, epochs=1, displays=[])
    messages = " ".join(text for _, text in run.messages)
    assert "label 2 has no training samples" in messages


def test_columns_of_targets_are_compared_by_their_names(data):
    model = known(model_of(), data)
    model.compile("adam", "binary_crossentropy", metrics=["binary_accuracy"])
    frame = table()
    answers = frame[list(NAMES)].assign(sun=frame["sun"].map({0: "no", 1: "yes"}))
    expected = confusion_of(model, frame, frame[list(NAMES)].to_numpy())
    reordered = answers[[NAMES[2], NAMES[0], NAMES[1]]]
    for result in (
        confusion_of(model, frame, reordered),
        confusion(reordered, predict(model, frame)),
    ):
        np.testing.assert_array_equal(result.matrices, expected.matrices)
    metrics = kmagic.evaluate(model, frame, frame[list(NAMES)].to_numpy())
    assert kmagic.evaluate(model, frame, reordered) == metrics


def test_columns_of_values_are_compared_by_their_names():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)).astype(np.float32)
    y = pd.DataFrame({"rent": x[:, 0] * 5, "price": x[:, 1] * 5})
    data = load_data((x, y))
    assert data.targets == ("rent", "price")
    model = known(model_of(None, 2), data)
    predictions = predict(model, x)
    for result in (
        kmagic.errors_of(model, x, y[["price", "rent"]]),
        kmagic.errors(y[["price", "rent"]], predictions),
    ):
        assert result.columns.names == ("rent", "price")
        np.testing.assert_allclose(result.columns.true, y.to_numpy())


def test_a_series_of_thresholds_belongs_to_its_labels(data):
    model = known(model_of(), data)
    thresholds = confusion_of(model, data, threshold=[0.2, 0.5, 0.9]).label_scores()["threshold"]
    result = confusion_of(model, data, threshold=thresholds[::-1])
    assert result.predictions.thresholds.tolist() == [0.2, 0.5, 0.9]
    unnamed = confusion_of(model, data, threshold=pd.Series([0.2, 0.5, 0.9]))
    assert unnamed.predictions.thresholds.tolist() == [0.2, 0.5, 0.9]


def test_words_in_targets_become_numbers_by_the_remedy(data):
    model = known(model_of(), data)
    model.compile("adam", "binary_crossentropy")
    frame = table()
    y = frame[list(NAMES)].assign(sun=frame["sun"].map({0: "off", 1: "on"}))
    with pytest.raises(EvaluationError, match="the labels are texts such as 'off'") as info:
        kmagic.evaluate(model, frame, y)
    remedy = str(info.value).split("by numbers: ")[1].rstrip(".")
    values = eval(remedy, {"pandas": pd, "y": y})  # noqa: S307 - the remedy of the message
    assert np.array_equal(values, frame[list(NAMES)].to_numpy())
