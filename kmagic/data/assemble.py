"""What all sources share: the division, the scaling, the shapes, and the object at the end."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.dataset import Dataset
from kmagic.data.load_options import SPLIT
from kmagic.data.memory import require
from kmagic.data.preparation import scaling
from kmagic.data.split import train_test_indices
from kmagic.support.errors import DataError
from kmagic.support.formatting import pluralize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kmagic.data.load_options import Kind, Options
    from kmagic.data.preparation.preparation import Features
    from kmagic.data.preparation.scaling import Scaling
    from kmagic.data.preparation.text_encoding import TextEncoding

GREY = 3  # axes of grey pictures: rows, height, width
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A data set as it was read, in its two parts.

    Attributes:
        kind: What a row is.
        scaling: What was done to the inputs before they came here; None for nothing.

    The others are those of :class:`~kmagic.data.dataset.Dataset`.
    """

    name: str
    kind: Kind
    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]
    classes: tuple[str, ...] | None = None
    source: str = ""
    note: str = ""
    title: str = ""
    columns: tuple[str, ...] | None = None
    target: str = ""
    scaling: Scaling | None = None
    features: Features | None = None
    encoding: TextEncoding | None = None
    lacking: str = ""
    interpolation: str = ""


def divide(
    rows: int,
    options: Options,
    name: str,
    labels: NDArray[Any] | None = None,
    classes: Sequence[str] = (),
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Positions of the training and of the test rows, both shuffled.

    Args:
        rows: How many rows there are.
        options: The share of the test part, 0.2 if none is said, and the seed.
        name: What the data are called.
        labels: The class of each row, which keeps its share in both parts.
        classes: Names of the classes.

    Raises:
        DataError: There are too few rows, or too few of a class.
    """
    if rows < 2:  # noqa: PLR2004 - one for each part
        raise DataError(
            f"{name} has {pluralize(rows, 'row')}: nothing to divide into a training and a test part."
        )
    if labels is not None:
        counts = np.bincount(labels, minlength=len(classes))
        single = [classes[at] for at in np.flatnonzero(counts == 1).tolist()]
        if single:
            raise DataError(
                f"{_listed(single, 'class', 'classes')} of {name} "
                f"{'has one row' if len(single) == 1 else 'have one row each'}: expected 2 or "
                "more, so that each part has one.",
                "Add rows, join these with another class, or leave them out; or give the training "
                "and the test part yourself.",
            )
    return train_test_indices(rows, options.split or SPLIT, options.seed, labels)


def check_classes(
    train: NDArray[Any], test: NDArray[Any], classes: Sequence[str], name: str
) -> str:
    """Compare the classes of two parts that were given.

    Args:
        train: Labels of the training part.
        test: Labels of the test part.
        classes: Names of the classes.
        name: What the data are called.

    Returns:
        What is to be noted, or "".

    Raises:
        DataError: A class is in the test part only.
    """
    in_train, in_test = (np.bincount(part, minlength=len(classes)) > 0 for part in (train, test))
    unseen = [classes[at] for at in np.flatnonzero(in_test & ~in_train).tolist()]
    if unseen:
        raise DataError(
            f"{_listed(unseen, 'class', 'classes')} of {name} "
            f"{'is' if len(unseen) == 1 else 'are'} in the test part and not in the training part: "
            "no model can learn what it never sees.",
            "Add training rows, leave these out, or give split=0.2 to divide all rows anew.",
        )
    missing = [classes[at] for at in np.flatnonzero(in_train & ~in_test).tolist()]
    if not missing:
        return ""
    return f"{_listed(missing, 'class', 'classes')} without a row in the test part."


def finish(raw: Raw, options: Options) -> Dataset:
    """Scale and shape what was read and divided.

    Raises:
        DataError: An option makes no sense for these data.
    """
    if options.onehot and raw.classes is None:
        raise DataError(
            f"onehot is for classes; {raw.name} has numbers to predict.", "Leave onehot out."
        )
    is_picture = raw.kind == "pictures"
    image_shape = tuple(map(int, raw.x_train.shape[1:])) if is_picture else None
    learned = raw.scaling or scaling.Scaling()
    x_train, x_test = raw.x_train, raw.x_test
    if options.scale != "none":
        if raw.scaling is not None:
            raise DataError(
                f"The pictures of {raw.name} have values of 0 to 1: they are divided by 255 "
                "already.",
                "Leave scale out.",
            )
        require(
            4 * (x_train.size + x_test.size),
            f"{raw.name}, scaled to float32,",
            "Leave scale out and put a rescaling layer into the model: `rescaling {1 / 255}`.",
        )
        learned = scaling.learn_scaling(options.scale, x_train, pictures=is_picture)
        x_train, x_test = learned.apply(x_train), learned.apply(x_test)
    y_train, y_test = raw.y_train, raw.y_test
    if options.onehot and y_train.ndim == 1:
        rows = np.eye(len(raw.classes or ()), dtype=np.float32)
        y_train, y_test = rows[y_train], rows[y_test]
    return Dataset(
        name=raw.name,
        x_train=_shaped(x_train, raw, options),
        y_train=y_train,
        x_test=_shaped(x_test, raw, options),
        y_test=y_test,
        classes=raw.classes,
        scaling=learned,
        note=raw.note,
        source=raw.source,
        title=raw.title,
        columns=raw.columns,
        target=raw.target,
        image_shape=image_shape,
        encoding=raw.encoding,
        features=raw.features,
        lacking=raw.lacking,
        interpolation=raw.interpolation,
    )


def padded(rows: NDArray[Any], options: Options) -> NDArray[Any]:
    """Rows of word numbers, brought to one length by Keras's ``pad_sequences`` if one is asked."""
    if options.maxlen is None:
        return rows
    pad = import_module("keras.utils").pad_sequences
    text = options.text
    found: NDArray[np.int32] = pad(
        rows, maxlen=text.maxlen, padding=text.padding, truncating=text.truncating
    )
    return found


def _shaped(x: NDArray[Any], raw: Raw, options: Options) -> NDArray[Any]:
    if options.flatten:
        return x.reshape(len(x), -1)
    if options.channel:
        if x.ndim != GREY:
            sides = " x ".join(str(side) for side in x.shape[1:])
            raise DataError(
                f"channel is for grey pictures; those of {raw.name} have their channels: {sides}.",
                "Leave channel out.",
            )
        return x[..., np.newaxis]
    return x


def _listed(names: Sequence[str], one: str, many: str) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    what = one if len(names) == 1 else many
    return f"{what[0].upper()}{what[1:]} {', '.join(names[:_SHOWN])}{more}"
