"""Data that were scaled otherwise than what a model has learned from, of one input or several."""

import warnings

import numpy as np
import pytest
from IPython.utils.capture import capture_output
from keras import Input, Model, layers

import kmagic
from kmagic.data.preparation.scale_drift import ScaleWarning, scale_drift_message
from kmagic.support.errors import TrainingError
from kmagic.training.validation.data_checks import review_data

RNG = np.random.default_rng(0)
A, B = (RNG.random((40, 4), "float32") for _ in range(2))
Y = RNG.integers(0, 3, 40)
IN_B = r"The test data are scaled differently in b: their standard deviation is [\d.]+, that of"


@pytest.fixture
def pair():
    a, b = Input((4,), name="a"), Input((4,), name="b")
    joined = layers.Dense(3, activation="softmax")(layers.concatenate([a, b]))
    model = Model([a, b], joined, name="pair")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("x", [[A, B], (A, B), {"a": A, "b": B}], ids=["list", "tuple", "dict"])
def test_several_inputs_are_compared_one_by_one(pair, x):
    kmagic.fit(pair, x, Y, displays=[])
    for same in ([A, B], {"b": B, "a": A}):
        assert scale_drift_message(pair, same) == ""
    for other in ([A, 255 * B], (A, 255 * B), {"b": 255 * B, "a": A}):
        assert " in b: their standard deviation is 7" in scale_drift_message(pair, other)
    both = scale_drift_message(pair, [255 * A, 255 * B])
    assert " in a and b: their standard deviation is 7" in both
    assert both.count(" and ") == 3  # names, and the figures of each side


def test_validation_data_of_several_inputs_are_compared(pair):
    (told,) = review_data(pair, [A, B], Y, validation=({"a": 255 * A, "b": B}, Y)).messages
    assert told.startswith("The validation data are scaled differently in a: ")
    assert review_data(pair, [A, B], Y, validation=((A, B), Y)).messages == []


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        ([A, B[:-1]], Y, r"x\[0\] has 40 samples but x\[1\] has 39"),
        ({"a": A, "b": B}, Y[:-1], r"x\['a'\] has 40 samples but y has 39"),
        ([A, B * np.nan], Y, r"x\[1\] contains nan or inf"),
        ({"a": A * np.inf, "b": B}, Y, r"x\['a'\] contains nan or inf"),
    ],
)
def test_several_inputs_are_checked(pair, x, y, words):
    with pytest.raises(TrainingError, match=words):
        kmagic.fit(pair, x, y, displays=[])


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (A, "the model has 2 inputs, a, b, but x is a single array"),
        ([A, B, A], "the model has 2 inputs, a, b, but x is a list of 3"),
        ({"a": A, "c": B}, "the model has 2 inputs, a, b, but x has nothing for b"),
        ([A, B[:, :3]], "its input b expects shape 4 per sample, but x[1] has shape 3"),
        (
            {"b": B, "a": A[:, 0]},
            "its input a expects shape 4 per sample, but x['a'] has one value",
        ),
    ],
)
def test_arrays_must_match_the_inputs(pair, x, words):
    with pytest.raises(TrainingError) as caught:
        kmagic.fit(pair, x, Y, displays=[])
    assert words in caught.value.message
    if "has 2 inputs" in words:
        assert caught.value.remedy.startswith("Pass {'a': ..., 'b': ...}, or a list in this order.")


@pytest.mark.parametrize("named", [False, True])
def test_arrays_must_match_the_outputs(named):
    a = Input((4,), name="a")
    p, q = layers.Dense(1, name="p")(a), layers.Dense(1, name="q")(a)
    model = Model(a, {"p": p, "q": q} if named else [p, q])
    model.compile("sgd", "mse")
    t = RNG.random(40)
    for y, words in (
        (t, "but y is a single array"),
        ([t, t, t], "but y is a list of 3"),
        ({"p": t}, "but y has p: nothing for q"),
        ({"p": t, "q": t, "r": t}, "but y has r"),
    ):
        with pytest.raises(TrainingError, match=words):
            review_data(model, A, y)
    for y in ({"q": t, "p": t}, [t, t]):
        assert review_data(model, A, y).messages == []
    model.compile("sgd", {"p": "mse"})
    assert review_data(model, A, {"p": t}).messages == []


def test_one_input_in_a_list_is_one_input():
    model = kmagic.build("input 4 / dense 3 softmax")
    model.compile("adam", "sparse_categorical_crossentropy")
    assert review_data(model, [A], Y).messages == []
    assert review_data(model, [A[0]], Y[:1]).messages == []
    with pytest.raises(TrainingError, match="x has 40 samples but y has 39"):
        review_data(model, [A], Y[:-1])


@pytest.mark.parametrize("ask", ["evaluate", "confusion_of", "predict", "predict_classes"])
def test_python_warns_at_the_line_of_the_call(pair, ask):
    kmagic.fit(pair, [A, B], Y, displays=[])
    rest = () if ask.startswith("predict") else (Y,)
    with pytest.warns(ScaleWarning, match=IN_B) as caught:
        getattr(kmagic, ask)(pair, [A, 255 * B], *rest)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    getattr(kmagic, ask)(pair, [A, B], *rest)  # which would fail by a warning


@pytest.mark.parametrize(
    "line", ["evaluate pair {[x, z]} Y", "confusion pair {[x, z]} Y", "predict pair x z"]
)
def test_the_magics_print_it_once(shell, pair, monkeypatch, line):
    monkeypatch.setenv("KMAGIC_DISPLAY", "text")
    kmagic.fit(pair, [A, B], Y, displays=[])
    shell.user_ns |= {"pair": pair, "x": A, "z": 255 * B, "Y": Y}
    for options, times in (("", 1), ("", 1), (" --no-checks", 0), (" -q", 0)):
        with capture_output() as told, warnings.catch_warnings():
            warnings.simplefilter("error")
            shell.run_line_magic(f"keras_{line.split()[0]}", line.partition(" ")[2] + options)
        assert told.stdout.count("scaled differently in b") == times
        assert told.stderr == ""
