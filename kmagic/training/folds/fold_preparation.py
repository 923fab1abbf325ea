"""What a dataset has learned from all training rows, learned again from those of a fold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.data.dataset import Dataset
from kmagic.data.preparation.columns import Columns
from kmagic.data.preparation.scaling import learn_scaling
from kmagic.data.preparation.sliding_rows import SlidingRows
from kmagic.training.folds.fold_splits import Rows


def preparation_notes(dataset: Dataset | None, x: Any) -> list[str]:
    """What is learned again in each fold, and what cannot be."""
    if dataset is None:
        return []
    is_standardized = dataset.scaling.kind == "standard"
    names = ["standardization"] if is_standardized else []
    if dataset.empty_cells is not None:
        names.append("the values of empty cells")
    notes = []
    if names and _are_inputs_of(dataset, x):
        notes.append(f"Learned in each fold from its training rows: {' and '.join(names)}.")
    elif names:
        notes.append(f"Learned from all rows, not from those of each fold: {' and '.join(names)}.")
    columns = dataset.features.columns if dataset.features and dataset.series else ()
    if any(column.fill is not None for column in columns):
        notes.append("The values of empty cells are those of all rows, not of each fold's.")
    if dataset.encoding is not None:
        notes.append("The vocabulary is that of all rows, not of each fold's.")
    return notes


def _are_inputs_of(dataset: Dataset, x: Any) -> bool:
    """Whether these are rows of the training part, with all columns in their order."""
    own = dataset.x_train
    return isinstance(x, np.ndarray) and x.shape[1:] == own.shape[1:] and x.strides == own.strides


def prepare_fold(
    dataset: Dataset | None, x: Any, train: Rows, held_out: Rows
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Inputs to train on and to hold out, prepared by the former alone; None if nothing changes.

    Filled cells, categories and standardization are learned from the rows to train on. The inputs
    are those of the dataset, or a slice of them, prepared by all rows: because standardization is
    linear, doing it again gives what the raw values would.
    """
    if dataset is None or not _are_inputs_of(dataset, x):
        return None
    if dataset.series is not None:
        return _prepare_windows(dataset, x, train, held_out)
    columns, empty = dataset.features, dataset.empty_cells_of(x)
    is_standardized = dataset.scaling.kind == "standard"
    if not is_standardized and columns is None:
        return None
    values = _learn_columns(columns, x, empty, train)
    training, other = values[train], values[held_out]
    if is_standardized:
        shape = dataset.image_shape if dataset.scaling.images and x.ndim == 2 else x.shape[1:]  # noqa: PLR2004 - flattened
        own = training.reshape(-1, *(shape or ()))
        scaling = learn_scaling("standard", own, images=dataset.scaling.images)
        training, other = scaling.apply(training), scaling.apply(other)
    return training, other


def _prepare_windows(
    dataset: Dataset, x: NDArray[Any], train: Rows, held_out: Rows
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The same for windows, whose rows are prepared once."""
    sliding, steps = SlidingRows.of(x), x.shape[1]
    if sliding is None:
        rows, step, every = x.reshape(-1, x.shape[2]), steps, 1
    else:
        rows, step, every = sliding.rows, sliding.step, sliding.every
    known = np.zeros(len(rows), dtype=bool)
    for offset in range(0, steps * every, every):
        known[train * step + offset] = True
    values = _learn_columns(dataset.features, rows, None, known)
    if dataset.scaling.kind == "standard":
        values = learn_scaling("standard", values[known]).apply(values)
    windows = values.reshape(x.shape) if sliding is None else sliding.with_rows(values)
    training, other = (windows[_without_copy(part)] for part in (train, held_out))
    return training, other


def _without_copy(rows: Rows) -> slice | Rows:
    """Rows that follow one another as a slice."""
    follow = len(rows) == rows[-1] - rows[0] + 1 and bool((np.diff(rows) == 1).all())
    return slice(rows[0], rows[-1] + 1) if follow else rows


def _learn_columns(
    columns: Columns | None,
    x: NDArray[Any],
    empty: NDArray[np.bool_] | None,
    train: Rows | NDArray[np.bool_],
) -> NDArray[Any]:
    """Rows with the empty cells and the categories as the rows to train on determine them."""
    values, start = x if columns is None else x.copy(), 0
    for index, column in enumerate(columns.columns if columns is not None else ()):
        cells = values[:, start : start + len(column.names)]
        start += len(column.names)
        absent = cells.min(axis=0)
        if empty is not None:
            known = cells[train][~empty[train, index]]
            if len(known):  # else the values of all rows remain
                cells[empty[:, index]] = _typical(known, is_number=column.kind == "number")
        if column.kind == "category":  # a word that the fold does not train on is unknown
            unknown = (cells[train] == absent).all(axis=0)
            cells[:, unknown] = absent[unknown]
    return values


def _typical(known: NDArray[Any], *, is_number: bool) -> Any:
    """The mean, or the most frequent word, which fills the empty cells of a column."""
    if is_number:
        return known.mean(axis=0, dtype=np.float64)
    words, counts = np.unique(known, axis=0, return_counts=True)
    return words[counts.argmax()]
