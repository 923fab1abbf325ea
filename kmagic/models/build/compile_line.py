"""``compile`` lines and the arguments of ``%keras_compile`` to ``Model.compile``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kmagic.language.spec import Arg, LayerRef, ModelRef, Span
from kmagic.models.binding.argument_binding import bind_arguments
from kmagic.models.binding.build_context import BuildContext
from kmagic.models.build.keras_errors import error_summary, tidy
from kmagic.models.build.object_values import ValueResolver
from kmagic.support.suggestions import did_you_mean

_BY_OUTPUT = ("loss", "loss_weights", "metrics", "weighted_metrics")
_LISTS = ("metrics", "weighted_metrics")


def compile_model(
    model: Any, arguments: Mapping[str, Any], span: Span, context: BuildContext
) -> None:
    """Compile a model.

    Args:
        model: A Keras model.
        arguments: From :func:`compile_arguments`.
        span: Where the line stands that gave them.
        context: For the messages.

    Raises:
        DSLError: An unknown optimizer, loss, metric or argument.
    """
    context.raise_problems()
    _check_names(model, arguments, span, context)
    context.raise_problems()
    try:
        model.compile(**arguments)
    except Exception as error:
        context.report_rejection(tidy(error_summary(error)), span, cause=error)
        context.raise_problems()
        raise


def compile_arguments(args: tuple[Arg, ...], span: Span, context: BuildContext) -> dict[str, Any]:
    """The arguments of ``Model.compile`` that a line stands for; mistakes are noted.

    Args:
        args: Of the line: the optimizer first, then loss, metrics ...
        span: Where the line stands.
        context: For the messages.
    """
    import keras  # noqa: PLC0415 - takes seconds

    bound = bind_arguments(
        keras.Model.compile, "compile", args, span, context, ValueResolver(_no_layers).resolve
    )
    for name in _LISTS:
        if name in bound.kwargs and not isinstance(bound.kwargs[name], list | tuple | dict):
            bound.kwargs[name] = [bound.kwargs[name]]
    return bound.kwargs


def _check_names(
    model: Any, arguments: Mapping[str, Any], span: Span, context: BuildContext
) -> None:
    """Refuse a loss or metrics for an output that the model does not have."""
    known = _outputs(model)
    for name in _BY_OUTPUT if known else ():
        given = arguments.get(name)
        for key in given if isinstance(given, Mapping) else ():
            if key not in known:
                remedy = did_you_mean(str(key), known) or f"Its outputs: {', '.join(known)}."
                place = _place(str(key), name, span, context)
                context.report_rejection(f"the model has no output {key}", place, remedy)


def _outputs(model: Any) -> list[str]:
    """The names by which Keras knows a model's outputs; none if that cannot be told."""
    outputs = getattr(model, "output", None) if model.built else None
    if outputs is None:
        return []
    if not isinstance(outputs, Mapping):
        return list(getattr(model, "output_names", ()))
    nested = any(isinstance(each, Mapping | list | tuple) for each in outputs.values())
    return [] if nested else [str(key) for key in outputs]


def _place(key: str, argument: str, span: Span, context: BuildContext) -> Span:
    """Where a name stands in the value of an argument; else the line."""
    rows = context.source.splitlines()
    row = rows[span.line - 1] if span.line <= len(rows) else ""
    found = re.search(rf"\b{argument}\s*=\s*{{[^}}]*?(?<!\w)({re.escape(key)})\b", row)
    return span if found is None else Span(span.line, found.start(1) + 1, len(key))


def _no_layers(reference: LayerRef | ModelRef) -> Any:
    raise TypeError(f"a compile line holds no layers: {reference}")
