"""``load_data``: one door for every kind of data, by name, by path or from the notebook."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kmagic.data.images.image_paths import is_image_file
from kmagic.data.keras_datasets import SampleDataWarning, load_named
from kmagic.data.known_datasets import KNOWN_DATASETS
from kmagic.data.load_options import Options, read_options
from kmagic.data.paths import existing_path, unknown
from kmagic.support.errors import DataError
from kmagic.support.keras_cache import show_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmagic.data.dataset import Dataset

__all__ = ["SampleDataWarning", "load_data", "variable_name"]

_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
_TABLES = (".csv", ".tsv", ".tab", ".parquet", ".pq")


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
    sep: str | None = None,
    task: str | None = None,
    class_names: str | Sequence[str] | None = None,
    allow_pickle: bool = False,
    name: str | None = None,
) -> Dataset:
    """Load any data set, prepared for a model.

    Keras's own loader reads or fetches what has a name there; ``KMAGIC_OFFLINE=1`` keeps it from
    asking the network. Where MNIST cannot be had, a bundled sample of 5,000 + 1,000 real digits
    stands in, and a :class:`SampleDataWarning` and the set's ``note`` say so.

    Args:
        source: A name: boston_housing, california_housing, mnist, fashion_mnist, cifar10,
            cifar100, imdb or reuters. A path: of a folder of pictures or of texts, a folder for
            each class, perhaps below ``train/`` and ``test/`` (or ``val/``); of a table, ``.csv``,
            ``.tsv`` or ``.parquet``, or a list of such tables, which are put together; of an
            ``.npz`` file. A pandas data frame. Arrays or lists ``(x, y)`` or ``(x_train, y_train,
            x_test, y_test)``; x may also be paths of pictures. A ``tf.data.Dataset`` of pairs.
        flatten: Make each picture a vector: 28 x 28 becomes 784.
        channel: Give grey pictures an axis of channels: 28 x 28 becomes 28 x 28 x 1.
        scale: "255" divides the bytes of pictures by 255; "standard" gives each column of a
            table, or each channel of pictures, mean 0 and standard deviation 1 on the training
            part; None or "none" leaves values alone. Scaled inputs are float32.
        onehot: Make labels rows of float32 noughts and a one.
        num_words: For texts: keep so many of the most frequent words.
        maxlen: For texts: the length of a row; shorter ones are padded, longer ones cut. Of IMDB
            and Reuters texts of so many words or more are left out, as Keras's loader does.
        padding: For texts: where a short row gets its noughts, "pre" (default) or "post".
        truncating: For texts: where a long one loses words, "pre" (default) or "post".
        standardize: For texts: how they are cleaned, in the words of Keras's TextVectorization;
            by default "lower_and_strip_punctuation"; "none" leaves them as they are.
        words: For rows of word numbers of one's own: what the numbers mean, so that sentences can
            be read and given. "imdb" or "reuters"; the path of a word index of that kind, as
            JSON; or a dictionary of words and ranks.
        split: Put all parts together and take this share, 0 to 1, as the test part; classes keep
            their shares. None keeps the parts that a set has, and takes 0.2 of one without.
        seed: Seed of that division.
        size: For picture files: height and width, (64, 48) or "64x48" or 64 for both; needed
            where they are not all alike.
        gray: For picture files: grey instead of colours.
        target: For tables: the column to be predicted; not needed if one is called target, label,
            class or y.
        features: For tables: the columns to learn from; by default all others.
        drop: For tables: columns to leave out.
        missing: For tables: "mean" fills empty cells with the mean, or the most frequent word, of
            the training part; "drop" leaves such rows out. By default they are refused.
        sep: For text files of tables: what separates the cells, such as ";".
        task: "classification" or "regression", where the target's values could be both.
        class_names: Names of the classes, in the order of the labels.
        allow_pickle: Read pickled objects in an ``.npz`` file, which can run any code.
        name: What to call the set; by default after the file or folder.

    Returns:
        The data set.

    Raises:
        DataError: If the source is unknown or cannot be had or read, or an option makes no sense
            for it.

    Example:
        >>> houses = load_data("boston_housing", scale="standard", drop="B")
        >>> houses.x_train.shape, houses.x_test.shape
        ((404, 12), (102, 12))
        >>> x, y = [[1.0], [2.0], [8.0], [9.0]], ["low", "low", "high", "high"]
        >>> load_data((x, y), split=0.5).classes
        ('high', 'low')
    """
    options = read_options(
        flatten=flatten,
        channel=channel,
        scale=scale,
        onehot=onehot,
        num_words=num_words,
        maxlen=maxlen,
        padding=padding,
        truncating=truncating,
        standardize=standardize,
        words=words,
        split=split,
        seed=seed,
        size=size,
        gray=gray,
        target=target,
        features=features,
        drop=drop,
        missing=missing,
        sep=sep,
        task=task,
        class_names=class_names,
        allow_pickle=allow_pickle,
        name=name,
    )
    if isinstance(source, str) and source.strip().lower() in KNOWN_DATASETS:
        return load_named(source.strip().lower(), options)
    if isinstance(source, str | os.PathLike):
        return _of_path(source, options)
    return _of_values(source, options)


def variable_name(source: Any) -> str:
    """A name for what is loaded, fit for a variable.

    Example:
        >>> variable_name("photos/my cats/"), variable_name("2024.csv"), variable_name([[1], [2]])
        ('my_cats', 'data_2024', 'data')
    """
    if not isinstance(source, str | os.PathLike):
        return "data"
    stem = Path(source).stem if Path(source).suffix else Path(source).name
    word = re.sub(r"\W+", "_", stem).strip("_").lower()
    return word if word.isidentifier() else f"data_{word}".rstrip("_")


def _of_path(source: str | os.PathLike[str], options: Options) -> Dataset:
    text = os.fspath(source)
    is_word = isinstance(source, str) and not re.search(r"[/\\.~]", text)
    if is_word and not Path(text).exists():
        raise unknown(text)
    path = existing_path(text)
    if path.is_dir():
        return _of_folder(path, options)
    ending = path.suffix.lower()
    if ending in _TABLES:
        from kmagic.data.tables import load_tables  # noqa: PLC0415 - pandas is imported there

        return load_tables([path], options)
    if ending == ".npz":
        from kmagic.data.npz import load_npz  # noqa: PLC0415 - as the others: when it is needed

        return load_npz(path, options)
    if "".join(path.suffixes[-2:]).lower().endswith(_ARCHIVES):
        raise DataError(
            f"{show_path(path)} is an archive.",
            f"Unpack it and give the folder: shutil.unpack_archive({str(path)!r}).",
        )
    raise DataError(
        f"{show_path(path)} is no kind of file that holds a data set.",
        "Expected a folder, .csv, .tsv, .parquet or .npz. What pandas or numpy can read, such as "
        "Excel or JSON, is given as a data frame or as arrays: load_data(pandas.read_excel(path)).",
    )


def _of_folder(path: Path, options: Options) -> Dataset:
    from kmagic.data.folders import scan_folder  # noqa: PLC0415 - as above

    folder = scan_folder(path)
    if folder.kind == "table":
        from kmagic.data.tables import load_tables  # noqa: PLC0415 - as above

        test = folder.test.files if folder.test else None
        return load_tables(folder.train.files, options, test=test)
    if folder.kind == "pictures":
        from kmagic.data.images.image_folder import load_pictures  # noqa: PLC0415 - as above

        return load_pictures(folder, options)
    from kmagic.data.text_folder import load_texts  # noqa: PLC0415 - as above

    return load_texts(folder, options)


def _of_values(source: Any, options: Options) -> Dataset:
    """A data set from what a notebook holds."""
    from kmagic.data import arrays, frames, streams  # noqa: PLC0415 - as above

    where = "the notebook"
    called = options.name or "data"
    if streams.is_stream(source):
        if options.class_names is None and options.task is None:
            options = replace(options, class_names=streams.class_names(source))
        return arrays.from_arrays(streams.collect(source, called), options, called, "tf.data")
    if frames.is_frame(source):
        return frames.from_frames([source], options, called, where)
    if isinstance(source, list | tuple) and source and all(map(frames.is_frame, source)):
        parts = list(source)
        if len(parts) == 2 and len(parts[1].columns) == 1 and len(parts[0]) == len(parts[1]):  # noqa: PLR2004 - x and y
            return frames.from_pairs(arrays.Four(*parts), options, called, where)
        return frames.from_frames(parts, options, called, where)
    if (
        isinstance(source, list | tuple)
        and source
        and all(isinstance(each, str | os.PathLike) for each in source)
    ):
        from kmagic.data.tables import load_tables  # noqa: PLC0415 - as above

        return load_tables([existing_path(os.fspath(each)) for each in source], options)
    four = arrays.take_apart(source)
    if four is None:
        raise DataError(
            f"Nothing can be loaded from {_what(source)}.",
            "Expected a name, a path, a data frame, a tf.data.Dataset, (x, y), or (x_train, "
            "y_train, x_test, y_test).",
        )
    if frames.is_frame(four.x):
        return frames.from_pairs(four, options, called, where)
    if _are_pictures(four.x):
        from kmagic.data.images.image_folder import load_listed  # noqa: PLC0415 - as above

        return load_listed(four, options, called, where)
    return arrays.from_arrays(four, options, called, where)


def _are_pictures(x: Any) -> bool:
    """Whether these are paths of picture files."""
    if getattr(x, "ndim", 1) != 1 or not hasattr(x, "__iter__") or isinstance(x, str | bytes):
        return False
    first = next(iter(x), None)
    if not isinstance(first, str | os.PathLike) or not is_image_file(Path(first)):
        return False
    paths = (Path(each) for each in x if isinstance(each, str | os.PathLike))
    return Path(first).expanduser().is_file() and all(map(is_image_file, paths))


def _what(source: Any) -> str:
    kind = type(source).__name__
    if hasattr(source, "shape"):
        return f"one {kind} of shape {tuple(source.shape)}, without a target"
    if isinstance(source, list | tuple):
        return f"a {kind} of {len(source):,}"
    return f"{kind} {source!r}"[:80] if source is not None else "None"
