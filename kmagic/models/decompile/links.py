"""Who takes what from whom: the links between the pieces of a text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from kmagic.language.spec import NodeOutput
from kmagic.models.decompile.items import Leaf, Part, leaves


class Flow:
    """The links between the parts of one indentation.

    Args:
        parts: In their order.
        ends: What is used behind them.

    Attributes:
        users: Step number -> the places of the parts that take its output. What is behind the
            last part is a place too.
        appliers: Step number -> the places where its layer is used again.
    """

    def __init__(self, parts: Sequence[Part], ends: Sequence[NodeOutput]) -> None:
        self.parts = parts
        self.users: dict[int, list[int]] = defaultdict(list)
        self.appliers: dict[int, list[int]] = defaultdict(list)
        for place, part in enumerate(parts):
            for out in part.takes:
                self.users[out.node].append(place)
            for leaf in leaves(part):
                if leaf.step.kind == "reuse":
                    self.appliers[leaf.step.of].append(place)
        for out in ends:
            self.users[out.node].append(len(parts))

    def flows_on(self, place: int) -> bool:
        """Whether what a part gives goes to the next one only, so that it needs no name."""
        return all(set(self.users[number]) <= {place + 1} for number in self.parts[place].gives)

    def is_closed(self, start: int, length: int) -> bool:
        """Whether of a stretch only its last part's one output is used behind it."""
        stretch = self.parts[start : start + length]
        if not gives_one(stretch[-1]):
            return False
        inside = range(start, start + length)
        for part in stretch:
            numbers = [leaf.number for leaf in leaves(part)]
            seen = [user for number in numbers for user in self.appliers[number]]
            if part is not stretch[-1]:
                seen += [user for number in part.gives for user in self.users[number]]
            if any(user not in inside for user in seen):
                return False
        return True


def gives_one(part: Part) -> bool:
    """Whether a part gives one whole output."""
    return len(part.gives) == 1 and not (isinstance(part, Leaf) and part.step.outputs != 1)


def outside(parts: Sequence[Part]) -> list[NodeOutput]:
    """What a stretch takes from before it, each once."""
    inside = {number for part in parts for number in part.gives}
    taken = (out for part in parts for out in part.takes if out.node not in inside)
    return list(dict.fromkeys(taken))
