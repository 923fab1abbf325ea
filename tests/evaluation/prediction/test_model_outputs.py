"""Models with several outputs: their names, one of them, and what is known about it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, mean_absolute_error

import kmagic
from kmagic.data import load_data
from kmagic.evaluation.prediction.model_outputs import (
    only_output_with_classes,
    output_kind,
    output_names,
    select_output,
)
from kmagic.support.errors import DataError, EvaluationError, TrainingError
from kmagic.support.model_registry import dataset_for, is_untrained

ROWS = 90
TEXT = """
input 4
h = dense 8 relu
kind = dense 3 softmax <- h
big = dense 1 sigmoid <- h
size = dense 1 <- h
output {outputs}
"""
LIST, DICT = "kind, big, size", "kind=kind, big=big, size=size"


@pytest.fixture(scope="module")
def data() -> Any:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 4)).astype("float32")
    kind = np.array(["a", "b", "c"])[np.arange(ROWS) % 3]
    y = {"kind": kind, "big": np.where(x[:, 0] > 0, "yes", "no"), "size": x.sum(axis=1)}
    return load_data((x, y), name="things")


def build(outputs: str = LIST) -> Any:
    keras.utils.set_random_seed(1)
    return kmagic.build(TEXT.format(outputs=outputs))


@pytest.fixture(scope="module", params=[LIST, DICT], ids=["list", "dict"])
def model(request, data) -> Any:
    model = build(request.param)
    kmagic.fit(model, data, epochs=2, displays=[], validation_split=0.2)
    return model


def expected(model: Any, data: Any, name: str) -> Any:
    outputs = model.predict(data.x_test, verbose=0)
    return outputs[name] if isinstance(outputs, dict) else outputs[output_names(model).index(name)]


# --- training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [LIST, DICT])
def test_a_loss_is_chosen_for_each_output(data, outputs) -> None:
    model = build(outputs)
    run = kmagic.fit(model, data, displays=[], seed=1)
    assert "loss={kind: sparse_categorical_crossentropy, big: binary_crossentropy, size: mse}" in (
        run.messages[0].text
    )
    other = build(outputs)
    other.compile(
        "adam",
        {"kind": "sparse_categorical_crossentropy", "big": "binary_crossentropy", "size": "mse"},
        metrics={"kind": ["accuracy"], "big": ["accuracy"], "size": ["mae"]},
    )
    assert run.history == kmagic.fit(other, data, displays=[], seed=1).history
    assert {"kind_accuracy", "big_accuracy", "size_mae"} <= set(run.history)


def test_targets_and_outputs_must_have_the_same_names(data) -> None:
    model = build("first=kind, big=big, size=size")
    with pytest.raises(TrainingError, match="outputs, first, big, size, but y has kind, big, size"):
        kmagic.fit(model, data, displays=[])
    fewer = build("kind, big")
    with pytest.raises(TrainingError, match="the model has 2 outputs, kind, big, but y has size"):
        kmagic.fit(fewer, data, displays=[])


def test_a_model_with_one_output_gets_the_target_of_its_name(data) -> None:
    model = kmagic.build("input 4 / big = dense 1 sigmoid")
    kmagic.fit(model, data, displays=[], validation_data=data)
    assert dataset_for(model).classes == ("no", "yes")
    assert kmagic.confusion_of(model, data).classes == ("no", "yes")
    other = kmagic.build("input 4 / dense 3 softmax")
    with pytest.raises(TrainingError, match="but y has kind, big, size"):
        kmagic.fit(other, data, displays=[])
    kmagic.fit(other, data.x_train, data.y_train["kind"], displays=[])
    assert kmagic.confusion_of(other, data).classes == ("a", "b", "c")
    unknown = kmagic.build("input 4 / dense 3 softmax")
    with pytest.raises(EvaluationError, match="things has 3 targets, kind, big, size, and none"):
        kmagic.confusion_of(unknown, data)


def test_class_weight_is_refused_and_weights_of_one_output_are_enough(data) -> None:
    model = build()
    for weight in ("balanced", {"kind": {0: 1.0}}):
        with pytest.raises(TrainingError, match="class_weight= needs a model with one output"):
            kmagic.fit(model, data, class_weight=weight, displays=[])
    weights = np.ones(len(data.x_train))
    one = kmagic.fit(build(), data, sample_weight={"kind": 2 * weights}, displays=[], seed=1)
    by_name = {"kind": 2 * weights, "big": weights, "size": weights}
    every = kmagic.fit(build(), data, sample_weight=by_name, displays=[], seed=1)
    assert one.history == every.history
    with pytest.raises(TrainingError, match="has 'kid', which is no output"):
        kmagic.fit(model, data, sample_weight={"kid": weights}, displays=[])


def test_one_output_is_watched(data) -> None:
    model = build()
    options = {"watch": "confusion", "validation_data": data, "displays": []}
    run = kmagic.fit(model, data, output="big", **options)
    predicted = (expected(model, data, "big")[:, 0] > 0.5).astype(int)
    assert run.confusion.classes == ("no", "yes")
    true = confusion_matrix(data.y_test["big"], predicted, labels=[0, 1])
    assert run.confusion.matrix.tolist() == true.tolist()
    with pytest.raises(TrainingError, match="has 3 outputs: kind, big, size"):
        kmagic.fit(model, data, **options)
    with pytest.raises(TrainingError, match="output= says which output is watched"):
        kmagic.fit(model, data, output="big", displays=[])
    two = build("kind, size")
    y = {name: data.y_train[name] for name in ("kind", "size")}
    run = kmagic.fit(two, data.x_train, y, watch="confusion", validation_split=0.2, displays=[])
    assert run.confusion.classes == ("a", "b", "c")


# --- one output -----------------------------------------------------------------------------------


def test_one_output_is_a_model_of_the_same_weights(model, data) -> None:
    part = select_output(model, "big")
    assert np.allclose(part.predict(data.x_test, verbose=0), expected(model, data, "big"))
    assert select_output(model, "big") is part
    assert dataset_for(part) is data.of("big")
    assert not is_untrained(part)
    assert is_untrained(select_output(build(), "big"))
    assert [output_kind(model, name) for name in output_names(model)] == [
        "classes",
        "classes",
        "values",
    ]


def test_the_model_of_an_output_follows_the_compilation(data) -> None:
    model = build("kind, size")
    before = select_output(model, "kind")
    model.compile("adam", {"kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True)})
    after = select_output(model, "kind")
    assert after is not before
    assert after.loss.from_logits
    assert select_output(model, "size").loss is None
    with pytest.raises(EvaluationError, match="'size' has no loss"):
        kmagic.evaluate(model, data.x_test, {"size": data.y_test["size"]}, output="size")


@pytest.mark.parametrize(
    ("output", "message"),
    [("bog", "no output 'bog'.\n\nDid you mean big?"), (None, "has 3 outputs: kind, big, size")],
)
def test_an_output_must_be_named(model, output, message) -> None:
    with pytest.raises(EvaluationError) as caught:
        select_output(model, output)
    assert message in str(caught.value)


def test_names_of_unnamed_and_nested_outputs() -> None:
    x = keras.Input((2,))
    a, b = keras.layers.Dense(1, name="one")(x), keras.layers.Dense(1, name="two")(x)
    assert output_names(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="d")])) == (
        ["d"]
    )
    inner = keras.Model(x, [a, b], name="inner")
    y = keras.Input((2,))
    twice = keras.Model(y, inner(y))
    assert output_names(twice) == ["inner", "inner_1"]
    assert list(kmagic.predict(twice, np.zeros((3, 2)))) == ["inner", "inner_1"]
    nested = keras.Model(x, {"u": {"v": a, "w": b}, "z": b})
    with pytest.raises(EvaluationError, match="returns several arrays as its output 'u'"):
        kmagic.predict(nested, np.zeros((3, 2)))


def test_a_subclass_has_no_names() -> None:
    class Two(keras.Model):
        def call(self, x: Any) -> Any:
            return x, 2 * x

    model = Two()
    with pytest.raises(EvaluationError, match="The model has 2 outputs, but only one"):
        kmagic.predict(model, np.ones((3, 2), "float32"))
    with pytest.raises(EvaluationError, match="Its outputs have no names"):
        kmagic.predict(model, np.ones((3, 2), "float32"), output="a")


# --- evaluation -----------------------------------------------------------------------------------


def test_predictions_of_each_output_know_their_classes(model, data) -> None:
    result = kmagic.predict(model, data)
    assert {name: part.classes for name, part in result.items()} == {
        "kind": ("a", "b", "c"),
        "big": ("no", "yes"),
        "size": None,
    }
    for name, part in result.items():
        assert np.allclose(part, expected(model, data, name))
        assert np.array_equal(part.info.y_true, data.y_test[name])
    classes = kmagic.predict_classes(model, data, names=True)
    assert set(classes["big"]) <= {"no", "yes"}
    assert np.allclose(classes["size"], result["size"])
    assert kmagic.predict_proba(model, data)["big"].shape == (len(data.x_test), 2)


def test_predictions_of_one_output(model, data) -> None:
    big = kmagic.predict_classes(model, data, output="big")
    assert big.info.name == f"{model.name}, big"
    assert np.array_equal(big, kmagic.predict_classes(model, data)["big"])
    with pytest.raises(EvaluationError, match="returns values of shape"):
        kmagic.predict_classes(model, data, output="size")
    with pytest.raises(EvaluationError, match="has 3 outputs"):
        kmagic.predict(model, data, class_names=["x", "y"])


def test_metrics_of_one_output(model, data) -> None:
    every = kmagic.evaluate(model, data)
    kind = kmagic.evaluate(model, data, output="kind")
    assert list(kind) == ["accuracy", "loss"]
    assert kind["accuracy"] == pytest.approx(every["kind_accuracy"])
    assert kind["loss"] == pytest.approx(every["kind_loss"], rel=0.05)  # of batches of two sizes
    arrays = kmagic.evaluate(model, data.x_test, data.y_test, output="kind")
    assert arrays == kind
    import tensorflow as tf

    stream = tf.data.Dataset.from_tensor_slices((data.x_test, data.y_test)).batch(32)
    assert kmagic.evaluate(model, stream, output="kind") == pytest.approx(kind)


def test_results_of_all_outputs(model, data) -> None:
    results = kmagic.confusion_of(model, data)
    for name in ("kind", "big"):
        output = expected(model, data, name)
        predicted = output.argmax(axis=1) if name == "kind" else (output[:, 0] > 0.5).astype(int)
        assert results[name].accuracy == pytest.approx(accuracy_score(data.y_test[name], predicted))
        assert results[name].matrix.tolist() == (
            confusion_matrix(data.y_test[name], predicted, labels=results[name].labels).tolist()
        )
    error = mean_absolute_error(data.y_test["size"], expected(model, data, "size"))
    assert results["size"].metrics["MAE"] == pytest.approx(error, rel=1e-5)
    assert kmagic.errors_of(model, data)["size"].metrics["MAE"] == pytest.approx(error, rel=1e-5)
    by_list = [data.y_test[name] for name in output_names(model)]
    for y in (data.y_test, by_list):
        again = kmagic.confusion_of(model, data.x_test, y)
        assert again["big"].matrix.tolist() == results["big"].matrix.tolist()
        assert again["big"].classes == ("no", "yes")


def test_results_of_one_output(model, data) -> None:
    matrix = kmagic.confusion_of(model, data, output="big")
    assert matrix.classes == ("no", "yes")
    assert matrix.name == f"{model.name}, big"
    alone = kmagic.confusion_of(model, data.x_test, data.y_test["big"], output="big")
    assert alone.matrix.tolist() == matrix.matrix.tolist()
    with pytest.raises(EvaluationError, match="'size' predicts values, not classes"):
        kmagic.confusion_of(model, data, output="size")
    with pytest.raises(EvaluationError, match="'big' predicts classes, not values"):
        kmagic.errors_of(model, data, output="big")
    with pytest.raises(EvaluationError, match="y is a single array"):
        kmagic.confusion_of(model, data.x_test, data.y_test["big"])
    with pytest.raises(EvaluationError, match="y has no targets for the output 'big'; it has kind"):
        kmagic.confusion_of(model, data.x_test, {"kind": data.y_test["kind"]}, output="big")


def test_a_model_of_values_has_no_confusion_matrix() -> None:
    text = "input 4 / h = dense 2 / u = dense 1 <- h / v = dense 1 <- h / output u, v"
    with pytest.raises(EvaluationError, match="All outputs of things predict values, not classes"):
        kmagic.confusion_of(
            kmagic.build(text), np.zeros((3, 4)), {"u": [1.5], "v": [2.5]}, name="things"
        )


def test_options_of_each_output(model, data) -> None:
    results = kmagic.confusion_of(
        model, data, class_names={"big": ["small", "large"]}, threshold={"big": 0.9}
    )
    assert results["big"].classes == ("small", "large")
    assert results["big"].predictions.threshold == 0.9
    assert results["kind"].classes == ("a", "b", "c")
    with pytest.raises(EvaluationError, match="threshold= must say for which output"):
        kmagic.confusion_of(model, data, threshold=0.9)


def test_streams_of_several_targets(model, data) -> None:
    import tensorflow as tf

    stream = tf.data.Dataset.from_tensor_slices((data.x_test, data.y_test)).batch(8)
    whole = kmagic.confusion_of(model, data)
    results = kmagic.confusion_of(model, stream)
    assert results["kind"].matrix.tolist() == whole["kind"].matrix.tolist()
    generator = ((x.numpy(), {k: v.numpy() for k, v in y.items()}) for x, y in stream)
    with pytest.raises(EvaluationError, match="generator can be read once only"):
        kmagic.confusion_of(model, generator)
    one = kmagic.confusion_of(model, generator, output="kind")
    assert one.matrix.tolist() == whole["kind"].matrix.tolist()


def test_several_labels_and_values() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 4)).astype("float32")
    tags = [[name for name, value in zip("pq", row, strict=False) if value > 0] for row in x]
    data = load_data((x, {"tags": tags, "size": x.sum(axis=1)}))
    model = kmagic.build(
        "input 4 / h = dense 8 relu / tags = dense 2 sigmoid <- h / size = dense 1 <- h / "
        "output tags, size"
    )
    kmagic.fit(model, data, displays=[])
    assert output_kind(model, "tags") == "labels"
    assert only_output_with_classes(model, data) is None
    results = kmagic.confusion_of(model, data)
    assert type(results["tags"]).__name__ == "MultilabelConfusion"
    assert results["tags"].classes == ("p", "q")
    assert kmagic.predict_classes(model, data)["tags"].shape == (len(data.x_test), 2)


def test_two_models_are_compared_output_by_output(model, data) -> None:
    other = build()
    kmagic.fit(other, data, displays=[])
    first, second = (kmagic.confusion_of(each, data) for each in (model, other))
    compared = first.versus(second)
    assert list(compared) == ["kind", "big", "size"]
    labels_only = kmagic.errors_of(other, data)
    assert list(labels_only) == ["size"]
    assert "Not compared: kind, big." in first.versus(labels_only).note


def test_out_of_fold_results(data) -> None:
    model = build()
    result = kmagic.cross_validate(model, data, folds=3, displays=[], seed=1)
    assert list(result.predictions) == ["kind", "big", "size"]
    assert result.kind == "stratified"
    results = kmagic.confusion(result)
    assert results["kind"].classes == ("a", "b", "c")
    predicted = result.predictions["kind"].argmax(axis=1)
    accuracy = accuracy_score(data.y_train["kind"], predicted)
    assert results["kind"].accuracy == pytest.approx(accuracy)
    assert kmagic.confusion(result, output="kind").accuracy == pytest.approx(accuracy)
    error = mean_absolute_error(data.y_train["size"], result.predictions["size"])
    for errors in (kmagic.errors(result)["size"], kmagic.errors(result, output="size")):
        assert errors.metrics["MAE"] == pytest.approx(error, rel=1e-5)
    with pytest.raises(EvaluationError, match="Did you mean kind"):
        kmagic.confusion(result, output="kid")
    with pytest.raises(EvaluationError, match="output= is for a cross-validation"):
        kmagic.confusion([0, 1], [0, 1], output="kind")


def test_folds_of_arrays_without_a_dataset(data) -> None:
    model = build("kind, size")
    x = np.array(data.x_train)
    y = [data.y_train["kind"].copy(), data.y_train["size"].copy()]
    result = kmagic.cross_validate(model, x, y, folds=3, displays=[])
    results = kmagic.confusion(result)
    assert results["kind"].classes == ("0", "1", "2")
    assert list(kmagic.errors(result)) == ["size"]


def test_images_of_one_output_are_classified() -> None:
    model = kmagic.build(
        "input 4x4x1 / flatten / h = _ / kind = dense 3 softmax <- h / big = dense 1 sigmoid <- h /"
        "output kind, big"
    )
    images = np.zeros((2, 4, 4, 1), "float32")
    result = kmagic.classify(images, model, output="big", class_names=["no", "yes"])
    assert result[0].top_classes[0].label in ("no", "yes")
    assert result.name.endswith(", big")
    with pytest.raises(EvaluationError, match="has 2 outputs: kind, big"):
        kmagic.classify(images, model)


def test_a_file_has_the_predictions_of_one_output(model, data, tmp_path) -> None:
    import pandas as pd

    pytest.importorskip("pyarrow")
    pd.DataFrame(data.x_test).rename(columns=str).to_parquet(tmp_path / "rows.parquet")
    source, out = tmp_path / "rows.parquet", tmp_path / "out.parquet"
    with pytest.raises(EvaluationError, match="has 3 outputs: kind, big, size"):
        kmagic.predict_to_file(model, source, out)
    frame = kmagic.predict_to_file(model, source, out, output="big").to_frame()
    assert np.allclose(frame["yes"], expected(model, data, "big")[:, 0], atol=1e-6)


def test_a_saved_model_knows_the_classes_of_each_output(model, data, tmp_path) -> None:
    kmagic.save(model, tmp_path / "model.keras")
    loaded = kmagic.load(tmp_path / "model.keras")
    result = kmagic.predict(loaded, data.x_test)
    assert result["big"].classes == ("no", "yes")
    assert result["size"].info.target == "size"
    matrix = kmagic.confusion_of(loaded, data.x_test, data.y_test, output="kind")
    assert matrix.classes == ("a", "b", "c")


def test_a_preparation_without_such_a_target_gives_no_class_names(data) -> None:
    model = build("first=kind, second=big")
    y = {"first": data.y_train["kind"], "second": data.y_train["big"]}
    kmagic.fit(model, data.x_train, y, displays=[])
    result = kmagic.predict(model, data.x_test)
    assert result["first"].info.output_kind.kind == "classes"
    assert result["first"].classes is None
    with pytest.raises(DataError, match="no target 'first'"):
        data.of("first")


def test_the_targets_of_another_output_are_refused(model, data) -> None:
    assert confusion_matrix_of(model, data) == confusion_matrix_of(model, data.of("big"))
    for function in (kmagic.confusion_of, kmagic.evaluate, kmagic.predict):
        with pytest.raises(EvaluationError, match="of the output 'kind', not of 'big'") as info:
            function(model, data.of("kind"), output="big")
        assert "choose output='kind'" in str(info.value)
        function(model, data.of("kind"), output="kind")


def confusion_matrix_of(model: Any, data: Any) -> list[list[int]]:
    return kmagic.confusion_of(model, data, output="big").matrix.tolist()
