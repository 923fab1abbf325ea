"""Damaged and edited files: models, tables, arrays, images."""

from __future__ import annotations

import io
import json
import shutil
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import h5py
import keras
import numpy as np
import pandas as pd
from PIL import Image

import kmagic

from .fuzzing import Kind
from .mutations import CHARACTERS, NUMBERS, edit_bytes, edit_json, edit_text

_TEXTS = (
    "input 4 / dense 3 relu / dropout 0.5 / dense 2 softmax\ncompile adam loss=mse",
    "input 8x8x1 / conv2d 2 3x3 / batchnorm / flatten / dense 2",
    "a = input 4 / b = input 4 / add <- a, b / dense 2\ncompile sgd loss=mse metrics=accuracy",
    "input 5 int32 / embedding 10 4 / lstm 3 / dense 1",
)
_SUFFIXES = (".keras", ".h5", ".weights.h5", ".json", ".kmagic")


@dataclass(slots=True)
class EditedFile:
    """A file's content, and the options to load it with."""

    name: str
    content: bytes
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        shown = self.content if len(self.content) < 4000 else self.content[:200] + b"..."
        return f"{self.name} {self.options} {shown!r}"


class ModelFiles(Kind):
    """Files of models: edited configurations and weights, flipped and missing bytes."""

    name = "models"

    def set_up(self) -> None:
        keras.utils.set_random_seed(0)
        self.weights_into = kmagic.build(_TEXTS[0])
        self.used = 0
        self.saved: dict[str, bytes] = {}
        for number, text in enumerate(_TEXTS):
            model = kmagic.build(text)
            for suffix in _SUFFIXES:
                path = kmagic.save(model, f"{number}{suffix}", force=True).path
                self.saved[path.name] = path.read_bytes()

    def generate(self, random: Random) -> EditedFile:
        name = f"{random.randrange(len(_TEXTS))}{random.choice(_SUFFIXES)}"
        content = self.saved[name]
        if random.random() < 0.35:
            content = edit_bytes(random, content)
        elif name.endswith(".keras"):
            content = _edited_archive(random, content)
        elif name.endswith(".h5"):
            content = _edited_hdf5(random, content)
        elif name.endswith(".json"):
            content = _dumped(edit_json(random, json.loads(content)))
        else:
            content = edit_text(random, content.decode()).encode("utf-8", "surrogatepass")
        options = {"safe_mode": False} if random.random() < 0.1 else {}
        return EditedFile(name, content, options)

    def use(self, case: EditedFile) -> None:
        self.used += 1
        if self.used % 50 == 0:
            keras.backend.clear_session()
        path = Path("file" + case.name[1:])
        path.write_bytes(case.content)
        into = self.weights_into if case.name.endswith(".weights.h5") else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = kmagic.load(path, model=into, **case.options)
        if model.built and model.count_params() < 10_000:
            kmagic.to_python(model)


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _edited_archive(random: Random, content: bytes) -> bytes:
    """A .keras file with one member edited, removed, renamed or doubled."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice((*members, "config.json", "config.json", "config.json", "metadata.json"))
    match random.randrange(10):
        case 0:
            members.pop(name)
        case 1:
            members[random.choice(("../x", "/etc/x", "a" * 300, " ", "config.json"))] = members[
                name
            ]
        case 2:
            members[name] = random.choice(
                (b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"{" * 9)
            )
        case _ if name.endswith(".h5"):
            members[name] = random.choice((_edited_hdf5, edit_bytes))(random, members[name])
        case _ if name.endswith(".json"):
            members[name] = _dumped(edit_json(random, json.loads(members[name])))
        case _:
            members[name] = edit_bytes(random, members[name])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return buffer.getvalue()


def _edited_hdf5(random: Random, content: bytes) -> bytes:
    """An HDF5 file with an attribute or an array edited."""
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        nodes: list[Any] = [file]
        file.visititems(lambda _, node: nodes.append(node))
        node = random.choice(nodes)
        attributes = [(owner, key) for owner in nodes for key in owner.attrs]
        arrays = [each for each in nodes if isinstance(each, h5py.Dataset)]
        match random.randrange(6):
            case 0 if attributes:
                owner, key = random.choice(attributes)
                value = random.choice((b"", b"\xff", 3, [1, 2], "é", b"[" * 10_000, np.zeros(0)))
                owner.attrs[key] = value
            case 1 | 2 if "model_config" in file.attrs:
                key = random.choice([key for key in file.attrs if key.endswith("config")])
                config = json.loads(file.attrs[key])
                file.attrs[key] = _dumped(edit_json(random, config))
            case 3 if arrays:
                _replace_array(random, random.choice(arrays))
            case 4 if node.name != "/":
                del file[node.name]
            case _:
                file[
                    random.choice(("layers/x", "a", "vars/0", "_layer_checkpoint_dependencies"))
                ] = 3
    return buffer.getvalue()


def _replace_array(random: Random, array: Any) -> None:
    file, name, shape = array.file, array.name, array.shape
    del file[name]
    match random.randrange(5):
        case 0:  # claims 40 GB without storing them
            file.create_dataset(name, (10**10,), "f4", chunks=(1024,))
        case 1:
            file[name] = np.full(shape, np.nan, random.choice(("f4", "f8", "i4", "u1")))
        case 2:
            file[name] = "text"
        case 3:
            file.create_dataset(name, data=h5py.Empty("f4"))
        case _:
            file[name] = np.zeros((*shape, 2), "f4")


# --- data -----------------------------------------------------------------------------------------

_CELLS = (
    *(
        "1",
        "2.5",
        "-3",
        "a",
        "b",
        "yes",
        "no",
        "",
        "NA",
        "?",
        "1,5",
        "1.200,50",
        "$3",
        "10%",
        "nan",
    ),
    *(
        "2020-01-01",
        "01.02.2020",
        "inf",
        "1e400",
        "'",
        '"',
        '"a,b"',
        "  x ",
        "é",
        "-",
        "0x1F",
        "TRUE",
    ),
)
_ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-32", "cp1252")


class DataFiles(Kind):
    """Tables, arrays, images and texts, right and damaged."""

    name = "data"

    def generate(self, random: Random) -> EditedFile:
        suffix = random.choice(
            (".csv", ".csv", ".csv", ".tsv", ".npz", ".png", ".txt", ".parquet", ".json")
        )
        content, options = _TABLES.get(suffix, _table)(random)
        if random.random() < 0.3:
            content = edit_bytes(random, content)
        suffix = (
            suffix
            if random.random() < 0.95
            else random.choice((".csv", ".npz", ".png", ".xlsx", ""))
        )
        return EditedFile(f"file{suffix}", content, options)

    def use(self, case: EditedFile) -> None:
        path: Any = Path(case.name)
        if path.suffix in (".png", ".txt"):
            shutil.rmtree("folder", ignore_errors=True)
            for part in "ab":
                (Path("folder") / part).mkdir(parents=True)
            for number in range(3):
                content = case.content if number == 0 else _PLAIN[path.suffix]
                for part in "ab":
                    (Path("folder") / part / f"{number}{path.suffix}").write_bytes(content)
            path = Path("folder")
        else:
            path.write_bytes(case.content)
        options = dict(case.options)
        if options.pop("as_words", False):
            path, options = ([[1, 2, 3], [4, 5, 6]] * 4, [0, 1] * 4), {"words": str(path)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = kmagic.load_data(path, **options)
        data._repr_mimebundle_()


def _table(random: Random) -> tuple[bytes, dict[str, Any]]:
    separator = random.choice((",", ",", ",", ";", "\t", "|", " "))
    width, height = random.randint(2, 5), random.choice((0, 2, 8, 30, 30))
    kinds = [random.sample(_CELLS, random.choice((1, 2, 2, 3, 12))) for _ in range(width)]
    rows = [[random.choice(kind) for kind in kinds] for _ in range(height)]
    names = [
        random.choice(("a", "b", "target", "Größe", "id", "", "x.1", "1")) for _ in range(width)
    ]
    if random.random() < 0.7:
        names = [*(f"c{number}" for number in range(1, width)), "target"]
    rows = [names, *rows] if random.random() < 0.85 else rows
    text = random.choice(("\n", "\n", "\r\n", "\r")).join(separator.join(row) for row in rows)
    text = random.choice(("", "", "", "sep=;\n", "# comment\n\n")) + text
    if random.random() < 0.3:
        text = edit_text(random, text, [" ".join((*NUMBERS, *CHARACTERS))])
    return text.encode(random.choice(_ENCODINGS), "replace"), _options(random, names)


def _options(random: Random, names: list[str]) -> dict[str, Any]:
    column = random.choice((*names, "target", names[-1], names[-1]))
    possible: dict[str, tuple[Any, ...]] = {
        "target": (column, column, column, 0, -1, "missing", None, f"{column},b", ["a"]),
        "features": (column, "a,b", "text", ["a"], "", 3),
        "drop": (column, "a", "nothing", []),
        "missing": ("mean", "drop", "zero"),
        "sep": (",", ";", "tab", "", "ab", "\\", "."),
        "delimiter": (";", ",", "|", "space", "\n", "é", 3),
        "decimal": (",", ".", ";", ""),
        "thousands": (".", ",", "'", " ", "1", ""),
        "na_values": ("?", "-,a", ["NA", 0], 1, [], [None], ""),
        "header": (False, True, 0, "x"),
        "encoding": ("utf-8", "utf-16", "latin-1", "cp1252", "x", "", "rot13", "idna", "utf-7"),
        "chronological": (True,),
        "seed": (0, 7, -1, 10**30, "x"),
        "allow_pickle": (True,),
        "scale": ("standard", "255", "none", "x", 0, -1),
        "task": ("classification", "regression"),
        "split": (0.5, 0.0, 1.0, 0.01, -1, "x"),
        "class_names": (["a", "b"], "a,b", [], [1, 2], "a"),
        "onehot": (True,),
        "flatten": (True,),
        "size": (4, "4x4", (4, 4), 10**6, "x", 0),
        "gray": (True,),
        "num_words": (1, 5, 10**12, 0),
        "maxlen": (1, 5, 10**12),
    }
    options: dict[str, Any] = {}
    if random.random() < 0.7:
        options["target"] = column
    for name in random.sample(sorted(possible), random.choice((0, 0, 1, 2, 3))):
        values = possible[name]
        options[name] = values[0] if random.random() < 0.6 else random.choice(values)
    return options


def _some_options(random: Random) -> dict[str, Any]:
    return {} if random.random() < 0.6 else _options(random, ["a", "b"])


def _arrays(random: Random) -> tuple[bytes, dict[str, Any]]:
    count = random.choice((1, 4, 12, 12))
    shape = random.choice(((count,), (count, 4), (count, 8, 8), (count, 8, 8, 3), (), (0, 4)))
    names = random.choice((("x", "y"), ("x", "y"), ("x_train", "y_train"), ("a", "b"), ("x", "b")))
    kind = random.choice(("f4", "f4", "u1", "O", "U3", "i8"))
    labels = np.arange(random.choice((count, count, count, 3))) % 3
    arrays: dict[str, Any] = dict(zip(names, (np.zeros(shape, kind), labels), strict=True))
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, **arrays)
    content = buffer.getvalue()
    if random.random() < 0.3:  # a header that claims more than the file holds
        size = random.choice((b"1000000000000", b"-1", b"99", b"10**9", b"1e9"))
        content = _edited_members(
            content, lambda data: data.replace(b"(%d," % count, b"(" + size + b",", 1)
        )
    return content, _some_options(random)


def _edited_members(content: bytes, edit: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            target.writestr(name, edit(source.read(name)))
    return buffer.getvalue()


def _image(random: Random) -> tuple[bytes, dict[str, Any]]:
    buffer = io.BytesIO()
    mode = random.choice(("RGB", "RGB", "RGB", "L", "RGBA", "P", "1", "I;16", "LA"))
    image = Image.new(mode, random.choice(((8, 8),) * 6 + ((1, 1), (8, 9), (300, 2))))
    image.save(buffer, random.choice(("PNG", "PNG", "TIFF")))
    content = bytearray(buffer.getvalue())
    if random.random() < 0.15 and content[12:16] == b"IHDR":
        content[16:24] = random.choice(
            (b"\0\1\0\0\0\1\0\0", b"\0\0\xff\xff" * 2, b"\xff" * 8, bytes(8))
        )
    return bytes(content), {"size": 8} if random.random() < 0.7 else _some_options(random)


def _words(random: Random) -> tuple[bytes, dict[str, Any]]:
    words = random.choices(
        ("good", "bad", "film", "the", "é", "", "a" * 500, "\0", "<br />"),
        k=random.choice((0, 3, 40)),
    )
    return " ".join(words).encode(random.choice(_ENCODINGS), "replace"), _some_options(random)


def _parquet(random: Random) -> tuple[bytes, dict[str, Any]]:
    values = random.choice(
        ([1, 2, None], ["a", "b", None], [[1], [2], [3]], [b"x", b"y", b"z"], [True, False, None])
    )
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0] * 4, "target": values * 4})
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue(), _options(random, ["a", "target"])


def _word_index(random: Random) -> tuple[bytes, dict[str, Any]]:
    index = {"the": 1, "film": 2, "good": 3, "é": 4}
    return _dumped(edit_json(random, index, random.choice((0, 1, 2)))), {"as_words": True}


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


_PLAIN = {".png": _png(), ".txt": b"a good film"}
"""The other files of a folder."""
_TABLES = {
    ".npz": _arrays,
    ".png": _image,
    ".txt": _words,
    ".parquet": _parquet,
    ".json": _word_index,
}
