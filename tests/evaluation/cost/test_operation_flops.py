"""The FLOPs of operations, also those that TensorFlow's profiler does not count."""

import keras
import pytest
import tensorflow as tf

from kmagic.evaluation.cost.operation_flops import FlopCounter
from kmagic.evaluation.cost.traced_model import trace

from ..classification.test_applications import SIDES

QUICK = {"MobileNetV2", "ConvNeXtTiny", "EfficientNetV2B0"}


def count(function, *shapes):
    specs = [tf.TensorSpec(shape) for shape in shapes]
    graph = tf.function(function, autograph=False).get_concrete_function(*specs).graph
    counter = FlopCounter()
    return sum(map(counter.count, graph.get_operations())), dict(counter.missing)


def flops_of_profiler(graph):
    """FLOPs by operation."""
    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().build()
    pending = [tf.compat.v1.profiler.profile(graph, options=options, cmd="scope")]
    found = {}
    while pending:
        node = pending.pop()
        found[node.name] = node.float_ops
        pending += node.children
    return {name: flops for name, flops in found.items() if flops}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in SIDES]
)
def test_applications_have_the_flops_of_tensorflows_profiler(name):
    model = getattr(keras.applications, name)(weights=None)
    shape = (1, *(side or 224 for side in model.input_shape[1:]))
    traced = trace(model, tf.TensorSpec(shape))
    counter = FlopCounter()
    own = {operation.name: counter.count(operation) for operation in traced.forward}
    theirs = flops_of_profiler(traced.forward[0].graph)
    assert len(theirs) > 30
    assert theirs.keys() <= own.keys()
    assert sum(own[name] for name in theirs) == pytest.approx(sum(theirs.values()), rel=0.01)
    assert sum(own.values()) < 1.05 * sum(theirs.values())
    assert not counter.missing


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (lambda a, b: tf.matmul(a, b, transpose_a=True), [(3, 4), (3, 5)], 2 * 4 * 5 * 3),
        (lambda a, b: tf.matmul(a, b, adjoint_a=True), [(7, 3, 4), (7, 3, 5)], 7 * 2 * 4 * 5 * 3),
        (lambda a, b: tf.matmul(a, b, transpose_b=True), [(7, 3, 4), (7, 5, 4)], 7 * 2 * 3 * 5 * 4),
        (lambda a, b: tf.einsum("bij,jk->bik", a, b), [(2, 3, 4), (4, 5)], 2 * 2 * 3 * 4 * 5),
        (lambda a, b: tf.einsum("...ij,j...->i...", a, b), [(2, 1, 3, 4), (4, 6)], 288),
        (lambda a: tf.einsum("ij->j", a), [(3, 4)], 12),
        (tf.nn.softmax, [(2, 10)], 5 * 20),
        (tf.reduce_max, [(2, 10)], 19),
        (lambda a: tf.nn.max_pool3d(a, 2, 2, "VALID"), [(1, 4, 4, 4, 3)], 8 * 24),
        (lambda a: tf.transpose(tf.reshape(a, (5, 4))), [(2, 10)], 0),
        (lambda a: tf.cast(tf.cast(a, "int32") + 1, "float32"), [(2, 10)], 0),
        (lambda a, b: tf.cond(a[0] > 0, lambda: b @ b, lambda: b), [(1,), (3, 3)], 54 + 1),
    ],
)
def test_an_operation_has_the_flops_of_its_formula(function, shapes, expected):
    assert count(function, *shapes) == (expected, {})


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (keras.layers.Conv1D(5, 3), (10, 4), 8 * 5 * (2 * 3 * 4 + 1)),
        (keras.layers.Conv2D(6, 3, groups=2), (8, 8, 4), 36 * 6 * (2 * 9 * 2 + 1)),
        (keras.layers.Conv3D(2, 2), (4, 4, 4, 3), 27 * 2 * (2 * 8 * 3 + 1)),
        (keras.layers.Conv2DTranspose(5, 2, strides=2), (4, 4, 3), 2 * 16 * 4 * 3 * 5 + 64 * 5),
        (keras.layers.DepthwiseConv2D(3, depth_multiplier=2), (8, 8, 4), 36 * 8 * (2 * 9 + 1)),
        (keras.layers.UpSampling2D(2, interpolation="bilinear"), (4, 4, 3), 9 * 64 * 3),
        (keras.layers.Embedding(10, 4), (7,), 0),
        (keras.layers.Dense(3, activation="relu"), (4,), 3 * (2 * 4 + 1 + 1)),
    ],
)
def test_a_layer_has_the_flops_of_its_formula(layer, shape, expected):
    model = keras.Sequential([keras.Input(shape), layer])
    counter = FlopCounter()
    traced = trace(model, tf.TensorSpec((1, *shape)))
    assert sum(counter.count(operation) for operation, _ in traced.needed()) == expected
    assert not counter.missing


@pytest.mark.parametrize("cell", [keras.layers.SimpleRNN, keras.layers.GRU, keras.layers.LSTM])
def test_a_loop_over_time_steps_counts_as_often_as_it_runs(cell):
    def flops(**options):
        model = keras.Sequential([keras.Input((9, 4)), cell(5, **options)])
        counter = FlopCounter()
        traced = trace(model, tf.TensorSpec((1, 9, 4)))
        return sum(counter.count(operation) for operation, _ in traced.needed()), counter.missing

    loop, missing = flops()
    unrolled, _ = flops(unroll=True)
    assert not missing
    assert loop == unrolled > 9 * 2 * 5 * (4 + 5)


def test_a_loop_of_known_length_is_counted_and_another_is_reported():
    def steps(n):
        def function(x):
            return tf.while_loop(lambda i, _: i < n(x), lambda i, y: (i + 2, y @ y), (1, x))[1]

        return count(function, (4, 4))

    flops, missing = steps(lambda _: 8)
    assert (flops, missing) == (4 * 2 * 4**3, {})  # i is 1, 3, 5, 7
    assert steps(lambda x: tf.cast(x[0, 0], "int32")) == (0, {"loop of unknown length": 1})


def test_the_values_of_a_loop_decide_over_its_limit():
    def function(x):
        return tf.while_loop(
            lambda y: y[0, 0] < 3.0, lambda y: (y @ y,), (x,), maximum_iterations=9
        )

    assert count(function, (4, 4)) == (0, {"loop of unknown length": 1})


def test_what_has_no_formula_is_reported():
    flops, missing = count(lambda x: tf.math.real(tf.signal.fft2d(tf.cast(x, "complex64"))), (4, 4))
    assert (flops, missing) == (0, {"FFT2D": 1})
    _, missing = count(lambda x: tf.nn.relu(tf.boolean_mask(x, x > 0)), (4,))
    assert missing == {"Relu of unknown shape": 1}
