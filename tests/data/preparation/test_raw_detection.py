"""Raw numbers and prepared ones reach a model alike."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import kmagic
from kmagic.data.preparation.raw_detection import detect_raw, prepare_if_raw
from kmagic.data.preparation.scale_drift import ScaleWarning

RNG = np.random.default_rng(0)
COLUMNS = {
    "income": RNG.lognormal(10, 1, 120), "age": RNG.normal(45, 15, 120),
    "rate": RNG.normal(0.02, 0.005, 120), "same": np.full(120, 7.0),
    "centred": RNG.normal(0, 1, 120),
}  # fmt: skip
FRAME = pd.DataFrame(COLUMNS)
KIND = np.where(FRAME["age"] > 45, "old", "young")


@pytest.fixture(scope="module")
def data() -> kmagic.Dataset:
    return kmagic.load_data(FRAME.assign(kind=KIND), target="kind", scale="standard", split=0.25)


@pytest.fixture(scope="module")
def model(data):
    model = kmagic.build("input 5 / dense 8 tanh / dense 2 softmax")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    kmagic.fit(model, data, epochs=1, displays=[], seed=1)
    return model


RAW = {
    "values": FRAME.to_numpy(),
    "float32": FRAME.to_numpy(dtype="float32"),
    "list": FRAME.to_numpy().tolist(),
    "frame": FRAME,
    "other order": FRAME[["same", "rate", "centred", "age", "income"]],
    "more columns": FRAME.assign(name="x", kind=KIND),
    "objects": FRAME.astype(object).to_numpy(),
    "missing names": FRAME.reset_index(drop=True),
}


@pytest.mark.parametrize("form", list(RAW))
def test_raw_rows_of_any_form_are_prepared(data, model, form):
    y = np.array([data.classes.index(kind) for kind in KIND])
    prepared = data.prepare(FRAME)
    expected = model.predict(prepared, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(kmagic.predict(model, RAW[form]), expected, atol=1e-5)
        matrix = kmagic.confusion_of(model, RAW[form], y)
        evaluation = kmagic.evaluate(model, RAW[form], y)
    assert matrix.accuracy == pytest.approx((expected.argmax(axis=1) == y).mean())
    assert evaluation["accuracy"] == pytest.approx(matrix.accuracy)


@pytest.mark.parametrize("rows", [1, 2, 7, 120])
def test_prepared_rows_are_used_as_they_are(data, model, rows):
    prepared = data.prepare(FRAME)[:rows]
    expected = model.predict(prepared, verbose=0)
    for form in (prepared, prepared.astype("float64"), prepared.tolist(), data.x_train[:0]):
        if len(form):
            np.testing.assert_allclose(kmagic.predict(model, form), expected, atol=1e-5)
    with pytest.warns(ScaleWarning, match="already scaled"):
        result = kmagic.predict(model, pd.DataFrame(prepared, columns=list(COLUMNS)))
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_a_single_row_is_recognized_by_its_columns(data):
    for row in FRAME.to_numpy():
        assert detect_raw(data, row[None]) == "raw"
    for row in data.x_test:
        assert detect_raw(data, row[None]) == "prepared"


def test_validation_data_may_be_raw(data):
    y = np.array([data.classes.index(kind) for kind in KIND])
    runs = []
    for held_out in (FRAME.to_numpy(), data.prepare(FRAME)):
        model = kmagic.build("input 5 / dense 2 softmax kernel_initializer=zeros")
        model.compile("sgd", "sparse_categorical_crossentropy")
        runs.append(kmagic.fit(model, data, validation_data=(held_out, y), displays=[], seed=1))
    assert runs[0].history["val_loss"] == pytest.approx(runs[1].history["val_loss"])


def test_what_is_unclear_is_reported():
    columns = pd.DataFrame({"a": RNG.normal(0.3, 1.1, 400), "b": RNG.normal(-0.3, 0.9, 400)})
    data = kmagic.load_data((columns.to_numpy(), np.arange(400) % 2), scale="standard")
    with pytest.warns(ScaleWarning, match="unclear whether these numbers are raw"):
        row = prepare_if_raw(data, np.array([[0.1, -0.2]]))
    assert row.tolist() == [[0.1, -0.2]]


def test_a_scaling_that_changes_nothing_needs_no_report():
    numbers = RNG.normal(0, 1, (4000, 3))
    data = kmagic.load_data((numbers, np.arange(4000) % 2), scale="standard")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare_if_raw(data, numbers[:1])


def test_rows_with_words_are_raw():
    towns = np.resize(["Ulm", "Bonn", "Kiel"], 60)
    table = pd.DataFrame({"size": RNG.normal(70, 20, 60), "town": towns})
    data = kmagic.load_data(table.assign(y=np.arange(60) % 2), target="y", scale="standard")
    model = kmagic.build("input 4 / dense 2 softmax")
    model.compile("adam", "sparse_categorical_crossentropy")
    kmagic.fit(model, data, displays=[])
    expected = model.predict(data.prepare(table), verbose=0)
    encoded = data.preparation.columns.apply(table)  # but not scaled
    for form in (table, table.to_numpy(), table.to_numpy().tolist(), encoded):
        np.testing.assert_allclose(kmagic.predict(model, form), expected, atol=1e-5)
    one = kmagic.predict(model, ["Ulm" if name == "town" else 70.0 for name in table])
    assert one.shape == (1, 2)


@pytest.mark.parametrize("scale", ["255", "standard"])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_images_from_0_to_255(scale, dtype):
    pixels = RNG.integers(0, 256, (40, 8, 8, 1)).astype("uint8")
    data = kmagic.load_data((pixels, np.arange(40) % 2), scale=scale)
    model = kmagic.build("input 8x8x1 / flatten / dense 2 softmax")
    model.compile("adam", "sparse_categorical_crossentropy")
    kmagic.fit(model, data, displays=[])
    expected = model.predict(data.scaling.apply(pixels), verbose=0)
    for form in (pixels.astype(dtype), data.scaling.apply(pixels), pixels[..., 0].astype(dtype)):
        np.testing.assert_allclose(kmagic.predict(model, form), expected, atol=1e-5)
    np.testing.assert_allclose(
        kmagic.predict(model, pixels[3].astype(dtype)), expected[3:4], atol=1e-5
    )
    names = kmagic.classify(pixels.astype(dtype), model)
    assert [image.top_classes[0].index for image in names] == expected.argmax(axis=1).tolist()


def test_images_darker_than_any_byte_stay_as_they_are():
    data = kmagic.load_data((RNG.integers(0, 256, (40, 8, 8)), np.arange(40) % 2), scale="255")
    for values, verdict in ((0.9, "prepared"), (0, "prepared"), (1.5, "unclear"), (40.0, "raw")):
        assert detect_raw(data, np.full((2, 8, 8), values)) == verdict
    assert detect_raw(data, np.full((2, 8, 8), 40)) == "raw"
    assert detect_raw(data, RNG.normal(size=(2, 8, 8))) == "prepared"


@pytest.mark.parametrize("options", [{"window": 5}, {"chronological": True}])
def test_the_rows_of_a_dataset_with_a_trend_are_prepared(options):
    rows = np.arange(200.0)
    frame = pd.DataFrame({"size": rows / 20, "y": rows / 20})
    data = kmagic.load_data(frame, target="y", scale="standard", **options)
    assert detect_raw(data, data.x_test.copy()) == "raw"  # they look like it
    for x in (data.x_train, data.x_test, data.x_test[-3:], data.x_test[::2]):
        assert detect_raw(data, x) == "prepared"
        assert prepare_if_raw(data, x) is x
