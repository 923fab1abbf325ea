from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kmagic.evaluation.classification.image_inputs import list_images
from kmagic.support.errors import EvaluationError


@pytest.fixture
def photos(tmp_path):
    """Two folders of pictures, and what else lies around there."""
    for name in ("cat/10.png", "cat/2.png", "dog/1.JPG", "dog/deep/3.gif", "top.webp"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (3, 2)).save(path)
    (tmp_path / "photos" / "LICENSE.md").write_text("none")
    shutil.copy(tmp_path / "photos" / "top.webp", tmp_path / "photos" / "._top.webp")
    return tmp_path / "photos"


def names(images, shape=None):
    return [Path(source.name).name for source in list_images(images, shape)]


def test_the_images_of_a_folder_are_in_natural_order(photos):
    expected = ["2.png", "10.png", "1.JPG", "3.gif", "top.webp"]
    assert names(photos) == expected
    assert names(str(photos)) == expected
    folders = [source.folder for source in list_images(photos, None)]
    assert folders == ["cat", "cat", "dog", "deep", ""]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("cat/*.png", ["2.png", "10.png"]),
        ("*/*.[pJ]*", ["2.png", "10.png", "1.JPG"]),
        ("**/*.gif", ["3.gif"]),
        ("*", ["top.webp"]),
        ("*.md", ["LICENSE.md"]),
    ],
)
def test_patterns(photos, pattern, expected):
    assert names(str(photos / pattern)) == expected


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(photos):
    shutil.copy(photos / "top.webp", photos / "a[1].webp")
    assert names(photos / "a[1].webp") == ["a[1].webp"]


def test_the_users_home(photos, monkeypatch):
    monkeypatch.setenv("HOME", str(photos.parent))
    (source,) = list_images("~/photos/top.webp", None)
    assert source.name == "~/photos/top.webp"
    assert source.image == photos / "top.webp"
    assert names("~/photos/cat") == ["2.png", "10.png"]


def test_missing_files_stay_in_the_list(photos):
    (photos / "empty").mkdir()
    given = [photos / "none.png", photos / "*.tiff", photos / "empty", "a\0b.png", "x" * 10_000]
    result = list_images([*given, photos / "cat"], None)
    assert [str(each) for each in given] == [source.name for source in result[:5]]
    message = [str(result[k].image) for k in (1, 2)]
    assert "No file matches" in message[0]
    assert "contains no images" in message[1]
    assert [Path(source.name).name for source in result[5:]] == ["2.png", "10.png"]


def test_everything_in_one_list(photos):
    data = (photos / "top.webp").read_bytes()
    with Image.open(photos / "top.webp") as image:
        image.load()
    given = [
        "https://example.org/cat.jpg",
        data,
        bytearray(data),
        memoryview(data),
        io.BytesIO(data),
        image,
        Image.new("L", (2, 2)),
        np.zeros((2, 8, 8)),
        photos / "cat",
    ]
    result = list_images(given, (8, 8, 1))
    assert [Path(source.name).name for source in result] == [
        "cat.jpg", "1", "2", "3", "4", "top.webp", "6", "7", "8", "2.png", "10.png",
    ]  # fmt: skip
    assert all(source.image == data for source in result[1:4])


def test_columns_of_paths(photos):
    import pandas as pd

    paths = [str(photos / "cat" / "2.png"), str(photos / "top.webp")]
    for column in (paths, tuple(paths), np.array(paths), pd.Series(paths), iter(paths)):
        assert names(column) == ["2.png", "top.webp"]


def test_images_of_several_sizes_in_one_array():
    ragged = np.empty(2, dtype=object)
    ragged[0], ragged[1] = np.zeros((3, 4)), np.zeros((5, 6))
    assert [source.image.shape for source in list_images(ragged, None)] == [(3, 4), (5, 6)]


def test_an_image_as_nested_lists_of_numbers():
    (source,) = list_images([[0.0, 1.0], [1.0, 0.0]], (2, 2, 1))
    assert source.image.tolist() == [[0, 1], [1, 0]]


def test_tensors():
    import tensorflow as tf

    assert len(list_images(tf.zeros((3, 8, 8)), (8, 8, 1))) == 3


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "empty"),
        (3, "int"),
        ({"a": 1}, "dict"),
        (np.float64(3), "a single number"),
        ([[1, 2], [3]], "rows of the same length"),
        ([1, [2, 3]], "rows of the same length"),
    ],
)
def test_unsupported_images_are_rejected(images, message):
    with pytest.raises(EvaluationError, match=message):
        list_images(images, None)
