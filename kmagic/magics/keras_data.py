"""``%keras_data``: any dataset in one line."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from typing import Any

from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import Session, magic

DATA = LineParser(
    "%keras_data",
    "Load a dataset as D.x_train, D.y_train, D.x_test, D.y_test, D.classes. A dictionary as y\n"
    "contains several targets by name; D.of(NAME) is the dataset of one of them.",
    "%keras_data mnist --scale 255 --channel -o digits\n"
    "%keras_data boston_housing --scale standard --drop B\n"
    "%keras_data photos/ --size 64x64 --scale 255\n"
    "%keras_data reviews/ --num-words 5000 --maxlen 200\n"
    "%keras_data houses.csv --target price --scale standard\n"
    "%keras_data frame --target price --missing mean\n"
    "%keras_data power.csv --target load --window 30 --horizon 7\n"
    "%keras_data x y --split 0.25\n"
    "%keras_data x {'digit': y, 'even': y % 2}",
)
DATA.argument(
    "SOURCE",
    "mnist, fashion_mnist, cifar10, cifar100, imdb, reuters, boston_housing, "
    "california_housing; a folder; a .csv, .tsv, .parquet, .xlsx, .tfrecord or .npz file; a data "
    "frame, a tf.data.Dataset, x y, or x_train y_train x_test y_test",
    nargs="+",
)
DATA.option("--scale HOW", "255, standard or none; computed from the training part")
DATA.option("--split F", "fraction of the test part (default: 0.2, if none is given)", minimum=0.0)
DATA.option("--seed N", "random seed of the split (default: 0)", default="0", minimum=0)
DATA.option("--onehot", "labels as one-hot rows")
DATA.option(
    "--class-names A,B",
    "names of the classes, or of several labels per sample, in their order; for several targets a "
    "dictionary",
    read="text",
)
DATA.option(
    "--task HOW",
    "classification, multilabel or regression, if the values of the target allow several; for "
    "several targets a dictionary",
    read="value or text",
)
DATA.option("--flatten", "images as vectors")
DATA.option("--channel", "gray images as 28x28x1, not 28x28")
DATA.option("--size HxW", "resize image files to this height and width", read="text")
DATA.option("--gray", "convert image files to gray")
DATA.option("--num-words N", "texts: keep the N most frequent words", minimum=1)
DATA.option(
    "--maxlen N",
    "texts: pad or truncate to N words (imdb, reuters: leave out texts of N words or more)",
    minimum=1,
)
DATA.option("--padding {pre,post}", "texts: which end to pad with zeros")
DATA.option("--truncating {pre,post}", "texts: which end to truncate")
DATA.option("--standardize HOW", "texts: lower_and_strip_punctuation, lower ...")
DATA.option("--words INDEX", "word indices: their vocabulary: imdb, reuters, a file", read="text")
DATA.option("--target A,B", "tables: the column to predict, or several", read="text")
DATA.option("--features A,B", "tables: the columns to learn from", read="text")
DATA.option("--drop A,B", "tables: columns to leave out", read="text")
DATA.option("--missing {mean,drop}", "tables: fill missing values, or drop their rows")
DATA.option("--delimiter --sep CHAR", "tables: between the cells, such as ';' or tab", read="text")
DATA.option("--decimal CHAR", "tables: decimal sign, . or ,")
DATA.option("--thousands CHAR", "tables: between groups of digits, such as .", read="text")
DATA.option("--na-values A,B", "tables: words or numbers for missing values", read="text")
DATA.option("--header", "tables: the first line names the columns")
DATA.option("--no-header", "tables: no line does; the columns are numbered from 0")
DATA.option("--encoding NAME", "tables: such as utf-16 or cp1252", read="text")
DATA.option("--window N", "tables: windows of N rows in the order of time", minimum=1)
DATA.option("--horizon N", "windows: predict the target of the next N rows (default: 1)", minimum=1)
DATA.option("--stride N", "windows: rows from one to the next one (default: 1)", minimum=1)
DATA.option("--by COLUMN", "windows: the column that tells several series apart", read="text")
DATA.option("--chronological", "test on the last samples, not on random ones")
DATA.option("--stream", "files: keep the data on disk and read batches (default: if too large)")
DATA.option("--allow-pickle", ".npz: load pickled objects (runs code)")
DATA.result_options()


@magic(DATA, interruptible=True)
def keras_data(session: Session, line: ParsedLine) -> Any:
    """Load a dataset; ``%keras_data -h`` shows the options."""
    from kmagic.data.keras_datasets import SampleDataWarning  # noqa: PLC0415 - not before data are loaded
    from kmagic.data.loading import load_data, variable_name  # noqa: PLC0415 - as above

    source, name = _source(session, line)
    other = ("help", "arguments", "out", "quiet", "header", "no_header")
    options = line.keywords(*(name for name in vars(line.options) if name not in other))
    if line.header and line.no_header:
        line.fail("--header and --no-header contradict each other", "--no-header")
    options["header"] = True if line.header else False if line.no_header else None
    options["stream"] = line.stream or None
    options["name"] = name and (line.out or name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SampleDataWarning)  # the card says it
        data = replace(load_data(source, **options), spelling=line.spelling)
    out = line.out or _free_variable(session, "data" if name else variable_name(data.name))
    is_assigned = line.out or not session.is_callers(out)
    return session.deliver(data, out=out if is_assigned else None, quiet=line.quiet)


def _source(session: Session, line: ParsedLine) -> tuple[Any, str]:
    """What the words mean, and a name for it if it is from the notebook, else ""."""
    words = line.arguments
    values = [_value(session, line, word) for word in words]
    variables = [w for w, v in zip(words, values, strict=True) if not _is_path(v)]
    if not variables:
        return (values[0] if len(values) == 1 else values), ""  # several tables are combined
    if len(values) == 1:
        return values[0], words[0] if words[0].isidentifier() else "data"
    for word, value in zip(words, values, strict=True):
        if _is_path(value):
            line.value(word)  # which says what is wrong with it
    return tuple(values), "data"


def _value(session: Session, line: ParsedLine, word: str) -> Any:
    """A value of the notebook; otherwise the word, which is a name or a path."""
    from kmagic.data.known_datasets import KNOWN_DATASETS  # noqa: PLC0415 - not before data are loaded

    if word[0] in "{\"'":
        return line.text_or_value(word)
    if word.lower() in KNOWN_DATASETS or session.is_file(word):
        return word
    names = word.split(".")
    if all(name.isidentifier() for name in names) and names[0] in session.names:
        value = line.value(word)
        if _is_loadable(value):
            return value
    return word


def _free_variable(session: Session, name: str) -> str:
    """The name, unless the notebook has another value in that variable."""
    value = session.notebook.get(name)
    return name if value is None or hasattr(value, "x_train") else f"{name}_set"


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike)


def _is_loadable(value: Any) -> bool:
    """Whether a value of the notebook can be loaded; modules and functions cannot."""
    return isinstance(value, str | os.PathLike | dict | list | tuple) or any(
        hasattr(value, name) for name in ("shape", "element_spec")
    )
