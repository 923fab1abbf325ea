"""Folded items as statements: what needs a name, what follows without one, what is a branch."""

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
    find_parts,
)
from kmagic.models.decompile.config_values import is_plain_word
from kmagic.models.decompile.folding import FoldedPlan
from kmagic.models.decompile.plan import (
    BranchItem,
    LoopItem,
    ModelPlan,
    Part,
    StepItem,
    UseItem,
    reused_step,
)
from kmagic.models.decompile.shortest_arguments import function_arguments, written_arguments

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
class TextNames:
    """The names in a text, so that each is used once.

    Attributes:
        models: The names of nested models, by index.
        taken: All names that are taken anywhere.
    """

    models: Sequence[str]
    taken: set[str] = field(default_factory=set)

    def new(self, stem: str, local: set[str]) -> str:
        """A new name for one body: the stem with the first free number."""
        number = 1
        while f"{stem}{number}" in self.taken or f"{stem}{number}" in local:
            number += 1
        local.add(f"{stem}{number}")
        return f"{stem}{number}"


def statements_of(plan: ModelPlan, folded: FoldedPlan, names: TextNames) -> tuple[Statement, ...]:
    """The statements of one model, its blocks first."""
    statements: list[Statement] = []
    for block in folded.blocks:
        params = tuple(Param(name, default) for name, default in block.params.items())
        body = _Body(block.body, block.inputs, (), names).statements()
        statements.append(BlockSpec(block.name, params, tuple(body)))
    ends = (*plan.outputs, *(plan.inputs or ()))
    top = _Body(folded.parts, (), ends, names, is_top=True)
    statements += top.statements(plan.frozen_steps)
    if plan.inputs is not None:
        statements.append(InputsSpec(tuple(map(top.argument, plan.inputs))))
    if plan.outputs != tuple(map(Arg, top.current)):
        statements.append(OutputSpec(tuple(map(top.argument, plan.outputs))))
    return tuple(statements)


class _Body:
    """The items of one indentation; ``is_top`` if a target here becomes the layer's name."""

    def __init__(
        self,
        items: Sequence[Part],
        inputs: tuple[NodeOutput, ...],
        ends: Sequence[Arg],
        names: TextNames,
        *,
        is_top: bool = False,
        local: set[str] | None = None,
    ) -> None:
        self.items, self.inputs, self.ends, self.names = items, inputs, ends, names
        self.is_top = is_top
        self.local: set[str] = set() if local is None else local
        self.current: tuple[NodeOutput, ...] = inputs
        self.targets: dict[int, str | dict[int, str]] = {}
        self.named = self._find_named()

    def _find_named(self) -> dict[int, set[int]]:
        """The steps whose outputs need names, with the indices of the outputs that are used."""
        named: set[int] = set()
        used: dict[int, set[int]] = defaultdict(set)
        current: tuple[NodeOutput, ...] = self.inputs
        for item in self.items:
            for out in item.inputs:
                used[out.node].update(map(int, out.path))
                is_current = len(current) == 1 and out.node == current[0].node
                if out not in self.inputs and not is_current:
                    named.add(out.node)
            reused = reused_step(item)
            if reused is not None:
                named.add(reused)
            current = (NodeOutput(item.outputs[-1]),)
        for arg in self.ends:
            for out in find_parts(arg, NodeOutput):
                used[out.node].update(map(int, out.path))
                if (out,) != current or len(self.ends) > 1 or arg.name is not None:
                    named.add(out.node)
        return {index: used[index] for index in named}

    # --- statements -------------------------------------------------------------------------------

    def statements(self, frozen_steps: int = 0) -> list[Statement]:
        """The body's statements, with a ``freeze`` line after that many steps if not 0."""
        statements: list[Statement] = []
        for item in self.items:
            if 0 < frozen_steps <= item.outputs[-1]:
                statements.append(FreezeSpec())
                frozen_steps = 0
            match item:
                case StepItem():
                    statements.append(self._step(item))
                case UseItem():
                    inputs = self._inputs(tuple(map(Arg, item.inputs)))
                    targets = self._leave(item.outputs)
                    callee = Word(item.block.name)
                    statements.append(LayerSpec(callee, _block_arguments(item), inputs, targets))
                case LoopItem():
                    statements.append(self._loop(item))
                case BranchItem():
                    statements.append(self._branches(item))
        return [*statements, FreezeSpec()] if frozen_steps else statements

    def _step(self, item: StepItem) -> LayerSpec:
        step = item.step
        inputs = self._inputs(step.inputs)
        name, args = self._name(item)
        if step.kind == "reuse":
            callee: Word | Expr = Word(str(self.targets[step.target]))
        elif step.kind == "model":
            callee = Word(self.names.models[step.target])
        else:
            callee = step.callee or Word("")
            args = (*_arguments(item), *args)
        targets = self._step_targets(item, name)
        self.current = (NodeOutput(item.index),)
        if step.output_count > 1 and len(targets) > 1:
            self.current = (NodeOutput(item.index, (0,)),)
        return LayerSpec(callee, args, inputs, targets, step.kind == "reuse")

    def _name(self, item: StepItem) -> tuple[str, tuple[Arg, ...]]:
        """The layer's name as the target, or as an argument where it cannot be the target."""
        if item.name is None:
            return "", ()
        name = item.name.text if isinstance(item.name, Word) else ""
        is_target = (
            self.is_top
            and is_plain_word(name)
            and name not in RESERVED
            and name not in self.names.models
            and name not in self.targets.values()
            and item.step.output_count == 1
        )
        return (name, ()) if is_target else ("", (_name_argument(item.name),))

    def _step_targets(self, item: StepItem, name: str) -> tuple[str, ...]:
        if name:
            self.targets[item.index] = name
            return (name,)
        if item.index not in self.named:
            return ()
        used = self.named[item.index]
        if item.step.output_count > 1 and used:
            targets = {index: self._new_name(item) for index in sorted(used)}
            self.targets[item.index] = targets
            return tuple(targets.get(index, "_") for index in range(max(1, *used) + 1))
        target = self.targets[item.index] = self._new_name(item)
        return (target,)

    def _new_name(self, item: StepItem) -> str:
        callee = item.step.callee
        word = callee.text if isinstance(callee, Word) else "x"
        word = word.removeprefix("ops.").rpartition(".")[2]
        letter = _LETTERS.get(word, word[:1].lower() or "x")
        return self.names.new("y" if item.step.kind == "model" else letter, self.local)

    def _loop(self, loop: LoopItem) -> Statement:
        inputs = self._inputs(tuple(map(Arg, loop.inputs)))
        body = self._inner(loop.body, loop.inputs)
        if loop.times is not None:
            match body:
                case (LayerSpec(times=None) as step,):
                    own_inputs = step.inputs if inputs is None else inputs
                    targets = self._leave(loop.outputs)
                    return replace(step, inputs=own_inputs, times=loop.times, targets=targets)
        self.current = tuple(map(NodeOutput, loop.outputs))
        if loop.times is not None:
            return RepeatSpec(loop.times, body)
        return ForSpec(loop.variable, loop.series, body)

    def _branches(self, item: BranchItem) -> Statement:
        bodies = [self._inner(branch, item.inputs, is_top=self.is_top) for branch in item.branches]
        self.current = tuple(map(NodeOutput, item.outputs))
        if item.is_residual:
            return ResidualSpec(bodies[0])
        merge = item.merge
        name = () if merge.name is None else (_name_argument(merge.name),)
        args = (*_arguments(merge), *name)
        return MergeSpec(merge.step.callee or Word(""), args, tuple(map(BranchSpec, bodies)))

    def _inner(
        self, items: Sequence[Part], inputs: tuple[NodeOutput, ...], *, is_top: bool = False
    ) -> tuple[Statement, ...]:
        """The statements of a body inside this one."""
        body = _Body(items, inputs, (), self.names, is_top=is_top, local=self.local)
        return tuple(body.statements())

    def _leave(self, outputs: tuple[int, ...]) -> tuple[str, ...]:
        """Targets for the outputs of a block or repetition, if they need names."""
        self.current = tuple(map(NodeOutput, outputs))
        if not any(index in self.named for index in outputs):
            return ()
        targets = {index: self.names.new("x", self.local) for index in outputs}
        self.targets |= targets
        return tuple(targets.values())

    # --- inputs -----------------------------------------------------------------------------------

    def _inputs(self, inputs: tuple[Arg, ...]) -> tuple[Arg, ...] | None:
        """What follows the arrow; None if it is just the output before."""
        if inputs == tuple(map(Arg, self.current)) or not inputs:
            return None
        return tuple(map(self.argument, inputs))

    def argument(self, arg: Arg) -> Arg:
        """An argument of a call, with names in place of outputs."""
        return replace(arg, value=self._with_names(arg.value))

    def _with_names(self, value: Any) -> Value:
        match value:
            case NodeOutput():
                return self._output_name(value)
            case SequenceValue():
                return replace(value, items=tuple(map(self._with_names, value.items)))
            case MappingValue():
                entries = tuple((key, self._with_names(item)) for key, item in value.entries)
                return replace(value, entries=entries)
            case _:
                unchanged: Value = value
                return unchanged

    def _output_name(self, out: NodeOutput) -> Value:
        if self.current == (out,):
            return Word("_")
        if out in self.inputs:
            is_only = len(self.inputs) == 1
            return Word("_in") if is_only else Index("_in", (self.inputs.index(out),))
        if out.node in self.targets:
            target = self.targets[out.node]
            if isinstance(target, dict):
                return Word(target[int(out.path[0])])
            return Index(target, out.path) if out.path else Word(target)
        if not out.path or out.node != self.current[0].node:
            raise KeyError(f"the output of step {out.node} has no name")
        return Index("_", out.path)


def _arguments(item: StepItem) -> tuple[Arg, ...]:
    step = item.step
    if step.kind == "function":
        return function_arguments(step.owner, item.values, len(step.inputs))
    return written_arguments(step.owner, item.values)


def _name_argument(name: Value) -> Arg:
    if isinstance(name, Word) and not is_plain_word(name.text):
        return Arg(LiteralValue(name.text), "name")
    return Arg(name, "name")


def _block_arguments(use: UseItem) -> tuple[Arg, ...]:
    """In the order of the parameters; those with a default by name."""
    return tuple(
        Arg(use.args[name], None if default is None else name)
        for name, default in use.block.params.items()
        if name in use.args
    )
