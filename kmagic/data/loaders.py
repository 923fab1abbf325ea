"""Data sets by name: Keras's loaders, our samples where there is no network, one preparation."""

from __future__ import annotations

import os
import shutil
import warnings
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data import cache
from kmagic.data.catalogue import BY_NAME
from kmagic.data.dataset import Dataset
from kmagic.data.split import train_test
from kmagic.errors import DataError
from kmagic.keras_cache import show_path
from kmagic.preparation import scaling
from kmagic.start import start
from kmagic.suggest import did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kmagic.data.catalogue import Entry


class SampleDataWarning(UserWarning):
    """A bundled sample stands in for a data set that cannot be had now."""


@dataclass(frozen=True, slots=True)
class _Options:
    """What ``load_data`` was asked for, checked against the set."""

    flatten: bool
    channel: bool
    scale: scaling.Kind
    onehot: bool
    num_words: int | None
    maxlen: int | None
    split: float | None
    seed: int


@dataclass(frozen=True, slots=True)
class _Raw:
    """What a loader gave, before any preparation."""

    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]
    source: str
    note: str = ""


def load_data(
    name: str,
    *,
    flatten: bool = False,
    channel: bool = False,
    scale: str | float | None = None,
    onehot: bool = False,
    num_words: int | None = None,
    maxlen: int | None = None,
    split: float | None = None,
    seed: int = 0,
) -> Dataset:
    """Load a data set by name, prepared for a model.

    Keras's own loader reads or fetches it; ``KMAGIC_OFFLINE=1`` keeps it from asking the network.
    Where MNIST cannot be had, a bundled sample of 5,000 + 1,000 real digits stands in, and a
    :class:`SampleDataWarning` and the set's ``note`` say so.

    Args:
        name: boston_housing, california_housing, mnist, fashion_mnist, cifar10, cifar100, imdb
            or reuters.
        flatten: Make each picture a vector: 28 x 28 becomes 784.
        channel: Give grey pictures an axis of channels: 28 x 28 becomes 28 x 28 x 1.
        scale: "255" divides the bytes of pictures by 255; "standard" gives each column of a
            table, or each channel of pictures, mean 0 and standard deviation 1 on the training
            part; None or "none" leaves values alone. Scaled inputs are float32.
        onehot: Make labels rows of float32 noughts and a one.
        num_words: For texts: keep so many of the most frequent words.
        maxlen: For texts: leave out texts of so many words or more, as Keras's loader does, and
            pad the rest at the front to this length.
        split: Put both parts together and take this share, 0 to 1, as the test part; classes
            keep their shares. None keeps the set's own parts.
        seed: Seed of that division.

    Returns:
        The data set.

    Raises:
        DataError: If the name is unknown, an option makes no sense for the set, or the data
            cannot be had or read.

    Example:
        >>> houses = load_data("boston_housing", scale="standard")
        >>> houses.x_train.shape, houses.x_test.shape
        ((404, 13), (102, 13))
    """
    entry = _entry(name)
    options = _Options(
        flatten, channel, scaling.kind_of(scale), onehot, num_words, maxlen, split, seed
    )
    _check(entry, options)
    raw = _read(entry, options)
    return _prepare(entry, raw, options)


def _entry(name: str) -> Entry:
    if isinstance(name, str) and name.strip().lower() in BY_NAME:
        return BY_NAME[name.strip().lower()]
    guess = did_you_mean(str(name), BY_NAME)
    known = f"Known are: {', '.join(BY_NAME)}."
    raise DataError(f"There is no data set {name!r}.", f"{guess} {known}".strip())


def _check(entry: Entry, options: _Options) -> None:
    """Refuse what makes no sense for the set, before anything is loaded."""
    what = {"pictures": "pictures", "table": "a table of numbers", "text": "texts"}[entry.kind]
    _check_kind(entry, options, what)
    if options.flatten and options.channel:
        raise DataError(
            "flatten and channel exclude each other.",
            "Dense layers take flat vectors, convolutions take channels.",
        )
    if options.scale != "none" and entry.kind == "text":
        raise DataError(
            f"{entry.name} is {what}: word numbers are names, not sizes, and are not scaled.",
            "Leave scale out; an embedding layer takes them as they are.",
        )
    if options.scale == "255" and entry.kind == "table":
        raise DataError(
            f"scale=255 is for the bytes of pictures; {entry.name} is {what}.",
            'Use scale="standard".',
        )
    if options.onehot and entry.classes is None:
        raise DataError(
            f"onehot is for classes; {entry.name} has numbers to predict.", "Leave onehot out."
        )
    if options.split is not None and not 0 < options.split < 1:
        raise DataError(f"split={options.split!r}: expected a share between 0 and 1, such as 0.2.")


def _check_kind(entry: Entry, options: _Options, what: str) -> None:
    """Refuse the options of another kind of set."""
    for kind, plural, names in (
        ("pictures", "pictures", ("flatten", "channel")),
        ("text", "texts", ("num_words", "maxlen")),
    ):
        for name in names:
            value = getattr(options, name)
            if value is None or value is False:
                continue
            if kind != entry.kind:
                raise DataError(
                    f"{name} is for {plural}; {entry.name} is {what}.", f"Leave {name} out."
                )
            if kind == "text" and (value is True or not isinstance(value, int) or value < 1):
                raise DataError(f"{name}={value!r}: expected a whole number above 0.")


def _read(entry: Entry, options: _Options) -> _Raw:
    """The set by Keras's loader or, where it cannot be had, the sample."""
    if entry.brought:
        _bring(entry)
    try:
        return _by_keras(entry, options)
    except cache.NotHereError as absent:
        if entry.sample:
            return _sample(entry, absent)
        raise DataError(
            f"{entry.name} cannot be loaded: {absent}.", cache.what_to_do(entry.files)
        ) from absent


def _by_keras(entry: Entry, options: _Options) -> _Raw:
    keywords: dict[str, Any] = {}
    if entry.kind == "text":
        keywords = {"num_words": options.num_words, "maxlen": options.maxlen}

    def load() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        start()
        module = import_module("keras.datasets")
        parts: tuple[tuple[Any, Any], tuple[Any, Any]] = getattr(module, entry.name).load_data(
            **keywords
        )
        return parts

    (x_train, y_train), (x_test, y_test) = cache.through_keras(entry.files, load)
    source = f"Keras's cache, {show_path(cache.path_of(entry.files[0]).parent)}"
    return _Raw(x_train, y_train, x_test, y_test, source)


def _bring(entry: Entry) -> None:
    """Put the file that the package brings where Keras would put it after fetching it."""
    path = cache.path_of(entry.files[0])
    if path.exists():
        return
    half = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with as_file(files("kmagic.data").joinpath("samples", entry.brought)) as own:
            shutil.copyfile(own, half)
        half.replace(path)
    except OSError:
        # Keras then fetches it itself, or says why the folder will not do.
        half.unlink(missing_ok=True)


def _sample(entry: Entry, absent: cache.NotHereError) -> _Raw:
    with (
        as_file(files("kmagic.data").joinpath("samples", entry.sample)) as own,
        np.load(own, allow_pickle=False) as part,
    ):
        raw = _Raw(
            part["x_train"],
            part["y_train"],
            part["x_test"],
            part["y_test"],
            "the sample that kmagic brings",
        )
    rows = len(raw.x_train) + len(raw.x_test)
    todo = cache.what_to_do_briefly(entry.files)
    note = f"Only a sample of {rows:,} real rows: {absent}. {todo}"
    warnings.warn(f"{entry.name}: {note}", SampleDataWarning, stacklevel=4)
    return replace(raw, note=note)


def _prepare(entry: Entry, raw: _Raw, options: _Options) -> Dataset:
    """Divide, scale and shape what was read."""
    y_train, y_test = np.ravel(raw.y_train), np.ravel(raw.y_test)
    x_train, x_test = raw.x_train, raw.x_test
    if entry.kind == "text" and options.maxlen is not None:
        x_train, x_test = _padded(x_train, options.maxlen), _padded(x_test, options.maxlen)
    if options.split is not None:
        x, y = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
        labels = None if entry.classes is None else y
        train, test = train_test(len(x), options.split, options.seed, labels)
        x_train, y_train, x_test, y_test = x[train], y[train], x[test], y[test]

    is_picture = entry.kind == "pictures"
    picture_shape = x_train.shape[1:] if is_picture else None
    learned = scaling.Scaling()
    if options.scale != "none":
        learned = scaling.learn(options.scale, x_train, pictures=is_picture)
    shape = partial(_shaped, name=entry.name, options=options)
    if options.onehot:
        y_train, y_test = (
            np.eye(len(entry.classes or ()), dtype=np.float32)[y] for y in (y_train, y_test)
        )
    return Dataset(
        name=entry.name,
        x_train=shape(learned.apply(x_train)),
        y_train=y_train,
        x_test=shape(learned.apply(x_test)),
        y_test=y_test,
        classes=entry.classes,
        scaling=learned,
        note=_note(entry, raw, options),
        source=raw.source,
        title=entry.title,
        columns=entry.columns,
        target=entry.target,
        picture_shape=picture_shape,
    )


def _note(entry: Entry, raw: _Raw, options: _Options) -> str:
    notes = [raw.note, entry.remark]
    if options.maxlen is not None:
        notes.append(f"Texts of {options.maxlen:,} words or more are left out (maxlen).")
    return " ".join(filter(None, notes))


def _shaped(x: NDArray[Any], *, name: str, options: _Options) -> NDArray[Any]:
    if options.flatten:
        return x.reshape(len(x), -1)
    if options.channel:
        grey = 3
        if x.ndim != grey:
            sides = " x ".join(str(side) for side in x.shape[1:])
            raise DataError(
                f"channel is for grey pictures; those of {name} have their channels: {sides}.",
                "Leave channel out.",
            )
        return x[..., np.newaxis]
    return x


def _padded(rows: NDArray[Any], maxlen: int) -> NDArray[np.int32]:
    pad = import_module("keras.utils").pad_sequences
    padded: NDArray[np.int32] = pad(rows, maxlen=maxlen)
    return padded
