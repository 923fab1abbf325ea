"""What a fold is prepared by is learned from its training rows alone."""

import warnings

import numpy as np
import pandas as pd
import pytest

import kmagic
from kmagic.data.preparation.columns import UnknownCategoryWarning, learn_columns
from kmagic.data.preparation.scaling import learn_scaling
from kmagic.training.folds.fold_preparation import preparation_notes, prepare_fold

RNG = np.random.default_rng(0)


def table(rows=80):
    frame = pd.DataFrame({"size": RNG.gamma(2.0, size=rows), "age": RNG.normal(40, 9, size=rows)})
    frame["town"] = np.array(["Bonn", "Rom", "Ulm"])[RNG.choice(3, rows, p=[0.6, 0.1, 0.3])]
    frame.loc[RNG.choice(rows, 20, replace=False), "size"] = np.nan
    frame.loc[RNG.choice(rows, 20, replace=False), "town"] = None
    frame["id"] = np.arange(rows)  # tells which row of the frame is which
    frame["y"] = RNG.normal(size=rows)
    return frame


@pytest.mark.parametrize("scale", ["none", "standard"])
@pytest.mark.parametrize("fold", range(4))
def test_a_table_as_if_its_training_rows_were_loaded_alone(scale, fold):
    frame = table()
    data = kmagic.load_data(frame, target="y", drop="id", missing="mean", scale=scale)
    raw = frame.set_index("id", drop=False).loc[data.other_columns["id"]]
    raw = raw[["size", "age", "town"]]
    held_out = np.arange(fold, 64, 4)
    train = np.setdiff1d(np.arange(64), held_out)
    if fold == 0:  # a word that no training row has
        is_rare = (raw["town"] == "Rom").to_numpy()
        train, held_out = np.flatnonzero(~is_rare), np.flatnonzero(is_rare)
    training, other = prepare_fold(data, data.x_train, train, held_out)

    columns = learn_columns(raw.iloc[train], fill=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownCategoryWarning)
        expected = [columns.apply(raw.iloc[rows]) for rows in (train, held_out)]
    if scale == "standard":
        scaling = learn_scaling("standard", expected[0])
        expected = [scaling.apply(part) for part in expected]
    if fold == 0:  # the column of the unknown word is constant
        at = [name for name in data.columns if name != "town=Rom"]
        kept = [data.columns.index(name) for name in at]
        assert np.ptp(training[:, data.columns.index("town=Rom")]) == 0
        assert np.ptp(other[:, data.columns.index("town=Rom")]) == 0
        training, other = training[:, kept], other[:, kept]
    np.testing.assert_allclose(training, expected[0], atol=2e-5)
    np.testing.assert_allclose(other, expected[1], atol=2e-5)


@pytest.mark.parametrize("options", [{}, {"channel": True}, {"flatten": True}])
def test_standardized_images(options):
    shape = (40, 6, 6) if options else (40, 6, 6, 3)
    images = RNG.integers(0, 256, size=shape).astype("uint8")
    data = kmagic.load_data((images, np.arange(40) % 2), scale="standard", **options)
    train, held_out = np.arange(20), np.arange(20, 32)
    training, other = prepare_fold(data, data.x_train, train, held_out)
    raw = data.scaling.inverse(data.x_train)
    as_images = raw.reshape(len(raw), *shape[1:])
    scaling = learn_scaling("standard", as_images[train], images=True)
    for found, rows in ((training, train), (other, held_out)):
        expected = scaling.apply(as_images[rows]).reshape(found.shape)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_data_itself_is_not_changed():
    data = kmagic.load_data(table(), target="y", drop="id", missing="mean", scale="standard")
    before = data.x_train.copy()
    prepare_fold(data, data.x_train, np.arange(30), np.arange(30, 64))
    np.testing.assert_array_equal(data.x_train, before)


def test_a_column_without_values_in_a_fold():
    frame = pd.DataFrame({"a": [np.nan] * 20 + [4.0] * 20, "b": RNG.normal(size=40)})
    data = kmagic.load_data((frame, np.arange(40.0)), missing="mean", chronological=True)
    training, _ = prepare_fold(data, data.x_train, np.arange(20), np.arange(20, 32))
    assert np.isfinite(training).all()


def test_what_is_not_learned_from_rows_stays():
    rows = np.arange(10)
    x, y = RNG.normal(size=(40, 3)), np.arange(40) % 2
    for data in (kmagic.load_data((x, y)), None):
        given = x if data is None else data.x_train
        assert prepare_fold(data, given, rows, rows) is None
        assert preparation_notes(data, given) == []


def test_inputs_that_were_changed_are_reported():
    data = kmagic.load_data((RNG.normal(size=(40, 3)), np.arange(40) % 2), scale="standard")
    rows = np.arange(10)
    assert preparation_notes(data, data.x_train[:20]) == [
        "Learned in each fold from its training rows: standardization."
    ]
    for x in (data.x_train[:, :2], data.x_train[:, ::-1], data.x_train[:, None]):
        assert prepare_fold(data, x, rows, rows) is None
        assert preparation_notes(data, x) == [
            "Learned from all rows, not from those of each fold: standardization."
        ]
    texts = kmagic.load_data((["good film", "bad film"] * 10, [1, 0] * 10), num_words=10, maxlen=4)
    assert "vocabulary" in preparation_notes(texts, texts.x_train)[0]


@pytest.mark.parametrize("by", [None, "shop"])
def test_windows_are_standardized_by_the_rows_of_the_training_windows(by):
    dates = pd.date_range("2024-01-01", periods=90)
    frame = pd.DataFrame({"date": dates, "load": RNG.normal(5, 2, 90).cumsum()})
    frame["sky"] = np.where(np.arange(90) < 60, "sun", np.where(np.arange(90) % 2, "sun", "rain"))
    names = ["Bonn", "Ulm"] if by else [""]
    both = pd.concat([frame.assign(shop=shop, load=frame["load"] + 3) for shop in names])
    options = {"target": "load", "window": 6, "scale": "standard", "by": by}
    data = kmagic.load_data(both, features="sky,load", **options)
    count = len(names)
    train, held_out = np.arange(20 * count), np.arange(28 * count, 34 * count)
    training, other = prepare_fold(data, data.x_train, train, held_out)
    own = both.groupby("shop").head(25)  # rows of 20 windows of 6
    raw = own["load"].to_numpy() + 0.0
    np.testing.assert_allclose(data.scaling.inverse(data.x_train)[0, :, -1], raw[:6], rtol=1e-4)
    loads = (own["load"] - own["load"].mean()) / own["load"].std(ddof=0)
    np.testing.assert_allclose(training[0, :, -1], loads[:6], atol=1e-4)
    np.testing.assert_allclose(training[-1, :, -1], loads[-6:], atol=1e-4)
    later = both.groupby("shop").head(39).tail(6)["load"]  # window 33
    expected = (later - own["load"].mean()) / own["load"].std(ddof=0)
    np.testing.assert_allclose(other[-1, :, -1], expected, atol=1e-4)
    assert np.ptp(training[..., 0]) == 0  # no training row has rain
    assert np.shares_memory(training[0], training[count])


@pytest.mark.parametrize("by", [None, "shop"])
@pytest.mark.parametrize("gap", [False, True])
def test_windows_of_folds_at_random(by, gap):
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=90), "load": np.arange(90.0)})
    frame = frame.drop(index=[40] if gap else [])
    other_shop = frame.assign(shop="Ulm", load=frame["load"] + 200)
    both = pd.concat([frame.assign(shop="Bonn"), other_shop][: 2 if by else 1])
    data = kmagic.load_data(both, target="load", features="load", window=6, scale="standard", by=by)
    raw = data.scaling.inverse(data.x_train)
    rows = np.random.default_rng(0).permutation(len(raw))
    train, held_out = np.sort(rows[:9]), np.sort(rows[9:])
    training, other = prepare_fold(data, data.x_train, train, held_out)
    assert (len(training), len(other)) == (len(train), len(held_out))
    known = (
        raw[train].ravel() if gap else np.unique(raw[train].round())
    )  # without a gap, rows are shared
    expected = (raw - known.mean()) / known.std()
    np.testing.assert_allclose(training, expected[train], atol=1e-4)
    np.testing.assert_allclose(other, expected[held_out], atol=1e-4)
