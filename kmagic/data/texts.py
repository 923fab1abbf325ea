"""Texts as a data set: read from files, and encoded as word indices if requested."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.assemble import apply_options
from kmagic.data.dataset import Dataset
from kmagic.data.folders import split_files
from kmagic.data.load_options import check_applies
from kmagic.data.memory import require_memory
from kmagic.data.paths import explain_read_errors
from kmagic.data.preparation.text_encoding import TextEncoding, learn_text
from kmagic.support.errors import DataError
from kmagic.support.keras_cache import show_path
from kmagic.support.progress import Progress
from kmagic.support.sentences import as_sentences

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kmagic.data.folders import DataFolder
    from kmagic.data.load_options import LoadOptions


def load_text_folder(folder: DataFolder, options: LoadOptions) -> Dataset:
    """Load a folder of texts, one per file."""
    name = options.name or folder.path.resolve().name
    check_applies(options, "text", name, "contains text")
    (train, test), classes, note = split_files(folder, options, name)
    with explain_read_errors(folder.path):
        size = sum(file.stat().st_size for part in (train, test) for file in part.files)
    require_memory(
        2 * size,
        f"{len(train.files) + len(test.files):,} texts",
        "Leave them on disk: keras.utils.text_dataset_from_directory.",
    )
    x_train, x_test, encoding = encode_texts(
        read_texts(train.files), read_texts(test.files), options
    )
    data = Dataset(
        name=name,
        x_train=x_train,
        y_train=train.y,
        x_test=x_test,
        y_test=test.y,
        classes=classes,
        source=show_path(folder.path),
        note_text=" ".join(filter(None, [folder.note, note])),
        encoding=encoding,
    )
    return apply_options(data, options)


def read_texts(files: Sequence[Path]) -> NDArray[Any]:
    """Read files in UTF-8, each as one string.

    Returns:
        (files,) strings, as objects: each takes no more memory than it needs.
    """
    texts = np.empty(len(files), dtype=object)
    with Progress(len(files), "texts") as progress:
        for index, file in enumerate(files):
            with explain_read_errors(file):
                raw = file.read_bytes()
            try:
                texts[index] = raw.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                line = raw.count(b"\n", 0, error.start) + 1
                raise DataError(
                    f"{show_path(file)} is not UTF-8: byte {raw[error.start]:#04x} in line "
                    f"{line:,}.",
                    "Save it as UTF-8, or move it out of the folder if it is not a text: "
                    f"iconv -f latin1 -t utf-8 {file.name} converts it to UTF-8.",
                ) from error
            progress.advance()
    return texts


def contains_sentences(x: Any) -> bool:
    """Whether these inputs are texts: one string per row.

    Example:
        >>> contains_sentences(["a film", "a book"]), contains_sentences([[1, 2], [3, 4]])
        (True, False)
    """
    if isinstance(x, str | bytes):
        return False
    first = x.iloc[:1] if hasattr(x, "iloc") else x
    if isinstance(first, list | tuple | np.ndarray):
        first = first[:1]
    return as_sentences(first) is not None


def to_text_array(x: Any) -> NDArray[Any]:
    """Return sentences as an array of strings, whatever contains them."""
    texts = np.empty(len(x), dtype=object)
    texts[:] = as_sentences(x)
    return texts


def encode_texts(
    x_train: NDArray[Any], x_test: NDArray[Any], options: LoadOptions
) -> tuple[NDArray[Any], NDArray[Any], TextEncoding | None]:
    """Encode sentences by a vocabulary learned from the training part.

    Returns:
        Both parts and their encoding; the parts unchanged, and None, without one.

    Example:
        >>> from kmagic.data.load_options import LoadOptions
        >>> train, test = np.array(["a film", "a book"]), np.array(["a new film"])
        >>> options = LoadOptions(num_words=5, maxlen=3)
        >>> rows, test_rows, encoding = encode_texts(train, test, options)
        >>> rows.tolist(), encoding.decode(test_rows)
        ([[0, 2, 3], [0, 2, 4]], ['a [UNK] film'])
    """
    if options.num_words is None and options.maxlen is None:
        return x_train, x_test, None
    encoding = learn_text(x_train, **options.encoding)
    return encoding.encode(x_train), encoding.encode(x_test), encoding
