"""``%keras_data``: any data set in one line."""

from __future__ import annotations

import ast
import os
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand

from kmagic.magics.base import Family, forgiving
from kmagic.magics.line_parser import Arguments, Line
from kmagic.support.errors import DataError

DATA = Arguments(
    "%keras_data",
    "Load a data set as D.x_train, D.y_train, D.x_test, D.y_test, D.classes.",
    "%keras_data mnist --scale 255 --channel -o digits\n"
    "%keras_data boston_housing --scale standard --drop B\n"
    "%keras_data photos/ --size 64x64 --scale 255\n"
    "%keras_data reviews/ --num-words 5000 --maxlen 200\n"
    "%keras_data houses.csv --target price --scale standard\n"
    "%keras_data frame --target price --missing mean\n"
    "%keras_data x y --split 0.25",
)
DATA.option(
    "source",
    nargs="+",
    metavar="SOURCE",
    help="mnist, fashion_mnist, cifar10, cifar100, imdb, reuters, boston_housing, "
    "california_housing; a folder; a .csv, .tsv, .parquet or .npz file; a data frame, a "
    "tf.data.Dataset, x y, or x_train y_train x_test y_test",
)
DATA.option("--scale", metavar="HOW", help="255, standard or none; learned on the training part")
DATA.option(
    "--split", metavar="F", help="fraction that becomes the test part (0.2 if none is there)"
)
DATA.option("--seed", metavar="N", default="0", help="seed of the split (default 0)")
DATA.option("--onehot", action="store_true", help="labels as one-hot rows")
DATA.option("--classes", metavar="A,B", help="names of the classes, in the order of the labels")
DATA.option(
    "--task",
    choices=("classification", "regression"),
    help="what to predict, where the target's values could be both",
)
DATA.option("--flatten", action="store_true", help="pictures as vectors")
DATA.option("--channel", action="store_true", help="grey pictures as 28x28x1, not 28x28")
DATA.option("--size", metavar="HxW", help="bring picture files to this size")
DATA.option("--gray", action="store_true", help="picture files in grey, not in colours")
DATA.option("--num-words", metavar="N", help="texts: keep the N most frequent words")
DATA.option(
    "--maxlen",
    metavar="N",
    help="texts: pad and cut to N words (imdb, reuters: leave out those of N words or more)",
)
DATA.option("--padding", choices=("pre", "post"), help="texts: where short rows get noughts")
DATA.option("--truncating", choices=("pre", "post"), help="texts: where long rows lose words")
DATA.option("--standardize", metavar="HOW", help="texts: lower_and_strip_punctuation, lower ...")
DATA.option("--words", metavar="INDEX", help="word numbers: what they mean: imdb, reuters, a file")
DATA.option("--target", metavar="COLUMN", help="tables: the column to predict")
DATA.option("--features", metavar="A,B", help="tables: the columns to learn from")
DATA.option("--drop", metavar="A,B", help="tables: columns to leave out")
DATA.option(
    "--missing", choices=("mean", "drop"), help="tables: fill empty cells, or drop the rows"
)
DATA.option("--sep", metavar="CHAR", help="tables: what separates the cells, such as ';' or tab")
DATA.option("--allow-pickle", action="store_true", help=".npz: read pickled objects (runs code)")
DATA.result_options()

AS_GIVEN = (
    "flatten",
    "channel",
    "scale",
    "onehot",
    "gray",
    "task",
    "missing",
    "padding",
    "truncating",
    "standardize",
    "allow_pickle",
)
"""Options whose words reach ``load_data`` as they are."""
_IN_PYTHON = re.compile(
    r"\b(size|target|features|drop|sep|split|seed|num_words|maxlen|words|class_names|"
    + "|".join(AS_GIVEN)
    + r")=(\"[^\"]*\"|'[^']*'|\w+(?:\.\w+)*|)"
)
_BARE = re.compile(r"[^\s;|\\]+")  # what a line's word is without quotes


@magics_class
class DataMagics(Family):
    """Loading data."""

    @no_var_expand
    @line_magic
    @forgiving
    def keras_data(self, line: str) -> Any:
        """Load a data set; ``%keras_data -h`` tells more."""
        read = self.read(DATA, line)
        if read is None:
            return None
        from kmagic.data.loading import SampleDataWarning, load_data, variable_name  # noqa: PLC0415 - not before data are loaded

        source, called = self._source(read)
        options = {
            "num_words": read.num_words and read.number(read.num_words, "--num-words", least=1),
            "maxlen": read.maxlen and read.number(read.maxlen, "--maxlen", least=1),
            "split": read.split and read.number(read.split, "--split", whole=False),
            "seed": read.number(read.seed, "--seed"),
            "target": _plain(read, read.target),
            "features": _plain(read, read.features),
            "drop": _plain(read, read.drop),
            "class_names": _plain(read, read.classes),
            "size": _plain(read, read.size),
            "words": _plain(read, read.words),
            "sep": _separator(_plain(read, read.sep)),
            "name": called and (read.out or called),
        }
        options |= {each: getattr(read, each) for each in AS_GIVEN}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SampleDataWarning)  # the card says it
                data = load_data(source, **options)
        except DataError as error:
            raise DataError(*map(_as_options, (error.message, error.remedy))) from error
        if data.note:
            data = replace(data, note=_as_options(data.note))
        out = read.out or self._free("data" if called else variable_name(data.name))
        return self.session.deliver(data, out=out, quiet=read.quiet)

    def _source(self, read: Line) -> tuple[Any, str]:
        """What the words mean, and what to call it if it is from the notebook."""
        words = read.source
        values = [self._value(read, word) for word in words]
        called = next((w for w, v in zip(words, values, strict=True) if not _is_path(v)), "")
        called = called if called.isidentifier() else "data" if called else ""
        if len(values) == 1:
            return values[0], called
        if not called:
            return values, ""  # tables to be put together
        for word, value in zip(words, values, strict=True):
            if _is_path(value):
                read.value(word)  # which says what is wrong with it
        return tuple(values), "data"

    def _value(self, read: Line, word: str) -> Any:
        """A value of the notebook; else the word, which is a name or a path."""
        from kmagic.data.known_datasets import KNOWN_DATASETS  # noqa: PLC0415 - not before data are loaded

        if word.startswith("{"):
            return read.value(word)
        if word[0] in "\"'":
            return _plain(read, word)
        if word.lower() in KNOWN_DATASETS or Path(word).is_file():
            return word
        first, *inner = word.split(".")
        if all(each.isidentifier() for each in (first, *inner)) and first in self.session.names:
            value = read.value(word)
            if _holds_data(value):
                return value
        return word

    def _free(self, name: str) -> str:
        """The name, unless the notebook has something else by it that would be lost."""
        there = self.session.names.get(name)
        return name if there is None or hasattr(there, "x_train") else f"{name}_set"


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike)


def _holds_data(value: Any) -> bool:
    """Whether a value of the notebook can be loaded; modules and functions cannot."""
    return isinstance(value, str | os.PathLike | dict | list | tuple) or any(
        hasattr(value, each) for each in ("shape", "element_spec")
    )


def _plain(read: Line, word: str | None) -> Any:
    """A word of the line: quoted, ``{an expression}``, or as it stands."""
    if word is None:
        return None
    if word.startswith("{"):
        return read.value(word)
    if word[:1] in ("'", '"'):
        try:
            return ast.literal_eval(word)
        except (SyntaxError, ValueError):
            return word.strip("\"'")
    return word


def _as_options(said: str) -> str:
    """A message that speaks of Python's arguments, in the words of the line.

    Example:
        >>> _as_options('Name it: target="price". drop= leaves out a column. Or gray=True.')
        'Name it: --target price. --drop leaves out a column. Or --gray.'
    """

    def spoken(found: re.Match[str]) -> str:
        name, value = found[1], found[2]
        flag = "--classes" if name == "class_names" else f"--{name.replace('_', '-')}"
        bare = value.strip("\"'")
        if value in ("", "True"):
            return flag
        return f"{flag} {bare if _BARE.fullmatch(bare) else value}"

    return _IN_PYTHON.sub(spoken, said)


def _separator(sep: Any) -> Any:
    return {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}.get(sep, sep)
