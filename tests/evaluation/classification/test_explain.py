from __future__ import annotations

import numpy as np
import pytest

from kmagic.evaluation.classification.classify import classify
from kmagic.evaluation.classification.explain import Explanation, grad_cam, occlusion
from kmagic.evaluation.classification.image_inputs import ImageSize
from kmagic.support.errors import EvaluationError


@pytest.fixture(scope="module")
def keras():
    import keras

    return keras


def blob(row, column, side=12, value=1.0):
    picture = np.zeros((side, side, 1), "float32")
    picture[row : row + 3, column : column + 3] = value
    return picture


def bright(keras, *, activation="softmax", head=None):
    """A net that says "bright" for light and "dark" for none: the answer is known."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones", name="see"),
            *(head or [layers.GlobalAveragePooling2D()]),
            layers.Dense(2, activation=activation, use_bias=False, name="say"),
        ],
        name="bright",
    )
    kernel = np.zeros(model.get_layer("say").kernel.shape, "float32")
    kernel[:, 1] = 1
    model.get_layer("say").set_weights([kernel])
    return model


def heat_of(model, picture, wanted):
    heats, words = grad_cam(model, picture[None], [wanted])
    return heats[0], words


@pytest.mark.parametrize("activation", ["softmax", "linear", "sigmoid"])
def test_grad_cam_finds_the_region_that_supports_the_class(keras, activation):
    model, picture = bright(keras, activation=activation), blob(1, 8)
    heat, words = heat_of(model, picture, 1)
    np.testing.assert_array_equal(heat, picture[..., 0])
    assert words == "the 12 x 12 map of see (Grad-CAM)"
    assert model.get_layer("say").activation.__name__ == activation, "the model is as it was"
    heat, _ = heat_of(model, -picture, 1)
    assert not heat.any(), "darkness speaks against it"


def test_it_is_the_formula_of_the_paper(keras):
    import tensorflow as tf

    keras.utils.set_random_seed(2)
    layers = keras.layers
    image = keras.Input((10, 14, 3))
    maps = layers.Conv2D(5, 3, activation="relu", name="maps")(image)
    scores = layers.Dense(4)(layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(image, layers.Softmax()(scores))
    both = keras.Model(image, [maps, scores])
    x = np.random.default_rng(0).normal(size=(3, 10, 14, 3)).astype("float32")
    wanted = [2, 0, 3]
    with tf.GradientTape() as tape:
        a, logits = both(x)
        score = tf.reduce_sum(tf.gather(logits, wanted, axis=1, batch_dims=1))
    weights = tf.reduce_mean(tape.gradient(score, a), axis=(1, 2))
    expected = np.maximum(np.einsum("nijc,nc->nij", a.numpy(), weights.numpy()), 0)
    heats, words = grad_cam(model, x, wanted)
    assert "8 x 12 map of maps" in words
    for heat, one in zip(heats, expected, strict=True):
        np.testing.assert_allclose(heat, one / max(one.max(), 1e-30), rtol=1e-3, atol=1e-5)


def test_a_confident_model_still_has_a_gradient(keras):
    model = bright(keras)
    model.get_layer("say").set_weights([np.array([[0.0, 1e5]], "float32")])
    picture = blob(4, 4)
    assert model(picture[None]).numpy()[0, 1] == 1.0
    np.testing.assert_array_equal(heat_of(model, picture, 1)[0], picture[..., 0])


@pytest.mark.parametrize("dressing", ["activation", "softmax", "op", "sigmoid_op"])
def test_every_way_to_write_the_last_step(keras, dressing):
    layers = keras.layers
    image = keras.Input((12, 12, 1))
    maps = layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")(image)
    flat = layers.GlobalMaxPooling2D()(maps)
    logits = layers.Dense(2, use_bias=False, name="say")(flat)
    ways = {
        "activation": layers.Activation("softmax"),
        "softmax": layers.Softmax(),
        "op": keras.ops.softmax,
        "sigmoid_op": keras.ops.sigmoid,
    }
    model = keras.Model(image, ways[dressing](logits))
    model.get_layer("say").set_weights([np.array([[0.0, 1e4]], "float32")])
    heat, _ = heat_of(model, blob(7, 2), 1)
    assert np.unravel_index(heat.argmax(), heat.shape) in {
        (i, j) for i in (7, 8, 9) for j in (2, 3, 4)
    }


def test_one_probability_stands_for_two_classes(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, "sigmoid", use_bias=False, kernel_initializer="ones"),
        ]
    )
    picture = blob(2, 2)
    np.testing.assert_array_equal(heat_of(model, picture, 1)[0], picture[..., 0])
    assert not heat_of(model, picture, 0)[0].any()
    np.testing.assert_array_equal(heat_of(model, -picture, 0)[0], picture[..., 0])


def test_a_flattened_map_is_weighted_at_each_position(keras):
    """Its average slope would say nothing: here it is nought."""
    model = bright(keras, head=[keras.layers.Flatten()])
    kernel = np.zeros((144, 2), "float32")
    kernel[:, 1] = np.where(np.arange(144) % 12 < 6, 1, -1)
    model.get_layer("say").set_weights([kernel])
    picture = blob(4, 1) + blob(4, 8)
    heat, _ = heat_of(model, picture, 1)
    assert heat[:, :6].max() == 1
    assert not heat[:, 7:].any()


def test_nested_models(keras):
    layers = keras.layers
    inner = bright(keras, head=[layers.BatchNormalization(name="norm")])
    inner = keras.Model(inner.inputs, inner.get_layer("norm").output, name="inner")
    pooled = keras.Sequential([inner, layers.GlobalAveragePooling2D()], name="backbone")
    image = keras.Input((12, 12, 1))
    say = layers.Dense(2, activation="softmax", use_bias=False)
    model = keras.Model(image, say(layers.Dropout(0.5)(pooled(layers.Rescaling(2.0)(image)))))
    say.set_weights([np.array([[0.0, 1.0]], "float32")])
    picture = blob(9, 9)
    heat, words = heat_of(model, picture, 1)
    assert "norm" in words
    np.testing.assert_allclose(heat, picture[..., 0], atol=1e-5)


def test_subclassed_models_and_shared_layers(keras):
    class Twice(keras.Model):
        def __init__(self):
            super().__init__()
            self.see = keras.layers.Conv2D(
                1, 3, padding="same", use_bias=False, kernel_initializer="ones", name="see"
            )
            self.pool = keras.layers.GlobalAveragePooling2D()
            self.say = keras.layers.Dense(2, kernel_initializer=keras.initializers.Constant([1, 0]))

        def call(self, x):
            return keras.ops.softmax(self.say(self.pool(self.see(self.see(x)))))

    heat, words = heat_of(Twice(), blob(1, 1), 0)
    assert "12 x 12 map of see" in words
    assert np.unravel_index(heat.argmax(), heat.shape) == (2, 2)


def test_the_map_before_reducing_and_after_normalizing_layers(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Conv2D(2, 3, padding="same"),
            layers.MaxPooling2D(),
            layers.Conv2D(3, 3, padding="same", use_bias=False, name="last"),
            layers.BatchNormalization(),
            layers.ReLU(name="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.2),
            layers.GlobalAveragePooling2D(keepdims=True),
            layers.Conv2D(4, 1, name="says"),
            layers.Flatten(),
            layers.Softmax(),
        ]
    )
    assert "8 x 8 map of relu" in heat_of(model, blob(2, 2, 16), 1)[1]


def test_a_model_without_convolutions_has_no_map(keras):
    layers = keras.layers
    flat = keras.Sequential([keras.Input((12, 12)), layers.Flatten(), layers.Dense(2)])
    assert grad_cam(flat, blob(1, 1)[None, ..., 0], [0]) is None
    image = keras.Input((12, 12, 1))
    patches = layers.Reshape((9, 8))(layers.Conv2D(8, 4, strides=4)(image))
    mixed = layers.MultiHeadAttention(2, 4)(patches, patches)
    mixer = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling1D()(mixed)))
    assert grad_cam(mixer, blob(1, 1)[None], [0]) is None
    result = classify(blob(1, 1), mixer, explain=True)
    assert "occlusion" in result.legend
    assert grad_cam(object(), blob(1, 1)[None], [0]) is None


class Corner:
    """A model that looks at the top left corner and nowhere else."""

    name, input_shape = "corner", (None, 12, 12, 1)

    def predict_on_batch(self, x):
        share = x.reshape(len(x), 12, 12)[:, :3, :3].mean(axis=(1, 2))
        return np.stack([1 - share, share], axis=1)


@pytest.mark.parametrize("flat", [False, True])
def test_occlusion_finds_the_region_that_the_class_needs(flat):
    size = ImageSize(12, 12, 1, flat=flat)
    picture = blob(0, 0) + blob(8, 8)
    heat = occlusion(Corner(), picture.ravel() if flat else picture, 1, size=size, steps=12)
    assert heat.shape == (12, 12)
    assert np.unravel_index(heat.argmax(), heat.shape) == (1, 1)
    assert not heat[4:].any()
    assert not heat[:, 4:].any()
    assert not occlusion(Corner(), blob(8, 8), 1, size=size, steps=12).any()


def test_an_explanation_in_a_classification():
    pictures = np.stack([blob(0, 0)] * 30)
    result = classify(pictures, Corner(), class_names=["no", "yes"], explain=True)
    assert result.legend == "the most probable class, by the effect of hiding it (occlusion)"
    assert result[0].explanation.label == "yes"
    assert result[0].explanation.heatmap[1, 1] == 1
    assert 'for "yes" the model looks mainly at the top left' in result[0].to_text()
    assert result[28].explanation is None
    assert result[28:][0].explanation.label == "yes", "it is explained when it is looked at"
    asked = classify(pictures[:1], Corner(), class_names=["no", "yes"], explain="no")
    assert asked[0].explanation.label == "no"
    assert not asked[0].explanation.heatmap.any()
    assert "no particular region" in asked[0].to_text()
    with pytest.raises(EvaluationError, match="not one of the model's classes"):
        classify(pictures[:1], Corner(), class_names=["no", "yes"], explain="yess")


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (slice(0, 2), slice(0, 2), "mainly at the top left (6 % of the image)"),
        (slice(3, 5), slice(3, 5), "mainly at the centre (6 % of the image)"),
        (slice(3, 5), slice(6, 8), "mainly at the right (6 % of the image)"),
        (slice(6, 8), slice(3, 5), "mainly at the bottom centre (6 % of the image)"),
        (slice(0, 8), slice(0, 6), "at nearly the whole image"),
        (slice(0, 0), slice(0, 0), "at no particular region"),
    ],
)
def test_locations_in_words(rows, columns, message):
    heat = np.zeros((8, 8), np.float32)
    heat[rows, columns] = 1
    assert Explanation("cat", heat, "").location() == message


def test_an_activation_that_keras_does_not_know(keras):
    def softmax(values):
        return keras.ops.softmax(values)

    model, picture = bright(keras, activation=softmax), 100 * blob(1, 8)
    heat, _ = heat_of(model, picture, 1)
    assert heat.max() == 1, "a confident model still has a gradient"
    assert model.get_layer("say").activation is softmax
