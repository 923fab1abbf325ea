"""Repeated stretches of a plan as blocks, repetitions and loops, if that is clearly shorter.

Repetitions are found by their pattern alone (which layers, and what each takes from where); what
differs between them becomes parameters of a block. The stretch whose folding saves most comes
first, and then the folded text is searched again.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from typing import Any, TypeAlias

from kmagic.language import format_value, spec
from kmagic.language.graph_statements import unused_name
from kmagic.language.spec import Expr, LiteralValue, NodeOutput, Value, Word
from kmagic.models import catalogue
from kmagic.models.decompile.config_values import UnwritableError, shorter, text_value
from kmagic.models.decompile.layer_writer import LayerWriter
from kmagic.models.decompile.plan import (
    TIMES,
    CompoundItem,
    FoldedBlock,
    Item,
    Links,
    ModelPlan,
    StepItem,
    UseItem,
    outside_inputs,
    pattern_of,
    references,
    reused_step,
)

MAX_BLOCK_INPUTS = 3
MAX_REPEAT_LENGTH = 12
"""The longest body of ``repeat``, in items."""
MIN_LOOP_USES = 3
MAX_DISTANCE = 60
"""How many items before a merge its branches may start."""
_BLOCK_NAMES = {
    "multi_head_attention": "attend",
    "grouped_query_attention": "attend",
    "add": "res",
    "ops.add": "res",
    "concatenate": "mix",
    "multiply": "gate",
}
"""A layer in a block -> the block's name."""
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
    TIMES: "t",
}
MAX_FACTOR = 16
MAX_COLUMNS = 12
"""There is no template for more values than this that differ independently."""
_NAME_EXPR = re.compile(r"(?P<name>\w+) \+ \"(?P<rest>[^\"\\%]*)\"")
_NAME_PARTS = re.compile(r"\d+|[^\W\d_]+|[\W_]")
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

Field: TypeAlias = tuple[int, str]
"""A value's position in a stretch: the item's index, then the value's key."""
BlockUses: TypeAlias = dict[int, dict[str, Value]]
"""Where a block is used: the start of each stretch, and the block's arguments there."""


def fold(
    plan: ModelPlan, taken: set[str], *, blocks: bool = True
) -> tuple[Sequence[Item], list[FoldedBlock]]:
    """Fold a plan.

    Args:
        plan: A model's plan.
        taken: Names that blocks and parameters must not have; the blocks' names are added.
        blocks: False leaves every step on a line of its own.

    Returns:
        The plan's items, and the blocks that they use, each after those it uses itself.
    """
    items: list[Item] = [StepItem.of(step, index) for index, step in enumerate(plan.steps)]
    if not blocks:
        return items, []
    ends = list(spec.find_parts((*plan.outputs, *(plan.inputs or ())), NodeOutput))
    found: list[FoldedBlock] = []
    for max_inputs in range(1, MAX_BLOCK_INPUTS + 1):
        while True:
            items = with_repeats(items, ends, 1)
            best = BlockSearch(items, Links(items, ends), max_inputs, taken).best()
            if best is None:
                break
            block, uses = best
            block.name = _block_name(block, taken)
            found.append(block)
            for start, args in reversed(uses.items()):
                stretch = items[start : start + len(block.body)]
                use = UseItem(outside_inputs(stretch), stretch[-1].output, args, block)
                items[start : start + len(block.body)] = [use]
    items = with_repeats(items, ends, MAX_REPEAT_LENGTH)
    repeated = (item.bodies[0] for item in items if isinstance(item, CompoundItem))
    bodies = (items, *repeated, *(block.body for block in found))
    counts = Counter(item.block for body in bodies for item in body if isinstance(item, UseItem))
    for block in found:
        body = with_branches(block.body, block.inputs, ())
        block.body = _with_loops(body, (), taken | set(block.params), counts)
    folded = _with_loops(with_branches(items, (), ends), ends, taken, counts)
    return folded, [block for block in found if counts[block]]


def _block_name(block: FoldedBlock, taken: set[str]) -> str:
    words = set(_words(block))
    stem = next((name for word, name in _BLOCK_NAMES.items() if word in words), "part")
    if stem == "part" and any("conv" in word for word in words):
        stem = "conv_bn" if "batch_normalization" in words else "convs"
    name = unused_name(stem, taken, "")
    taken.add(name)
    return name


def _words(block: FoldedBlock) -> Iterator[str]:
    for item in block.body:
        if isinstance(item, UseItem):
            yield from _words(item.block)
        elif isinstance(item, StepItem) and item.step.callee:
            yield format_value(item.step.callee)


# --- blocks: which repeated stretch is worth one --------------------------------------------------


class BlockSearch:
    """Searches items for the best block, which may take up to ``max_inputs`` outputs."""

    def __init__(
        self, items: Sequence[Item], links: Links, max_inputs: int, taken: set[str]
    ) -> None:
        self.items, self.links, self.max_inputs, self.taken = items, links, max_inputs, taken
        self.costs = [item_cost(item) for item in items]

    def best(self) -> tuple[FoldedBlock, BlockUses] | None:
        """The block that saves most, and its uses; None if nothing is worth one."""
        best: tuple[FoldedBlock, BlockUses] | None = None
        best_saving: float = MIN_SAVING
        for bound, candidate, length in sorted(self._candidates(), key=lambda found: -found[0]):
            if bound <= best_saving:
                break
            closed = self._closed(candidate, length)
            for starts in (closed, *self._equal_groups(closed, length)):
                found = find_block(self._stretches(starts, length), self.taken) if starts else None
                if found is None or len(found[0].params) > MAX_PARAMS:
                    continue
                block, args = found
                saving = sum(self._cost(start, length) for start in starts) - block_cost(
                    block, args
                )
                if saving > best_saving:
                    best_saving, best = saving, (block, dict(zip(starts, args, strict=True)))
        return best

    def _candidates(self) -> Iterator[tuple[int, list[int], int]]:
        """Stretches of the same pattern: more than they can save, their starts, their length."""
        counts = Counter(item.pattern for item in self.items)
        repeats = [counts[item.pattern] > 1 and item.pattern[0] != "input" for item in self.items]
        hashes = [hash(item.pattern) for item in self.items]
        starts_by_pattern: dict[tuple[int, int], list[int]] = defaultdict(list)
        for start in range(len(self.items)):
            known: dict[int, int] = {}
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
                yield sum(self._cost(start, length) for start in starts[1:]), starts, length

    def _is_periodic(self, start: int, length: int) -> bool:
        patterns = [item.pattern for item in self.items[start : start + length]]
        return any(
            length % period == 0 and patterns[period:] == patterns[:-period]
            for period in range(MIN_PERIOD, length // 2 + 1)
        )

    def _closed(self, candidate: Sequence[int], length: int) -> list[int]:
        """The starts that do not overlap, and whose inner outputs are not used outside."""
        starts: list[int] = []
        for start in candidate:
            overlaps = starts and start < starts[-1] + length
            if not overlaps and self.links.is_closed(start, length):
                starts.append(start)
        return starts if len(starts) > 1 else []

    def _equal_groups(self, candidate: Sequence[int], length: int) -> Iterator[list[int]]:
        """The starts whose stretches differ in nothing but names."""
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for start, stretch in zip(candidate, self._stretches(candidate, length), strict=True):
            values = (
                format_value(value)
                for item in stretch
                for key, value in item.free_values.items()
                if not is_layer_name(item, key)
            )
            groups[tuple(values)].append(start)
        return (starts for starts in groups.values() if 1 < len(starts) < len(candidate))

    def _stretches(self, starts: Iterable[int], length: int) -> list[Sequence[Item]]:
        return [self.items[start : start + length] for start in starts]

    def _cost(self, start: int, length: int) -> int:
        return sum(self.costs[start : start + length])


def block_cost(block: FoldedBlock, args: Sequence[Mapping[str, Value]]) -> int:
    """About how many characters a block and its uses take."""
    header = LINE_COST + 10 + sum(len(name) + 6 for name in block.params)
    body = sum(item_cost(item) + 2 for item in block.body)
    arrows = 8 * (len(block.inputs) - 1)
    uses = sum(LINE_COST + 8 + arrows + _length(values.values()) for values in args)
    return header + body + uses + PARAM_COST * len(block.params) ** 2


def item_cost(item: Item) -> int:
    """About how many characters an item takes, its line included."""
    cost = LINE_COST + _length(value for key, value in item.values.items() if key != TIMES)
    if TIMES in item.values:
        cost += LINE_COST + 10
    if not isinstance(item, StepItem):
        return cost + 5
    callee = len(format_value(item.step.callee)) if item.step.callee is not None else 6
    arrows = 0 if len(item.inputs) <= 1 else 4 + 4 * len(item.inputs)
    return cost + callee + arrows


def _length(values: Iterable[Value]) -> int:
    return sum(len(format_value(value)) + 2 for value in values)


# --- parameters for what differs in a block ------------------------------------------------------


class ValueColumn:
    """The values of one field, one for each stretch.

    Attributes:
        values: In the order of the stretches.
        texts: As texts, which distinguish 1 from true.
        numbers: As integers; None unless all are positive integers.
        order: A key for sorting: small numbers first, and what are no numbers last.
    """

    def __init__(self, values: Iterable[Value]) -> None:
        self.values = tuple(values)
        self.texts = tuple(map(format_value, self.values))
        numbers = [value.value for value in self.values if isinstance(value, LiteralValue)]
        integers = tuple(number for number in numbers if type(number) is int and number > 0)
        self.numbers = integers if len(integers) == len(self.values) else None
        self.order = (self.numbers is None, self.numbers or ())


def find_block(
    stretches: Sequence[Sequence[Item]], taken: Iterable[str]
) -> tuple[FoldedBlock, list[dict[str, Value]]] | None:
    """A block for stretches of the same pattern, and its arguments for each; None if there is none.

    An argument at its default is left out.
    """
    columns = _columns(stretches)
    if columns is None:
        return None
    varying = {field: column for field, column in columns.items() if len(set(column.texts)) > 1}
    names = {f: varying[f] for f in varying if is_layer_name(stretches[0][f[0]], f[1])}
    others = {field: column for field, column in varying.items() if field not in names}
    if len({column.texts for column in others.values()}) > MAX_COLUMNS:
        return None
    finder = _ParameterFinder(set(taken))
    finder.find_names(names)
    finder.find_values(others)
    body = tuple(
        item.with_values(
            {key: expr for (at, key), expr in finder.expressions.items() if at == index}
        )
        for index, item in enumerate(stretches[0])
    )
    params, args = finder.signature(len(stretches))
    return FoldedBlock(params, body, outside_inputs(body), finder.name_params), args


def is_layer_name(item: Item, key: str) -> bool:
    """Whether a value is a layer's name, or the part of one that a block takes."""
    return key == "name" or (isinstance(item, UseItem) and key in item.block.name_params)


def _columns(stretches: Sequence[Sequence[Item]]) -> dict[Field, ValueColumn] | None:
    """Every field's value in each stretch; a missing argument has its default."""
    columns: dict[Field, ValueColumn] = {}
    for index, items in enumerate(zip(*stretches, strict=True)):
        for key in dict.fromkeys(key for item in items for key in item.free_values):
            values = [item.free_values.get(key) or _default_value(item, key) for item in items]
            known = [value for value in values if value is not None]
            if len(known) < len(values):
                return None
            columns[index, key] = ValueColumn(known)
    return columns


def _default_value(item: Item, key: str) -> Value | None:
    """The value of an argument that is not written; None if it is unknown."""
    if isinstance(item, UseItem):
        return item.block.params.get(key)
    if isinstance(item, StepItem) and item.step.owner:
        for param in catalogue.parameters(item.step.owner):
            if param.name == key and not param.required:
                default = shorter(param.name, param.default)
                is_plain = isinstance(default, bool | int | float | str | tuple | None)
                with suppress(UnwritableError):  # such as a tuple of a user's objects
                    return LayerWriter().value(default) if is_plain else None
    return None


class _ParameterFinder:
    def __init__(self, taken: set[str]) -> None:
        self.taken = taken
        self.expressions: dict[Field, Value] = {}
        self.params: dict[str, ValueColumn] = {}
        self.name_params: set[str] = set()

    def signature(self, count: int) -> tuple[dict[str, Value | None], list[dict[str, Value]]]:
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
        args = [
            {
                name: self.params[name].values[index]
                for name, default in params.items()
                if default is None or self.params[name].texts[index] != format_value(default)
            }
            for index in range(count)
        ]
        return params, args

    # --- values -----------------------------------------------------------------------------------

    def find_values(self, columns: dict[Field, ValueColumn]) -> None:
        """Parameters for values; small numbers first, so that others are multiples of them."""
        for field, column in sorted(columns.items(), key=lambda pair: pair[1].order):
            source = self._known(column)
            if not source:
                source = self._add(_PARAM_NAMES.get(field[1], field[1][0]), column)
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
        shapes = [value.dims for value in values if isinstance(value, spec.Shape)]
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
        name = unused_name(stem, {*self.params, *self.taken}, "")
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
            column = ValueColumn(text_value(start + middle + end, "any") for middle in middles)
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
    variable = unused_name("i", taken, "")
    value = Expr(f"{prefix}{_quoted(start + '%d' + end)} % {variable}")
    return variable, value, tuple(LiteralValue(int(middle)) for middle in middles)


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


def _factor(numbers: tuple[int, ...], base: tuple[int, ...] | None) -> int:
    """The integer by which all numbers are multiples of a base; 0 if there is none."""
    if base is None or len(set(base)) == 1:
        return 0
    factor = numbers[0] // base[0]
    is_multiple = all(value == factor * other for value, other in zip(numbers, base, strict=True))
    return factor if is_multiple and 1 < factor <= MAX_FACTOR else 0


# --- repetitions: `dense 64 relu * 3` and `repeat 3:` ---------------------------------------------


def with_repeats(items: Sequence[Item], ends: Sequence[NodeOutput], max_length: int) -> list[Item]:
    """Items with one in place of equal stretches of up to ``max_length`` items."""
    result: list[Item] = []
    links = Links(items, ends)
    start = 0
    while start < len(items):
        item = items[start]
        length, times = _best_repetition(links, start, max_length)
        body = tuple(items[start : start + length])
        start += length * times
        output, count = items[start - 1].output, LiteralValue(times)
        if length > 1:
            item = CompoundItem(
                outside_inputs(body), output, {}, spec.RepeatSpec(count, ()), (body,)
            )
        elif times > 1:
            item = replace(item, values={TIMES: count, **item.values}, output=output)
        result.append(item)
    return result


def _best_repetition(links: Links, start: int, max_length: int) -> tuple[int, int]:
    """Length and number of the largest repetition that starts here; (1, 1) if there is none."""
    items = links.items
    best = (1, 1)
    for length in range(1, min(max_length, (len(items) - start) // 2) + 1):
        if not _may_repeat(items[start + length - 1]):
            break
        if length == 1 and TIMES in items[start].values:
            continue
        times = _repetitions(links, start, length)
        if times > 1 and times * length > best[0] * best[1]:
            best = (length, times)
    return best


def _repetitions(links: Links, start: int, length: int) -> int:
    """How many equal stretches follow each other, each on the output of the one before."""
    items = links.items
    first = items[start : start + length]
    inputs = outside_inputs(first)
    if len(inputs) != 1 or not links.is_closed(start, length):
        return 0
    if length > 1 and start and inputs[0].node != items[start - 1].output:
        return 0  # `repeat` has no arrow
    expected = (pattern_of(first), _value_texts(first))
    times, position = 1, start + length
    while position + length <= len(items) and links.is_closed(position, length):
        stretch = items[position : position + length]
        output = items[position - 1].output
        is_next = outside_inputs(stretch) == (NodeOutput(output),) and all(
            position <= user < position + length for user in links.users[output]
        )
        if not is_next or (pattern_of(stretch), _value_texts(stretch)) != expected:
            break
        times, position = times + 1, position + length
    # The output of `repeat` has no name.
    return times if length == 1 or links.feeds_next_only(position - 1) else times - 1


def _may_repeat(item: Item) -> bool:
    return not isinstance(item, StepItem) or (
        "name" not in item.values and item.step.kind in ("layer", "function")
    )


def _value_texts(items: Iterable[Item]) -> tuple[Any, ...]:
    return tuple(
        tuple((key, format_value(value)) for key, value in item.free_values.items())
        for item in items
    )


# --- loops: `for f in 16 32 64:` ------------------------------------------------------------------


def _with_loops(
    items: Sequence[Item], ends: Sequence[NodeOutput], taken: set[str], counts: Counter[FoldedBlock]
) -> tuple[Item, ...]:
    """Items with a loop in place of consecutive uses of a block that differ in one argument.

    A block that only one loop uses becomes the body of the loop; then its count of uses is 0.
    """
    result: list[Item] = []
    links = Links(items, ends)
    start = 0
    while start < len(items):
        item = items[start]
        uses = _consecutive_uses(links, start)
        loop = _loop(uses, taken, counts) if len(uses) >= MIN_LOOP_USES else None
        if loop is not None:
            start += len(uses) - 1
            item = loop
        elif isinstance(item, CompoundItem):
            bodies = tuple(_with_loops(body, (), taken, counts) for body in item.bodies)
            item = replace(item, bodies=bodies)
        elif isinstance(item, UseItem) and item.values.keys() == {TIMES}:
            is_next = not start or item.inputs == (NodeOutput(items[start - 1].output),)
            is_only = counts[item.block] == 1 and not item.block.params
            if is_only and is_next and links.feeds_next_only(start):
                counts[item.block] = 0
                head, body = spec.RepeatSpec(item.values[TIMES], ()), item.block.body
                item = CompoundItem(item.inputs, item.output, {}, head, (body,))
        result.append(item)
        start += 1
    return tuple(result)


def _loop(
    uses: Sequence[UseItem], taken: set[str], counts: Counter[FoldedBlock]
) -> CompoundItem | None:
    first, last, block = uses[0], uses[-1], uses[0].block
    varying = [name for name in block.params if _varies(uses, name)]
    if len(varying) != 1:
        return None
    (name,) = varying
    values = loop_values(name, [use.values[name] for use in uses], taken)
    if values is None:
        return None
    variable, value, series = values
    body: tuple[Item, ...] = (first.with_values({name: value}),)
    if counts[block] == len(uses) and block.params.keys() == {name} and value == Expr(name):
        counts[block] = 0
        body = block.body
    return CompoundItem(first.inputs, last.output, {}, spec.ForSpec(variable, series, ()), (body,))


def _consecutive_uses(links: Links, start: int) -> list[UseItem]:
    """The longest series of uses from here on that one loop can stand for."""
    items = links.items
    first = items[start]
    if not isinstance(first, UseItem) or len(first.inputs) != 1 or first.inputs[0].path:
        return []
    if TIMES in first.values or (start and first.inputs[0].node != items[start - 1].output):
        return []  # a loop has no arrow
    uses = [first]
    for item in items[start + 1 :]:
        output = uses[-1].output
        if (
            not isinstance(item, UseItem)
            or item.block is not first.block
            or item.inputs != (NodeOutput(output),)
            or len(links.users[output]) != 1
            or item.values.keys() != first.values.keys()
            or sum(_varies([*uses, item], name) for name in first.block.params) > 1
        ):
            break
        uses.append(item)
    while uses and not links.feeds_next_only(start + len(uses) - 1):
        uses.pop()
    return uses


def _varies(uses: Sequence[UseItem], name: str) -> bool:
    values = (use.values.get(name) for use in uses)
    return len({"" if value is None else format_value(value) for value in values}) > 1


# --- branches: `residual:` and `merge add:` -------------------------------------------------------


def with_branches(
    items: Sequence[Item], inputs: tuple[NodeOutput, ...], ends: Sequence[NodeOutput]
) -> tuple[Item, ...]:
    """Items with one in place of all branches that nothing else uses.

    The items take ``inputs``, and ``ends`` are the outputs that are used after them.
    """
    result: list[Item] = []
    for position, item in enumerate(items, 1):
        result.append(item)
        if isinstance(item, StepItem) and item.is_merge:
            links = Links([*result, *items[position:]], ends)
            start, merged = _with_its_branches(links, len(result) - 1, item, inputs)
            result[start:] = [merged]
    return tuple(result)


def _with_its_branches(
    links: Links, end: int, merge: StepItem, inputs: tuple[NodeOutput, ...]
) -> tuple[int, Item]:
    """Where the branches before a merge start, and the item for all; the merge if there are none.

    Each branch ends in an input of the merge, and the last one directly before it. They all start
    from one output, which the last branch tells.
    """
    unchanged = (end, merge)
    positions = {item.output: position for position, item in enumerate(links.items[:end])}
    merged = merge.inputs
    lasts = [positions.get(out.node, -1) for out in merged]
    is_ordered = lasts == sorted(set(lasts)) and lasts[-1] == end - 1
    if not is_ordered or not links.feeds_next_only(end) or links.reusers[merge.output]:
        return unchanged
    entries = outside_inputs(links.items[lasts[-2] + 1 : end])
    if len(entries) != 1 or (entries[0].path and entries != inputs):
        return unchanged
    (entry,) = entries
    start = 0 if entries == inputs else positions.get(entry.node, end) + 1
    is_residual = entry == merged[0] and len(merged) == 2  # noqa: PLR2004 - itself and a branch
    if is_residual:
        lasts = lasts[1:]
    starts = [start, *(last + 1 for last in lasts[:-1])]
    bodies = tuple(
        tuple(links.items[first : last + 1]) for first, last in zip(starts, lasts, strict=True)
    )
    is_near = end - MAX_DISTANCE < start <= lasts[0]
    if not is_near or not all(
        _is_branch(links, first, body, entries, end)
        for first, body in zip(starts, bodies, strict=True)
    ):
        return unchanged
    head: spec.ResidualSpec | spec.MergeSpec = spec.ResidualSpec(())
    if not is_residual:
        head = spec.MergeSpec(merge.step.callee or Word(""), (*merge.args, *merge.name_args), ())
    elif merge.step.callee != Word("add") or merge.values:
        return unchanged
    return start, CompoundItem(entries, merge.output, {}, head, bodies)


def _is_branch(
    links: Links, first: int, body: Sequence[Item], entries: tuple[NodeOutput, ...], merge: int
) -> bool:
    """Whether items lead from the entry to the merge, and nothing else is linked to them."""
    return (
        not any(
            isinstance(item, StepItem) and item.step.kind in ("input", "reuse") for item in body
        )
        and outside_inputs(body) == entries
        and links.is_closed(first, len(body))
        and links.users[body[-1].output] == [merge]
    )
