"""The Keras program of a model's text: imports, functions, the model, its compilation."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from kmagic.language import expressions, format_spec, parse
from kmagic.language.graph import Graph
from kmagic.language.graph_statements import GraphStatements
from kmagic.language.spec import (
    Expr,
    LiteralValue,
    ModelSpec,
    NotebookValue,
    Span,
    Statement,
    Word,
    statements_in,
)
from kmagic.models.binding import BuildContext
from kmagic.models.build.constant_inputs import repeat_for_batch
from kmagic.models.catalogue import find_object
from kmagic.models.codegen.model_writer import write_model
from kmagic.models.codegen.program_state import (
    RESERVED,
    CodeFrame,
    CodeScope,
    Placeholder,
    ProgramState,
    Unstructured,
)
from kmagic.models.codegen.source_layout import call, render_source
from kmagic.models.codegen.spec_survey import defined_names, free_names
from kmagic.models.global_settings import settings_code
from kmagic.support.keras_import import keras

_LIST_ARGUMENTS = ("metrics", "weighted_metrics")
_PLAIN = str | int | float | bool | None


def keras_program(
    spec: ModelSpec | str,
    names: Mapping[str, Any] | None = None,
    *,
    name: str = "model",
    settings: Mapping[str, str] = MappingProxyType({}),
    shapes: Mapping[Span, Any] = MappingProxyType({}),
) -> str:
    """The Keras program of a model's text.

    Blocks become functions, repetitions loops, a plain stack a ``keras.Sequential``. Expressions
    in braces stay, and the first line lists the notebook variables that they need.

    Args:
        spec: The text, or its spec.
        names: Values of the names in braces, where they are known. A value shows whether a word
            is a text or a number, a layer or a function; otherwise its name has to.
        name: The variable that will hold the model.
        settings: Keras's global settings that shape the model, by name.
        shapes: The shapes of outputs by the positions of their lines, as far as they are known.

    Returns:
        Source as ``ruff format`` writes it. Run with the notebook's variables, it creates a model
        equal to the one that :func:`kmagic.build` creates from the text.

    Raises:
        DSLError: The text contains mistakes, or needs values that are unknown.

    Example:
        >>> print(keras_program("input 4 / dense {units} relu / dense 2 softmax"), end="")
        # From the notebook: units
        import keras
        from keras import layers
        <BLANKLINE>
        model = keras.Sequential(
            [
                keras.Input(shape=(4,)),
                layers.Dense(units, activation="relu"),
                layers.Dense(2, activation="softmax"),
            ]
        )
    """
    if isinstance(spec, str):
        spec = parse(spec)
    if not spec.source:
        spec = parse(format_spec(spec))
    free = free_names(spec.statements)
    if names is None:
        free |= _classes(spec.statements)
    known = {**dict.fromkeys(free, Placeholder()), **(names or {})}
    context = BuildContext(spec.source, names=known)
    graph = context.expand(spec)
    context.check_layers(graph)

    def written(statements: tuple[Statement, ...], *, is_flat: bool = False) -> ProgramState:
        names = RESERVED | free | defined_names(statements) | {name}
        scope = CodeScope(CodeFrame(names), known)
        scope.declare(statements)
        scope.choose_flow()
        state = ProgramState(context, graph, scope, shapes, is_flat=is_flat)
        write_model(state, statements, graph, name)
        return state

    try:
        state = written(spec.statements)
    except Unstructured:
        context.leave()
        context.forget_problems()
        _check_loop_values(spec, context)
        state = written(FlatStatements(context).write(graph), is_flat=True)
        context.leave()
    context.raise_problems()
    _write_compile(state, graph, name)
    context.raise_problems()
    return _program_text(state, settings)


def _classes(statements: tuple[Statement, ...]) -> set[str]:
    """The words that look like classes of the notebook's."""
    callees = [getattr(found, "callee", None) for found in statements_in(statements, inner=True)]
    words = {callee.text for callee in callees if isinstance(callee, Word)}
    return {word for word in words if word[:1].isupper() and not find_object("layer", word)}


def _check_loop_values(spec: ModelSpec, context: BuildContext) -> None:
    """Refuse a text whose loops have to be unrolled, but run over unknown values."""
    unknown = sorted(
        name for name, value in context.names.items() if isinstance(value, Placeholder)
    )
    for statement in statements_in(spec.statements, inner=True):
        for value in (getattr(statement, "times", None), *getattr(statement, "values", ())):
            if unknown and isinstance(value, Expr):
                message = "needs a value: the program depends on it"
                context.report_rejection(message, value.span, f"Define {', '.join(unknown)}.")
    context.raise_problems()


def _write_compile(state: ProgramState, graph: Graph, name: str) -> None:
    if graph.compile is None:
        return
    spec = graph.compile
    bound = state.bind(keras.Model.compile, "compile", spec.args, spec.span)
    given = {arg.name: arg.value for arg in spec.args}
    items = []
    for key, code in bound.kwargs.items():
        kind = type(ast.parse(code, mode="eval").body)
        is_list = kind in {ast.List, ast.Tuple, ast.Dict} or _holds_several(given.get(key))
        is_single = key in _LIST_ARGUMENTS and not is_list
        items.append(f"{key}=[{code}]" if is_single else f"{key}={code}")
    state.scope.body.append(call(f"{name}.compile", *items))


def _holds_several(value: Any) -> bool:
    if not isinstance(value, NotebookValue):
        return False
    if isinstance(value.value, Placeholder):
        return value.source.endswith("s")
    return isinstance(value.value, list | tuple | dict)


def _program_text(state: ProgramState, settings: Mapping[str, str]) -> str:
    text = render_source(state.scope.frame.with_functions(state.scope.body))
    if state.repeats_constants:
        text = f"{inspect.getsource(repeat_for_batch)}\n\n{text}"
    needs = sorted(state.needs)
    head = [f"# From the notebook: {', '.join(needs)}"] if needs else []
    head.append("import keras")
    if "np." in text:
        head.append("import numpy as np")
    used = [name for name in ("layers", "ops") if re.search(rf"(?<![\w.]){name}\.", text)]
    if used:
        head.append(f"from keras import {', '.join(used)}")
    imports = sorted((module, name) for name, module in state.imports.items())
    head += [f"from {module} import {name}" for module, name in imports]
    gap = "\n\n" if state.scope.frame.functions or state.repeats_constants else "\n"
    lines = settings_code(settings)
    return "\n".join(head) + "\n" + (f"\n{lines}" if lines else "") + gap + text


class FlatStatements(GraphStatements):
    """Statements without loops and blocks, for programs that cannot keep them.

    Python has no equivalent for some texts: an input in a loop, a loop whose iterations differ in
    more than values, a layer of a block that is used outside it.

    Args:
        context: Knows the notebook's variables, and collects mistakes.
    """

    def __init__(self, context: BuildContext) -> None:
        self.context = context

    def expression(self, value: NotebookValue) -> Expr | LiteralValue:
        """An expression, or its value where its names mean something else outside its block."""
        names, given = self.context.names, value.value
        with suppress(expressions.ExpressionError):
            outside = expressions.evaluate(value.source, names)
            is_equal = type(outside) is type(given) and isinstance(given, _PLAIN)
            if outside is given or (is_equal and outside == given):
                return Expr(value.source, span=value.span)
        for name, known in names.items():
            if known is given and not isinstance(known, _PLAIN):
                return Expr(name, span=value.span)
        if not isinstance(given, _PLAIN | tuple | list) or isinstance(given, Placeholder):
            message = f"has no expression outside its block: {{{value.source}}}"
            self.context.report_rejection(message, value.span, "Assign it to a variable first.")
            self.context.raise_problems()
        return LiteralValue(given, span=value.span)
