"""What ``load_data`` was asked for, and which of it makes sense for which kind of data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from kmagic.data.preparation import scaling
from kmagic.data.preparation.text_encoding import Side
from kmagic.data.texts import DEFAULT, TextOptions
from kmagic.support.errors import DataError
from kmagic.support.suggestions import did_you_mean

Kind: TypeAlias = Literal["pictures", "table", "text", "array"]
Task: TypeAlias = Literal["classification", "regression"]
Missing: TypeAlias = Literal["mean", "drop"]

SPLIT = 0.2  # the test part of what has no parts of its own
PLURALS = {"pictures": "pictures", "table": "tables", "text": "texts"}
FOR = {
    "flatten": "pictures",
    "channel": "pictures",
    "size": "pictures",
    "gray": "pictures",
    "num_words": "text",
    "maxlen": "text",
    "padding": "text",
    "truncating": "text",
    "standardize": "text",
    "words": "text",
    "target": "table",
    "features": "table",
    "drop": "table",
    "missing": "table",
    "sep": "table",
}
"""Options that only one kind of data takes."""
FOR_OWN = (
    "size",
    "gray",
    "target",
    "missing",
    "sep",
    "task",
    "class_names",
    "standardize",
    "words",
)
"""Options of data of one's own, which Keras's data sets do not take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What ``load_data`` was asked for, each value looked at by itself; see there."""

    flatten: bool = False
    channel: bool = False
    scale: scaling.Kind = "none"
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
    missing: Missing | None = None
    sep: str | None = None
    task: Task | None = None
    class_names: tuple[str, ...] | None = None
    allow_pickle: bool = False
    name: str = ""

    @property
    def text(self) -> TextOptions:
        """What concerns texts.

        Raises:
            DataError: One of them makes no sense.
        """
        return TextOptions(
            self.num_words,
            self.maxlen,
            self.padding or "pre",
            self.truncating or "pre",
            None if self.standardize == "none" else self.standardize or DEFAULT,
        )

    def given(self, option: str) -> bool:
        """Whether an option was set."""
        value = getattr(self, option)
        return value is not None and value is not False


def read_options(**given: Any) -> Options:
    """Look at each option by itself.

    Raises:
        DataError: A value is not one that the option takes.
    """
    if given["split"] is not None:
        _check_split(given["split"])
    if given["flatten"] and given["channel"]:
        raise DataError(
            "flatten and channel exclude each other.",
            "Dense layers take flat vectors, convolutions take channels.",
        )
    given["scale"] = scaling.parse_scaling(given["scale"])
    given["size"] = _size(given["size"])
    for option in ("features", "drop"):
        given[option] = _names(given[option], option)
    if given["features"] and given["drop"]:
        raise DataError(
            "features and drop exclude each other.",
            "features names the columns to take, drop those to leave out.",
        )
    given["class_names"] = _names(given["class_names"], "class_names", whole=False)
    given["missing"] = _one_of("missing", given["missing"], ("mean", "drop"))
    given["task"] = _one_of("task", given["task"], ("classification", "regression"))
    if given["task"] == "regression" and (given["class_names"] or given["onehot"]):
        option = "class_names" if given["class_names"] else "onehot"
        raise DataError(
            f'{option} is for classes; task="regression" predicts numbers.',
            "Leave one of them out.",
        )
    given["name"] = given["name"] or ""
    return Options(**given)


def check_kind(options: Options, kind: Kind, name: str, what: str, *, own: bool = True) -> None:
    """Refuse what makes no sense for this kind of data.

    Args:
        options: What was asked for.
        kind: What the data are.
        name: What they are called.
        what: What they are in a message: "pictures", "a table of numbers".
        own: Whether they are the user's own, not one of Keras's sets.

    Raises:
        DataError: An option is for another kind of data.
    """
    for option, belongs in FOR.items():
        if not options.given(option):
            continue
        if kind != belongs:
            raise DataError(
                f"{option} is for {PLURALS[belongs]}; {name} is {what}.", f"Leave {option} out."
            )
    if kind == "text":
        _ = options.text
    for option in () if own else FOR_OWN:
        if options.given(option):
            raise DataError(
                f"{option} is for data of your own; {name} is one of Keras's data sets, whole and "
                "known.",
                f"Leave {option} out.",
            )
    if options.scale != "none" and kind == "text":
        raise DataError(
            f"{name} is {what}: word numbers are names, not sizes, and are not scaled.",
            "Leave scale out; an embedding layer takes them as they are.",
        )
    if options.scale == "255" and kind != "pictures":
        raise DataError(
            f"scale=255 is for the bytes of pictures; {name} is {what}.", 'Use scale="standard".'
        )


def _check_split(split: Any) -> None:
    number = isinstance(split, int | float) and not isinstance(split, bool)
    if not number or not 0 < split < 1:
        raise DataError(f"split={split!r}: expected a share between 0 and 1, such as 0.2.")


def _size(value: Any) -> tuple[int, int] | None:
    """Height and width from 64, "64x48" or (64, 48)."""
    if value is None:
        return None
    sides: Any = value
    if isinstance(value, str):
        sides = [int(side) for side in re.findall(r"\d+", value)]
        if not re.fullmatch(r"\s*\d+\s*(x\s*\d+\s*)?", value):
            sides = []
    elif isinstance(value, int):
        sides = [value]
    sides = list(sides) if isinstance(sides, list | tuple) else []
    sides = sides * 2 if len(sides) == 1 else sides
    whole = all(isinstance(side, int) and side is not True and side > 0 for side in sides)
    if len(sides) != 2 or not whole:  # noqa: PLR2004 - height and width
        raise DataError(
            f"size={value!r} is not a size: expected height x width, such as 64x64, or one number "
            "for both."
        )
    return sides[0], sides[1]


def _names(value: Any, option: str, *, whole: bool = True) -> tuple[Any, ...] | None:
    """Names, as a list or with commas between them."""
    if value is None:
        return None
    names = value.split(",") if isinstance(value, str) else value
    try:
        names = [name.strip() if isinstance(name, str) else name for name in names]
    except TypeError:
        names = [names]
    if not whole:
        names = [str(name) for name in names]
    if not names or "" in names:
        raise DataError(f"{option}={value!r}: expected names, as a list or with commas between.")
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{option} names {', '.join(twice)} twice.")
    return tuple(names)


def _one_of(option: str, value: Any, known: tuple[str, ...]) -> Any:
    if value is None or value in known:
        return value
    remedy = did_you_mean(str(value), known)
    raise DataError(f"{option}={value!r}: expected {' or '.join(known)}.", remedy)
