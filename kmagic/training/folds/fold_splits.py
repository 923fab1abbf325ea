"""Which rows each run of a cross-validation trains on, and which it holds out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from kmagic.data.assemble import divide_labels
from kmagic.data.dataset import Dataset
from kmagic.data.target_kind import stratification
from kmagic.data.time_order import find_overlap
from kmagic.models.lint.model_advice import loss_name, loss_of_output
from kmagic.models.model_arrays import as_array, match_arrays
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import list_names, pluralize
from kmagic.support.messages import Function, Option, Part, Text
from kmagic.support.suggestions import did_you_mean
from kmagic.training.validation.fit_arguments import is_one_hot

Rows: TypeAlias = NDArray[np.intp]
Fold: TypeAlias = tuple[Rows, Rows]
"""The rows to train on, and those that are held out."""


@dataclass(frozen=True, slots=True)
class FoldPlan:
    """The folds of a cross-validation.

    Attributes:
        repeats: For each repetition its folds; None stands for separate validation data.
        kind: How the rows are divided: "stratified", "by patient", "chronological" ...
        notes: What the user should know about the folds.
    """

    repeats: Sequence[Sequence[Fold | None]]
    kind: str = ""
    notes: tuple[str, ...] = ()


def plan_folds(
    model: keras.Model,
    x: Any,
    y: Any,
    rows: int,
    *,
    folds: int,
    repeat: int = 1,
    groups: str | ArrayLike | None = None,
    chronological: bool | None = None,
    shuffle: bool = True,
    seed: int = 0,
    dataset: Dataset | None = None,
) -> FoldPlan:
    """Divide rows into folds with the splitters of scikit-learn; refuses impossible divisions.

    The options are those of :func:`kmagic.cross_validate`. The loss of the model says whether the
    targets are classes. The repetitions have the seeds ``seed``, ``seed + 1`` ...
    """
    if folds > rows:
        raise _too_many("row", rows, folds)
    gap = _time_gap(x, dataset, chronological, groups)
    labels = _class_indices(model, y, dataset)
    if labels is None and isinstance(y, dict | list | tuple):
        named, strata = None, _joint_classes(model, y, folds, dataset)
    else:
        named = strata = labels
    if gap is not None:
        fixed = _chronological_folds(rows, folds, gap)
        is_known = chronological is not None
        note = "The samples are in the order of time: each fold follows its training rows."
        notes = [*([] if is_known else [note]), *_unseen_classes(fixed, named, dataset)]
        return FoldPlan([fixed] * repeat, "chronological", tuple(notes))
    kind = "at random" if shuffle else "in their order"
    values: Any = None
    splitter: Any = KFold
    rows_of_labels = _label_rows(model, y, dataset)
    if groups is None and shuffle and rows_of_labels is not None:
        parts = [
            divide_labels(rows_of_labels, [1 / folds] * folds, np.random.default_rng(state))
            for state in range(seed, seed + repeat)
        ]
        every = [
            [(np.flatnonzero(each != fold), np.flatnonzero(each == fold)) for fold in range(folds)]
            for each in parts
        ]
        lost = _unseen_labels(every[0], rows_of_labels, dataset)
        return FoldPlan(every, "stratified by labels", tuple(lost))
    if groups is not None:
        values, kind = _group_indices(x, rows, groups, dataset)
        if (count := len(np.unique(values))) < folds:
            raise _too_many("group", count, folds)
        splitter = GroupKFold if strata is None else StratifiedGroupKFold
    elif strata is not None:
        names, counts = np.unique(strata, return_counts=True)
        if counts.min() < folds:
            name = _class_name(int(names[counts.argmin()]), dataset)
            raise _too_many("row", int(counts.min()), folds, f"Class {name}")
        kind, splitter = "stratified", StratifiedKFold
    repeats = []
    for state in range(seed, seed + repeat):
        options = {"shuffle": shuffle, "random_state": state if shuffle else None}
        own = values
        if splitter is GroupKFold:  # before scikit-learn 1.6 it cannot shuffle
            options = {}
            if shuffle:  # groups of equal size change their places
                own = np.random.default_rng(state).permutation(values.max() + 1)[values]
        repeats.append(list(splitter(folds, **options).split(np.zeros(rows), strata, own)))
    if any(not len(part) for fold in repeats for pair in fold for part in pair):
        raise TrainingError(
            f"The groups are too unequal for {folds} folds: a fold would be empty.",
            Text("Use fewer folds, for example ", Option("folds", max(folds // 2, 2)), "."),
        )
    return FoldPlan(repeats, kind, tuple(_unseen_classes(repeats[0], named, dataset)))


def _too_many(noun: str, count: int, folds: int, subject: str = "The data") -> TrainingError:
    remedy: Part = Text("Use ", Option("folds", count), ", or add rows.")
    if count < 2:  # noqa: PLR2004 - folds
        remedy = "Add rows." if noun == "row" else "Add rows of other groups."
        if subject != "The data":
            remedy = "Add rows of this class, leave it out, or merge it into another one."
    return TrainingError(
        f"{subject} has {pluralize(count, noun)}, fewer than the {folds} folds: each needs one.",
        remedy,  # type: ignore[arg-type] # no reference alone
        option="folds",
    )


# --- time -----------------------------------------------------------------------------------------


def _time_gap(
    x: Any, dataset: Dataset | None, chronological: bool | None, groups: Any
) -> int | None:
    """The rows between two parts in the order of time; None if the folds have no order."""
    if chronological is False:
        return None
    known = getattr(dataset, "time_gap", None)
    if chronological and dataset is not None and known is None:
        raise TrainingError(
            f"The rows of {dataset.name} are not in the order of time.",
            Text(
                *("Load them in this order: ", Function("load_data"), " has the option "),
                *(Option("chronological", True), "; with a test part of their own, add "),
                *(Option("split", 0.2), "."),
            ),
            option="chronological",
        )
    if groups is not None:
        if chronological or known is not None:
            raise TrainingError(
                Text(Option("groups"), " cannot be combined with the order of time."),
                Text("Leave out ", Option("groups"), ", or load data in another order."),
                option="groups",
            )
        return None
    array = None if isinstance(x, dict | list | tuple) or known is not None else as_array(x)
    if dataset is not None and (dataset.image_shape or dataset.encoding):
        array = None
    overlap = None if array is None or array.dtype == np.uint8 else find_overlap(array)
    if overlap is None:
        return 0 if chronological and known is None else known
    if not overlap.in_order:
        raise TrainingError(
            "The samples are windows of a time series that overlap and are shuffled: the rows that "
            "a fold holds out would contain steps of those that it is trained on.",
            "Keep the windows in the order of time.",
        )
    return overlap.gap


def _chronological_folds(rows: int, folds: int, gap: int) -> list[Fold]:
    size = rows // (folds + 1)
    if not size or rows - folds * size - gap < 1:
        between = f" with {pluralize(gap, 'row')} between its parts" if gap else ""
        raise TrainingError(
            f"{pluralize(rows, 'row')} are too few for {folds} chronological folds, each{between}.",
            "Use fewer folds, or more data.",
            option="folds",
        )
    return list(TimeSeriesSplit(folds, gap=gap).split(np.zeros(rows)))


# --- classes --------------------------------------------------------------------------------------


def _class_indices(model: keras.Model, y: Any, dataset: Dataset | None) -> Rows | None:
    """The class of each row; None unless each row has one."""
    if getattr(dataset, "is_multilabel", False):
        return None
    labels = None if isinstance(y, dict | list | tuple) else as_array(y)
    loss = "" if isinstance(model.loss, dict | list | tuple) else loss_name(model.loss)
    return _labels(labels, loss, getattr(dataset, "classes", None))


def _joint_classes(model: keras.Model, y: Any, folds: int, dataset: Dataset | None) -> Rows | None:
    """The combinations of classes of several targets, of which each fold gets its share.

    If there are too few rows of some, the classes of the first target; or else None.
    """
    targets = match_arrays(model, y, "outputs")
    known = getattr(dataset, "by_target", None) or {}
    labels = {}
    for part in targets:
        classes = known.get(part.name, {}).get("classes")
        own = _labels(part.array, loss_name(loss_of_output(model, part.name)), classes)
        if own is not None:
            labels[part.name] = own
    strata, _ = stratification(labels, folds)
    return (
        None if strata is None or np.unique(strata, return_counts=True)[1].min() < folds else strata
    )


def _labels(labels: Any, loss: str, classes: Any) -> Rows | None:
    has_classes = classes or "crossentropy" in loss or "hinge" in loss
    if labels is None or labels.ndim > 2 or labels.dtype.kind not in "biuf" or not has_classes:  # noqa: PLR2004 - rows
        return None
    if labels.ndim > 1 and labels.shape[1] > 1:
        if "binary" in loss or not is_one_hot(labels) or labels.max() != 1:
            return None
        labels = labels.argmax(axis=1)
    labels = labels.reshape(-1)
    if (labels != np.rint(labels)).any():  # probabilities
        return None
    return np.asarray(labels, np.intp)


def _label_rows(model: keras.Model, y: Any, dataset: Dataset | None) -> Rows | None:
    """Rows of 0 and 1, if a sample can have several labels."""
    labels = None if isinstance(y, dict | list | tuple) else as_array(y)
    if labels is None or labels.ndim != 2 or labels.dtype.kind not in "biuf":  # noqa: PLR2004 - rows
        return None
    has_loss = not isinstance(model.loss, dict | list | tuple) and "binary" in loss_name(model.loss)
    is_known = getattr(dataset, "is_multilabel", has_loss and labels.shape[1] > 1)
    return labels.astype(np.intp) if is_known and np.isin(labels, (0, 1)).all() else None


def _unseen_labels(folds: Sequence[Fold], labels: Rows, dataset: Dataset | None) -> list[str]:
    """Notes on labels that a fold holds out without training on them."""
    notes: list[str] = []
    for number, (train, held_out) in enumerate(folds, 1):
        unseen = np.flatnonzero(labels[held_out].any(axis=0) & ~labels[train].any(axis=0))
        if unseen.size:
            names = list_names([_class_name(index, dataset) for index in unseen.tolist()], 5)
            notes.append(f"Fold {number} holds out rows of {names}, but trains on none of them.")
    return notes


def _class_name(index: int, dataset: Dataset | None) -> str:
    classes = getattr(dataset, "classes", None) or ()
    return str(classes[index]) if 0 <= index < len(classes) else str(index)


def _unseen_classes(
    folds: Sequence[Fold], labels: Rows | None, dataset: Dataset | None
) -> list[str]:
    """Notes on classes that a fold holds out without training on them."""
    notes: list[str] = []
    for number, (train, held_out) in enumerate(folds, 1):
        unseen = [] if labels is None else np.setdiff1d(labels[held_out], labels[train]).tolist()
        if unseen:
            names = list_names([_class_name(index, dataset) for index in unseen], 5)
            notes.append(f"Fold {number} holds out rows of {names}, but trains on none of them.")
    return notes


# --- groups ---------------------------------------------------------------------------------------


def _group_indices(
    x: Any, rows: int, groups: str | ArrayLike, dataset: Dataset | None
) -> tuple[Rows, str]:
    """The index of each row's group, and what the rows are divided by."""
    import pandas as pd  # noqa: PLC0415 - half a second to import

    kind, name = "by group", groups
    if isinstance(name, str):
        groups, kind = _column(x, name, dataset), f"by {name}"
    codes, _ = pd.factorize(np.asarray(groups) if isinstance(groups, list | tuple) else groups)  # type: ignore[arg-type,call-overload,unused-ignore] # any array
    if len(codes) != rows:
        raise TrainingError(
            Text(Option("groups"), f" must have one value per row, {rows:,}; got {len(codes):,}."),
            "Name a column of the table, which has the rows of the training part.",
            option="groups",
        )
    if empty := int((codes < 0).sum()):
        raise TrainingError(
            Text(Option("groups"), f" has no value in {pluralize(empty, 'row')}."),
            "Fill these values, or leave the rows out.",
            option="groups",
        )
    return codes.astype(np.intp), kind


def _column(x: Any, name: str, dataset: Dataset | None) -> Any:
    """A column of the table that the data is from, for the rows of the training part."""
    features = getattr(dataset, "features", None)
    if dataset is None or features is None or x is not dataset.x_train:
        raise TrainingError(
            Text(
                Option("groups"),
                f" names a column, {name!r}, but the data is not the training part of a table.",
            ),
            "Load the table as a dataset, or pass an array with one value per row.",
            option="groups",
        )
    others = dataset.other_columns
    if others is not None and name in others.columns:
        return others[name].to_numpy()
    empty = None if dataset.empty_cells is None else dataset.empty_cells[0]
    for index, (column, values) in enumerate(features.split(x)):
        if column.name == name:
            codes = np.unique(values, axis=0, return_inverse=True)[1].reshape(-1).astype(float)
            if empty is not None:
                codes[empty[:, index]] = np.nan
            return codes
    known = [*(() if others is None else others.columns), *features.wanted]
    raise TrainingError(
        f"{dataset.name} has no column {name}; it has {list_names(known)}.",
        did_you_mean(name, known),
        option="groups",
    )
