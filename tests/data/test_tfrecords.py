"""TFRecord files: images, and features as columns of a table."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

from kmagic.data import load_data, tfrecords
from kmagic.support.disk_arrays import is_on_disk
from kmagic.support.errors import DataError

rng = np.random.default_rng(0)
ROWS = 40


def feature(values: Any) -> tf.train.Feature:
    values = [values] if np.ndim(values) == 0 else list(values)
    if isinstance(values[0], bytes | str):
        values = [value.encode() if isinstance(value, str) else value for value in values]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], float | np.floating):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def write(file: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    with tf.io.TFRecordWriter(str(file)) as writer:
        for row in rows:
            features = {name: feature(value) for name, value in row.items() if value is not None}
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
    return file


@pytest.fixture(autouse=True)
def small_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tfrecords, "CHUNK_BYTES", 1000)


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return [
        {
            "size": np.float32(rng.normal()),
            "town": "Köln" if row % 3 else "Ulm",
            "point": rng.normal(size=2).astype("float32"),
            "kind": int(rng.integers(0, 3)),
        }
        for row in range(ROWS)
    ]


def encoded(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def photos(labels: Iterable[Any]) -> list[dict[str, Any]]:
    pixels = rng.integers(0, 255, (ROWS, 6, 8, 3), dtype=np.uint8)
    return [
        {"image": encoded(image), "label": label, "height": 6}
        for image, label in zip(pixels, labels, strict=False)
    ]


@pytest.mark.parametrize("stream", [True, False])
def test_features_are_columns(tmp_path: Path, rows: list[dict[str, Any]], stream: bool) -> None:
    rows[7]["size"] = None
    file = write(tmp_path / "houses.tfrecord", rows)
    data = load_data(file, target="kind", missing="mean", scale="standard", stream=stream)
    assert is_on_disk(data.x_train) == stream
    points = np.array([row["point"] for row in rows])
    frame = pd.DataFrame(
        {
            "kind": [row["kind"] for row in rows],
            "point_0": points[:, 0],
            "point_1": points[:, 1],
            "size": [row["size"] for row in rows],
            "town": [row["town"] for row in rows],
        }
    )
    expected = load_data(frame, target="kind", missing="mean", scale="standard")
    assert data.columns == expected.columns
    assert data.reading.startswith("TFRecord")
    np.testing.assert_allclose(data.x_train, expected.x_train, rtol=1e-6)
    np.testing.assert_array_equal(data.y_test, expected.y_test)


@pytest.mark.parametrize("stream", [True, False])
def test_images_of_classes(tmp_path: Path, stream: bool) -> None:
    labels = ["cat", "dog"] * (ROWS // 2)
    records = photos(labels)
    data = load_data(write(tmp_path / "pets.tfrecord", records), scale=255, stream=stream)
    files = []
    for number, record in enumerate(records):
        files.append(tmp_path / f"{number}.png")
        files[-1].write_bytes(record["image"])
    expected = load_data((files, labels), scale=255, name="pets")
    assert data.classes == ("cat", "dog")
    assert data.name == "pets"
    assert is_on_disk(data.x_train) == stream
    for name in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(data, name), getattr(expected, name))


def test_a_damaged_image_is_left_out(tmp_path: Path) -> None:
    records = photos(range(ROWS))
    for number, record in enumerate(records):
        record["label"] = number % 2
    records[30]["image"] = records[30]["image"][:40]
    data = load_data(write(tmp_path / "a.tfrecord", records))
    assert len(data.x_train) + len(data.x_test) == ROWS - 1
    assert "1 image left out" in data.note
    assert "record 30" in data.note


def test_a_training_and_a_test_file(tmp_path: Path) -> None:
    records = photos([0, 1] * (ROWS // 2))
    files = [write(tmp_path / "1.tfrecord", records[:30])]
    files.append(write(tmp_path / "2.tfrecord", records[30:]))
    whole = load_data(write(tmp_path / "whole.tfrecord", records))
    np.testing.assert_array_equal(load_data(list(map(str, files))).x_train, whole.x_train)


def test_which_feature_is_the_target(tmp_path: Path) -> None:
    records = [
        {("class/label" if k == "label" else k): v for k, v in record.items()}
        for record in photos([0, 1] * 20)
    ]
    file = write(tmp_path / "pets.tfrecord", records)
    with pytest.raises(
        DataError, match=r"Which column of pets is the target\? It has .*class/label"
    ):
        load_data(file)
    assert load_data(file, target="class/label").classes == ("0", "1")


def test_what_is_refused(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    rows[35]["point"] = np.float32([1, 2, 3])
    file = write(tmp_path / "a.tfrecord", rows)
    with pytest.raises(DataError, match=r"point has 3 values .* in record 35 .*, but 2 ") as error:
        load_data(file, target="kind")
    assert "drop='point'" in error.value.remedy
    assert load_data(file, target="kind", drop="point").columns[-1] == "town=Ulm"
    for row in rows:
        row["raw"] = b"\xff\x00"
    write(file, rows)
    with pytest.raises(DataError, match=r"raw of .* neither a text in UTF-8 nor an image"):
        load_data(file, target="kind", drop="point")
    twice = [{**record, "mask": record["image"]} for record in photos([0, 1] * 20)]
    write(file, twice)
    with pytest.raises(DataError, match="several features that are images: image, mask") as error:
        load_data(file)
    assert "features='image'" in error.value.remedy
    assert load_data(file, features="image", target="label").image_shape == (6, 8, 3)


@pytest.mark.parametrize("options", [{"chronological": True}, {"window": 3}])
def test_selected_features_are_sorted_by_the_dates(tmp_path: Path, options: Any) -> None:
    days = pd.date_range("2024-01-01", periods=ROWS).astype(str)
    records = [{"day": days[row], "size": row / 2, "y": row * 1.5} for row in range(ROWS)]
    file = write(tmp_path / "a.tfrecord", rng.permutation(np.array(records)))
    data = load_data(file, target="y", features="size", **options)
    assert "by the dates in day" in data.note or "by day, in steps of 1 day" in data.note
    assert data.columns == ("size",)
    np.testing.assert_array_equal(data.y_test, np.arange(ROWS)[-len(data.y_test) :] * 1.5)


def test_features_of_several_values_can_be_selected(
    tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    file = write(tmp_path / "a.tfrecord", rows)
    assert load_data(file, target="kind", features="point_1,size").columns == ("point_1", "size")
    shops = [{"shop": row % 2, "size": row / 2, "y": row * 1.5} for row in range(ROWS)]
    write(file, shops)
    data = load_data(file, target="y", features="size", by="shop", window=3)
    assert data.title.endswith("2 series")


def test_a_feature_that_appears_late_is_not_lost(tmp_path: Path) -> None:
    records = [{"size": row / 2, "y": row % 2} for row in range(ROWS)]
    records[-1]["age"] = 3.0
    file = write(tmp_path / "a.tfrecord", records)
    with pytest.raises(DataError, match="Feature age appears first in record 39 of") as error:
        load_data(file, target="y", missing="mean")
    assert "features='size'" in str(error.value.remedy)
    assert load_data(file, target="y", features="size").columns == ("size",)


@pytest.mark.parametrize("stream", [True, False])
def test_two_columns_of_one_name(tmp_path: Path, stream: bool) -> None:
    records = [{"a": [1.0, 2.0], "a_0": row / 2, "y": row % 2} for row in range(ROWS)]
    with pytest.raises(DataError, match="has more than one column named a_0"):
        load_data(write(tmp_path / "a.tfrecord", records), target="y", stream=stream)


def test_files_that_are_damaged(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    file = write(tmp_path / "a.tfrecord", rows)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    with pytest.raises(DataError, match="not a TFRecord file, or is damaged, at byte"):
        load_data(file, target="kind")
    file.write_text("a text that is longer than the length of a record", encoding="utf-8")
    with pytest.raises(DataError, match="not a TFRecord file, or is damaged, at byte 0"):
        load_data(file, target="kind")
    with tf.io.TFRecordWriter(str(file)) as writer:
        writer.write(b"no example")
    with pytest.raises(DataError, match=r"Record 0 of .* is not a tf\.train\.Example"):
        load_data(file, target="kind")
    with tf.io.TFRecordWriter(str(file)):
        pass
    with pytest.raises(DataError, match=r"a\.tfrecord is empty"):
        load_data(file, target="kind")
