from __future__ import annotations

import errno
import os
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from kmagic.evaluation.classification import applications
from kmagic.evaluation.classification.applications import (
    application_names,
    find_application,
    load_pretrained,
    recognize_application,
)
from kmagic.evaluation.classification.classify import classify
from kmagic.support.errors import EvaluationError, KmagicError

from ...servers import serving

# Pixels a side that each was trained on, as its paper and Keras's page of it say.
SIDES = {
    "ConvNeXtBase": 224, "ConvNeXtLarge": 224, "ConvNeXtSmall": 224, "ConvNeXtTiny": 224,
    "ConvNeXtXLarge": 224, "DenseNet121": 224, "DenseNet169": 224, "DenseNet201": 224,
    "EfficientNetB0": 224, "EfficientNetB1": 240, "EfficientNetB2": 260, "EfficientNetB3": 300,
    "EfficientNetB4": 380, "EfficientNetB5": 456, "EfficientNetB6": 528, "EfficientNetB7": 600,
    "EfficientNetV2B0": 224, "EfficientNetV2B1": 240, "EfficientNetV2B2": 260,
    "EfficientNetV2B3": 300, "EfficientNetV2L": 480, "EfficientNetV2M": 480,
    "EfficientNetV2S": 384, "InceptionResNetV2": 299, "InceptionV3": 299, "MobileNet": 224,
    "MobileNetV2": 224, "MobileNetV3Large": 224, "MobileNetV3Small": 224, "NASNetLarge": 331,
    "NASNetMobile": 224, "ResNet101": 224, "ResNet101V2": 224, "ResNet152": 224,
    "ResNet152V2": 224, "ResNet50": 224, "ResNet50V2": 224, "VGG16": 224, "VGG19": 224,
    "Xception": 299,
}  # fmt: skip
# The smallest of each module; the others take minutes together.
QUICK = {
    "ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionV3",
    "MobileNet", "MobileNetV2", "MobileNetV3Small", "NASNetMobile", "ResNet50", "ResNet50V2",
    "VGG16", "Xception",
}  # fmt: skip
ALL = [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in SIDES]


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


def named(scores, top=5):
    """In the place of Keras's function, whose list of names may not be on this machine."""
    order = np.argsort(-scores, axis=1)[:, :top]
    return [[(f"n{k}", f"class_{k}", scores[i, k]) for k in row] for i, row in enumerate(order)]


def test_the_table_holds_every_application_of_the_installed_keras():
    assert application_names() == sorted(SIDES)


@pytest.mark.parametrize("name", ALL)
def test_every_application_preprocesses_as_keras_does_and_is_explained(name, photo, monkeypatch):
    import keras

    application = find_application(name)
    module = sys.modules[application.make.__module__]
    monkeypatch.setattr(module, "decode_predictions", named)
    model = application.make(weights=None)
    seen, answers = [], []

    def predict_on_batch(x):  # without a graph, which takes longer to make than to run once
        seen.append(x)
        answers.append(model(x, training=False).numpy())
        return answers[-1]

    monkeypatch.setattr(model, "predict_on_batch", predict_on_batch)
    result = classify(photo, model, app=name, top=5, explain=True)

    loaded = keras.utils.load_img(photo, target_size=(SIDES[name], SIDES[name]))
    expected = module.preprocess_input(keras.utils.img_to_array(loaded)[None])
    np.testing.assert_allclose(seen[0], expected, atol=1e-5)
    guesses = result[0].top_classes
    best = np.sort(answers[0][0])[::-1][:5]
    np.testing.assert_allclose([guess.probability for guess in guesses], best, rtol=1e-3)
    assert guesses[0].label == f"class_{guesses[0].index}"
    assert result.name == name
    assert "Grad-CAM" in result.legend
    assert min(result[0].explanation.heatmap.shape) >= 4
    assert recognize_application(model).name == name


def test_names_are_found_in_any_spelling():
    assert find_application("mobilenet_v2").name == "MobileNetV2"
    assert find_application("resnet-50").name == "ResNet50"
    with pytest.raises(EvaluationError, match="Did you mean MobileNetV2"):
        find_application("MobileNetV22")


def test_a_similar_model_is_not_recognized():
    assert recognize_application(SimpleNamespace(name="resnet50", output_shape=(None, 10))) is None
    assert recognize_application(SimpleNamespace(name="my_net", output_shape=(None, 1000))) is None
    assert recognize_application(SimpleNamespace(name="resnet50")) is None
    v2 = SimpleNamespace(name="resnet50v2_1", output_shape=(None, 1000))
    assert recognize_application(v2).name == "ResNet50V2"


def test_a_recognized_model_is_preprocessed_and_named_correctly(photo, monkeypatch):
    import keras

    monkeypatch.setattr(sys.modules[keras.applications.MobileNet.__module__],
                        "decode_predictions", named)  # fmt: skip
    model = keras.applications.MobileNet(weights=None, alpha=0.25)
    result = classify(photo, model)
    assert result.note == "Preprocessed for MobileNet of keras.applications."
    assert result[0].top_classes[0].label.startswith("class_")
    same = classify(photo, model, app="MobileNet")
    assert same.note == ""
    assert same[0].top_classes == result[0].top_classes
    other = classify(photo, model, scaling=255)
    assert other[0].top_classes[0].label.isdigit()


@pytest.mark.parametrize("cached", ["", "somebody else's"])
def test_missing_weights_name_the_file_and_its_path(cached, keras_models, capsys):
    file = keras_models / "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
    if cached:
        file.write_text(cached)
    with pytest.raises(EvaluationError) as caught:
        classify(np.zeros((9, 9, 3), "uint8"), app="VGG16")
    message = str(caught.value)
    why = (
        "not the file that Keras expects (15 bytes"
        if cached
        else "Keras's cache does not contain vgg16_"
    )
    assert "Cannot load the weights of VGG16: " in message
    assert why in message
    assert "and KMAGIC_OFFLINE is set." in message
    assert str(file) in message
    assert "from https://storage.googleapis.com/" in message
    assert "/vgg16_weights_tf_dim_ordering_tf_kernels.h5" in message
    assert capsys.readouterr().out == ""
    assert not cached or file.read_text() == cached, "the user's file is left alone"
    assert [each.name for each in keras_models.iterdir()] == ([file.name] if cached else [])


def test_missing_class_names_are_an_error(keras_models, monkeypatch):
    from keras.src.applications import imagenet_utils

    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX", None)
    applications._load_class_names.cache_clear()
    with pytest.raises(
        EvaluationError, match=r"names of ImageNet's classes(.|\n)*class_index.json"
    ):
        find_application("MobileNet").classes()


@pytest.mark.parametrize("full", [False, True])
def test_a_failed_download_or_a_full_disk_keeps_the_users_file(full, keras_models, monkeypatch):
    import keras

    def no_room(_from, _to):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("KMAGIC_OFFLINE", "0")
    if full:
        monkeypatch.setattr(shutil, "copy2", no_room)
    mine = keras_models / "weights.h5"
    mine.write_text("rebuilt by hand")
    message = (
        "No space left" if full else "is not the file that Keras expects.* the download failed"
    )
    with (
        serving(b"the first half", missing=1000) as address,
        pytest.raises(KmagicError, match=message),
        load_pretrained("the weights"),
    ):
        keras.utils.get_file(
            "weights.h5", f"{address}/weights.h5", cache_subdir="models",
            cache_dir=keras_models.parent, file_hash="0" * 64,
        )  # fmt: skip
    assert mine.read_text() == "rebuilt by hand"
    assert list(keras_models.iterdir()) == [mine]
