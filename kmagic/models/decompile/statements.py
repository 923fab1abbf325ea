"""Folded items as statements: what needs a name, what follows without one, what is a branch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from kmagic.language import spec
from kmagic.language.parser import RESERVED
from kmagic.language.spec import Arg, Index, LayerSpec, NodeOutput, Statement, Word
from kmagic.models.decompile.config_values import is_plain_word
from kmagic.models.decompile.plan import (
    TIMES,
    CompoundItem,
    FoldedBlock,
    Item,
    ModelPlan,
    StepItem,
    UseItem,
    reused_step,
)

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
    """The names in a text, each used once: of nested models by index, and of everything else."""

    models: Sequence[str]
    taken: set[str] = field(default_factory=set)

    def new(self, stem: str, local: set[str]) -> str:
        """A new name for one body: the stem with the first free number."""
        number = 1
        while f"{stem}{number}" in self.taken or f"{stem}{number}" in local:
            number += 1
        local.add(f"{stem}{number}")
        return f"{stem}{number}"


def statements_of(
    plan: ModelPlan, items: Sequence[Item], blocks: Sequence[FoldedBlock], names: TextNames
) -> tuple[Statement, ...]:
    """The statements of one model from its folded items, the blocks first."""
    statements: list[Statement] = []
    for block in blocks:
        params = tuple(spec.Param(name, default) for name, default in block.params.items())
        body = _Body(block.body, block.inputs, (), names).statements()
        statements.append(spec.BlockSpec(block.name, params, body))
    ends = (*plan.outputs, *(plan.inputs or ()))
    top = _Body(items, (), ends, names, is_top=True)
    statements += top.statements(plan.frozen_nodes)
    if plan.inputs is not None:
        statements.append(spec.InputsSpec(top.with_names(plan.inputs)))
    if plan.outputs != tuple(map(Arg, top.current)):
        statements.append(spec.OutputSpec(top.with_names(plan.outputs)))
    return tuple(statements)


class _Body:
    """The items of one indentation; ``is_top`` if a target here becomes the layer's name."""

    def __init__(
        self,
        items: Sequence[Item],
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
            current = (NodeOutput(item.output),)
        for arg in self.ends:
            for out in spec.find_parts(arg, NodeOutput):
                used[out.node].update(map(int, out.path))
                if (out,) != current or len(self.ends) > 1 or arg.name is not None:
                    named.add(out.node)
        return {index: used[index] for index in named}

    # --- statements -------------------------------------------------------------------------------

    def statements(self, frozen_steps: int = 0) -> tuple[Statement, ...]:
        """The body's statements, with a ``freeze`` line after that many steps if not 0."""
        statements: list[Statement] = []
        for item in self.items:
            if 0 < frozen_steps <= item.output:
                statements.append(spec.FreezeSpec())
                frozen_steps = 0
            match item:
                case StepItem():
                    statements.append(self._step(item))
                case UseItem():
                    statements.append(self._use(item))
                case CompoundItem():
                    statements.append(self._compound(item))
        return (*statements, spec.FreezeSpec()) if frozen_steps else tuple(statements)

    def _step(self, item: StepItem) -> LayerSpec:
        step = item.step
        inputs = self._inputs(step.inputs)
        name = self._target_name(item)
        args = () if name else item.name_args
        if step.kind == "reuse":
            callee: Word | spec.Expr = Word(str(self.targets[step.target]))
        elif step.kind == "model":
            callee = Word(self.names.models[step.target])
        else:
            callee = step.callee or Word("")
            args = (*item.args, *args)
        targets = self._step_targets(item, name)
        self.current = (NodeOutput(item.output),)
        if step.output_count > 1 and len(targets) > 1:
            self.current = (NodeOutput(item.output, (0,)),)
        is_reuse = step.kind == "reuse"
        return LayerSpec(callee, args, inputs, targets, is_reuse, item.values.get(TIMES))

    def _use(self, item: UseItem) -> LayerSpec:
        inputs = self._inputs(tuple(map(Arg, item.inputs)))
        args = tuple(  # in the order of the parameters; those with a default by name
            Arg(item.values[name], None if default is None else name)
            for name, default in item.block.params.items()
            if name in item.values
        )
        targets: tuple[str, ...] = ()
        if item.output in self.named:
            targets = (self.names.new("x", self.local),)
            self.targets[item.output] = targets[0]
        self.current = (NodeOutput(item.output),)
        return LayerSpec(Word(item.block.name), args, inputs, targets, times=item.values.get(TIMES))

    def _compound(self, item: CompoundItem) -> Statement:
        head = item.head
        is_top = self.is_top and isinstance(head, spec.ResidualSpec | spec.MergeSpec)
        bodies = [
            _Body(body, item.inputs, (), self.names, is_top=is_top, local=self.local).statements()
            for body in item.bodies
        ]
        self.current = (NodeOutput(item.output),)
        if isinstance(head, spec.MergeSpec):
            return replace(head, body=tuple(map(spec.BranchSpec, bodies)))
        return replace(head, body=bodies[0])

    def _target_name(self, item: StepItem) -> str:
        """The layer's name, if it can be the target."""
        value = item.values.get("name")
        name = value.text if isinstance(value, Word) else ""
        is_possible = self.is_top and is_plain_word(name) and item.step.output_count == 1
        is_taken = name in RESERVED or name in (*self.names.models, *self.targets.values())
        return name if is_possible and not is_taken else ""

    def _step_targets(self, item: StepItem, name: str) -> tuple[str, ...]:
        if name:
            self.targets[item.output] = name
            return (name,)
        if item.output not in self.named:
            return ()
        used = self.named[item.output]
        if item.step.output_count > 1 and used:
            targets = {index: self._new_name(item) for index in sorted(used)}
            self.targets[item.output] = targets
            return tuple(targets.get(index, "_") for index in range(max(1, *used) + 1))
        target = self.targets[item.output] = self._new_name(item)
        return (target,)

    def _new_name(self, item: StepItem) -> str:
        callee = item.step.callee
        if item.step.kind == "model":
            letter = "y"
        elif TIMES in item.values or not isinstance(callee, Word):
            letter = "x"
        else:
            word = callee.text.removeprefix("ops.").rpartition(".")[2]
            letter = _LETTERS.get(word, word[:1].lower() or "x")
        return self.names.new(letter, self.local)

    # --- inputs -----------------------------------------------------------------------------------

    def _inputs(self, inputs: tuple[Arg, ...]) -> tuple[Arg, ...] | None:
        """What follows the arrow; None if it is just the output before."""
        if inputs == tuple(map(Arg, self.current)) or not inputs:
            return None
        return self.with_names(inputs)

    def with_names(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        """Arguments of a call, with names in place of outputs."""
        return spec.map_args(
            args, lambda value: self._output_name(value) if isinstance(value, NodeOutput) else value
        )

    def _output_name(self, out: NodeOutput) -> spec.Value:
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
