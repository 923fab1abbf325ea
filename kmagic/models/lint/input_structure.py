"""Whether data have a part for each of several inputs or outputs, by name or by order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

STEPS = ("train_step", "compute_loss")


def structure_faults(model: Any, x: Any, y: Any) -> Iterator[tuple[str, str]]:
    """What is missing or too many, and what to do about it.

    Args:
        model: A Keras model of one input and one output or of several.
        x: What was given for the inputs.
        y: What was given for the outputs.
    """
    import keras  # noqa: PLC0415 - takes seconds; there is a model, so it is loaded

    if any(getattr(type(model), step, None) is not getattr(keras.Model, step) for step in STEPS):
        return  # what its own step makes of the data is not known
    inputs, outputs = (list(getattr(model, side, None) or ()) for side in ("inputs", "outputs"))
    if len(inputs) > 1:
        names = _names(getattr(model, "input", None), [each.name for each in inputs])
        yield from _faults("x", x, names, "inputs", needed=set(names))
    if len(outputs) > 1 and y is not None:
        own = list(getattr(model, "output_names", ()))
        names = _names(getattr(model, "output", None), own)
        loss = getattr(model, "loss", None)
        named = isinstance(loss, Mapping | list | tuple)  # an output without a loss needs no target
        yield from _faults("y", y, names, "outputs", needed=set() if named else set(names))


def _names(structure: Any, otherwise: list[str]) -> list[str]:
    return list(structure) if isinstance(structure, Mapping) else otherwise


def _faults(
    what: str, values: Any, names: list[str], side: str, *, needed: set[str]
) -> Iterator[tuple[str, str]]:
    has = f"the model has {len(names)} {side}, {', '.join(names)}"
    parts = ", ".join(f"{name!r}: ..." for name in names)
    remedy = f"Give {{{parts}}}, or a list in this order."
    if isinstance(values, Mapping):
        missing, foreign = sorted(needed - set(values)), sorted(set(values) - set(names), key=str)
        if missing:
            yield f"{has}, and {what} has nothing for {', '.join(missing)}.", remedy
        elif foreign and what == "y":
            yield f"{has}, and {what} has {', '.join(map(str, foreign))}.", remedy
    elif isinstance(values, list | tuple) and all(hasattr(each, "shape") for each in values):
        if needed and len(values) != len(names):
            yield f"{has}, and {what} is a list of {len(values)}.", remedy
    elif hasattr(values, "shape") and needed:
        yield f"{has}, and {what} is one array.", remedy
