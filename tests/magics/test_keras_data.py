"""``%keras_data`` in a bare IPython shell: how its words are resolved, and what it rejects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from IPython.utils.capture import capture_output
from PIL import Image

from kmagic.display.data.data_card import dataset_bundle
from kmagic.magics.keras_data import DATA
from kmagic.support.disk_arrays import is_on_disk
from kmagic.support.errors import DataError, MagicError

ROWS = 20


@pytest.fixture
def names(shell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return shell.user_ns


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"size": rng.random(ROWS), "my town": ["Ulm", "Bonn"] * 10, "price": 1.5})


def load(shell, line):
    with capture_output():
        return shell.run_line_magic("keras_data", line)


def test_a_file_is_assigned_to_its_name(shell, names, frame) -> None:
    frame.to_csv("houses for sale.csv", index=False)
    data = load(shell, "'houses for sale.csv' --target price --drop 'my town' --scale standard")
    assert names["houses_for_sale"] is data
    assert data.columns == ("size",)
    assert data.scaling.kind == "standard"


def test_images_are_kept_on_disk(shell, names, tmp_path) -> None:
    for number in range(8):
        file = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(file)
    data = load(shell, "photos --stream --split 0.5")
    assert names["photos"] is data
    assert is_on_disk(data.x_train)
    assert "On disk, in" in dataset_bundle(data)["text/html"]
    assert not is_on_disk(load(shell, "photos").x_train)


def test_existing_variables_are_not_overwritten(shell, names, frame) -> None:
    frame.to_csv("houses.csv", index=False)
    names["houses"] = frame
    data = load(shell, "houses.csv --target price")
    assert names["houses"] is frame
    assert names["houses_set"] is data
    again = load(shell, "houses --target price")
    assert names["data"] is again
    assert again.name == "houses"


def test_values_of_the_notebook(shell, names, frame) -> None:
    names.update(x=np.random.default_rng(0).random((ROWS, 3)), y=np.arange(ROWS) % 2, frame=frame)
    assert load(shell, "x y -o few").x_train.shape == (16, 3)
    assert load(shell, "{(x, y)} -o pair").name == "pair"
    assert names["few"].name == "few"
    assert load(shell, "x y x y").x_test.shape == (ROWS, 3)
    assert load(shell, "{x[:10]} {y[:10]} --split 0.5").x_test.shape == (5, 3)
    chosen = load(shell, "frame --target 'my town' --features {['size']} --class-names Ulm,Bonn")
    assert chosen.classes == ("Ulm", "Bonn")
    assert chosen.columns == ("size",)


def test_an_image_folder(shell, names, tmp_path) -> None:
    for folder in ("cats", "dogs"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (9, 6), "red").save(tmp_path / "photos" / folder / f"{number}.png")
    data = load(shell, "photos --size 4x5 --gray --channel --scale 255 --split 0.34")
    assert names["photos"] is data
    assert data.x_train.shape == (4, 4, 5, 1)


def test_several_tables_are_combined(shell, names, frame) -> None:
    frame.to_csv("a.csv", index=False, sep=";")
    frame.to_csv("b.csv", index=False, sep=";")
    data = load(shell, "a.csv b.csv --target price --sep ; -o both")
    assert len(data.x_train) + len(data.x_test) == 2 * ROWS


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("frame", "Name it: --target price"),
        ("frame --target price --drop twon", "has no column twon"),
        ("boston_housing --size 8", "--size only applies to images; boston_housing is a table"),
        ("houses.csv --target price --delimiter ,", r"--delimiter ';'"),
        ("mnst", "Did you mean mnist"),
        ("hose.csv", "Did you mean houses.csv"),
    ],
)
def test_errors_spell_options_as_the_line_does(shell, names, frame, line, message) -> None:
    names["frame"] = frame
    frame.to_csv("houses.csv", index=False, sep=";")
    before = dict(names)
    with pytest.raises(DataError) as caught:
        load(shell, line)
    assert message in str(caught.value)
    assert names == before


def test_notes_spell_options_as_the_line_does(shell, names, frame) -> None:
    names["frame"] = frame.assign(rooms=[1, 2, 3] * (len(frame) // 3) + [1] * (len(frame) % 3))
    data = load(shell, "frame --target rooms")
    assert "--task regression takes them as numbers" in data.note
    np.savez("pickled.npz", x=np.array([[1], [1, 2]], dtype=object), y=np.zeros(2))
    with pytest.raises(DataError, match=r"use --allow-pickle\.$"):
        load(shell, "pickled.npz")


def test_names_of_the_user_are_not_rewritten(shell, names, frame) -> None:
    names["frame"] = frame.rename(columns={"size": "gray=True", "price": "drop=x"})
    with pytest.raises(DataError, match=r"It has gray=True, my town, drop=x\."):
        load(shell, "frame")


def test_files_and_columns_named_like_options(shell, names, frame, tmp_path) -> None:
    folder = tmp_path / "data" / "split= train"
    folder.mkdir(parents=True)
    text = "sep=;\nsep=;gray=True;y\n" + "".join(f"{n},5;{n * n};{n % 2}\n" for n in range(20))
    (folder / "x.csv").write_text(text)
    (tmp_path / "sep=1.csv").write_text(text)
    data = load(shell, "'data/split= train/x.csv'")
    assert data.source == "data/split= train/x.csv" or data.source.endswith("split= train/x.csv")
    assert data.columns == ("sep=", "gray=True")
    assert load(shell, "sep=1.csv --drop sep=").columns == ("gray=True",)
    with pytest.raises(DataError, match=r"no file or folder data/split=\.") as caught:
        load(shell, "data/split= train/x.csv")
    assert caught.value.remedy == "Did you mean 'data/split= train'?"
    (tmp_path / "z.csv").write_text(text.replace(";y", ";z"))
    with pytest.raises(DataError, match=r"It has sep=, gray=True, z\."):
        load(shell, "z.csv")
    with pytest.raises(DataError, match=r"no column split=; it has sep=, gray=True, y\."):
        load(shell, "sep=1.csv --target split=")


def test_how_a_table_is_read(shell, names, tmp_path) -> None:
    text = "".join(f"{n},5;1.{200 + n};{n % 2}\n" for n in range(20))
    (tmp_path / "bare.csv").write_text(text, encoding="utf-16")
    data = load(shell, "bare.csv --target 2")
    assert data.columns == ("0", "1")
    for guess in ("UTF-16 text separated by semicolons", "no header", "decimal comma"):
        assert guess in data.reading
    assert "--header takes it as names" in data.note
    card = dataset_bundle(data)["text/html"]
    assert "Read as: UTF-16 text separated by semicolons, no header; decimal comma" in card
    given = "--no-header --delimiter ; --decimal , --thousands . --encoding utf-16 --na-values 3,5"
    told = load(shell, f"bare.csv --target 2 {given} --missing drop --chronological")
    assert told.columns == ("0", "1")
    assert told.note.startswith("0: '10,5' was read as 10.5")
    with pytest.raises(MagicError, match="--header and --no-header contradict each other"):
        load(shell, "bare.csv --header --no-header")
    with pytest.raises(DataError, match=r"--decimal must be \. or ,; got 'x'"):
        load(shell, "bare.csv --decimal x")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "%keras_data"),
        ("frame nothing", "is neither a value nor a variable of this notebook"),
        ("frame --split half", "--split must be a number"),
        ("frame --targt price", "has no option --targt"),
    ],
)
def test_mistakes_in_the_line_are_marked(shell, names, frame, line, message) -> None:
    names["frame"] = frame
    with pytest.raises(MagicError, match=message):
        load(shell, line)


def test_every_option_of_load_data_has_a_flag() -> None:
    import inspect

    from kmagic.data import load_data

    flags = set(DATA.options)
    others = {"source", "name"}
    for each in set(inspect.signature(load_data).parameters) - others:
        assert f"--{each.replace('_', '-')}" in flags


def test_windows_of_a_table(shell, names) -> None:
    dates = pd.date_range("2024-01-01", periods=60)
    table = pd.DataFrame({"date": dates, "load": np.arange(60.0)})
    names["shops"] = pd.concat([table.assign(shop="Ulm"), table.assign(shop="Bonn")])
    options = "shops --target load --window 5 --horizon 2 --stride 2"
    data = load(shell, f"{options} --by shop -o sales")
    assert names["sales"].x_train.shape[1:] == (5, 1)
    assert data.title == "windows of 5 rows, horizon 2, stride 2, 2 series"
    with pytest.raises(DataError, match="apart: --by shop"):
        load(shell, options)
    with pytest.raises(DataError, match="--by only applies to windows of a table"):
        load(shell, "shops --target load --by shop")


def test_paths_of_the_home_folder(shell, names, frame, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    frame.to_csv(Path(tmp_path, "here.csv"), index=False)
    assert load(shell, "~/here.csv --target price").name == "here"


def test_several_targets_with_their_own_options(shell, names) -> None:
    names |= {"x": np.random.default_rng(0).random((ROWS, 3)), "a": np.arange(ROWS) % 2}
    line = "x {'a': a, 'b': a + 1} --task {'b': 'regression'} --class-names {'a': ['no', 'yes']}"
    data = load(shell, line)
    assert data.of("a").classes == ("no", "yes")
    assert data.of("b").classes is None
    with pytest.raises(DataError, match="--task must be classification, multilabel or"):
        load(shell, "x a --task regresion")
    note = load(shell, "x {'b': a + 1, 'c': a}").note
    assert "--task {'b': 'regression'} takes them as numbers" in note
