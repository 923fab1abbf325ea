"""The result of a search for wrong labels: candidates, decisions about them, corrected data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kmagic.data.dataset import Dataset, find_dataset
from kmagic.evaluation.confusion.label_arrays import (
    ROUNDING,
    ClassNames,
    Label,
    as_label_array,
    read_labels_and_predictions,
)
from kmagic.evaluation.confusion.multilabel import has_several_labels
from kmagic.evaluation.labels.confident_learning import (
    SCORES,
    ConfidentJoint,
    Floats,
    Labels,
    find_issues,
)
from kmagic.evaluation.labels.near_duplicates import Duplicates, find_duplicates
from kmagic.evaluation.prediction.model_inputs import decode_samples
from kmagic.evaluation.prediction.row_predictions import check_samples, reject_other_names
from kmagic.models.model_arrays import as_array, sparse_rows
from kmagic.support.data_values import reject_masked
from kmagic.support.disk_arrays import convert_rows, is_on_disk
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import format_count, list_names, pluralize
from kmagic.support.messages import Function, Option, Text
from kmagic.support.rendering import Renderable
from kmagic.support.suggestions import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Action: TypeAlias = Literal["keep", "relabel", "drop"]
PARTS = ("train", "test")
MAX_DEVIATION = 0.01  # of a sum of probabilities from 1
WEAK = 0.8  # accuracy below which many candidates are errors of the model
DONE = {"keep": "kept", "relabel": "relabelled", "drop": "dropped"}
USE_ERRORS = Text("For values, use ", Function("errors_of"), ", which shows the largest errors.")
"""The remedy for regression."""


class Decision(NamedTuple):
    """What the user has decided about a row; ``label`` is the index of its class afterwards."""

    action: Action
    label: int


class LabelNoise(NamedTuple):
    """How many labels are probably wrong.

    ``share`` and ``interval`` are from 0 to 1; the interval of 95 % is a bootstrap over samples.
    ``matrix`` has the probability of each given class (rows) for each true class (columns).
    ``pairs`` has a row for each given and other class: the estimated number of such rows, their
    share of the given class, and the candidates.
    """

    share: float
    interval: tuple[float, float]
    matrix: pd.DataFrame
    pairs: pd.DataFrame


@dataclass(eq=False, repr=False)
class LabelErrors(Renderable):
    """Samples whose label is probably wrong, and what is decided about them.

    A row is an index into the data that was searched; where both parts of a dataset were searched,
    the part is given beside it. Nothing changes the data itself: :attr:`data` is a new dataset.

    Attributes:
        given_labels: The labels as they are in the data; :attr:`y` has those after the decisions.
        given: The index of the class of each row, (n,).
        probabilities: The out-of-sample probability of each class, (n, classes).
        classes: Names of the classes.
        class_ids: What the labels call them: ids or strings.
        checked: Which rows were searched, (n,); all but those without a prediction.
        sizes: The number of rows of each part, by its name; "" for arrays.
        inputs: The inputs, samples first; None if they are unknown.
        dataset: The dataset of the rows; None for arrays.
        score: The score by which candidates are sorted.
        name: The model's name.
        method: Where the probabilities are from, as a clause.
        messages: What a reader should know, in sentences.
        decisions: What was decided, by row (of all parts one after the other).

    Example:
        >>> from kmagic import find_label_errors
        >>> odds = [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.1, 0.9]]
        >>> labels = find_label_errors(y=[0, 0, 0, 1], probabilities=odds)
        >>> labels.indices.tolist()
        [2]
        >>> labels.relabel(2)
        >>> labels.y.tolist(), labels.mask.tolist()
        ([0, 0, 1, 1], [True, True, True, True])
    """

    renderer: ClassVar[str] = "kmagic.display.labels.label_card:label_errors_bundle"

    given_labels: NDArray[Any]
    given: Labels
    probabilities: Floats
    classes: tuple[str, ...]
    _: KW_ONLY
    class_ids: tuple[Label, ...]
    checked: NDArray[np.bool_]
    sizes: dict[str, int]
    inputs: Any = None
    dataset: Dataset | None = None
    score: str = "self_confidence"
    name: str = ""
    method: str = "given probabilities"
    messages: list[str] = field(default_factory=list)
    decisions: dict[int, Decision] = field(default_factory=dict)
    _history: list[dict[int, Decision | None]] = field(default_factory=list, init=False)

    # --- candidates ---------------------------------------------------------------------------

    @cached_property
    def joint(self) -> ConfidentJoint:
        """The confident joint of the rows that were searched."""
        return ConfidentJoint.of(self.given[self.checked], self.probabilities[self.checked])

    @cached_property
    def scores(self) -> Floats:
        """The score of each label, (n,): low if it is probably wrong; NaN where not searched."""
        scores = SCORES[self.score](self.given, self.probabilities)
        return np.where(self.checked, scores, np.nan)

    @cached_property
    def candidates(self) -> NDArray[np.intp]:
        """The rows whose label is probably wrong, of all parts, the lowest score first."""
        rows = np.flatnonzero(self.checked)
        issues = find_issues(self.given[rows], self.probabilities[rows], self.joint)
        found = rows[issues]
        return np.asarray(found[np.argsort(self.scores[found])])

    @property
    def indices(self) -> NDArray[np.intp]:
        """The candidates as rows of their part, the lowest score first."""
        return np.array([self.place(row)[1] for row in self.candidates], np.intp)

    @cached_property
    def suggested(self) -> Labels:
        """For each row the most probable class other than the given one, (n,)."""
        others = self.probabilities.copy()
        np.put_along_axis(others, self.given[:, None], -np.inf, axis=1)
        return np.asarray(others.argmax(axis=1))

    @cached_property
    def duplicates(self) -> Duplicates:
        """Rows with (nearly) the same input as a candidate."""
        data = self.dataset or find_dataset(self.inputs, with_test=True)
        encoding = getattr(data, "encoding", None)
        rows = self.candidates.tolist()
        return find_duplicates(self.inputs, rows, has_distances=encoding is None)

    @cached_property
    def noise(self) -> LabelNoise:
        """The estimated share of wrong labels, and the classes that they are mistaken for."""
        import pandas as pd  # noqa: PLC0415 - half a second

        counts, names = self.joint.calibrated, list(self.classes)
        whole = np.maximum(counts.sum(axis=0), 1)
        matrix = pd.DataFrame(counts / whole, index=names, columns=names)
        found, rows = np.zeros_like(counts), self.candidates
        np.add.at(found, (self.given[rows], self.suggested[rows]), 1)
        given, other = np.nonzero((counts + found) * (1 - np.eye(len(names), dtype=np.intp)))
        columns = {
            "given": np.array(names, object)[given],
            "suggested": np.array(names, object)[other],
            "estimated": counts[given, other],
            "share": counts[given, other] / np.maximum(self.joint.support[given], 1),
            "candidates": found[given, other],
        }
        table = pd.DataFrame(columns).sort_values(
            ["estimated", "candidates"], ascending=False, kind="stable", ignore_index=True
        )
        return LabelNoise(self.joint.noise, self.joint.noise_interval(), matrix, table)

    @cached_property
    def x(self) -> Any:
        """The samples as they are shown; None if they are unknown."""
        data = self.dataset or find_dataset(self.inputs, with_test=True)
        return None if self.inputs is None else decode_samples(data, self.inputs)

    def to_frame(self) -> pd.DataFrame:
        """One row per candidate, the lowest score first, then other rows with a decision.

        Columns are ``part`` (of a dataset), ``index`` (in the part), ``given`` and ``suggested``
        class with their probabilities ``p_given`` and ``p_suggested``, ``score``, ``duplicates``
        (rows with nearly the same input, with their part if there are two), ``conflicting``
        (whether one of these has another label), ``decision`` and the ``label`` after it.
        """
        import pandas as pd  # noqa: PLC0415 - half a second

        several = len(self.parts) > 1
        rows = []
        for row in [*self.candidates.tolist(), *sorted({*self.decisions} - {*self.candidates})]:
            part, index = self.place(row)
            given, suggested = int(self.given[row]), int(self.suggested[row])
            others = self.duplicates.of(row)
            decision = self.decisions.get(row)
            label = None if decision is None or decision.action == "drop" else decision.label
            rows.append({
                **({"part": part} if part else {}),
                "index": index,
                "given": self.classes[given],
                "suggested": self.classes[suggested],
                "p_given": self.probabilities[row, given],
                "p_suggested": self.probabilities[row, suggested],
                "score": self.scores[row],
                "duplicates": [self.place(k) if several else self.place(k)[1] for k in others],
                "conflicting": any(self.given[k] != given for k in others),
                "decision": decision.action if decision else "",
                "label": "" if label is None else self.classes[label],
            })  # fmt: skip
        return pd.DataFrame(rows) if rows else pd.DataFrame({"index": [], "given": []})

    # --- rows ---------------------------------------------------------------------------------

    @property
    def parts(self) -> list[str]:
        """The parts that were searched; "" for arrays."""
        return [part for part, rows in self.ranges() if self.checked[rows].any()]

    def ranges(self) -> Iterator[tuple[str, slice]]:
        """Each part, and its rows among those of all parts."""
        start = 0
        for part, size in self.sizes.items():
            yield part, slice(start, start + size)
            start += size

    def place(self, row: int) -> tuple[str, int]:
        """The part of a row, and its index there."""
        part, rows = next((p, r) for p, r in self.ranges() if row < r.stop)
        return part, int(row - rows.start)

    def _rows(self, i: ArrayLike, part: str | None) -> list[int]:
        searched = self.parts
        if part is None:
            part = searched[0] if searched else ""
        rows = dict(self.ranges()).get(part)
        if rows is None:
            known = " or ".join(repr(name) if name else "left out" for name in self.sizes)
            raise EvaluationError(option="part", expected=known, actual=part)
        size = self.sizes[part]
        indices = np.atleast_1d(np.asarray(i))
        are_rows = indices.ndim == 1 and indices.dtype.kind in "iu"
        if not (are_rows and ((indices >= 0) & (indices < size)).all()):
            expected = f"a row from 0 to {size - 1:,}, or several"
            raise EvaluationError(option="i", expected=expected, actual=i)
        return [int(k) + rows.start for k in indices]

    # --- decisions ----------------------------------------------------------------------------

    def keep(self, i: ArrayLike, *, part: str | None = None) -> None:
        """Decide that the label of a row, or of several, is right.

        Args:
            i: The row, as in :attr:`indices`.
            part: "train" or "test", where both parts were searched. Default: the first of them.
        """
        self.decide({k: Decision("keep", int(self.given[k])) for k in self._rows(i, part)})

    def relabel(self, i: ArrayLike, label: Any = None, *, part: str | None = None) -> None:
        """Change the label of a row, or of several.

        Args:
            i: The row, as in :attr:`indices`.
            label: The class, by its name or id. Default: the suggested class of each row.
            part: As in :meth:`keep`.
        """
        new = None if label is None else self._class_index(label)
        rows = self._rows(i, part)
        self.decide({
            k: Decision("relabel", int(self.suggested[k]) if new is None else new) for k in rows
        })  # fmt: skip

    def drop(self, i: ArrayLike, *, part: str | None = None) -> None:
        """Decide to leave a row, or several, out of the data.

        Args:
            i: The row, as in :attr:`indices`.
            part: As in :meth:`keep`.
        """
        self.decide({k: Decision("drop", int(self.given[k])) for k in self._rows(i, part)})

    def undo(self) -> list[int]:
        """Take the last decision back.

        Returns:
            The rows that it was about, as in :attr:`indices`; none if there is no decision.
        """
        before = self._history.pop() if self._history else {}
        for row, decision in before.items():
            if decision is None:
                del self.decisions[row]
            else:
                self.decisions[row] = decision
        return [self.place(row)[1] for row in before]

    def decide(self, decisions: dict[int, Decision]) -> None:
        """Store decisions by row of all parts; together they are one step of :meth:`undo`."""
        self._history.append({row: self.decisions.get(row) for row in decisions})
        for row, decision in decisions.items():
            if decision.action == "relabel" and decision.label == self.given[row]:
                self.decisions[row] = Decision("keep", decision.label)
            else:
                self.decisions[row] = decision

    def _class_index(self, label: Any) -> int:
        if isinstance(label, str) and label in self.classes:
            return self.classes.index(label)
        is_id = isinstance(label, int | np.integer) and not isinstance(label, bool)
        if is_id and int(label) in self.class_ids:
            return self.class_ids.index(int(label))
        remedy = did_you_mean(str(label), self.classes)
        expected = "the name or the id of a class"
        raise EvaluationError("", remedy, option="label", expected=expected, actual=label)

    # --- the corrected data -------------------------------------------------------------------

    @property
    def y(self) -> NDArray[Any]:
        """The labels after the decisions, in their original form, also of dropped rows."""
        changed = {k: d.label for k, d in self.decisions.items() if d.action == "relabel"}
        rows, new, y = list(changed), list(changed.values()), self.given_labels
        if y.ndim > 1 and y.shape[1] > 1:
            values = np.eye(y.shape[1], dtype=y.dtype)[new]
        else:
            are_names = y.dtype.kind in "OUS" and isinstance(y.flat[0], str | bytes)
            known = np.array(self.classes if are_names else self.class_ids)
            values = known[new].reshape(len(rows), *y.shape[1:])
            if y.dtype.kind in "US":  # a name may be longer than all others
                y = y.astype(np.result_type(y.dtype, known.astype(y.dtype.kind).dtype))
        y = y.copy()
        y[rows] = values
        return y

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which rows remain after the decisions, (n,)."""
        mask = np.ones(len(self.given_labels), dtype=bool)
        mask[[k for k, decision in self.decisions.items() if decision.action == "drop"]] = False
        return mask

    @property
    def data(self) -> Dataset:
        """A new dataset with the decisions applied; the preparation is that of the original.

        Raises:
            EvaluationError: The rows are not those of a dataset, or a part would become empty.
        """
        if self.dataset is None:
            raise EvaluationError(
                "The labels were given as arrays, not as a dataset.",
                "Use the arrays: `x[labels.mask]` and `labels.y[labels.mask]`.",
            )
        return _changed_dataset(self.dataset, self)

    def describe_decisions(self) -> str:
        """The number of decisions of each kind: "3 relabelled, 1 dropped"; "" without any."""
        counts = Counter(decision.action for decision in self.decisions.values())
        return ", ".join(f"{counts[k]:,} {DONE[k]}" for k in get_args(Action) if counts[k])

    @cached_property
    def accuracy(self) -> float:
        """The share of the searched labels that are the most probable class."""
        predicted = self.probabilities[self.checked].argmax(axis=1)
        return float((predicted == self.given[self.checked]).mean())

    @property
    def is_uncertain(self) -> bool:
        """Whether the model errs so often that many candidates and estimates are its errors."""
        return self.accuracy < WEAK

    def describe(self) -> str:
        """How many labels are probably wrong: "42 of 6,000 labels are probably wrong"."""
        checked = int(self.checked.sum())
        share = f" ({len(self.candidates) / checked:.1%})" if len(self.candidates) else ""
        count = format_count(len(self.candidates))
        verb = "is probably" if len(self.candidates) == 1 else "are probably"
        verb = "may be" if self.is_uncertain else verb
        return f"{count} of {pluralize(checked, 'label')} {verb} wrong{share}"

    def __repr__(self) -> str:
        name = self.dataset.name if self.dataset is not None else self.name
        decided = self.describe_decisions()
        heading = f"{name}: " if name else ""
        return f"{heading}{self.describe()}; {self.method}" + (f"; {decided}" if decided else "")


def label_errors(
    y: Any,
    probabilities: Any,
    *,
    inputs: Any = None,
    sizes: dict[str, int] | None = None,
    checked: NDArray[np.bool_] | None = None,
    dataset: Dataset | None = None,
    class_names: ClassNames | None = None,
    score: str = "self_confidence",
    **described: Any,
) -> LabelErrors:
    """Search labels by probabilities; :func:`kmagic.find_label_errors` documents the arguments."""
    if score not in SCORES:
        expected, remedy = " or ".join(map(repr, SCORES)), did_you_mean(str(score), SCORES)
        raise EvaluationError("", remedy, option="score", expected=expected, actual=score)
    reject_other_names(y, probabilities, (Option("y"), Option("probabilities")))
    reject_masked(probabilities, "probabilities")
    given = np.asarray(y)
    checked = np.ones(len(given), dtype=bool) if checked is None else checked
    columns = [str(name) for name in getattr(probabilities, "columns", ())]
    if (values := as_array(sparse_rows(probabilities))) is None:
        expected = f"{len(given):,} rows of probabilities, shape (n, classes)"
        raise EvaluationError(option="probabilities", expected=expected, actual=probabilities)
    if len(values) != len(given):
        counts = f"{len(given):,} labels and {len(values):,} probabilities"
        raise EvaluationError(f"Each label needs probabilities; got {counts}.")
    table = _as_table(values, checked)
    if has_several_labels(given, table):
        raise EvaluationError(
            "Wrong labels can be found for one class per sample; these have several labels.",
            "Search one label at a time: kmagic.find_label_errors(y=y[:, 0], "
            "probabilities=p[:, 0]).",
        )
    reject_values(given)
    scores = np.where(checked[:, None], table, 0)
    read = read_labels_and_predictions(given, scores, class_names=class_names, argument="y")
    names = list(read.class_names)
    if columns != names and sorted(columns) == sorted(names):
        raise EvaluationError(
            Text(Option("probabilities"), f" has the classes in the order {list_names(columns)}."),
            f"Put the columns in the order of the classes: `probabilities[{names!r}]`.",
        )
    sums = table[checked].sum(axis=1)
    if not np.allclose(sums, 1, atol=MAX_DEVIATION):
        total = f"sum to {sums.min():.2f} to {sums.max():.2f}"
        warning = f"The probabilities of a row {total} instead of 1. They are used as given."
        described["messages"] = [*described.get("messages", ()), warning]
    if len(np.unique(read.true[checked])) < 2:  # noqa: PLR2004 - classes
        raise EvaluationError(
            "All labels are of one class: there is no other class to compare with."
        )
    are_parts = isinstance(inputs, list | tuple) and len(inputs) != len(given)
    if isinstance(inputs, dict) or (are_parts and all(hasattr(part, "shape") for part in inputs)):
        inputs = None  # several inputs: a candidate is shown by its row alone
    inputs = sparse_rows(inputs)
    check_samples(inputs, len(given))
    return LabelErrors(
        given,
        read.true,
        table,
        read.class_names,
        class_ids=read.class_ids,
        checked=checked,
        sizes=sizes or {"": len(given)},
        inputs=inputs,
        dataset=dataset,
        score=score,
        **described,
    )


def reject_values(y: Any) -> None:
    """Refuse the targets of a regression."""
    array = np.asarray(y)
    if array.dtype.kind == "f" and np.isfinite(array).all() and (array % 1 != 0).any():
        raise EvaluationError(
            "Wrong labels can be found in classes; these targets are values.", USE_ERRORS
        )


def _as_table(probabilities: Any, checked: NDArray[np.bool_]) -> Floats:
    """One probability per class and row, (n, classes)."""
    table = as_label_array(probabilities[checked], "probabilities")
    convert = "expit(logits)" if table.ndim == 1 else "softmax(logits, axis=1)"
    remedy = f"Convert logits first: scipy.special.{convert}."
    what = f"{table.dtype}"
    if table.dtype.kind != "f":
        remedy = "Predicted classes are not enough: pass what model.predict returns."
    elif table.min() < 0 or table.max() > 1 + ROUNDING:
        what = f"values from {table.min():g} to {table.max():g}"
    else:
        what = ""
    if what:
        raise EvaluationError(
            option="probabilities",
            expected="probabilities from 0 to 1, of shape (n, classes)",
            actual=Text(what),
            remedy=remedy,
        )
    table = np.minimum(table, 1)
    table = np.column_stack([1 - table, table]) if table.ndim == 1 else table
    if len(checked) == len(table):
        return table.astype(np.float64)
    whole = np.full((len(checked), table.shape[1]), np.nan)
    whole[checked] = table
    return whole


def _changed_dataset(data: Dataset, result: LabelErrors) -> Dataset:
    """A dataset without the rows that are dropped, and with the labels that are changed."""
    if data.series is not None:
        raise EvaluationError(
            f"The samples of {data.name} are windows, which share the rows of a table.",
            "Change the table, or train on arrays: `x[labels.mask]`, `labels.y[labels.mask]`.",
        )
    y, mask = result.y, result.mask
    values: dict[str, Any] = {}
    empty = list(data.empty_cells or ())
    parts = dict(result.ranges())
    for side, part in enumerate(PARTS):
        x, labels = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
        kept = np.arange(len(x))
        if part in result.sizes:
            labels, kept = y[parts[part]], np.flatnonzero(mask[parts[part]])
            if not len(kept) and len(x):
                raise EvaluationError(
                    f"All rows of the {part} part would be dropped.", "Undo some."
                )
        values |= {f"x_{part}": _take(x, kept), f"y_{part}": labels[kept]}
        if empty:
            empty[side] = empty[side][kept]
        if part == "train" and data.other_columns is not None:
            values["other_columns"] = data.other_columns.iloc[kept]
    changes = result.describe_decisions() or "no decision yet"
    note = f"Labels of {data.name} checked: {changes}."
    note_text = Text(data.note_text, " ", note) if data.note_text else note
    values |= {"empty_cells": tuple(empty) or None, "name": f"{data.name}_checked"}
    return replace(data, **values, note_text=note_text)


def _take(x: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[Any]:
    """A copy of some rows, on disk if they are there: a dataset is known by its memory."""
    if is_on_disk(x):
        return convert_rows(rows, lambda part: x[part], row_bytes=x[:1].nbytes)
    return x[rows]
