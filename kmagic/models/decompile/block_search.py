"""The stretch of a text that is most worth writing as a block."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kmagic.language import format_value
from kmagic.language.spec import NodeOutput, Value
from kmagic.models.decompile.block_templates import BlockTemplate, find_template, is_layer_name
from kmagic.models.decompile.items import (
    Item,
    Links,
    LoopItem,
    UseItem,
    outside_inputs,
    references,
    reused_step,
)

MAX_LENGTH = 120
"""The longest block, in items."""
MAX_PARAMS = 6
MIN_PERIOD = 4
"""A stretch that repeats a shorter one of at least this length is no block: the shorter one is."""
LINE_COST = 10
"""The cost of a line in addition to its characters."""
PARAM_COST = 15
"""The cost of parameters in addition to their characters, times their number squared."""
MIN_SAVING = 60
"""What a block must save: about three lines."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stretch that occurs several times: its starts and its length."""

    starts: tuple[int, ...]
    length: int


class BlockSearch:
    """Searches items for the best block.

    Args:
        items: Of one indentation.
        links: Their links.
        max_inputs: How many outputs a block may take.
        taken: Names that a parameter must not have.
    """

    def __init__(
        self, items: Sequence[Item], links: Links, max_inputs: int, taken: set[str]
    ) -> None:
        self.items, self.links, self.max_inputs, self.taken = items, links, max_inputs, taken
        self.costs = [item_cost(item) for item in items]

    def best(self) -> tuple[Candidate, BlockTemplate] | None:
        """The stretch whose folding saves most, and its template; None if nothing is worth it."""
        best: tuple[Candidate, BlockTemplate] | None = None
        best_saving: float = MIN_SAVING
        bounds = [(self._upper_bound(candidate), candidate) for candidate in self._candidates()]
        for bound, candidate in sorted(bounds, key=lambda pair: -pair[0]):
            if bound <= best_saving:
                break
            valid = self._valid(candidate)
            for part in (valid, *self._equal_groups(valid)) if valid else ():
                template = find_template(self._stretches(part), self.taken)
                if template is None or len(template.params) > MAX_PARAMS:
                    continue
                saving = self._saving(part, template)
                if saving > best_saving:
                    best_saving, best = saving, (part, template)
        return best

    # --- candidates -------------------------------------------------------------------------------

    def _candidates(self) -> Iterator[Candidate]:
        """Stretches of the same pattern, anywhere."""
        counts = Counter(item.pattern for item in self.items)
        repeats = [counts[item.pattern] > 1 and item.pattern[0] != "input" for item in self.items]
        hashes = [hash(item.pattern) for item in self.items]
        starts_by_pattern: dict[tuple[int, int], list[int]] = defaultdict(list)
        for start in range(len(self.items)):
            known: dict[int, tuple[int, int]] = {}
            outside: dict[NodeOutput, int] = {}
            stretch_hash = 0
            for position in range(start, min(start + MAX_LENGTH, len(self.items))):
                item, reused = self.items[position], reused_step(self.items[position])
                if not repeats[position] or (reused is not None and reused not in known):
                    break
                inputs = references(item, position - start, known, outside)
                if len(outside) > self.max_inputs:
                    break
                stretch_hash = hash((stretch_hash, hashes[position], inputs))
                if position > start:
                    starts_by_pattern[position - start + 1, stretch_hash].append(start)
        for (length, _), starts in starts_by_pattern.items():
            if len(starts) > 1 and not self._is_periodic(starts[0], length):
                yield Candidate(tuple(starts), length)

    def _is_periodic(self, start: int, length: int) -> bool:
        """Whether a stretch repeats a shorter one."""
        patterns = [item.pattern for item in self.items[start : start + length]]
        return any(
            length % period == 0 and patterns[period:] == patterns[:-period]
            for period in range(MIN_PERIOD, length // 2 + 1)
        )

    def _valid(self, candidate: Candidate) -> Candidate | None:
        """The candidate without starts that overlap, or whose inner outputs are used outside."""
        starts: list[int] = []
        for start in candidate.starts:
            overlaps = starts and start < starts[-1] + candidate.length
            if not overlaps and self.links.is_closed(start, candidate.length):
                starts.append(start)
        return Candidate(tuple(starts), candidate.length) if len(starts) > 1 else None

    def _equal_groups(self, candidate: Candidate) -> Iterator[Candidate]:
        """The starts whose stretches differ in nothing but names."""
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for start, stretch in zip(candidate.starts, self._stretches(candidate), strict=True):
            values = (
                format_value(value)
                for item in stretch
                for key, value in item.free_values().items()
                if not is_layer_name(item, key)
            )
            groups[tuple(values)].append(start)
        for starts in groups.values():
            if 1 < len(starts) < len(candidate.starts):
                yield Candidate(tuple(starts), candidate.length)

    def _stretches(self, candidate: Candidate) -> list[tuple[Item, ...]]:
        return [tuple(self.items[start : start + candidate.length]) for start in candidate.starts]

    # --- savings ----------------------------------------------------------------------------------

    def _upper_bound(self, candidate: Candidate) -> int:
        """More than a candidate can save."""
        return sum(self._cost(start, candidate.length) for start in candidate.starts[1:])

    def _saving(self, candidate: Candidate, template: BlockTemplate) -> float:
        before = sum(self._cost(start, candidate.length) for start in candidate.starts)
        header = LINE_COST + 10 + sum(len(name) + 6 for name in template.params)
        body = sum(item_cost(item) + 2 for item in template.body)
        arrows = 8 * (len(outside_inputs(template.body)) - 1)
        uses = sum(LINE_COST + 8 + arrows + _length(args.values()) for args in template.args)
        return before - header - body - uses - PARAM_COST * len(template.params) ** 2

    def _cost(self, start: int, length: int) -> int:
        return sum(self.costs[start : start + length])


def item_cost(item: Item) -> int:
    """About how many characters an item takes, its line included."""
    if isinstance(item, LoopItem):
        return LINE_COST + 10 + sum(map(item_cost, item.items))
    if isinstance(item, UseItem):
        return LINE_COST + 5 + _length(item.args.values())
    callee = len(format_value(item.step.callee)) if item.step.callee is not None else 6
    values = [*item.values.values(), *([] if item.name is None else [item.name])]
    arrows = 0 if len(item.inputs) <= 1 else 4 + 4 * len(item.inputs)
    return LINE_COST + callee + _length(values) + arrows


def _length(values: Iterable[Value]) -> int:
    return sum(len(format_value(value)) + 2 for value in values)
