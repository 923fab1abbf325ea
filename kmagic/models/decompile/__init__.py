"""A Keras model to the text that builds it: ``to_dsl``, and ``to_spec`` for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kmagic.language import format_spec, parse
from kmagic.language.spec import (
    Arg,
    CompileSpec,
    FreezeSpec,
    HeadSpec,
    LiteralValue,
    ModelKind,
    ModelSpec,
    NestedSpec,
    NodeOutput,
    Statement,
    Word,
)
from kmagic.models.decompile.folding import fold
from kmagic.models.decompile.model_reader import read
from kmagic.models.decompile.plan import Plan, Program
from kmagic.models.decompile.round_trip import stands_for
from kmagic.models.decompile.statements import Names, render

__all__ = ["needs", "to_dsl", "to_spec"]


def to_dsl(model: Any, *, exact: bool = False, compiled: bool = True, width: int = 0) -> str:
    """Write a model down as text that builds an equal model.

    Repeated stretches become blocks and loops where that is plainly shorter, arguments at their
    defaults and names that Keras invented are left out. What the text needs from the notebook (a
    class, a function) stands in a comment at its top.

    Args:
        model: A ``keras.Sequential`` or a functional ``keras.Model``.
        exact: One line for each layer, and every layer under its own name.
        compiled: Whether a model that is compiled gets a ``compile`` line.
        width: If given, neighbouring steps share a line, between `` / ``, up to this many
            columns.

    Returns:
        The text; it ends without a newline.

    Raises:
        DecompileError: The model holds what no text can say: a class with code of its own, a
            function without a name. The message names the layer.

    Example:
        >>> import keras
        >>> from keras import layers
        >>> print(to_dsl(keras.Sequential([keras.Input((4,)), layers.Dense(2, "softmax")])))
        input 4
        dense 2 softmax
    """
    program = read(model, compiled=compiled, exact=exact)
    text = format_spec(_written(program, exact=exact), width=width)
    return "\n".join([*_comments(program), text])


def to_spec(model: Any, *, exact: bool = False, compiled: bool = True) -> ModelSpec:
    """Write a model down as a spec; see :func:`to_dsl`.

    Args:
        model: A ``keras.Sequential`` or a functional ``keras.Model``.
        exact: One line for each layer, and every layer under its own name.
        compiled: Whether a model that is compiled gets a ``compile`` line.

    Raises:
        DecompileError: The model holds what no text can say.
    """
    return _written(read(model, compiled=compiled, exact=exact), exact=exact)


def needs(model: Any) -> dict[str, Any]:
    """What a model's text needs from the notebook: classes and functions by name.

    ``build(to_dsl(model), **needs(model))`` builds the model wherever these names are not
    defined.

    Args:
        model: A ``keras.Sequential`` or a functional ``keras.Model``.

    Raises:
        DecompileError: The model holds what no text can say.
    """
    return read(model).needs


def _written(program: Program, *, exact: bool) -> ModelSpec:
    """The shortest text that stands for the program."""
    for folded in (True, False) if not exact else (False,):
        spec = _spec(program, folded=folded)
        if stands_for(parse(format_spec(spec)), program):
            return spec
    raise AssertionError("a text of the model's own plan does not stand for it")


def _spec(program: Program, *, folded: bool) -> ModelSpec:
    names = Names(program.names, {*program.names, *program.needs})
    for plan in (*program.models, program.plan):
        names.taken |= {step.name for step in plan.steps if step.name}
    return ModelSpec(tuple(_statements(program, names, folded=folded)))


def _statements(program: Program, names: Names, *, folded: bool) -> Iterator[Statement]:
    plan = program.plan
    kind = _kind(plan)
    if plan.name or kind or plan.args:
        yield HeadSpec(plan.name, kind, plan.args)
    for name, nested in zip(program.names, program.models, strict=True):
        body = render(nested, fold(nested, names.taken, blocks=folded), names)
        own = (Arg(LiteralValue(nested.name), "name"),) if nested.name not in ("", name) else ()
        yield NestedSpec(name, body, _kind(nested), (*own, *nested.args))
        if nested.frozen:
            yield FreezeSpec((Arg(Word(name)),))
    yield from render(plan, fold(plan, names.taken, blocks=folded), names)
    if program.compile is not None:
        yield CompileSpec(program.compile)


def _kind(plan: Plan) -> ModelKind:
    """What a head must say, since the text alone would build the other kind."""
    stack = all(
        step.inputs == ((Arg(NodeOutput(number - 1)),) if number else ())
        and step.kind != "function"
        and (not number or step.kind != "input")
        for number, step in enumerate(plan.steps)
    )
    ends = plan.outputs == (Arg(NodeOutput(len(plan.steps) - 1)),) and plan.inputs is None
    again = [step.of for step in plan.steps if step.kind == "model"]
    once = len(set(again)) == len(again) and all(step.kind != "reuse" for step in plan.steps)
    if plan.kind == "functional":
        return "functional" if stack and ends and once else ""
    return "" if once else "sequential"


def _comments(program: Program) -> Iterator[str]:
    if program.needs:
        yield f"# needs from the notebook: {', '.join(program.needs)}"
    for note in program.notes:
        yield f"# {note}"
