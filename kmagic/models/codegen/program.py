"""The Keras program of a model's text: imports, functions, the model, its compilation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kmagic.language import format_spec, parse
from kmagic.language.expand import expand
from kmagic.language.graph import Graph, Node
from kmagic.language.name_lookup import ExpansionError, definition_lines
from kmagic.language.spec import (
    Arg,
    BlockSpec,
    Expr,
    LiteralValue,
    ModelSpec,
    NestedSpec,
    NotebookValue,
    Span,
    Statement,
    Word,
)
from kmagic.models import catalogue
from kmagic.models.binding import UNRESOLVED, BuildContext
from kmagic.models.binding.word_lookup import find_layer
from kmagic.models.codegen import spec_survey
from kmagic.models.codegen.flat_spec import FlatModel, FlatStatements
from kmagic.models.codegen.model_writer import (
    FreezePoint,
    FunctionalWriter,
    SequentialWriter,
    freeze_loop,
    one_or_list,
)
from kmagic.models.codegen.program_state import (
    RESERVED,
    CodeFrame,
    CodeScope,
    Placeholder,
    ProgramState,
    StepCode,
    Unstructured,
    is_function_step,
    python_name,
)
from kmagic.models.codegen.source_tree import (
    Assign,
    Atom,
    BlankLine,
    Call,
    CodeLine,
    Collection,
    Item,
    list_of,
    render_source,
)

_LIST_ARGUMENTS = ("metrics", "weighted_metrics")


def keras_program(
    spec: ModelSpec | str, names: Mapping[str, Any] | None = None, *, name: str = "model"
) -> str:
    """The Keras program of a model's text.

    Blocks become functions, repetitions loops, a plain stack a ``keras.Sequential``. Expressions
    in braces stay, and the first line lists the notebook variables that they need.

    Args:
        spec: The text, or its spec.
        names: Values of the names in braces, where they are known. A value shows whether a word
            is a text or a number, a layer or a function; otherwise its name has to.
        name: The variable that will hold the model.

    Returns:
        Source that ``ruff format`` does not change. Run with the notebook's variables, it creates
        a model equal to the one that :func:`kmagic.build` creates from the text.

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
    free = spec_survey.free_names(spec.statements)
    if names is None:
        free |= set(filter(_looks_like_class, spec_survey.callees(spec.statements)))
    known = {**dict.fromkeys(free, Placeholder()), **(names or {})}
    context = BuildContext(spec.source, names=known)
    context.definitions = definition_lines(spec.statements)
    graph = _expanded(spec, context)
    common = {*RESERVED, *free, name}
    try:
        state = _new_state(spec.statements, graph, context, common)
        _write_model(state, spec.statements, graph, name)
    except Unstructured:
        context.problems.clear()
        _check_loop_values(spec, context)
        statements = FlatStatements(context).write(graph)
        state = _new_state(statements, graph, context, common)
        _write_model(state, statements, graph, name)
        context.leave()
    context.raise_problems()
    _write_compile(state, graph, name)
    context.raise_problems()
    return _program_text(state)


def _looks_like_class(word: str) -> bool:
    """Whether a step's word looks like a class of the notebook's."""
    return word[:1].isupper() and catalogue.find_object("layer", word) is None


def _expanded(spec: ModelSpec, context: BuildContext) -> Graph:
    try:
        graph = expand(spec, context.names)
    except ExpansionError as error:
        graph = context.report_expansion(error)
    if not graph.nodes:
        remedy = "Start with an input line: `input 28x28x1`."
        context.report("the text has no layers", Span(1, 1), remedy)
    context.raise_problems()
    return graph


def _check_loop_values(spec: ModelSpec, context: BuildContext) -> None:
    """Refuse a text whose loops have to be unrolled, but run over unknown values."""
    unknown = sorted(
        name for name, value in context.names.items() if isinstance(value, Placeholder)
    )
    for value in spec_survey.loop_values(spec.statements):
        if unknown and isinstance(value, Expr):
            message = "needs a value: the program depends on it"
            context.report_rejection(message, value.span, f"Define {', '.join(unknown)}.")
    context.raise_problems()


def _new_state(
    statements: tuple[Statement, ...], graph: Graph, context: BuildContext, common: set[str]
) -> ProgramState:
    own = {
        statement.name
        for statement in spec_survey.all_statements(statements)
        if isinstance(statement, BlockSpec | NestedSpec)
    }
    scope = CodeScope(CodeFrame(frozenset(common | own)), context.names)
    scope.declare(statements)
    scope.choose_flow()
    graphs = {model.span: model for model in graph.models} | {Span(): graph}
    return ProgramState(context, graphs, scope, _write_nested)


# --- models -----------------------------------------------------------------------------------


def _write_model(
    state: ProgramState,
    statements: tuple[Statement, ...],
    graph: Graph,
    variable: str,
    prefix: str = "",
) -> None:
    """Write a model into the body of the state's scope, as a stack if it is one.

    Args:
        state: Its scope is the model's own.
        statements: The model's text.
        graph: What the text stands for.
        variable: The variable that will hold the model.
        prefix: Of the names of inputs and outputs, in a nested model.
    """
    if is_sequential(graph, state):
        _write_sequential(state, statements, graph, variable)
    else:
        _write_functional(state, statements, graph, variable, prefix)


def _write_nested(state: ProgramState, spec: NestedSpec) -> None:
    """Write a ``model`` statement, and make its name known."""
    outer = state.scope
    graph = spec.graph if isinstance(spec, FlatModel) and spec.graph else state.graphs[spec.span]
    scope = CodeScope(
        outer.frame,
        outer.env,
        renames=outer.renames,
        blocks=dict(outer.blocks),
        models=dict(outer.models),
        trail=outer.trail,
    )
    variable = python_name(spec.name)
    scope.declare(spec.body)
    used = {tensor.code for tensor in (*outer.current, *outer.entry, *outer.tensors.values())}
    if outer.current and Atom(outer.flow) in used:
        scope.choose_flow(f"{variable}_")
    else:
        scope.flow = outer.flow
    state.scope = scope
    _write_model(state, spec.body, graph, variable, f"{variable}_")
    state.scope = outer
    outer.body += [*scope.body, BlankLine()]
    keys = tuple(sorted(arg.name for arg in graph.outputs if arg.name))
    outer.models[spec.name] = StepCode(Atom(variable), base_name=variable, keys=keys)


def is_sequential(graph: Graph, state: ProgramState) -> bool:
    """Whether a graph is built as a ``keras.Sequential``."""
    if graph.kind == "functional" or not graph.is_stack:
        if graph.kind == "sequential":
            state.refuse("a sequential model must be a plain stack of layers", graph.span)
        return False
    if any(_applies_function(node, state) for node in graph.nodes):
        return False
    shared = [
        node.callee.source if isinstance(node.callee.value, Placeholder) else id(node.callee.value)
        for node in graph.nodes
        if isinstance(node.callee, NotebookValue) and not node.args
    ]
    return len(set(shared)) == len(shared)


def _applies_function(node: Node, state: ProgramState) -> bool:
    callee = node.callee
    if isinstance(callee, NotebookValue):
        return is_function_step(callee.value, callee.source, has_args=bool(node.args))
    if not isinstance(callee, Word):
        return False
    target = find_layer(callee, state.context)
    return target is not UNRESOLVED and is_function_step(
        target, callee.text, has_args=bool(node.args)
    )


def _write_sequential(
    state: ProgramState, statements: tuple[Statement, ...], graph: Graph, variable: str
) -> None:
    writer = SequentialWriter(state)
    pieces = writer.pieces(statements)
    lines, layers = writer.laid_out(pieces)
    body = state.scope.body
    body += lines
    args = _model_arguments(state, graph)
    body.append(Assign(variable, Call(Atom("keras.Sequential"), (Item(layers), *args))))
    if isinstance(layers, Atom):
        return  # the list was built line by line, and its layers are frozen there
    total = sum(not node.is_input for node in graph.nodes)
    for piece in pieces:
        if isinstance(piece, FreezePoint) and piece.count:
            some = "" if piece.count == total else f"[:{piece.count}]"
            body.append(freeze_loop(Atom(f"{variable}.layers{some}")))


def _write_functional(
    state: ProgramState,
    statements: tuple[Statement, ...],
    graph: Graph,
    variable: str,
    prefix: str,
) -> None:
    scope, body = state.scope, state.scope.body
    scope.input_base = f"{prefix}inputs"
    if not spec_survey.has_input(statements) and not any(node.is_input for node in graph.nodes):
        remedy = "Start with an input line: `input 28x28x1`."
        state.refuse("the model has no input", graph.nodes[0].span, remedy)
    writer = FunctionalWriter(state)
    writer.write_all(statements)
    inputs = writer.ends(scope.inputs) or one_or_list(
        [tensor.code for tensor in scope.model_inputs]
    )
    outputs = writer.ends(scope.outputs)
    if outputs is None:
        outputs = one_or_list([tensor.code for tensor in scope.current])
        last = body[-1] if body else None
        name = f"{prefix}outputs"
        is_free = name not in scope.frame.taken
        if (
            isinstance(last, Assign)
            and outputs == Atom(scope.flow) == Atom(last.targets)
            and is_free
        ):
            body[-1] = Assign(name, last.value)
            outputs = Atom(name)
    args = (Item(inputs), Item(outputs), *_model_arguments(state, graph))
    body.append(Assign(variable, Call(Atom("keras.Model"), args)))


def _model_arguments(state: ProgramState, graph: Graph) -> tuple[Item, ...]:
    """The arguments of a model itself: its name, and those of its head line."""
    import keras  # noqa: PLC0415 - takes seconds

    args = graph.args
    if graph.name and not any(arg.name == "name" for arg in args):
        args = (Arg(LiteralValue(graph.name), "name"), *args)
    bound = state.bind(keras.Sequential, "model", args, graph.span)
    return tuple(Item(code, f"{key}=") for key, code in bound.kwargs.items())


def _write_compile(state: ProgramState, graph: Graph, name: str) -> None:
    if graph.compile is None:
        return
    import keras  # noqa: PLC0415 - takes seconds

    spec = graph.compile
    bound = state.bind(keras.Model.compile, "compile", spec.args, spec.span)
    items = []
    given = {arg.name: arg.value for arg in spec.args}
    for key, code in bound.kwargs.items():
        is_list = isinstance(code, Collection) or _holds_several(given.get(key))
        code_of_list = code if key not in _LIST_ARGUMENTS or is_list else list_of([code])
        items.append(Item(code_of_list, f"{key}="))
    state.scope.body.append(CodeLine("", Call(Atom(f"{name}.compile"), tuple(items))))


def _holds_several(value: Any) -> bool:
    if not isinstance(value, NotebookValue):
        return False
    if isinstance(value.value, Placeholder):
        return value.source.endswith("s")
    return isinstance(value.value, list | tuple | dict)


def _program_text(state: ProgramState) -> str:
    text = render_source([*state.scope.frame.functions, *state.scope.body])
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
    gap = "\n\n" if state.scope.frame.functions else "\n"
    return "\n".join(head) + "\n" + gap + text
