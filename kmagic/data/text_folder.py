"""A folder of texts as a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmagic.data.assemble import Raw, check_classes, finish
from kmagic.data.images.labelled_files import divide_files
from kmagic.data.load_options import check_kind
from kmagic.data.memory import require
from kmagic.data.paths import explain_read_errors
from kmagic.data.texts import number_texts, read_texts
from kmagic.support.keras_cache import show_path

if TYPE_CHECKING:
    from kmagic.data.dataset import Dataset
    from kmagic.data.folders import Folder
    from kmagic.data.load_options import Options


def load_texts(folder: Folder, options: Options) -> Dataset:
    """A folder of texts, one a file.

    Args:
        folder: What it holds.
        options: ``num_words``, ``maxlen`` and their like; without them texts stay as they are.

    Raises:
        DataError: A file cannot be read, or is no text in UTF-8.
    """
    name = options.name or folder.path.resolve().name
    check_kind(options, "text", name, "texts")
    (train, test), classes = divide_files(folder, options, name)
    with explain_read_errors(folder.path):
        size = sum(file.stat().st_size for part in (train, test) for file in part.files)
    require(
        2 * size,
        f"{len(train.files) + len(test.files):,} texts",
        "Leave them on the disk: keras.utils.text_dataset_from_directory.",
    )
    x_train, x_test, encoding = number_texts(
        read_texts(train.files), read_texts(test.files), options.text
    )
    notes = [folder.note, check_classes(train.labels, test.labels, classes, name)]
    raw = Raw(
        name=name,
        kind="text",
        x_train=x_train,
        y_train=train.labels,
        x_test=x_test,
        y_test=test.labels,
        classes=classes,
        source=show_path(folder.path),
        note=" ".join(filter(None, notes)),
        encoding=encoding,
    )
    return finish(raw, options)
