from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from PIL import Image

from kmagic.errors import EvaluationError
from kmagic.evaluation.classify import classify

NAMES = ["dark", "bright", "none"]


class Light:
    """A model without Keras: tells dark from bright pictures by their mean, and keeps its input."""

    name = "light"

    def __init__(self, *shape):
        self.input_shape = (None, *shape)
        self.seen = []

    def predict_on_batch(self, x):
        self.seen.append(x)
        share = np.clip(x.reshape(len(x), -1).mean(axis=1), 0, 1)
        return np.stack([0.9 * (1 - share), 0.9 * share, 0 * share + 0.1], axis=1)


def grey(value, shape=(8, 8), dtype="float32"):
    return np.full(shape, value, dtype)


def test_arrays_of_floats_are_the_models_own_input():
    model, x = Light(8, 8, 1), np.stack([grey(0.25), grey(1.0)])
    found = classify(x, model, classes=NAMES, y_true=[0, 0])
    np.testing.assert_array_equal(model.seen[0], x[..., None])
    assert [p.guesses[0].label for p in found.pictures] == ["dark", "bright"]
    assert [p.right for p in found.pictures] == [True, False]
    truth = found.pictures[1].truth
    assert (truth.label, truth.rank, truth.probability) == ("dark", 3, 0.0)
    assert found.facts() == "2 pictures, top 3 · 1 wrong"


def test_a_frame_with_a_row_for_each_guess():
    frame = classify(grey(0.5, (2, 8, 8)), Light(8, 8, 1), top=2).to_frame()
    assert list(frame.columns) == ["image", "rank", "label", "probability"]
    assert frame["image"].tolist() == ["0", "0", "1", "1"]
    assert frame["rank"].tolist() == [1, 2, 1, 2]
    assert frame["probability"].tolist() == pytest.approx([0.45, 0.45, 0.45, 0.45])


@pytest.mark.parametrize(
    ("images", "shape", "count"),
    [
        (grey(0.5, (8, 8)), (8, 8, 1), 1),
        (grey(0.5, (8, 8, 1)), (8, 8, 1), 1),
        (grey(0.5, (3, 8, 8)), (8, 8, 1), 3),
        (grey(0.5, (3, 8, 8, 1)), (8, 8), 3),
        (grey(0.5, (8, 8, 3)), (8, 8, 3), 1),
        (grey(0.5, (3, 3, 3)), (3, 3), 3),
        (grey(0.5, (5, 64)), (64,), 5),
        (grey(0.5, (64,)), (64,), 1),
        ([grey(0.5), grey(0.5, (8, 8, 1))], (8, 8, 1), 2),
        (grey(0.5, (8, 8)), (None, None, 1), 1),
    ],
)
def test_one_picture_is_told_from_several(images, shape, count):
    model = Light(*shape)
    assert len(classify(images, model).pictures) == count
    assert all(x.shape[1:] == model.seen[0].shape[1:] for x in model.seen)
    assert len(model.seen[0].shape) == len(shape) + 1


def test_files_are_turned_resized_and_scaled(tmp_path):
    upright = np.zeros((20, 10, 3), np.uint8)
    upright[:10] = 255
    lying = Image.fromarray(np.rot90(upright))
    exif = Image.Exif()
    exif[0x0112] = 6
    lying.save(tmp_path / "lying.png", exif=exif)
    model = Light(4, 2, 1)
    found = classify([tmp_path / "lying.png"], model, scaling=255)
    np.testing.assert_array_equal(model.seen[0][0, :, :, 0], [[1, 1], [1, 1], [0, 0], [0, 0]])
    assert found.pictures[0].name == str(tmp_path / "lying.png")
    assert found.pictures[0].thumbnail.shape == (20, 10)
    assert found.note == ""


def test_bytes_and_files_are_scaled_and_floats_are_not(tmp_path):
    Image.fromarray(grey(255, dtype="uint8")).save(tmp_path / "white.png")

    class Scaling:
        def apply(self, x):
            return x / 510

    model = Light(8, 8, 1)
    images = [tmp_path / "white.png", grey(255, dtype="uint8"), grey(0.25)]
    images.append(Image.open(tmp_path / "white.png"))
    classify(images, model, scaling=Scaling())
    assert model.seen[0][:, 0, 0, 0].tolist() == [0.5, 0.5, 0.25, 0.5]
    assert "0 to 255" in classify(images[:1], model).note
    assert classify(images[1:3], model).note == ""


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I"])
def test_every_kind_of_picture_becomes_what_the_model_sees(tmp_path, mode):
    if mode.startswith("I"):
        picture = Image.fromarray(np.full((8, 8), 65535, np.uint16))
        picture = picture if mode == "I;16" else picture.convert(mode)
    else:
        picture = Image.new("RGB", (8, 8), "white").convert(mode)
    for channels in (1, 3):
        model = Light(8, 8, channels)
        classify(picture, model)
        assert model.seen[0].shape == (1, 8, 8, channels)
        assert (model.seen[0] >= 254).all()


def test_what_shines_through_is_white():
    model = Light(8, 8, 1)
    classify(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), model)
    assert (model.seen[0] == 255).all()


def test_a_broken_file_is_reported_in_its_place_and_the_rest_go_on(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    Image.fromarray(grey(9, dtype="uint8")).save(tmp_path / "good.png")
    paths = [tmp_path / "broken.png", tmp_path / "good.png", tmp_path / "missing.png", tmp_path]
    found = classify(paths, Light(8, 8, 1), y_true=[0, 1, 1, 0], classes=NAMES)
    errors = [picture.error for picture in found.pictures]
    assert "not a picture" in errors[0]
    assert errors[1] == ""
    assert "no file" in errors[2]
    assert "is a folder" in errors[3]
    assert found.pictures[1].truth.label == "bright"
    assert found.facts() == "4 pictures, top 3 · none wrong of 1 known · 3 unreadable"
    assert set(found.to_frame()["image"]) == {str(tmp_path / "good.png")}


def test_if_nothing_can_be_read_that_is_an_error(tmp_path):
    with pytest.raises(EvaluationError, match="There is no file"):
        classify(tmp_path / "missing.png", Light(8, 8, 1))


def test_pictures_of_several_sizes_go_by_size():
    model = Light(None, None, 1)
    images = [grey(0.1), grey(0.9, (6, 5)), grey(0.2)]
    found = classify(images, model, classes=NAMES)
    assert [x.shape for x in model.seen] == [(2, 8, 8, 1), (1, 6, 5, 1)]
    assert [p.guesses[0].label for p in found.pictures] == ["dark", "bright", "dark"]


def test_batches():
    model = Light(8, 8, 1)
    found = classify(grey(0.5, (70, 8, 8)), model, batch_size=32)
    assert [len(x) for x in model.seen] == [32, 32, 6]
    assert len(found.pictures) == 70
    assert [p.name for p in found.pictures] == [str(k) for k in range(70)]


def test_one_probability_stands_for_two_classes():
    model = Light(8, 8, 1)
    model.predict_on_batch = lambda _: np.array([[0.2], [0.7]])
    found = classify(grey(0.5, (2, 8, 8)), model, classes=["no", "yes"], y_true=["no", "no"])
    assert found.pictures[0].words() == "0: no 80.0%, yes 20.0% (right)"
    assert found.pictures[1].words() == "1: yes 70.0%, no 30.0% (wrong, it is no)"


def test_logits_become_probabilities():
    model = Light(8, 8, 1)
    model.predict_on_batch = lambda _: np.array([[1.0, 3.0, -2.0]])
    shares = [guess.probability for guess in classify(grey(0.5), model).pictures[0].guesses]
    np.testing.assert_allclose(shares, np.exp([3, 1, -2]) / np.exp([3, 1, -2]).sum())


@pytest.mark.parametrize("y_true", [[1, -1], ["bright", ""], [[0, 1, 0], [0, 1, 0]]])
def test_truths_in_every_form(y_true):
    found = classify(grey(0.9, (2, 8, 8)), Light(8, 8, 1), classes=NAMES, y_true=y_true)
    assert found.pictures[0].right is True
    assert found.pictures[1].right is (True if isinstance(y_true[1], list) else None)


@pytest.mark.parametrize(
    ("images", "keywords", "said"),
    [
        (grey(0.5, (2, 9, 9)), {}, "shape (8, 8, 1); received (9, 9)"),
        (np.zeros((0, 8, 8)), {}, "empty"),
        ([], {}, "empty"),
        (3, {}, "received int"),
        (grey(np.nan), {}, "NaN"),
        (grey(0.5), {"top": 0}, "at least 1"),
        (grey(0.5), {"classes": ["a", "b"]}, "must name 3 classes"),
        (grey(0.5), {"y_true": [1, 2]}, "2 labels for 1 pictures"),
        (grey(0.5), {"y_true": [7]}, "y_true holds 7"),
        (grey(0.5), {"scaling": "255"}, "scaling must be"),
        (grey(0.5), {"interpolation": "cubic"}, "interpolation must be one of nearest"),
        (grey(0.5), {"model": None}, "needs a model"),
        (grey(0.5), {"model": Light(5, 2)}, "received (8, 8)"),
        (grey(0.5), {"model": Light(7)}, "not pictures"),
        (grey(0.5), {"app": len}, "must be a function of keras.applications"),
    ],
)
def test_what_cannot_be_classified_is_said(images, keywords, said):
    with pytest.raises(EvaluationError) as caught:
        classify(images, **{"model": Light(8, 8, 1), **keywords})
    assert said in str(caught.value)


@pytest.fixture
def application(monkeypatch):
    """A module as keras.applications has them: its functions work together by standing in it."""
    module = types.ModuleType("lights")

    def Lights():  # noqa: N802 - applications are named like classes
        return Light(8, 8, 3)

    def preprocess_input(x):
        return x / 255

    def decode_predictions(scores, top=5):
        names = [f"light_{k}" for k in range(scores.shape[1])]
        order = np.argsort(-scores, axis=1)[:, :top]
        return [
            [(f"n{k}", names[k], row[k]) for k in ranks]
            for row, ranks in zip(scores, order, strict=True)
        ]

    Lights.__module__ = "lights"
    module.Lights, module.preprocess_input = Lights, preprocess_input
    module.decode_predictions = decode_predictions
    monkeypatch.setitem(sys.modules, "lights", module)

    class Thousand(Light):
        def predict_on_batch(self, x):
            three = super().predict_on_batch(x)
            return np.pad(three, ((0, 0), (0, 997)))

    Lights.model = Thousand(8, 8, 3)
    return Lights


def test_an_application_brings_its_size_scaling_and_names(application):
    model = application.model
    images = [grey(255, (20, 30), "uint8"), grey(255.0, (8, 8, 3))]
    found = classify(images, model, app=application, top=1, y_true=["light_1", "light_1"])
    assert found.name == "Lights"
    assert [p.words() for p in found.pictures] == [
        "0: light_1 90.0% (right)",
        "1: light_1 90.0% (right)",
    ]
    assert model.seen[0].shape == (2, 8, 8, 3)
    assert (model.seen[0] == 1).all()


def test_an_application_refuses_pictures_that_are_scaled_already(application):
    with pytest.raises(EvaluationError, match="0 to 255"):
        classify(grey(0.5, (2, 8, 8, 3)), application.model, app=application)


def test_missing_weights_are_said(application, monkeypatch):
    def Absent():  # noqa: N802 - applications are named like classes
        raise Exception("URL fetch failure on weights.h5: None")  # noqa: TRY002 - as Keras does

    Absent.__module__ = "lights"
    with pytest.raises(EvaluationError, match="weights of Absent are not on this machine"):
        classify(grey(255.0, (8, 8, 3)), app=Absent)


def test_every_application_of_the_installed_keras_is_found():
    from kmagic.evaluation.applications import (
        application_names,
        find_application,
    )

    names = application_names()
    assert {"MobileNetV2", "ResNet50", "EfficientNetB0", "ConvNeXtTiny"} <= set(names)
    assert all(find_application(name).name == name for name in names)
    assert find_application("mobilenet_v2").name == "MobileNetV2"
    with pytest.raises(EvaluationError, match="Did you mean MobileNetV2"):
        find_application("MobileNetV22")


def test_with_keras_itself():
    import keras

    model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(3)])
    x = np.random.default_rng(1).random((5, 8, 8)).astype("float32")
    found = classify(x, model, top=1)
    best = model.predict(x, verbose=0).argmax(axis=1)
    assert [p.guesses[0].label for p in found.pictures] == [str(k) for k in best]
    assert found.name == model.name
