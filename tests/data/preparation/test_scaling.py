from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from kmagic.data.preparation import scaling
from kmagic.data.preparation.scaling import Scaling, learn_scaling, parse_scaling
from kmagic.support.errors import DataError


@pytest.fixture
def table() -> np.ndarray:
    return np.random.default_rng(5).normal([3, -20, 400], [1, 7, 90], (200, 3))


@pytest.fixture
def photos() -> np.ndarray:
    rng = np.random.default_rng(6)
    return rng.integers([0, 50, 200], [90, 120, 256], (20, 8, 8, 3)).astype(np.uint8)


def test_bytes_become_0_to_1() -> None:
    scaled = Scaling("255").apply(np.array([[0, 128, 255]], dtype=np.uint8))
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled, np.float32([[0, 128 / 255, 1]]))


def test_standard_scaling_is_scikit_learns(table: np.ndarray) -> None:
    train, test = table[:150], table[150:]
    expected = StandardScaler().fit(train).transform(test)
    np.testing.assert_allclose(
        learn_scaling("standard", train).apply(test), expected, rtol=1e-4, atol=1e-5
    )


def test_it_is_learned_on_the_training_part_only(table: np.ndarray) -> None:
    scaled = learn_scaling("standard", table[:100]).apply(table[:100])
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-5)
    assert learn_scaling("standard", table).mean is not None
    assert not np.array_equal(
        learn_scaling("standard", table).mean, learn_scaling("standard", table[:100]).mean
    )


def test_chunks_give_mean_and_deviation_of_all_data(
    table: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = learn_scaling("standard", table)
    monkeypatch.setattr(scaling, "_CHUNK_BYTES", 8 * 3 * 7)
    np.testing.assert_allclose(learn_scaling("standard", table).mean, whole.mean, rtol=1e-6)
    np.testing.assert_allclose(
        learn_scaling("standard", table).deviation, whole.deviation, rtol=1e-6
    )


def test_a_constant_column_becomes_zero(table: np.ndarray) -> None:
    table[:, 1] = 7
    scaled = learn_scaling("standard", table).apply(table)
    assert (scaled[:, 1] == 0).all()
    assert np.isfinite(scaled).all()


def test_grey_images_have_one_mean() -> None:
    digits = np.random.default_rng(1).integers(0, 256, (30, 6, 6), dtype=np.uint8)
    learned = learn_scaling("standard", digits, images=True)
    flat = learned.apply(digits.reshape(30, 36))
    np.testing.assert_array_equal(flat.reshape(30, 6, 6), learned.apply(digits))
    assert abs(float(flat.mean())) < 1e-6
    assert f"{digits.mean():.4g}" in learned.describe()


def test_colour_images_are_standardized_per_channel(photos: np.ndarray) -> None:
    learned = learn_scaling("standard", photos, images=True)
    scaled = learned.apply(photos)
    np.testing.assert_allclose(scaled.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_array_equal(
        learned.apply(photos.reshape(20, -1)), scaled.reshape(20, -1), strict=True
    )
    assert learned.describe() == "standardized per channel"


def test_other_numbers_of_columns_are_rejected(table: np.ndarray, photos: np.ndarray) -> None:
    with pytest.raises(DataError, match="fitted to 3 columns; these inputs have 6"):
        learn_scaling("standard", table).apply(np.zeros((2, 6)))
    with pytest.raises(DataError, match="fitted to 3 channels; these inputs have 1"):
        learn_scaling("standard", photos, images=True).apply(np.zeros((2, 8, 8, 1)))


def test_standard_scaling_must_be_fitted() -> None:
    with pytest.raises(DataError, match="not fitted to training data"):
        Scaling("standard").apply([[1.0]])


@given(st.sampled_from(scaling.KINDS), st.integers(0, 2**32 - 1))
def test_inverse_undoes_apply(kind: scaling.ScalingKind, seed: int) -> None:
    raw = np.random.default_rng(seed).uniform(0, 255, (12, 4)).astype(np.float32)
    learned = learn_scaling(kind, raw)
    np.testing.assert_allclose(learned.inverse(learned.apply(raw)), raw, rtol=1e-4, atol=1e-3)


def test_none_leaves_values_and_their_type() -> None:
    raw = np.array([[1, 2]], dtype=np.uint8)
    assert Scaling().apply(raw) is raw
    assert Scaling().describe() == "not scaled"


def test_the_config_survives_json(table: np.ndarray, photos: np.ndarray) -> None:
    for learned, x in (
        (Scaling(), table),
        (Scaling("255"), photos),
        (learn_scaling("standard", table), table),
        (learn_scaling("standard", photos, images=True), photos.reshape(20, -1)),
    ):
        again = Scaling.from_config(json.loads(json.dumps(learned.get_config())))
        np.testing.assert_array_equal(again.apply(x), learned.apply(x), strict=True)
        assert again.describe() == learned.describe()


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "none"), ("none", "none"), (255, "255"), (255.0, "255"), ("255", "255"),
     ("Standard", "standard")],
)  # fmt: skip
def test_parse_scaling(value: object, kind: str) -> None:
    assert parse_scaling(value) == kind


@pytest.mark.parametrize("value", ["standart", 1, True, "minmax"])
def test_an_unknown_scaling_is_rejected(value: Any) -> None:
    with pytest.raises(DataError, match="must be 255, standard or none") as caught:
        parse_scaling(value)
    assert (caught.value.remedy == "Did you mean standard?") == (value == "standart")
