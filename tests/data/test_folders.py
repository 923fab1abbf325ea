"""Folders of pictures and of texts as datasets."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kmagic.data import load_data
from kmagic.data.folders import is_ignored, scan_folder
from kmagic.data.images import image_folder
from kmagic.evaluation.classification.image_inputs import list_images
from kmagic.support import memory
from kmagic.support.errors import DataError

RED, BLUE = (200, 0, 0), (0, 0, 200)


def picture(
    path: Path, colour: Any = RED, size: tuple[int, int] = (6, 8), mode: str = "RGB"
) -> None:
    """One picture, height x width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size[::-1], colour).save(path)


def text(path: Path, words: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(words, encoding="utf-8")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten red cats and ten blue dogs."""
    for number in range(10):
        picture(tmp_path / "photos" / "cats" / f"{number}.png", RED)
        picture(tmp_path / "photos" / "dogs" / f"{number}.png", BLUE)
    return tmp_path / "photos"


# --- images -------------------------------------------------------------------------------------


def test_one_folder_per_class(photos: Path) -> None:
    pets = load_data(photos)
    assert pets.name == "photos"
    assert pets.classes == ("cats", "dogs")
    assert (pets.x_train.shape, pets.x_test.shape) == ((16, 6, 8, 3), (4, 6, 8, 3))
    assert pets.x_train.dtype == np.uint8
    for x, y in ((pets.x_train, pets.y_train), (pets.x_test, pets.y_test)):
        np.testing.assert_array_equal(x[:, 0, 0], np.array([RED, BLUE])[y])
    assert pets.counts(pets.y_train).tolist() == [8, 8]
    assert len(set(pets.y_train[:8].tolist())) == 2, "the rows are shuffled"
    assert repr(pets).startswith(
        "photos: 16 training samples, 4 test samples. x is 6 x 8 x 3 uint8, 0 to 200, not scaled. "
        "y is int64, 2 classes (cats, dogs), 8 training samples each. Source: "
    )


def test_two_thousand_real_photos(shared_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(shared_data / "cifar10_sample_jpg.zip") as archive:
        archive.extractall(tmp_path)
    photos = load_data(tmp_path, scale=255)
    assert (photos.x_train.shape, photos.x_test.shape) == ((1_500, 32, 32, 3), (500, 32, 32, 3))
    assert photos.classes is not None
    assert photos.classes[::9] == ("airplane", "truck")
    assert photos.counts(photos.y_train).tolist() == [150] * 10
    assert photos.note == ""
    file = tmp_path / "cifar10_sample" / "test" / "ship" / "0000.jpg"
    with Image.open(file) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    found = photos.labels_of(photos.prepare(pixels))
    assert found is not None
    assert photos.classes[int(found[0])] == "ship"


def test_the_same_seed_gives_the_same_rows(photos: Path) -> None:
    for number in range(10):
        picture(photos / "cats" / f"{number}.png", (number, 0, 0))
        picture(photos / "dogs" / f"{number}.png", (0, 0, number))
    one, again, other = (load_data(photos, split=0.3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.x_test, again.x_test)
    assert not np.array_equal(one.x_test, other.x_test)
    whole = np.concatenate([one.x_train, one.x_test])
    assert len(np.unique(whole[:, 0, 0], axis=0)) == 19, "each picture once; black is in both"


@pytest.mark.parametrize("test", ["test", "val", "validation"])
def test_parts_may_be_folders(photos: Path, test: str) -> None:
    for part, many in (("train", 4), (test, 2)):
        for number in range(many):
            picture(photos.parent / "parted" / part / "cats" / f"{number}.png", RED)
            picture(photos.parent / "parted" / part / "dogs" / f"{number}.png", BLUE)
    parted = load_data(photos.parent / "parted")
    assert (len(parted.x_train), len(parted.x_test)) == (8, 4)
    assert parted.note == ""
    anew = load_data(photos.parent / "parted", split=0.5)
    assert (len(anew.x_train), len(anew.x_test)) == (6, 6)


def test_a_validation_part_is_ignored_if_there_is_a_test_part(
    tmp_path: Path,
) -> None:
    for part in ("train", "val", "test"):
        for name in ("cats", "dogs"):
            picture(tmp_path / part / name / "1.png")
    assert load_data(tmp_path).note == "val/ was ignored: the test part is test/."


def test_classes_may_be_called_test(tmp_path: Path) -> None:
    for name in ("control", "test", "treated"):
        for number in range(3):
            picture(tmp_path / name / f"{number}.png")
    assert load_data(tmp_path).classes == ("control", "test", "treated")


def test_the_only_subfolder_is_used(photos: Path) -> None:
    outer = photos.parent / "download"
    (outer / "__MACOSX").mkdir(parents=True)
    photos.rename(outer / "photos")
    assert load_data(outer).name == "photos"


def test_size_grey_channel_and_scale(photos: Path) -> None:
    pets = load_data(photos, size="4x5", gray=True, channel=True, scale=255)
    assert pets.x_train.shape == (16, 4, 5, 1)
    assert pets.image_shape == (4, 5)
    assert pets.x_train.dtype == np.float32
    assert 0 < pets.x_train.max() <= 1
    assert load_data(photos, size=4, flatten=True).x_train.shape == (16, 48)
    standard = load_data(photos, scale="standard")
    assert standard.scaling.mean is not None
    assert standard.scaling.mean.shape == (3,)
    assert abs(float(standard.x_train.mean())) < 1e-6


def test_the_order_of_the_classes_can_be_given(photos: Path) -> None:
    pets = load_data(photos, class_names=["dogs", "cats"])
    assert pets.classes == ("dogs", "cats")
    np.testing.assert_array_equal(pets.x_test[:, 0, 0], np.array([BLUE, RED])[pets.y_test])
    with pytest.raises(
        DataError, match="must be the names of the folders of photos, cats, dogs; got dog, cat"
    ):
        load_data(photos, class_names="dog,cat")


def test_images_are_upright_and_of_any_mode(tmp_path: Path) -> None:
    for name, mode in (("cats", "L"), ("dogs", "P")):
        for number in range(3):
            picture(tmp_path / name / f"{number}.png", 90, mode=mode)
    lying = Image.new("RGB", (6, 8), "green")
    exif = lying.getexif()
    exif[274] = 6  # held on its side: 8 high, 6 wide becomes 6 high, 8 wide
    lying.save(tmp_path / "cats" / "turned.jpg", exif=exif)
    assert load_data(tmp_path).x_train.shape[1:] == (6, 8, 3)


def test_grey_images_could_take_a_third_of_the_memory(tmp_path: Path) -> None:
    for name in ("one", "two"):
        for number in range(3):
            picture(tmp_path / name / f"{number}.png", 9, mode="L")
    assert "All images are grey: gray=True" in load_data(tmp_path).note
    assert load_data(tmp_path, gray=True).note == ""


def test_a_large_jpeg_is_decoded_at_a_fraction_and_looks_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for number in range(2):
            coarse.resize((800, 600), Image.Resampling.BICUBIC).save(
                tmp_path / name / f"{number}.jpg", quality=95
            )
    small = load_data(tmp_path, size="30x40", split=0.5)
    expected = np.asarray(
        coarse.resize((800, 600), Image.Resampling.BICUBIC).resize((40, 30)), float
    )
    assert np.abs(small.x_train[0] - expected).mean() < 3


def test_files_with_their_labels(photos: Path) -> None:
    files = sorted(photos.rglob("*.png"))
    labels = [file.parent.name for file in files]
    pets = load_data((files, labels), scale=255)
    assert pets.classes == ("cats", "dogs")
    assert pets.x_train.shape == (16, 6, 8, 3)
    np.testing.assert_array_equal(pets.x_train[:, 0, 0, 0] > 0, pets.y_train == 0)
    ages = load_data(([str(file) for file in files], [0.5 + each for each in range(20)]))
    assert ages.classes is None
    assert ages.y_train.dtype == np.float64
    parts = load_data((files[5:], labels[5:], files[:5], labels[:5]), size=4)
    np.testing.assert_array_equal(parts.y_test, [0] * 5)
    assert "Class dogs has no rows in the test part" in parts.note
    files[3].write_bytes(b"")
    assert "3.png is empty" in load_data((files, labels)).note
    with pytest.raises(DataError, match="x has 20 rows, but y has 19"):
        load_data((files, labels[1:]))


def test_a_file_that_is_listed_twice_is_read_twice(photos: Path) -> None:
    files = sorted(photos.rglob("*.png")) * 2
    pets = load_data((files, [file.parent.name for file in files]))
    assert len(pets.x_train) + len(pets.x_test) == 40
    for x, y in ((pets.x_train, pets.y_train), (pets.x_test, pets.y_test)):
        np.testing.assert_array_equal(x[:, 0, 0], np.array([RED, BLUE])[y])


def test_later_files_are_resized_like_the_images_of_the_folder(tmp_path: Path) -> None:
    import kmagic
    from kmagic.evaluation.classification.image_inputs import ImagePreprocessor, list_images
    from kmagic.support import model_registry

    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for number in range(2):
            pixels = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    data = load_data(tmp_path, size=8, scale=255, split=0.5)
    model = kmagic.build("input 8x8x3 / flatten / dense 2 softmax")
    model_registry.set_dataset(model, data.preparation)
    preprocessor = ImagePreprocessor.for_model(model, None, data.preparation, None)
    images = [preprocessor.load(source) for source in list_images(tmp_path, (8, 8, 3))]
    batch = preprocessor.to_batch(images)
    known = np.concatenate([data.x_train, data.x_test])
    assert {image.tobytes() for image in batch} == {image.tobytes() for image in known}


# --- mistakes in images --------------------------------------------------------------


def test_different_sizes_are_reported(photos: Path) -> None:
    picture(photos / "cats" / "large.png", RED, (60, 80))
    with pytest.raises(DataError) as caught:
        load_data(photos)
    assert "have 2 sizes: 6 x 8 (height x width) in 20 of 21" in caught.value.message
    assert "heights 6 to 60, widths 8 to 80" in caught.value.message
    assert "size='6x8'" in caught.value.remedy
    assert load_data(photos, size=8).x_train.shape[1:] == (8, 8, 3)


@pytest.mark.parametrize("size", [None, 6])
def test_damaged_images_are_left_out_and_named(photos: Path, size: int | None) -> None:
    whole = (photos / "dogs" / "1.png").read_bytes()
    (photos / "cats" / "empty.png").write_bytes(b"")
    (photos / "cats" / "text.jpg").write_text("no picture")
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    noise.save(photos / "dogs" / "cut.png")
    cut = (photos / "dogs" / "cut.png").read_bytes()
    (photos / "dogs" / "cut.png").write_bytes(cut[: len(cut) // 2])
    pets = load_data(photos, size=size)
    assert len(pets.x_train) + len(pets.x_test) == 20
    for name in ("cats/empty.png is empty", "cats/text.jpg is not an image", "dogs/cut.png"):
        assert name in pets.note
    for x, y in ((pets.x_train, pets.y_train), (pets.x_test, pets.y_test)):
        assert len(x) == len(y)
        np.testing.assert_array_equal(x[:, 0, 0], np.array([RED, BLUE])[y])
    assert (photos / "dogs" / "1.png").read_bytes() == whole


@pytest.mark.parametrize("size", [None, 6])
def test_all_images_damaged(tmp_path: Path, size: int | None) -> None:
    for name in ("cats", "dogs"):
        for number in range(3):
            text(tmp_path / name / f"{number}.jpg", "no picture")
    with pytest.raises(DataError, match=r"No image of .*, or of one of its parts, can be read: "):
        load_data(tmp_path, size=size)


def test_too_many_images_are_rejected_before_they_are_read(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 1_000_000)
    monkeypatch.setattr(image_folder, "read_image", lambda *_a, **_k: pytest.fail("was read"))
    with pytest.raises(DataError) as caught:
        load_data(photos, size="300x400", stream=False)
    assert (
        "20 images of 300 x 400 would take 7.2 MB of memory, but only 1.0 MB are available"
        in str(caught.value)
    )
    assert caught.value.remedy.startswith("Leave out stream=False. Request a smaller size")


def test_other_files_are_ignored(photos: Path) -> None:
    text(photos / "cats" / "notes.txt", "a note")
    text(photos / "cats" / ".hidden.png", "")
    (photos / "empty").mkdir()
    assert load_data(photos).note == ("Without readable files: empty. 1 other file ignored.")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "is empty"),
        (["1.png", "2.png"], "contains 2 images and no folders"),
        (["cats/1.png"], "contains no folders|contains only one class"),
        (["cats/1.exe", "dogs/2.exe"], r"neither images nor texts: its files are \.exe \(2\)"),
        (
            ["test/cats/1.png", "test/dogs/1.png", "val/cats/2.png"],
            r"contains test/, but no train/",
        ),
        (["train/1.png", "test/1.png"], "contains no folders"),
        (["a.csv", "b.csv"], "contains 2 tables: a.csv, b.csv"),
    ],
)
def test_folders_without_classes(tmp_path: Path, files: list[str], message: str) -> None:
    for file in files:
        text(tmp_path / file, "")
    with pytest.raises(DataError, match=message):
        load_data(tmp_path)


def test_a_class_that_is_only_in_the_test_part(tmp_path: Path) -> None:
    for name in ("train/cats", "train/dogs", "test/cats", "test/owls"):
        picture(tmp_path / name / "1.png")
    with pytest.raises(
        DataError, match=r"Class owls of .* is in the test part, but not in the train"
    ):
        load_data(tmp_path)


def test_a_class_without_a_test_row_is_noted(tmp_path: Path) -> None:
    for name in ("train/cats", "train/dogs", "test/cats"):
        picture(tmp_path / name / "1.png")
    assert load_data(tmp_path).note == "Class dogs has no rows in the test part."


def test_a_class_of_one_image_cannot_be_split(photos: Path) -> None:
    picture(photos / "owls" / "1.png")
    with pytest.raises(DataError, match="Class owls of photos has one row; at least 2 are needed"):
        load_data(photos)


def test_a_folder_without_read_permission(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(top: Path, **_: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(top))

    monkeypatch.setattr(os, "walk", refuse)
    with pytest.raises(DataError, match="cats cannot be read: permission denied") as caught:
        load_data(photos)
    assert "chmod" in caught.value.remedy


def test_options_of_other_kinds(photos: Path) -> None:
    for option in ({"target": "a"}, {"num_words": 5}, {"missing": "drop"}):
        with pytest.raises(DataError, match="photos contains images"):
            load_data(photos, **option)
    with pytest.raises(DataError, match="is a folder of classes, but regression predicts numbers"):
        load_data(photos, task="regression")


# --- texts ----------------------------------------------------------------------------------------


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    for number in range(6):
        text(tmp_path / "reviews" / "good" / f"{number}.txt", f"a great film number {number}")
        text(tmp_path / "reviews" / "bad" / f"{number}.txt", "a boring film, indeed")
    return tmp_path / "reviews"


def test_a_folder_of_texts_stays_texts(reviews: Path) -> None:
    films = load_data(reviews, split=0.5)
    assert films.classes == ("bad", "good")
    assert films.is_text
    assert films.x_train.shape == (6,)
    for words, label in zip(films.x_train, films.y_train, strict=True):
        assert ("great" in words) == (label == 1)


def test_a_folder_of_texts_as_word_indices(reviews: Path) -> None:
    films = load_data(reviews, num_words=8, maxlen=5, padding="post")
    assert films.x_train.shape == (10, 5)
    assert films.x_train.dtype == np.int32
    assert films.encoding is not None
    shown = films.encoding.decode(films.x_train[:1])[0]
    assert "film" in shown
    np.testing.assert_array_equal(films.prepare(["A great film!"])[0, 3:], [0, 0])
    assert "word indices" in repr(films)


def test_a_text_that_is_not_utf8_is_named(reviews: Path) -> None:
    (reviews / "bad" / "odd.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"odd\.txt is not UTF-8"):
        load_data(reviews)


def test_scan_folder(reviews: Path) -> None:
    found = scan_folder(reviews)
    assert found.kind == "text"
    assert found.classes == ("bad", "good")
    assert found.y.tolist() == [0] * 6 + [1] * 6
    assert [len(part) for part in found.parts] == [12]


# --- which files count ----------------------------------------------------------------------------


@pytest.fixture
def pets(tmp_path):
    """Two classes, and files that programs left there."""
    folder = tmp_path / "pets"
    names = (
        *("cats/a.jpg", "cats/B.JPG", "dogs/c.jpeg", "dogs/deep/d.Png"),
        *(".ipynb_checkpoints/a-checkpoint.jpg", "cats/.ipynb_checkpoints/a-checkpoint.jpg"),
        *("__MACOSX/cats/a.jpg", "cats/._a.jpg", ".DS_Store", "cats/.DS_Store", "cats/Thumbs.db"),
        *("dogs/desktop.ini", "dogs/notes.txt", "dogs/@eaDir/c.jpg", ".git/x.png"),
    )
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(folder / name, "PNG")
    (folder / "cats" / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "cats" / "dogs_again").symlink_to(folder / "dogs", target_is_directory=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Image.new("RGB", (8, 8)).save(elsewhere / "e.jpg", "PNG")
    (elsewhere / "itself").symlink_to(elsewhere, target_is_directory=True)
    (folder / "dogs" / "linked").symlink_to(elsewhere, target_is_directory=True)
    return folder


IMAGES = {"a.jpg", "B.JPG", "c.jpeg", "d.Png", "e.jpg"}


def test_data_and_classify_count_the_same_files(pets, monkeypatch) -> None:
    data = scan_folder(pets)
    assert sorted(file.name for file in data.parts[0]) == sorted(IMAGES)
    assert data.classes == ("cats", "dogs")
    monkeypatch.chdir(pets.parent)
    for place in (pets, "pets", "./pets", pets / "../pets"):
        assert sorted(Path(s.name).name for s in list_images(place, None)) == sorted(IMAGES)


@pytest.mark.parametrize("pattern", ["*/*", "**/*", "*/*.[jJ]*", "cats/**", "c*/a.jpg"])
def test_patterns_leave_out_the_files_of_programs(pets, pattern) -> None:
    found = {Path(source.name) for source in list_images(str(pets / pattern), None)}
    assert found
    below = [path.relative_to(pets).parts for path in found]
    assert not any(is_ignored(part) for parts in below for part in parts)


def test_a_file_or_folder_that_is_named_counts(pets) -> None:
    hidden = pets / ".ipynb_checkpoints"
    assert len(list_images(hidden, None)) == 1
    assert len(list_images(str(hidden / "*.jpg"), None)) == 1
    assert len(list_images(pets / "cats/._a.jpg", None)) == 1


def test_a_part_beside_the_classes_is_rejected(tmp_path: Path) -> None:
    for name in ("cats/1.txt", "dogs/2.txt", "val/cats/3.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a text")
    with pytest.raises(DataError, match="contains classes, and val/ with the same classes"):
        scan_folder(tmp_path)


def test_a_folder_in_a_folder_with_other_files(tmp_path: Path) -> None:
    for part in ("training_set", "test_set"):
        for name in ("cats", "dogs"):
            folder = tmp_path / "outer" / part / name
            folder.mkdir(parents=True)
            (folder / "1.txt").write_text("a text")
    (tmp_path / "README.md").write_text("about the data")
    folder = scan_folder(tmp_path)
    assert folder.classes == ("cats", "dogs")
    assert [len(part) for part in folder.parts] == [2, 2]
