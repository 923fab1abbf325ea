from __future__ import annotations

import gc

import numpy as np
import pytest
from PIL import Image

import kmagic
from kmagic.data import Dataset
from kmagic.data.dataset import find_dataset
from kmagic.support.model_registry import UNTRAINED_WARNING, dataset_for, is_untrained, set_dataset


class Model:
    pass


def some_data():
    x = np.arange(24.0, dtype="float32").reshape(12, 2)
    y = np.arange(12) % 2
    return Dataset("some", x, y, x[:2] + 100, y[:2], ("even", "odd"))


def test_what_is_remembered_does_not_keep_a_model():
    model, data = Model(), some_data()
    set_dataset(model, data)
    assert dataset_for(model) is data
    assert dataset_for(Model()) is None
    assert dataset_for([]) is None
    del model
    gc.collect()
    assert dataset_for(Model()) is None


def test_a_data_set_is_known_by_its_training_part():
    data, other = some_data(), some_data()
    assert find_dataset(data.x_train) is data
    assert find_dataset(other.x_train[3:5]) is other
    assert find_dataset(data.x_train.copy()) is None
    assert find_dataset(data.x_test) is None
    assert find_dataset(data.x_train.tolist()) is None
    assert find_dataset(None) is None


def test_a_fit_remembers_its_data():
    import keras

    data = some_data()
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile("sgd", "sparse_categorical_crossentropy")
    kmagic.fit(model, data.x_train, data.y_train, displays=[])
    assert dataset_for(model) is data
    kmagic.fit(model, data.x_train + 1, data.y_train, displays=[])
    assert dataset_for(model) is data


# --- weights that are as they were made -----------------------------------------------------------

TEXT = """
input 4x4x1
flatten
dense 3 softmax
compile adam loss=sparse_categorical_crossentropy
"""
X, Y = np.zeros((6, 4, 4, 1), "float32") + 0.5, np.arange(6) % 3


def by_plain_keras(model, path):
    model.fit(X, Y, verbose=0)


def by_kmagic(model, path):
    kmagic.fit(model, X, Y, displays=[])


def by_kmagic_to_no_avail(model, path):
    model.optimizer.learning_rate = 0.0
    kmagic.fit(model, X, Y, displays=[])


def by_hand(model, path):
    model.layers[-1].set_weights([np.eye(16)[:, :3], np.ones(3)])


def by_a_loop_of_its_own(model, path):
    for each in model.trainable_variables:
        each.assign_sub(0.1 * np.ones(each.shape))


def by_a_file(model, path):
    kmagic.save(kmagic.build(TEXT), path / "net.weights.h5")
    kmagic.load(path / "net.weights.h5", model=model)


@pytest.mark.parametrize(
    "teach",
    [
        by_plain_keras,
        by_kmagic,
        by_kmagic_to_no_avail,
        by_hand,
        by_a_loop_of_its_own,
        by_a_file,
    ],
)
def test_a_model_is_untrained_until_its_weights_come_from_somewhere(teach, tmp_path):
    model = kmagic.build(TEXT)
    assert is_untrained(model)
    teach(model, tmp_path)
    assert not is_untrained(model)


def test_a_model_that_comes_out_of_a_file_with_its_weights_is_not_untrained(tmp_path):
    saved = kmagic.save(kmagic.build(TEXT), tmp_path / "net.keras")
    assert not is_untrained(kmagic.load(saved.path))


def test_of_what_was_not_made_here_nothing_is_said():
    import keras

    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="base")
    assert not is_untrained(base)
    assert not is_untrained([])

    class Mine(keras.layers.Dense):
        pass

    def through(x):
        return base(x)

    values = {"base": base, "Mine": Mine, "through": through, "units": 3}
    for lent in ("base", "{base}", "{base.layers[0]}", "time_distributed {base}", "through"):
        shape = "2x4" if lent.startswith("time") else "4"
        model = kmagic.build(f"input {shape} / {lent} / dense 2", **values)
        assert not is_untrained(model), lent
    assert not is_untrained(kmagic.build("input 4 / Mine 3 / dense 2", **values))
    for own in ("dense {units}", "dense 8 relu"):
        assert is_untrained(kmagic.build(f"input 4 / {own} / dense 2", **values)), own
    adapted = kmagic.build("input 4 / normalization adapt={x} / dense 1", x=np.eye(4))
    assert is_untrained(adapted)


def test_a_large_weight_is_seen_to_change():
    model = kmagic.build("input 4 / dense 20000")
    assert is_untrained(model)
    model.layers[0].kernel.assign_add(np.ones((4, 20000)))
    assert not is_untrained(model)


@pytest.mark.parametrize("kind", ["text/plain", "text/html"])
def test_answers_by_chance_are_called_so(kind):
    model = kmagic.build(TEXT)
    image = Image.new("L", (4, 4))
    asked = (
        lambda: kmagic.predict(model, X),
        lambda: kmagic.predict_classes(model, X),
        lambda: kmagic.classify(image, model),
    )
    for ask in asked:
        assert ask()._repr_mimebundle_()[kind].count(UNTRAINED_WARNING) == 1
    model.fit(X, Y, verbose=0)
    for ask in asked:
        assert UNTRAINED_WARNING not in ask()._repr_mimebundle_()[kind]


def test_of_several_outputs_it_is_said_once():
    text = "a = input 4\ncls = dense 3 softmax\nbox = dense 2 <- a\noutput cls, box"
    found = kmagic.predict(kmagic.build(text), np.eye(4))
    for words in found._repr_mimebundle_().values():
        assert words.count(UNTRAINED_WARNING) == 1
