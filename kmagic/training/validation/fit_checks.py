"""A last look before the first epoch: what cannot be trained, and what will probably hurt.

It takes well under a fifth of a second: of large data only a part is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmagic.data.preparation.scale_drift import REMEDY, input_spreads, spread_difference
from kmagic.language.vocabulary import snake_case
from kmagic.models.lint.advice import Advice, filter_advice
from kmagic.models.lint.data_advice import data_advice
from kmagic.models.lint.input_parts import array_of, parts_of
from kmagic.models.lint.input_structure import structure_faults
from kmagic.models.lint.layer_positions import spans_of
from kmagic.models.lint.model_graph import ModelGraph, read_model_graph
from kmagic.models.lint.output_advice import loss_name, losses_of
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import pluralize
from kmagic.training.validation.class_weights import weight_advice

LOOKED_AT = 2**23
"""So many values of an array are looked at, evenly spread over the samples."""
APART = 1000.0
"""Features whose spreads differ by more than this are told of."""
PICTURE = 64
"""So many columns from 0 to 1 are a picture, a pixel a column."""
SCALING = (
    "BatchNormalization",
    "Embedding",
    "GroupNormalization",
    "LayerNormalization",
    "Normalization",
    "Rescaling",
)
MISFITS = (
    "embedding-index",
    "label-range",
    "numbers-categorical",
    "one-hot-sparse",
    "target-rank",
)
"""Codes of advice on data that Keras cannot train on, or only to nan."""
SILENCE = "`--no-checks` (checks=False) trains all the same."


@dataclass(frozen=True, slots=True)
class Misfit:
    """Data that cannot be trained on.

    Attributes:
        message: What was expected, and what came.
        remedy: What to do.
    """

    message: str
    remedy: str


def look_over(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    built: Any = None,
    validation: Any = None,
    test: Any = None,
    name: str = "",
    columns: Sequence[str] = (),
    class_weight: Any = None,
) -> list[str]:
    """Look at a model and its data before they are trained; compile it where it is not.

    Args:
        model: A Keras model.
        x: Inputs.
        y: Targets.
        built: What the model was built from, if that is known.
        validation: Validation data; a pair is looked at.
        test: Inputs that the model will be judged by, where they are known.
        name: What the user calls the model.
        columns: Names of the inputs' columns, where they are known.
        class_weight: What each class counts.

    Returns:
        What should be known, a sentence or two each.

    Raises:
        TrainingError: The data cannot be trained on. Nothing was changed.

    Example:
        >>> import keras, numpy
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="line")
        >>> look_over(model, numpy.ones((8, 2)), numpy.ones(8))
        ['line was not compiled; now it is: adam, loss=mse, metrics=mae.']
    """
    name = name or model.name
    parts = parts_of("x", x, model, "inputs") | parts_of("y", y, model, "outputs")
    inputs, targets = parts.get("x"), parts.get("y")
    faults = [Misfit(*each) for each in structure_faults(model, x, y)]
    found = [*faults, *_of_lengths(parts), *_of_shapes(model, inputs)]
    if not faults:
        found += _of_several_shapes(model, x)
    if isinstance(validation, tuple | list) and validation:
        held = parts_of("x", validation[0], model, "inputs").get("x")
        found += _of_shapes(model, held, "the validation data have")
    found += _of_labels(y)
    for what, part in parts.items():
        found += _of_numbers(what, part)
    _refuse(name, found)
    facts = read_model_graph(model, spans_of(built))
    compiled = getattr(model, "compiled", False)
    chosen = None if compiled else _choose(facts, name, targets)
    loss = chosen.loss if chosen else ""
    advice = list(data_advice(facts, x, y, loss=loss))
    hard = [Misfit(each.message, each.remedy) for each in advice if each.code in MISFITS]
    _refuse(name, [*hard, *_of_fractions(facts, targets, loss)])
    told = [chosen.compile(model, name)] if chosen else []
    advice += _of_scales(facts, inputs, columns)
    advice += _of_parts(model, x, validation, test)
    advice += weight_advice(class_weight, targets)
    source = built.spec.source if built is not None else ""
    told += [
        f"{each.message} {each.remedy}" for each in filter_advice(advice, source, (), hints=False)
    ]
    return told


def _refuse(name: str, found: list[Misfit]) -> None:
    if not found:
        return
    words = found[0].message
    if len(found) > 1:
        words = "".join(f"\n  - {each.message}" for each in found)
    remedies = " ".join(dict.fromkeys(each.remedy for each in found))
    raise TrainingError(f"{name} cannot be trained on this data: {words}", f"{remedies}\n{SILENCE}")


def _some(array: Any) -> Any:
    """A part of an array, evenly spread over its samples."""
    return array[:: max(1, -(-array.size // LOOKED_AT))]


# --- what cannot be trained -------------------------------------------------------------------


def _of_lengths(parts: Mapping[str, Any]) -> Iterator[Misfit]:
    for what, part in parts.items():
        first = next(iter(parts))
        if len(part) != len(parts[first]):
            yield Misfit(
                f"{first} has {len(parts[first]):,} samples and {what} has {len(part):,}.",
                "Both need one entry for each sample, in the same order.",
            )
            return


def _of_shapes(model: Any, x: Any, who: str = "x has") -> Iterator[Misfit]:
    expected = getattr(model, "input_shape", None)
    if x is None or not isinstance(expected, tuple) or not _is_shape(expected):
        yield from _of_axes(model, x, who)
        return
    received = tuple(x.shape)
    if _fits(received, expected):
        return
    yield Misfit(
        f"its input expects {_words(expected)} for each sample, and {who} {_words(received)}.",
        _reshaping(received[1:], expected[1:]),
    )


def _of_several_shapes(model: Any, x: Any) -> Iterator[Misfit]:
    """The same for each of several inputs."""
    tensors = list(getattr(model, "inputs", None) or ())
    if len(tensors) < 2:  # noqa: PLR2004 - several
        return
    if isinstance(x, Mapping):
        pairs = [(name, x.get(name), tensor) for tensor in tensors if (name := tensor.name) in x]
    else:
        several = isinstance(x, list | tuple) and len(x) == len(tensors)
        pairs = [(t.name, part, t) for part, t in zip(x, tensors, strict=True)] if several else []
    for name, part, tensor in pairs:
        received = getattr(part, "shape", None)
        expected = tuple(tensor.shape)
        if not isinstance(received, tuple) or not received or not _is_shape(expected):
            continue
        if not _fits(received, expected):
            yield Misfit(
                f"its input {name} expects {_words(expected)} for each sample, "
                f"and x has {_words(received)} there.",
                _reshaping(received[1:], expected[1:]),
            )


def _of_axes(model: Any, x: Any, who: str) -> Iterator[Misfit]:
    """Of a stack that has no shapes yet: whether the first layer takes so many axes."""
    import keras  # noqa: PLC0415 - takes seconds; there is a model, so it is loaded

    if x is None or not isinstance(model, keras.Sequential) or model.built or not model.layers:
        return
    spec = model.layers[0].input_spec
    wanted = getattr(spec, "ndim", None) or getattr(spec, "min_ndim", None)
    if wanted is None or x.ndim >= wanted:
        return
    word = snake_case(type(model.layers[0]).__name__)
    shape = _plain((*x.shape[1:], *(1,) * (wanted - x.ndim)))
    yield Misfit(
        f"its first layer, {word}, takes samples of {pluralize(wanted - 1, 'axis', 'axes')}, "
        f"and {who} {_words(tuple(x.shape))}.",
        f"If the last axis is missing, begin with `input {shape}`, or give x[..., None]."
        if wanted - x.ndim == 1
        else f"Bring x into the shape of such samples; {shape} would be one.",
    )


def _is_shape(shape: tuple[Any, ...]) -> bool:
    return all(each is None or isinstance(each, int) for each in shape)


def _fits(received: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    """Whether Keras takes it; it adds or drops a last dimension of one."""
    if len(received) == len(expected) - 1 and expected[-1] == 1:
        received = (*received, 1)
    elif len(received) == len(expected) + 1 and received[-1] == 1:
        received = received[:-1]
    return len(received) == len(expected) and all(
        want is None or want == got for got, want in zip(received[1:], expected[1:], strict=True)
    )


def _reshaping(received: tuple[int, ...], expected: tuple[int | None, ...]) -> str:
    if received and len(received) + 1 == len(expected) and expected[:-1] == received:
        return (
            f"The channel axis is missing: write `input {_plain((*received, 1))}`, "
            f"or give x {expected[-1]} channels."
        )
    sizes = [each for each in expected if each is not None]
    if len(sizes) == len(expected) and _product(sizes) == _product(received):
        return f"Write x.reshape(-1, {', '.join(map(str, sizes))}), or `input {_plain(received)}`."
    return f"Write `input {_plain(received)}`, or bring x into the shape of the input."


def _product(sizes: Any) -> int:
    from math import prod  # noqa: PLC0415 - used here alone

    return prod(sizes)


def _plain(shape: Any) -> str:
    return "x".join(map(str, shape)) or "1"


def _words(shape: tuple[Any, ...]) -> str:
    sizes = ["any" if each is None else str(each) for each in shape[1:]]
    return "x".join(sizes) if sizes else "a single number"


def _of_labels(y: Any) -> Iterator[Misfit]:
    array = array_of(y)
    if array is None or array.dtype.kind not in "OUS":
        return
    first = array.reshape(-1)[0]
    if isinstance(first, str | bytes):
        yield Misfit(
            f"the labels are words such as {str(first)!r}, and a loss takes numbers.",
            "Number them: `classes, y = numpy.unique(y, return_inverse=True)`.",
        )


def _of_numbers(what: str, array: Any) -> Iterator[Misfit]:
    """Whether there are nan or inf: a sum finds them, since it is one as well."""
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    if array is None or array.dtype.kind not in "fc":
        return
    some = _some(array)
    with np.errstate(all="ignore"):
        if np.isfinite(some.sum(dtype="float64")):
            return
    good = np.isfinite(some.reshape(len(some), -1)).all(axis=1)
    if good.all():
        return
    step = max(1, -(-array.size // LOOKED_AT))
    row = int(np.argmin(good)) * step
    yield Misfit(
        f"{what} holds nan or inf, first in sample {row:,}: the loss would be nan as well.",
        f"Leave those samples out, or write numpy.nan_to_num({what}).",
    )


def _of_fractions(facts: ModelGraph, y: Any, loss: str) -> Iterator[Misfit]:
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    if y is None or y.dtype.kind != "f" or len(facts.ends) != 1:
        return
    some = _some(y)
    loss = loss or loss_name(losses_of(facts.model, 1)[0])
    if loss == "sparse_categorical_crossentropy" and (some != np.floor(some)).any():
        odd = float(some[some != np.floor(some)].flat[0])
        yield Misfit(
            f"{loss} takes class numbers, and y holds fractions such as {odd:g}.",
            "For numbers to predict: `dense 1` and loss=mse. For classes: whole numbers from 0.",
        )


# --- what will probably hurt ------------------------------------------------------------------


def _of_scales(facts: ModelGraph, x: Any, names: Sequence[str]) -> Iterator[Advice]:
    """Columns of which some are so small that the others drown them."""
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    table = 2
    if x is None or x.ndim != table or x.shape[1] < table or x.dtype.kind not in "iuf":
        return
    first = [child for call in facts.calls if call.kind == "InputLayer" for child in call.children]
    if facts.opaque or any(call.is_any(*SCALING) for call in first):
        return
    some = _some(x)
    if x.shape[1] >= PICTURE and some.min() >= 0 and some.max() <= 1:
        return  # pixels in a row: one that is hardly ever lit is of no other size
    spread = some.std(axis=0)
    columns = np.flatnonzero(spread > 0)
    if len(columns) < table:
        return
    small = int(columns[spread[columns].argmin()])
    large = int(columns[spread[columns].argmax()])
    if spread[large] > APART * spread[small]:
        named = len(names) == x.shape[1]
        high, low = (f"column {names[each] if named else each}" for each in (large, small))
        yield Advice(
            "feature-scales",
            f"the features are of very different size: {high} spreads by "
            f"{spread[large]:,.3g}, {low} by {spread[small]:,.3g}, and the large ones "
            "drown the small.",
            "Load with --scale standard, or begin with `batch_normalization`.",
        )


def _of_parts(model: Any, x: Any, validation: Any, test: Any) -> Iterator[Advice]:
    """Validation and test data that were scaled in another way than the training data."""
    pair = isinstance(validation, tuple | list) and len(validation) > 1
    mine = _spreads(model, x)
    for what, values in (("validation", validation[0] if pair else None), ("test", test)):
        message = spread_difference(what, _spreads(model, values), mine)
        if message:
            yield Advice(f"{what}-scale", message, REMEDY)


def _spreads(model: Any, x: Any) -> dict[str, float]:
    return input_spreads(model, parts_of("x", x, model, "inputs").get("x", x))


# --- what is not compiled ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Choice:
    """What suits a model that is not compiled."""

    loss: str
    metrics: str
    logits: bool

    def compile(self, model: Any, name: str) -> str:
        """Compile by it; returns what was chosen, in words."""
        loss: Any = self.loss
        if self.logits:
            import keras  # noqa: PLC0415 - takes seconds; there is a model, so it is loaded

            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=[self.metrics])
        how = f"{self.loss}(from_logits=true)" if self.logits else self.loss
        return f"{name} was not compiled; now it is: adam, loss={how}, metrics={self.metrics}."


def _choose(facts: ModelGraph, name: str, y: Any) -> _Choice:
    """What suits the output and the targets."""
    if len(facts.ends) != 1:
        raise TrainingError(
            f"{name} is not compiled, and for several outputs no loss can be guessed.",
            "Add a line such as `compile adam loss=mse`, or call model.compile(...).",
        )
    end = facts.ends[0]
    labels = y is not None and y.dtype.kind in "iu" and end.units > 1
    one_hot = y is not None and y.ndim == end.rank and y.shape[-1] == end.units > 1
    if end.activation == "softmax" or (labels and not one_hot and end.activation == "linear"):
        loss = "categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy"
        metrics = "accuracy"
    elif end.activation == "sigmoid":
        loss, metrics = "binary_crossentropy", "accuracy"
    else:
        loss, metrics = "mse", "mae"
    return _Choice(loss, metrics, metrics == "accuracy" and end.activation == "linear")
