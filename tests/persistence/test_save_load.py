"""``save`` and ``load``: what is restored, in this process and in another."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import FunctionType
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

import kmagic
from kmagic.data.preparation.preparation import Preparation
from kmagic.data.preparation.scaling import Scaling
from kmagic.models.build import build_model, origin_of
from kmagic.persistence.model_metadata import (
    ModelMetadata,
    read_metadata,
    read_text,
    restore_vocabularies,
    text_with_metadata,
)
from kmagic.persistence.save_load import LoadWarning, load_with_details
from kmagic.support.errors import PersistenceError
from kmagic.support.model_registry import dataset_for, record_for, set_dataset
from kmagic.training.run.training_run import Epoch, TrainingRun

from .. import old_files as old

TEXT = """\
# my own net
input 28x28x1
conv2d {filters} 3x3 relu / maxpool 4x4
dense {sizes[0]} relu / flatten
dense 10 softmax
compile adam(0.002) loss=sparse_categorical_crossentropy metrics=accuracy"""
DIGITS = Preparation(
    name="digits",
    classes=tuple("0123456789"),
    scaling=Scaling("255"),
    image_shape=(28, 28),
    sample_shape=(28, 28, 1),
)
RAW = (np.arange(5 * 784) % 256).astype("uint8").reshape(5, 28, 28)
SUFFIXES = (".keras", ".h5", ".weights.h5", ".json", ".kmagic")


@pytest.fixture(scope="module")
def trained() -> keras.Model:
    """A trained model: its optimizer has a state."""
    keras.utils.set_random_seed(3)
    model = build_model(TEXT, {"filters": 2, "sizes": (4, 8)}, name="cnn")
    model.fit(DIGITS.apply(RAW), np.arange(5), verbose=0)
    return model


@pytest.fixture
def cnn(trained: keras.Model) -> keras.Model:
    """A model with everything that is saved with it."""
    set_dataset(trained, DIGITS)
    run = TrainingRun("cnn", epochs=2)
    run.add(Epoch(1, {"loss": 2.5, "accuracy": 0.1}, seconds=1.0))
    run.add(Epoch(2, {"loss": 2.0, "accuracy": 0.3}, seconds=1.0))
    record_for(trained).run = run
    return trained


def predictions(model: Any) -> Any:
    return np.asarray(model(dataset_for(model).prepare(RAW)))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_everything_is_restored(tmp_path: Path, cnn: keras.Model, suffix: str) -> None:
    path = tmp_path / "models" / f"cnn{suffix}"
    saved = kmagic.save(cnn, path)
    assert saved.size == path.stat().st_size
    assert {"text", "10 class names", "scaling", "history of 2 epochs"} <= set(saved.parts)
    loaded = load_with_details(path)
    model = loaded.model
    assert model is not cnn
    assert dataset_for(model).classes == tuple("0123456789")
    assert loaded.history == {"loss": [2.5, 2.0], "accuracy": [0.1, 0.3]}
    built = origin_of(model)
    assert built is not None
    assert built.spec == origin_of(cnn).spec
    assert built.spec.source.rstrip("\n") == TEXT
    assert [step.shape for step in built.steps] == [step.shape for step in origin_of(cnn).steps]
    assert built.steps[1].layer is model.layers[-5]
    assert float(model.optimizer.learning_rate) == pytest.approx(0.002)
    if suffix in (".keras", ".h5", ".weights.h5"):
        np.testing.assert_allclose(predictions(model), predictions(cnn), rtol=1e-5)
        assert int(model.optimizer.iterations) == 1
        for ours, theirs in zip(model.optimizer.variables, cnn.optimizer.variables, strict=True):
            np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-6)
    again = tmp_path / f"again{suffix}"
    kmagic.save(model, again)
    second = read_metadata(again, "json" if suffix == ".json" else _content(suffix))[0]
    first = loaded.metadata
    assert first is not None
    assert second is not None
    assert (second.text, second.values, second.preparation) == (
        first.text,
        first.values,
        first.preparation,
    )


def _content(suffix: str) -> str:
    return {".keras": "keras", ".h5": "h5", ".weights.h5": "weights", ".kmagic": "text"}[suffix]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_keras_itself_loads_the_file(tmp_path: Path, cnn: keras.Model, suffix: str) -> None:
    path = tmp_path / f"cnn{suffix}"
    kmagic.save(cnn, path)
    model = keras.models.load_model(path, safe_mode=True, compile=suffix == ".keras")
    np.testing.assert_allclose(np.asarray(model(DIGITS.apply(RAW))), predictions(cnn), rtol=1e-5)


def test_keras_itself_loads_weights_and_json(tmp_path: Path, cnn: keras.Model) -> None:
    kmagic.save(cnn, tmp_path / "cnn.json")
    model = keras.models.model_from_json((tmp_path / "cnn.json").read_text())
    kmagic.save(cnn, tmp_path / "cnn.weights.h5")
    model.load_weights(tmp_path / "cnn.weights.h5")
    np.testing.assert_allclose(np.asarray(model(DIGITS.apply(RAW))), predictions(cnn), rtol=1e-5)


def test_a_keras_file_has_three_members(tmp_path: Path, cnn: keras.Model) -> None:
    kmagic.save(cnn, tmp_path / "cnn.keras")
    with zipfile.ZipFile(tmp_path / "cnn.keras") as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["config.json", "metadata.json", "model.weights.h5"]
        metadata = json.loads(archive.read("metadata.json"))
    assert metadata["keras_version"] == keras.__version__
    assert metadata["kmagic"]["name"] == "cnn"


def test_long_metadata_fits_into_every_format(tmp_path: Path, cnn: keras.Model) -> None:
    names = tuple(f"a class with a long name {number}" for number in range(5000))
    set_dataset(cnn, Preparation(name="many", classes=names))
    for suffix in SUFFIXES:
        kmagic.save(cnn, tmp_path / f"cnn{suffix}")
        assert dataset_for(kmagic.load(tmp_path / f"cnn{suffix}")).classes == names
    with h5py.File(tmp_path / "cnn.h5") as file:
        assert file["kmagic"].nbytes > 64_000


def test_a_text_file_starts_with_a_summary(tmp_path: Path, cnn: keras.Model) -> None:
    path = tmp_path / "cnn.kmagic"
    kmagic.save(cnn, path)
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# cnn, saved 20")
    assert lines[1:3] == [
        "# 10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "# filters = 2, sizes = (4, 8)",
    ]
    assert all(len(line) <= 103 for line in lines)
    assert read_text(path)[0].strip("\n") == TEXT
    built = kmagic.build(path.read_text(), filters=2, sizes=(4, 8))
    assert built.count_params() == cnn.count_params()


def test_names_with_line_breaks_stay_in_their_comment(tmp_path: Path, cnn: keras.Model) -> None:
    names = ("a\ndense 3", "b\u2028dense 4", "c\x85dense 5", "d\r\ndense 6")
    set_dataset(cnn, Preparation(classes=names))
    path = tmp_path / "cnn.kmagic"
    kmagic.save(cnn, path, name="cnn\ndense 7")
    model = kmagic.load(path)
    assert model.count_params() == cnn.count_params()
    assert dataset_for(model).classes == names


def test_saving_prints_and_logs_nothing(
    tmp_path: Path,
    cnn: keras.Model,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for suffix in SUFFIXES:
        kmagic.save(cnn, tmp_path / f"cnn{suffix}")
        kmagic.load(tmp_path / f"cnn{suffix}")
    output = [*capfd.readouterr(), *caplog.messages]
    assert [text for text in output if "HDF5" in text or "legacy" in text] == []


def test_a_text_written_by_hand_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "mine.kmagic"
    path.write_text("# by hand\ninput 4 / dense 2 softmax\n")
    loaded = load_with_details(path)
    assert loaded.model.count_params() == 10
    assert loaded.name == "mine"
    path.write_text("input 4 / dnse 2")
    with pytest.raises(kmagic.KmagicError) as caught:
        kmagic.load(path)
    assert "Did you mean dense?" in str(caught.value)


def test_a_saved_text_has_the_current_compile_line(tmp_path: Path) -> None:
    compiled = ("\ncompile adam loss=mae", "", " / compile adam loss=mae")
    for number, line in enumerate(compiled):
        net = kmagic.build(f"# mine\ninput  4 / dense 2{line}")
        net.compile("sgd", "mse")
        path = tmp_path / f"{number}.kmagic"
        kmagic.save(net, path)
        lines = read_text(path)[0].strip().splitlines()
        assert lines[-1] == "compile sgd loss=mse"
        if number < 2:
            assert lines[:-1] == ["# mine", "input  4 / dense 2"]
        assert kmagic.load(path).loss == "mse"


def test_a_mistake_is_reported_at_its_line_in_the_file(tmp_path: Path, cnn: keras.Model) -> None:
    path = tmp_path / "cnn.kmagic"
    kmagic.save(cnn, path)
    text = path.read_text().replace("flatten", "flaten")
    path.write_text(text)
    number = next(at for at, line in enumerate(text.splitlines(), 1) if "flaten" in line)
    with pytest.raises(kmagic.KmagicError) as caught:
        kmagic.load(path)
    assert str(caught.value).startswith(f"line {number}, column ")


def test_a_text_uses_variables_of_the_notebook_that_are_passed(tmp_path: Path) -> None:
    path = tmp_path / "mine.kmagic"
    path.write_text("input 4 / dense {units}")
    with pytest.raises(kmagic.KmagicError, match="--custom-objects units"):
        load_with_details(path, notebook={"units": 3})
    loaded = load_with_details(path, custom_objects={"units": 3}, notebook={"units": 5})
    assert loaded.model.count_params() == 15


def test_values_in_braces_are_saved(tmp_path: Path) -> None:
    x = np.zeros((9, 4))
    model = kmagic.build("input {x.shape[1:]} / dense {units}", x=x, units=3)
    kmagic.save(model, tmp_path / "net.kmagic")
    assert read_text(tmp_path / "net.kmagic")[0].strip() == "input {(4,)} / dense {units}"
    assert kmagic.load(tmp_path / "net.kmagic").count_params() == 15


def test_a_model_built_with_keras_gets_a_text(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, "relu")], name="net")
    saved = kmagic.save(model, tmp_path / "net.keras")
    assert saved.parts == ["weights", "text"]
    assert read_metadata(saved.path, "keras")[0].text == "model net\ninput 4\ndense 2 relu"  # type: ignore[union-attr]
    kmagic.save(model, tmp_path / "net.kmagic")
    assert kmagic.load(tmp_path / "net.kmagic").count_params() == 10


def test_saving_does_not_change_the_model(tmp_path: Path, cnn: keras.Model) -> None:
    before = cnn.get_compile_config()
    assert before["optimizer"]
    for suffix in SUFFIXES:
        kmagic.save(cnn, tmp_path / f"cnn{suffix}")
        assert cnn.get_compile_config() == before


def test_an_optimizer_that_keras_removed_is_saved(tmp_path: Path, cnn: keras.Model) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cnn.save(tmp_path / "keras.h5")  # Keras forgets the optimizer here
    kmagic.save(cnn, tmp_path / "cnn.keras")
    loaded = kmagic.load(tmp_path / "cnn.keras")
    assert float(loaded.optimizer.learning_rate) == pytest.approx(0.002)


def test_blocks_and_nested_models_keep_their_steps(tmp_path: Path) -> None:
    text = """\
block twice(f):
  conv2d {f} 3x3 same relu
model inner:
  input 4 / dense 3 relu
input 8x8x1
conv2d 4 3x3 same
residual:
  twice 4 * 2
ops.square
flatten / dense 4
inner / dense 2"""
    model = kmagic.build(text)
    kmagic.save(model, tmp_path / "net.keras")
    loaded = load_with_details(tmp_path / "net.keras")
    ours, theirs = origin_of(model), origin_of(loaded.model)
    assert ours is not None
    assert theirs is not None
    for before, after in zip(
        (*ours.steps, *ours.nested), (*theirs.steps, *theirs.nested), strict=True
    ):
        assert after.node.span == before.node.span
        assert after.shape == before.shape
        if isinstance(before.layer, layers.Layer):
            assert type(after.layer) is type(before.layer)
            assert after.layer is not before.layer
    assert "twice 4 * 2" in loaded._repr_mimebundle_()["text/plain"]
    from kmagic.display.model.diagram import diagram_bundle

    assert diagram_bundle(loaded.model, theirs, "net")["text/html"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_vocabularies_are_saved(tmp_path: Path, suffix: str) -> None:
    texts = [np.str_("good fine great"), np.str_("bad awful poor")] * 4
    model = kmagic.build(
        "input string\n"
        "text_vectorization max_tokens=20 output_sequence_length=3 adapt={texts}\n"
        "embedding 20 2 / flatten / dense 1",
        texts=texts,
    )
    path = tmp_path / f"net{suffix}"
    saved = kmagic.save(model, path)
    notes = [note for note in saved.notes if "Keras itself reads it from .keras files only" in note]
    assert bool(notes) == (suffix in (".h5", ".weights.h5", ".json"))
    loaded = load_with_details(path)
    assert loaded.notes == ()
    layer, again = model.layers[0], loaded.model.layers[0]
    assert again.get_vocabulary() == layer.get_vocabulary()
    sentences = keras.ops.convert_to_tensor(["a great film", "awful"])
    np.testing.assert_array_equal(np.asarray(again(sentences)), np.asarray(layer(sentences)))
    built = origin_of(loaded.model)
    assert built is not None
    assert built.spec.source.splitlines()[1] == (
        "text_vectorization max_tokens=20 output_sequence_length=3"
    )


def test_vocabularies_that_do_not_fit_give_a_note(tmp_path: Path) -> None:
    net = kmagic.build("input string / text_vectorization / embedding 9 2", name="net")
    net.layers[0].set_vocabulary(["a", "b"])
    kmagic.save(net, tmp_path / "w.weights.h5")
    other = stack(3)
    words = ModelMetadata(words=[["a"], ["b"]]).words
    assert restore_vocabularies(other, words) == [
        "The file has 2 vocabularies, but 0 layers of the model can use one."
    ]
    other = kmagic.build("input string / text_vectorization output_mode=tf_idf", name="tf")
    (note,) = restore_vocabularies(other, [["a", "b"]])
    assert note.startswith("Layer text_vectorization")
    assert "does not accept the vocabulary in the file" in note


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_vocabularies_of_integers_are_saved(tmp_path: Path, suffix: str) -> None:
    lookup = layers.IntegerLookup(vocabulary=[7, 9])
    net = keras.Sequential([keras.Input((1,), dtype="int64"), lookup], name="net")
    kmagic.save(net, tmp_path / f"net{suffix}")
    again = kmagic.load(tmp_path / f"net{suffix}").layers[0]
    assert list(again.get_vocabulary()) == list(lookup.get_vocabulary())


def test_invalid_metadata_is_ignored(tmp_path: Path) -> None:
    for content in ("#: {", "#: []"):
        (tmp_path / "net.kmagic").write_text(content)
        assert read_metadata(tmp_path / "net.kmagic", "text")[0] is None
    assert ModelMetadata.from_dict({"name": "x"}) is None
    metadata = ModelMetadata.from_dict({"format": 9, "name": 3, "steps": "x", "text": "input 4"})
    assert metadata == ModelMetadata(text="input 4")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)], name="net")
    kmagic.save(model, tmp_path / "net.json")
    config = json.loads((tmp_path / "net.json").read_text())
    broken = {"preparation": {"classes": 3, "scaling": 3}, "text": "dnse", "steps": [[1]]}
    config["kmagic"] |= broken
    (tmp_path / "net.json").write_text(json.dumps(config))
    for preparation in (broken["preparation"], {"encoding": {"vocabulary": 3}}, {"columns": 3}):
        config["kmagic"] |= {"preparation": preparation, "history": {"loss": 3, "acc": ["x"]}}
        (tmp_path / "net.json").write_text(json.dumps(config))
        loaded = load_with_details(tmp_path / "net.json")
        assert "The preparation of its data cannot be read" in loaded.notes[0]
        assert (loaded.origin, loaded.history) == (None, {})
        assert loaded.model.count_params() == 10
        assert repr(loaded)


def test_values_are_read_as_literals_only(tmp_path: Path) -> None:
    baggage = ModelMetadata("net", "input {n}", {"n": "__import__('os').getpid()"})
    (tmp_path / "net.kmagic").write_text(text_with_metadata(baggage))
    with pytest.raises(kmagic.KmagicError, match="is not defined"):
        kmagic.load(tmp_path / "net.kmagic")


def with_text(path: Path, text: str) -> Path:
    """A file with another text for the same model."""
    members = old.zip_members(path)
    content = json.loads(members["metadata.json"])
    content["kmagic"]["text"] = text
    return old.write_zip(path, members | {"metadata.json": json.dumps(content).encode()})


@pytest.mark.parametrize(
    ("text", "is_same"),
    [
        ("# mine\ninput 4\nblock b:\n  dense 3 relu\nb * 2", True),
        ("input 4 / dense units=3 activation=relu / dense 3 relu use_bias=true", True),
        ("input 4\ndense 3 tanh\ndense 3 relu", False),
        ("input 4\ndense 3 relu\ndense 4 relu", False),
        ("input 4\ndense 3 relu", False),
        ("input 4\na = dense 3 relu\ndense 3 relu\nadd <- a, _", False),
        ("input 4\na = dense 3 relu\ndense 3 relu\nfreeze a", False),
        ("input 4\ndense {units} relu\ndense 3 relu", None),
        ("input 4\ndens 3", None),
    ],
)
def test_a_text_of_another_model_is_left_out(
    tmp_path: Path, text: str, is_same: bool | None
) -> None:
    net = kmagic.build("input 4\ndense 3 relu\ndense 3 relu")
    path = tmp_path / "net.keras"
    kmagic.save(net, path)
    loaded = load_with_details(with_text(path, text))
    assert (loaded.origin is not None) == ("text" in loaded.parts) == bool(is_same)
    note = "The text in the file was left out: it does not build this model."
    assert loaded.notes == ((note,) if is_same is False else ())


def test_a_text_that_needs_data_of_the_notebook_is_left_out_quietly(tmp_path: Path) -> None:
    text = "input 4 / dense 2\nplace = embedding 2 2 <- {places}\nadd <- dense, place"
    net = kmagic.build(text.replace("dense 2\n", "dense = dense 2\n"), places=np.arange(2))
    kmagic.save(net, tmp_path / "net.keras")
    loaded = load_with_details(tmp_path / "net.keras")
    assert loaded.notes == ()
    assert loaded.model.count_params() == net.count_params()


def test_a_text_has_the_compile_line_of_the_model_in_the_file(tmp_path: Path) -> None:
    net = kmagic.build("input 4 / dense 2\ncompile sgd loss=mse")
    path = tmp_path / "net.keras"
    kmagic.save(net, path)
    text = load_with_details(with_text(path, "input 4 / dense 2\ncompile adam loss=mae")).origin
    assert text.spec.source.splitlines()[-1] == "compile sgd loss=mse"


# --- weights into a model ---------------------------------------------------------------------


def stack(*units: int, name: str = "net") -> keras.Model:
    inner = [layers.Dense(number, name=f"dense_{at}") for at, number in enumerate(units)]
    return keras.Sequential([keras.Input((4,)), *inner], name=name)


def weights(model: keras.Model) -> list[Any]:
    return [np.array(each) for each in model.weights]


MISMATCHES = {
    "shape": (
        (3, 2),
        (3, 5),
        "layer dense_1 has shapes (3, 5) and (5) in the model, but (3, 2) and (2) in the file",
    ),
    "missing": ((3,), (3, 3), "the file has no weights for dense_1"),
    "extra": ((3, 3), (3,), "the file has weights for dense_1, which the model does not have"),
}


@pytest.mark.parametrize(("there", "here", "words"), MISMATCHES.values(), ids=MISMATCHES)
def test_weights_that_do_not_fit_do_not_change_the_model(
    tmp_path: Path, there: tuple[int, ...], here: tuple[int, ...], words: str
) -> None:
    path = tmp_path / "w.weights.h5"
    kmagic.save(stack(*there), path)
    model = stack(*here)
    before = weights(model)
    with pytest.raises(PersistenceError) as caught:
        kmagic.load(path, model=model)
    assert caught.value.message == f"The weights in {path} do not fit 'net': {words}."
    assert caught.value.remedy.startswith("'net' is unchanged.")
    for previous, new in zip(before, weights(model), strict=True):
        np.testing.assert_array_equal(previous, new)


def test_weights_are_loaded_from_whole_models(tmp_path: Path) -> None:
    source = stack(3, 2)
    for suffix in (".keras", ".h5", ".weights.h5"):
        kmagic.save(source, tmp_path / f"w{suffix}")
        model = stack(3, 2)
        assert kmagic.load(tmp_path / f"w{suffix}", model=model) is model
        for previous, new in zip(weights(source), weights(model), strict=True):
            np.testing.assert_array_equal(previous, new)
        other = stack(3, 5)
        with pytest.raises(
            PersistenceError, match=r"layer dense_1 has shapes \(3, 5\) and \(5\) in the model"
        ):
            kmagic.load(tmp_path / f"w{suffix}", model=other)


def test_the_state_of_another_optimizer_gives_a_warning(tmp_path: Path) -> None:
    source = stack(3, 2)
    source.compile("adam", "mse")
    source.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)
    kmagic.save(source, tmp_path / "w.weights.h5")
    model = stack(3, 2)
    model.compile("sgd", "mse")
    with pytest.warns(
        LoadWarning, match="The state of the optimizer was not restored: its layout differs"
    ):
        kmagic.load(tmp_path / "w.weights.h5", model=model)


def test_a_model_without_weights(tmp_path: Path) -> None:
    kmagic.save(stack(3), tmp_path / "w.weights.h5")
    model = keras.Sequential([layers.Dense(3)], name="open")
    with pytest.raises(PersistenceError, match=r"'open' has no weights yet, so .* cannot be"):
        kmagic.load(tmp_path / "w.weights.h5", model=model)
    with pytest.raises(PersistenceError, match="'open' has no weights yet: the shape"):
        kmagic.save(model, tmp_path / "o.weights.h5")


def test_weights_without_a_text_need_a_model(tmp_path: Path) -> None:
    stack(3).save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(
        PersistenceError, match="contains weights, but no model to load them into"
    ) as caught:
        kmagic.load(tmp_path / "w.weights.h5")
    assert "kmagic.load(path, model=model)" in caught.value.remedy


# --- invalid files ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", [".", "..", "/", "models/.."])
def test_a_folder_is_no_file_to_write(path: str) -> None:
    with pytest.raises(PersistenceError, match="is a folder"):
        kmagic.save(stack(3), path, only="weights")


def test_a_missing_file_is_reported_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "digits.keras").write_bytes(b"x")
    with pytest.raises(PersistenceError) as caught:
        kmagic.load(tmp_path / "digit.keras")
    assert caught.value.message == f"No such file: {tmp_path}/digit.keras."
    assert caught.value.remedy == f"Did you mean {tmp_path}/digits.keras?"
    with pytest.raises(PersistenceError) as caught:
        kmagic.load(tmp_path / "zzz.h5")
    assert caught.value.remedy == f"Model files in {tmp_path}: digits.keras."
    with pytest.raises(PersistenceError, match=r"\(the folder .*model does not exist\)"):
        kmagic.load(tmp_path / "model" / "zzz.h5")


OTHER_FILES = {
    "empty": (b"", "is empty: writing it was probably interrupted"),
    "zeros": (bytes(500), "contains only zeros"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(9), "is an image"),
    "page": (b"<!DOCTYPE html><html>", "is a web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
    "packed": (b"\x1f\x8b\x08\x00rest", "is compressed with gzip"),
    "noise": (bytes(range(128, 250)), "is not a model file: its first bytes are 80 81 82"),
    "lite": (b"\x1c\0\0\0TFL3" + bytes(20), "is a TensorFlow Lite model"),
    "json": (b'{"a": 1}', "is JSON, but not of a model"),
    "half json": (b'{"class_name": "Sequ', "is incomplete"),
    "half zip": (b"PK\x03\x04" + bytes(range(100)), "is incomplete"),
    "half hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(90), "is incomplete"),
    "prose": (b"Dear Sir or Madam", "is a text file; only files ending in .kmagic"),
}


@pytest.mark.parametrize(("content", "message"), OTHER_FILES.values(), ids=OTHER_FILES)
def test_files_of_other_kinds(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "cnn.keras"
    path.write_bytes(content)
    with pytest.raises(PersistenceError) as caught:
        kmagic.load(path)
    assert message in caught.value.message
    assert path.read_bytes() == content


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5", ".json"])
def test_every_truncation_is_reported(tmp_path: Path, cnn: keras.Model, suffix: str) -> None:
    whole, part = tmp_path / f"cnn{suffix}", tmp_path / f"part{suffix}"
    kmagic.save(cnn, whole)
    content = whole.read_bytes()
    model = stack(3) if suffix == ".weights.h5" else None
    for share in (0.05, 0.3, 0.6, 0.9, 0.99):
        part.write_bytes(content[: int(share * len(content))])
        with pytest.raises(PersistenceError, match="is incomplete"):
            kmagic.load(part, model=model)


def test_a_damaged_zip_is_reported(tmp_path: Path, cnn: keras.Model) -> None:
    kmagic.save(cnn, tmp_path / "cnn.keras")
    content = bytearray((tmp_path / "cnn.keras").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "cnn.keras").write_bytes(content)
    with pytest.raises(PersistenceError, match="is damaged"):
        kmagic.load(tmp_path / "cnn.keras")


@pytest.mark.parametrize(
    ("real", "named"), [(".keras", ".h5"), (".h5", ".keras"), (".json", ".h5")]
)
def test_the_content_decides_the_format(
    tmp_path: Path, cnn: keras.Model, real: str, named: str
) -> None:
    kmagic.save(cnn, tmp_path / f"cnn{real}")
    (tmp_path / f"cnn{real}").rename(tmp_path / f"other{named}")
    assert kmagic.load(tmp_path / f"other{named}").count_params() == cnn.count_params()


def test_a_file_of_a_newer_keras(tmp_path: Path) -> None:
    kmagic.save(stack(3), tmp_path / "net.keras")
    with zipfile.ZipFile(tmp_path / "net.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"][-1]["config"]["newer"] = 1
    members["config.json"] = json.dumps(config).encode()
    members["metadata.json"] = b'{"keras_version": "9.1.0"}'
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(PersistenceError) as caught:
        kmagic.load(tmp_path / "net.keras")
    assert "it was written by Keras 9.1.0, and this is Keras" in caught.value.message
    assert caught.value.remedy.startswith("Run `pip install --upgrade keras`")


def test_a_model_that_keras_cannot_write(tmp_path: Path) -> None:
    class Odd(layers.Layer):
        def __init__(self, function: Any) -> None:
            super().__init__()
            self.function = function

        def call(self, inputs: Any) -> Any:
            return self.function(inputs)

    model = keras.Sequential([keras.Input((4,)), Odd(abs)], name="odd")
    path = tmp_path / "models" / "odd.keras"
    with pytest.raises(PersistenceError) as caught:
        kmagic.save(model, path)
    assert "'odd' cannot be written as .keras: a class in it has no `get_config`" in (
        caught.value.message
    )
    assert not path.parent.exists()


def test_free_space_is_checked_before_writing(
    tmp_path: Path, cnn: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    path = tmp_path / "cnn.keras"
    path.write_text("the old file")
    usage = type(shutil.disk_usage(tmp_path))(10, 9, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(PersistenceError, match="and the disk has 1 bytes left") as caught:
        kmagic.save(cnn, path, force=True)
    assert caught.value.remedy.startswith("Nothing was changed.")
    assert path.read_text() == "the old file"
    assert [each.name for each in tmp_path.iterdir()] == ["cnn.keras"]


def test_a_file_without_read_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "net.keras"
    kmagic.save(stack(3), path)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PersistenceError, match="you have no permission to read it") as caught:
        kmagic.load(path)
    assert "chmod a+r net.keras" in caught.value.remedy


def test_folders_and_urls(tmp_path: Path) -> None:
    kmagic.save(stack(3), tmp_path / "checkpoints" / "best.weights.h5")
    with pytest.raises(PersistenceError, match="is a folder") as caught:
        kmagic.load(tmp_path / "checkpoints")
    assert caught.value.remedy == "Name the file in it: best.weights.h5."
    with pytest.raises(PersistenceError, match="is a URL"):
        kmagic.load("https://example.org/net.keras")
    net = stack(3)
    net.save(tmp_path / "open", zipped=False)
    assert kmagic.load(tmp_path / "open").count_params() == net.count_params()


def test_an_h5_that_keras_could_not_read_is_rejected(tmp_path: Path) -> None:
    x = keras.Input((4,), name="x")
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4)], name="inner")
    for model in (
        keras.Model(x, keras.ops.square(inner(x)), name="net"),
        keras.Model(x, keras.Model(x, inner(x) + 1, name="low")(x), name="net"),
    ):
        with pytest.raises(PersistenceError, match=r"is an operation of keras\.ops") as caught:
            kmagic.save(model, tmp_path / "net.h5")
        assert caught.value.remedy == "Nothing was changed. Save it as .keras."
        kmagic.save(model, tmp_path / "net.keras", force=True)
        loaded = kmagic.load(tmp_path / "net.keras")
        x_values = np.ones((2, 4), "float32")
        np.testing.assert_allclose(np.asarray(loaded(x_values)), np.asarray(model(x_values)))


def test_the_text_builds_a_model_that_keras_fails_to_load(tmp_path: Path) -> None:
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4)], name="inner")
    outer = keras.Sequential([keras.Input((4,)), inner, layers.ReLU()], name="outer")
    x = keras.Input((4,))
    model = keras.Model(x, outer(inner(outer(x))), name="deep")
    path = tmp_path / "deep.keras"
    kmagic.save(model, path)
    with pytest.raises(ValueError, match="could not be loaded"):
        keras.models.load_model(path)
    with pytest.warns(LoadWarning, match=r"built from the text in the file. Keras reports: Layer"):
        loaded = kmagic.load(path)
    values = np.ones((2, 4), "float32")
    np.testing.assert_allclose(np.asarray(loaded(values)), np.asarray(model(values)), rtol=1e-6)


def test_save_requires_a_model(tmp_path: Path) -> None:
    with pytest.raises(PersistenceError, match="model= must be a Keras model; got int"):
        kmagic.save(3, tmp_path / "x.keras")


# --- in another process -----------------------------------------------------------------------

LOAD_IN_NEW_PROCESS = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import kmagic
from kmagic.models.build import build_model, origin_of
from kmagic.support.model_registry import dataset_for
for path in sys.argv[2:]:
    model = kmagic.load(path)
    known = dataset_for(model)
    raw = np.load(sys.argv[1])
    np.save(path + ".npy", np.asarray(model(known.prepare(raw))))
    print(known.classes[3], origin_of(model).spec.source.splitlines()[0])
"""


def test_a_new_process_classifies_raw_images(tmp_path: Path, cnn: keras.Model) -> None:
    np.save(tmp_path / "raw.npy", RAW)
    paths = [tmp_path / f"cnn{suffix}" for suffix in (".keras", ".h5", ".weights.h5")]
    for path in paths:
        kmagic.save(cnn, path)
    done = subprocess.run(
        [sys.executable, "-c", LOAD_IN_NEW_PROCESS, str(tmp_path / "raw.npy"), *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["3 # my own net"] * 3
    for path in paths:
        np.testing.assert_allclose(np.load(f"{path}.npy"), predictions(cnn), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("suffix", ["kmagic", "json"])
def test_a_file_without_weights_is_not_loaded_into_a_model(tmp_path, suffix):
    net = kmagic.build("input 4 / dense 2")
    path = kmagic.save(net, tmp_path / f"net.{suffix}").path
    with pytest.raises(PersistenceError, match="not weights to load into 'net'"):
        kmagic.load(path, model=kmagic.build("model net\ninput 4 / dense 2"))
    assert kmagic.load(path).output_shape == (None, 2)


@pytest.mark.parametrize("is_trained", [False, True])
@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5", ".json"])
def test_loss_scaling_is_restored(tmp_path: Path, suffix: str, is_trained: bool) -> None:
    path, before = tmp_path / f"net{suffix}", keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        net = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="out")], name="net")
        net.compile(keras.optimizers.Adam(0.02), "mse")
    finally:
        keras.config.set_dtype_policy(before)
    net.optimizer.initial_scale = 1.0
    if is_trained:
        net.fit(np.full((8, 4), 0.1), np.zeros((8, 2)), verbose=0)
    kmagic.save(net, path)
    assert net.get_compile_config()["optimizer"]["class_name"] == "Adam"
    loaded = load_with_details(path)
    optimizer = loaded.model.optimizer
    assert loaded.notes == ()
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert float(optimizer.inner_optimizer.learning_rate) == pytest.approx(0.02)
    if is_trained and suffix != ".json":
        assert int(optimizer.iterations) == int(net.optimizer.iterations) == 1
        for own, restored in zip(net.optimizer.variables, optimizer.variables, strict=True):
            np.testing.assert_array_equal(np.asarray(own), np.asarray(restored))


# --- what a model was compiled with ---------------------------------------------------------------


def own_loss(true: Any, predicted: Any) -> Any:
    return keras.ops.mean(keras.ops.square(true - predicted))


class OwnMetric(keras.metrics.Mean):
    pass


class OwnOptimizer(keras.optimizers.SGD):
    pass


class OwnSchedule(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, _: Any) -> float:
        return 0.1

    def get_config(self) -> dict[str, Any]:
        return {}


OWN: dict[str, dict[str, Any]] = {
    "loss": {"loss": own_loss},
    "metric": {"loss": "mse", "metrics": ["mae", OwnMetric()]},
    "weighted": {"loss": "mse", "weighted_metrics": [own_loss]},
    "optimizer": {"loss": "mse", "optimizer": OwnOptimizer()},
    "schedule": {"loss": "mse", "optimizer": keras.optimizers.SGD(OwnSchedule())},
    "lambda": {"loss": lambda true, predicted: keras.ops.mean(true - predicted)},
}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("what", OWN)
def test_what_is_not_defined_leaves_a_model_uncompiled(
    tmp_path: Path, what: str, suffix: str
) -> None:
    net, path = stack(3), tmp_path / f"m{suffix}"
    net.compile(**OWN[what])
    kmagic.save(net, path)
    loaded = load_with_details(path)
    assert not loaded.model.compiled
    (note,) = loaded.notes
    assert note.startswith("Not compiled: ")
    assert "%keras_compile" in note
    assert all(map(np.array_equal, net.get_weights(), loaded.model.get_weights()))
    own = {value.__name__: value for value in (own_loss, OwnMetric, OwnOptimizer, OwnSchedule)}
    given = load_with_details(path, custom_objects=own)
    assert given.model.compiled == (what != "lambda")


def gelu(x: Any) -> Any:
    return 3 * x


def relu(x: Any) -> Any:
    return 5 * x


def dice(true: Any, predicted: Any) -> Any:
    return keras.ops.mean(true - predicted)


class F1Score(keras.metrics.Mean):
    pass


class Attention(layers.Layer):
    def call(self, x: Any) -> Any:
        return 9 * x


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".json"])
def test_a_function_that_keras_would_replace_is_rejected(tmp_path: Path, suffix: str) -> None:
    net = keras.Sequential([keras.Input((4,)), layers.Dense(2, gelu)], name="net")
    with pytest.raises(PersistenceError, match="your function gelu, and Keras would load its own"):
        kmagic.save(net, tmp_path / f"net{suffix}")
    registered = FunctionType(gelu.__code__, {"__name__": "own"}, "gelu")
    keras.saving.register_keras_serializable("tests")(registered)
    net = keras.Sequential([keras.Input((4,)), layers.Dense(2, registered)], name="net")
    kmagic.save(net, tmp_path / f"net{suffix}")
    loaded = load_with_details(tmp_path / f"net{suffix}")
    assert loaded.model.layers[-1].activation is registered
    assert loaded.notes == ()


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".json"])
def test_own_objects_with_names_of_keras_are_not_replaced(tmp_path: Path, suffix: str) -> None:
    net, path = stack(3), tmp_path / f"net{suffix}"
    net.compile("sgd", dice, metrics=[F1Score(), "mae"])
    saved = kmagic.save(net, path)
    assert [note.split(" Load")[0] for note in saved.notes] == [
        "F1Score is yours, but the file names it like Keras's.",
        "dice is yours, but the file names it like Keras's.",
    ]
    loaded = load_with_details(path)
    assert not loaded.model.compiled
    assert "F1Score, dice are not part of Keras" in loaded.notes[0]
    given = load_with_details(path, custom_objects={"dice": dice, "F1Score": F1Score})
    assert given.notes == ()
    assert given.model.loss is dice
    net = keras.Sequential([keras.Input((4,)), layers.Lambda(relu)], name="net")
    kmagic.save(net, path, force=True)
    with pytest.raises(PersistenceError, match=r"needs the function relu \(not Keras's\)"):
        kmagic.load(path)
    assert kmagic.load(path, custom_objects={"relu": relu}).layers[-1].function is relu
    net = keras.Sequential([keras.Input((4,)), Attention()], name="net")
    kmagic.save(net, path, force=True)
    with pytest.raises(PersistenceError, match=r"needs the class Attention \(not Keras's\)"):
        kmagic.load(path)
    again = kmagic.load(path, custom_objects={"Attention": Attention})
    assert type(again.layers[-1]) is Attention


@pytest.mark.parametrize("what", ["optimizer", "schedule"])
def test_weights_with_a_text_are_loaded_without_its_compile_line(tmp_path: Path, what: str) -> None:
    net, path = stack(3), tmp_path / "m.weights.h5"
    net.compile(**OWN[what])
    kmagic.save(net, path)
    loaded = load_with_details(path)
    assert not loaded.model.compiled
    assert loaded.notes[0].startswith("Not compiled: Own")
    assert all(map(np.array_equal, net.get_weights(), loaded.model.get_weights()))
    own = {value.__name__: value for value in (OwnOptimizer, OwnSchedule)}
    assert load_with_details(path, custom_objects=own).model.compiled


def test_an_architecture_may_be_compiled_with_what_is_not_defined(tmp_path: Path) -> None:
    net, path = stack(3), tmp_path / "m.json"
    net.compile("sgd", own_loss)
    kmagic.save(net, path)
    loaded = load_with_details(path)
    assert not loaded.model.compiled
    assert "own_loss is not part of Keras" in loaded.notes[0]
    assert load_with_details(path, custom_objects={"own_loss": own_loss}).model.compiled


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_nested_model_may_be_compiled_with_what_is_not_defined(
    tmp_path: Path, suffix: str
) -> None:
    inner = stack(3)
    inner.compile("sgd", own_loss)
    net = keras.Sequential([keras.Input(inner.input_shape[1:]), inner, layers.Dense(2)])
    net.compile("sgd", "mse")
    kmagic.save(net, tmp_path / f"m{suffix}")
    loaded = load_with_details(tmp_path / f"m{suffix}")
    assert all(map(np.array_equal, net.get_weights(), loaded.model.get_weights()))


def test_free_space_for_the_container_is_checked_too(
    tmp_path: Path, cnn: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    size = sum(weight.nbytes for weight in cnn.get_weights())
    usage = type(shutil.disk_usage(tmp_path))(10**9, 0, 3 * size + 4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    for name in ("m.h5", "m.keras", "m.weights.h5"):
        with pytest.raises(PersistenceError, match="it needs"):
            kmagic.save(cnn, tmp_path / name)
    usage = type(usage)(10**9, 0, 4_000_000)
    kmagic.save(cnn, tmp_path / "m.h5")
    set_dataset(cnn, Preparation(classes=tuple(f"a class with a name {n}" for n in range(200_000))))
    with pytest.raises(PersistenceError, match="it needs"):
        kmagic.save(cnn, tmp_path / "many.h5")
