"""Folded items to statements: what is named, what follows by itself, what is a branch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kmagic.language.parser import RESERVED
from kmagic.language.spec import (
    Arg,
    BlockSpec,
    BranchSpec,
    Expr,
    ForSpec,
    FreezeSpec,
    Index,
    InputsSpec,
    LayerSpec,
    LiteralValue,
    MappingValue,
    MergeSpec,
    NodeOutput,
    OutputSpec,
    Param,
    RepeatSpec,
    ResidualSpec,
    SequenceValue,
    Statement,
    Value,
    Word,
)
from kmagic.models.decompile.config_values import is_plain_word
from kmagic.models.decompile.folding import Folded
from kmagic.models.decompile.items import Fork, Leaf, Loop, Part, Use, reused
from kmagic.models.decompile.plan import Plan, outs
from kmagic.models.decompile.shortest_arguments import function_arguments, surface

_LETTERS = {
    "input": "in",
    "embedding": "e",
    "dense": "d",
    "flatten": "v",
    "add": "s",
    "multiply": "m",
    "concatenate": "c",
    "dropout": "x",
}


@dataclass(slots=True)
class Names:
    """The names of a text, so that none is given twice.

    Attributes:
        models: Nested models by number.
        taken: Every name that is taken anywhere.
    """

    models: Sequence[str]
    taken: set[str] = field(default_factory=set)

    def free(self, stem: str, local: set[str]) -> str:
        """A new name for one body: the stem with the first number that is free there."""
        count = 1
        while f"{stem}{count}" in self.taken or f"{stem}{count}" in local:
            count += 1
        local.add(f"{stem}{count}")
        return f"{stem}{count}"


def render(plan: Plan, folded: Folded, names: Names) -> tuple[Statement, ...]:
    """The statements of one model's body, its blocks first."""
    found: list[Statement] = []
    for block in folded.blocks:
        params = tuple(Param(name, default) for name, default in block.params.items())
        body = _Body(block.body, block.entries, (), names, top=False)
        found.append(BlockSpec(block.name, params, tuple(body.statements())))
    ends = (*plan.outputs, *(plan.inputs or ()))
    body = _Body(folded.parts, (), ends, names, top=True)
    found += body.statements(plan.freeze)
    if plan.inputs is not None:
        found.append(InputsSpec(tuple(body.argument(arg) for arg in plan.inputs)))
    if plan.outputs != tuple(map(Arg, body.current)):
        found.append(OutputSpec(tuple(body.argument(arg) for arg in plan.outputs)))
    return tuple(found)


class _Body:
    """The items of one indentation.

    Args:
        items: In their order.
        entries: What enters, for a block.
        ends: What is used behind the last item, by names.
        names: The text's names.
        top: Whether a name here becomes a layer's name.
    """

    def __init__(
        self,
        items: Sequence[Part],
        entries: tuple[NodeOutput, ...],
        ends: Sequence[Arg],
        names: Names,
        *,
        top: bool,
        local: set[str] | None = None,
    ) -> None:
        self.entries, self.ends, self.names, self.top = entries, ends, names, top
        self.items = tuple(items)
        self.current: tuple[NodeOutput, ...] = entries
        self.taps: dict[int, str | dict[int, str]] = {}
        self.local: set[str] = set() if local is None else local
        self.named = self._must_be_named()

    # --- what needs a name --------------------------------------------------------------------

    def _must_be_named(self) -> dict[int, set[int]]:
        """Step numbers whose outputs are named, with the places of several outputs."""
        found: set[int] = set()
        places: dict[int, set[int]] = defaultdict(set)
        current: tuple[NodeOutput, ...] = self.entries
        for item in self.items:
            for out in item.takes:
                places[out.node].update(map(int, out.path))
                if out not in self.entries and not self._is_current(out, current):
                    found.add(out.node)
            again = reused(item)
            if again is not None:
                found.add(again)
            current = (NodeOutput(item.gives[-1]),)
        for arg in self.ends:
            for out in outs(arg):
                places[out.node].update(map(int, out.path))
                if (out,) != current or len(self.ends) > 1 or arg.name is not None:
                    found.add(out.node)
        return {number: places[number] for number in found}

    @staticmethod
    def _is_current(out: NodeOutput, current: tuple[NodeOutput, ...]) -> bool:
        return len(current) == 1 and out.node == current[0].node

    # --- statements ---------------------------------------------------------------------------

    def statements(self, freeze: int = 0) -> list[Statement]:
        """The body, and from then on ``current`` is what leaves it.

        Args:
            freeze: Steps up to this number are frozen by a line behind them.
        """
        found: list[Statement] = []
        for item in self.items:
            if 0 < freeze <= item.gives[-1]:
                found.append(FreezeSpec())
                freeze = 0
            match item:
                case Leaf():
                    found.append(self._leaf(item))
                case Use():
                    found.append(self._use(item))
                case Loop():
                    found.append(self._loop(item))
                case Fork():
                    found.append(self._fork(item))
        return [*found, FreezeSpec()] if freeze else found

    def _leaf(self, leaf: Leaf) -> Statement:
        step = leaf.step
        inputs = self._inputs(step.inputs)
        name, args = self._name(leaf)
        if step.kind == "reuse":
            callee: Word | Expr = Word(str(self.taps[step.of]))
        elif step.kind == "model":
            callee = Word(self.names.models[step.of])
        else:
            callee = step.callee or Word("")
            args = (*_arguments(leaf), *args)
        targets = self._targets(leaf, name)
        self.current = (NodeOutput(leaf.number),)
        if step.outputs > 1 and len(targets) > 1:
            self.current = (NodeOutput(leaf.number, (0,)),)
        return LayerSpec(callee, args, inputs, targets, step.kind == "reuse")

    def _name(self, leaf: Leaf) -> tuple[str, tuple[Arg, ...]]:
        """The layer's name as the target, or as an argument where it cannot be that."""
        if leaf.name is None:
            return "", ()
        text = leaf.name.text if isinstance(leaf.name, Word) else ""
        plain = is_plain_word(text) and text not in RESERVED and text not in self.names.models
        if self.top and plain and text not in self.taps.values() and leaf.step.outputs == 1:
            return text, ()
        return "", (_name_argument(leaf.name),)

    def _targets(self, leaf: Leaf, name: str) -> tuple[str, ...]:
        number, step = leaf.number, leaf.step
        if name:
            self.taps[number] = name
            return (name,)
        if number not in self.named:
            return ()
        stem = self._stem(leaf)
        places = self.named[number]
        if step.outputs > 1 and places:
            taps = {place: self.names.free(stem, self.local) for place in sorted(places)}
            self.taps[number] = taps
            last = max(1, *places)
            return tuple(taps.get(place, "_") for place in range(last + 1))
        tap = self.names.free(stem, self.local)
        self.taps[number] = tap
        return (tap,)

    @staticmethod
    def _stem(leaf: Leaf) -> str:
        if leaf.step.kind == "model":
            return "y"
        word = leaf.step.callee.text if isinstance(leaf.step.callee, Word) else "x"
        word = word.removeprefix("ops.").rpartition(".")[2]
        return _LETTERS.get(word, word[:1].lower() or "x")

    def _use(self, use: Use) -> Statement:
        args = _block_arguments(use)
        inputs = self._enter(use.takes)
        targets = self._exit(use.gives)
        return LayerSpec(Word(use.block.name), args, inputs, targets)

    def _loop(self, loop: Loop) -> Statement:
        inputs = self._enter(loop.takes)
        first = loop.body[0]
        single = len(loop.body) == 1 and not isinstance(first, Loop) and loop.times is not None
        if single:
            step = self._once(first, inputs)
            return replace(step, times=loop.times, targets=self._exit(loop.gives))
        body = _Body(loop.body, loop.takes, (), self.names, top=False, local=self.local)
        statements = tuple(body.statements())
        self.current = tuple(map(NodeOutput, loop.gives))
        if loop.times is not None:
            return RepeatSpec(loop.times, statements)
        return ForSpec(loop.var, loop.series, statements)

    def _fork(self, fork: Fork) -> Statement:
        bodies = [
            _Body(branch, fork.takes, (), self.names, top=self.top, local=self.local).statements()
            for branch in fork.branches
        ]
        self.current = tuple(map(NodeOutput, fork.gives))
        if fork.residual:
            return ResidualSpec(tuple(bodies[0]))
        leaf = fork.leaf
        name = () if leaf.name is None else (_name_argument(leaf.name),)
        args = (*_arguments(leaf), *name)
        branches = tuple(BranchSpec(tuple(body)) for body in bodies)
        return MergeSpec(leaf.step.callee or Word(""), args, branches)

    def _once(self, item: Part, inputs: tuple[Arg, ...] | None) -> LayerSpec:
        inner = _Body((item,), item.takes, (), self.names, top=False, local=self.local)
        statement = inner.statements()[0]
        if not isinstance(statement, LayerSpec):
            raise TypeError(f"{statement} is not one step")
        return replace(statement, inputs=statement.inputs if inputs is None else inputs)

    def _enter(self, takes: tuple[NodeOutput, ...]) -> tuple[Arg, ...] | None:
        """What stands right of the arrow for something that takes whole outputs."""
        return self._inputs(tuple(map(Arg, takes)))

    def _exit(self, gives: tuple[int, ...]) -> tuple[str, ...]:
        self.current = tuple(map(NodeOutput, gives))
        if not any(number in self.named for number in gives):
            return ()
        for number in gives:
            self.taps[number] = self.names.free("x", self.local)
        return tuple(str(self.taps[number]) for number in gives)

    # --- inputs -------------------------------------------------------------------------------

    def _inputs(self, inputs: tuple[Arg, ...]) -> tuple[Arg, ...] | None:
        """Right of the arrow, or None if it is just what came before."""
        if inputs == tuple(map(Arg, self.current)) or not inputs:
            return None
        return tuple(self.argument(arg) for arg in inputs)

    def argument(self, arg: Arg) -> Arg:
        """An argument of a call, outputs by their names."""
        return replace(arg, value=self._reference(arg.value))

    def _reference(self, value: Any) -> Value:
        match value:
            case NodeOutput():
                return self._output(value)
            case SequenceValue():
                return replace(value, items=tuple(map(self._reference, value.items)))
            case MappingValue():
                return replace(
                    value,
                    entries=tuple((key, self._reference(item)) for key, item in value.entries),
                )
            case _:
                found: Value = value
                return found

    def _output(self, out: NodeOutput) -> Value:
        if self.current == (out,):
            return Word("_")
        if out in self.entries:
            if len(self.entries) == 1:
                return Word("_in")
            return Index("_in", (self.entries.index(out),))
        if out.node in self.taps:
            tap = self.taps[out.node]
            if isinstance(tap, dict):
                return Word(tap[int(out.path[0])])
            return Index(tap, out.path) if out.path else Word(tap)
        if not out.path or out.node != self.current[0].node:
            raise KeyError(f"the output of step {out.node} has no name")
        return Index("_", out.path)


def _arguments(leaf: Leaf) -> tuple[Arg, ...]:
    step = leaf.step
    if step.kind == "function":
        return function_arguments(step.owner, leaf.values, len(step.inputs))
    return surface(step.owner, leaf.values)


def _name_argument(name: Value) -> Arg:
    if isinstance(name, Word) and not is_plain_word(name.text):
        return Arg(LiteralValue(name.text), "name")
    return Arg(name, "name")


def _block_arguments(use: Use) -> tuple[Arg, ...]:
    """In the order of the parameters; without names up to the first that has a default."""
    found: list[Arg] = []
    for name, default in use.block.params.items():
        if name in use.args:
            found.append(Arg(use.args[name], None if default is None else name))
    return tuple(found)
