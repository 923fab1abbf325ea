from __future__ import annotations

import re
import sys
import threading
import types
import weakref
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.sparse import csr_array

import kmagic
from kmagic.data.preparation.preparation import Preparation
from kmagic.evaluation.classification.classification import ImagePrediction
from kmagic.evaluation.classification.classify import classify
from kmagic.evaluation.classification.image_inputs import ImagePreprocessor
from kmagic.support.errors import EvaluationError
from kmagic.support.model_registry import set_dataset
from kmagic.support.progress import Progress

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
    found = classify(x, model, class_names=np.array(NAMES), y_true=[0, 0])
    np.testing.assert_array_equal(model.seen[0], x[..., None])
    assert [p.top_classes[0].label for p in found.images] == ["dark", "bright"]
    assert [p.right for p in found.images] == [True, False]
    truth = found.images[1].true_class
    assert (truth.label, truth.rank, truth.probability) == ("dark", 3, 0.0)
    assert found.facts() == "2 images, top 3 · 1 wrong"


def test_logits_are_logits_whatever_else_is_in_their_batch():
    model = kmagic.build("input 4x4x1 / flatten / dense 1 kernel_initializer=ones")
    model.compile("sgd", tf.keras.losses.BinaryCrossentropy(from_logits=True))
    images = np.stack([grey(0.3 / 16, (4, 4, 1)), grey(-1.0, (4, 4, 1))])
    for found in (classify(images, model), classify(images[:1], model)):
        assert found[0].top_classes[0].label == "1"
        assert found[0].top_classes[0].probability == pytest.approx(1 / (1 + np.exp(-0.3)))


def test_the_frame_has_a_row_per_image_and_class():
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
def test_one_image_is_distinguished_from_several(images, shape, count):
    model = Light(*shape)
    assert len(classify(images, model).images) == count
    assert all(x.shape[1:] == model.seen[0].shape[1:] for x in model.seen)
    assert len(model.seen[0].shape) == len(shape) + 1


def test_files_are_rotated_resized_and_scaled(tmp_path):
    upright = np.zeros((20, 10, 3), np.uint8)
    upright[:10] = 255
    lying = Image.fromarray(np.rot90(upright))
    exif = Image.Exif()
    exif[0x0112] = 6
    lying.save(tmp_path / "lying.png", exif=exif)
    model = Light(4, 2, 1)
    found = classify([tmp_path / "lying.png"], model, scaling=255)
    np.testing.assert_array_equal(model.seen[0][0, :, :, 0], [[1, 1], [1, 1], [0, 0], [0, 0]])
    assert found.images[0].name == str(tmp_path / "lying.png")
    assert found.images[0].thumbnail.shape == (20, 10)
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
def test_every_image_mode_is_converted_for_the_model(tmp_path, mode):
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


def test_transparent_pixels_become_white():
    model = Light(8, 8, 1)
    classify(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), model)
    assert (model.seen[0] == 255).all()


def test_a_damaged_file_is_reported_and_the_others_are_classified(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    Image.fromarray(grey(9, dtype="uint8")).save(tmp_path / "good.png")
    (tmp_path / "empty").mkdir()
    names = ("broken.png", "good.png", "missing.png", "empty")
    paths = [tmp_path / name for name in names]
    found = classify(paths, Light(8, 8, 1), y_true=[0, 1, 1, 0], class_names=NAMES)
    errors = [picture.error for picture in found.images]
    assert "not an image" in errors[0]
    assert errors[1] == ""
    assert "no file" in errors[2]
    assert "contains no images" in errors[3]
    assert found.images[1].true_class.label == "bright"
    assert found.facts() == "4 images, top 3 · none wrong of 1 known · 3 unreadable"
    frame = found.to_frame()
    assert set(frame["image"]) == {str(tmp_path / "good.png")}
    assert frame["true"].tolist() == ["bright"] * 3
    assert list(frame.attrs["errors"]) == [str(paths[k]) for k in (0, 2, 3)]


def test_no_readable_image_is_an_error(tmp_path):
    with pytest.raises(EvaluationError, match="There is no file"):
        classify(tmp_path / "missing.png", Light(8, 8, 1))
    with pytest.raises(
        EvaluationError, match=r"None of the 7 .*\n(There is no file.*\n){5}.* 2 more"
    ):
        classify([tmp_path / f"{k}.png" for k in range(7)], Light(8, 8, 1))
    with pytest.raises(EvaluationError, match=r"None of the 3 .*\n.*") as caught:
        classify([np.zeros((9, 9))] * 3, Light(8, 8, 1))
    assert caught.value.message.count("\n") == 1


def test_similar_names_are_suggested_for_missing_files(tmp_path):
    for name in ("cat1.png", "dog.png", ".cats.png"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(EvaluationError) as caught:
        classify([tmp_path / "cat.png", tmp_path / "dogs.png"], Light(8, 8, 1))
    assert caught.value.remedy == f"Did you mean {tmp_path}/cat1.png or {tmp_path}/dog.png?"
    with pytest.raises(EvaluationError) as caught:
        classify(tmp_path / "elephant.png", Light(8, 8, 1))
    assert caught.value.remedy == ""


def test_a_model_of_texts_rejects_images():
    model = kmagic.build("input string\ntext_vectorization output_sequence_length=4\ndense 2")
    with pytest.raises(EvaluationError, match="expects text") as caught:
        classify("a great film", model)
    assert "predict" in caught.value.remedy


def test_images_of_several_sizes_are_grouped_by_size():
    model = Light(None, None, 1)
    images = [grey(0.1), grey(0.9, (6, 5)), grey(0.2)]
    found = classify(images, model, class_names=NAMES)
    assert [x.shape for x in model.seen] == [(2, 8, 8, 1), (1, 6, 5, 1)]
    assert [p.top_classes[0].label for p in found.images] == ["dark", "bright", "dark"]


def test_batches():
    model = Light(8, 8, 1)
    found = classify(grey(0.5, (70, 8, 8)), model, batch_size=32)
    assert [len(x) for x in model.seen] == [32, 32, 32], (
        "the last is filled up: one shape, one graph"
    )
    assert len(found.images) == 70
    assert [p.name for p in found.images] == [str(k) for k in range(70)]


def test_one_probability_stands_for_two_classes():
    model = Light(8, 8, 1)
    model.predict_on_batch = lambda _: np.array([[0.2], [0.7]])
    found = classify(grey(0.5, (2, 8, 8)), model, class_names=["no", "yes"], y_true=["no", "no"])
    assert found.images[0].to_text() == "0: no 80.0%, yes 20.0% (right)"
    assert found.images[1].to_text() == "1: yes 70.0%, no 30.0% (wrong, actually no)"


def test_logits_become_probabilities():
    model = Light(8, 8, 1)
    model.predict_on_batch = lambda _: np.array([[1.0, 3.0, -2.0]])
    shares = [guess.probability for guess in classify(grey(0.5), model).images[0].top_classes]
    np.testing.assert_allclose(shares, np.exp([3, 1, -2]) / np.exp([3, 1, -2]).sum())


@pytest.mark.parametrize("y_true", [[1, -1], ["bright", ""], [[0, 1, 0], [0, 1, 0]]])
def test_true_classes_in_every_form(y_true):
    found = classify(grey(0.9, (2, 8, 8)), Light(8, 8, 1), class_names=NAMES, y_true=y_true)
    assert found.images[0].right is True
    assert found.images[1].right is (True if isinstance(y_true[1], list) else None)


@pytest.mark.parametrize(
    ("images", "keywords", "message"),
    [
        (grey(0.5, (2, 9, 9)), {}, "shape (8, 8, 1); got (9, 9)"),
        (np.zeros((0, 8, 8)), {}, "empty"),
        ([], {}, "empty"),
        (3, {}, "got int"),
        (grey(np.nan), {}, "NaN"),
        (grey(0.5), {"top": 0}, "at least 1"),
        (grey(0.5), {"class_names": ["a", "b"]}, "must name 3 classes"),
        (grey(0.5), {"y_true": [1, 2]}, "2 labels for 1 images"),
        (grey(0.5), {"y_true": [7]}, "y_true= contains 7"),
        (grey(0.5), {"y_true": [[1], [2, 3]]}, "y_true= must have rows of equal length"),
        (grey(0.5), {"y_true": tf.ragged.constant([[1], [2, 3]])}, "y_true= must be"),
        (tf.sparse.from_dense([[1.0, 0.0]]), {}, "shape (8, 8, 1); got (1, 2)"),
        (csr_array([[1.0, 0.0]]), {}, "shape (8, 8, 1); got (1, 2)"),
        (grey(0.5), {"scaling": "255"}, "scaling= must be"),
        (grey(0.5), {"interpolation": "cubic"}, "interpolation= must be one of nearest"),
        (grey(0.5), {"model": None}, "Expected a model"),
        (grey(0.5), {"model": Light(5, 2)}, "got (8, 8)"),
        (grey(0.5), {"model": Light(7)}, "not images"),
        (grey(0.5), {"app": len}, "must be a function of keras.applications"),
    ],
)
def test_invalid_arguments_are_rejected(images, keywords, message):
    with pytest.raises(EvaluationError) as caught:
        classify(images, **{"model": Light(8, 8, 1), **keywords})
    assert message in str(caught.value)


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


def test_an_application_provides_its_size_scaling_and_names(application):
    model = application.model
    images = [grey(255, (20, 30), "uint8"), grey(255.0, (8, 8, 3))]
    found = classify(images, model, app=application, top=1, y_true=["light_1", "light_1"])
    assert found.name == "Lights"
    assert [p.to_text() for p in found.images] == [
        "0: light_1 90.0% (right)",
        "1: light_1 90.0% (right)",
    ]
    assert model.seen[0].shape == (2, 8, 8, 3)
    assert (model.seen[0] == 1).all()


def test_an_application_rejects_images_that_are_already_scaled(application):
    with pytest.raises(EvaluationError, match="0 to 255"):
        classify(grey(0.5, (2, 8, 8, 3)), application.model, app=application)


def test_an_application_takes_whole_numbers_of_any_type(application):
    model = application.model
    pictures = [grey(255, (8, 8, 3), dtype) for dtype in ("uint8", "int64", "float64")]
    pictures += [grey(65535, (8, 8), "uint16"), grey(True, (8, 8), "bool")]
    classify(pictures, model, app=application)
    assert (model.seen[0] == 1).all()
    for wrong in (grey(-1, (8, 8, 3), "int64"), grey(70_000, (8, 8, 3), "int64")):
        with pytest.raises(EvaluationError, match="0 to 255"):
            classify(wrong, model, app=application)


def test_the_users_scaling_takes_precedence_over_the_applications(application):
    classify(grey(255, (8, 8, 3), "uint8"), application.model, app=application, scaling=510)
    assert (application.model.seen[0] == 0.5).all()


def test_a_model_of_any_size_gets_its_training_size(application):
    model = application.model
    model.input_shape = (None, None, None, 3)
    classify([grey(9, (30, 20), "uint8"), grey(9, (5, 5), "uint8")], model, app=application)
    assert [x.shape for x in model.seen] == [(2, 224, 224, 3)]


def test_an_application_with_a_custom_head_has_no_imagenet_names(application):
    model = Light(8, 8, 3)
    found = classify(grey(255, (8, 8, 3), "uint8"), model, app=application)
    assert found.images[0].top_classes[0].label == "1"
    found = classify(grey(255, (8, 8, 3), "uint8"), model, app=application, class_names=NAMES)
    assert found.images[0].top_classes[0].label == "bright"


def test_missing_weights_are_an_error(application, monkeypatch):
    def Absent():  # noqa: N802 - applications are named like classes
        raise Exception("URL fetch failure on weights.h5: None")  # noqa: TRY002 - as Keras does

    Absent.__module__ = "lights"
    with pytest.raises(EvaluationError, match="Cannot load the weights of Absent: the downl"):
        classify(grey(255.0, (8, 8, 3)), app=Absent)


def test_with_keras_itself():
    import keras

    model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(3)])
    x = np.random.default_rng(1).random((5, 8, 8)).astype("float32")
    found = classify(x, model, top=1)
    best = model.predict(x, verbose=0).argmax(axis=1)
    assert [p.top_classes[0].label for p in found.images] == [str(k) for k in best]
    assert found.name == model.name


# --- what a model learned from -------------------------------------------------------------------


class Data:
    """A dataset as far as a classification knows one."""

    def __init__(self, x, y):
        self.classes, self.image_shape = ("no", "yes", "none"), None
        self.preparation = Preparation(sample_shape=x.shape[1:])
        self._y, self.scaling = y, self

    def apply(self, x):
        return x / 510

    def inverse(self, x):
        return x * 510

    def labels_of(self, x):
        return self._y if len(x) == len(self._y) else None


def test_the_training_data_gives_classes_scaling_and_truth():
    model, x = Light(8, 8, 1), np.stack([grey(0.1), grey(0.4)])
    set_dataset(model, Data(x, np.array([0, 1])))
    found = classify(x, model)
    assert [p.true_class.label for p in found.images] == ["no", "yes"]
    assert found.images[0].top_classes[0].label == "no"
    assert found.images[1].thumbnail.dtype == np.uint8, "it is shown as it was before scaling"
    assert (found.images[1].thumbnail == 204).all()
    classify(grey(255, dtype="uint8"), model)
    assert (model.seen[-1] == 0.5).all()
    found = classify(grey(255, dtype="uint8"), model, scaling=1, class_names=NAMES)
    assert (model.seen[-1] == 255).all()
    assert found.images[0].top_classes[0].label == "bright"


def test_a_model_of_unknown_shape_has_that_of_its_data():
    model = Light(8, 8, 1)
    del model.input_shape
    data = Data(np.zeros((1, 8, 8, 1)), np.array([0]))
    for known in (data, data.preparation):
        set_dataset(model, known)
        classify(grey(9, (30, 20), "uint8"), model)
        assert model.seen[-1].shape == (1, 8, 8, 1)


def test_rows_of_pixels_that_are_not_square():
    model = Light(18)
    data = Data(np.zeros((1, 18)), np.array([0]))
    data.image_shape = (3, 6)
    set_dataset(model, data)
    picture = np.zeros((6, 12), np.uint8)
    picture[:, 6:] = 255
    found = classify(picture, model)
    assert model.seen[0].reshape(3, 6)[0].tolist() == [0, 0, 0, 0.5, 0.5, 0.5]
    assert found.images[0].thumbnail.shape == (6, 12)
    assert classify(np.zeros((2, 18), "float32"), model).images[1].thumbnail.shape == (3, 6, 1)


@pytest.mark.parametrize("data", [None, Preparation(sample_shape=(16,))])
@pytest.mark.parametrize(
    "text",
    [
        "input 13 / dense 1",
        "input 9 / dense 2",
        "input 16 int32 / embedding 9 2 / flatten / dense 2",
        "input 16 / embedding 9 2 / flatten / dense 2",
    ],
)
def test_a_model_of_rows_rejects_an_image(text, data):
    model = kmagic.build(text)
    if data is not None:
        set_dataset(model, data)
    with pytest.raises(EvaluationError) as caught:
        classify(Image.new("L", (9, 9)), model)
    assert "not images" in caught.value.message
    assert "Use predict" in caught.value.remedy


def test_rows_that_are_not_known_to_be_images_are_accepted_only_as_arrays():
    model = Light(16)
    set_dataset(model, Preparation(sample_shape=(16,)))
    with pytest.raises(EvaluationError, match="expects rows of 16 numbers, not images"):
        classify([np.zeros(16), Image.new("L", (4, 4))], model)
    assert len(classify(np.zeros((2, 16), "float32"), model)) == 2
    set_dataset(model, Preparation(image_shape=(4, 4), sample_shape=(16,)))
    assert len(classify(Image.new("L", (4, 4)), model)) == 1
    assert len(classify(Image.new("L", (4, 4)), Light(16))) == 1, "a square that nobody knows"


def test_unscaled_values_are_noticed():
    model = Light(8, 8, 1)
    assert "Divide them by 255." in classify(grey(200.0), model, scaling=255).note
    assert classify(grey(1.0), model, scaling=255).note == ""


def test_a_model_with_a_scaling_layer_needs_no_note():
    import keras

    layers = keras.layers
    head = [layers.GlobalAveragePooling2D(), layers.Dense(3)]
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), *head])
    assert classify(Image.new("RGB", (9, 9)), model).note == ""
    model = keras.Sequential([keras.Input((8, 8, 3)), *head])
    assert "0 to 255" in classify(Image.new("RGB", (9, 9)), model).note


def test_folders_named_like_classes_are_the_true_classes(tmp_path):
    for name, value in (("dark/1", 0), ("dark/2", 255), ("BRIGHT/1", 255)):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(grey(value, dtype="uint8")).save(path)
    found = classify(tmp_path, Light(8, 8, 1), class_names=NAMES, scaling=255)
    assert [(p.true_class.label, p.right) for p in found] == [
        ("bright", True), ("dark", True), ("dark", False),
    ]  # fmt: skip
    assert "names of the folders" in found.note
    found = classify(str(tmp_path / "*" / "1.png"), Light(8, 8, 1), class_names=NAMES, scaling=255)
    assert all(p.right for p in found)
    (tmp_path / "other").mkdir()
    Image.fromarray(grey(0, dtype="uint8")).save(tmp_path / "other" / "1.png")
    assert all(p.true_class is None for p in classify(tmp_path, Light(8, 8, 1), class_names=NAMES))


# --- many pictures -------------------------------------------------------------------------------


def test_memory_stays_flat(tmp_path):
    Image.fromarray(grey(9, (30, 40), "uint8")).save(tmp_path / "a.png")
    opened, kept = [], []

    class Slow(Light):
        def predict_on_batch(self, x):
            kept.append(sum(1 for one in opened if one() is not None))
            return super().predict_on_batch(x)

    eye_open = ImagePreprocessor.load

    def noted(self, source, **keywords):
        found = eye_open(self, source, **keywords)
        opened.append(weakref.ref(found.pixels))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImagePreprocessor, "load", noted)
        found = classify([tmp_path / "a.png"] * 400, Slow(8, 8, 1), batch_size=10)
    assert len(found) == 400
    assert max(kept) <= 10 + 2 * 10 + 10, "one batch, and what is read ahead"
    assert sum(p.thumbnail is not None for p in found) == 24


def test_order_does_not_depend_on_reading_times():
    pictures = [grey(k % 256, (8 + k % 7, 8), "uint8") for k in range(200)]
    found = classify(pictures, Light(8, 8, 1), scaling=255, batch_size=16)
    shares = [next(g.probability for g in p.top_classes if g.label == "1") for p in found]
    np.testing.assert_allclose(shares, [0.9 * (k % 256) / 255 for k in range(200)], atol=1e-6)


def test_progress_advances_batch_by_batch():
    told = []

    class Told(Progress):
        def advance(self, steps=1):
            super().advance(steps)
            told.append(self.to_text().split(" ·")[0])

    def progress(total):
        return Told(total, "images", open_view=lambda: None)

    classify(grey(0.5, (70, 8, 8)), Light(8, 8, 1), progress=progress)
    assert told == ["32 of 70 images", "64 of 70 images", "70 of 70 images"]


class Interrupted(Light):
    """A model that is interrupted in its third batch."""

    def predict_on_batch(self, x):
        if len(self.seen) == self.at:
            raise KeyboardInterrupt
        return super().predict_on_batch(x)


def test_an_interrupt_keeps_finished_predictions():
    model = Interrupted(8, 8, 1)
    model.at = 2
    found = classify(grey(0.5, (100, 8, 8)), model)
    assert (len(found), found.requested) == (64, 100)
    assert found.facts() == "interrupted after 64 of 100 images, top 3"
    model = Interrupted(8, 8, 1)
    model.at = 0
    with pytest.raises(KeyboardInterrupt):
        classify(grey(0.5, (100, 8, 8)), model)


def test_all_threads_end(tmp_path):
    Image.fromarray(grey(9, (30, 40), "uint8")).save(tmp_path / "a.png")
    model = Interrupted(8, 8, 1)
    model.at = 1
    classify([tmp_path / "a.png"] * 300, model)
    for thread in threading.enumerate():
        if thread.name.startswith("kmagic-read"):
            thread.join(10)
            assert not thread.is_alive()


# --- the result ----------------------------------------------------------------------------------


@pytest.fixture
def forty():
    x = np.stack([grey((k % 11) / 10) for k in range(40)])
    return classify(x, Light(8, 8, 1), class_names=NAMES, y_true=[0] * 40)


def test_it_is_a_sequence(forty):
    assert len(forty) == len(list(forty)) == 40
    assert forty[3].name == "3"
    some = forty[30:33]
    assert [p.name for p in some] == ["30", "31", "32"]
    assert all(p.thumbnail is not None for p in some), "what was not kept is looked at again"
    assert forty[30].thumbnail is None
    assert some.facts() == "3 images, top 3 · 3 wrong"


def test_mistakes_and_least_confident_images(forty):
    assert {p.top_classes[0].label for p in forty.mistakes()} == {"bright"}
    shares = [p.top_classes[0].probability for p in forty.mistakes()]
    assert shares == sorted(shares, reverse=True)
    assert forty.unsure()[0].top_classes[0].probability == pytest.approx(0.45)
    assert forty.counts() == {"dark": 24, "bright": 16}
    assert forty.summary() == "Predicted classes: dark (24), bright (16)."
    with pytest.raises(EvaluationError, match="all images are classified correctly"):
        forty[:1].mistakes()
    with pytest.raises(EvaluationError, match="true classes are not known"):
        classify(grey(0.5), Light(8, 8, 1)).mistakes()


def test_a_deleted_file_has_no_thumbnail(tmp_path):
    Image.fromarray(grey(9, (30, 40), "uint8")).save(tmp_path / "a.png")
    found = classify([tmp_path / "a.png"] * 30, Light(8, 8, 1))
    (tmp_path / "a.png").unlink()
    assert found[25:][0].thumbnail is None
    assert found[25:][0].top_classes


def test_the_text_is_one_line_for_any_name():
    picture = ImagePrediction("a\nb\u202e" + "c" * 10_000, error="no\nfile")
    assert len(picture.to_text().splitlines()) == 1
    assert len(picture.to_text()) < 700
    assert "\u202e" not in picture.to_text()


STREAM_IMAGES = np.linspace(0, 1, 7, dtype=np.float32)[:, None, None, None] * np.ones((2, 2, 1))
STREAM_LABELS = (STREAM_IMAGES.mean(axis=(1, 2, 3)) > 0.5).astype(int)


def labelled_streams():
    import keras
    import tensorflow as tf

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            part = slice(3 * index, 3 * index + 3)
            return STREAM_IMAGES[part], STREAM_LABELS[part]

    pairs = tf.data.Dataset.from_tensor_slices((STREAM_IMAGES, STREAM_LABELS))
    rows = tf.data.Dataset.from_tensor_slices((STREAM_IMAGES, np.eye(3)[STREAM_LABELS]))
    return {
        "shuffled": pairs.shuffle(7).batch(3),
        "single samples": pairs,
        "one-hot rows": rows.batch(3),
        "columns": pairs.map(lambda x, y: (x, y[None])).batch(2),
        "PyDataset": Batches(),
        "generator": iter([Batches()[k] for k in range(3)]),
    }


def test_images_and_labels_of_a_stream_are_read_in_one_pass():
    for name, stream in labelled_streams().items():
        found = classify(stream, Light(2, 2, 1), class_names=NAMES)
        assert [image.right for image in found.images] == [True] * 7, name


def test_labels_beside_a_stream_with_labels_and_endless_streams_are_refused():
    stream = labelled_streams()["shuffled"]
    with pytest.raises(EvaluationError, match=r"y_true= must be left out: images is a tf\.data"):
        classify(stream, Light(2, 2, 1), y_true=STREAM_LABELS)
    with pytest.raises(EvaluationError, match="never ends") as refused:
        classify(stream.repeat(), Light(2, 2, 1))
    assert "images.take(10)" in str(refused.value)


def test_an_iterator_over_files_is_no_stream_of_batches(tmp_path):
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "a.png")
    assert len(classify(tmp_path.glob("*.png"), Light(2, 2, 1)).images) == 1


def test_a_pattern_matches_folders_and_hidden_files_only_if_it_names_them(tmp_path):
    image = Image.fromarray(np.zeros((8, 8), np.uint8))
    paths = "cat/1.png", "cat/.2.png", "dog/3.png", "dog/.ipynb_checkpoints/3.png", "__MACOSX/4.png"
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        image.save(tmp_path / path)
    expected = {
        "*": ["1.png", "3.png"],
        "**": ["1.png", "3.png"],
        "*/*.png": ["1.png", "3.png"],
        "cat/.*.png": [".2.png"],
        "dog/.*/*.png": ["3.png"],
    }
    for pattern, names in expected.items():
        found = classify(f"{tmp_path}/{pattern}", Light(8, 8, 1), class_names=NAMES)
        assert [Path(each.name).name for each in found] == names, pattern


def test_similar_long_names_stay_different():
    names = [
        f"a_rather_long_common_name_of_class_{k}_and_the_same_end_for_all_of_them" for k in "abc"
    ]
    found = classify(grey(0.5, (1, 8, 8)), Light(8, 8, 1), class_names=names, y_true=[0])
    first, second = found[0].to_text().removeprefix("0: ").split(", ")[:2]
    assert first.split()[0] != second.split()[0]
    shown = re.findall(r'<th scope="row"[^>]*><bdi[^>]*>(.*?)</bdi>', found._bundle()["text/html"])
    assert len(set(shown)) == 3


@pytest.mark.parametrize("explain", [False, True])
def test_a_model_that_takes_batches_of_one_size_only(explain):
    import keras

    inputs = keras.Input((8, 8, 1), batch_size=4)
    maps = keras.layers.Conv2D(2, 3)(inputs)
    rows = keras.layers.Lambda(lambda x: keras.ops.reshape(x, (4, 72)), output_shape=(72,))(maps)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(rows))
    images = np.random.default_rng(0).integers(2, 256, (6, 8, 8, 1)).astype("uint8")
    found = classify(images, model, explain=explain)
    padded = np.concatenate([images, images[:2]]).astype("float32")
    expected = [model.predict_on_batch(padded[k : k + 4]) for k in (0, 4)]
    shares = [
        [c.probability for c in sorted(one.top_classes, key=lambda c: c.index)] for one in found
    ]
    np.testing.assert_allclose(shares, np.concatenate(expected)[:6], rtol=1e-4)
