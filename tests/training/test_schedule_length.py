"""One cycle of the learning rate spans each training, and schedules that end are reported."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kmagic
from kmagic.models.one_cycle import OneCycle, schedule_of
from kmagic.support.errors import TrainingError

from .fitting import fit

RNG = np.random.default_rng(0)
X = RNG.random((64, 4)).astype("float32")
Y = RNG.random((64, 2)).astype("float32")


def make(rate="one_cycle(0.01)", optimizer="adam"):
    return kmagic.build(f"input 4 / dense 2\ncompile {optimizer}({rate}) loss=mse")


def steps_of(model):
    schedule = schedule_of(model)
    return schedule.warmup_steps + schedule.decay_steps


def notes(run):
    return " ".join(message.text for message in run.messages)


CASES = {
    "arrays": (lambda: (X, Y), {}, 10),  # batches of 32
    "a batch size": (lambda: (X, Y), {"batch_size": 10}, 35),
    "a validation split": (lambda: (X, Y), {"validation_split": 0.25, "batch_size": 16}, 15),
    "plain Keras": (lambda: (X, Y), {"plain": True, "batch_size": 10}, 35),
    "an initial epoch": (lambda: (X, Y), {"initial_epoch": 3}, 4),
    "a stream": (lambda: (stream(),), {}, 40),
    "an endless stream": (lambda: (stream().repeat(),), {"steps_per_epoch": 3}, 15),
}


def stream():
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)


@pytest.mark.parametrize("case", CASES)
def test_the_cycle_spans_the_training(case):
    data, options, steps = CASES[case]
    model = make()
    run = fit(model, *data(), epochs=5, **options)
    assert (int(model.optimizer.iterations), steps_of(model)) == (steps, steps)
    assert run.optimizer == f"adam(one_cycle(0.01, steps={steps}))"
    assert notes(run) == ""
    assert run.learning_rates[0] == pytest.approx(4e-4)


def test_the_training_is_that_of_keras():
    ours, keras_own = make(optimizer="sgd"), make("one_cycle(0.01, steps=12)", "sgd")
    keras_own.set_weights(ours.get_weights())
    fit(ours, X, Y, epochs=3, batch_size=16, shuffle=False)
    keras_own.fit(X, Y, epochs=3, batch_size=16, shuffle=False, verbose=0)
    for weights, others in zip(ours.get_weights(), keras_own.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, others)


def test_a_second_training_is_a_new_cycle_with_a_new_state():
    model = make()
    fit(model, X, Y, epochs=2, batch_size=8)
    run = fit(model, X, Y, epochs=3, batch_size=8)
    assert (int(model.optimizer.iterations), steps_of(model)) == (24, 24)
    assert run.learning_rates[0] == pytest.approx(4e-4)
    assert "A new cycle of the learning rate begins (3 epochs, 24 steps)" in notes(run)
    assert "no effect" not in notes(run)


def test_fresh_starts_a_cycle_too():
    model = make()
    fit(model, X, Y, epochs=2, batch_size=8)
    run = fit(model, X, Y, epochs=3, batch_size=8, fresh=True)
    assert (int(model.optimizer.iterations), steps_of(model)) == (24, 24)
    assert "new cycle" not in notes(run)


@pytest.mark.parametrize("trained", [False, True])
def test_each_fold_of_a_cross_validation_is_a_cycle(trained):
    model = make()
    if trained:
        fit(model, X, Y, epochs=5)
    schedule, steps = schedule_of(model), int(model.optimizer.iterations)
    result = kmagic.cross_validate(model, X, Y, folds=4, epochs=3, batch_size=8, displays=[])
    assert {score.run.optimizer for score in result.results} == {"adam(one_cycle(0.01, steps=18))"}
    assert (schedule_of(model), int(model.optimizer.iterations)) == (schedule, steps)


def test_a_resumed_run_continues_its_cycle():
    model, whole = make(), make()
    whole.set_weights(model.get_weights())
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, _: setattr(model, "stop_training", epoch == 1)
    )
    options = {"epochs": 4, "batch_size": 8, "shuffle": False}
    fit(model, X, Y, callbacks=stop, **options)
    schedule = schedule_of(model)
    run = fit(model, X, Y, resume=True, callbacks=[], **options)
    assert schedule_of(model) is schedule
    assert "cycle" not in notes(run)
    assert run.learning_rates == fit(whole, X, Y, **options).learning_rates
    for weights, others in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, others)


def test_a_longer_run_has_a_longer_cycle():
    model = make()
    fit(model, X, Y, epochs=2, batch_size=8)
    run = fit(model, X, Y, epochs=4, batch_size=8, resume=True)
    assert (int(model.optimizer.iterations), steps_of(model)) == (32, 32)
    assert "now spans the whole run: 4 epochs, 32 steps" in notes(run)


def test_a_checkpoint_continues_the_cycle_in_a_new_model(tmp_path):
    options = {"epochs": 4, "batch_size": 8, "shuffle": False, "checkpoint": tmp_path / "run"}
    model, again = make(), make()
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, _: setattr(model, "stop_training", epoch == 1)
    )
    fit(model, X, Y, callbacks=stop, **options)
    run = fit(again, X, Y, resume=True, callbacks=[], **options)
    assert (int(again.optimizer.iterations), steps_of(again)) == (32, 32)
    assert len(run.log) == 4
    assert run.learning_rates[2] == pytest.approx(float(schedule_of(again)(16)))


def test_nothing_changes_if_all_epochs_are_trained():
    model = make()
    fit(model, X, Y, epochs=2)
    schedule = schedule_of(model)
    fit(model, X, Y, epochs=2, resume=True)
    assert schedule_of(model) is schedule
    assert int(model.optimizer.iterations) == 4


def test_a_new_compilation_ends_the_cycles():
    model = make()
    fit(model, X, Y, epochs=2)
    model.compile("sgd", "mse")
    fit(model, X, Y, epochs=2)
    assert schedule_of(model) is None


def test_the_optimizer_of_a_scaled_loss_gets_the_schedule():
    model = make()
    inner = keras.optimizers.Adam(OneCycle(0.01))
    model.compile(keras.optimizers.LossScaleOptimizer(inner), "mse")
    fit(model, X, Y, epochs=3)
    assert steps_of(model) == 6
    assert int(inner.iterations) <= 6


def test_data_of_unknown_length_is_refused_before_anything_changes():
    def batches():
        yield from zip(X.reshape(8, 8, 4), Y.reshape(8, 8, 2), strict=True)

    signature = (tf.TensorSpec((8, 4)), tf.TensorSpec((8, 2)))
    data = tf.data.Dataset.from_generator(batches, output_signature=signature)
    model = make()
    with pytest.raises(TrainingError, match="number of batches is not known") as error:
        fit(model, data, epochs=2)
    assert "one_cycle(0.01, steps=1000)" in str(error.value)
    assert isinstance(schedule_of(model), OneCycle)
    fit(model, data, epochs=2, steps_per_epoch=4)  # the first remedy
    assert steps_of(model) == 8


def test_too_few_batches_are_refused():
    with pytest.raises(TrainingError, match="at least 4 batches; this one has 2"):
        fit(make(), X, Y)


def test_reduce_lr_and_a_cycle_exclude_each_other():
    with pytest.raises(TrainingError, match="follows a schedule"):
        fit(make(), X, Y, epochs=3, reduce_lr=True)


def test_a_learning_rate_test_ignores_the_cycle():
    model = make()
    test = kmagic.find_learning_rate(model, X, Y, steps=20)
    assert len(test.rates) == 20
    assert "schedule" in test.usage or test.rate is None
    assert isinstance(schedule_of(model), OneCycle)


@pytest.mark.parametrize(
    ("rate", "note"),
    [
        ("one_cycle(0.01, steps=20)", "ends in epoch 3; then the learning rate stays at 1e-06."),
        ("one_cycle(0.01, steps=40)", ""),
        ("cosine_decay(0.01, 8)", "ends in epoch 2; then the learning rate stays at 0."),
        ("cosine_decay(0.01, 8, alpha=0.1)", ""),  # which may be meant
        ("0.01", ""),
    ],
)
def test_a_schedule_that_ends_before_the_training_is_reported(rate, note):
    found = notes(fit(make(rate), X, Y, epochs=5, batch_size=8))
    assert (note in found) if note else not found


def test_a_schedule_that_is_over_is_reported(tmp_path):
    model = make()
    fit(model, X, Y, epochs=5)
    model.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    found = notes(fit(loaded, X, Y, epochs=2))
    assert "The schedule of the learning rate is over" in found
    assert "Compile the model again" in found
