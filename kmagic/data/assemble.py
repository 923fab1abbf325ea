"""The common steps of all loaders: split the samples, then scale, reshape and encode them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import getitem
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kmagic.data.dataset import Dataset, take_targets
from kmagic.data.load_options import DEFAULT_SPLIT, LoadOptions, inapplicable, leave_out
from kmagic.data.preparation.scaling import learn_scaling
from kmagic.data.preparation.text_encoding import TextEncoding, learn_text
from kmagic.data.target_kind import Target, Targets, stratification
from kmagic.data.time_order import chronological_indices
from kmagic.support.disk_arrays import convert_rows, disk_folder, is_on_disk, require_disk
from kmagic.support.errors import DataError
from kmagic.support.formatting import format_bytes, format_shape, list_names, pluralize
from kmagic.support.memory import fits_memory, require_memory
from kmagic.support.messages import Option, Part, Text
from kmagic.support.sentences import as_sentences

GREY_AXES = 3  # of grey images: samples, height, width


# --- memory or disk ------------------------------------------------------------------------------


def choose_place(
    options: LoadOptions, size: int, subject: str, remedy: Text
) -> tuple[LoadOptions, str]:
    """Decide whether data of a size in bytes are kept in memory or on disk.

    Returns:
        The options with this decision as ``stream``, and a note on it.

    Raises:
        DataError: They do not fit there.
    """
    fits = fits_memory(size)
    if options.stream is False or (options.stream is None and fits):
        require_memory(size, subject, Text("Leave out ", Option("stream", False), ". ", remedy))
        return replace(options, stream=False), ""
    require_disk(size, subject, remedy)
    reason = "" if fits else f", because {format_bytes(size)} do not fit into memory"
    note = f"On disk, in {disk_folder()}: {subject}{reason}."
    return replace(options, stream=True), note


def require_length(options: LoadOptions, subject: str) -> None:
    """Reject texts of different lengths, which cannot be kept on disk."""
    if options.maxlen is None:
        remedy = Text("Texts on disk must have one length: use ", Option("maxlen", 200), ".")
        raise DataError(f"The texts of {subject} have different lengths.", remedy)


# --- split ----------------------------------------------------------------------------------------


def stratified_sample(labels: NDArray[Any], count: int, seed: int) -> NDArray[np.intp]:
    """Choose ``count`` rows, sorted, so that each class keeps its proportion.

    Example:
        >>> import numpy as np
        >>> labels = np.array([0] * 8 + [1] * 4)
        >>> labels[stratified_sample(labels, 3, seed=0)].tolist()
        [0, 0, 1]
    """
    rng = np.random.default_rng(seed)
    classes, class_indices = np.unique(labels, return_inverse=True)
    sizes = _proportional(np.bincount(class_indices, minlength=len(classes)), count)
    chosen = [
        rng.permutation(np.flatnonzero(class_indices == index))[:size]
        for index, size in enumerate(sizes)
    ]
    return np.sort(np.concatenate(chosen))


def divide_labels(
    y: NDArray[Any], shares: Sequence[float], rng: np.random.Generator
) -> NDArray[np.intp]:
    """The part of each row, so that each label keeps its proportion in all parts.

    This is iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, "On the stratification
    of multi-label data"): the rows of rare labels are divided first. A label of few rows that all
    have rarer ones can be in one part only.

    Args:
        y: Rows of 0 and 1.
        shares: The share of each part; their sum is 1.
        rng: Decides between equal rows.

    Example:
        >>> import numpy as np
        >>> y = np.array([[1, 0]] * 4 + [[0, 1]] * 4)
        >>> parts = divide_labels(y, [0.5, 0.5], np.random.default_rng(0))
        >>> y[parts == 1].sum(axis=0).tolist()
        [2, 2]
    """
    y = y != 0
    counts = y.sum(axis=0)
    wanted = np.outer(shares, counts)  # for each part and label, and below: rows for each part
    wanted = np.where(counts >= len(shares), np.maximum(wanted, 1), wanted)
    rows_wanted, initial = np.array(shares) * len(y), wanted.copy()
    parts = np.full(len(y), -1, dtype=np.intp)
    while True:
        label = int(np.where(counts > 0, counts, len(y) + 1).argmin()) if counts.size else -1
        is_left = label < 0 or counts[label] == 0  # rows without labels
        rows = np.flatnonzero((parts < 0) & (True if is_left else y[:, label]))
        for row in rng.permutation(rows).tolist():
            wish = rows_wanted
            if not is_left:  # a full part takes no more rows of a label that it has
                is_full = (rows_wanted <= 0) & (wanted[:, label] < initial[:, label])
                wish = np.where(is_full, -np.inf, wanted[:, label])
            part = int(np.lexsort((rows_wanted, wish))[-1])
            parts[row] = part
            wanted[part, y[row]] -= 1
            rows_wanted[part] -= 1
        if is_left:
            return parts
        counts = counts - y[rows].sum(axis=0)


def _proportional(counts: NDArray[np.intp], total: int) -> NDArray[np.intp]:
    """Integers in proportion to ``counts`` that add up to ``total``, by largest remainders."""
    exact = counts * total / counts.sum()
    sizes = np.floor(exact).astype(np.intp)
    by_remainder = np.argsort(sizes - exact, kind="stable")
    sizes[by_remainder[: total - sizes.sum()]] += 1
    minimum = (counts > 1).astype(np.intp)
    clipped: NDArray[np.intp] = np.clip(sizes, minimum, np.maximum(counts - 1, minimum))
    return clipped


def train_test_indices(
    rows: int, fraction: float, seed: int, labels: NDArray[Any] | None = None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split rows into a training and a test part, both shuffled.

    Unlike scikit-learn's stratified split this one has every class of two rows or more in both
    parts, and takes classes of one row and test parts smaller than the number of classes. Labels
    may be rows of 0 and 1.

    Example:
        >>> train, test = train_test_indices(10, 0.3, seed=1)
        >>> len(train), len(test)
        (7, 3)
    """
    rng = np.random.default_rng(seed)
    count = min(max(round(rows * fraction), 1), rows - 1)
    if labels is None:
        chosen = rng.permutation(rows)[:count]
    elif labels.ndim > 1:
        is_test = divide_labels(labels, [1 - count / rows, count / rows], rng) == 1
        chosen = rng.permutation(np.flatnonzero(is_test))
    else:
        chosen = rng.permutation(stratified_sample(labels, count, seed))
    is_train = np.ones(rows, dtype=bool)
    is_train[chosen] = False
    return rng.permutation(np.flatnonzero(is_train)), chosen


class Parts(NamedTuple):
    """Inputs and targets of the training and of the test part; before a split all in the first."""

    x_train: Any
    y_train: Any
    x_test: Any = None
    y_test: Any = None

    def convert(self, function: Callable[[Any], Any]) -> Parts:
        """Convert the inputs of both parts."""
        return Parts(function(self.x_train), self.y_train, function(self.x_test), self.y_test)


def split_parts(
    parts: Sequence[Any],
    target: Target | Targets,
    options: LoadOptions,
    name: str,
    *,
    join: Callable[[Sequence[Any]], Any] = np.concatenate,
    take: Callable[[Any, NDArray[np.intp]], Any] = getitem,
    order: NDArray[np.intp] | None = None,
    gap: int = 0,
) -> tuple[Parts, str]:
    """Keep the parts that samples have, or split them as the options say.

    Args:
        parts: The inputs: all of them, or the training and the test part.
        target: The targets of all.
        options: The options of ``load_data``.
        name: Name of the data in messages.
        join: Concatenates the inputs of both parts.
        take: Selects rows of the inputs.
        order: The rows in the order of time; the last ones are the test part. None splits at
            random.
        gap: Rows that are left out between the parts, if there is an order.

    Returns:
        Both parts, and a note on classes without test rows.
    """
    y, rows = target.y, len(next(iter(target.parts.values())).y)
    labels, classes, split_note = _strata(target, options.split or DEFAULT_SPLIT)
    if options.chronological and order is None:
        raise inapplicable("chronological", f"tables and arrays without a test part, not to {name}")
    if len(parts) > 1 and options.split is None:
        first = len(parts[0])
        y_train, y_test = take_targets(y, slice(first)), take_targets(y, slice(first, None))
        split = Parts(parts[0], y_train, parts[1], y_test)
        return split, class_note(split, target, name)
    if rows < 2:  # noqa: PLR2004 - one for each part
        raise DataError(
            f"{name} has {pluralize(rows, 'row')}, too few for a training and a test part."
        )
    if labels is not None and labels.ndim == 1 and order is None:
        single = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 1)
        if single.size:
            has = "has one row" if single.size == 1 else "have one row each"
            raise DataError(
                f"{_class_list(single, classes)} of {name} {has}; at least 2 are needed, one for "
                "each part.",
                "Add rows, merge these classes into another one, or leave them out; or pass the "
                "training and the test part yourself.",
            )
    x = join(parts) if len(parts) > 1 else parts[0]
    if order is not None:
        share = options.split or DEFAULT_SPLIT
        train, test = chronological_indices(order, share, gap, name)
        split_note = ""
    else:
        share = options.split or DEFAULT_SPLIT
        train, test = train_test_indices(rows, share, options.seed, labels)
    split = Parts(
        *(take(x, train), take_targets(y, train)), *(take(x, test), take_targets(y, test))
    )
    if order is None and isinstance(target, Target) and not target.is_multilabel:
        return split, ""  # each class is in both parts
    note = class_note(split, target, name)
    return split, " ".join(filter(None, [split_note, note]))


def _strata(
    target: Target | Targets, share: float
) -> tuple[NDArray[np.intp] | None, Sequence[str], str]:
    """The labels whose proportions a split keeps, their names, and a note if they are not all."""
    labels = {n: part.labels for n, part in target.parts.items() if part.labels is not None}
    strata, name = stratification(labels, math.ceil(1 / min(share, 1 - share)))
    classes = () if name is None else target.parts[name].classes or ()
    is_one_of_several = name is not None and len(labels) > 1
    return strata, classes, f"The split keeps the proportions of {name}." * is_one_of_several


def class_note(split: Parts, target: Target | Targets, name: str) -> str:
    """What :func:`check_test_classes` says about each of several targets."""
    notes = []
    for key, part in target.parts.items():
        y_train, y_test = (y[key] if key else y for y in (split.y_train, split.y_test))
        note = check_test_classes(y_train, y_test, part, f"{key} of {name}" if key else name)
        notes.append(f"{key}: {note[:1].lower()}{note[1:]}" if key and note else note)
    return " ".join(filter(None, notes))


def check_test_classes(train: NDArray[Any], test: NDArray[Any], target: Target, name: str) -> str:
    """Reject classes without training rows, and note those without test rows.

    Labels without training rows are noted, because the others can be learned.
    """
    classes = target.classes
    if classes is None:
        return ""
    in_train, in_test = (target.occurs(part) for part in (train, test))
    unseen = np.flatnonzero(in_test & ~in_train)
    if target.is_multilabel:
        notes = [
            _part_note(np.flatnonzero(in_train & ~in_test), target, "no rows in the test part"),
            _part_note(unseen, target, "no rows in the training part and cannot be learned"),
            _part_note(np.flatnonzero(~in_train & ~in_test), target, "no rows at all"),
        ]
        return " ".join(filter(None, notes))
    if unseen.size:
        is_in = "is" if unseen.size == 1 else "are"
        raise DataError(
            f"{_class_list(unseen, classes)} of {name} {is_in} in the test part, but not in the "
            "training part: a model cannot learn a class without training rows.",
            Text(
                "Add training rows, leave these out, or pass ",
                Option("split", 0.2),
                " to split all rows again.",
            ),
        )
    return _part_note(np.flatnonzero(in_train & ~in_test), target, "no rows in the test part")


def _part_note(indices: NDArray[np.intp], target: Target, what: str) -> str:
    if not indices.size:
        return ""
    nouns = ("Label", "Labels") if target.is_multilabel else ("Class", "Classes")
    has = "has" if indices.size == 1 else "have"
    return f"{_class_list(indices, target.classes or (), *nouns)} {has} {what}."


def _class_list(
    indices: NDArray[np.intp], classes: Sequence[str], one: str = "Class", many: str = "Classes"
) -> str:
    names = [classes[index] for index in indices.tolist()]
    return f"{one if len(names) == 1 else many} {list_names(names, 5)}"


# --- scale, reshape, encode -----------------------------------------------------------------------


def apply_options(data: Dataset, options: LoadOptions) -> Dataset:
    """Encode, scale and reshape data that were read and split."""
    several = data.by_target or {"": {"classes": data.classes, "is_multilabel": data.is_multilabel}}
    classes_of = {
        name: None if own["is_multilabel"] else own["classes"] for name, own in several.items()
    }
    if options.onehot and not any(classes_of.values()):
        are_labels = any(own["is_multilabel"] for own in several.values())
        what = "several labels per sample" if are_labels else "numbers to predict"
        reason = f"classes, but {data.name} has {what}"
        raise inapplicable("onehot", reason, value=True)
    if options.channel and data.x_train.ndim != GREY_AXES:
        shape = format_shape(data.x_train.shape[1:])
        reason = f"grey images; those of {data.name} have channels: {shape}"
        raise inapplicable("channel", reason, value=True)
    split = Parts(data.x_train, data.y_train, data.x_test, data.y_test)
    learned, encoding = data.scaling, data.encoding
    if data.is_text:
        split, encoding = encode_texts(split, options)
    if options.scale != "none":
        if learned.kind != "none":
            raise DataError(
                f"The images of {data.name} are divided by 255 already: their values are 0 to 1.",
                leave_out("scale"),
            )
        rescaling = " and put a rescaling layer into the model: `rescaling {1 / 255}`."
        streamed = is_on_disk(split.x_train)
        if not streamed:
            require_memory(
                4 * (split.x_train.size + split.x_test.size),
                f"{data.name}, scaled to float32,",
                Text("Leave out ", Option("scale"), rescaling),
            )
        are_images = data.image_shape is not None
        learned = learn_scaling(options.scale, split.x_train, images=are_images)
        scale = learned.apply
        split = split.convert((lambda x: convert_rows(x, scale)) if streamed else scale)
    for classes in classes_of.values() if options.onehot else ():
        if classes and len(classes) == 1:
            one_class = f" needs two classes or more; {data.name} has {classes[0]!r} only."
            raise DataError(Text(Option("onehot", True), one_class), leave_out("onehot"))
    if options.onehot:
        split = split._replace(
            y_train=_one_hot(split.y_train, classes_of), y_test=_one_hot(split.y_test, classes_of)
        )
    if options.flatten:
        split = split.convert(lambda x: x.reshape(len(x), -1))
    elif options.channel:
        split = split.convert(lambda x: x[..., np.newaxis])
    return replace(data, scaling=learned, encoding=encoding, **split._asdict())


def _one_hot(y: Any, classes_of: Mapping[str, Sequence[str] | None]) -> Any:
    """Labels of each target with classes as one-hot rows."""
    if isinstance(y, Mapping):
        return {name: _one_hot(part, {"": classes_of[name]}) for name, part in y.items()}
    classes = classes_of[""]
    return np.eye(len(classes), dtype=np.float32)[y] if classes and y.ndim == 1 else y


def encode_texts(split: Parts, options: LoadOptions) -> tuple[Parts, TextEncoding | None]:
    """Encode sentences by a vocabulary of the training part, if the options request it."""
    if options.num_words is None and options.maxlen is None:
        return split, None
    encoding = learn_text(split.x_train, **options.text_encoding)
    return split.convert(encoding.encode), encoding


def join_notes(*notes: Part) -> Text:
    """The notes that are not empty, as one text."""
    return Text.join(" ", filter(None, notes))


def to_text_array(x: Any) -> NDArray[Any]:
    """Sentences as an array of strings."""
    return to_object_array(as_sentences(x) or list(x))


def to_object_array(items: Sequence[Any]) -> NDArray[Any]:
    """Items as an array with one axis, whatever they contain."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array
