"""Names of files: which strings are names, and which files exist."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kmagic.data import load_data
from kmagic.data.paths import looks_like_files
from kmagic.support.errors import DataError

LABELS = [0, 1] * 3


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train").mkdir()
    for number in range(6):
        Image.new("RGB", (4, 4), (40 * number, 0, 0)).save(tmp_path / "train" / f"{number}.png")
    return tmp_path


def names(template: str) -> list[str]:
    return [template.format(number) for number in range(6)]


@pytest.mark.parametrize(
    "container", [list, tuple, np.array, pd.Series, lambda each: [Path(name) for name in each]]
)
def test_files_that_do_not_exist_are_no_texts(folder: Path, container: Callable[..., Any]) -> None:
    with pytest.raises(DataError, match=r"6 of 6 files in x do not exist: .*and 3 more") as caught:
        load_data((container(names("trian/{}.png")), LABELS))
    assert caught.value.remedy == "Did you mean train?"
    assert load_data((container(names("train/{}.png")), LABELS)).image_shape == (4, 4, 3)


def test_some_files_do_not_exist(folder: Path) -> None:
    files = names("train/{}.png")
    files[4] = "train/nine.png"
    with pytest.raises(DataError, match=r"1 of 6 files in x do not exist: train/nine\.png"):
        load_data((files, LABELS))
    with pytest.raises(DataError, match="6 of 6 files in x_test do not exist"):
        load_data((names("train/{}.png"), LABELS, names("tset/{}.png"), LABELS))


def test_backslashes_of_windows(folder: Path) -> None:
    assert load_data((names("train\\{}.png"), LABELS)).image_shape == (4, 4, 3)


@pytest.mark.parametrize("address", ["https://a.org/{}.png", "s3://bucket/{}.png", "gs://b/{}.jpg"])
def test_addresses_are_not_searched_on_disk(address: str) -> None:
    with pytest.raises(DataError, match=r"x contains addresses such as .* not downloaded"):
        load_data((names(address), LABELS))


@pytest.mark.parametrize(
    ("template", "are_files"),
    [
        ("{}.wav", True),
        ("{}.txt", True),
        ("word{}.com", False),
        ("look at this http://t.co/{}.jpg", False),
        ("my photos/cat {}.jpg", True),
        ("https://example.org/{}.html", False),
    ],
)
def test_names_of_files_and_words_with_dots(template: str, are_files: bool) -> None:
    assert looks_like_files(names(template)) is are_files


def test_files_named_in_a_table(folder: Path) -> None:
    frame = pd.DataFrame({"file": names("train/{}.png"), "n": [1.5, 2, 7, 3, 4, 9], "y": LABELS})
    assert load_data(frame, target="y", features="file").image_shape == (4, 4, 3)
    with pytest.raises(DataError, match=r"file names files such as train/0\.png") as caught:
        load_data(frame, target="y")
    assert "features='file' trains on the images" in caught.value.remedy
    frame.drop(columns="n").to_csv("labels.csv", index=False)
    assert load_data("labels.csv", target="y").image_shape == (4, 4, 3)
    with pytest.raises(DataError, match="do not exist"):
        load_data(frame.assign(file=names("trian/{}.png")), target="y", features="file")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("sounds/{}.wav", "6 of 6 files in x do not exist"),
        ("https://example.org/{}.jpg", "which are not downloaded"),
        ("C:\\data\\{}.jpg", "6 of 6 files in x do not exist"),
        ("my photo {}.jpg", "6 of 6 files in x do not exist"),
    ],
)
def test_other_files(folder: Path, template: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data((names(template), LABELS))


def test_files_that_are_no_images(folder: Path) -> None:
    for name in names("train/{}.txt"):
        (folder / name).write_text("a review")
    with pytest.raises(DataError, match=r"files that are not images, e\.g\. train/0\.txt"):
        load_data((names("train/{}.txt"), LABELS))


@pytest.mark.parametrize(
    "texts",
    [
        ["and/or", "n/a", "yes/no"],
        ["see cat.jpg", "I like it and/or not."],
        ["http://a.org/x.php?id=1", "http://b.org/y"],
        ["1/2/2020", "3/4/2020"],
        ["example.com", "www.example.org/index.html"],
        [],
        ["", None],
    ],
)
def test_texts_with_slashes_and_dots(texts: list[Any]) -> None:
    assert not looks_like_files(texts)
