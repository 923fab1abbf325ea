"""Blocks: which repeated stretch is worth one, and parameters for what differs in it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any, TypeAlias

from kmagic.language import format_value
from kmagic.language.spec import Expr, LiteralValue, NodeOutput, Shape, Value, Word
from kmagic.models import catalogue
from kmagic.models.decompile.config_values import is_plain_word
from kmagic.models.decompile.plan import (
    Item,
    Links,
    LoopItem,
    StepItem,
    UseItem,
    ValueKey,
    outside_inputs,
    references,
    reused_step,
)
from kmagic.models.decompile.shortest_arguments import shorter

_PARAM_NAMES = {
    "filters": "f",
    "units": "u",
    "kernel_size": "k",
    "pool_size": "k",
    "strides": "s",
    "rate": "r",
    "activation": "a",
    "name": "p",
    "input_dim": "n",
    "output_dim": "d",
    "padding": "pad",
    "dilation_rate": "d",
}
MAX_FACTOR = 16
MAX_COLUMNS = 12
"""There is no template for more values than this that differ independently."""
_NAME_EXPR = re.compile(r"(?P<name>\w+) \+ \"(?P<rest>[^\"\\%]*)\"")
_NAME_PARTS = re.compile(r"\d+|[^\W\d_]+|[\W_]")

Field: TypeAlias = tuple[Any, ...]
"""A value's position in a stretch: the item's index, then the item's own key."""


class ValueColumn:
    """The values of one field, one for each stretch.

    Attributes:
        values: In the order of the stretches.
        texts: As texts, which distinguish 1 from true.
        numbers: As integers; None unless all are positive integers.
    """

    def __init__(self, values: Iterable[Value]) -> None:
        self.values = tuple(values)
        self.texts = tuple(map(format_value, self.values))
        numbers = [value.value for value in self.values if isinstance(value, LiteralValue)]
        integers = tuple(number for number in numbers if type(number) is int and number > 0)
        self.numbers = integers if len(integers) == len(self.values) else None


@dataclass(frozen=True, slots=True)
class BlockTemplate:
    """A stretch that stands for several.

    Attributes:
        body: The first stretch's items, with parameters for what varies.
        params: The parameters in order, with their defaults or None.
        args: The arguments of each stretch, without those at their default.
        name_params: The parameters that are parts of layers' names.
    """

    body: tuple[Item, ...]
    params: dict[str, Value | None]
    args: tuple[dict[str, Value], ...]
    name_params: frozenset[str]


def find_template(
    stretches: Sequence[tuple[Item, ...]], taken: Iterable[str]
) -> BlockTemplate | None:
    """The template of several stretches of the same pattern, or None if there is none."""
    columns = _columns(stretches)
    if columns is None:
        return None
    varying = {field: column for field, column in columns.items() if len(set(column.texts)) > 1}
    names = {field for field in varying if is_layer_name(stretches[0][field[0]], field[1:])}
    if len({varying[field].texts for field in varying.keys() - names}) > MAX_COLUMNS:
        return None
    finder = _ParameterFinder(set(taken))
    finder.find_names({field: column for field, column in varying.items() if field in names})
    finder.find_values({field: column for field, column in varying.items() if field not in names})
    body = tuple(
        item.with_values(
            {field[1:]: expr for field, expr in finder.expressions.items() if field[0] == index}
        )
        for index, item in enumerate(stretches[0])
    )
    params, args = finder.signature(len(stretches))
    return BlockTemplate(body, params, args, frozenset(finder.name_params))


def is_layer_name(item: Item, key: ValueKey) -> bool:
    """Whether a value is a layer's name, or the part of one that a block takes."""
    while key[0] == "body" and isinstance(item, LoopItem):
        item, key = item.items[key[1]], key[2:]
    return key == ("name",) or (isinstance(item, UseItem) and key[1] in item.block.name_params)


def _columns(stretches: Sequence[tuple[Item, ...]]) -> dict[Field, ValueColumn] | None:
    """Every field's value in each stretch; a missing argument has its default."""
    columns: dict[Field, ValueColumn] = {}
    for index, items in enumerate(zip(*stretches, strict=True)):
        rows = [item.free_values() for item in items]
        for key in dict.fromkeys(key for row in rows for key in row):
            values = [
                row[key] if key in row else _default_value(item, key)
                for row, item in zip(rows, items, strict=True)
            ]
            known = [value for value in values if value is not None]
            if len(known) < len(values):
                return None
            columns[index, *key] = ValueColumn(known)
    return columns


def _default_value(item: Item, key: ValueKey) -> Value | None:
    """The value of an argument that is not written; None if it is unknown."""
    if isinstance(item, UseItem):
        return item.block.params.get(key[1])
    if isinstance(item, StepItem) and key[0] == "argument" and item.step.owner:
        for param in catalogue.parameters(item.step.owner):
            if param.name == key[1] and not param.required:
                return _plain_value(shorter(param.name, param.default))
    return None


def _plain_value(value: Any) -> Value | None:
    if value is None or isinstance(value, bool | int | float):
        return LiteralValue(value)
    if isinstance(value, str):
        return _word(value)
    is_shape = isinstance(value, tuple) and len(value) > 1
    if is_shape and all(isinstance(size, int) and size > 0 for size in value):
        return Shape(value)
    return None


class _ParameterFinder:
    """Finds the parameters for the values that vary."""

    def __init__(self, taken: set[str]) -> None:
        self.taken = taken
        self.expressions: dict[Field, Value] = {}
        self.params: dict[str, ValueColumn] = {}
        self.name_params: set[str] = set()

    def signature(self, count: int) -> tuple[dict[str, Value | None], tuple[dict[str, Value], ...]]:
        """The parameters with their defaults, and the arguments of each stretch."""
        params: dict[str, Value | None] = {}
        defaults: dict[str, Value] = {}
        for name, column in self.params.items():
            text, frequency = Counter(column.texts).most_common(1)[0]
            is_usual = frequency > 1 and frequency >= 2 * (count - frequency)
            if name not in self.name_params and is_usual:
                defaults[name] = column.values[column.texts.index(text)]
            else:
                params[name] = None
        params |= defaults
        args = tuple(
            {
                name: self.params[name].values[index]
                for name, default in params.items()
                if default is None or self.params[name].texts[index] != format_value(default)
            }
            for index in range(count)
        )
        return params, args

    # --- values -----------------------------------------------------------------------------------

    def find_values(self, columns: dict[Field, ValueColumn]) -> None:
        """Parameters for values; small numbers first, so that others are multiples of them."""
        for field in sorted(columns, key=lambda field: _sort_key(columns[field])):
            column = columns[field]
            source = self._known(column)
            if not source:
                param = str(field[-1])
                source = self._add(_PARAM_NAMES.get(param, param[0]), column)
            self.expressions[field] = Expr(source)

    def _known(self, column: ValueColumn) -> str:
        """An expression of the known parameters for a column: ``f``, ``f * 4``, ``(1, 1, f)``."""
        for name, other in self.params.items():
            if other.texts == column.texts:
                return name
        if column.numbers is None:
            return self._known_shape(column.values)
        for name, other in self.params.items():
            factor = _factor(column.numbers, other.numbers)
            if factor:
                return f"{name} * {factor}"
        return ""

    def _known_shape(self, values: tuple[Value, ...]) -> str:
        shapes = [value.dims for value in values if isinstance(value, Shape)]
        if len(shapes) < len(values) or len(set(map(len, shapes))) > 1:
            return ""
        parts = [
            str(sizes[0])
            if len(set(sizes)) == 1
            else self._known(ValueColumn(map(LiteralValue, sizes)))
            for sizes in zip(*shapes, strict=True)
        ]
        return f"({', '.join(parts)})" if all(parts) else ""

    def _add(self, stem: str, column: ValueColumn) -> str:
        name = free_name(stem, {*self.params, *self.taken})
        self.params[name] = column
        return name

    # --- names of layers --------------------------------------------------------------------------

    def find_names(self, columns: dict[Field, ValueColumn]) -> None:
        """Parameters for layers' names: what varies in them, with as much as they share."""
        groups: dict[tuple[str, ...], list[tuple[Field, str, str]]] = defaultdict(list)
        for field, column in columns.items():
            start, middles, end = split_names([_text(value) for value in column.values])
            groups[middles].append((field, start, end))
        for middles, members in groups.items():
            starts, ends = ({member[part] for member in members} for part in (1, 2))
            start = members[0][1] if len(starts) == 1 else ""
            end = members[0][2] if len(starts) == len(ends) == 1 else ""
            column = ValueColumn(_word(start + middle + end) for middle in middles)
            name = self._known(column)
            if not name:
                name = self._add("p", column)
                self.name_params.add(name)
            for field, own_start, own_end in members:
                before = [] if len(starts) == 1 or not own_start else [_quoted(own_start)]
                after = [] if end or not own_end else [_quoted(own_end)]
                self.expressions[field] = Expr(" + ".join([*before, name, *after]))


def loop_values(
    name: str, values: Sequence[Value], taken: Container[str]
) -> tuple[str, Value, tuple[Value, ...]] | None:
    """What a loop iterates over: if names differ only in a number, the numbers.

    Returns:
        The loop's variable, the expression for the value, and the values of the variable; None if
        a loop cannot iterate over these values.
    """
    plain = (name, Expr(name), tuple(values))
    matches = [_NAME_EXPR.fullmatch(value.source) for value in values if isinstance(value, Expr)]
    prefixes = {match["name"] for match in matches if match}
    if len(matches) == len(values) and all(matches) and len(prefixes) == 1:
        texts = [match["rest"] for match in matches if match]
        prefix = f"{prefixes.pop()} + "
    elif matches:
        return None
    elif all(isinstance(value, Word) for value in values):
        texts, prefix = list(map(_text, values)), ""
    else:
        return plain
    start, middles, end = split_names(texts)
    are_numbers = all(middle.isdigit() and str(int(middle)) == middle for middle in middles)
    if not are_numbers or "%" in start + end:
        return None if prefix else plain
    variable = free_name("i", taken)
    value = Expr(f"{prefix}{_quoted(start + '%d' + end)} % {variable}")
    return variable, value, tuple(LiteralValue(int(middle)) for middle in middles)


def free_name(stem: str, taken: Container[str], separator: str = "") -> str:
    """The stem, or the stem with the first number from 2 that makes a new name.

    Example:
        >>> free_name("res", []), free_name("res", ["res", "res2"])
        ('res', 'res3')
    """
    names = (f"{stem}{separator}{number}" for number in count(2))
    return stem if stem not in taken else next(name for name in names if name not in taken)


def split_names(names: Sequence[str]) -> tuple[str, tuple[str, ...], str]:
    """The common start of names, what each has of its own, and their common end.

    Example:
        >>> split_names(["conv2_block1_add", "conv2_block12_add"])
        ('conv2_block', ('1', '12'), '_add')
    """
    parts = [_NAME_PARTS.findall(name) for name in names]
    start = _common_length(parts)
    end = _common_length([own[start:][::-1] for own in parts])
    middles = tuple("".join(own[start : len(own) - end]) for own in parts)
    return "".join(parts[0][:start]), middles, "".join(parts[0][len(parts[0]) - end :])


def _common_length(parts: Sequence[Sequence[str]]) -> int:
    equal = (len(set(together)) == 1 for together in zip(*parts, strict=False))
    return sum(takewhile(bool, equal))


def _quoted(text: str) -> str:
    return format_value(LiteralValue(text))


def _text(value: Value) -> str:
    return value.text if isinstance(value, Word) else str(getattr(value, "value", ""))


def _word(text: str) -> Value:
    return Word(text) if is_plain_word(text) else LiteralValue(text)


def _sort_key(column: ValueColumn) -> tuple[int, ...]:
    return (1,) if column.numbers is None else (0, *column.numbers)


def _factor(numbers: tuple[int, ...], base: tuple[int, ...] | None) -> int:
    """The integer by which all numbers are multiples of a base; 0 if there is none."""
    if base is None or len(set(base)) == 1:
        return 0
    factor = numbers[0] // base[0]
    is_multiple = all(value == factor * other for value, other in zip(numbers, base, strict=True))
    return factor if is_multiple and 1 < factor <= MAX_FACTOR else 0


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
    """Searches items for the best block, which may take up to ``max_inputs`` outputs."""

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
