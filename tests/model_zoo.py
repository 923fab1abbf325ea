"""Models that are hard to write down, each for a reason of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers as L  # noqa: N812 - short, since it stands in every line
from keras import ops

MODELS: dict[str, Callable[[], Any]] = {}


def model(function: Callable[[], Any]) -> Callable[[], Any]:
    MODELS[function.__name__] = function
    return function


def square_it(x: Any) -> Any:
    return x * x


def scale_it(x: Any, factor: float = 2.0) -> Any:
    return x * factor


@keras.saving.register_keras_serializable("zoo")
class Scale(L.Layer):
    """A layer that may hold another, registered with Keras."""

    def __init__(self, factor: float = 1.0, inner: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor, self.inner = factor, inner

    def call(self, x: Any) -> Any:
        return (x if self.inner is None else self.inner(x)) * self.factor

    def compute_output_shape(self, shape: Any) -> Any:
        return shape if self.inner is None else self.inner.compute_output_shape(shape)

    def get_config(self) -> dict[str, Any]:
        inner = keras.saving.serialize_keras_object(self.inner)
        return {**super().get_config(), "factor": self.factor, "inner": inner}


class Two(L.Layer):
    """A layer of one or two inputs, known to nobody."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.dense = L.Dense(units)

    def call(self, a: Any, b: Any = None) -> Any:
        return self.dense(a) if b is None else self.dense(a) + b

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


class dense(L.Layer):  # noqa: N801 - its name is a word of the language
    """A layer whose name is taken."""

    def call(self, x: Any) -> Any:
        return x + 1.0


def stack(*layers: Any, **keywords: Any) -> Any:
    return keras.Sequential(list(layers), **keywords)


# --- stacks -----------------------------------------------------------------------------------


@model
def plain_stack() -> Any:
    return stack(
        keras.Input((28, 28, 1)),
        L.Flatten(),
        L.Dense(128, "relu"),
        L.Dropout(0.2),
        L.Dense(10, "softmax"),
    )


@model
def named_stack() -> Any:
    return stack(
        keras.Input((8,), name="features"),
        L.Dense(4, name="hidden"),
        L.Dense(2, name="out-put"),
        name="my net",
    )


@model
def unbuilt_stack() -> Any:
    return stack(L.Dense(4, "relu"), L.Dense(2))


@model
def stack_built_later() -> Any:
    found = unbuilt_stack()
    found.build((None, 3))
    return found


@model
def stack_in_a_stack() -> Any:
    return stack(keras.Input((8,)), stack(L.Dense(4), L.ReLU()), L.Dense(2))


@model
def stack_with_a_layer_twice() -> Any:
    pool = L.MaxPooling2D()
    one, other = (L.Conv2D(2, 3, padding="same") for _ in range(2))
    return stack(keras.Input((8, 8, 1)), one, pool, other, pool)


@model
def same_layer_again_and_again() -> Any:
    return stack(keras.Input((8,)), *(L.Dense(8, "relu") for _ in range(6)), L.Dense(1))


@model
def convolutions_and_pools() -> Any:
    layers: list[Any] = [keras.Input((32, 32, 3))]
    for filters, count in ((8, 2), (16, 2), (32, 3), (64, 3)):
        layers += [L.Conv2D(filters, 3, padding="same", activation="relu") for _ in range(count)]
        layers.append(L.MaxPooling2D())
    return stack(*layers, L.Flatten(), L.Dense(10, "softmax"))


@model
def policies() -> Any:
    return stack(
        keras.Input((8,)),
        L.Dense(4, dtype="mixed_float16"),
        L.Dense(4, dtype=keras.dtype_policies.DTypePolicy("mixed_bfloat16")),
        L.Dense(2, dtype="float64"),
    )


@model
def regularizers_and_the_like() -> Any:
    return stack(
        keras.Input((8,)),
        L.Dense(
            4,
            kernel_regularizer=keras.regularizers.L1L2(1e-5, 2e-4),
            bias_constraint="non_neg",
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.02, seed=3),
            activity_regularizer="l2",
        ),
        L.Dense(
            2,
            keras.activations.relu,
            kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.1),
            kernel_constraint=keras.constraints.MaxNorm(2.0),
            bias_initializer=keras.initializers.Constant(np.array([1.0, 2.0], "float32")),
        ),
    )


@model
def functions_of_the_notebook() -> Any:
    return stack(
        keras.Input((4,)),
        L.Lambda(square_it, output_shape=(4,)),
        L.Lambda(scale_it, arguments={"factor": 3}),
        L.Dense(2, activation=square_it),
        L.Activation(square_it),
    )


@model
def layers_as_activations() -> Any:
    return stack(
        keras.Input((4,)),
        L.Dense(4, L.LeakyReLU(0.1)),
        L.Dense(4, activation=L.LeakyReLU()),
        L.Dense(3, L.ReLU(max_value=6.0)),
    )


@model
def class_with_the_name_of_a_word() -> Any:
    return stack(keras.Input((4,)), dense(), L.Dense(2))


@model
def words_with_a_vocabulary() -> Any:
    lookup = L.StringLookup(vocabulary=["a", "b c", 'q"u'], output_mode="one_hot")
    return stack(keras.Input((), dtype="string"), lookup)


# --- graphs -----------------------------------------------------------------------------------


@model
def functional_stack() -> Any:
    x = keras.Input((4,))
    return keras.Model(x, L.Dense(3)(x))


@model
def two_inputs_one_encoder() -> Any:
    a, b = (keras.Input((20,), dtype="int32") for _ in range(2))
    encoder = stack(L.Embedding(100, 8), L.LSTM(4), name="encoder")
    shared = L.Dense(4, "relu")
    joined = L.Concatenate()([shared(encoder(a)), shared(encoder(b))])
    return keras.Model([a, b], L.Dense(1, "sigmoid")(joined))


@model
def named_inputs_and_outputs() -> Any:
    picture, meta = keras.Input((16, 16, 3), name="picture"), keras.Input((8,), name="meta")
    seen = L.Flatten()(L.Conv2D(4, 3, activation="relu")(picture))
    hidden = L.Dense(16, "relu")(L.Concatenate()([seen, meta]))
    outputs = {"cls": L.Dense(4, "softmax", name="cls")(hidden), "box": L.Dense(4)(hidden)}
    return keras.Model([picture, meta], outputs)


@model
def one_output_in_a_list() -> Any:
    x = keras.Input((4,))
    return keras.Model([x], [L.Dense(3)(x)])


@model
def outputs_in_tuples() -> Any:
    x = keras.Input((4,))
    y = L.Dense(3)(x)
    return keras.Model(x, (y, (L.Dense(2)(y), x)))


@model
def inputs_in_a_dictionary() -> Any:
    a, b = keras.Input((3,), name="a"), keras.Input((4,), name="b")
    return keras.Model({"a": a, "b": b}, L.Dense(2)(L.Concatenate()([a, b])))


@model
def inputs_within_inputs() -> Any:
    a, b, c = (keras.Input((3,), name=name) for name in "abc")
    return keras.Model([a, {"b": b, "c": c}], L.Dense(2)(L.Concatenate()([a, b, c])))


@model
def all_kinds_of_inputs() -> Any:
    scalar = keras.Input((), dtype="int32", name="scalar")
    batch = keras.Input((4,), batch_size=2)
    steps = keras.Input(batch_shape=(None, None, 3))
    optional = keras.Input((4,), optional=True)
    outputs = [L.Dense(2)(batch), L.Conv1D(2, 1)(steps), ops.cast(scalar, "float32")]
    return keras.Model([scalar, batch, steps, optional], [*outputs, L.Identity()(optional)])


@model
def input_that_is_an_output() -> Any:
    a, b = keras.Input((3,)), keras.Input((4,))
    return keras.Model([a, b], [L.Dense(2)(a), b])


@model
def nothing_but_an_input() -> Any:
    x = keras.Input((3,))
    return keras.Model(x, x)


@model
def states_of_a_recurrence() -> Any:
    x, y = keras.Input((5, 3)), keras.Input((6, 3))
    out, *state = L.LSTM(4, return_state=True, return_sequences=True)(x)
    return keras.Model([x, y], [out, L.LSTM(4)(y, initial_state=state)])


@model
def last_state_only() -> Any:
    x = keras.Input((5, 3))
    return keras.Model(x, L.Dense(2)(L.LSTM(4, return_state=True)(x)[2]))


@model
def both_ways() -> Any:
    x = keras.Input((5, 3))
    y = L.Bidirectional(L.LSTM(4, return_sequences=True, dropout=0.2), merge_mode="sum")(x)
    back = L.GRU(4, go_backwards=True, activation="relu")
    return keras.Model(x, L.Bidirectional(L.GRU(4, name="inner"), backward_layer=back)(y))


@model
def cells() -> Any:
    x = keras.Input((5, 3))
    y = L.RNN([L.LSTMCell(4), L.GRUCell(5, dropout=0.1)], return_sequences=True)(x)
    return keras.Model(x, L.RNN(L.StackedRNNCells([L.SimpleRNNCell(3), L.LSTMCell(2)]))(y))


@model
def masks_that_keras_passes() -> Any:
    x = keras.Input((10,), dtype="int32")
    y = L.LSTM(4, return_sequences=True)(L.Embedding(50, 8, mask_zero=True)(x))
    return keras.Model(x, L.Dense(1)(L.LSTM(4)(y)))


@model
def mask_that_is_given() -> Any:
    x, mask = keras.Input((10, 4)), keras.Input((10,), dtype="bool")
    return keras.Model([x, mask], L.LSTM(4)(x, mask=mask))


@model
def attention_of_all_kinds() -> Any:
    q, v = keras.Input((5, 8)), keras.Input((6, 8))
    x = L.MultiHeadAttention(2, 4, value_dim=3, attention_axes=(1,), dropout=0.1)(q, v)
    own = L.MultiHeadAttention(2, 4)
    y, scores = own(x, x, x, return_attention_scores=True, use_causal_mask=True)
    z = L.AdditiveAttention()([L.Attention(use_scale=True)([y, v]), v, v])
    return keras.Model([q, v], [L.GroupQueryAttention(4, 6, 3)(z, z), scores])


@model
def transformer() -> Any:
    tokens = keras.Input((16,), dtype="int32")
    x = L.Embedding(100, 32)(tokens)
    for _ in range(4):
        attended = L.MultiHeadAttention(4, 8, dropout=0.1)(x, x)
        x = L.LayerNormalization(epsilon=1e-6)(L.Add()([x, attended]))
        wide = L.Dropout(0.1)(L.Dense(32)(L.Dense(64, "gelu")(x)))
        x = L.LayerNormalization(epsilon=1e-6)(L.Add()([x, wide]))
    return keras.Model(tokens, L.Dense(2, "softmax")(L.GlobalAveragePooling1D()(x)))


@model
def small_resnet() -> Any:
    picture = keras.Input((32, 32, 3))
    x = L.Conv2D(16, 3, padding="same", activation="relu")(picture)
    for filters in (16, 32, 64):
        for number in range(3):
            strides = 2 if filters > 16 and number == 0 else 1
            y = L.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
            y = L.ReLU()(L.BatchNormalization()(y))
            y = L.Conv2D(filters, 3, padding="same", use_bias=False)(y)
            y = L.BatchNormalization()(y)
            if strides > 1:
                x = L.Conv2D(filters, 1, strides)(x)
            x = L.ReLU()(L.Add()([x, y]))
    return keras.Model(picture, L.Dense(10, "softmax")(L.GlobalAveragePooling2D()(x)))


@model
def unet() -> Any:
    picture = keras.Input((32, 32, 1))

    def twice(x: Any, filters: int) -> Any:
        for _ in range(2):
            x = L.Conv2D(filters, 3, padding="same", activation="relu")(x)
        return x

    x, kept = picture, []
    for filters in (4, 8, 16):
        kept.append(twice(x, filters))
        x = L.MaxPooling2D()(kept[-1])
    x = twice(x, 32)
    for filters in (16, 8, 4):
        x = L.Concatenate()([L.Conv2DTranspose(filters, 2, 2)(x), kept.pop()])
        x = twice(x, filters)
    return keras.Model(picture, L.Conv2D(1, 1, activation="sigmoid")(x))


@model
def inception() -> Any:
    picture = keras.Input((16, 16, 8))
    x = picture
    for filters in (4, 8):
        one = L.Conv2D(filters, 1, activation="relu")(x)
        three = L.Conv2D(filters, 3, padding="same")(L.Conv2D(filters, 1)(x))
        x = L.Concatenate()([one, three, L.MaxPooling2D(3, 1, padding="same")(x)])
    return keras.Model(picture, L.GlobalMaxPooling2D()(x))


@model
def ways_that_cross() -> Any:
    x = keras.Input((8,))
    a = L.Dense(8)(x)
    b = L.Dense(8)(a)
    c = L.Add()([a, b])
    return keras.Model(x, [L.Multiply()([c, L.Dense(8)(b)]), b])


@model
def operators() -> Any:
    x = keras.Input((4,))
    y = x * 2.0 + 1.0
    return keras.Model(x, ops.tanh(y @ ops.transpose(1.0 - y)))


@model
def functions_of_keras_ops() -> Any:
    x = keras.Input((6, 4))
    y = ops.concatenate([x, ops.mean(x, axis=1, keepdims=True)], axis=1)
    parts = ops.split(ops.expand_dims(ops.reshape(y, (-1, 28)), -1), 4, axis=1)
    outputs = [ops.stack([parts[0], parts[3]], axis=-1), ops.where(x > 0.5, x, 0.0)]
    outputs += [ops.einsum("bij,bkj->bik", x, x), ops.cast(x, "float16")]
    return keras.Model(x, outputs)


@model
def stretches_of_axes() -> Any:
    x = keras.Input((6, 4))
    return keras.Model(x, [x[:, 1:5:2], x[..., 0], x[:, None, 0], L.Dense(2)(x[:, -1, :])])


@model
def constants() -> Any:
    x = keras.Input((3,))
    shift = ops.convert_to_tensor([0.5, 0.5, 0.5])
    return keras.Model(x, x * np.array([1.0, 2.0, 3.0], "float32") + shift)


@model
def operations_on_pictures() -> Any:
    x = keras.Input((8, 8, 3))
    return keras.Model(x, ops.image.resize(ops.image.rgb_to_grayscale(x), (4, 4)))


@model
def preprocessing() -> Any:
    x = keras.Input((16, 16, 3))
    turned = [L.RandomFlip("horizontal", seed=1), L.RandomRotation((-0.1, 0.2), seed=2)]
    y = L.RandomZoom(0.1, 0.2, seed=4)(L.Pipeline(turned)(x))
    return keras.Model(x, L.Rescaling(1 / 255)(y))


# --- models in models, layers in several places ------------------------------------------------


@model
def model_in_each_step() -> Any:
    inner = stack(keras.Input((8, 8, 1)), L.Conv2D(2, 3), L.Flatten(), name="per_frame")
    x = keras.Input((5, 8, 8, 1))
    return keras.Model(x, L.LSTM(3)(L.TimeDistributed(inner)(x)))


@model
def model_of_two_outputs() -> Any:
    a, b = keras.Input((3,)), keras.Input((3,))
    pair = keras.Model([a, b], [L.Add()([a, b]), L.Dense(2)(a)], name="pair")
    x, y = keras.Input((3,)), keras.Input((3,))
    return keras.Model([x, y], L.Concatenate()(pair([x, y])))


@model
def model_of_dictionaries() -> Any:
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    outputs = {"s": L.Add()([a, b]), "d": L.Dense(2)(a)}
    pair = keras.Model({"a": a, "b": b}, outputs, name="pair")
    x, y = keras.Input((3,)), keras.Input((3,))
    found = pair({"a": x, "b": y})
    return keras.Model([x, y], L.Concatenate()([found["s"], found["d"]]))


@model
def models_three_deep() -> Any:
    inner = stack(keras.Input((4,)), L.Dense(4), name="inner")
    outer = stack(keras.Input((4,)), inner, L.ReLU(), name="outer")
    x = keras.Input((4,))
    return keras.Model(x, outer(inner(outer(x))))


@model
def siamese() -> Any:
    tower = stack(keras.Input((16,)), L.Dense(8, "relu"), L.Dense(4), name="tower")
    a, b = keras.Input((16,), name="left"), keras.Input((16,), name="right")
    return keras.Model([a, b], ops.norm(tower(a) - tower(b), axis=-1, keepdims=True))


@model
def one_layer_three_times() -> Any:
    again = L.Dense(4, "relu")
    x = keras.Input((4,))
    return keras.Model(x, again(again(again(x))))


@model
def shared_layer_in_another_order() -> Any:
    shared = L.Dense(4)
    a, b = keras.Input((4,)), keras.Input((4,))
    y = shared(b)
    return keras.Model([a, b], L.Subtract()([shared(a), y]))


@model
def outputs_of_every_layer() -> Any:
    base = stack(keras.Input((8,)), L.Dense(4), L.Dense(3), L.Dense(2))
    return keras.Model(base.inputs, [layer.output for layer in base.layers])


@model
def begun_in_the_middle() -> Any:
    x = L.Dense(4)(keras.Input((8,)))
    return keras.Model(x, L.Dense(3)(x))


@model
def classes_of_the_notebook() -> Any:
    x = keras.Input((4,))
    y = Scale(3.0, inner=L.Dense(4, "relu"))(Scale(2.0)(x))
    return keras.Model(x, Two(4, name="second")(Two(4)(y, y), b=y))


# --- what is frozen, called specially, named oddly ----------------------------------------------


@model
def frozen_layer() -> Any:
    return stack(keras.Input((8,)), L.Dense(4, trainable=False), L.Dense(2))


@model
def frozen_beginning() -> Any:
    layers = [L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(), L.Conv2D(4, 3)]
    found = stack(keras.Input((8, 8, 3)), *layers, L.Flatten(), L.Dense(2))
    for layer in layers:
        layer.trainable = False
    return found


def backbone() -> Any:
    return stack(
        keras.Input((8, 8, 3)),
        L.Conv2D(4, 3, name="stem"),
        L.BatchNormalization(),
        L.ReLU(),
        L.Conv2D(4, 3),
        name="back.bone",
    )


@model
def frozen_backbone() -> Any:
    base = backbone()
    base.trainable = False
    picture = keras.Input((8, 8, 3))
    x = L.GlobalAveragePooling2D()(base(L.Rescaling(2.0, -1.0)(picture), training=False))
    return keras.Model(picture, L.Dense(5, "softmax")(L.Dropout(0.2)(x)))


@model
def backbone_frozen_in_part() -> Any:
    base = backbone()
    for layer in base.layers[:3]:
        layer.trainable = False
    return stack(base, L.Flatten(), L.Dense(5))


@model
def frozen_stack() -> Any:
    found = stack(keras.Input((8,)), L.Dense(4), L.Dense(2))
    found.trainable = False
    return found


@model
def frozen_graph() -> Any:
    x = keras.Input((8,))
    found = keras.Model(x, L.Dense(2)(L.Dense(4)(x)))
    found.trainable = False
    return found


@model
def frozen_wrapper() -> Any:
    x = keras.Input((5, 3))
    wrapper = L.Bidirectional(L.LSTM(4))
    wrapper.trainable = False
    return keras.Model(x, L.Dense(2)(wrapper(x)))


@model
def words_of_the_call() -> Any:
    x = keras.Input((8,))
    y = L.Dropout(0.5)(L.BatchNormalization()(x, training=False), training=True)
    return keras.Model(x, L.GaussianNoise(0.1)(y))


@model
def odd_names() -> Any:
    x = keras.Input((4,), name="input")
    found = [x]
    for name in ("model", "true", "2fast", "a.b", "_in", "d1"):
        found.append(L.Dense(3, name=name)(found[-1]))
    return keras.Model(x, [*found[1:], L.Dense(2)(found[3])], name="the model")


@model
def compiled() -> Any:
    found = named_inputs_and_outputs()
    rate = keras.optimizers.schedules.CosineDecay(1e-3, 1000)
    found.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.004),
        loss={
            "cls": keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
            "box": keras.losses.Huber(0.3),
        },
        loss_weights={"cls": 1.0, "box": 0.5},
        metrics={
            "cls": ["accuracy", keras.metrics.TopKCategoricalAccuracy(k=2, name="top2")],
            "box": "mae",
        },
    )
    return found
