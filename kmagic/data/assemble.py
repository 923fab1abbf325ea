"""The last step of loading: scale and reshape the inputs, and encode the labels."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.load_options import leave_out
from kmagic.data.memory import require_memory
from kmagic.data.preparation.scaling import learn_scaling
from kmagic.support.errors import DataError
from kmagic.support.formatting import format_shape
from kmagic.support.messages import Option, Text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kmagic.data.dataset import Dataset
    from kmagic.data.load_options import LoadOptions

GREY_AXES = 3  # of grey images: samples, height, width


def apply_options(data: Dataset, options: LoadOptions) -> Dataset:
    """Scale, reshape and one-hot encode data that were read and split."""
    if options.onehot and data.classes is None:
        raise onehot_error(data.name)
    if options.channel and data.x_train.ndim != GREY_AXES:
        raise DataError(
            Text(
                Option("channel", True),
                f" only applies to grey images; those of {data.name} have channels: "
                f"{format_shape(data.x_train.shape[1:])}.",
            ),
            leave_out("channel"),
        )
    x_train, x_test, learned = data.x_train, data.x_test, data.scaling
    y_train, y_test = data.y_train, data.y_test
    if options.scale != "none":
        if learned.kind != "none":
            raise DataError(
                f"The images of {data.name} are divided by 255 already: their values are 0 to 1.",
                leave_out("scale"),
            )
        require_memory(
            4 * (x_train.size + x_test.size),
            f"{data.name}, scaled to float32,",
            Text(
                "Leave out ",
                Option("scale"),
                " and put a rescaling layer into the model: `rescaling {1 / 255}`.",
            ),
        )
        learned = learn_scaling(options.scale, x_train, images=data.image_shape is not None)
        x_train, x_test = learned.apply(x_train), learned.apply(x_test)
    if options.onehot and y_train.ndim == 1:
        identity = np.eye(len(data.classes or ()), dtype=np.float32)
        y_train, y_test = identity[y_train], identity[y_test]
    if options.flatten:
        x_train, x_test = x_train.reshape(len(x_train), -1), x_test.reshape(len(x_test), -1)
    elif options.channel:
        x_train, x_test = x_train[..., np.newaxis], x_test[..., np.newaxis]
    return replace(
        data, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test, scaling=learned
    )


def onehot_error(name: str) -> DataError:
    """The error for one-hot labels of data without classes."""
    return DataError(
        Text(
            Option("onehot", True),
            f" only applies to classes, but {name} has numbers to predict.",
        ),
        leave_out("onehot"),
    )


def pad_rows(rows: NDArray[Any], options: LoadOptions) -> NDArray[Any]:
    """Pad and cut rows of word indices with Keras's ``pad_sequences``, if ``maxlen`` is set."""
    if options.maxlen is None:
        return rows
    padded: NDArray[np.int32] = import_module("keras.utils").pad_sequences(
        rows,
        maxlen=options.maxlen,
        padding=options.padding or "pre",
        truncating=options.truncating or "pre",
    )
    return padded
