"""The options of ``load_data``: each validated by itself, then against the kind of data."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kmagic.data.preparation import scaling
from kmagic.data.preparation.text_encoding import (
    DEFAULT_STANDARDIZE,
    Side,
    TextEncoding,
    check_choice,
    check_count,
)
from kmagic.support.errors import DataError
from kmagic.support.formatting import list_names
from kmagic.support.messages import Option, Text
from kmagic.support.suggestions import did_you_mean

DataKind: TypeAlias = Literal["images", "table", "text", "array"]
Task: TypeAlias = Literal["classification", "multilabel", "regression"]

DEFAULT_SPLIT = 0.2  # share of the test part, of data without parts of its own
READING_OPTIONS = ("delimiter", "decimal", "thousands", "na_values", "header", "encoding")
"""Options that say how the cells of a table are written."""
WINDOW_OPTIONS = ("window", "horizon", "stride", "by")
"""Options that cut a table into windows of its rows."""
STREAMED = "folders, and to tables in .csv, .tsv, .parquet or .tfrecord files"
"""What can be kept on disk."""
OPTIONS_OF_KIND: dict[DataKind, tuple[str, ...]] = {
    "images": ("flatten", "channel", "size", "gray"),
    "text": ("num_words", "maxlen", "padding", "truncating", "standardize", "words"),
    "table": ("target", "features", "drop", "missing", *WINDOW_OPTIONS, *READING_OPTIONS),
}
"""Options that apply to one kind of data only."""
_CHOICES = {
    "decimal": (".", ","),
    "missing": ("mean", "drop"),
    "task": ("classification", "multilabel", "regression"),
}


def _is_separator(value: Any) -> bool:
    is_character = isinstance(value, str) and len(value) == 1
    return is_character and value not in '\r\n"' and not value.isalnum()


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "split": (lambda v: isinstance(v, float) and 0 < v < 1, "a share between 0 and 1, e.g. 0.2"),
    "seed": (lambda v: isinstance(v, int | np.integer) and bool(v >= 0), "an integer from 0"),
    "delimiter": (_is_separator, "one character, e.g. ; or tab"),
    "thousands": (_is_separator, "one character, e.g. . or '"),
    "encoding": (lambda v: isinstance(v, str) and bool(v.strip()), "a name such as utf-8"),
    "header": (lambda v: isinstance(v, bool), "True if the first line names the columns, or False"),
    "stream": (
        lambda v: isinstance(v, bool),
        "True to keep the data on disk, False to load it into memory, or None to decide by size",
    ),
}
"""Option -> whether a value is valid, and what is expected."""
_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " ", "\\s+": " "}
_REGRESSION = Option("task", "regression")
ONLY_FOR_OWN_DATA = (
    "size",
    "gray",
    "target",
    "missing",
    *WINDOW_OPTIONS,
    *READING_OPTIONS,
    "chronological",
    "task",
    "class_names",
    "standardize",
    "words",
    "stream",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """The options of :func:`~kmagic.data.loading.load_data`, validated one by one."""

    flatten: bool = False
    channel: bool = False
    scale: scaling.ScalingKind = "none"
    onehot: bool = False
    num_words: int | None = None
    maxlen: int | None = None
    padding: Side | None = None
    truncating: Side | None = None
    standardize: str | None = None
    words: Any = None
    split: float | None = None
    seed: int = 0
    size: tuple[int, int] | None = None
    gray: bool = False
    target: Any = None
    features: tuple[Any, ...] | None = None
    drop: tuple[Any, ...] | None = None
    missing: Literal["mean", "drop"] | None = None
    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    na_values: tuple[Any, ...] | None = None
    header: bool | None = None
    encoding: str | None = None
    chronological: bool = False
    window: int | None = None
    horizon: int | None = None
    stride: int | None = None
    by: Any = None
    task: Any = None  # a Task, or a dictionary of them by target
    class_names: Any = None  # names, or a dictionary of them by target
    stream: bool | None = None
    allow_pickle: bool = False
    name: str = ""

    @property
    def text_encoding(self) -> dict[str, Any]:
        """How texts are encoded: the arguments of ``learn_text``, with their defaults."""
        standardize = self.standardize or DEFAULT_STANDARDIZE
        return {
            "num_words": self.num_words,
            "maxlen": self.maxlen,
            "padding": self.padding or "pre",
            "truncating": self.truncating or "pre",
            "standardize": None if standardize == "none" else standardize,
        }

    def pad(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Pad and cut rows of word indices, if ``maxlen`` is set."""
        if self.maxlen is None:
            return rows
        sides = self.padding or "pre", self.truncating or "pre"
        return TextEncoding((), self.maxlen, *sides).pad(rows)

    def for_target(self, target: str, targets: Collection[str]) -> LoadOptions:
        """The options for one of several targets."""
        own: dict[str, Any] = {}
        for option in ("task", "class_names"):
            value = getattr(self, option)
            if option == "class_names" and value is not None and not isinstance(value, Mapping):
                raise DataError(
                    Text(Option(option), " must say for which target; got a list."),
                    "Pass a dictionary of names by target.",
                )
            for name in value if isinstance(value, Mapping) else ():
                if name not in targets:
                    listed = f"The targets are {list_names(targets)}."
                    raise DataError(
                        Text(Option(option), f" names {name!r}, which is no target."),
                        did_you_mean(str(name), targets) or listed,
                    )
            own[option] = value.get(target) if isinstance(value, Mapping) else value
        return replace(self, **own)

    def is_set(self, option: str) -> bool:
        """Whether the caller set an option."""
        value = getattr(self, option)
        return value is not None and (value is not False or option == "header")


def validate_options(**values: Any) -> LoadOptions:
    """Validate and normalise each option by itself."""
    sep = values.pop("sep")
    values["delimiter"] = sep if values["delimiter"] is None else values["delimiter"]
    if isinstance(values["delimiter"], str):
        values["delimiter"] = read_delimiter(values["delimiter"])
    for option, (is_valid, expected) in _CHECKS.items():
        if values[option] is not None and not is_valid(values[option]):
            raise DataError(option=option, expected=expected, actual=values[option])
    for option, choices in _CHOICES.items():
        expected = " or ".join([", ".join(choices[:-1]), choices[-1]])
        by_target = option == "task" and isinstance(values[option], Mapping)
        for value in values[option].values() if by_target else [values[option]]:
            if value is not None:
                check_choice(option, value, choices, expected)
    for option in ("window", "horizon", "stride"):
        if isinstance(values[option], np.integer):
            values[option] = int(values[option])
        check_count(option, values[option])
    for option in ("horizon", "stride", "by"):
        if values[option] is not None and values["window"] is None:
            raise DataError(
                Text(Option(option), " only applies to windows of a table."),
                Text("Add their number of rows: ", Option("window", 30), "."),
            )
    if values["flatten"] and values["channel"]:
        raise _contradiction(
            "flatten", "channel", "for dense layers", "for convolutions on grey images"
        )
    if values["thousands"] is not None and values["thousands"] == (values["decimal"] or "."):
        if values["decimal"] is not None:
            raise DataError(
                Text(Option("thousands"), " and ", Option("decimal"), " must differ."),
                Text("Use ", Option("decimal", ","), " with ", Option("thousands", "."), "."),
            )
        values["decimal"] = ","
    words = values["na_values"]
    if words is not None:
        words = words.split(",") if isinstance(words, str) else words
        listed = words if isinstance(words, list | tuple | set | frozenset) else [words]
        stripped = (word.strip() if isinstance(word, str) else word for word in listed)
        values["na_values"] = tuple(stripped)
    values["scale"] = scaling.parse_scaling(values["scale"])
    values["size"] = _parse_size(values["size"])
    for option in ("features", "drop", "class_names"):
        names = values[option]
        if option == "class_names" and isinstance(names, Mapping):
            values[option] = {key: parse_names(part, option) for key, part in names.items()}
        else:
            values[option] = parse_names(names, option)
    if values["features"] and values["drop"]:
        raise _contradiction("features", "drop", "to select columns", "to leave some out")
    if values["task"] == "regression" and (values["class_names"] or values["onehot"]):
        option = "class_names" if values["class_names"] else "onehot"
        raise DataError(
            Text(Option(option), " only applies to classes, but ", _REGRESSION, " was given."),
            Text("Leave out ", Option(option), " or ", _REGRESSION, "."),
        )
    values["name"] = values["name"] or ""
    options = LoadOptions(**values)
    encoding = options.text_encoding
    check_count("num_words", encoding.pop("num_words"))
    TextEncoding((), **encoding)  # checks its options
    return options


def read_delimiter(text: str) -> str:
    r"""The character that a user means by "tab", "\\t" or ";"."""
    return _DELIMITERS.get(text.lower(), text)


def check_applies(
    options: LoadOptions, kind: DataKind, subject: str, *, except_for: Collection[str] = ()
) -> None:
    """Reject options that do not apply to this kind of data.

    The subject says what the data are: "photos contains images".
    """
    for applies_to, listed in OPTIONS_OF_KIND.items():
        noun = "tables" if applies_to == "table" else applies_to
        if applies_to != kind and not set(listed) <= set(except_for):
            reject_options(options, listed, f"{noun}; {subject}")
    if options.scale != "none" and kind == "text":
        raise DataError(
            f"{subject}: word indices stand for words and cannot be scaled.",
            Text("Leave out ", Option("scale"), "; an embedding layer takes word indices."),
        )
    if options.scale == "255" and kind != "images":
        raise DataError(
            Text(Option("scale", 255), f" only applies to pixel values; {subject}."),
            Text("Use ", Option("scale", "standard"), "."),
        )


def reject_options(
    options: LoadOptions, names: Collection[str], applies_to: str, alternative: str = ""
) -> None:
    """Reject options that only apply to something else."""
    for option in filter(options.is_set, names):
        raise inapplicable(option, applies_to, alternative=alternative)


def inapplicable(
    option: str, applies_to: str, *, value: object = None, alternative: str | Text = ""
) -> DataError:
    """The error for an option that only applies to something else."""
    message = Text(Option(option, value), f" only applies to {applies_to}.")
    return DataError(message, leave_out(option) + alternative)


def leave_out(option: str) -> Text:
    """The remedy for an option that does not apply."""
    return Text("Leave out ", Option(option), ".")


def _contradiction(one: str, other: str, use_one: str, use_other: str) -> DataError:
    return DataError(
        Text(Option(one), " and ", Option(other), " cannot be combined."),
        Text("Use ", Option(one), f" {use_one}, ", Option(other), f" {use_other}."),
    )


def _parse_size(value: Any) -> tuple[int, int] | None:
    """Height and width from 64, "64x48" or (64, 48)."""
    if value is None:
        return None
    sides = value
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d{1,9})\s*(?:x\s*(\d{1,9})\s*)?", value)
        sides = [int(side) for side in match.groups() if side] if match else []
    elif type(value) is int:
        sides = [value]
    sides = list(sides) if isinstance(sides, list | tuple) else []
    sides = sides * 2 if len(sides) == 1 else sides
    if len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):  # noqa: PLR2004 - height and width
        raise DataError(
            option="size",
            expected="height x width, e.g. 64x64, or one number for both",
            actual=value,
        )
    return sides[0], sides[1]


def parse_names(value: Any, option: str) -> tuple[Any, ...] | None:
    """Names from a list, or from a text with commas between them."""
    if value is None:
        return None
    names = value.split(",") if isinstance(value, str) else value
    try:
        names = [name.strip() if isinstance(name, str) else name for name in names]
    except TypeError:
        names = [names]
    if option == "class_names":
        names = [str(name) for name in names]
    if not names or "" in names:
        raise DataError(
            option=option, expected="names, as a list or separated by commas", actual=value
        )
    repeated = sorted({str(name) for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(Text(Option(option), f" lists {', '.join(repeated)} twice."))
    return tuple(names)
