"""An ``.npz`` file as a data set."""

from __future__ import annotations

import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np

from kmagic.data.arrays import from_arrays, of_names
from kmagic.data.memory import require
from kmagic.data.paths import explain_read_errors
from kmagic.support.errors import DataError
from kmagic.support.keras_cache import show_path

if TYPE_CHECKING:
    from pathlib import Path

    from kmagic.data.dataset import Dataset
    from kmagic.data.load_options import Options


def load_npz(path: Path, options: Options) -> Dataset:
    """A NumPy archive with the names that Keras's own have.

    Args:
        path: The file: x_train, y_train, x_test, y_test; or x_train, y_train; or x, y.
        options: What was asked for.

    Raises:
        DataError: It cannot be read, is cut off, holds other names, or pickled objects without
            ``allow_pickle``.
    """
    name = options.name or path.stem
    with explain_read_errors(path):
        if not path.stat().st_size:
            raise DataError(f"{show_path(path)} is empty.")
        if not zipfile.is_zipfile(path):
            raise DataError(
                f"{show_path(path)} is no .npz file, or is cut off.",
                "Write it with numpy.savez(path, x=x, y=y); a part of a download must be fetched "
                "again.",
            )
        require(
            _unpacked(path),
            show_path(path),
            "Load a part of it with numpy, or feed the model by tf.data.",
        )
        try:
            with np.load(path, allow_pickle=options.allow_pickle) as archive:
                four = of_names(archive, show_path(path))
        except DataError:
            raise
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
            raise DataError(
                f"{show_path(path)} is broken or cut off: {error}.", "Fetch or write it again."
            ) from error
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            raise DataError(
                f"{show_path(path)} holds pickled objects, which can run any code when they are "
                "read.",
                "If you trust where it came from: allow_pickle=True.",
            ) from error
    return from_arrays(four, options, name, show_path(path))


def _unpacked(path: Path) -> int:
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(each.file_size for each in archive.infolist())
    except zipfile.BadZipFile:
        return 0  # told when it is read
