"""Branches that come together again: ``residual:`` and ``merge add:`` instead of names."""

from __future__ import annotations

from collections.abc import Sequence

from kmagic.language.spec import NodeOutput, Word
from kmagic.models.decompile.items import Fork, Leaf, Part, reused
from kmagic.models.decompile.links import Flow, gives_one

FARTHEST = 60
"""No merge reaches back over more items than this."""


def structured(
    parts: Sequence[Part], entries: tuple[NodeOutput, ...], ends: Sequence[NodeOutput]
) -> tuple[Part, ...]:
    """Parts with forks in the place of branches, wherever branches stand by themselves.

    Args:
        parts: Of one indentation.
        entries: What enters it.
        ends: What is used behind it.
    """
    found: list[Part] = []
    again = {reused(part) for part in parts}
    for at, part in enumerate(parts):
        if isinstance(part, Leaf):
            begin, fork = _Closing(found, part, parts[at + 1 :], entries, ends).fork()
            inside = [number for each in found[begin:] for number in each.gives]
            if fork is not None and not again.intersection(inside):
                found[begin:] = [fork]
                continue
        found.append(part)
    return tuple(found)


class _Closing:
    """A leaf that may bring branches together.

    Args:
        before: The parts before it, with their forks.
        leaf: The leaf.
        rest: The parts after it.
        entries: What enters all of them.
        ends: What is used behind all of them.
    """

    def __init__(
        self,
        before: list[Part],
        leaf: Leaf,
        rest: Sequence[Part],
        entries: tuple[NodeOutput, ...],
        ends: Sequence[NodeOutput],
    ) -> None:
        self.before, self.leaf, self.entries = before, leaf, entries
        self.everything, self.ends, self.rest = [*before, leaf, *rest], ends, rest

    def fork(self) -> tuple[int, Fork | None]:
        """Where the fork that the leaf closes begins, and the fork; None if there is none."""
        step = self.leaf.step
        inputs = [
            arg.value for arg in step.inputs if isinstance(arg.value, NodeOutput) and not arg.name
        ]
        several = len(inputs) > 1 and len(inputs) == len(step.inputs)
        if not several or any(out.path for out in inputs):
            return 0, None
        if step.outputs != 1 or step.kind not in ("layer", "function"):
            return 0, None
        self.flow = Flow(self.everything, self.ends)
        if not self.flow.flows_on(len(self.before)):
            return 0, None
        self.places = {
            number: place for place, part in enumerate(self.before) for number in part.gives
        }
        for begin in range(len(self.before) - 1, max(-1, len(self.before) - FARTHEST), -1):
            entry = self._entry(begin)
            branches = self._branches(begin, inputs, entry) if entry is not None else None
            if branches is not None and entry is not None:
                residual = inputs[0] == entry
                if residual and not self._is_plain_add():
                    return 0, None
                return begin, Fork(self.leaf, branches, (entry,), self.leaf.gives, residual)
        return 0, None

    def _entry(self, begin: int) -> NodeOutput | None:
        """What comes in where the branches begin, if it is one whole output."""
        if begin == 0:
            return self.entries[0] if len(self.entries) == 1 else None
        last = self.before[begin - 1]
        return NodeOutput(last.gives[0]) if gives_one(last) else None

    def _branches(
        self, begin: int, inputs: Sequence[NodeOutput], entry: NodeOutput
    ) -> tuple[tuple[Part, ...], ...] | None:
        """The parts from a place on, cut into one closed stretch for each input, if they are."""
        wanted = list(inputs)
        if wanted[0] == entry and len(wanted[1:]) == 1:
            wanted = wanted[1:]
        stops = [self.places.get(out.node, -1) for out in wanted]
        last = len(self.before) - 1
        if stops != sorted(set(stops)) or stops[0] < begin or stops[-1] != last:
            return None
        starts = [begin, *(stop + 1 for stop in stops[:-1])]
        if not all(self._is_way(*ends, entry) for ends in zip(starts, stops, strict=True)):
            return None
        return tuple(
            tuple(self.before[start : stop + 1]) for start, stop in zip(starts, stops, strict=True)
        )

    def _is_way(self, start: int, stop: int, entry: NodeOutput) -> bool:
        """Whether parts lead from the entry to the leaf, and nothing else has to do with them."""
        inside = range(start, stop + 1)
        for place in inside:
            part = self.before[place]
            if isinstance(part, Leaf) and part.step.kind in ("input", "reuse"):
                return False
            if any(out != entry and self.places.get(out.node) not in inside for out in part.takes):
                return False
            for number in part.gives:
                users = self.flow.users[number]
                if place == stop and users != [len(self.before)]:
                    return False
                if place != stop and any(user not in inside for user in users):
                    return False
        return True

    def _is_plain_add(self) -> bool:
        leaf = self.leaf
        return leaf.step.callee == Word("add") and leaf.name is None and not leaf.values
