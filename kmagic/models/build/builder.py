"""Builds and compiles a Keras model from a text of the layer language."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from kmagic.language import format_spec
from kmagic.language.graph import Graph
from kmagic.language.parser import parse_partial
from kmagic.language.portable_text import make_portable, settings_of
from kmagic.language.spec import CompileSpec, ModelSpec, Span, replace_part
from kmagic.models.binding.argument_binding import bind_arguments
from kmagic.models.binding.build_context import BuildContext
from kmagic.models.build.assembly import (
    Assembly,
    ValueResolver,
    assemble,
    has_new_weights,
    report_mistakes,
)
from kmagic.models.build.keras_errors import clean_message, error_summary, with_shape
from kmagic.models.build.model_origin import ModelOrigin, mentioned_variables, origin_of, set_origin
from kmagic.models.global_settings import changed_settings
from kmagic.support.errors import DSLError, Problem
from kmagic.support.keras_import import keras
from kmagic.support.model_registry import mark_untrained, record_for
from kmagic.support.process_patches import isolated_keras
from kmagic.support.suggestions import did_you_mean

_MAX_TRIAL_PARAMETERS = 20_000_000
"""A larger model is not built only to verify a remedy."""
_BY_OUTPUT = ("loss", "loss_weights", "metrics", "weighted_metrics")


def build_model(
    text: str | ModelSpec,
    names: Mapping[str, Any],
    *,
    where: str = "",
    first_line: int = 1,
    name: str = "",
    safe_mode: bool = False,
) -> Any:
    """Build a model like :func:`kmagic.build`, with the location of the text for messages.

    Args:
        text: The text or spec.
        names: Values of the names in braces.
        where: What the text is, for messages: "%%keras_model cnn".
        first_line: Number of its first line in the user's editor.
        name: The model's name in Keras, unless the text gives one.
        safe_mode: Reject what runs code or reads other files: the text is from a file.
    """
    if isinstance(text, ModelSpec) and text.source:
        spec = text
    else:
        spec = parse_partial(text if isinstance(text, str) else format_spec(text))
    context = BuildContext(spec.source, where, first_line, names, safe_mode=safe_mode)
    context.try_spec = partial(_problems_of, names=names, safe_mode=safe_mode)
    assembly, graph = assemble_spec(spec, context, name)
    model = assembly.model
    steps, nested = tuple(assembly.steps), tuple(assembly.nested)
    portable = make_portable(spec, names)
    variables = mentioned_variables(spec, names)
    settings = changed_settings()
    set_origin(model, ModelOrigin(spec, graph, steps, nested, portable, variables, settings))
    record = record_for(model)
    statements = tuple(part for part in spec.statements if not isinstance(part, CompileSpec))
    record.values = settings_of(statements, names)
    record.compile_values = (getattr(model, "optimizer", None), settings_of(spec.compile, names))
    if has_new_weights(graph, [*steps, *nested], names):
        mark_untrained(model)
    return model


def assemble_spec(spec: ModelSpec, context: BuildContext, name: str = "") -> tuple[Assembly, Graph]:
    """A model with its steps, compiled, and its graph."""
    graph = _expand(spec, context)
    context.check_layers(graph)
    # TensorFlow trains no model with another name.
    graph.name = graph.name or re.sub(r"\W", "_", name, flags=re.ASCII).lstrip("_")
    arguments = compile_arguments(graph.compile, context)
    assembly = assemble(graph, context)
    _compile(assembly.model, arguments, graph.compile, context)
    return assembly, graph


def _problems_of(
    spec: ModelSpec, names: Mapping[str, Any], *, safe_mode: bool
) -> Sequence[Problem]:
    """The problems of a changed text, of which nothing is kept; no layer adapts to data."""
    try:
        with isolated_keras():
            context = BuildContext(spec.source, names=names, is_trial=True, safe_mode=safe_mode)
            assemble_spec(spec, context)
    except DSLError as error:
        return error.problems
    return ()


def accepts_input_shape(model: Any, tensor: Any, shape: Sequence[int | None]) -> bool:
    """Whether the text of a model works with another shape of one of its inputs.

    Args:
        model: The model.
        tensor: The input.
        shape: The shape of one sample.

    Example:
        >>> model = build_model("input 8x8x3 / conv2d 2 3x3 / flatten", {})
        >>> [accepts_input_shape(model, model.inputs[0], shape) for shape in ((8, 8), (9, 9, 1))]
        [False, True]
    """
    origin = origin_of(model)
    if origin is None or model.count_params() > _MAX_TRIAL_PARAMETERS:
        return False
    steps = (step for step in origin.steps if step.layer is tensor)
    spec = next((step.node.spec for step in steps), None)
    if spec is None:
        return False
    changed = replace_part(origin.spec, spec, (with_shape(spec, shape),))
    return not _problems_of(changed, origin.names(), safe_mode=True)


def compile_text(model: Any, text: str, names: Mapping[str, Any], *, where: str = "") -> None:
    """Compile a model from a ``compile`` line of the language.

    Args:
        model: A Keras model.
        text: The line: "compile adam loss=mse".
        names: Values of the names in braces.
        where: What the text is, for messages.

    Raises:
        DSLError: An unknown optimizer, loss, metric or argument.

    Example:
        >>> model = build_model("input 4 / dense 2", {})
        >>> compile_text(model, "compile adam(1e-4) loss=mse metrics=mae", {})
        >>> model.loss
        'mse'
    """
    context = BuildContext(text, where, 1, names)
    spec = parse_partial(text)
    graph = _expand(spec, context)
    _compile(model, compile_arguments(graph.compile, context), graph.compile, context)
    record_for(model).compile_values = (model.optimizer, settings_of(spec, names))


def _expand(spec: ModelSpec, context: BuildContext) -> Graph:
    """The graph of a text; raises all mistakes that can be found, if there is one."""
    context.problems += spec.problems
    graph = context.expand(spec)
    if context.problems:
        report_mistakes(graph, context)
        compile_arguments(graph.compile, context)
        context.raise_problems()
    return graph


# --- compile ----------------------------------------------------------------------------------


def compile_arguments(spec: CompileSpec | None, context: BuildContext) -> dict[str, Any]:
    """The arguments for ``Model.compile``; mistakes are reported."""
    if spec is None:
        return {}
    resolve = ValueResolver().resolve
    args = bind_arguments(keras.Model.compile, "compile", spec.args, spec.span, context, resolve)
    for name in ("metrics", "weighted_metrics"):
        if name in args.kwargs and not isinstance(args.kwargs[name], list | tuple | dict):
            args.kwargs[name] = [args.kwargs[name]]
    return args.kwargs


def _compile(
    model: Any, arguments: Mapping[str, Any], spec: CompileSpec | None, context: BuildContext
) -> None:
    context.raise_problems()
    if spec is None:
        return
    known = _output_names(model)
    for name in _BY_OUTPUT if known else ():
        value = arguments.get(name)
        for key in value if isinstance(value, Mapping) else ():
            if key not in known:
                remedy = did_you_mean(str(key), known) or f"Available outputs: {', '.join(known)}."
                span = _key_span(str(key), name, spec.span, context)
                context.report_rejection(f"the model has no output {key}", span, remedy)
    context.raise_problems()
    try:
        _check_no_data(arguments)
        model.compile(**arguments)
    except Exception as error:  # noqa: BLE001 - whatever Keras raises, the line is at fault
        context.reject(clean_message(error_summary(error)), spec.span, cause=error)


def _check_no_data(arguments: Mapping[str, Any]) -> None:
    """Reject data as losses or metrics, which Keras would notice in training only."""
    for name in ("loss", "metrics", "weighted_metrics"):
        for item in keras.tree.flatten(arguments.get(name)):
            if not (isinstance(item, str | int | float | None) or callable(item)):
                found = type(item).__name__
                raise TypeError(f"{name} must be words, functions or objects; got {found}")


def _output_names(model: Any) -> list[str]:
    """The names of a model's outputs; none if they are not known."""
    outputs = getattr(model, "output", None) if model.built else None
    if outputs is None:
        return []
    if not isinstance(outputs, Mapping):
        return list(getattr(model, "output_names", ()))
    is_nested = any(isinstance(output, Mapping | list | tuple) for output in outputs.values())
    return [] if is_nested else [str(key) for key in outputs]


def _key_span(key: str, argument: str, span: Span, context: BuildContext) -> Span:
    """The position of a key in an argument's value; else the whole line."""
    lines = context.source.splitlines()
    line = lines[span.line - 1] if span.line <= len(lines) else ""
    match = re.search(rf"\b{argument}\s*=\s*{{[^}}]*?(?<!\w)({re.escape(key)})\b", line)
    return span if match is None else Span(span.line, match.start(1) + 1, len(key))
