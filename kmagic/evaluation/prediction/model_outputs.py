"""The outputs of a model by name: one of them as a model of its own, with its data and targets.

The model of one output shares the layers of the whole and computes only what the output needs. Its
record says which output it is, so what prepares samples and targets for it finds its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from kmagic.evaluation.prediction.batch_prediction import model_phrase
from kmagic.evaluation.prediction.predictions import output_kind_of
from kmagic.models.lint.model_advice import loss_of_output
from kmagic.models.model_arrays import model_tensors, output_index
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import list_names
from kmagic.support.keras_import import keras
from kmagic.support.messages import Option, Text
from kmagic.support.model_registry import dataset_for, hash_weights, is_untrained, record_for
from kmagic.support.suggestions import did_you_mean

_parts: WeakKeyDictionary[Any, tuple[Any, dict[str, Any]]] = WeakKeyDictionary()
"""For each model how it was compiled, and the models of its outputs."""


def output_names(model: Any) -> list[str]:
    """The names of a model's outputs, as its targets are named.

    Example:
        >>> import keras
        >>> x = keras.Input((2,))
        >>> a, b = keras.layers.Dense(1, name="a")(x), keras.layers.Dense(1, name="b")(x)
        >>> output_names(keras.Model(x, [a, b])), output_names(keras.Model(x, {"u": a, "v": b}))
        (['a', 'b'], ['u', 'v'])
    """
    return list(model_tensors(model, "outputs"))


def has_several_outputs(model: Any) -> bool:
    """Whether a model is known to have several outputs."""
    return len(getattr(model, "outputs", None) or ()) > 1


def select_output(model: Any, output: str | None) -> Any:
    """One output of a model as a model with the same layers; the model itself if it has one.

    Raises:
        EvaluationError: There is no such output, or the model has several and none is named.
    """
    names = output_names(model)
    if output is None and len(names) < 2:  # noqa: PLR2004 - several
        return model
    if output is None:
        raise EvaluationError(
            Text(model_phrase(model), f" has {len(names)} outputs: {list_names(names)}."),
            Text("Choose one: ", Option("output", names[0]), "."),
        )
    if output not in names:
        known = f"Its outputs are {list_names(names)}." if names else "Its outputs have no names."
        raise EvaluationError(
            Text(model_phrase(model), f" has no output {output!r}."),
            did_you_mean(str(output), names) or known,
        )
    if len(names) == 1:
        return model
    compiled, parts = _parts.get(model, (None, {}))
    config = getattr(model, "_compile_config", None)
    if compiled is not config:
        parts = {}
    if output not in parts:
        parts[output] = _model_of(model, output)
    _parts[model] = config, parts
    _set_record(model, parts[output], output, names)
    return parts[output]


def _model_of(model: Any, output: str) -> Any:
    tensor = model_tensors(model, "outputs")[output]
    if not hasattr(tensor, "shape"):
        raise EvaluationError(
            Text(model_phrase(model), f" returns several arrays as its output {output!r}."),
            "Give each output a name of its own.",
        )
    name = re.sub(r"\W+", "_", f"{model.name}_{output}")
    part = keras.Model(model.input, tensor, name=name)
    if getattr(model, "compiled", False):
        loss = loss_of_output(model, output)
        settings = getattr(getattr(model, "_compile_config", None), "config", None) or {}
        metrics = {
            kind: _metrics_of(settings.get(kind), model, output)
            for kind in ("metrics", "weighted_metrics")
        }
        part.compile(loss=loss, jit_compile=model.jit_compile, **metrics)
    return part


def _metrics_of(given: Any, model: Any, output: str) -> Any:
    """The metrics of one output, of those that ``compile`` got for all."""
    if isinstance(given, Mapping):
        given = given.get(output)
    elif isinstance(given, list | tuple) and len(given) == len(model.outputs):
        given = given[output_index(model, output)]
    if given is None:
        return None
    return list(given) if isinstance(given, list | tuple) else [given]


def _set_record(model: Any, part: Any, output: str, names: list[str]) -> None:
    """What is known about the whole model, for one output."""
    whole, record = record_for(model), record_for(part)
    record.output, record.siblings = output, tuple(names)
    record.spreads = whole.spreads
    record.dataset = data_of_output(whole.dataset, output)
    record.initial_weights = hash_weights(part) if is_untrained(model) else None


def data_of_output(data: Any, output: str) -> Any:
    """The dataset, or the preparation, of one output; without classes if it has no such target."""
    if output in (getattr(data, "by_target", None) or ()):
        return data.of(output)
    preparation = getattr(data, "preparation", None)
    if preparation is None:
        return data
    return replace(preparation, classes=None, target="", is_multilabel=False, by_target={})


def data_for(model: Any, data: Any) -> Any:
    """A dataset with several targets as that of the target that a model with one output predicts.

    Anything else is returned as it is.

    Raises:
        EvaluationError: It is unclear which target that is.
    """
    targets, record = getattr(data, "by_target", None), record_for(model)
    other = getattr(data, "target", "") if hasattr(data, "x_test") else ""
    if record.output and other != record.output and other in record.siblings:
        raise EvaluationError(
            f"{data.name} has the targets of the output {other!r}, not of {record.output!r}.",
            Text("Pass the dataset of all targets, or choose ", Option("output", other), "."),
        )
    if not targets or has_several_outputs(model):
        return data
    names = [
        record.output,
        getattr(dataset_for(model), "target", ""),
        *output_names(model),
    ]
    target = next((name for name in names if name in targets), None)
    if target is None:
        first = next(iter(targets))
        own = names[0] or names[-1]
        why = f"none is called like the output of the model, {own}"
        why = why if own else "it is unknown which of them the model predicts"
        raise EvaluationError(
            f"{data.name} has {len(targets)} targets, {list_names(targets)}, and {why}.",
            f"Pass the dataset of one: {data.name}.of({first!r}).",
        )
    return data.of(target)


def targets_for(model: Any, y: Any) -> Any:
    """The targets of a model of one output, of those of all outputs; its own as they are.

    Raises:
        EvaluationError: They are not among them.
    """
    record = record_for(model)
    output, names = record.output, record.siblings
    if isinstance(y, Mapping) and not has_several_outputs(model):
        if not output and len(y) == 1:
            return next(iter(y.values()))
        output = output or next((name for name in output_names(model) if name in y), "")
        if output not in y:
            raise EvaluationError(
                f"y has no targets for the output {output!r}; it has {list_names(map(str, y))}.",
                did_you_mean(output, [str(key) for key in y])
                or "Name the targets as the outputs of the model.",
            )
        return y[output]
    is_list = isinstance(y, list | tuple) and len(y) == len(names)
    if output and is_list and all(hasattr(part, "shape") for part in y):
        return y[names.index(output)]
    return y


def check_targets(model: Any, y: Any) -> None:
    """Reject a single array of targets for a model with several outputs."""
    if y is None or isinstance(y, Mapping):
        return
    names = output_names(model)
    is_list = isinstance(y, list | tuple) and all(hasattr(part, "shape") for part in y)
    if not is_list or len(y) != len(names):
        wanted = ", ".join(f"{name!r}: ..." for name in names)
        raise EvaluationError(
            Text(
                model_phrase(model),
                f" has {len(names)} outputs, {list_names(names)}, but y is "
                f"{f'a list of {len(y)}' if is_list else 'a single array'}.",
            ),
            Text(f"Pass {{{wanted}}}, or choose an output: ", Option("output", names[0]), "."),
        )


def output_kind(model: Any, output: str, data: Any = None) -> str:
    """Whether an output predicts classes, labels or values, by what is known without predictions.

    ``data`` is the dataset of the samples; by default it is that of the training.
    """
    part = select_output(model, output)
    data = data_of_output(data, output) if hasattr(data, "x_test") else dataset_for(part)
    shape = [side or 1 for side in part.output_shape[1:]]
    return output_kind_of(part, np.zeros((1, *shape)), data).kind


def only_output_with_classes(model: Any, data: Any = None) -> str | None:
    """The only output whose samples have one class each; None if there are several or none."""
    names = output_names(model) if has_several_outputs(model) else []
    found = [name for name in names if output_kind(model, name, data) == "classes"]
    return found[0] if len(found) == 1 else None


def title_of(name: str, output: str | None) -> str:
    """The title of a result, perhaps for one output."""
    return ", ".join(filter(None, (name, output)))
