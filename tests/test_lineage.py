from __future__ import annotations

import gc

import numpy as np

import kmagic
from kmagic.data import Dataset
from kmagic.data.dataset import dataset_of
from kmagic.lineage import recall, remember


class Model:
    pass


def some_data():
    x = np.arange(24.0, dtype="float32").reshape(12, 2)
    y = np.arange(12) % 2
    return Dataset("some", x, y, x[:2] + 100, y[:2], ("even", "odd"))


def test_what_is_remembered_does_not_keep_a_model():
    model, data = Model(), some_data()
    remember(model, data)
    assert recall(model) is data
    assert recall(Model()) is None
    assert recall([]) is None
    del model
    gc.collect()
    assert recall(Model()) is None


def test_a_data_set_is_known_by_its_training_part():
    data, other = some_data(), some_data()
    assert dataset_of(data.x_train) is data
    assert dataset_of(other.x_train[3:5]) is other
    assert dataset_of(data.x_train.copy()) is None
    assert dataset_of(data.x_test) is None
    assert dataset_of(data.x_train.tolist()) is None
    assert dataset_of(None) is None


def test_a_fit_remembers_its_data():
    import keras

    data = some_data()
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile("sgd", "sparse_categorical_crossentropy")
    kmagic.fit(model, data.x_train, data.y_train, displays=[])
    assert recall(model) is data
    kmagic.fit(model, data.x_train + 1, data.y_train, displays=[])
    assert recall(model) is data
