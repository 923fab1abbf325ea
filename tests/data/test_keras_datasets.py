from __future__ import annotations

import gzip
import hashlib
import runpy
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kmagic.data import Dataset, SampleDataWarning, keras_datasets, load_data
from kmagic.data.known_datasets import KNOWN_DATASETS
from kmagic.support.downloads import path_of
from kmagic.support.errors import DataError

SAMPLE = Path(str(files("kmagic.data").joinpath("samples", "mnist_sample.npz")))

pytestmark = pytest.mark.usefixtures("keras_home")


def sample(**options: Any) -> Dataset:
    with pytest.warns(SampleDataWarning):
        return load_data("mnist", **options)


def standing_in(monkeypatch: pytest.MonkeyPatch, name: str, parts: Any) -> dict[str, Any]:
    """Have Keras's loader give ``parts``; returns the keywords that it was called with."""
    called: dict[str, Any] = {}

    def load(**keywords: Any) -> Any:
        called.update(keywords)
        return parts

    monkeypatch.setattr(keras_datasets, "state_of", lambda _file: "right")
    monkeypatch.setattr(import_module(f"keras.datasets.{name}"), "load_data", load)
    return called


@pytest.fixture
def photos() -> Any:
    """As ``cifar10.load_data`` gives them."""
    rng = np.random.default_rng(0)
    return tuple(
        (rng.integers(0, 256, (rows, 32, 32, 3), dtype=np.uint8), rng.integers(0, 10, (rows, 1)))
        for rows in (60, 20)
    )


@pytest.fixture
def texts() -> Any:
    """As ``imdb.load_data`` gives them."""
    part = np.empty(4, dtype=object)
    part[:] = [[1, 14, 22], [1, 9], [1, 5, 6, 7, 8], [1, 2, 3, 4]]
    return (part, np.array([1, 0, 1, 0])), (part[:2], np.array([1, 0]))


# --- the bundled sample -------------------------------------------------------------------------


def test_a_sample_replaces_mnist_without_a_network() -> None:
    with pytest.warns(SampleDataWarning) as caught:
        digits = load_data("mnist")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert str(caught[0].message) == f"mnist: {digits.note}"
    for fact in ("6,000", "KMAGIC_OFFLINE", "mnist.npz", "731c5ac602752760", "to "):
        assert fact in digits.note
    assert str(path_of(KNOWN_DATASETS["mnist"].files[0])) in digits.note
    assert digits.x_train.shape == (5_000, 28, 28)
    assert digits.x_test.shape == (1_000, 28, 28)
    assert digits.x_train.dtype == digits.y_train.dtype == np.uint8
    assert digits.classes == tuple("0123456789")


def test_the_sample_is_loaded_without_tensorflow() -> None:
    program = (
        "import sys, warnings; warnings.simplefilter('ignore')\n"
        "from kmagic.data import load_data\n"
        "print(len(load_data('mnist').x_train), 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == [b"5000", b"False"]


def test_the_sample_is_small() -> None:
    assert SAMPLE.stat().st_size <= 2_000_000


def test_the_sample_is_real_and_stratified(shared_data: Path) -> None:
    with np.load(shared_data / "mnist.npz") as full, np.load(SAMPLE) as part:
        for name in ("train", "test"):
            at = part[f"position_{name}"]
            np.testing.assert_array_equal(full[f"x_{name}"][at], part[f"x_{name}"])
            np.testing.assert_array_equal(full[f"y_{name}"][at], part[f"y_{name}"])
            assert len(set(at.tolist())) == len(at)
            share = len(at) / len(full[f"y_{name}"])
            exact = np.bincount(full[f"y_{name}"]) * share
            assert np.abs(np.bincount(part[f"y_{name}"]) - exact).max() < 1


def test_the_script_makes_the_sample_again(
    shared_data: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = tmp_path / "again.npz"
    script = root / "scripts" / "make_mnist_sample.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(shared_data / "mnist.npz"), str(again)])
    runpy.run_path(str(script), run_name="__main__")
    with np.load(again) as made, np.load(SAMPLE) as bundled:
        assert set(made) == set(bundled)
        for name in made:
            np.testing.assert_array_equal(made[name], bundled[name], strict=True)


def test_the_script_rejects_another_file(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = root / "scripts" / "make_mnist_sample.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(SAMPLE), str(tmp_path / "out.npz")])
    with pytest.raises(SystemExit, match=r"Keras's mnist\.npz has 731c5ac6"):
        runpy.run_path(str(script), run_name="__main__")
    assert not (tmp_path / "out.npz").exists()


def test_the_licences_are_beside_the_samples() -> None:
    mnist = SAMPLE.with_name("LICENSE-mnist.txt").read_text(encoding="utf-8")
    for word in ("Yann LeCun", "Corinna Cortes", "creativecommons.org/licenses/by-sa/3.0"):
        assert word in mnist
    assert "Attribution-ShareAlike 3.0 Unported" in mnist
    assert "StatLib" in SAMPLE.with_name("LICENSE-boston.txt").read_text(encoding="utf-8")


# --- Keras's own loaders ------------------------------------------------------------------------


def test_the_full_dataset_comes_from_the_cache_of_keras(
    shared_data: Path, keras_home: Path
) -> None:
    shutil.copy(shared_data / "mnist.npz", keras_home / "datasets")
    digits = load_data("mnist", scale=255, channel=True)
    assert digits.x_train.shape == (60_000, 28, 28, 1)
    assert digits.note == ""
    assert str(keras_home) in digits.source
    np.testing.assert_array_equal(digits.labels_of(digits.x_train[::-100]), digits.y_train[::-100])


def test_boston_names_its_contested_column() -> None:
    houses = load_data("boston_housing")
    assert houses.classes is None
    assert houses.columns is not None
    assert houses.columns[11] == "B"
    assert 'Column "B" (index 11)' in houses.note


def test_another_imdb_file_is_rejected_and_not_changed(shared_data: Path, keras_home: Path) -> None:
    path = keras_home / "datasets" / "imdb.npz"
    shutil.copy(shared_data / "imdb.npz", path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(DataError, match="is not the file that Keras expects") as caught:
        load_data("imdb")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert before[:16] in str(caught.value)


@pytest.mark.parametrize(
    "name", ["california_housing", "fashion_mnist", "cifar10", "cifar100", "imdb", "reuters"]
)
def test_the_error_says_which_file_goes_where(name: str) -> None:
    with pytest.raises(DataError, match=f"{name} cannot be loaded: ") as caught:
        load_data(name)
    for file in KNOWN_DATASETS[name].files:
        assert file.url in caught.value.remedy
        assert file.sha256 in caught.value.remedy
        assert str(path_of(file)) in caught.value.remedy


def _fashion(folder: Path, rows: int = 30) -> None:
    """The four files of Fashion-MNIST in their real format, with random clothes."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    for part in ("train", "t10k"):
        pixels = rng.integers(0, 256, (rows, 28, 28), dtype=np.uint8)
        labels = (np.arange(rows) % 10).astype(np.uint8)
        images = gzip.compress(bytes(16) + pixels.tobytes())
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(images)
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(bytes(8) + labels.tobytes())
        )


def test_fashion_through_keras_own_loader(keras_home: Path) -> None:
    _fashion(keras_home / "datasets" / "fashion-mnist")
    clothes = load_data("fashion_mnist", flatten=True, scale="255")
    assert clothes.x_train.shape == (30, 784)
    assert clothes.counts(clothes.y_train).tolist() == [3] * 10
    assert clothes.classes is not None
    assert clothes.classes[9] == "Ankle boot"


def test_a_truncated_file_is_named_and_not_changed(keras_home: Path) -> None:
    folder = keras_home / "datasets" / "fashion-mnist"
    _fashion(folder)
    broken = folder / "t10k-images-idx3-ubyte.gz"
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(DataError, match="could not read") as caught:
        load_data("fashion_mnist")
    assert str(broken) in str(caught.value)
    assert broken.stat().st_size == 100


# --- preparation --------------------------------------------------------------------------------


def test_shapes_of_images() -> None:
    assert sample(flatten=True).x_train.shape == (5_000, 784)
    assert sample(channel=True).x_test.shape == (1_000, 28, 28, 1)


def test_scaling_is_learned_from_the_training_part() -> None:
    raw = sample()
    for scale in ("255", "standard"):
        digits = sample(scale=scale, channel=True)
        assert digits.x_train.dtype == np.float32
        expected = digits.scaling.apply(raw.x_test[..., np.newaxis])
        np.testing.assert_array_equal(digits.x_test, expected)
    assert abs(float(digits.x_train.mean())) < 1e-5
    assert digits.scaling.mean is not None
    assert digits.scaling.mean.item() == pytest.approx(raw.x_train.mean(), rel=1e-6)


def test_onehot() -> None:
    plain, digits = sample(), sample(onehot=True)
    assert digits.y_train.dtype == np.float32
    assert digits.y_train.shape == (5_000, 10)
    np.testing.assert_array_equal(digits.y_train.argmax(axis=1), plain.y_train)
    np.testing.assert_array_equal(digits.labels(digits.y_test), plain.y_test)
    np.testing.assert_array_equal(digits.labels_of(digits.x_test[:5]), plain.y_test[:5])


def test_split_is_stratified_and_seeded() -> None:
    digits, again, other = (sample(split=0.25, seed=seed) for seed in (1, 1, 2))
    assert (len(digits.x_train), len(digits.x_test)) == (4_500, 1_500)
    np.testing.assert_array_equal(digits.x_test, again.x_test)
    assert not np.array_equal(digits.x_test, other.x_test)
    exact = (digits.counts(digits.y_train) + digits.counts(digits.y_test)) / 4
    assert np.abs(digits.counts(digits.y_test) - exact).max() < 1


def test_split_of_a_table() -> None:
    houses = load_data("boston_housing", split=0.5, scale="standard")
    assert (len(houses.x_train), len(houses.x_test)) == (253, 253)
    np.testing.assert_allclose(houses.x_train.mean(axis=0), 0, atol=1e-5)


def test_colour_images(monkeypatch: pytest.MonkeyPatch, photos: Any) -> None:
    standing_in(monkeypatch, "cifar10", photos)
    cifar = load_data("cifar10", scale="standard", flatten=True)
    assert cifar.x_train.shape == (60, 3_072)
    assert cifar.y_train.shape == (60,)
    pictures = cifar.images(cifar.x_test)
    assert pictures is not None
    np.testing.assert_array_equal(pictures, photos[1][0])
    with pytest.raises(DataError, match="cifar10 have channels: 32 x 32 x 3"):
        load_data("cifar10", channel=True)


def test_texts_are_padded_to_maxlen(monkeypatch: pytest.MonkeyPatch, texts: Any) -> None:
    called = standing_in(monkeypatch, "imdb", texts)
    reviews = load_data("imdb", num_words=500, maxlen=6)
    assert called == {"num_words": 500, "maxlen": 6}
    assert reviews.x_train.tolist()[:2] == [[0, 0, 0, 1, 14, 22], [0, 0, 0, 0, 1, 9]]
    assert "Texts of 6 words or more are left out" in reviews.note


def test_texts_of_different_lengths(monkeypatch: pytest.MonkeyPatch, texts: Any) -> None:
    standing_in(monkeypatch, "imdb", texts)
    reviews = load_data("imdb")
    assert "lists of word indices, of different lengths, 2 to 5 long" in repr(reviews)
    found = reviews.labels_of(reviews.x_train[1:])
    assert found is not None
    assert found.tolist() == [0, 1, 0]
    halves = load_data("imdb", split=0.5)
    assert sorted(len(row) for row in halves.x_train) != []
    assert len(halves.x_train) + len(halves.x_test) == 6


# --- what makes no sense is rejected -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "boston_housing",
            {"channel": True},
            "channel= only applies to images; boston_housing is a table",
        ),
        ("imdb", {"flatten": True}, "flatten= only applies to images; imdb contains text"),
        ("mnist", {"num_words": 500}, "num_words= only applies to text; mnist contains images"),
        ("mnist", {"maxlen": 9}, "maxlen= only applies to text"),
        ("imdb", {"maxlen": 0}, "maxlen= must be a positive integer; got 0"),
        ("imdb", {"num_words": 2.5}, "num_words= must be a positive integer; got 2.5"),
        ("imdb", {"num_words": True}, "num_words= must be a positive integer; got True"),
        ("mnist", {"flatten": True, "channel": True}, "flatten= and channel= cannot be combined"),
        ("imdb", {"scale": "standard"}, "word indices stand for words and cannot be scaled"),
        ("boston_housing", {"scale": 255}, "scale=255 only applies to pixel values"),
        ("mnist", {"scale": "standart"}, "scale= must be 255, standard or none; got 'standart'"),
        ("boston_housing", {"onehot": True}, "onehot=True only applies to classes"),
        ("mnist", {"split": 1.5}, "split= must be a share between 0 and 1, e.g. 0.2; got 1.5"),
        ("mnist", {"split": 0}, "split= must be a share between 0 and 1, e.g. 0.2; got 0"),
    ],
)
def test_invalid_options_are_rejected(
    name: str, options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        keras_datasets, "load_through_keras", lambda *_: pytest.fail("loaded all the same")
    )
    with pytest.raises(DataError) as caught:
        load_data(name, **options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "guess"), [("minst", "mnist"), ("fashion-mnist", "fashion_mnist"), ("boston", "")]
)
def test_unknown_names(name: str, guess: str) -> None:
    with pytest.raises(DataError, match=f"There is no dataset, file or folder '{name}'") as caught:
        load_data(name)
    assert f"Did you mean {guess}" in caught.value.remedy or not guess
    assert all(known in caught.value.remedy for known in KNOWN_DATASETS)


# --- the object ---------------------------------------------------------------------------------


def test_repr_is_one_readable_paragraph() -> None:
    digits = sample(scale=255, channel=True)
    assert repr(digits).startswith(
        "mnist, handwritten digits: 5,000 training samples, 1,000 test samples. "
        "x is 28 x 28 x 1 float32, 0 to 1, divided by 255. "
        "y is uint8, 10 classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), 452 to 562 training samples each. "
        "Source: the sample bundled with kmagic. Only a sample of 6,000 real rows: "
    )
    houses = load_data("boston_housing", scale="standard")
    assert repr(houses).startswith(
        "boston_housing, houses around Boston, 1978: 404 training samples, 102 test samples. "
        "x is 13 columns, float32, -3.817 to 9.235, standardized per column. "
        "y is median house price in 1,000 $, 5 to 50, float64. "
        "Source: the copy bundled with kmagic. "
    )
    assert "\n" not in repr(digits) + repr(houses)


def test_labels_are_found_by_content() -> None:
    digits = sample(scale=255, channel=True)
    order = np.random.default_rng(0).permutation(300)
    for x, y in (
        (digits.x_test[:8], digits.y_test[:8]),
        (digits.x_test[order], digits.y_test[order]),
        (digits.x_train[-5:].copy(), digits.y_train[-5:]),
        (digits.x_test[:8].reshape(8, 784), digits.y_test[:8]),
        (digits.x_test[3], digits.y_test[3:4]),
        (list(digits.x_test[:2]), digits.y_test[:2]),
    ):
        found = digits.labels_of(x)
        assert found is not None
        np.testing.assert_array_equal(found, y)


def test_labels_of_samples_that_are_not_in_the_dataset() -> None:
    digits = sample()
    strange = np.concatenate([digits.x_test[:1], 255 - digits.x_test[:1]])
    found = digits.labels_of(strange)
    assert found is not None
    assert found.tolist() == [int(digits.y_test[0]), -1]
    for x in (255 - digits.x_test[:3], np.zeros((2, 5, 5)), np.array(["a", "b"]), np.zeros(0)):
        assert digits.labels_of(x) is None
    assert load_data("boston_housing").labels_of(np.zeros((1, 13))) is None


def test_labels_are_those_of_the_test_part_and_of_the_first_equal_row() -> None:
    x = np.array([[1.0], [1.0], [2.0], [3.0]])
    few = Dataset("few", x[:3], np.array([0, 1, 0]), x[2:], np.array([1, 1]), ("a", "b"))
    found = few.labels_of(x)
    assert found is not None
    assert found.tolist() == [0, 0, 1, 1]


def test_images_are_restored_to_raw_bytes() -> None:
    raw = sample()
    for options in ({"scale": "standard", "flatten": True}, {"scale": 255, "channel": True}, {}):
        pictures = sample(**options).images(sample(**options).x_test)
        assert pictures is not None
        np.testing.assert_array_equal(pictures, raw.x_test, strict=True)
    houses = load_data("boston_housing")
    assert houses.images(houses.x_test) is None
