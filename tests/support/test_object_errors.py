"""Special methods of the user's objects that fail become messages; programs are left alone."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

import kmagic
from kmagic.support.errors import DataError, DSLError, KmagicError
from kmagic.support.object_errors import explain_special_methods


class Hostile:
    def __repr__(self):
        raise AttributeError

    def __len__(self):
        raise ZeroDivisionError("no length")

    def __bool__(self):
        raise ValueError("no truth")

    def __eq__(self, other):
        raise KeyError(other)

    __hash__ = None


class HostileArray(Hostile):
    shape, dtype, ndim = (6, 4), np.dtype("float32"), 2

    def __array__(self, *args, **kwargs):
        raise RuntimeError("no array")

    def __getitem__(self, index):
        raise RuntimeError("no items")


X, Y = np.zeros((6, 4), "float32"), np.arange(6) % 2


@pytest.fixture(scope="module")
def net():
    text = "input 4 / dense 2 softmax / compile adam loss=sparse_categorical_crossentropy"
    return kmagic.build(text)


@pytest.mark.parametrize("cls", [Hostile, HostileArray])
def test_objects_whose_methods_fail_are_refused(net, cls) -> None:
    calls = [
        *(
            lambda name=name: kmagic.fit(net, X, Y, **{name: cls()})
            for name in ("validation_data", "class_weight", "sample_weight", "callbacks", "epochs")
        ),
        lambda: kmagic.fit(net, cls(), Y),
        lambda: kmagic.fit(net, X, cls()),
        lambda: kmagic.fit(net, X, Y, class_weight={0: cls()}),
        lambda: kmagic.fit(net, X, Y, validation_data=(X, cls())),
        lambda: kmagic.predict(net, cls()),
        lambda: kmagic.evaluate(net, X, cls()),
        lambda: kmagic.confusion(Y, cls()),
        lambda: kmagic.confusion(Y, Y, class_names=cls()),
        lambda: kmagic.load_data(cls()),
        lambda: kmagic.load_data((X, cls())),
        lambda: kmagic.load_data((X, [cls()] * 6)),
    ]
    for call in calls:
        with pytest.raises(KmagicError) as caught:
            call()
        assert caught.value._render_traceback_()


@pytest.mark.parametrize(
    "text",
    ["for k in {h}:\n  dense 2", "dense {[h, 1]}", "dense {h}", "dense 2 <- {h}", "dense {h == 1}"],
)
def test_a_text_names_the_position_of_an_object_whose_methods_fail(text) -> None:
    class Items(list):
        def __len__(self):
            raise ZeroDivisionError("no length")

        __iter__ = __eq__ = __repr__ = __len__

    for value in (Hostile(), HostileArray(), Items()):
        with pytest.raises(KmagicError) as caught:
            kmagic.build(f"input 4\n{text}", h=value)
        if isinstance(caught.value, DSLError):
            assert caught.value.problems[0].line == 2
        else:
            assert "no length" in str(caught.value)


def nested_values():
    circle = []
    circle.append(circle)
    loop = {}
    loop["a"] = loop
    mixed = {"a": 1}
    mixed["b"] = [mixed]
    deep = (np.ones(3),)
    for _ in range(5000):
        deep = (deep, np.ones(3))
    return [circle, mixed, loop, deep]


@pytest.mark.parametrize("value", nested_values(), ids=["circle", "mixed", "loop", "deep"])
def test_containers_that_contain_themselves(net, value) -> None:
    calls = [
        lambda: kmagic.fit(net, value, Y),
        lambda: kmagic.fit(net, X, value),
        lambda: kmagic.fit(net, X, Y, validation_data=(X, value)),
        lambda: kmagic.fit(net, X, Y, callbacks=value),
        lambda: kmagic.predict(net, value),
        lambda: kmagic.evaluate(net, value, Y),
        lambda: kmagic.confusion(Y, value),
        lambda: kmagic.classify(value, net),
        lambda: kmagic.classify(X, net, y_true=value),
        lambda: kmagic.load_data(value),
        lambda: kmagic.load_data((value, Y)),
    ]
    for call in calls:
        with pytest.raises(KmagicError) as caught:
            call()
        assert caught.value._render_traceback_()


def test_the_message_says_that_data_contains_itself(net) -> None:
    for value in nested_values()[2:]:
        with pytest.raises(DataError, match="nested too deeply, or contains itself"):
            kmagic.fit(net, value, Y)


def test_data_beyond_the_memory_is_refused(net) -> None:
    wide = np.broadcast_to(np.float32(0), (6, 10**12))
    sparse = scipy.sparse.coo_array(([1.0], ([0], [0])), (10**6, 10**9))
    for value in (sparse, tf.sparse.SparseTensor([[0, 0]], [1.0], [10**6, 10**9])):
        for call in (
            lambda value=value: kmagic.fit(net, value, Y),
            lambda value=value: kmagic.fit(net, X, value),
            lambda value=value: kmagic.confusion(Y, value),
            lambda value=value: kmagic.load_data((X, value)),
            lambda value=value: kmagic.classify(value, net),
        ):
            with pytest.raises(KmagicError) as caught:
                call()
            assert caught.value._render_traceback_()
    with pytest.raises(DataError, match="too large for the memory"):
        kmagic.confusion(Y, [wide])


def test_a_program_of_the_user_that_needs_too_much_memory_is_unchanged() -> None:
    def program(*_):
        raise MemoryError

    with pytest.raises(MemoryError):
        explain_special_methods(program)()


def test_an_endless_recursion_of_the_user_is_unchanged(net) -> None:
    class Layer:
        def __call__(self, *inputs):
            return self(*inputs)

    with pytest.raises(RecursionError):
        explain_special_methods(Layer())([X])


def test_the_message_names_the_method(net) -> None:
    with pytest.raises(KmagicError, match=r"__array__ raised RuntimeError: no array\."):
        kmagic.fit(net, HostileArray(), Y)


def test_what_a_program_of_the_user_raises_is_unchanged(net) -> None:
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            raise LookupError("file 3")

    class Layer(keras.layers.Layer):
        def __call__(self, *inputs):
            raise LookupError(f"file {len(inputs) + 2}")

    for call in (
        lambda: kmagic.fit(net, Batches()),
        lambda: kmagic.predict(net, (LookupError("file 3") for _ in iter(Batches()[0], 1))),
        lambda: explain_special_methods(Layer())(X),
    ):
        with pytest.raises(LookupError, match="file 3"):
            call()
