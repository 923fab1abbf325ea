"""%keras_classify in a bare IPython shell."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import kmagic
from kmagic.data import Dataset
from kmagic.data.preparation.scaling import Scaling

from ..shells import value_of

NET = """%%keras_model net
input 8x8x1
conv2d 2 3x3 relu / global_average_pooling2d / dense 2 softmax
compile adam loss=sparse_categorical_crossentropy
"""


@pytest.fixture
def run(shell):
    def run(cell):
        value, captured = value_of(shell, cell)
        run.cards = captured.outputs
        return value

    run(NET)
    return run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in (("photo.png", 255), ("my photo.png", 0), ("photos/1.png", 9)):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (9, 9), value).save(path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("photo.png", ["photo.png"]),
        ("'my photo.png' photo.png", ["my photo.png", "photo.png"]),
        ("photos", ["photos/1.png"]),
        ("*.png", ["my photo.png", "photo.png"]),
        ("photos/*.png none.png", ["photos/1.png", "none.png"]),
        ("{folder / 'photo.png'}", None),
        ("paths", ["photo.png", "photos/1.png"]),
        ("x photo.png", ["0", "1", "photo.png"]),
        ("data", ["0"]),
    ],
)
def test_images_in_every_form(run, shell, folder, words, names):
    shell.user_ns |= {
        "folder": folder,
        "photo": "a name that photo.png begins with",
        "paths": ["photo.png", "photos/1.png"],
        "x": np.zeros((2, 8, 8, 1), "float32"),
        "data": (folder / "photo.png").read_bytes(),
    }
    for model in ("", "net "):
        result = run(f"%keras_classify {model}{words}")
        assert [p.name for p in result] == (names or [str(folder / "photo.png")])
        assert result.name == "net"


def test_the_frame_and_the_card(run, shell, folder):
    result = run("%keras_classify net photo.png none.png --class-names cat,dog --top 2 -o answers")
    frame = shell.user_ns["answers"]
    assert list(frame.columns) == ["image", "rank", "label", "probability"]
    assert set(frame["label"]) == {"cat", "dog"}
    assert "There is no file none.png." in frame.attrs["errors"]["none.png"]
    (card,) = run.cards
    assert "✗ not read" in card.data["text/html"]
    assert result.to_frame().equals(frame)
    assert run("result = %keras_classify net photo.png -q") is None
    assert run.cards == []
    assert len(shell.user_ns["result"]) == 1


def test_explanations(run, folder):
    result = run("%keras_classify net photo.png --explain")
    assert "Grad-CAM" in result.legend
    result = run("%keras_classify net photo.png --class-names cat,dog --explain-for dog")
    assert result[0].explanation.label == "dog"


def test_classes_and_labels_of_the_training_data(run, shell, folder):
    x = np.zeros((8, 8, 8, 1), "float32")
    y = np.arange(8) % 2
    x[y == 1] = 1
    shell.user_ns["sets"] = [
        Dataset("other", x + 1, y, x[:2] + 1, y[:2], ("no", "yes"), Scaling("none")),
        Dataset("some", x, y, x[:2].copy(), y[:2], ("dark", "bright"), Scaling("255")),
    ]
    shell.user_ns["some"] = shell.user_ns["sets"][1]
    run("%keras_fit net --data some -e 1")
    result = run("%keras_classify net {some.x_test}")
    assert [p.true_class.label for p in result] == ["dark", "bright"]
    result = run("%keras_classify net photo.png")
    assert result.note == ""
    assert {guess.label for guess in result[0].top_classes} == {"dark", "bright"}
    run("import keras; copy = keras.models.clone_model(net)")
    result = run("%keras_classify copy photo.png")
    assert {guess.label for guess in result[0].top_classes} == {"dark", "bright"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%keras_classify net", "expected images"),
        ("%keras_classify net nothing", "no such variable or file"),
        ("%keras_classify nte photo.png", "is not a model of this notebook"),
        ("%keras_classify net photo.png --explain-for cat", "not one of the model's classes"),
        ("%keras_classify --app MobilNet photo.png", "Did you mean MobileNet"),
        ("%keras_classify net photo.png -b 0", "at least 1"),
        ("%keras_classify net photo.png --shape 3", "has no option --shape"),
        ("%keras_classify net none.png", "There is no file none.png"),
        ("%keras_classify net phto.png", "Did you mean photo.png?"),
        ("%keras_classify net phtos", "Did you mean photos?"),
        ("%keras_classify net phtos/a.png", "Did you mean photos?"),
        ("%keras_classify net phtos/*.png", "Did you mean photos?"),
        ("%keras_classify net 'a great film' 'too long.'", "Use %keras_predict for sentences"),
        ("%keras_classify net 'a great film.'", "There is no file a great film.\n"),
        ("%keras_classify net {[1, 2, 3]}", "got 3 numbers"),
    ],
)
def test_an_invalid_line_has_a_remedy(run, folder, line, words):
    with pytest.raises(kmagic.KmagicError) as caught:
        run(line)
    assert words in str(caught.value)


def test_an_application_with_a_custom_model(run, shell, folder):
    run("%%keras_model head\ninput 32x32x3\nglobal_average_pooling2d / dense 3 softmax\n")
    result = run("%keras_classify head photo.png --app MobileNet --class-names a,b,c")
    assert {guess.label for guess in result[0].top_classes} == {"a", "b", "c"}


def test_the_note_on_scaling_names_the_option_of_the_line(run, folder):
    run("%%keras_model small -q\ninput 6x6x1 / flatten / dense 2 softmax\ncompile adam loss=mse")
    result = run("%keras_classify small photo.png")
    assert (
        "values from 0 to 255. If it was trained on scaled values, pass --scaling 255."
        in result.note
    )
    assert all("scaling=" not in text for text in run.cards[0].data.values())


def test_class_names_in_an_array_replace_those_of_a_matching_dataset(run, shell, folder):
    x = np.zeros((4, 8, 8, 1), "float32")
    shell.user_ns |= {
        "data": Dataset("two", x, np.arange(4) % 2, x, np.arange(4) % 2, ("a", "b")),
        "names": np.array(["cat", "dog"]),
    }
    result = run("%keras_classify net photo.png --class-names {names}")
    assert set(result.to_frame()["label"]) <= {"cat", "dog"}
