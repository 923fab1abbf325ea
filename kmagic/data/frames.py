"""Data frames as a data set: which column is predicted, and how the others become numbers."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.assemble import Raw, check_classes, divide, finish
from kmagic.data.load_options import check_kind
from kmagic.data.preparation.columns import is_numeric, learn_columns, word_of
from kmagic.data.target_kind import decide_target
from kmagic.data.texts import as_texts, number_texts
from kmagic.support.errors import DataError
from kmagic.support.formatting import pluralize
from kmagic.support.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmagic.data.arrays import Four
    from kmagic.data.dataset import Dataset
    from kmagic.data.load_options import Options
    from kmagic.data.target_kind import Target

TARGETS = ("target", "label", "labels", "class", "y")
FEW = 20  # different words that are always a category
MOST = 1000  # words of a category that still become columns
WORDS = 3  # in a cell on the average that make it a text
_SHOWN = 8
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([ T].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}( .*)?")
_COMMA = re.compile(r"[+-]?[\d.]*\d,\d+")


def is_frame(value: Any) -> bool:
    """Whether it is a pandas data frame, without importing pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def from_frames(frames: Sequence[Any], options: Options, name: str, source: str) -> Dataset:
    """A table, or its training and its test part.

    Args:
        frames: One data frame, or two with the same columns.
        options: ``target``, ``features`` or ``drop``, ``missing`` and what all take.
        name: What it is called.
        source: Where it is from.

    Raises:
        DataError: No column can be predicted, or one cannot become numbers.
    """
    frames = [_named(frame, name) for frame in frames]
    target = _target(frames[0], options, name)
    for frame in frames[1:]:
        missing = [each for each in frames[0].columns if each not in frame.columns]
        if missing:
            raise DataError(
                f"The test part of {name} has no column {missing[0]}; it has "
                f"{_listed(frame.columns)}.",
                "Both parts need the same columns; a test part without the target cannot be "
                "judged: load the training part alone.",
            )
    if len(frames) > 2:  # noqa: PLR2004 - two parts
        raise DataError(
            f"{len(frames)} data frames: expected one, or a training and a test part.",
            "Put them together: pandas.concat([first, second]).",
        )
    return _load(frames, target, options, name, source)


def from_pairs(four: Four, options: Options, name: str, source: str) -> Dataset:
    """A data frame of features and a column, or an array, of targets; or four of them."""
    from kmagic.data.arrays import same_length  # noqa: PLC0415 - arrays know no frames

    if options.target is not None:
        raise DataError("target is for a table that holds it; y was given.", "Leave target out.")
    pairs = (
        [(four.x, four.y)]
        if four.x_test is None
        else [(four.x, four.y), (four.x_test, four.y_test)]
    )
    frames, called = [], "y"
    for x, y in pairs:
        frame = _named(x, name)
        same_length(frame, y, "x", "y")
        if np.ndim(y) > 1 and np.shape(y)[1] != 1:
            raise DataError(
                f"y has {np.shape(y)[1]} columns: expected one.",
                "Give x as an array too, x.to_numpy(), to predict several values.",
            )
        column = y.columns[0] if is_frame(y) else getattr(y, "name", None)
        called = str(column) if column is not None else "y"
        if called in frame.columns:
            raise DataError(
                f"{called} is in x and is y: a model would learn to copy it.",
                f"Leave it out of x: x.drop(columns={called!r}).",
            )
        frames.append(frame.assign(**{called: np.asarray(y).reshape(-1)}))
    return _load(frames, called, options, name, source)


def _load(frames: list[Any], target: Any, options: Options, name: str, source: str) -> Dataset:
    frames, note = _without_index(frames)
    features = _features(frames[0], target, options, name)
    frames = [frame[[*features, target]] for frame in frames]
    frames, dropped = _missing(frames, features, target, options, name)
    text = _text_column(frames[0], features)
    check_kind(options, "table", name, "a table") if text is None else _check_text(options, name)
    if text is None:
        _check_columns(frames, features, name)
    import pandas as pd  # noqa: PLC0415 - whoever has a frame has it already

    values = pd.concat([frame[target] for frame in frames])
    cells = values.to_numpy() if is_numeric(values) else values.astype(object).to_numpy()
    decided = decide_target(cells, options, str(target))
    notes = [note, dropped, decided.said]
    train, test, y_train, y_test, more = _parts(frames, decided, options, name)
    notes.append(more)
    raw = {
        "name": name,
        "y_train": y_train,
        "y_test": y_test,
        "classes": decided.classes,
        "source": source,
        "target": str(target),
        "note": " ".join(filter(None, notes)),
    }
    if text is not None:
        x_train, x_test, encoding = number_texts(
            as_texts(train[text]), as_texts(test[text]), options.text
        )
        return finish(
            Raw(kind="text", x_train=x_train, x_test=x_test, encoding=encoding, **raw), options
        )
    learned = learn_columns(train[features], fill=options.missing == "mean")
    return finish(
        Raw(
            kind="table",
            x_train=learned.apply(train),
            x_test=learned.apply(test),
            columns=learned.names,
            features=learned,
            **raw,
        ),
        options,
    )


def _parts(
    frames: list[Any], decided: Target, options: Options, name: str
) -> tuple[Any, Any, Any, Any, str]:
    """The training and the test rows, their targets, and what is to be noted."""
    import pandas as pd  # noqa: PLC0415 - as above

    y, labels, classes = decided.y, decided.labels, decided.classes or ()
    if len(frames) == 1 or options.split is not None:
        whole = pd.concat(frames)
        train, test = divide(len(whole), options, name, labels, classes)
        return whole.iloc[train], whole.iloc[test], y[train], y[test], ""
    rows = len(frames[0])
    note = "" if labels is None else check_classes(labels[:rows], labels[rows:], classes, name)
    return frames[0], frames[1], y[:rows], y[rows:], note


def _named(frame: Any, name: str) -> Any:
    """The frame, with plain names for its columns."""
    if not len(frame.columns) or not len(frame):
        what = "columns" if not len(frame.columns) else "rows"
        raise DataError(f"{name} has no {what}.")
    if frame.columns.nlevels > 1:
        raise DataError(
            f"{name} has columns of {frame.columns.nlevels} levels.",
            'Give them one name each: frame.columns = frame.columns.map("_".join).',
        )
    names = [str(each) for each in frame.columns]
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise DataError(
            f"{name} has more than one column named {_listed(twice)}.",
            "Give each column a name of its own.",
        )
    return frame.set_axis(names, axis=1)


def _target(frame: Any, options: Options, name: str) -> str:
    """The column to be predicted."""
    columns = list(frame.columns)
    if options.target is not None:
        if str(options.target) not in columns:
            raise _no_column(str(options.target), columns, name)
        return str(options.target)
    known = [each for each in columns if each.lower() in TARGETS]
    if len(known) == 1:
        return str(known[0])
    raise DataError(
        f"Which column of {name} is to be predicted? It has {_listed(columns)}.",
        f'Name it: target="{columns[-1]}".',
    )


def _features(frame: Any, target: str, options: Options, name: str) -> list[str]:
    columns = [each for each in frame.columns if each != target]
    for each in options.features or options.drop or ():
        if str(each) == target:
            raise DataError(
                f"{target} is what is to be predicted; it is never among the features.",
                "Leave it out of the list.",
            )
        if str(each) not in columns:
            raise _no_column(str(each), columns, name)
    if options.features:
        return [str(each) for each in options.features]
    dropped = {str(each) for each in options.drop or ()}
    kept = [each for each in columns if each not in dropped]
    if not kept:
        raise DataError(f"{name} has no column left to learn from.")
    return kept


def _no_column(word: str, columns: Sequence[str], name: str) -> DataError:
    remedy = did_you_mean(word, columns)
    return DataError(f"{name} has no column {word}; it has {_listed(columns)}.", remedy)


def _without_index(frames: list[Any]) -> tuple[list[Any], str]:
    """The frames without the row numbers that pandas has written into a file."""
    first = frames[0].columns[0]
    if not first.startswith("Unnamed:") or not all(_counts(frame[first]) for frame in frames):
        return frames, ""
    note = "The first column, without a name, only counts the rows and is left out."
    return [frame.drop(columns=first) for frame in frames], note


def _counts(cells: Any) -> bool:
    return is_numeric(cells) and bool(np.all(np.diff(cells.to_numpy(dtype=np.float64)) == 1))


def _missing(
    frames: list[Any], features: list[str], target: str, options: Options, name: str
) -> tuple[list[Any], str]:
    """The frames without empty cells where they are to be left out; refuse those that stay."""
    empty = sum(frame.isna().sum() for frame in frames)
    there = empty[empty > 0]
    rows = sum(map(len, frames))
    if options.missing == "drop":
        kept = [frame.dropna() for frame in frames]
        if not all(map(len, kept)):
            raise DataError(
                f'missing="drop" leaves no row of {name}: {_counted(there)} of {rows:,} rows.',
                "Leave out a column that is mostly empty: drop=.",
            )
        left = rows - sum(map(len, kept))
        return kept, f"{pluralize(left, 'row')} with empty cells left out." if left else ""
    if target in there.index:
        raise DataError(
            f"{target}, which is to be predicted, has no value in {there[target]:,} of {rows:,} "
            "rows.",
            'Leave such rows out: missing="drop".',
        )
    whole = [each for each in features if empty[each] == rows]
    if whole:
        raise DataError(f"{_listed(whole)} of {name} has no value at all.", "Leave it out: drop=.")
    if len(there) and options.missing is None:
        raise DataError(
            f"{name} has empty cells: {_counted(there)} of {rows:,} rows.",
            'missing="mean" fills them with the mean (words: the most frequent one) of the '
            'training part; missing="drop" leaves these rows out; drop= leaves out a column.',
        )
    filled = f"Empty cells are filled: {_counted(there)} rows." if len(there) else ""
    return frames, filled


def _counted(there: Any) -> str:
    some = [f"{name} in {many:,}" for name, many in list(there.items())[:_SHOWN]]
    more = f" and {len(there) - _SHOWN:,} more columns" if len(there) > _SHOWN else ""
    return ", ".join(some) + more


def _text_column(frame: Any, features: list[str]) -> str | None:
    """The only feature, if it is texts and no category."""
    if len(features) != 1 or is_numeric(frame[features[0]]):
        return None
    cells = frame[features[0]].tolist()
    if not all(isinstance(cell, str) for cell in cells):
        return None
    words = sum(len(cell.split()) for cell in cells)
    return features[0] if words >= WORDS * len(cells) else None


def _check_text(options: Options, name: str) -> None:
    """Options of tables have done their work where one column of texts is left."""
    others = replace(options, target=None, features=None, drop=None, missing=None, sep=None)
    check_kind(others, "text", name, "texts")


def _check_columns(frames: list[Any], features: list[str], name: str) -> None:
    """Refuse columns that are neither numbers nor words of a category, all of them at once."""
    import pandas as pd  # noqa: PLC0415 - as above

    refused = {}
    for each in features:
        cells = pd.concat([frame[each] for frame in frames]).dropna()
        reason = _refusal(cells)
        if reason:
            refused[each] = reason
    if not refused:
        return
    reasons = "; ".join(f"{each} {what}" for each, (what, _) in refused.items())
    remedies = {remedy: None for _, remedy in refused.values()}
    raise DataError(
        f"{name} has columns that cannot become numbers: {reasons}.",
        f'{" ".join(remedies)} Or leave out: drop="{",".join(refused)}".',
    )


def _refusal(cells: Any) -> tuple[str, str] | None:
    """Why a column cannot become numbers, and what helps."""
    import pandas as pd  # noqa: PLC0415 - as above

    kinds = pd.api.types
    dates = "Make numbers of dates first, such as frame[column].dt.year or (date - start).dt.days."
    if is_numeric(cells):
        values = cells.to_numpy(dtype=np.float64)
        if np.isinf(values).any():
            return f"holds infinity in {np.isinf(values).sum():,} rows", "Correct these values."
        return None
    if kinds.is_datetime64_any_dtype(cells) or kinds.is_timedelta64_dtype(cells):
        return "holds dates or times", dates
    values = cells.tolist()
    odd = {type(cell).__name__ for cell in values if not isinstance(cell, str | bool | int | float)}
    if odd:
        return f"holds {', '.join(sorted(odd))}", "Expected numbers or words."
    words = [word_of(cell) for cell in values]
    if all(_DATE.fullmatch(word.strip()) for word in words):
        return f"holds dates such as {words[0]}", dates
    if all(_COMMA.fullmatch(word.strip()) for word in words):
        return (
            f"holds numbers with a comma such as {words[0]}",
            'Read them with pandas.read_csv(path, decimal=",") or thousands=",".',
        )
    different = len(set(words))
    if different > MOST or (different > FEW and different > len(words) / 2):
        such = f"such as {words[0][:30]!r}"
        return (
            f"holds {different:,} different words in {len(words):,} rows, {such}",
            "Words become a column each, so a name or a text is no category.",
        )
    return None


def _listed(names: Any) -> str:
    some = [str(name) for name in names]
    if len(some) <= _SHOWN:
        return ", ".join(some)
    return f"{', '.join(some[:_SHOWN])} and {len(some) - _SHOWN:,} more"
