from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest

from kmagic.data import Dataset, load_data
from kmagic.data.preparation.table_rows import restore_rows
from kmagic.display.kit.samples import sample_to_text
from kmagic.evaluation.confusion.confusion import confusion_of
from kmagic.evaluation.prediction.predict import predict
from kmagic.support.model_registry import set_dataset


@pytest.fixture
def visits() -> pd.DataFrame:
    age = np.arange(20.0, 60.0)
    city = [["Paris", "Rome", "Oslo", None][each % 4] for each in range(40)]
    return pd.DataFrame(
        {"age": np.where(age % 5 == 0, np.nan, age), "city": city, "bought": ["no", "yes"] * 20}
    )


@pytest.fixture
def data(visits: pd.DataFrame) -> Dataset:
    return load_data(visits, target="bought", scale="standard", missing="mean")


@pytest.fixture
def model(data: Dataset) -> keras.Model:
    net = keras.Sequential(
        [keras.Input((data.x_train.shape[1],)), keras.layers.Dense(2, activation="softmax")]
    )
    set_dataset(net, data)
    return net


def test_rows_are_in_original_units_with_empty_cells(data: Dataset, visits: pd.DataFrame) -> None:
    rows = restore_rows(data, data.x_test[2:])
    assert rows is not None
    assert len(rows) == len(data.x_test) - 2
    known = [row for row in rows[:] if isinstance(row["age"], float)]
    assert all(row["age"] == pytest.approx(round(row["age"]), abs=1e-3) for row in known)
    both = [*restore_rows(data, data.x_train)[:], *restore_rows(data, data.x_test)[:]]
    fill = data.features.columns[0].fill
    assert sum(row["age"] == f"empty ({fill:.4g} used)" for row in both) == 8
    assert sum(str(row["city"]).startswith("empty (") for row in both) == 10
    assert {row["city"] for row in both} >= {"Paris", "Rome", "Oslo"}


def test_a_copy_has_values_but_no_empty_cells(data: Dataset) -> None:
    rows = restore_rows(data, data.x_test[::-1].copy())
    assert rows is not None
    assert not any("empty" in str(row) for row in rows)
    assert restore_rows(data, data.x_test[:, :2]) is None


def test_predictions_and_errors_show_raw_rows(
    model: keras.Model, data: Dataset, visits: pd.DataFrame
) -> None:
    text = predict(model, data)._repr_mimebundle_()["text/plain"]
    assert "[age " in text
    assert ", city " in text
    raw = predict(model, visits.drop(columns="bought").head(2))._repr_mimebundle_()["text/plain"]
    assert "age empty (" in raw
    assert "city Paris" in raw
    matrix = confusion_of(model, data)
    shown = sample_to_text(matrix.x, 0)
    assert shown.startswith("age ")
    assert "city " in shown
