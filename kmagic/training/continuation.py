"""What a resumed run takes over from the run that it continues: settings, data, and the split."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import keras
import numpy as np

from kmagic.support.disk_arrays import is_on_disk
from kmagic.support.errors import TrainingError
from kmagic.support.messages import Option, Text
from kmagic.support.model_registry import last_call, record_for
from kmagic.training.callbacks.checkpoint import Checkpoint
from kmagic.training.fit_options import PLACES, FitOptions
from kmagic.training.run.training_run import TrainingRun

MAX_SAMPLED_ROWS = 256
"""Rows of each part that a record identifies by digest."""
MAX_VALUES = 256
"""Values per row that a digest covers, evenly spread."""
ROWS_IN_MEMORY = 10_000
"""Rows of an array on disk that are read together."""
SETTINGS = frozenset(option.name for option in fields(FitOptions)) - {
    "name",
    "resume",
    "fresh",
    "others",
    *PLACES,
}
VALIDATION_OPTIONS = frozenset({"validation_data", "validation_split"})


@dataclass(frozen=True, slots=True)
class FitCall:
    """A model's last fit, as far as a run that continues it needs it.

    ``parts`` is the data as Keras got it, with the validation data that was split off.
    """

    run: TrainingRun
    options: FitOptions
    x: Any
    y: Any
    parts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Continuation:
    """A fit that continues an earlier run.

    Attributes:
        x: The inputs: those given, or else the earlier run's.
        y: The targets, likewise.
        options: The options given, and the earlier run's for all others.
        inherited: Names of the options that are the earlier run's.
        notes: What the record of the earlier run lacks.
        fingerprint: The earlier run's.
        rows: The rows that the earlier run trained on and held out; None if they are unknown.
        keeps_split: Whether the validation options are the earlier run's.
        may_mix: Whether the caller allows training on rows that were held out.
    """

    x: Any
    y: Any
    options: FitOptions
    inherited: Sequence[str] = ()
    notes: Sequence[str] = ()
    fingerprint: str = ""
    rows: RowSample | None = None
    keeps_split: bool = True
    may_mix: bool = False

    def check_split(self, run: TrainingRun, parts: Mapping[str, Any]) -> None:
        """Report what differs from the earlier run before the first batch.

        ``parts`` is the data as :func:`split_validation` divides it.

        Raises:
            TrainingError: Rows that were held out would be trained on.
        """
        if self.inherited:
            described = self.options.described()
            values = [
                f"{name} ({described[name]})"
                if name in described
                else f"{name} {getattr(self.options, name)}".removesuffix(" True")
                for name in self.inherited
            ]
            run.add_message(f"Settings of the earlier run: {', '.join(values)}.")
        for note in self.notes:
            run.add_message(note)
        is_same = self.fingerprint == run.fingerprint
        if self.fingerprint and not is_same:
            run.add_message("The data differs from that of the earlier epochs.")
        if self.rows is None or (is_same and self.keeps_split):
            return
        training, validation = _row_digests_of(parts)
        mixed = len(self.rows.held_out.intersection(training))
        if mixed and not self.may_mix:
            cause, count = "split" if is_same else "data", len(self.rows.held_out)
            sampled = " sampled" if count == MAX_SAMPLED_ROWS else ""
            raise TrainingError(
                f"The {cause} differs from that of the earlier epochs: {mixed:,} of {count:,}"
                f"{sampled} rows that were held out for validation would be trained on, and the "
                "validation metrics would no longer measure new data.",
                Text(
                    f"Keep the {cause} of the earlier run, or pass ",
                    *(Option("checks", False), " to train on them anyway."),
                ),
            )
        if mixed:
            run.add_message("Trains on rows that the earlier epochs held out for validation.")
        elif not training:
            run.add_message(
                "The earlier epochs held out rows for validation. Whether these batches contain "
                "them is unknown."
            )
        if self.rows.trained.intersection(validation):
            run.add_message(
                "The validation metrics are too good: the validation data contains rows that the "
                "earlier epochs were trained on."
            )


def continue_run(
    model: keras.Model, x: Any, y: Any, given: Mapping[str, Any], others: Mapping[str, Any]
) -> Continuation:
    """Complete a fit with ``resume`` by the settings of the run that it continues.

    Args:
        model: The model.
        x: Its inputs, or None for those of the earlier run.
        y: Its targets.
        given: The options that the caller gave, by name.
        others: Further arguments of the model's own ``fit``.

    Raises:
        TrainingError: There is no earlier run, or something that it used has to be passed again.
    """
    options = FitOptions(**given, others=others)
    last: FitCall | None = last_call(model)
    wanted = options.resume if isinstance(options.resume, TrainingRun) else None
    folder = None if options.checkpoint is None else Checkpoint(options.checkpoint)
    if last is not None and wanted not in (None, last.run):
        last = None
    run = wanted or record_for(model).run
    if folder is not None and folder.exists and not (last and _same_folder(last, folder)):
        found = _from_record(x, given, folder.record)
    elif last is not None:
        for callback in [] if "callbacks" in given else keras.tree.flatten(last.options.callbacks):
            if isinstance(callback, keras.callbacks.CSVLogger):
                callback.append = True  # or it would overwrite the earlier epochs
        if x is None:
            x, y = last.x, last.y if y is None else y
        rows = RowSample.of(last.parts)
        found = Continuation(x, y, last.options, (), (), last.run.fingerprint, rows)
    elif run is not None:
        found = _from_record(x, given, vars(run))
        if run is not record_for(model).run:
            note = (
                "The continued run did not train this model in this process: the weights are used "
                "as they are."
            )
            own = replace(found.options, checkpoint=None)  # that folder has other weights
            found = replace(found, options=own, notes=(note, *found.notes))
    elif folder is not None:
        return Continuation(x, y, options)  # a new run in an empty folder
    else:
        raise TrainingError(
            f"{options.name or model.name} has no earlier run to continue.",
            Text("Train it without ", Option("resume"), " first; ")
            + Text("to continue in another process, use ", Option("checkpoint"), "."),
        )
    changed = found.options.changed()
    replaced = VALIDATION_OPTIONS if VALIDATION_OPTIONS & given.keys() else frozenset()
    names = [name for name in changed if name in SETTINGS - replaced and name not in given]
    completed = {name: changed[name] for name in names}
    return replace(
        found,
        x=x,
        y=y,
        options=replace(options, **completed, others={**found.options.others, **options.others}),
        inherited=tuple(name for name in names if name != "epochs"),
        keeps_split=not replaced,
        may_mix=given.get("checks") is False,
    )


def _from_record(x: Any, given: Mapping[str, Any], record: Mapping[str, Any]) -> Continuation:
    """The settings in a run's record, which lacks data and objects.

    Raises:
        TrainingError: Data that the earlier run used is not given.
    """
    kept: Mapping[str, Any] = record.get("options") or {}
    described: Mapping[str, str] = record.get("described") or {}
    known = {name: value for name, value in kept.items() if name in SETTINGS}
    if isinstance(known.get("class_weight"), Mapping):
        known["class_weight"] = {  # JSON has only texts as keys
            int(key) if str(key).isdecimal() else key: value
            for key, value in known["class_weight"].items()
        }
    others = {name: kept[name] for name in kept if name not in {*SETTINGS, *PLACES}}
    earlier = FitOptions(**{"epochs": record.get("epochs", 1), **known}, others=others)
    if x is None:
        raise TrainingError(
            "The data of the earlier run is not in its record.", "Pass the same data again."
        )
    validates = VALIDATION_OPTIONS & given.keys()
    notes = []
    for name, text in described.items():
        if name in given or (name == "validation_data" and validates):
            continue
        if name != "callbacks":
            raise TrainingError(
                Text(Option(name), f" of the earlier run ({text}) is not in its record."),
                Text("Pass ", Option(name), " again."),
                option=name,
            )
        notes.append(
            f"The callbacks of the earlier run are not in its record: {text}. "
            "Pass them again if they are needed."
        )
    rows = RowSample.from_dict(record.get("rows"))
    return Continuation(None, None, earlier, (), notes, record.get("fingerprint", ""), rows)


def _same_folder(last: FitCall, folder: Checkpoint) -> bool:
    own = last.options.checkpoint
    return own is not None and Checkpoint(own).folder.resolve() == folder.folder.resolve()


# --- rows -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RowSample:
    """Digests of some rows that a run trained on, and of some that it held out."""

    trained: frozenset[int] = frozenset()
    held_out: frozenset[int] = frozenset()

    @classmethod
    def of(cls, parts: Mapping[str, Any]) -> RowSample | None:
        """Sample the rows of a fit; None if nothing is held out or the data is not arrays.

        A row that is in both parts is left out.
        """
        training, validation = _row_digests_of(parts)
        if not training or not validation:
            return None
        both = set(training).intersection(validation)
        return cls(
            *(_sample([row for row in part if row not in both]) for part in (training, validation))
        )

    @classmethod
    def from_dict(cls, values: Any) -> RowSample | None:
        """What :meth:`to_dict` returned; None for anything else."""
        if not isinstance(values, Mapping):
            return None
        return cls(*(frozenset(values.get(name) or ()) for name in ("trained", "held_out")))

    def to_dict(self) -> dict[str, list[int]]:
        """The digests, for JSON."""
        return {"trained": sorted(self.trained), "held_out": sorted(self.held_out)}


def _row_digests_of(parts: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    """The digests of the inputs to train on, and of those that are held out."""
    held_out = parts.get("validation_data")
    return row_digests(parts["x"]), row_digests(
        held_out[0] if isinstance(held_out, tuple | list) else None
    )


def row_digests(x: Any) -> list[int]:
    """A digest per row of arrays of one length; [] for anything else.

    Numbers count by their value and not by their type.

    Example:
        >>> one, other, again = row_digests(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))
        >>> one == again, one == other
        (True, False)
    """
    import pandas as pd  # noqa: PLC0415 - slow, and needed only for a split

    length = _length(x)
    if length is None:
        return []
    leaves, columns = keras.tree.flatten(x), []
    if any(map(is_on_disk, leaves)):
        digests: list[int] = []
        for start in range(0, length, ROWS_IN_MEMORY):
            digests += row_digests([np.array(leaf[start:][:ROWS_IN_MEMORY]) for leaf in leaves])
        return digests
    for leaf in leaves:
        rows = np.asarray(leaf).reshape(length, -1)
        rows = rows[:, :: math.ceil(rows.shape[1] / MAX_VALUES) or 1]
        is_number = rows.dtype.kind in "biuf"
        columns.append(pd.DataFrame(rows.astype("float32" if is_number else "str")))
    return pd.util.hash_pandas_object(pd.concat(columns, axis=1), index=False).tolist()


def _length(x: Any) -> int | None:
    """The length of arrays; None if anything is not an array, or they differ."""
    leaves = [leaf for leaf in keras.tree.flatten(x) if leaf is not None]
    if not all(hasattr(leaf, "__array__") and getattr(leaf, "shape", ()) for leaf in leaves):
        return None
    lengths = {len(leaf) for leaf in leaves}
    return lengths.pop() if len(lengths) == 1 else None


def _sample(rows: Sequence[int]) -> frozenset[int]:
    """Some of the rows, evenly spread; the first and the last are among them."""
    indices = np.linspace(0, len(rows) - 1, min(len(rows), MAX_SAMPLED_ROWS)).astype(int)
    return frozenset(rows[index] for index in indices)
