"""``%keras_data``: any data set in one line."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from IPython.core.magic import magics_class

from kmagic.magics.base import BaseMagics, magic
from kmagic.magics.line_parser import LineParser, ParsedLine

DATA = LineParser(
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
DATA.option("--scale", metavar="HOW", help="255, standard or none; computed from the training part")
DATA.option(
    "--split", metavar="F", help="fraction of the test part (default: 0.2, if none is given)"
)
DATA.option("--seed", metavar="N", default="0", help="random seed of the split (default: 0)")
DATA.option("--onehot", action="store_true", help="labels as one-hot rows")
DATA.option(
    "--class-names",
    deprecated="--classes",
    metavar="A,B",
    help="class names, in the order of the labels",
)
DATA.option(
    "--task",
    choices=("classification", "regression"),
    help="what to predict, if the values of the target allow both",
)
DATA.option("--flatten", action="store_true", help="images as vectors")
DATA.option("--channel", action="store_true", help="gray images as 28x28x1, not 28x28")
DATA.option("--size", metavar="HxW", help="resize image files to this height and width")
DATA.option("--gray", action="store_true", help="convert image files to gray")
DATA.option("--num-words", metavar="N", help="texts: keep the N most frequent words")
DATA.option(
    "--maxlen",
    metavar="N",
    help="texts: pad or truncate to N words (imdb, reuters: leave out texts of N words or more)",
)
DATA.option("--padding", choices=("pre", "post"), help="texts: which end to pad with zeros")
DATA.option("--truncating", choices=("pre", "post"), help="texts: which end to truncate")
DATA.option("--standardize", metavar="HOW", help="texts: lower_and_strip_punctuation, lower ...")
DATA.option(
    "--words", metavar="INDEX", help="word indices: their vocabulary: imdb, reuters, a file"
)
DATA.option("--target", metavar="COLUMN", help="tables: the column to predict")
DATA.option("--features", metavar="A,B", help="tables: the columns to learn from")
DATA.option("--drop", metavar="A,B", help="tables: columns to leave out")
DATA.option(
    "--missing", choices=("mean", "drop"), help="tables: fill missing values, or drop their rows"
)
DATA.option("--sep", metavar="CHAR", help="tables: the separator, such as ';' or tab")
DATA.option("--allow-pickle", action="store_true", help=".npz: load pickled objects (runs code)")
DATA.result_options()

VALUES = ("target", "features", "drop", "class_names", "size", "words")
"""Options that may be quoted strings or expressions."""
UNCHANGED = (
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
"""Options that ``load_data`` receives as they are."""
SEPARATORS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}


@magics_class
class DataMagics(BaseMagics):
    """The magic for data."""

    @magic(DATA, interruptible=True)
    def keras_data(self, line: ParsedLine) -> Any:
        """Load a data set; ``%keras_data -h`` shows the options."""
        from kmagic.data.keras_datasets import SampleDataWarning  # noqa: PLC0415 - not before data are loaded
        from kmagic.data.loading import load_data, variable_name  # noqa: PLC0415 - as above

        source, name = self._source(line)
        separator = line.text_or_value(line.sep)
        options = {
            "num_words": line.number("num_words", minimum=1),
            "maxlen": line.number("maxlen", minimum=1),
            "split": line.number("split", whole=False),
            "seed": line.number("seed"),
            "sep": SEPARATORS.get(separator, separator),
            "name": name and (line.out or name),
            **{option: line.text_or_value(getattr(line, option)) for option in VALUES},
            **{option: getattr(line, option) for option in UNCHANGED},
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SampleDataWarning)  # the card says it
            data = replace(load_data(source, **options), spelling=line.spelling)
        out = line.out or self._free_variable("data" if name else variable_name(data.name))
        return self.session.deliver(data, out=out, quiet=line.quiet)

    def _source(self, line: ParsedLine) -> tuple[Any, str]:
        """What the words mean, and a name for it if it is from the notebook, else ""."""
        words = line.source
        values = [self._value(line, word) for word in words]
        variables = [w for w, v in zip(words, values, strict=True) if not _is_path(v)]
        if not variables:
            return (values[0] if len(values) == 1 else values), ""  # several tables are combined
        if len(values) == 1:
            return values[0], words[0] if words[0].isidentifier() else "data"
        for word, value in zip(words, values, strict=True):
            if _is_path(value):
                line.value(word)  # which says what is wrong with it
        return tuple(values), "data"

    def _value(self, line: ParsedLine, word: str) -> Any:
        """A value of the notebook; otherwise the word, which is a name or a path."""
        from kmagic.data.known_datasets import KNOWN_DATASETS  # noqa: PLC0415 - not before data are loaded

        if word[0] in "{\"'":
            return line.text_or_value(word)
        if word.lower() in KNOWN_DATASETS or Path(word).is_file():
            return word
        names = word.split(".")
        if all(name.isidentifier() for name in names) and names[0] in self.session.names:
            value = line.value(word)
            if _is_loadable(value):
                return value
        return word

    def _free_variable(self, name: str) -> str:
        """The name, unless the notebook has another value in that variable."""
        value = self.session.names.get(name)
        return name if value is None or hasattr(value, "x_train") else f"{name}_set"


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike)


def _is_loadable(value: Any) -> bool:
    """Whether a value of the notebook can be loaded; modules and functions cannot."""
    return isinstance(value, str | os.PathLike | dict | list | tuple) or any(
        hasattr(value, name) for name in ("shape", "element_spec")
    )
