"""A program layer by layer, from the graph: what is left where a text's structure cannot stay.

Loops are run and blocks opened. That is needed where Python has no like of the text: an input in
a loop, a loop whose turns differ in more than values, a layer shared out of a block.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from kmagic.language import expressions
from kmagic.language.graph import Graph, Node
from kmagic.language.spec import (
    Arg,
    Expr,
    LayerRef,
    MappingValue,
    ModelRef,
    ModelSpec,
    NodeOutput,
    NotebookValue,
    SequenceValue,
    Word,
)
from kmagic.models.codegen.brace_source import python
from kmagic.models.codegen.code_scope import Tensor
from kmagic.models.codegen.code_writer import one_or_list, part
from kmagic.models.codegen.model_source import is_sequential, model_arguments
from kmagic.models.codegen.program_state import State
from kmagic.models.codegen.sequential_code import MOST_ON_A_LINE
from kmagic.models.codegen.source_tree import (
    Assign,
    Atom,
    Blank,
    Call,
    Code,
    Display,
    Item,
    Line,
    Loop,
    call,
    flat,
    listed,
    literal,
)
from kmagic.models.codegen.spec_survey import counts, within
from kmagic.models.codegen.step_source import Made
from kmagic.models.codegen.unknown_value import Unknown
from kmagic.models.codegen.value_source import python_name

_PLAIN = str | int | float | bool | None


def write_flat(state: State, spec: ModelSpec, graph: Graph, name: str) -> None:
    """Write a graph's model into the scope's body.

    Raises:
        DSLError: A loop's count or a value is needed that is not at hand.
    """
    names = state.context.names
    unknown = sorted(name for name, value in names.items() if isinstance(value, Unknown))
    if unknown:
        for value in counts(spec.statements):
            if isinstance(value, Expr):
                message = "its program needs the number, and that is not at hand"
                state.refuse(message, value.span, f"Give {', '.join(unknown)}.")
    _Flat(state, graph, {}).write(name, "")


class _Flat:
    """One model's writing; nested models have writings of their own."""

    def __init__(
        self, state: State, graph: Graph, made: dict[int, Made], models: Any = None
    ) -> None:
        self.state, self.graph, self.made = state, graph, made
        self.models: list[Graph] = graph.models if models is None else models
        self.layers: list[Made] = []
        self.outs: list[Tensor] = []
        state.values.expression = self._expression
        state.values.reference = self._reference

    def write(self, var: str, prefix: str) -> None:
        """Write the model into a variable."""
        sequential = is_sequential(self.graph, self.state)
        held = self._held()
        users = self._users()
        body = self.state.scope.body
        inputs: list[Code] = []
        for number, node in enumerate(self.graph.nodes):
            self.state.context.enter(node)
            layer = self._layer(node, keep=number in held)
            self.layers.append(layer)
            if sequential:
                continue
            if node.is_input:
                target = self._fresh(node.name or f"{prefix}inputs")
                body.append(Assign(target, layer.code))
                inputs.append(Atom(target))
            else:
                alone = users[number] == {number + 1} and number + 1 < len(self.graph.nodes)
                target = self._flow(prefix) if alone else self._fresh(node.name or layer.word)
                body.append(Assign(target, self._applied(node, layer)))
            self.outs.append(Tensor(Atom(target), layer.keys))
        self.state.context.leave()
        self._freeze()
        args = model_arguments(self.state, self.graph)
        if sequential:
            codes = [layer.code for layer in self.layers]
            layers = Display("[]", tuple(map(Item, codes)), tall=len(codes) > MOST_ON_A_LINE)
            body.append(Assign(var, Call(Atom("keras.Sequential"), (Item(layers), *args))))
            return
        ends = self._ends(self.graph.inputs) if self.graph.inputs else one_or_list(inputs)
        outputs = self._ends(self.graph.outputs)
        body.append(Assign(var, Call(Atom("keras.Model"), (Item(ends), Item(outputs), *args))))

    def _fresh(self, base: str) -> str:
        return self.state.scope.frame.fresh(base)

    def _flow(self, prefix: str) -> str:
        return f"{prefix}{self.state.scope.flow}"

    # --- layers -------------------------------------------------------------------------------

    def _held(self) -> set[int]:
        """The nodes whose layer is needed beyond its own line."""
        within_args = (node.args for node in self.graph.nodes)
        refs = [each for args in within_args for each in within(args) if isinstance(each, LayerRef)]
        refs += [node.callee for node in self.graph.nodes if isinstance(node.callee, LayerRef)]
        refs += [each for each in self.graph.frozen if isinstance(each, LayerRef)]
        return {each.node for each in refs}

    def _users(self) -> dict[int, set[int]]:
        users: dict[int, set[int]] = defaultdict(set)
        for number, node in enumerate(self.graph.nodes):
            for each in within(node.inputs):
                if isinstance(each, NodeOutput):
                    users[each.node].add(number)
        for each in within((self.graph.outputs, self.graph.inputs or ())):
            if isinstance(each, NodeOutput):
                users[each.node].add(len(self.graph.nodes))
        return users

    def _layer(self, node: Node, *, keep: bool) -> Made:
        if isinstance(node.callee, LayerRef | ModelRef):
            return self._known(node.callee)
        made = self.state.steps.make(node.callee, node.args, node.name, node.span)
        made = made or Made(Atom("..."))
        if not made.fresh or node.is_input or not (keep or made.adapt is not None):
            return made
        body = self.state.scope.body
        var = self._fresh(f"{node.name}_layer" if node.name else f"{made.word}_layer")
        body.append(Assign(var, made.code))
        if made.adapt is not None:
            body.append(Line("", call(f"{var}.adapt", made.adapt)))
        return Made(Atom(var), word=made.word, signature=made.signature, outputs=made.outputs)

    def _known(self, reference: LayerRef | ModelRef) -> Made:
        if isinstance(reference, LayerRef):
            return self.layers[reference.node]
        if reference.model not in self.made:
            graph = self.models[reference.model]
            var = self._fresh(
                python_name(f"{graph.name}_model" if graph.name in self._busy else graph.name)
            )
            inner = _Flat(self.state, graph, self.made, self.models)
            inner.write(var, f"{var}_")
            self.state.scope.body.append(Blank())
            self.state.values.expression = self._expression
            self.state.values.reference = self._reference
            keys = tuple(sorted(arg.name for arg in graph.outputs if arg.name))
            self.made[reference.model] = Made(Atom(var), word=graph.name or "model", keys=keys)
        return self.made[reference.model]

    @property
    def _busy(self) -> set[str]:
        return self.state.scope.frame.taken

    def _reference(self, reference: LayerRef | ModelRef) -> Code:
        return self._known(reference).code

    def _freeze(self) -> None:
        codes = dict.fromkeys(
            self._known(each).code
            for each in self.graph.frozen
            if not (isinstance(each, LayerRef) and self.graph.nodes[each.node].is_input)
        )
        if len(codes) <= MOST_ON_A_LINE:
            for code in codes:
                self.state.scope.body.append(Line("", code, ".trainable = False"))
            return
        freeze = (Line("layer.trainable = False"),)
        self.state.scope.body.append(Loop("layer", listed(codes), freeze))

    # --- tensors ------------------------------------------------------------------------------

    def _applied(self, node: Node, layer: Made) -> Code:
        places = [self._tensor(arg.value) for arg in node.inputs if arg.name is None]
        named = [
            Item(self._tensor(arg.value), f"{arg.name}=")
            for arg in node.inputs
            if arg.name is not None
        ]
        return layer.applied(places, named)

    def _tensor(self, value: Any) -> Code:
        match value:
            case NodeOutput():
                return part(self.outs[value.node], value.path)
            case SequenceValue():
                items = tuple(Item(self._tensor(item)) for item in value.items)
                return Display("[]" if value.kind == "list" else "()", items)
            case MappingValue():
                entries = tuple(
                    Item(self._tensor(item), f"{self._key(key)}: ") for key, item in value.entries
                )
                return Display("{}", entries)
            case _:
                return self.state.values.plain(value)

    def _key(self, key: Any) -> str:
        return flat(literal(key.text) if isinstance(key, Word) else self.state.values.plain(key))

    def _ends(self, entries: tuple[Arg, ...]) -> Code:
        named = [(arg.name, self._tensor(arg.value)) for arg in entries if arg.name is not None]
        if named:
            items = tuple(Item(code, f"{flat(literal(key))}: ") for key, code in named)
            return Display("{}", items)
        return one_or_list([self._tensor(arg.value) for arg in entries])

    # --- expressions --------------------------------------------------------------------------

    def _expression(self, given: NotebookValue, *, primary: bool = False) -> Code:
        """An expression, or its value where its names mean something else outside of a block."""
        names = self.state.context.names
        try:
            outside = expressions.evaluate(given.source, names)
        except expressions.ExpressionError:
            outside = self
        if outside is given.value or _is_same(outside, given.value):
            return python(
                given.source, lambda name: self.state.values.notebook(name).text, primary=primary
            )
        for name, value in names.items():
            if value is given.value and not isinstance(value, _PLAIN):
                return self.state.values.notebook(name)
        if isinstance(given.value, _PLAIN | tuple | list) and not isinstance(given.value, Unknown):
            return literal(given.value)
        message = f"the program cannot say what {{{given.source}}} is here"
        return self.state.refuse(message, given.span, "Name the value in a cell of its own.")


def _is_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and isinstance(one, _PLAIN) and bool(one == other)
