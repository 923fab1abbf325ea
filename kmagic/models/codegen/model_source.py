"""A model from its statements: a stack as a list, anything else as functional code."""

from __future__ import annotations

from kmagic.language.graph import Graph, Node
from kmagic.language.spec import Arg, LiteralValue, NestedSpec, NotebookValue, Statement, Word
from kmagic.models.binding import UNRESOLVED
from kmagic.models.binding.word_lookup import find_layer
from kmagic.models.codegen import spec_survey
from kmagic.models.codegen.code_scope import Scope, Tensor
from kmagic.models.codegen.code_writer import Writer, one_or_list
from kmagic.models.codegen.functional_code import Flow
from kmagic.models.codegen.program_state import State
from kmagic.models.codegen.sequential_code import Frozen, Stack
from kmagic.models.codegen.source_tree import Assign, Atom, Blank, Call, Code, Item, Line, Loop
from kmagic.models.codegen.step_source import Made, is_function
from kmagic.models.codegen.unknown_value import Unknown
from kmagic.models.codegen.value_source import python_name


def write_model(
    state: State, statements: tuple[Statement, ...], graph: Graph, var: str, prefix: str = ""
) -> None:
    """Write a model into the body of the present scope.

    Args:
        state: Of the program; its scope is the model's own.
        statements: The model's text.
        graph: What the text stands for.
        var: The variable that will hold the model.
        prefix: Of its inputs' names, where another model's may be about.
    """
    if is_sequential(graph, state):
        _write_stack(state, statements, graph, var)
    else:
        _write_flow(state, statements, graph, var, prefix)


def write_nested(state: State, spec: NestedSpec) -> None:
    """Write a ``model`` statement, and make its name known."""
    outer = state.scope
    graph = state.graphs[spec.span]
    scope = Scope(
        outer.frame,
        outer.env,
        renames=outer.renames,
        blocks=dict(outer.blocks),
        models=dict(outer.models),
        trail=outer.trail,
    )
    var = python_name(spec.name)
    scope.declare(spec.body)
    busy = {each.code for each in (*outer.current, *outer.entry, *outer.taps.values())}
    if outer.current and Atom(outer.flow) in busy:
        scope.choose_flow(f"{var}_")
    else:
        scope.flow = outer.flow
    state.scope = scope
    write_model(state, spec.body, graph, var, f"{var}_")
    state.scope = outer
    outer.body += [*scope.body, Blank()]
    keys = tuple(sorted(arg.name for arg in graph.outputs if arg.name))
    outer.models[spec.name] = Made(Atom(var), word=var, keys=keys)


def is_sequential(graph: Graph, state: State) -> bool:
    """Whether a graph is built as a ``keras.Sequential``."""
    if graph.kind == "functional" or not graph.is_stack:
        if graph.kind == "sequential":
            state.refuse("a sequential model is a plain stack, and this is not", graph.span)
        return False
    if any(_applies_function(node, state) for node in graph.nodes):
        return False
    given = [node.callee for node in graph.nodes if not node.args]
    found = [
        each.source if isinstance(each.value, Unknown) else id(each.value)
        for each in given
        if isinstance(each, NotebookValue)
    ]
    return len(set(found)) == len(found)


def _applies_function(node: Node, state: State) -> bool:
    callee = node.callee
    if isinstance(callee, NotebookValue):
        return is_function(callee.value, callee.source, bare=not node.args)
    if not isinstance(callee, Word):
        return False
    found = find_layer(callee, state.context)
    return found is not UNRESOLVED and is_function(found, callee.text, bare=not node.args)


def _write_stack(state: State, statements: tuple[Statement, ...], graph: Graph, var: str) -> None:
    writer = Stack(state)
    pieces = writer.pieces(statements)
    lines, layers = writer.laid_out(pieces)
    body = state.scope.body
    body += lines
    args = model_arguments(state, graph)
    body.append(Assign(var, Call(Atom("keras.Sequential"), (Item(layers), *args))))
    if isinstance(layers, Atom):
        return  # the list was grown line by line, and what is frozen with it
    total = sum(not node.is_input for node in graph.nodes)
    for piece in pieces:
        if isinstance(piece, Frozen) and piece.count:
            some = "" if piece.count == total else f"[:{piece.count}]"
            freeze = (Line("layer.trainable = False"),)
            body.append(Loop("layer", Atom(f"{var}.layers{some}"), freeze))


def _write_flow(
    state: State, statements: tuple[Statement, ...], graph: Graph, var: str, prefix: str
) -> None:
    scope, body = state.scope, state.scope.body
    scope.input_base = f"{prefix}inputs"
    if not spec_survey.inputs(statements) and not any(node.is_input for node in graph.nodes):
        span = graph.nodes[0].span
        remedy = "Begin with a line such as `input 28x28x1`."
        state.refuse("the model has no input", span, remedy)
    writer = Flow(state)
    writer.all(statements)
    inputs = _ends(writer, scope.inputs) or one_or_list([t.code for t in scope.model_inputs])
    outputs = _ends(writer, scope.outputs)
    if outputs is None:
        outputs = one_or_list([each.code for each in scope.current])
        last = body[-1] if body else None
        name = f"{prefix}outputs"
        if (
            isinstance(last, Assign)
            and outputs == Atom(scope.flow) == Atom(last.targets)
            and name not in scope.frame.taken
        ):
            body[-1] = Assign(name, last.value)
            outputs = Atom(name)
    args = (Item(inputs), Item(outputs), *model_arguments(state, graph))
    body.append(Assign(var, Call(Atom("keras.Model"), args)))


def _ends(writer: Writer, entries: tuple[Arg, ...]) -> Code | None:
    """The structure of a model's inputs or outputs as its line says, or None without one."""
    if not entries:
        return None
    named = [(arg.name, arg.value) for arg in entries if arg.name is not None]
    if named:
        return writer.dictionary(iter(named))
    codes: list[Code] = []
    for arg in entries:
        several: tuple[Tensor, ...] | None = writer.several(arg.value)
        codes += [each.code for each in several] if several else [writer.tensor(arg.value)]
    return one_or_list(codes)


def model_arguments(state: State, graph: Graph) -> tuple[Item, ...]:
    """The arguments of a model itself: its name, and what its head line says."""
    import keras  # noqa: PLC0415 - takes seconds

    args = graph.args
    if graph.name and not any(arg.name == "name" for arg in args):
        args = (Arg(LiteralValue(graph.name), "name"), *args)
    bound = state.values.bind(keras.Sequential, "model", args, graph.span)
    return tuple(Item(code, f"{key}=") for key, code in bound.kwargs.items())
