"""A whole program: what it imports, what it needs, its functions, the model, the compile line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kmagic.language import format_spec, parse
from kmagic.language.expand import expand
from kmagic.language.graph import Graph
from kmagic.language.name_lookup import ExpansionError, definition_lines
from kmagic.language.spec import BlockSpec, ModelSpec, NestedSpec, NotebookValue, Span, Statement
from kmagic.models import catalogue
from kmagic.models.binding import BuildContext
from kmagic.models.codegen import spec_survey
from kmagic.models.codegen.code_scope import RESERVED, Frame, Scope
from kmagic.models.codegen.flat_program import write_flat
from kmagic.models.codegen.model_source import write_model, write_nested
from kmagic.models.codegen.program_state import State
from kmagic.models.codegen.source_tree import Atom, Call, Display, Item, Line, Stmt, render
from kmagic.models.codegen.unknown_value import Unknown
from kmagic.models.codegen.value_source import Unstructured

_LISTS = ("metrics", "weighted_metrics")


def program(
    spec: ModelSpec | str,
    names: Mapping[str, Any] | None = None,
    *,
    name: str = "model",
    where: str = "",
    first_line: int = 1,
) -> str:
    """The Keras program that a model's text stands for.

    Blocks become functions, repetitions loops, a plain stack a ``keras.Sequential``; expressions
    in braces stay, and the program's first line says which names it needs from the notebook.

    Args:
        spec: The text, or what it says.
        names: What the names in braces stand for, as far as it is at hand. A value tells whether
            a word is a text or a number, a layer or a function; without it, its name must.
        name: The variable that will hold the model.
        where: What the text is, in the user's words, for messages.
        first_line: Number of its first line in the user's editor.

    Returns:
        Source that ``ruff format`` leaves as it is. Run with the notebook's names, it gives a
        model equal to what :func:`kmagic.build` makes of the same text.

    Raises:
        DSLError: The text holds mistakes, or needs values that are not at hand.

    Example:
        >>> print(program("input 4 / dense {units} relu / dense 2 softmax"), end="")
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
        spec = parse(spec, where=where, first_line=first_line)
    if not spec.source:
        spec = parse(format_spec(spec))
    free = spec_survey.free_names(spec.statements)
    if names is None:
        free |= set(filter(_is_foreign, spec_survey.callees(spec.statements)))
    known = {**dict.fromkeys(free, Unknown()), **(names or {})}
    context = BuildContext(spec.source, where, first_line, known)
    context.definitions = definition_lines(spec.statements)
    graph = _graph(spec, context)
    try:
        state = _structured(spec, graph, context, free, name)
    except Unstructured:
        context.problems.clear()
        state = _state(spec, graph, context, free, name)
        state.scope.frame.taken = set(state.scope.frame.common)
        state.scope.choose_flow()
        write_flat(state, spec, graph, name)
    context.raise_problems()
    _compile(state, graph, name)
    context.raise_problems()
    return _written(state)


def _is_foreign(word: str) -> bool:
    """Whether a step's word looks like a class of the notebook's."""
    return word[:1].isupper() and catalogue.find_object("layer", word) is None


def _graph(spec: ModelSpec, context: BuildContext) -> Graph:
    try:
        graph = expand(spec, context.names, first_line=context.first_line)
    except ExpansionError as error:
        graph = context.report_expansion(error)
    if not graph.nodes:
        remedy = "Start with an input line: `input 28x28x1`."
        context.report("the text has no layers", Span(1, 1), remedy)
    context.raise_problems()
    return graph


def _state(
    spec: ModelSpec, graph: Graph, context: BuildContext, free: set[str], name: str
) -> State:
    common = {*RESERVED, *free, name, *_own_names(spec.statements)}
    scope = Scope(Frame(frozenset(common)), context.names)
    scope.declare(spec.statements)
    scope.choose_flow()
    graphs = {each.span: each for each in graph.models} | {Span(): graph}
    return State(context, graphs, scope, write_nested)


def _structured(
    spec: ModelSpec, graph: Graph, context: BuildContext, free: set[str], name: str
) -> State:
    state = _state(spec, graph, context, free, name)
    write_model(state, spec.statements, graph, name)
    return state


def _own_names(statements: tuple[Statement, ...]) -> Iterator[str]:
    """The names of all blocks and nested models."""
    for statement in statements:
        if isinstance(statement, BlockSpec | NestedSpec):
            yield statement.name
        for each in getattr(statement, "body", getattr(statement, "branches", ())):
            yield from _own_names((each,))


def _compile(state: State, graph: Graph, name: str) -> None:
    if graph.compile is None:
        return
    import keras  # noqa: PLC0415 - takes seconds

    spec = graph.compile
    bound = state.values.bind(keras.Model.compile, "compile", spec.args, spec.span)
    items = []
    given = {arg.name: arg.value for arg in spec.args}
    for key, code in bound.kwargs.items():
        is_list = key not in _LISTS or isinstance(code, Display) or _holds_several(given.get(key))
        items.append(Item(code if is_list else Display("[]", (Item(code),)), f"{key}="))
    state.scope.body.append(Line("", Call(Atom(f"{name}.compile"), tuple(items))))


def _holds_several(value: Any) -> bool:
    if not isinstance(value, NotebookValue):
        return False
    if isinstance(value.value, Unknown):
        return value.source.endswith("s")
    return isinstance(value.value, list | tuple | dict)


def _written(state: State) -> str:
    body: list[Stmt] = [*state.scope.frame.defs, *state.scope.body]
    text = render(body)
    needs = sorted(state.values.needs)
    head = [f"# From the notebook: {', '.join(needs)}"] if needs else []
    head.append("import keras")
    if "np." in text:
        head.append("import numpy as np")
    used = [each for each in ("layers", "ops") if re.search(rf"(?<![\w.]){each}\.", text)]
    if used:
        head.append(f"from keras import {', '.join(used)}")
    imports = sorted((module, each) for each, module in state.values.imports.items())
    head += [f"from {module} import {each}" for module, each in imports]
    gap = "\n\n" if state.scope.frame.defs else "\n"
    return "\n".join(head) + "\n" + gap + text
