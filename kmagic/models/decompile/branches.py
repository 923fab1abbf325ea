"""Branches that merge again: ``residual:`` and ``merge add:`` instead of names."""

from __future__ import annotations

from collections.abc import Sequence

from kmagic.language.spec import NodeOutput, Word
from kmagic.models.decompile.items import (
    BranchItem,
    Links,
    Part,
    StepItem,
    has_one_output,
    reused_step,
)

MAX_DISTANCE = 60
"""How many parts before a merge its branches may start."""


def with_branches(
    parts: Sequence[Part], inputs: tuple[NodeOutput, ...], ends: Sequence[NodeOutput]
) -> tuple[Part, ...]:
    """Parts with a branch item in place of all branches that nothing else uses.

    Args:
        parts: The parts of one indentation.
        inputs: The outputs it takes.
        ends: The outputs that are used after it.
    """
    result: list[Part] = []
    reused = {reused_step(part) for part in parts}
    for position, part in enumerate(parts):
        if isinstance(part, StepItem):
            merge = _Merge(result, part, parts[position + 1 :], inputs, ends)
            start, branches = merge.find()
            inside = [index for branch_part in result[start:] for index in branch_part.outputs]
            if branches is not None and not reused.intersection(inside):
                result[start:] = [branches]
                continue
        result.append(part)
    return tuple(result)


class _Merge:
    """A step that may merge branches.

    Args:
        before: The parts before it, with their branch items.
        step: The step.
        after: The parts after it.
        inputs: The outputs that all of them take.
        ends: The outputs that are used after all of them.
    """

    def __init__(
        self,
        before: list[Part],
        step: StepItem,
        after: Sequence[Part],
        inputs: tuple[NodeOutput, ...],
        ends: Sequence[NodeOutput],
    ) -> None:
        self.before, self.step, self.inputs = before, step, inputs
        self.after, self.ends = after, ends

    def find(self) -> tuple[int, BranchItem | None]:
        """Where the branches start, and the item that replaces them; None if there are none."""
        step = self.step.step
        merged = [
            arg.value for arg in step.inputs if isinstance(arg.value, NodeOutput) and not arg.name
        ]
        is_merge = (
            len(merged) == len(step.inputs) > 1
            and not any(out.path for out in merged)
            and step.output_count == 1
            and step.kind in ("layer", "function")
        )
        if not is_merge:
            return 0, None
        self.links = Links([*self.before, self.step, *self.after], self.ends)
        if not self.links.feeds_next_only(len(self.before)):
            return 0, None
        self.positions = {
            index: position for position, part in enumerate(self.before) for index in part.outputs
        }
        count = len(self.before)
        for start in range(count - 1, max(-1, count - MAX_DISTANCE), -1):
            entry = self._entry(start)
            branches = self._branches(start, merged, entry) if entry is not None else None
            if branches is not None and entry is not None:
                is_residual = merged[0] == entry
                if is_residual and not self._is_plain_add():
                    return 0, None
                outputs = self.step.outputs
                return start, BranchItem(self.step, branches, (entry,), outputs, is_residual)
        return 0, None

    def _entry(self, start: int) -> NodeOutput | None:
        """The output from which branches that start here come, if it is a single one."""
        if start == 0:
            return self.inputs[0] if len(self.inputs) == 1 else None
        last = self.before[start - 1]
        return NodeOutput(last.outputs[0]) if has_one_output(last) else None

    def _branches(
        self, start: int, merged: Sequence[NodeOutput], entry: NodeOutput
    ) -> tuple[tuple[Part, ...], ...] | None:
        """The parts from a position on, split into one closed stretch for each merged output."""
        is_residual = merged[0] == entry and len(merged) == 2  # noqa: PLR2004 - itself and a branch
        outs = merged[1:] if is_residual else merged
        lasts = [self.positions.get(out.node, -1) for out in outs]
        is_split = lasts == sorted(set(lasts)) and lasts[0] >= start
        if not is_split or lasts[-1] != len(self.before) - 1:
            return None
        starts = [start, *(last + 1 for last in lasts[:-1])]
        stretches = list(zip(starts, lasts, strict=True))
        if not all(self._is_branch(first, last, entry) for first, last in stretches):
            return None
        return tuple(tuple(self.before[first : last + 1]) for first, last in stretches)

    def _is_branch(self, first: int, last: int, entry: NodeOutput) -> bool:
        """Whether parts lead from the entry to the merge, and nothing else is linked to them."""
        inside = range(first, last + 1)
        for position in inside:
            part = self.before[position]
            if isinstance(part, StepItem) and part.step.kind in ("input", "reuse"):
                return False
            sources = (self.positions.get(out.node) for out in part.inputs if out != entry)
            if any(source not in inside for source in sources):
                return False
            for index in part.outputs:
                users = self.links.users[index]
                if position == last and users != [len(self.before)]:
                    return False
                if position != last and any(user not in inside for user in users):
                    return False
        return True

    def _is_plain_add(self) -> bool:
        step = self.step
        return step.step.callee == Word("add") and step.name is None and not step.values
