"""A cross-validation trains new weights on each fold and leaves the model as it was."""

import _thread

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn.model_selection import StratifiedKFold

import kmagic
from kmagic.support.errors import EvaluationError, TrainingError
from kmagic.support.model_registry import last_call, record_for

from ..fitting import RecordingDisplay

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4)).astype("float32")
Y = (X.sum(axis=1) > 0).astype(int) + (X[:, 0] > 1)
TEXT = """input 4 / dense 8 relu / dropout 0.3 / dense 3 softmax
compile adam loss=sparse_categorical_crossentropy metrics=accuracy"""


def make(text=TEXT):
    return kmagic.build(text)


def validate(model, x=X, y=Y, **options):
    defaults = {"folds": 2, "epochs": 1, "batch_size": 16, "seed": 5, "displays": [], "name": "net"}
    return kmagic.cross_validate(model, x, y, **defaults | options)


@pytest.fixture(scope="module")
def base():
    return validate(make())


def error(model=None, x=X, y=Y, **options):
    with pytest.raises(TrainingError) as caught:
        validate(model or make(), x, y, **options)
    return str(caught.value)


def state(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [np.asarray(variable.numpy()) for variable in variables]


# --- the runs -------------------------------------------------------------------------------------


def test_each_run_is_a_fit_with_new_weights_and_its_own_seed():
    model = make()
    result = validate(model, epochs=3, folds=3)
    folds = StratifiedKFold(3, shuffle=True, random_state=5).split(X, Y)
    weights = set()
    for number, (train, held_out) in enumerate(folds):
        alone, val = make(), (X[held_out], Y[held_out])
        run = kmagic.fit(
            alone, X[train], Y[train], validation_data=val, epochs=3, batch_size=16, fresh=True,
            seed=5 + number, displays=[],
        )  # fmt: skip
        assert result.runs[number].history == run.history
        predicted = alone.predict(X[held_out], verbose=0)
        np.testing.assert_allclose(result.predictions[held_out], predicted, atol=1e-6)
        weights.add(alone.get_weights()[0].tobytes())
    assert len(weights) == 3
    assert [run.model_name for run in result.runs] == [f"net fold {n} of 3" for n in (1, 2, 3)]
    assert [run.seed for run in result.runs] == [5, 6, 7]


def test_the_scores_are_those_of_the_predictions():
    result = validate(make(), epochs=2, folds=4)
    folds = StratifiedKFold(4, shuffle=True, random_state=5).split(X, Y)
    right = result.predictions.argmax(axis=1) == Y
    shares = [right[rows].mean() for _, rows in folds]
    np.testing.assert_allclose(result.scores["val_accuracy"], shares, atol=1e-6)
    assert result.mean["val_accuracy"] == pytest.approx(np.mean(shares))
    assert result.predicted.all()


def test_restored_weights_are_scored():
    rates = keras.callbacks.LearningRateScheduler(lambda epoch, _: 0.01 if epoch == 0 else 3.0)
    result = validate(make(), epochs=4, restore_best=True, callbacks=rates)
    best = [run.best.epoch for run in result.runs]
    assert [each.epoch for each in result.results] == best
    right = result.predictions.argmax(axis=1) == Y
    assert min(best) < 4
    sizes = [len(rows) for _, rows in StratifiedKFold(2).split(X, Y)]
    mean = np.average(result.scores["val_accuracy"], weights=sizes)
    assert right.mean() == pytest.approx(mean, abs=1e-6)
    assert result.messages == [
        "restore_best uses the held-out rows, which makes the scores slightly too good."
    ]


def test_it_is_repeatable_with_a_seed(base):
    np.testing.assert_array_equal(validate(make()).predictions, base.predictions)
    assert not np.array_equal(validate(make(), seed=6).predictions, base.predictions)


def test_repetitions_have_other_folds_and_seeds(base):
    result = validate(make(), repeat=2)
    assert len(result.runs) == result.planned == 4
    assert [run.seed for run in result.runs] == [5, 6, 7, 8]
    frame = result.to_frame()
    assert frame.index[3] == "fold 2, repeat 2"
    assert len(set(frame["val_loss"])) == 4
    np.testing.assert_array_equal(result.predictions, base.predictions)


def test_seeds_alone():
    result = validate(make(), folds=None, repeat=2, validation_split=0.2)
    assert [each.fold for each in result.results] == [0, 0]
    assert len(set(result.scores["val_loss"])) == 2
    assert len(result.predictions) == len(result.y_true) == 18
    np.testing.assert_array_equal(result.x, X[72:])
    assert kmagic.confusion(result).samples == 18
    pair = validate(make(), folds=None, repeat=2, validation_data=(X[:30], Y[:30]))
    assert len(pair.predictions) == 30
    data = kmagic.load_data((X, Y))
    part = validate(make(), data, None, folds=None, repeat=2, validation_data=data)
    assert part.x is data.x_test
    stream = tf.data.Dataset.from_tensor_slices((X, Y)).batch(30)
    streamed = validate(make(), folds=None, repeat=2, validation_data=stream)
    assert len(streamed.finished) == 2
    with pytest.raises(EvaluationError, match="no predictions"):
        kmagic.confusion(streamed)


def test_class_weights_and_sample_weights_are_those_of_the_fold():
    weights = RNG.random(90)
    result = validate(make(), sample_weight=weights)
    train, held_out = next(StratifiedKFold(2, shuffle=True, random_state=5).split(X, Y))
    run = kmagic.fit(
        make(), X[train], Y[train], sample_weight=weights[train], epochs=1, batch_size=16, seed=5,
        fresh=True, validation_data=(X[held_out], Y[held_out], weights[held_out]), displays=[],
    )  # fmt: skip
    assert result.runs[0].history == run.history
    data = kmagic.load_data((X, np.array(["a", "b", "c"])[Y]))
    for given in ("balanced", {"a": 1.0, "b": 2.0, "c": 3.0}):
        result = validate(make(), data, None, class_weight=given)
        assert len(result.finished) == 2
    assert result.classes == ("a", "b", "c")


def test_standardization_is_learned_in_each_fold():
    result = validate(make(), kmagic.load_data((X * 9 + 4, Y), scale="standard"), None)
    assert result.messages == ["Learned in each fold from its training rows: standardization."]


# --- other data and models ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (pd.DataFrame(X, columns=list("abcd")), pd.Series(Y)),
        (X.tolist(), Y.tolist()),
        (tf.constant(X), tf.constant(Y)),
    ],
)
def test_frames_lists_and_tensors(x, y, base):
    np.testing.assert_allclose(validate(make(), x, y).predictions, base.predictions, atol=1e-6)


def test_several_inputs_and_outputs():
    a, b = keras.Input((4,), name="a"), keras.Input((1,), name="b")
    both = keras.layers.concatenate([a, b])
    heads = {name: keras.layers.Dense(1, name=name)(both) for name in ("one", "two")}
    model = keras.Model({"a": a, "b": b}, heads)
    model.compile("adam", "mse")
    targets = {"one": X[:, 1], "two": X[:, 2]}
    result = validate(model, {"a": X, "b": X[:, :1]}, targets)
    assert {key: part.shape for key, part in result.predictions.items()} == {
        "one": (90, 1), "two": (90, 1)
    }  # fmt: skip
    assert not np.isnan(result.predictions["one"]).any()
    assert list(kmagic.errors(result)) == ["one", "two"]
    with pytest.raises(EvaluationError, match=r"All outputs of .* predict values, not classes"):
        kmagic.confusion(result)


def test_regression_and_time():
    model = make("input 4 / dense 1 / compile adam loss=mse")
    result = validate(model, X, X[:, 0], chronological=True)
    assert result.kind == "chronological"
    assert result.predicted.sum() == 60
    with pytest.raises(EvaluationError):
        kmagic.confusion(result)
    assert np.isnan(result.predictions[:30]).all()
    assert not np.isnan(result.predictions[30:]).any()


def test_a_model_that_is_not_compiled_or_not_built():
    new = make("input 4 / dense 3 softmax")
    result = validate(new)
    assert new.compiled
    assert int(new.optimizer.iterations) == 0
    assert "compiled" in result.messages[0]
    unbuilt = keras.Sequential([keras.layers.Dense(3)], name="net")
    unbuilt.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    result = validate(unbuilt)
    assert result.messages == []  # the weights were created here
    assert len({run.history["loss"][0] for run in result.runs}) == 2


def test_weights_of_unknown_origin_are_not_replaced():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="net")
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    result = validate(model)
    assert "Each run starts with the weights that the model had" in result.messages[0]
    built = kmagic.build(kmagic.to_dsl(model))
    assert validate(built).messages == []
    model.fit(X, Y, verbose=0)
    trained = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="net")
    trained.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    trained.fit(X, Y, verbose=0)
    assert "Build the model again" in error(trained)


def test_adapted_layers_are_reported():
    layer = keras.layers.Normalization(name="norm")
    layer.adapt(X)
    model = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(3)], name="net")
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert any(message.startswith("norm keeps") for message in validate(model).messages)


def test_callbacks_that_monitor_the_validation_are_reported():
    early = keras.callbacks.EarlyStopping("val_loss", patience=0, min_delta=9.0)
    result = validate(make(), callbacks=[early], epochs=4)
    assert [len(run.log) for run in result.runs] == [2, 2]  # for each run from the start
    assert result.messages == [
        "EarlyStopping uses the held-out rows, which makes the scores slightly too good."
    ]


def test_models_and_optimizers_that_cannot_be_used():
    inputs = keras.Input((4, 1), batch_size=10)
    stateful = keras.Sequential([inputs, keras.layers.SimpleRNN(3, stateful=True)])
    stateful.compile("adam", "mse")
    assert "is stateful" in error(stateful, X[..., None], batch_size=10)

    class Falling(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1 / step

    model = make()
    model.compile(keras.optimizers.SGD(Falling()), "sparse_categorical_crossentropy")
    assert "The optimizer SGD cannot be copied" in error(model)


# --- nothing changes ------------------------------------------------------------------------------


@pytest.mark.parametrize("is_trained", [False, True])
def test_the_model_is_as_before_bit_by_bit(is_trained):
    histories = []
    for is_validated in (False, True):
        keras.utils.set_random_seed(2)
        model = make()
        if is_trained:
            kmagic.fit(model, X, Y, epochs=2, seed=1, reduce_lr=1, displays=[])
        run, call, functions = record_for(model).run, last_call(model), model.train_function
        before, optimizer = state(model), model.optimizer
        if is_validated:
            validate(model, reduce_lr=1)
            assert model.optimizer is optimizer
            assert model.train_function is functions
            assert record_for(model).run is run
            assert last_call(model) is call
            for one, other in zip(before, state(model), strict=True):
                np.testing.assert_array_equal(one, other)
        run = kmagic.fit(model, X, Y, epochs=2, seed=3, displays=[])
        histories.append((run.history, [text for _, text in run.messages]))
    assert histories[0] == histories[1]


def test_a_run_can_still_be_continued():
    model = make()
    kmagic.fit(model, X, Y, epochs=2, displays=[])
    validate(model)
    run = kmagic.fit(model, resume=True, epochs=3, displays=[])
    assert run.resumed == 2


def test_the_model_is_as_before_after_an_error():
    class Broken(keras.callbacks.Callback):
        def on_epoch_end(self, *_):
            raise RuntimeError("mine")

    model = make()
    before, optimizer = state(model), model.optimizer
    with pytest.raises(RuntimeError, match="mine"):
        validate(model, callbacks=Broken())
    assert model.optimizer is optimizer
    for one, other in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(one, other)


# --- an early end ---------------------------------------------------------------------------------


class Ending(RecordingDisplay):
    """Ends the second run in its second epoch."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def epoch(self, run):
        if run.model_name.startswith("net fold 2") and len(run.log) == 1:
            self.how(run)


@pytest.mark.parametrize(
    ("how", "status"),
    [
        (lambda run: run.stop(), "stopped"),
        (lambda run: _thread.interrupt_main(), "interrupted"),  # noqa: ARG005
    ],
)
def test_finished_runs_are_kept(how, status):
    model = make()
    before = state(model)
    result = validate(model, folds=4, epochs=3, displays=[Ending(how)])
    assert [run.status for run in result.runs] == ["done", status]
    assert result.describe() == (
        f"4 folds, stratified; 1 of 4 runs finished: fold 2 {status}, 2 not started"
    )
    assert len(result.scores["val_loss"]) == 1
    assert np.isnan(result.std["val_loss"])
    assert 0 < result.predicted.sum() < 45
    assert kmagic.confusion(result).samples == result.predicted.sum()
    for one, other in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_interrupt_between_two_runs(monkeypatch):
    model = make()
    predict = keras.Sequential.predict
    monkeypatch.setattr(
        keras.Sequential,
        "predict",
        lambda self, *args, **options: (
            predict(self, *args, **options) if len(model_runs) < 2 else _interrupt()
        ),
    )
    model_runs = []

    class Counting(RecordingDisplay):
        def begin(self, run):
            model_runs.append(run)

    def _interrupt():
        raise KeyboardInterrupt

    result = validate(model, folds=3, displays=[Counting()])
    assert len(result.finished) == 1
    assert "fold 2 without predictions, 1 not started" in result.describe()


def test_a_run_that_diverges_does_not_count():
    rates = keras.callbacks.LearningRateScheduler(lambda _: 1e30)
    model = make("input 4 / dense 1 / compile sgd loss=mse")
    result = validate(model, X, X[:, 0], callbacks=rates, epochs=2)
    assert result.finished == []
    assert result.mean == {}
    assert "0 of 2 runs finished: fold 1 failed, fold 2 failed" in repr(result)
    with pytest.raises(EvaluationError, match="no run has finished"):
        kmagic.confusion(result)


# --- refused --------------------------------------------------------------------------------------


def test_what_cannot_be_is_refused(tmp_path):
    assert "folds= must be an integer of at least 2; got 1" in error(folds=1)
    assert "got True" in error(folds=True)
    assert "repeat= must be an integer of at least 1" in error(repeat=0)
    assert "folds=5" in error(folds=None)
    assert "there is no validation data" in error(folds=None, repeat=2)
    assert "Remove validation_split=" in error(validation_split=0.1)
    assert "Remove validation_data=" in error(validation_data=(X, Y))
    assert "Add folds=5, or remove groups=" in error(folds=None, repeat=2, groups=Y)
    assert "Add folds=5, or remove chronological=" in error(folds=None, chronological=True)
    assert "epochs= must be at least 1" in error(epochs=0)
    for option, value in (
        *(("resume", True), ("checkpoint", tmp_path), ("budget", 60), ("csv", tmp_path / "a.csv")),
        *(("watch", "confusion"), ("initial_epoch", 1), ("steps_per_epoch", 2)),
        *(("validation_steps", 2), ("validation_freq", 2), ("tensorboard", tmp_path)),
    ):
        assert f"{option}= cannot be used for several runs" in error(**{option: value})
    assert "Did you mean epochs?" in error(epoch=2)
    assert "fit expects a Keras model" in error("net")


def test_streams_are_refused():
    stream = tf.data.Dataset.from_tensor_slices((X, Y)).batch(30)
    assert "got a tf.data.Dataset" in error(x=stream, y=None)
    loaded = kmagic.load_data(stream)  # the remedy
    assert len(validate(make(), loaded, None).finished) == 2
    assert "got a generator" in error(x=iter(stream), y=None)


def test_a_model_that_does_not_fit_the_data_is_refused_before_the_first_run():
    view = RecordingDisplay()
    text = error(x=X[:, :2], displays=[view])
    assert "net" in text
    assert view.calls == []
