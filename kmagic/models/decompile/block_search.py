"""The stretch of a text that is worth most as a block."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kmagic.language import format_value
from kmagic.language.spec import NodeOutput
from kmagic.models.decompile.block_templates import Template, is_name, template
from kmagic.models.decompile.items import Item, Loop, Use, reference, reused
from kmagic.models.decompile.links import Flow, outside

LONGEST = 120
"""No block holds more items than this."""
MOST_PARAMS = 6
SHORTEST_PERIOD = 4
"""A stretch that is one of so many items several times is no block: the one is."""
LINE = 10
"""What a line costs beside its characters."""
PARAM = 15
"""What a block's parameters cost beside their characters, by the square of their number."""
WORTH = 60
"""A block must save this much: about three lines."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stretch that occurs several times: where each begins, and how long it is."""

    starts: tuple[int, ...]
    length: int


class Search:
    """Looks through items for the best block.

    Args:
        items: Of one indentation.
        flow: Their links.
        entries: How many outputs a block may take.
        taken: Names that a parameter must not have.
    """

    def __init__(self, items: Sequence[Item], flow: Flow, entries: int, taken: set[str]) -> None:
        self.items, self.flow, self.entries, self.taken = items, flow, entries, taken
        self.costs = [cost(item) for item in items]

    def best(self) -> tuple[Candidate, Template] | None:
        """The stretch whose folding saves most, and its template; None if nothing is worth it."""
        best: tuple[Candidate, Template] | None = None
        most: float = WORTH
        for bound, each in sorted(
            ((self._bound(each), each) for each in self._candidates()), key=lambda pair: -pair[0]
        ):
            if bound <= most:
                break
            found = self._valid(each)
            for part in (found, *self._alike(found)) if found else ():
                made = template(self._stretches(part), self.taken)
                if made is None or len(made.params) > MOST_PARAMS:
                    continue
                saved = self._saving(part, made)
                if saved > most:
                    most, best = saved, (part, made)
        return best

    # --- candidates ---------------------------------------------------------------------------

    def _candidates(self) -> Iterator[Candidate]:
        """Stretches of equal form, wherever they begin."""
        counts = Counter(item.shape for item in self.items)
        often = [counts[item.shape] > 1 and item.shape[0] != "input" for item in self.items]
        marks = [hash(item.shape) for item in self.items]
        forms: dict[tuple[int, int], list[int]] = defaultdict(list)
        for start in range(len(self.items)):
            known: dict[int, tuple[int, int]] = {}
            before: dict[NodeOutput, int] = {}
            mark = 0
            for place in range(start, min(start + LONGEST, len(self.items))):
                item, again = self.items[place], reused(self.items[place])
                if not often[place] or (again is not None and again not in known):
                    break
                refs = tuple(reference(out, known, before) for out in item.takes)
                if len(before) > self.entries:
                    break
                mark = hash((mark, marks[place], refs, None if again is None else known[again]))
                for exit_place, number in enumerate(item.gives):
                    known[number] = (place - start, exit_place)
                if place > start:
                    forms[place - start + 1, mark].append(start)
        for (length, _), starts in forms.items():
            if len(starts) > 1 and not self._is_periodic(starts[0], length):
                yield Candidate(tuple(starts), length)

    def _is_periodic(self, start: int, length: int) -> bool:
        """Whether a stretch is a shorter one several times: that is to be the block."""
        shapes = [item.shape for item in self.items[start : start + length]]
        return any(
            length % period == 0 and shapes[period:] == shapes[:-period]
            for period in range(SHORTEST_PERIOD, length // 2 + 1)
        )

    def _valid(self, candidate: Candidate) -> Candidate | None:
        """The candidate without places that overlap, or are seen into from outside."""
        starts: list[int] = []
        for start in candidate.starts:
            overlaps = starts and start < starts[-1] + candidate.length
            if not overlaps and self.flow.is_closed(start, candidate.length):
                starts.append(start)
        return Candidate(tuple(starts), candidate.length) if len(starts) > 1 else None

    def _alike(self, candidate: Candidate) -> Iterator[Candidate]:
        """Those of a candidate's places that differ in nothing but names."""
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for start, stretch in zip(candidate.starts, self._stretches(candidate), strict=True):
            values = (
                format_value(value)
                for item in stretch
                for key, value in item.fields().items()
                if not is_name(item, key)
            )
            groups[tuple(values)].append(start)
        for starts in groups.values():
            if 1 < len(starts) < len(candidate.starts):
                yield Candidate(tuple(starts), candidate.length)

    def _stretches(self, candidate: Candidate) -> list[tuple[Item, ...]]:
        return [tuple(self.items[at : at + candidate.length]) for at in candidate.starts]

    # --- what it saves ------------------------------------------------------------------------

    def _bound(self, candidate: Candidate) -> int:
        """More than a candidate can save."""
        return sum(
            sum(self.costs[start : start + candidate.length]) for start in candidate.starts[1:]
        )

    def _saving(self, candidate: Candidate, made: Template) -> float:
        before = sum(sum(self.costs[at : at + candidate.length]) for at in candidate.starts)
        header = LINE + 10 + sum(len(name) + 6 for name in made.params)
        body = sum(cost(item) + 2 for item in made.body)
        arrows = 8 * (len(outside(made.body)) - 1)
        uses = sum(
            LINE + 8 + arrows + sum(len(format_value(value)) + 2 for value in args.values())
            for args in made.args
        )
        return before - header - body - uses - PARAM * len(made.params) ** 2


def cost(item: Item) -> int:
    """About how many characters an item takes, its line included."""
    if isinstance(item, Loop):
        return LINE + 10 + sum(map(cost, item.items))
    fields = sum(len(format_value(value)) + 2 for value in item.fields().values())
    if isinstance(item, Use):
        return LINE + 5 + fields
    callee = len(format_value(item.step.callee)) if item.step.callee is not None else 6
    fixed = sum(
        len(format_value(value)) + 2
        for name, value in item.values.items()
        if not item.varies(name, value)
    )
    arrows = 0 if len(item.takes) <= 1 else 4 + 4 * len(item.takes)
    return LINE + callee + fields + fixed + arrows
