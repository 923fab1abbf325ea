"""Advice about data: what Keras accepts silently is reported, and sound data gets no advice."""

import numpy as np
import pytest

import kmagic
from kmagic.data.inspection import inspect_data
from kmagic.models.build import origin_of
from kmagic.models.lint.model_graph import read_model_graph
from kmagic.training.validation.data_checks import data_advice

LOSSES = {"SPARSE": "sparse_categorical_crossentropy", "CATEGORICAL": "categorical_crossentropy"}


def advise(model, x=None, y=None):
    graph = read_model_graph(model, origin_of(model))
    return [(advice.code, advice.span.line) for advice in data_advice(graph, inspect_data(x, y))]


def advice_for(text, **data):
    """Code and line of each piece of advice on a text's model."""
    for short, name in LOSSES.items():
        text = text.replace(short, name)
    return advise(kmagic.build(text), **data)


CNN = "input 8x8x1\n{}conv2d 4 3x3 relu\ngap\ndense 3 softmax\ncompile adam loss=SPARSE"
IMAGES = np.arange(64 * 20).reshape(20, 8, 8, 1) % 256


def test_unscaled_images():
    assert advice_for(CNN.format(""), x=IMAGES) == [("raw-pictures", 0)]
    assert advice_for(CNN.format(""), x=IMAGES / 255) == []
    assert advice_for(CNN.format("rescaling {1 / 255}\n"), x=IMAGES) == []
    assert advice_for(CNN.format("bn\n"), x=IMAGES) == []
    assert advice_for(CNN.format(""), x=IMAGES - 128.0) == []


def test_an_index_beyond_the_embedding():
    text = "input 5 int32\nembedding 10 4\ngap1d\ndense 1"
    assert advice_for(text, x=np.full((3, 5), 10)) == [("embedding-index", 2)]
    assert advice_for(text, x=np.full((3, 5), 9)) == []


SPARSE = "input 4\ndense 3 softmax\ncompile adam loss=SPARSE"
CATEGORICAL = "input 4\ndense 3 softmax\ncompile adam loss=CATEGORICAL"


@pytest.mark.parametrize(
    ("text", "y", "codes"),
    [
        (SPARSE, [0, 1, 2], []),
        (SPARSE, [[0], [1], [2]], []),
        (SPARSE, [1, 2, 3], ["label-range"]),
        (SPARSE, [-1, 0, 1], ["label-range"]),
        (SPARSE, np.eye(3), ["one-hot-sparse"]),
        (CATEGORICAL, np.eye(3), []),
        (CATEGORICAL, [0, 1, 2], ["numbers-categorical"]),
        ("input 4\ndense 1 sigmoid\ncompile adam loss=bce", [0, 1, 1], []),
        ("input 4\ndense 1 sigmoid\ncompile adam loss=bce", [1, 2, 1], ["binary-range"]),
        ("input 4\ndense 1\ncompile adam loss=mse", [0.5, 1.5], []),
        ("input 4\ndense 1\ncompile adam loss=mse", [[0.5], [1.5]], []),
        ("input 4\ndense 1\ncompile adam loss=mse", [[0.5, 1], [1.5, 2]], ["target-shape"]),
        ("input 4\ndense 2\ncompile adam loss=mse", [0.5, 1.5], ["target-shape"]),
        ("input 4\ndense 3 sigmoid\ncompile adam loss=bce", [0, 1, 2], ["target-shape"]),
        ("input 5x4\nlstm 3 return_sequences\ncompile adam loss=mse", [0.5], ["target-shape"]),
        ("input 4\ndense 2\ncompile adam loss=mse", [[0.5, 1], [1.5, 2]], []),
    ],
)
def test_targets(text, y, codes):
    assert [code for code, _ in advice_for(text, y=np.asarray(y))] == codes


def test_data_that_is_not_a_single_array_is_ignored():
    model = kmagic.build("input 4\ndense 1\ncompile adam loss=mse")
    assert not advise(model, x={"a": np.zeros(3)}, y=iter([1, 2]))
    assert not advise(model, x=np.array(["a", "b"]), y=np.array([], "float32"))
