"""The models of a script as statements of the layer language."""

from __future__ import annotations

import keyword
from collections.abc import Callable
from typing import Any

from kmagic.from_r.r_arguments import Arguments, Note, Told, source_of
from kmagic.from_r.r_layers import Line, line_of
from kmagic.from_r.r_nodes import Mistake, Place, width_of
from kmagic.from_r.r_values import Broken, Given, Input, Model, Node, Tensor, Thing, Unknown, Vector
from kmagic.language.parser import RESERVED
from kmagic.language.spec import (
    Arg,
    CompileSpec,
    Expr,
    Index,
    InputsSpec,
    LayerSpec,
    LiteralValue,
    NestedSpec,
    OutputSpec,
    SequenceValue,
    Shape,
    Span,
    Statement,
    Value,
    Word,
)
from kmagic.models.catalogue import find_object, parameters

_VALUES = frozenset({"true", "false", "none", "inf", "nan", "ops", "sequential", "functional"})


class Writer:
    """Writes one model, and the models that it holds.

    Args:
        note: Told what the reader should know.
        spans: From a place in R's text to a span.
        from_one: Whether the text counts axes from 1.
    """

    def __init__(
        self, note: Note, spans: Callable[[Place], Span], *, from_one: bool = False
    ) -> None:
        self._note, self._spans = note, spans
        self._arguments = Arguments(note, self._reference, from_one=from_one)
        self._taken: set[str] = set()
        self._models: dict[int, str] = {}
        self._made: dict[int, tuple[Thing | Model, str]] = {}
        self._nested: list[Statement] = []

    def write(self, model: Model, *, is_part: bool = False) -> tuple[Statement, ...]:
        """The statements of a model, its compilation among them; a part may have no layers."""
        body = self._body(model) if model.layers or model.outputs or not is_part else []
        found = [*self._nested, *body]
        if model.compiled is not None:
            found.append(self._compile(model.compiled, model.place))
        return tuple(found)

    # --- graphs -------------------------------------------------------------------------------

    def _body(self, model: Model, *, within: bool = False) -> list[Statement]:
        inputs, outputs = model.inputs, model.outputs
        if inputs is None:
            inputs, outputs = self._stack(model, within=within)
        nodes = reached(outputs)
        missing = [each for each in inputs if each.node not in nodes]
        nodes = [*(each.node for each in missing), *nodes]
        for node in nodes:
            if isinstance(node.what, Input) and all(node is not each.node for each in inputs):
                raise Mistake("leads to the outputs, and is not among the inputs", node.place)
        lines = {
            id(node): line_of(node.what, self._arguments, self._note)
            for node in nodes
            if isinstance(node.what, Thing)
        }
        names = self._names(nodes, outputs, lines)
        found: list[Statement] = []
        before: Node | None = None
        for node in nodes:
            found.append(self._statement(node, before, lines.get(id(node)), names))
            before = node
        order = [names.get(id(each.node), "") for each in inputs]
        text_order = [names.get(id(node), "") for node in nodes if isinstance(node.what, Input)]
        if len(order) > 1 and order != text_order:
            found.append(InputsSpec(tuple(Arg(Word(each)) for each in order)))
        if len(outputs) > 1 or (outputs and (outputs[0].node is not before or outputs[0].path)):
            entries = tuple(Arg(self._tensor(each, names)) for each in outputs)
            found.append(OutputSpec(entries, span=self._spans(model.place)))
        return found

    def _stack(self, model: Model, *, within: bool) -> tuple[list[Tensor], list[Tensor]]:
        """A row of layers as a chain of nodes."""
        if not model.layers:
            raise Mistake("has no layers", model.place, "Add some: mod$add(Dense(units = 50)).")
        first = model.layers[0]
        shape = model.shape
        line = line_of(first, self._arguments, _silent) if isinstance(first, Thing) else None
        if line is not None:
            shape = shape or line.shape
            if shape is not None and shape.dtype is None and line.word.text == "embedding":
                shape.dtype = "int32"
        for each in model.layers[1:]:
            later = line_of(each, self._arguments, _silent) if isinstance(each, Thing) else None
            if later is not None and later.shape is not None:
                self._note(
                    "input_shape counts for the first layer only and is left out", later.shape.place
                )
        chain: list[Tensor] = []
        if shape is not None:
            chain.append(Tensor(Node(shape, shape.place)))
        elif isinstance(first, Thing) and not within:
            remedy = "Built all the same: Keras takes the shape from the first data it sees."
            self._note(f"The first layer says no input_shape. {remedy}", first.place)
        for each in model.layers:
            place = model.place if isinstance(each, Unknown) else each.place
            chain.append(Tensor(Node(each, place, chain[-1:])))
        return chain[: shape is not None], chain[-1:]

    def _names(
        self, nodes: list[Node], outputs: list[Tensor], lines: dict[int, Line]
    ) -> dict[int, str]:
        """The nodes that need a name, and their names."""
        wanted: set[int] = set()
        before: Node | None = None
        uses: dict[int, list[Node]] = {}
        for node in nodes:
            if not _follows(node, before):
                wanted |= {id(each.node) for each in node.inputs}
            for given in node.call:
                wanted |= {id(each.node) for each in _tensors_in(given.value)}
            uses.setdefault(id(node.what), []).append(node)
            before = node
        inputs = [node for node in nodes if isinstance(node.what, Input)]
        wanted |= {id(node) for node in inputs if len(inputs) > 1}
        if len(outputs) > 1 or (outputs and outputs[0].node is not before):
            wanted |= {id(each.node) for each in outputs}
        if outputs and outputs[0].path:
            wanted.add(id(outputs[0].node))
        names: dict[int, str] = {}
        for node in nodes:
            shared = isinstance(node.what, Thing) and len(uses[id(node.what)]) > 1
            own = self._own_name(node, lines.get(id(node)))
            if own and (not shared or uses[id(node.what)][0] is node):
                names[id(node)] = self._free(own)
            elif isinstance(node.what, Thing) and shared and uses[id(node.what)][0] is node:
                names[id(node)] = self._free(node.what.variable or "shared")
            elif id(node) in wanted:
                names[id(node)] = self._free(node.variable or _word(node, lines))
        return names

    @staticmethod
    def _own_name(node: Node, line: Line | None) -> str:
        if isinstance(node.what, Input):
            return node.what.name
        return line.name if line is not None else ""

    def _free(self, name: str) -> str:
        """A name that nothing else has, and that the language can have."""
        name = name if name.isidentifier() else "x"
        is_word = name in RESERVED or name in _VALUES or keyword.iskeyword(name)
        is_word = is_word or find_object("layer", name) is not None
        name = f"{name}_" if is_word and name != "_" else name
        fresh, count = name, 2
        while fresh in self._taken:
            fresh, count = f"{name}{count}", count + 1
        self._taken.add(fresh)
        return fresh

    # --- statements ---------------------------------------------------------------------------

    def _statement(
        self, node: Node, before: Node | None, line: Line | None, names: dict[int, str]
    ) -> Statement:
        span = self._spans(node.place)
        targets = (names[id(node)],) if id(node) in names else ()
        if isinstance(node.what, Input):
            return LayerSpec(Word("input"), self._input(node.what), None, targets, span=span)
        arrow: tuple[Arg, ...] | None = None
        if not _follows(node, before) or node.call:
            arrow = tuple(Arg(self._tensor(each, names)) for each in node.inputs)
            if _follows(node, before) and id(node.inputs[0].node) not in names:
                arrow = (Arg(Word("_")),)
            arrow += tuple(self._call_argument(each, names) for each in node.call)
        made = self._made.get(id(node.what))
        if isinstance(node.what, Thing) and made is not None:
            return LayerSpec(Word(made[1]), (), arrow, targets, reuse=True, span=span)
        if isinstance(node.what, Thing) and line is not None:
            if targets:
                self._made[id(node.what)] = node.what, targets[0]
            return LayerSpec(line.word, line.args, arrow, targets, span=span)
        if isinstance(node.what, Model):
            name = self._reference(node.what, node.place)
            return LayerSpec(Word(name), (), arrow, targets, span=span)
        assert isinstance(node.what, Unknown)  # noqa: S101 - there is nothing else
        return LayerSpec(Expr(source_of(node.what, node.place)), (), arrow, targets, span=span)

    def _input(self, made: Input) -> tuple[Arg, ...]:
        args = [Arg(self._shape(made.shape, made.place))]
        if isinstance(made.dtype, str):
            args.append(Arg(Word(made.dtype)))
        if isinstance(made.batch, int):
            args.append(Arg(LiteralValue(made.batch), "batch_size"))
        return tuple(args)

    def _shape(self, value: Any, place: Place) -> Value:
        sides = list(value) if isinstance(value, Vector) else [value]
        known = all(each is None or _is_side(each) for each in sides)
        if known and sides and (sides != [None] or isinstance(value, Vector)):
            one = len(sides) == 1 and sides[0] is not None
            return LiteralValue(sides[0]) if one else Shape(tuple(sides))
        if len(sides) == 1 and isinstance(sides[0], Unknown):
            return Expr(source_of(sides[0], place))
        if sides and all(
            each is None or _is_side(each) or isinstance(each, Unknown) for each in sides
        ):
            words = [
                source_of(each, place) if isinstance(each, Unknown) else str(each) for each in sides
            ]
            return Expr(f"({', '.join(words)})")
        raise Mistake("is no shape", place, "A shape is written c(28, 28, 1) or 13.")

    def _tensor(self, tensor: Tensor, names: dict[int, str]) -> Value:
        name = names[id(tensor.node)]
        return Index(name, tensor.path) if tensor.path else Word(name)

    def _call_argument(self, given: Given, names: dict[int, str]) -> Arg:
        if isinstance(given.value, Tensor):
            return Arg(self._tensor(given.value, names), given.name)
        found = _tensors_in(given.value)
        if found:
            items = tuple(self._tensor(each, names) for each in found)
            return Arg(SequenceValue("list", items), given.name)
        return Arg(self._arguments.value(given.value, "any", given.place), given.name)

    def _reference(self, model: Model, place: Place) -> str:
        """The name of a model within this one, which is written in front of it."""
        if id(model) not in self._models:
            name = self._free(model.variable or "part")
            self._models[id(model)] = name
            taken, self._taken = self._taken, set()
            made, self._made = self._made, {}
            body = tuple(self._body(model, within=True))
            self._taken, self._made = taken, made
            self._nested.append(NestedSpec(name, body, span=self._spans(place)))
        return self._models[id(model)]

    def _compile(self, given: list[Given], place: Place) -> Statement:
        import keras  # noqa: PLC0415 - its signature says what compile takes

        for each in given:
            if isinstance(each.value, Broken):
                raise Told
        known = keras.Model.compile
        args = self._arguments.of(known, given)
        names = [each.name for each in parameters(known)]
        args = tuple(Arg(each.value) if each.name == names[0] else each for each in args)
        ordered = sorted(args, key=lambda each: -1 if each.name is None else names.index(each.name))
        where = given[0].place if given else place
        return CompileSpec(tuple(ordered), span=self._spans(where))


def reached(outputs: list[Tensor]) -> list[Node]:
    """The nodes that lead to the outputs, each after what it takes."""
    found: list[Node] = []
    seen: set[int] = set()

    def visit(node: Node) -> None:
        if id(node) in seen:
            return
        seen.add(id(node))
        for each in node.inputs:
            visit(each.node)
        for given in node.call:
            for each in _tensors_in(given.value):
                visit(each.node)
        found.append(node)

    for each in outputs:
        visit(each.node)
    return found


def _tensors_in(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Vector):
        return [each for item in value for each in _tensors_in(item)]
    return []


def _follows(node: Node, before: Node | None) -> bool:
    """Whether a node takes just what the line above gives, so that it needs no arrow."""
    if not node.inputs:
        return True
    return len(node.inputs) == 1 and node.inputs[0].node is before and not node.inputs[0].path


def _is_side(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _word(node: Node, lines: dict[int, Line]) -> str:
    line = lines.get(id(node))
    return f"{line.word.text}_out" if line is not None else "x"


def _silent(message: str, place: Place) -> None:
    """Notes of a first look, which the second look tells."""


def span_of(place: Place, text: str) -> Span:
    """A place in R's text as a span: its first line."""
    start = min(place.start, len(text))
    line = text.count("\n", 0, start) + 1
    column = start - (text.rfind("\n", 0, start) + 1) + 1
    return Span(line, column, width_of(place, text))
