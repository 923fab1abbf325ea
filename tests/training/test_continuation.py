"""A resumed run takes over settings and data, and never trains on rows that were held out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmagic.support.errors import TrainingError
from kmagic.support.messages import MagicSpelling
from kmagic.training.continuation import RowSample, row_digests
from kmagic.training.run.training_run import Display

from .fitting import fit

ROWS = 40
SETTINGS = {"epochs": 3, "batch_size": 8, "validation_split": 0.25, "shuffle": False, "seed": 3}


class StopAfter(Display):
    def __init__(self, epoch=1):
        self.last = epoch

    def epoch(self, run):
        if len(run.log) == self.last:
            run.stop()


def make():
    keras.utils.set_random_seed(1)
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    net.compile("adam", "sparse_categorical_crossentropy")
    return net


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, 3)).astype("float32"), rng.integers(0, 2, ROWS)


def texts(run):
    return " ".join(message.text for message in run.messages)


def test_a_bare_resume_uses_the_settings_and_the_data_of_the_run(data):
    net, epochs = make(), []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: epochs.append(epoch))
    options = SETTINGS | {"patience": 9, "class_weight": {0: 1, 1: 2}, "callbacks": [callback]}
    fit(net, *data, **options, displays=[StopAfter()])
    run = fit(net, resume=True)
    assert (len(run.log), run.samples, run.validation_samples, run.steps) == (3, 30, 10, 4)
    assert epochs == [0, 1, 2]
    assert run.options == {
        **{key: value for key, value in options.items() if key != "callbacks"},
        "checks": False,
    }
    assert "batch_size 8, validation_split 0.25, callbacks (LambdaCallback)" in texts(run)


def test_targets_that_are_given_replace_those_of_the_run(data):
    net = make()
    fit(net, *data, **SETTINGS)
    run = fit(net, y=data[1][::-1].copy(), resume=True, epochs=4)
    assert "The data differs from that of the earlier epochs." in texts(run)


def test_the_result_is_that_of_a_run_without_a_break(data):
    whole, parts = make(), make()
    options = SETTINGS | {"seed": None}
    expected = fit(whole, *data, **options)
    fit(parts, *data, **options, displays=[StopAfter(2)])
    assert fit(parts, resume=True).history == expected.history


def test_options_that_are_given_replace_those_of_the_run(data):
    net = make()
    fit(net, *data, **SETTINGS)
    run = fit(net, resume=True, epochs=4, batch_size=15, shuffle=True)
    assert (run.steps, len(run.log), run.options["seed"]) == (2, 4, 3)
    assert "shuffle" not in run.options


def test_resume_of_an_uninterrupted_run_trains_nothing(data):
    net = make()
    fit(net, *data, **SETTINGS)
    run = fit(net, resume=True)
    assert len(run.log) == 3
    assert "All 3 epochs are already trained" in texts(run)


def test_a_new_process_takes_the_settings_from_the_checkpoint(data, tmp_path):
    fit(
        *(make(), *data),
        **SETTINGS | {"class_weight": {0: 1, 1: 2}, "budget": "2m", "checkpoint": tmp_path},
        callbacks=[keras.callbacks.LambdaCallback()],
        displays=[StopAfter()],
    )
    run = fit(make(), *data, checkpoint=tmp_path, resume=True)
    assert (len(run.log), run.steps, run.validation_samples) == (3, 4, 10)
    assert run.options["class_weight"] == {0: 1.0, 1: 2.0}
    assert (run.options["budget"], run.options["seed"], run.options["shuffle"]) == (120.0, 3, False)
    assert "not in its record: LambdaCallback" in texts(run)


def test_what_a_record_cannot_contain_has_to_be_passed_again(data, tmp_path):
    x, y = data
    given = {"x": x, "y": y, "validation_data": (x[:5], y[:5]), "sample_weight": np.ones(ROWS)}
    fit(make(), **given, epochs=2, checkpoint=tmp_path, displays=[StopAfter()])
    for missing in ("x", "validation_data", "sample_weight"):
        incomplete = {name: value for name, value in given.items() if name != missing}
        with pytest.raises(TrainingError, match="again"):
            fit(make(), **incomplete, checkpoint=tmp_path, resume=True)
    assert len(fit(make(), **given, checkpoint=tmp_path, resume=True).log) == 2


@pytest.fixture(scope="module")
def stopped(data):
    net = make()
    fit(net, *data, **SETTINGS, displays=[StopAfter()])
    return net


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    fit(make(), *data, **SETTINGS, checkpoint=path, displays=[StopAfter()])
    return path


def changed(x, y, change):
    """The data and options of a resumed run that would train on rows that were held out."""
    backwards = x[::-1].copy(), y[::-1].copy()
    return {
        "a smaller split": ((x, y), {"validation_split": 0.1}),
        "no split": ((x, y), {"validation_split": 0.0}),
        "other validation data": ((x, y), {"validation_data": (x[:5], y[:5])}),
        "another order": (backwards, {}),
        "another order and the split": (backwards, {"validation_split": 0.25}),
        "another type": ((x[::-1].astype("float64").tolist(), y[::-1].tolist()), {}),
        "fewer rows": ((x[5:], y[5:]), {"validation_split": 0.05}),
    }[change]


CHANGES = (
    *("a smaller split", "no split", "other validation data", "another order"),
    *("another order and the split", "another type", "fewer rows"),
)


@pytest.mark.parametrize("change", CHANGES)
def test_rows_that_were_held_out_are_not_trained_on(data, stopped, change):
    before = stopped.get_weights()
    arrays, options = changed(*data, change)
    with pytest.raises(TrainingError, match="held out for validation would be trained on") as error:
        fit(stopped, *arrays, resume=True, checks=True, **options)
    assert "--no-checks" in error.value.remedy_text.render(MagicSpelling())
    assert all(map(np.array_equal, before, stopped.get_weights()))


@pytest.mark.parametrize("change", ["a smaller split", "another type"])
def test_nor_are_they_in_a_new_process(data, folder, change):
    arrays, options = changed(*data, change)
    with pytest.raises(TrainingError, match="held out for validation would be trained on"):
        fit(make(), *arrays, resume=True, checks=True, checkpoint=folder, **options)


def test_without_checks_they_are_and_it_is_reported(data):
    net = make()
    fit(net, *data, **SETTINGS)
    run = fit(net, resume=True, epochs=4, validation_split=0, checks=False)
    assert "Trains on rows that the earlier epochs held out" in texts(run)
    assert (run.samples, len(run.log)) == (ROWS, 4)


def test_a_larger_split_is_reported(data):
    net = make()
    fit(net, *data, **SETTINGS)
    run = fit(net, resume=True, epochs=4, validation_split=0.5, checks=True)
    assert "The validation metrics are too good" in texts(run)


def test_the_same_rows_in_another_form_are_the_same_split(data):
    x, y = data
    net = make()
    fit(net, x, y, **SETTINGS)
    pair = {"validation_data": (x[30:], y[30:])}
    run = fit(net, x[:30], y[:30], resume=True, epochs=4, checks=True, **pair)
    assert "too good" not in texts(run)


def test_batches_that_cannot_be_compared_are_reported(data):
    net, batches = make(), tf.data.Dataset.from_tensor_slices(data).batch(8)
    fit(net, *data, **SETTINGS | {"epochs": 1})
    run = fit(net, batches, resume=True, validation_split=0)
    assert "Whether these batches contain them is unknown" in texts(run)


def test_the_run_of_another_model_gives_its_settings(data, tmp_path):
    first, second = make(), make()
    earlier = fit(first, *data, **SETTINGS, checkpoint=tmp_path)
    before = second.get_weights()
    run = fit(second, *data, resume=earlier, epochs=3)
    assert all(map(np.array_equal, before, second.get_weights()))
    run = fit(second, *data, resume=earlier, epochs=4)
    assert (run.steps, run.validation_samples, len(run.log)) == (4, 10, 4)
    assert "did not train this model" in texts(run)


def test_a_log_file_keeps_the_earlier_epochs(data, tmp_path):
    net, path = make(), tmp_path / "log.csv"
    fit(net, *data, **SETTINGS, callbacks=keras.callbacks.CSVLogger(path), displays=[StopAfter()])
    fit(net, resume=True)
    assert [line.split(",")[0] for line in path.read_text().split()] == ["epoch", "0", "1", "2"]


def test_rows_that_are_in_both_parts_identify_neither():
    x = np.array([[0.0], [1.0], [2.0], [1.0]])
    sample = RowSample.of({"x": x[:2], "validation_data": (x[2:],)})
    assert sample.trained == {row_digests(x)[0]}
    assert sample.held_out == {row_digests(x)[2]}
    assert RowSample.from_dict(sample.to_dict()) == sample


def test_rows_of_several_inputs_and_of_texts_have_digests():
    first, second = np.arange(6.0).reshape(3, 2), np.array(["a", "b", "a"], dtype=object)
    assert len(set(row_digests({"numbers": first, "texts": second}))) == 3
    assert len(set(row_digests(second))) == 2
    assert row_digests(iter([1])) == []
