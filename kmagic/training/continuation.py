"""What a resumed run takes over from the run that it continues: settings, data, and the split."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from typing import Any, NoReturn

import keras
import numpy as np

from kmagic.support.errors import TrainingError
from kmagic.support.messages import Option, Text
from kmagic.support.model_registry import last_call, record_for
from kmagic.training.callbacks.checkpoint import Checkpoint
from kmagic.training.fit_inputs import split_index
from kmagic.training.fit_options import FitOptions
from kmagic.training.run.training_run import TrainingRun

MAX_SAMPLED_ROWS = 256
"""Rows of each part that a record identifies by digest."""
MAX_VALUES = 1024
"""Values per row that a digest covers, evenly spread."""
CHUNK_ROWS = 4096
SETTINGS = frozenset(option.name for option in fields(FitOptions)) - {
    "name",
    "resume",
    "fresh",
    "others",
}
VALIDATION_OPTIONS = frozenset({"validation_data", "validation_split"})


@dataclass(frozen=True, slots=True)
class FitCall:
    """A model's last fit, as far as a run that continues it needs it.

    Attributes:
        run: Its record.
        options: Its options.
        x: Its inputs.
        y: Its targets.
        arguments: The data as Keras got it.
    """

    run: TrainingRun
    options: FitOptions
    x: Any
    y: Any
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Continuation:
    """A fit that continues an earlier run.

    Attributes:
        x: The inputs: those given, or else the earlier run's.
        y: The targets, likewise.
        options: The options given, and the earlier run's for all others.
        inherited: Names of the options that are the earlier run's.
        lost: Callbacks of the earlier run that its record does not contain, as text.
        fingerprint: The earlier run's.
        rows: The rows that the earlier run trained on and held out; None if they are unknown.
        is_foreign: Whether it is the run of another model, or was loaded.
        keeps_split: Whether the validation options are the earlier run's.
        may_mix: Whether the caller allows training on rows that were held out.
    """

    x: Any
    y: Any
    options: FitOptions
    inherited: Sequence[str] = ()
    lost: str = ""
    fingerprint: str = ""
    rows: RowSample | None = None
    is_foreign: bool = False
    keeps_split: bool = True
    may_mix: bool = False

    def check_split(self, run: TrainingRun, arguments: Mapping[str, Any]) -> None:
        """Report what differs from the earlier run before the first batch.

        Raises:
            TrainingError: Rows that were held out would be trained on.
        """
        if self.inherited:
            values = [_setting(self.options, name) for name in self.inherited]
            run.add_message(f"Settings of the earlier run: {', '.join(values)}.")
        if self.is_foreign:
            run.add_message(
                "The continued run did not train this model in this process: the weights are used "
                "as they are."
            )
        if self.lost:
            run.add_message(
                f"The callbacks of the earlier run are not in its record: {self.lost}. "
                "Pass them again if they are needed."
            )
        is_same = self.fingerprint == run.fingerprint
        if self.fingerprint and not is_same:
            run.add_message("The data differs from that of the earlier epochs.")
        if self.rows is None or (is_same and self.keeps_split):
            return
        training, validation = split_inputs(arguments)
        mixed = _count_known(self.rows.held_out, training)
        if mixed and not self.may_mix:
            _reject_mixed(mixed, len(self.rows.held_out), "split" if is_same else "data")
        if mixed:
            run.add_message("Trains on rows that the earlier epochs held out for validation.")
        if _count_known(self.rows.trained, validation):
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
    if folder is not None and folder.exists and not (last and _same_folder(last, folder)):
        return _continue_record(x, y, options, given, folder.record)
    if last is not None:
        return _continue_call(x, y, options, given, last)
    run = wanted or record_for(model).run
    if run is not None:
        continuation = _continue_record(x, y, options, given, vars(run))
        return replace(continuation, is_foreign=run is not record_for(model).run)
    if folder is None:
        raise TrainingError(
            f"{options.name or model.name} has no earlier run to continue.",
            Text("Train it without ", Option("resume"), " first; ")
            + Text("to continue in another process, use ", Option("checkpoint"), "."),
        )
    return Continuation(x, y, options)  # a new run in an empty folder


def _continue_call(
    x: Any, y: Any, options: FitOptions, given: Mapping[str, Any], last: FitCall
) -> Continuation:
    """Take over the settings of a fit in this process, and its data if none is given."""
    completed, inherited = _complete(options, given, last.options)
    if x is None:
        x, y = last.x, last.y
    for callback in keras.tree.flatten(completed.callbacks) if "callbacks" in inherited else ():
        if isinstance(callback, keras.callbacks.CSVLogger):
            callback.append = True  # or it would overwrite the earlier epochs
    return Continuation(
        x,
        y,
        completed,
        inherited,
        fingerprint=last.run.fingerprint,
        rows=RowSample.of(last.arguments),
        keeps_split=not VALIDATION_OPTIONS & given.keys(),
        may_mix=given.get("checks") is False,
    )


def _continue_record(
    x: Any, y: Any, options: FitOptions, given: Mapping[str, Any], record: Mapping[str, Any]
) -> Continuation:
    """Take over the settings in a run's record, which lacks data and objects.

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
    others = {name: value for name, value in kept.items() if name not in SETTINGS}
    earlier = FitOptions(**{"epochs": record.get("epochs", 1), **known}, others=others)
    if x is None:
        raise TrainingError(
            "The data of the earlier run is not in its record.", "Pass the same data again."
        )
    validates = VALIDATION_OPTIONS & given.keys()
    for name, text in described.items():
        if name == "callbacks" or name in given or (name == "validation_data" and validates):
            continue
        raise TrainingError(
            Text(Option(name), f" of the earlier run ({text}) is not in its record."),
            Text("Pass ", Option(name), " again."),
            option=name,
        )
    completed, inherited = _complete(options, given, earlier)
    return Continuation(
        x,
        y,
        completed,
        inherited,
        lost="" if "callbacks" in given else described.get("callbacks", ""),
        fingerprint=record.get("fingerprint", ""),
        rows=RowSample.from_dict(record.get("rows")),
        keeps_split=not VALIDATION_OPTIONS & given.keys(),
        may_mix=given.get("checks") is False,
    )


def _complete(
    options: FitOptions, given: Mapping[str, Any], earlier: FitOptions
) -> tuple[FitOptions, tuple[str, ...]]:
    """The options given and those of the earlier run, and the names of the latter."""
    changed = earlier.changed()
    names = [name for name in changed if name in SETTINGS and name not in given]
    if VALIDATION_OPTIONS & given.keys():
        names = [name for name in names if name not in VALIDATION_OPTIONS]
    others = {**earlier.others, **options.others}
    completed = replace(options, **{name: changed[name] for name in names}, others=others)
    return completed, tuple(name for name in names if name != "epochs")


def _setting(options: FitOptions, name: str) -> str:
    text = options.described().get(name)
    if text is None:
        value = getattr(options, name)
        return name if value is True else f"{name} {value}"
    return f"{name} ({text})"


def _reject_mixed(count: int, held_out: int, cause: str) -> NoReturn:
    sampled = " sampled" if held_out == MAX_SAMPLED_ROWS else ""
    raise TrainingError(
        f"The {cause} differs from that of the earlier epochs: {count:,} of {held_out:,}{sampled} "
        "rows that were held out for validation would be trained on, and the validation metrics "
        "would no longer measure new data.",
        Text(
            f"Keep the {cause} of the earlier run, or pass ",
            *(Option("checks", False), " to train on them anyway."),
        ),
    )


def _same_folder(last: FitCall, folder: Checkpoint) -> bool:
    own = last.options.checkpoint
    return own is not None and Checkpoint(own).folder.resolve() == folder.folder.resolve()


# --- rows -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RowSample:
    """Digests of some rows that a run trained on, and of some that it held out."""

    trained: frozenset[str] = frozenset()
    held_out: frozenset[str] = frozenset()

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> RowSample | None:
        """Sample the rows of a fit; None if nothing is held out or the data is not arrays.

        A row that is in both parts is left out.
        """
        training, validation = (row_digests(part) for part in split_inputs(arguments))
        if not training or not validation:
            return None
        trained, held_out = set(training), set(validation)
        return cls(
            _sample([row for row in training if row not in held_out]),
            _sample([row for row in validation if row not in trained]),
        )

    @classmethod
    def from_dict(cls, values: Any) -> RowSample | None:
        """What :meth:`to_dict` returned; None for anything else."""
        if not isinstance(values, Mapping):
            return None
        parts = (values.get(name) or () for name in ("trained", "held_out"))
        return cls(*(frozenset(map(str, part)) for part in parts))

    def to_dict(self) -> dict[str, list[str]]:
        """The digests, for JSON."""
        return {"trained": sorted(self.trained), "held_out": sorted(self.held_out)}


def split_inputs(arguments: Mapping[str, Any]) -> tuple[Any, Any]:
    """The inputs that ``model.fit`` trains on and those that it holds out, or None."""
    x, validation = arguments["x"], arguments["validation_data"]
    if validation is not None:
        return x, validation[0] if isinstance(validation, tuple | list) else None
    fraction, lengths = arguments["validation_split"], _lengths(x)
    if not fraction or len(lengths) != 1:
        return x, None
    index = split_index(lengths.pop(), fraction)

    def part(rows: slice) -> Any:
        return keras.tree.map_structure(lambda values: values[rows], x)

    return part(slice(index)), part(slice(index, None))


def row_digests(x: Any) -> list[str]:
    """A digest per row of arrays of one length; [] for anything else.

    Example:
        >>> one, other, again = row_digests(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))
        >>> one == again, one == other
        (True, False)
    """
    lengths = _lengths(x)
    if len(lengths) != 1:
        return []
    digests: list[str] = []
    for start in range(0, lengths.pop(), CHUNK_ROWS):
        leaves = [_rows(leaf[start : start + CHUNK_ROWS]) for leaf in keras.tree.flatten(x)]
        rows = map(b"".join, zip(*leaves, strict=True))
        digests += [blake2b(row, digest_size=8).hexdigest() for row in rows]
    return digests


def _rows(values: Any) -> list[bytes]:
    """Each row as bytes; numbers count by their value and not by their type."""
    array = np.asarray(values)
    array = array.reshape(len(array), -1)
    array = array[:, :: math.ceil(array.shape[1] / MAX_VALUES) or 1]
    if array.dtype.kind in "biuf":
        return [row.tobytes() for row in np.ascontiguousarray(array, dtype="float32")]
    return [repr(row.tolist()).encode() for row in array]


def _lengths(x: Any) -> set[int]:
    """The lengths of arrays; empty if anything is not an array."""
    leaves = [leaf for leaf in keras.tree.flatten(x) if leaf is not None]
    if not all(hasattr(leaf, "__array__") and getattr(leaf, "shape", ()) for leaf in leaves):
        return set()
    return {len(leaf) for leaf in leaves}


def _count_known(known: frozenset[str], x: Any) -> int:
    return len(known & set(row_digests(x))) if known and x is not None else 0


def _sample(rows: Sequence[str]) -> frozenset[str]:
    """Some of the rows, evenly spread; the first and the last are among them."""
    indices = np.linspace(0, len(rows) - 1, min(len(rows), MAX_SAMPLED_ROWS)).astype(int)
    return frozenset(rows[index] for index in indices)
