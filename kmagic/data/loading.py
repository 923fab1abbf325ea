"""``load_data``: load any kind of data by name, by path or from the notebook."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kmagic.data import arrays
from kmagic.data.assemble import Parts
from kmagic.data.dataset import Dataset
from kmagic.data.folders import load_text_folder, scan_folder
from kmagic.data.images.image_folder import load_image_folder, load_image_list
from kmagic.data.images.image_reader import is_url
from kmagic.data.keras_datasets import load_keras_dataset
from kmagic.data.known_datasets import KNOWN_DATASETS
from kmagic.data.load_options import LoadOptions, validate_options
from kmagic.data.paths import existing_path, is_table_name, looks_like_files, unknown_dataset
from kmagic.support.data_values import check_has_values, shape_of_data
from kmagic.support.errors import DataError
from kmagic.support.formatting import safe_repr
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import Text
from kmagic.support.object_errors import explain_special_methods
from kmagic.support.sentences import NUMERIC_KINDS

_ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")


@explain_special_methods
def load_data(
    source: Any,
    *,
    flatten: bool = False,
    channel: bool = False,
    scale: str | float | None = None,
    onehot: bool = False,
    num_words: int | None = None,
    maxlen: int | None = None,
    padding: str | None = None,
    truncating: str | None = None,
    standardize: str | None = None,
    words: Any = None,
    split: float | None = None,
    seed: int = 0,
    size: int | str | tuple[int, int] | None = None,
    gray: bool = False,
    target: Any = None,
    features: str | Sequence[Any] | None = None,
    drop: str | Sequence[Any] | None = None,
    missing: str | None = None,
    delimiter: str | None = None,
    sep: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    na_values: Any = None,
    header: bool | None = None,
    encoding: str | None = None,
    chronological: bool = False,
    window: int | None = None,
    horizon: int | None = None,
    stride: int | None = None,
    by: str | None = None,
    task: str | Mapping[str, str] | None = None,
    class_names: str | Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    stream: bool | None = None,
    allow_pickle: bool = False,
    name: str | None = None,
) -> Dataset:
    """Load a dataset and prepare it for a model.

    Keras's own loaders read or download its datasets; ``KMAGIC_OFFLINE=1`` prevents downloads.
    Where MNIST is not available, a bundled sample of 5,000 + 1,000 digits replaces it; a
    :class:`SampleDataWarning` and the ``note`` of the dataset say so.

    Args:
        source: A name: boston_housing, california_housing, mnist, fashion_mnist, cifar10,
            cifar100, imdb or reuters. A path: of a folder of images or texts, with one subfolder
            per class, possibly below ``train/`` and ``test/`` (or ``val/``); of a table, ``.csv``,
            ``.tsv``, ``.parquet`` or ``.tfrecord`` (features as columns, or images), or a list of
            such tables, which are concatenated; of an ``.npz`` file. A pandas data frame. Arrays or
            lists ``(x, y)`` or ``(x_train, y_train, x_test, y_test)``; x may also be paths of
            images, and y a dictionary of several targets by name. A ``tf.data.Dataset`` of pairs.
        flatten: Flatten each image to a vector: 28 x 28 becomes 784.
        channel: Add a channel axis to grey images: 28 x 28 becomes 28 x 28 x 1.
        scale: "255" divides pixel values by 255; "standard" gives each column of a table, or each
            channel of images, mean 0 and standard deviation 1 in the training part; None or "none"
            does not scale. Scaled inputs are float32.
        onehot: Encode labels as one-hot rows of float32.
        num_words: For text: size of the vocabulary, of the most frequent words.
        maxlen: For text: the length of a row; shorter ones are padded, longer ones cut. Texts of
            IMDB and Reuters with that many words or more are left out, as by Keras's loaders.
        padding: For text: which end of a short row is padded with zeros, "pre" (default) or
            "post".
        truncating: For text: which end of a long row is cut, "pre" (default) or "post".
        standardize: For text: how it is cleaned, by the names of Keras's TextVectorization;
            "lower_and_strip_punctuation" by default; "none" leaves it unchanged.
        words: For your own rows of word indices: the words that they stand for, so that sentences
            can be decoded and encoded. "imdb" or "reuters"; the path of a word index of that kind,
            as JSON; or a dictionary of words and ranks.
        split: Concatenate all parts and use this share, 0 to 1, as the test part; classes keep
            their proportions. None keeps the parts of a dataset, and splits off 0.2 of one
            without parts.
        seed: Seed of the split.
        size: For image files: height and width, (64, 48) or "64x48", or 64 for both; required
            where the sizes differ.
        gray: For image files: grey instead of colour.
        target: For tables: the column to predict; may be left out if one is called target, label,
            class or y. Several columns, as a list or separated by commas: numbers are several
            values to predict, 0 and 1 (True and False, yes and no) are labels. A column of lists
            of labels, such as "cat;dog", gives one column of 0 and 1 for each label.
        features: For tables: the columns to learn from; all others by default.
        drop: For tables: columns to leave out.
        missing: For tables: "mean" fills empty cells with the mean, or the most frequent word, of
            the training part; "drop" leaves such rows out. By default they are an error.
        delimiter: For tables in text files: the character between the cells, e.g. ";" or "tab".
            This and the following options are found out by default, and shown on the card.
        sep: Another name for ``delimiter``.
        decimal: For tables: the decimal sign of numbers in text, "." or ",".
        thousands: For tables: the character between groups of three digits, e.g. ".".
        na_values: For tables: words or numbers that stand for no value, as a list or separated by
            commas, besides empty cells, "NA" and the like and, between numbers, "?" or "unknown".
            "none" keeps words such as "NA" in columns of words.
        header: For tables in files: whether the first line names the columns; if not, they are
            numbered from 0.
        encoding: For tables in text files: e.g. "utf-16" or "cp1252".
        chronological: Test on the last samples instead of random ones; a table is sorted by its
            column of dates. Windows of a time series that overlap are always split in this way,
            without those that overlap with the test part.
        window: For tables: cut a time series into windows of this number of rows, sorted by the
            column of dates: x is (windows, rows, columns), with the past of the target as the last
            column. They share their rows in memory. The test part contains the last windows; those
            that share rows with it are left out.
        horizon: For windows: the number of rows after each one whose target is predicted, 1 by
            default; y is (windows,), or (windows, horizon) for several.
        stride: For windows: the number of rows from one to the next one, 1 by default.
        by: For windows: the column that tells several series apart. No window contains rows of two
            series, and all are split at the same time.
        task: "classification", "multilabel" (a sample can have several labels) or "regression",
            where the values of the target allow several. For several targets a dictionary by name.
        class_names: Names of the classes, or of the labels, in their order; likewise.
        stream: For folders of images or texts, and for tables in text and parquet files: True keeps
            the prepared data on disk and reads them in batches, for data larger than memory; False
            loads them into memory. By default the size decides. The files are in the folder
            ``TMPDIR``, or in /var/tmp, and are removed with the dataset.
        allow_pickle: Read pickled objects in an ``.npz`` file, which can run any code.
        name: Name of the dataset; that of the file or folder by default.

    Returns:
        The dataset.

    Raises:
        DataError: The source is unknown, unavailable or unreadable, or an option does not apply
            to it.

    Example:
        >>> houses = load_data("boston_housing", scale="standard", drop="B")
        >>> houses.x_train.shape, houses.x_test.shape
        ((404, 12), (102, 12))
        >>> x, y = [[1.0], [2.0], [8.0], [9.0]], ["low", "low", "high", "high"]
        >>> load_data((x, y), split=0.5).classes
        ('high', 'low')
        >>> films = load_data((x, [["drama"], ["war", "drama"], ["war"], []]), split=0.5)
        >>> films.classes, films.is_multilabel, films.y_train.shape
        (('drama', 'war'), True, (2, 2))
    """
    arguments = {option: value for option, value in locals().items() if option != "source"}
    options = validate_options(**arguments)
    if isinstance(source, str) and source.strip().lower() in KNOWN_DATASETS:
        return load_keras_dataset(source.strip().lower(), options)
    if isinstance(source, str | os.PathLike):
        return _load_path(source, options)
    return _load_values(source, options)


def variable_name(source: Any) -> str:
    """A name for what is loaded, as a valid variable name.

    Example:
        >>> variable_name("photos/my cats/"), variable_name("2024.csv"), variable_name([[1], [2]])
        ('my_cats', 'data_2024', 'data')
    """
    if not isinstance(source, str | os.PathLike):
        return "data"
    stem = Path(source).stem if Path(source).suffix else Path(source).name
    word = re.sub(r"\W+", "_", stem).strip("_").lower()
    return word if word.isidentifier() else f"data_{word}".rstrip("_")


def _load_path(source: str | os.PathLike[str], options: LoadOptions) -> Dataset:
    text = os.fspath(source)
    if is_url(text):
        raise DataError(
            f"{text} is an address, which is not downloaded.",
            f"Download it: keras.utils.get_file(origin={text!r}) returns the path of the file.",
        )
    is_word = isinstance(source, str) and not re.search(r"[/\\.~]", text)
    try:
        is_missing = is_word and not Path(text).exists()
    except OSError:  # such as a name that is too long
        is_missing = True
    if is_missing:
        raise unknown_dataset(text)
    path = existing_path(text)
    suffix = path.suffix.lower()
    folder = scan_folder(path) if path.is_dir() else None
    if folder is not None and folder.kind != "table":
        load = load_image_folder if folder.kind == "images" else load_text_folder
        return load(folder, options)
    if folder is not None or is_table_name(path):
        from kmagic.data.tables import load_tables  # noqa: PLC0415 - imports pandas

        files: list[Any] = [[path]] if folder is None else folder.parts
        return load_tables(*files, options=options)
    if suffix == ".npz":
        return arrays.load_npz(path, options)
    if "".join(path.suffixes[-2:]).lower().endswith(_ARCHIVE_SUFFIXES):
        raise DataError(
            f"{show_path(path)} is an archive.",
            f"Unpack it and pass the folder: shutil.unpack_archive({str(path)!r}).",
        )
    raise DataError(
        f"{show_path(path)} is not a kind of file that can be loaded.",
        "Pass a folder, .csv, .tsv, .parquet, .xlsx, .tfrecord or .npz. Read other files, e.g. "
        "JSON, with pandas or numpy, and pass the result: pandas.read_json(path).",
    )


def _load_values(source: Any, options: LoadOptions) -> Dataset:
    origin = "the notebook"
    name = options.name or "data"
    if arrays.is_stream(source):
        if options.class_names is None and options.task is None:
            options = replace(options, class_names=arrays.stream_class_names(source))
        return arrays.load_arrays(arrays.read_stream(source, name), options, name, "tf.data")
    items = list(source) if isinstance(source, list | tuple) else [source]
    are_frames = bool(items) and all(map(_is_frame, items))
    are_paths = bool(items) and all(isinstance(item, str | os.PathLike) for item in items)
    parts = None if are_frames or are_paths else arrays.parse_parts(source)
    if are_frames or are_paths or (parts is not None and _is_frame(parts.x_train)):
        from kmagic.data import tables  # noqa: PLC0415 - imports pandas

        if parts is not None:
            return tables.load_frame_pairs(parts, options, name, origin)
        if are_paths:
            paths = [existing_path(os.fspath(item)) for item in items]
            return tables.load_tables(paths, options=options)
        if len(items) == 2 and _are_x_and_y(*items):  # noqa: PLR2004 - x and y
            return tables.load_frame_pairs(Parts(*items), options, name, origin)
        return tables.load_frames(items, options, name, origin)
    if parts is None:
        raise DataError(
            subject="The source",
            expected="a name, a path, a data frame, a tf.data.Dataset, (x, y), or (x_train, "
            "y_train, x_test, y_test)",
            actual=Text(_describe(source)),
        )
    if _are_files(parts.x_train):
        return load_image_list(parts, options, name, origin)
    return arrays.load_arrays(parts, options, name, origin)


def _is_frame(value: Any) -> bool:
    """Whether it is a pandas data frame, without importing pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def _are_x_and_y(x: Any, y: Any) -> bool:
    """Whether these data frames are features and targets, not a training and a test part."""
    are_other = len(y.columns) == 1 or not set(x.columns) & set(y.columns)
    return len(x) == len(y) and are_other


def _are_files(x: Any) -> bool:
    """Whether these are names of files rather than texts."""
    if getattr(x, "ndim", 1) != 1 or not hasattr(x, "__iter__") or isinstance(x, str | bytes):
        return False
    check_has_values(x)
    is_number = getattr(getattr(x, "dtype", None), "kind", "") in NUMERIC_KINDS
    return not is_number and looks_like_files(list(x))


def _describe(source: Any) -> str:
    kind = type(source).__name__
    if hasattr(source, "__array__") and shape_of_data(source):
        return f"one {kind} of shape {shape_of_data(source)}, without targets"
    if isinstance(source, list | tuple):
        return f"a {kind} of {len(source):,}"
    return f"{kind} {safe_repr(source)}"[:80] if source is not None else "None"
