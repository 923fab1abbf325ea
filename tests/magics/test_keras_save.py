"""``%keras_save`` and ``%keras_load`` in a bare shell: what they bind, show, return and refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from kmagic.models.build import origin_of
from kmagic.persistence.save_load import save
from kmagic.support.errors import KmagicError
from kmagic.support.model_registry import UNTRAINED_WARNING, dataset_for, is_untrained

from ..shells import value_of

NET = """input 28x28x1 / maxpool 4x4 / flatten
dense 10 softmax
compile adam loss=sparse_categorical_crossentropy"""


@pytest.fixture
def here(
    shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> InteractiveShell:
    """The shell in a folder of its own, with a model `cnn`."""
    monkeypatch.setenv("KMAGIC_DISPLAY", "html")
    monkeypatch.chdir(tmp_path)
    shell.run_cell_magic("keras_model", "cnn -q", NET)
    return shell


def run(shell: InteractiveShell, line: str) -> tuple[Any, list[dict[str, str]]]:
    """Run a line as a cell; its value and the cards that it showed."""
    value, captured = value_of(shell, line)
    return value, [each.data for each in captured.outputs]


def rejected(shell: InteractiveShell, name: str, line: str) -> str:
    with pytest.raises(KmagicError) as caught:
        shell.run_line_magic(name, line)
    return str(caught.value)


def test_save_lists_the_content_once(here: InteractiveShell, tmp_path: Path) -> None:
    saved, (shown,) = run(here, "%keras_save cnn models/cnn.keras")
    assert saved.path == Path("models/cnn.keras")
    size = f"{(tmp_path / saved.path).stat().st_size / 1000:.1f} kB"
    assert shown["text/plain"] == f"cnn saved as models/cnn.keras, {size}: weights, text"
    assert f"saved as models/cnn.keras, {size}</span>" in shown["text/html"]
    assert "weights, text" in shown["text/html"]


def test_static_display_is_reproducible(
    here: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KMAGIC_DISPLAY", "static")
    _, (shown,) = run(here, "%keras_save cnn cnn.keras")
    assert shown["text/plain"] == "cnn saved as cnn.keras: weights, text"
    _, (shown,) = run(here, "%keras_load cnn.keras")
    assert shown["text/plain"].splitlines()[-1] == "From cnn.keras: weights, text"


def test_the_last_model_is_the_default(here: InteractiveShell) -> None:
    saved, shown = run(here, "%keras_save cnn --weights -q -o kept")
    assert shown == []
    assert here.user_ns["kept"] is saved
    assert Path("cnn.weights.h5").exists()
    run(here, "%keras_save models/cnn --json")
    run(here, "%keras_save models/cnn --text")
    assert sorted(each.name for each in Path("models").iterdir()) == ["cnn.json", "cnn.kmagic"]


def test_paths_may_be_quoted_or_expressions(here: InteractiveShell, tmp_path: Path) -> None:
    here.user_ns["folder"] = tmp_path / "mine"
    run(here, "%keras_save cnn 'my models/the net.keras' -q")
    run(here, "%keras_save cnn {folder / 'net.keras'} -q")
    model, _ = run(here, "%keras_load 'my models/the net.keras' again")
    assert here.user_ns["again"] is model
    assert Path("mine/net.keras").exists()


def test_an_object_is_not_a_path(here: InteractiveShell, tmp_path: Path) -> None:
    here.user_ns["table"] = np.zeros(2)
    before = {*tmp_path.iterdir()}
    assert "must be the path of a file" in rejected(here, "keras_save", "cnn {table}")
    assert {*tmp_path.iterdir()} == before


def test_files_are_not_replaced_without_force(here: InteractiveShell) -> None:
    run(here, "%keras_save cnn net.keras -q")
    before = Path("net.keras").read_bytes()
    words = rejected(here, "keras_save", "cnn net.keras")
    assert words.startswith("net.keras already exists (")
    assert ", written " in words
    assert "--force" in words
    assert Path("net.keras").read_bytes() == before
    run(here, "%keras_save cnn net.keras --force -q")


def test_load_assigns_and_shows_the_model(here: InteractiveShell) -> None:
    run(here, "%keras_save cnn net.keras -q")
    old = here.user_ns["cnn"]
    model, (shown,) = run(here, "%keras_load net.keras")
    assert here.user_ns["cnn"] is model
    assert model is not old
    lines = shown["text/plain"].splitlines()
    assert lines[0].startswith("cnn: 500 parameters")
    assert lines[1].split() == ["input", "28x28x1", "28", "x", "28", "x", "1"]
    assert lines[-1].startswith("From net.keras, ")
    assert lines[-1].endswith(": weights, text")
    assert "<table" in shown["text/html"]
    other, _ = run(here, "%keras_load net.keras other -q")
    assert here.user_ns["other"] is other
    assert origin_of(other) is not None
    assert run(here, "%keras_summary")[0] is other


@pytest.mark.parametrize("name", ["print", "x", "In", "not a name", "class"])
def test_a_files_name_for_its_model_replaces_no_other_variable(
    here: InteractiveShell, name: str
) -> None:
    here.user_ns["x"] = before = np.ones(3)
    save(here.user_ns["cnn"], "net.keras", name=name)
    model, (shown,) = run(here, "%keras_load net.keras")
    taken = here.user_ns["model"] if name != "not a name" else here.user_ns["not_a_name"]
    assert taken is model
    assert shown["text/plain"].startswith(("model:", "not_a_name:"))
    here.user_ns["model"] = 3
    run(here, "%keras_load net.keras -q")
    assert here.user_ns["x"] is before
    assert "print" not in here.user_ns
    if name != "not a name":
        assert here.user_ns["model"] == 3
        assert here.user_ns["model_2"].count_params() == 500


def test_an_architecture_alone_has_new_weights(here: InteractiveShell) -> None:
    x, y = np.zeros((8, 28, 28, 1), "float32"), np.arange(8)
    here.user_ns.update(x=x, y=y)
    run(here, "%keras_fit cnn x y -e 2 -q")
    run(here, "%keras_save cnn net.keras -q")
    for name in ("net.json", "net.kmagic"):
        run(here, f"%keras_save cnn {name} -q")
        model, (shown,) = run(here, f"%keras_load {name} other")
        for words in shown.values():
            assert "new, untrained weights" in words
            assert "history" not in words
        assert is_untrained(model)
        assert UNTRAINED_WARNING in run(here, "%keras_predict other x")[1][0]["text/plain"]
    _, (shown,) = run(here, "%keras_load net.keras other")
    assert "history of 2 epochs" in shown["text/plain"]
    assert "untrained" not in shown["text/plain"]


def test_a_loaded_model_at_a_cells_end_is_its_card(here: InteractiveShell) -> None:
    import keras

    run(here, "%keras_save cnn net.keras -q")
    here.display_formatter.ipython_display_formatter.pop(keras.Model, None)  # as in a new kernel
    run(here, "%keras_load net.keras other -q")
    _, (shown,) = run(here, "other")
    assert shown["text/plain"].startswith("other: 500 parameters")


def test_weights_go_into_the_model_of_that_name(here: InteractiveShell) -> None:
    run(here, "%keras_save cnn w.weights.h5 -q")
    here.run_cell_magic("keras_model", "other -q", NET)
    model, _ = run(here, "%keras_load w.weights.h5 other")
    assert model is here.user_ns["other"]
    for ours, theirs in zip(model.weights, here.user_ns["cnn"].weights, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    words = rejected(here, "keras_load", "w.weights.h5 othr")
    assert "is not a model of this notebook" in words
    assert "Did you mean other?" in words


def test_weights_create_their_model_if_there_is_none(here: InteractiveShell) -> None:
    run(here, "%keras_save cnn w.weights.h5 -q")
    before = here.user_ns.pop("cnn")
    model, _ = run(here, "%keras_load w.weights.h5")
    assert here.user_ns["cnn"] is model
    np.testing.assert_array_equal(np.asarray(model.weights[0]), np.asarray(before.weights[0]))


def test_a_class_of_the_notebook_is_used_if_it_is_named(here: InteractiveShell) -> None:
    run(
        here,
        "import keras\n"
        "class Twice(keras.layers.Layer):\n"
        "    def call(self, inputs):\n"
        "        return 2 * inputs\n",
    )
    here.run_cell_magic("keras_model", "net -q", "input 4 / Twice")
    for name in ("net.keras", "net.h5", "net.json", "net.kmagic"):
        run(here, f"%keras_save net {name} -q")
        words = rejected(here, "keras_load", f"{name} again")
        assert "--custom-objects Twice" in words, words
        for objects in ("Twice", "{'Twice':Twice}", "own"):
            here.user_ns["own"] = {"Twice": here.user_ns["Twice"]}
            model, _ = run(here, f"%keras_load {name} again -q --custom-objects {objects}")
            assert type(model.layers[-1]) is here.user_ns["Twice"]
    twice = here.user_ns.pop("Twice")
    for name in ("net.keras", "net.h5", "net.json", "net.kmagic"):
        words = rejected(here, "keras_load", f"{name} again")
        assert "Twice" in words, words
    assert here.user_ns["again"] is model
    here.user_ns["Twice"] = twice


def test_code_is_loaded_only_with_unsafe(here: InteractiveShell) -> None:
    run(
        here,
        "import keras\n"
        "net = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2)])",
    )
    _, (shown,) = run(here, "%keras_save net net.keras")
    assert "is a Lambda whose Python code is in the file" in shown["text/plain"]
    assert "is a Lambda" in shown["text/html"]
    assert "--unsafe" in rejected(here, "keras_load", "net.keras")
    model, _ = run(here, "%keras_load net.keras again --unsafe -q")
    assert np.asarray(model(np.ones((1, 4)))).tolist() == [[2, 2, 2, 2]]


INVALID = {
    "keras_save cnn net.pt": "net.pt does not end in a suffix of a model file",
    "keras_save cnn a.keras b.keras": "unexpected argument",
    "keras_save nocnn a.keras": "is not a model of this notebook",
    "keras_save cnn net --json --weights": "cannot be combined with --weights",
    "keras_save cnn": "file name missing\n\nWrite `%keras_save cnn cnn.keras`.",
    "keras_save some": "some does not end in a suffix of a model file",
    "keras_save": "expected [MODEL] PATH",
    "keras_load": "expected PATH",
    "keras_load missing.keras": "No such file: missing.keras.",
    "keras_load net.keras 3x": "is not a valid variable name",
    "keras_load net.keras --unsave": "Did you mean --unsafe?",
}


@pytest.mark.parametrize(("line", "words"), INVALID.items())
def test_invalid_lines(here: InteractiveShell, line: str, words: str) -> None:
    run(here, "%keras_save cnn net.keras -q")
    name, _, rest = line.partition(" ")
    assert words in rejected(here, name, rest)


def test_the_nearest_file_is_suggested_with_its_folder(here: InteractiveShell) -> None:
    run(here, "%keras_save cnn kept/net.keras -q")
    assert "Did you mean kept/net.keras?" in rejected(here, "keras_load", "kept/nett.keras")


def test_a_loaded_model_prepares_texts(here: InteractiveShell, tmp_path: Path) -> None:
    for name, words in (("good", "good fine great"), ("bad", "bad awful poor")):
        folder = tmp_path / "texts" / name
        folder.mkdir(parents=True)
        for number in range(6):
            (folder / f"{number}.txt").write_text(f"{words} film {number}")
    run(here, "%keras_data texts --maxlen 6 --num-words 20 -o films -q")
    here.run_cell_magic(
        "keras_model",
        "critic -q",
        "input 6 / embedding 20 4 / globalaveragepooling1d / dense 2 softmax\n"
        "compile adam loss=sparse_categorical_crossentropy",
    )
    run(here, "%keras_fit critic --data films --epochs 1 -q")
    sentences = ["a great film", "awful"]
    before = predictions(here.user_ns["critic"], sentences)
    run(here, "%keras_save critic critic.keras -q")
    model, (shown,) = run(here, "%keras_load critic.keras again")
    assert "2 class names" in shown["text/plain"]
    assert " words" in shown["text/plain"]
    assert dataset_for(model) is not dataset_for(here.user_ns["critic"])
    np.testing.assert_allclose(predictions(model, sentences), before, rtol=1e-5)


def test_a_loaded_model_prepares_frames(here: InteractiveShell) -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {
            "rooms": np.arange(20.0),
            "town": ["north", "south"] * 10,
            "price": np.arange(20.0) * 3,
        }
    )
    frame.to_csv("houses.csv", index=False)
    run(here, "%keras_data houses.csv --target price --scale standard -o houses -q")
    width = here.user_ns["houses"].x_train.shape[1]
    here.run_cell_magic("keras_model", "net -q", f"input {width} / dense 1\ncompile adam loss=mse")
    run(here, "%keras_fit net --data houses --epochs 1 -q")
    before = predictions(here.user_ns["net"], frame)
    run(here, "%keras_save net net.h5 -q")
    model, (shown,) = run(here, "%keras_load net.h5 again")
    assert "columns" in shown["text/plain"]
    np.testing.assert_allclose(predictions(model, frame), before, rtol=1e-5)


def predictions(model: Any, raw: Any) -> Any:
    return np.asarray(model(dataset_for(model).prepare(raw)))


def test_help(here: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("keras_save", "keras_load"):
        assert here.run_line_magic(name, "-h") is None
        assert "examples:" in capsys.readouterr().out
