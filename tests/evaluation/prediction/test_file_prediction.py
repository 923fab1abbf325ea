"""Predictions into a file: images and tables part by part, interrupted and continued."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image

import kmagic
from kmagic.data.preparation.preparation import Preparation
from kmagic.data.preparation.scaling import Scaling
from kmagic.evaluation.prediction import file_prediction, part_prediction
from kmagic.support.errors import DataError, EvaluationError
from kmagic.support.model_registry import set_dataset
from tests.shells import run_cell

NAMES = ("dark", "bright")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(file_prediction, "IMAGES", 4)
    monkeypatch.setattr(file_prediction, "TABLE_ROWS", 3)


@pytest.fixture
def model():
    """Compares the mean brightness with one half."""
    import keras

    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    ones = np.ones((16, 1)) / 16
    model.set_weights([np.hstack([-ones, ones]), np.array([0.5, -0.5])])
    return keras.Sequential([model, keras.layers.Softmax()], name="light")


def write_images(folder, values):
    for index, value in enumerate(values):
        place = folder / NAMES[value > 127]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), value, "uint8")).save(place / f"{index}.png")


def test_images_with_their_classes(model, tmp_path):
    write_images(tmp_path / "photos", [*range(0, 250, 25), 130])
    (tmp_path / "photos/dark/bad.png").write_text("no image")
    (tmp_path / "photos/dark/99.png").write_bytes((tmp_path / "photos/bright/9.png").read_bytes())
    options = {"class_names": NAMES, "scaling": 255, "top": 1}
    result = kmagic.predict_to_file(model, tmp_path / "photos", tmp_path / "out.parquet", **options)
    assert result.count == result.total == 13
    assert result.unreadable == 1
    assert result.wrong == 1
    assert result.counts == {"bright": 6, "dark": 6}
    frame = result.to_frame()
    in_memory = kmagic.classify(tmp_path / "photos", model, **options)
    expected = [(i.name, i.top_classes[0].label) for i in in_memory if not i.error]
    read = frame[frame.error.isna()]
    assert list(zip(read.image, read.label, strict=True)) == expected
    assert "is not an image" in frame.error.dropna().item()
    assert not list(tmp_path.glob("*.parts"))
    text = repr(result)
    assert "13 images" in text
    bundle = result._repr_mimebundle_()
    assert "bright: 6" in bundle["text/plain"]
    assert "predicted class" in bundle["text/html"]


def test_a_part_without_a_readable_image(model, tmp_path):
    write_images(tmp_path / "x", [10, 20])
    for index in range(9):
        (tmp_path / f"x/dark/a{index}.png").write_text("")
    result = kmagic.predict_to_file(model, tmp_path / "x", tmp_path / "o.parquet", scaling=255)
    assert (result.count, result.unreadable) == (11, 9)
    assert result.wrong is None  # the classes have no names


def interrupt_after(monkeypatch, parts):
    original = part_prediction.predict_parts

    def stopping(*arguments, **options):
        for index, result in enumerate(original(*arguments, **options)):
            if index == parts:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(file_prediction, "predict_parts", stopping)


def test_an_interrupted_prediction_continues(model, tmp_path, monkeypatch):
    write_images(tmp_path / "x", range(0, 250, 20))
    out = tmp_path / "o.parquet"
    whole = kmagic.predict_to_file(model, tmp_path / "x", out, scaling=255).to_frame()
    out.unlink()
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        result = kmagic.predict_to_file(model, tmp_path / "x", out, scaling=255)
    assert (result.count, result.total) == (8, 13)
    assert "interrupted after 8 of 13 images" in repr(result)
    assert "The same cell continues" in result._repr_mimebundle_()["text/plain"]
    assert not out.exists()
    with pytest.raises(EvaluationError, match="is not complete"):
        result.to_frame()
    with pytest.raises(EvaluationError, match="parts of other predictions") as caught:
        kmagic.predict_to_file(model, tmp_path / "x", out, scaling=255, top=1)
    assert "fresh=True" in caught.value.remedy
    import keras

    other = keras.Sequential([*model.layers, keras.layers.Lambda(lambda x: 1 - x)])
    with pytest.raises(EvaluationError, match="parts of other predictions"):  # of equal weights
        kmagic.predict_to_file(other, tmp_path / "x", out, scaling=255)
    calls = []
    original = file_prediction._ImageWork.__call__
    monkeypatch.setattr(
        file_prediction._ImageWork,
        "__call__",
        lambda self, m, n: calls.append(n) or original(self, m, n),
    )
    result = kmagic.predict_to_file(model, tmp_path / "x", out, scaling=255)
    assert calls == [2, 3]
    assert result.earlier == 8
    pd.testing.assert_frame_equal(result.to_frame(), whole)


@pytest.mark.parametrize("interrupt_at", [3, 9])  # the checks, the second half of the second part
def test_an_interrupt_within_a_part_keeps_the_finished_ones(
    model, tmp_path, monkeypatch, interrupt_at
):
    write_images(tmp_path / "x", range(0, 250, 20))
    batches = []
    predict = model.predict_on_batch

    def interrupted(x):
        batches.append(x)
        if len(batches) == interrupt_at:
            raise KeyboardInterrupt
        return predict(x)

    with monkeypatch.context() as patch:
        patch.setattr(model, "predict_on_batch", interrupted)
        call = tmp_path / "x", tmp_path / "o.parquet"
        if interrupt_at == 3:
            with pytest.raises(KeyboardInterrupt):
                kmagic.predict_to_file(model, *call, scaling=255, batch_size=2)
            assert not list(tmp_path.glob("*.parts"))
            return
        result = kmagic.predict_to_file(model, *call, scaling=255, batch_size=2)
    assert (result.count, result.total) == (4, 13)


def test_parts_of_an_unknown_call_are_not_used(model, tmp_path):
    write_images(tmp_path / "x", [10, 200])
    out, parts = tmp_path / "o.parquet", tmp_path / "o.parquet.parts"
    call = {"scaling": 255, "top": 1, "class_names": NAMES}
    frame = kmagic.predict_to_file(model, tmp_path / "x", out, **call).to_frame()
    parts.mkdir()
    frame.assign(label="wrong").to_parquet(parts / "0.parquet", index=False)
    (parts / ".kmagic-00000000-1-ab.part.parquet").write_text("from another machine")
    result = kmagic.predict_to_file(model, tmp_path / "x", out, **call)
    assert result.counts == {"bright": 1, "dark": 1}


@pytest.mark.parametrize("change", ["scaling", "preparation"])
def test_images_that_are_scaled_otherwise_do_not_continue(model, tmp_path, monkeypatch, change):
    write_images(tmp_path / "x", range(0, 250, 20))
    call = {"scaling": lambda x: x / 255} if change == "scaling" else {"class_names": NAMES}
    if change == "preparation":
        set_dataset(model, Preparation(scaling=Scaling("255"), sample_shape=(4, 4, 1)))
    with monkeypatch.context() as patch:
        interrupt_after(patch, 1)
        kmagic.predict_to_file(model, tmp_path / "x", tmp_path / "o.parquet", **call)
    other = dict(call)
    if change == "scaling":
        other["scaling"] = lambda x: x / 127.5
        call["scaling"] = lambda x: x / 255  # as the same cell in another kernel
    else:
        set_dataset(model, None)
    with pytest.raises(EvaluationError, match="other options"):
        kmagic.predict_to_file(model, tmp_path / "x", tmp_path / "o.parquet", **other)
    if change == "preparation":  # as a file keeps it
        config = Preparation(scaling=Scaling("255"), sample_shape=(4, 4, 1)).get_config()
        set_dataset(model, Preparation.from_config(json.loads(json.dumps(config))))
    result = kmagic.predict_to_file(model, tmp_path / "x", tmp_path / "o.parquet", **call)
    assert result.earlier == 4


def test_an_unknown_scale_is_mentioned(model, tmp_path):
    write_images(tmp_path / "x", [10, 200])
    result = kmagic.predict_to_file(model, tmp_path / "x", tmp_path / "o.parquet")
    assert "pass scaling=255" in str(result.note)
    assert "pass scaling=255" in result._repr_mimebundle_()["text/plain"]


def test_other_weights_do_not_continue(model, tmp_path, monkeypatch):
    write_images(tmp_path / "x", range(0, 250, 20))
    with monkeypatch.context() as patch:
        interrupt_after(patch, 1)
        kmagic.predict_to_file(model, tmp_path / "x", tmp_path / "o.parquet", scaling=255)
    model.set_weights([1 + weights for weights in model.get_weights()])
    with pytest.raises(EvaluationError, match="another model"):
        kmagic.predict_to_file(model, tmp_path / "x", tmp_path / "o.parquet", scaling=255)
    result = kmagic.predict_to_file(
        model, tmp_path / "x", tmp_path / "o.parquet", scaling=255, fresh=True
    )
    assert result.count == 13
    assert result.earlier == 0


@pytest.mark.parametrize("scale", ["standard", "none"])
def test_a_table_is_predicted_as_in_memory(tmp_path, scale):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(50, 9, 40), "b": rng.choice(["x", "y"], 40)})
    frame["price"] = frame.a + 1
    data = kmagic.load_data(frame, target="price", scale=scale)
    model = kmagic.build("input {w} / dense 1 / compile sgd loss=mse", w=data.x_train.shape[1])
    set_dataset(model, data)
    rows = frame.drop(columns="price")
    rows.iloc[:25].to_parquet(tmp_path / "t1.parquet", row_group_size=10)
    rows.iloc[25:].to_parquet(tmp_path / "t2.parquet")
    result = kmagic.predict_to_file(model, tmp_path, tmp_path / "result" / "o.parquet")
    assert result.total == 40
    assert not result.counts
    expected = kmagic.predict(model, rows)
    np.testing.assert_allclose(result.to_frame().price, np.asarray(expected)[:, 0], rtol=1e-5)


def test_a_table_with_and_without_its_preparation(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(50, 9, 40), "price": rng.normal(size=40)})
    data = kmagic.load_data(frame, target="price", scale="standard")
    model = kmagic.build("input 1 / dense 1 / compile sgd loss=mse")
    frame[["a"]].to_parquet(tmp_path / "t.parquet", row_group_size=10)
    set_dataset(model, data)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        kmagic.predict_to_file(model, tmp_path / "t.parquet", tmp_path / "o.parquet")
    set_dataset(model, None)  # as after keras.models.load_model
    with pytest.raises(EvaluationError, match="other options"):
        kmagic.predict_to_file(model, tmp_path / "t.parquet", tmp_path / "o.parquet")
    config = json.loads(json.dumps(data.preparation.get_config()))
    set_dataset(model, Preparation.from_config(config))
    result = kmagic.predict_to_file(model, tmp_path / "t.parquet", tmp_path / "o.parquet")
    assert result.earlier == 20


def test_empty_tables_and_the_file_of_predictions_are_no_source(tmp_path):
    import keras

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, dtype="bfloat16")])
    pd.DataFrame({"a": np.zeros(0)}).to_parquet(tmp_path / "t1.parquet")
    pd.DataFrame({"a": [1.0, 2.0]}).to_parquet(tmp_path / "t2.parquet")
    for _ in range(2):
        assert kmagic.predict_to_file(model, tmp_path, tmp_path / "o.parquet").count == 2
    with pytest.raises(EvaluationError, match="must be another file than the table"):
        kmagic.predict_to_file(model, tmp_path / "t2.parquet", tmp_path / "t2.parquet")
    assert pd.read_parquet(tmp_path / "t2.parquet").a.tolist() == [1.0, 2.0]


def test_rows_that_are_scaled_already_are_told_once(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(500, 9, 40), "y": rng.normal(size=40)})
    data = kmagic.load_data(frame, target="y", scale="standard")
    model = kmagic.build("input 1 / dense 1 / compile sgd loss=mse")
    set_dataset(model, data)
    scaled = pd.DataFrame({"a": data.x_train[:, 0]})
    scaled.to_parquet(tmp_path / "t.parquet", row_group_size=10)
    result = kmagic.predict_to_file(model, tmp_path / "t.parquet", tmp_path / "o.parquet")
    assert "already scaled" in result.note
    expected = model.predict(data.x_train, verbose=0)[:, 0]
    np.testing.assert_allclose(result.to_frame().y, expected, rtol=1e-5)


def test_what_cannot_be_predicted_is_refused(model, tmp_path):
    out = tmp_path / "o.parquet"
    with pytest.raises(EvaluationError, match="must be a file that ends in"):
        kmagic.predict_to_file(model, tmp_path, "o.csv")
    with pytest.raises(EvaluationError, match="contains no images"):
        kmagic.predict_to_file(model, tmp_path, out)
    with pytest.raises(EvaluationError, match="must be a folder or a pattern"):
        kmagic.predict_to_file(model, np.zeros((3, 4, 4, 1)), out)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="part by part"):
        kmagic.predict_to_file(model, tmp_path / "t.csv", out)
    (tmp_path / "t.parquet").write_text("no")
    with pytest.raises(DataError, match="is not a parquet file"):
        kmagic.predict_to_file(model, tmp_path / "t.parquet", out)
    with pytest.raises(DataError, match=r"There is no file or folder .*tt\.parquet") as caught:
        kmagic.predict_to_file(model, tmp_path / "tt.parquet", out)
    assert "t.parquet" in caught.value.remedy
    write_images(tmp_path / "x", [10])
    with pytest.raises(DataError, match=r"There is no file .*1\.png"):
        kmagic.predict_to_file(model, [tmp_path / "x/dark/0.png", tmp_path / "x/1.png"], out)
    values = kmagic.build("input 4x4x1 / flatten / dense 1 / compile sgd loss=mse")
    with pytest.raises(EvaluationError, match="returns values, and a file for images has classes"):
        kmagic.predict_to_file(values, tmp_path / "x", out, scaling=255)
    named = kmagic.predict_to_file(
        values, tmp_path / "x", tmp_path / "named.parquet", scaling=255, class_names=NAMES
    )
    assert named.count == 1
    assert not list(tmp_path.glob("*.parts"))


def test_the_magic_guesses_the_dataset_as_without_a_file(model, tmp_path, shell, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "photos", [10, 120, 220])
    x = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 1)).astype("uint8")
    data = kmagic.load_data((x, np.arange(8) % 2), scale="255", class_names=NAMES)
    shell.user_ns |= {"light": model, "digits": data}
    run_cell(shell, "%keras_classify light photos -o frame")[0].raise_error()
    run_cell(shell, "%keras_classify light photos -o o.parquet")[0].raise_error()
    expected = shell.user_ns["frame"]
    frame = pd.read_parquet("o.parquet").query("rank == 1")
    assert set(frame.label) == set(NAMES)
    np.testing.assert_allclose(frame.probability, expected.query("rank == 1").probability)


def test_the_magics(model, tmp_path, shell, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "photos", [10, 200, 220])
    shell.user_ns["light"] = model
    line = "%keras_classify light photos --scaling 255 --class-names dark,bright -o o.parquet"
    result, output = run_cell(shell, line)
    result.raise_error()
    assert "light: 3 images" in output.outputs[0].data["text/plain"]
    assert pd.read_parquet("o.parquet").query("rank == 1").label.tolist() == [
        "bright",
        "bright",
        "dark",
    ]
    cell = "%keras_predict light photos --scaling 255 -o p.parquet"
    run_cell(shell, cell)[0].raise_error()
    pd.testing.assert_frame_equal(
        pd.read_parquet("p.parquet").drop(columns=["label", "true"], errors="ignore"),
        pd.read_parquet("o.parquet").drop(columns=["label", "true"], errors="ignore"),
    )
    for cell, message in {
        "%keras_classify light photos --on local": "is for predictions into a file",
        "%keras_classify light photos --explain -o o.parquet": "is not possible",
        "%keras_predict light photos --classes -o o.parquet": "is not needed",
        "%keras_predict light photos --cpus 2": "is for predictions into a file",
        "%keras_predict light -o o.parquet": "expected a table or images",
        "%keras_predict light photos --scaling 255": "is for predictions into a file",
        "%keras_predict light photos --steps 2 -o o.parquet": "cannot be combined",
        "%keras_predict light photos -o o.csv": "must be a variable name",
    }.items():
        result, _ = run_cell(shell, cell)
        assert message in str(result.error_in_exec), cell


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(model, tmp_path, monkeypatch):
    monkeypatch.setattr(file_prediction, "IMAGES", 256)
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(256):
        Image.fromarray(np.full((4, 4), index, "uint8")).save(folder / f"{index}.png")
    for index in range(256, 100_000):  # links, which are read like files
        (folder / f"{index}.png").hardlink_to(folder / f"{index % 256}.png")
    memory = []
    write = file_prediction._Parts.write

    def measuring(*arguments):
        write(*arguments)
        memory.append(psutil.Process().memory_info().rss)

    monkeypatch.setattr(file_prediction._Parts, "write", measuring)
    result = kmagic.predict_to_file(model, folder, tmp_path / "o.parquet", scaling=255, top=1)
    assert result.count == 100_000
    assert sum(result.counts.values()) == 100_000
    assert memory[-1] - memory[20] < 50 * 2**20
