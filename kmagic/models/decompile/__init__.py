"""A Keras model as the text that builds it: ``to_dsl``, and ``to_spec`` for programs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from kmagic.language import format_spec, format_statement, parse, spec
from kmagic.language.formatter import format_value
from kmagic.language.spec import Arg, CompileSpec, ModelSpec, Word
from kmagic.models.catalogue import word_for
from kmagic.models.decompile.config_values import UnwritableError, written_arguments
from kmagic.models.decompile.folding import fold
from kmagic.models.decompile.layer_writer import LayerWriter
from kmagic.models.decompile.model_reader import read_model
from kmagic.models.decompile.plan import ModelPlan, ModelProgram
from kmagic.models.decompile.round_trip import stands_for
from kmagic.models.decompile.statements import TextNames, statements_of
from kmagic.support.errors import DecompileError
from kmagic.support.process_patches import default_settings


def to_dsl(model: Any, *, exact: bool = False, compiled: bool = True, width: int = 0) -> str:
    """Write a model as text that builds an equal model.

    Repeated stretches become blocks and loops if that is clearly shorter; arguments at their
    default and names that Keras generated are left out. What the text needs from the notebook (a
    class, a function) is in a comment at its top. The text does not depend on Keras's global
    settings, such as the dtype policy: where they shaped the model, its layers contain them.

    Args:
        model: A ``keras.Sequential`` or a functional ``keras.Model``.
        exact: Write one line for each layer, and every layer under its own name.
        compiled: Whether a compiled model gets a ``compile`` line.
        width: If given, neighbouring steps share a line, separated by `` / ``, up to this many
            columns.

    Returns:
        A text, without a newline at its end, from which :func:`kmagic.build` builds an equal model:
        the same configuration (except generated names), weight shapes, and outputs for the same
        weights.

    Raises:
        DecompileError: Something in the model cannot be written as text: a class with code of its
            own, a lambda. The message names the layer.

    Example:
        >>> import keras
        >>> from keras import layers
        >>> print(to_dsl(keras.Sequential([keras.Input((4,)), layers.Dense(2, "softmax")])))
        input 4
        dense 2 softmax
    """
    program = read_model(model, compiled=compiled, exact=exact)
    text = format_spec(_shortest_spec(program, exact=exact), width=width)
    needed = f"needs from the notebook: {', '.join(program.needed)}"
    comments = [*([needed] if program.needed else []), *program.notes]
    return "\n".join([*(f"# {comment}" for comment in comments), text])


def to_spec(model: Any) -> ModelSpec:
    """Write a model as a spec; errors as for :func:`to_dsl`."""
    return _shortest_spec(read_model(model), exact=False)


def optimizer_text(optimizer: Any) -> str:
    """An optimizer as the language writes it, without a learning rate that is a number.

    Example:
        >>> from keras.optimizers import Adam, schedules
        >>> optimizer_text(Adam(schedules.CosineDecay(0.01, 100), clipnorm=1.0))
        'adam(cosine_decay(0.01, 100), clipnorm=1.0)'
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # scales the loss for float16
    cls, writer = type(optimizer), LayerWriter()
    try:
        with warnings.catch_warnings(action="ignore"):  # Keras warns of a lambda
            required = writer.required_arguments(cls, optimizer.get_config())
            if isinstance(required.get("learning_rate"), int | float):
                del required["learning_rate"]
            args = written_arguments(cls, writer.parameter_values(cls, required))
    except (UnwritableError, TypeError, ValueError, NotImplementedError):
        args = ()
    word = Word(word_for(cls))
    return format_value(spec.Object(word, args) if args else word)


def compile_line(model: Any) -> CompileSpec | None:
    """The line that compiles a model as it is compiled now; None if it is not.

    Raises:
        DecompileError: It was compiled with something that cannot be written, such as a lambda.
    """
    try:
        return LayerWriter().compile_line(model)
    except UnwritableError as error:
        raise DecompileError(f"The compile line cannot be written as text: {error}.") from None


def with_current_compile(text: str, model: Any) -> str:
    """A model's text with the compile line that the model has now; the rest is unchanged.

    If the model was compiled with something that cannot be written, such as a lambda, the text
    keeps its line.
    """
    spec = parse(text)
    try:
        current = compile_line(model)
    except DecompileError:
        return text
    if current == spec.compile:
        return text
    if spec.compile is None:
        return f"{text.rstrip()}\n{format_statement(current)}" if current else text
    lines = text.split("\n")
    index = spec.compile.span.line - 1
    if current is not None and lines[index].startswith("compile") and " / " not in lines[index]:
        lines[index] = format_statement(current)
        return "\n".join(lines)
    others = [part for part in spec.statements if not isinstance(part, CompileSpec)]
    return format_spec(ModelSpec((*others, *([current] if current else []))))


def _shortest_spec(program: ModelProgram, *, exact: bool) -> ModelSpec:
    for folded in (True, False) if not exact else (False,):
        names = TextNames(list(program.nested), {*program.nested, *program.needed})
        for plan in (*program.nested.values(), program.plan):
            names.taken |= {step.name for step in plan.steps if step.name}
        spec = ModelSpec(tuple(_statements(program, names, folded=folded)))
        with default_settings():
            if stands_for(parse(format_spec(spec)), program):
                return spec
    raise AssertionError("the text of a model's plan does not stand for the plan")


def _statements(
    program: ModelProgram, names: TextNames, *, folded: bool
) -> Iterator[spec.Statement]:
    def body(plan: ModelPlan) -> tuple[spec.Statement, ...]:
        return statements_of(plan, *fold(plan, names.taken, blocks=folded), names)

    plan = program.plan
    kind = _explicit_kind(plan)
    if plan.name or kind or plan.args:
        yield spec.HeadSpec(plan.name, kind, plan.args)
    for name, nested in program.nested.items():
        own_name = (
            (Arg(spec.LiteralValue(nested.name), "name"),) if nested.name not in ("", name) else ()
        )
        yield spec.NestedSpec(name, body(nested), _explicit_kind(nested), (*own_name, *nested.args))
        if nested.is_frozen:
            yield spec.FreezeSpec((Arg(spec.Word(name)),))
    yield from body(plan)
    if plan.compile is not None:
        yield plan.compile


def _explicit_kind(plan: ModelPlan) -> spec.ModelKind:
    """The kind of model, if the text alone would build the other kind."""
    models = [step.target for step in plan.steps if step.kind == "model"]
    has_reuse = len(set(models)) < len(models) or any(step.kind == "reuse" for step in plan.steps)
    if plan.kind == "sequential":
        return "sequential" if has_reuse else ""
    chained = [(), *((Arg(spec.NodeOutput(index)),) for index in range(len(plan.steps)))]
    is_stack = (
        [*(step.inputs for step in plan.steps), plan.outputs] == chained
        and plan.inputs is None
        and not any(step.kind == "function" for step in plan.steps)
        and not any(step.kind == "input" for step in plan.steps[1:])
    )
    return "functional" if is_stack and not has_reuse else ""
