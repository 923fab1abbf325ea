"""One cycle of the learning rate: as a schedule of Keras, and until its steps are known."""

import keras
import numpy as np
import pytest

import kmagic
from kmagic.models.one_cycle import OneCycle, schedule_of
from kmagic.support.errors import DSLError, TrainingError

CosineDecay = keras.optimizers.schedules.CosineDecay
X, Y = np.ones((8, 4), "float32"), np.ones((8, 2), "float32")


def build(rate):
    return kmagic.build(f"input 4 / dense 2\ncompile adam({rate}) loss=mse")


def test_with_steps_it_is_a_schedule_of_keras():
    schedule = schedule_of(build("one_cycle(0.01, steps=1000)"))
    assert type(schedule) is CosineDecay
    rates = np.array([float(schedule(step)) for step in range(1001)])
    assert rates[[0, 150, 300, 650, 1000]] == pytest.approx([4e-4, 5.2e-3, 0.01, 5e-3, 1e-6], 1e-3)
    assert rates.argmax() == 300
    assert (np.diff(rates)[:300] > 0).all()
    assert (np.diff(rates)[300:] < 0).all()


@pytest.mark.parametrize("steps", [4, 5, 7, 10, 999, 1_000_000])
@pytest.mark.parametrize("rate", [1e-4, 0.003, 1.0])
def test_the_steps_are_those_of_both_phases(rate, steps):
    schedule = OneCycle(rate, np.int64(steps))
    assert schedule.warmup_steps + schedule.decay_steps == steps
    assert schedule.warmup_steps >= 1
    assert float(schedule(schedule.warmup_steps)) == pytest.approx(rate)


@pytest.mark.parametrize(
    "rate", ["one_cycle(0.01)", "one_cycle(0.02, steps=37)", "one_cycle(1.0, steps=4)"]
)
def test_the_text_of_a_model_contains_it(rate):
    model = build(rate)
    assert f"adam({rate})" in kmagic.to_dsl(model)
    config = schedule_of(kmagic.build(kmagic.to_dsl(model))).get_config()
    assert config == schedule_of(model).get_config()


@pytest.mark.parametrize(
    "change",
    [{"alpha": 0.5}, {"warmup_steps": 298}, {"warmup_target": None}, {"decay_steps": 70.0}],
)
def test_other_schedules_are_written_as_they_are(change):
    config = OneCycle(0.01, 1000).get_config() | change
    model = build("0.1")
    model.compile(keras.optimizers.SGD(CosineDecay(**config)), "mse")
    assert "cosine_decay(" in kmagic.to_dsl(model)


def test_keras_fit_refuses_it_until_its_steps_are_known():
    model = build("one_cycle(0.01)")
    with pytest.raises(TrainingError, match="steps=1000") as error:
        model.fit(X, Y, verbose=0)
    assert "one_cycle(0.01)" in str(error.value)
    kmagic.fit(model, X, Y, epochs=4, batch_size=4, displays=[])  # the first remedy
    assert int(model.optimizer.iterations) == 8


def test_there_is_no_program_until_its_steps_are_known():
    model = build("one_cycle(0.01)")
    with pytest.raises(DSLError, match="one_cycle without steps has no equivalent") as error:
        kmagic.to_python(model)
    assert "one_cycle(0.01, steps=1000)" in str(error.value)
    kmagic.fit(model, X, Y, epochs=4, batch_size=4, displays=[])
    program = kmagic.to_python(model)
    assert "keras.optimizers.schedules.CosineDecay(" in program
    assert "kmagic" not in program
    names = {}
    exec(program, names)  # noqa: S102 - our own program
    assert schedule_of(names["model"]).get_config() == schedule_of(model).get_config()


def test_a_trained_model_is_saved_without_classes_of_kmagic(tmp_path):
    model = build("one_cycle(0.01)")
    kmagic.fit(model, X, Y, epochs=4, batch_size=4, displays=[])
    assert "kmagic" not in str(keras.optimizers.serialize(model.optimizer))
    model.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    assert type(schedule_of(loaded)) is CosineDecay
    assert schedule_of(loaded).get_config() == schedule_of(model).get_config()


def test_an_untrained_model_keeps_it_in_a_file(tmp_path):
    kmagic.save(build("one_cycle(0.01)"), tmp_path / "net.keras")
    schedule = schedule_of(kmagic.load(tmp_path / "net.keras"))
    assert isinstance(schedule, OneCycle)
    assert schedule.get_config() == {"learning_rate": 0.01}


@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan"), True, "0.1", None])
def test_other_rates_are_refused(value):
    with pytest.raises(ValueError, match="learning_rate must be a positive number"):
        OneCycle(value)


@pytest.mark.parametrize("value", [3, 0, -5, 10.0, True, "10"])
def test_other_steps_are_refused(value):
    with pytest.raises(ValueError, match="steps must be an integer of at least 4"):
        OneCycle(0.1, value)
