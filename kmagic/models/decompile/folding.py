"""Repeated stretches of a plan as blocks, repetitions and loops, if that is clearly shorter.

Repetitions are found by their pattern alone (which layers, and what each takes from where); what
differs between them becomes parameters of a block. The stretch whose folding saves most comes
first, and then the folded text is searched again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kmagic.language import format_value
from kmagic.language.spec import Expr, LiteralValue, NodeOutput, Word, find_parts
from kmagic.models.decompile.blocks import (
    BlockSearch,
    BlockTemplate,
    Candidate,
    free_name,
    loop_values,
)
from kmagic.models.decompile.plan import (
    BranchItem,
    FoldedBlock,
    Item,
    Links,
    LoopItem,
    ModelPlan,
    Part,
    StepItem,
    UseItem,
    has_one_output,
    outside_inputs,
    pattern_of,
    reused_step,
    step_items,
)

MAX_BLOCK_INPUTS = 3
MAX_REPEAT_LENGTH = 12
"""The longest body of ``repeat``, in items."""
MIN_LOOP_USES = 3
_BLOCK_NAMES = {
    "multi_head_attention": "attend",
    "grouped_query_attention": "attend",
    "add": "res",
    "ops.add": "res",
    "concatenate": "mix",
    "multiply": "gate",
}
"""A layer in a block -> the block's name."""


@dataclass(frozen=True, slots=True)
class FoldedPlan:
    """A plan's parts, and the blocks that they use, each after those it uses itself."""

    parts: tuple[Part, ...]
    blocks: tuple[FoldedBlock, ...] = ()


def fold(plan: ModelPlan, taken: set[str], *, blocks: bool = True) -> FoldedPlan:
    """Fold a plan.

    Args:
        plan: A model's plan.
        taken: Names that blocks and parameters must not have; the blocks' names are added.
        blocks: False leaves every step on a line of its own.
    """
    items: list[Item] = [
        StepItem(index, step, step.values, Word(step.name) if step.name else None)
        for index, step in enumerate(plan.steps)
    ]
    if not blocks:
        return FoldedPlan(tuple(items))
    ends = list(find_parts((*plan.outputs, *(plan.inputs or ())), NodeOutput))
    new_blocks: list[FoldedBlock] = []
    for max_inputs in range(1, MAX_BLOCK_INPUTS + 1):
        while True:
            items = with_repeats(items, ends, 1)
            best = BlockSearch(items, Links(items, ends), max_inputs, taken).best()
            if best is None:
                break
            new_blocks.append(_make_block(items, *best, taken))
    items = with_repeats(items, ends, MAX_REPEAT_LENGTH)
    parts = _with_loops(with_branches(items, (), ends), ends, taken)
    for block in new_blocks:
        body = with_branches(block.body, block.inputs, ())
        block.body = _with_loops(body, (), taken | set(block.params))
    return FoldedPlan(*_inlined(parts, ends, new_blocks))


def _make_block(
    items: list[Item], candidate: Candidate, template: BlockTemplate, taken: set[str]
) -> FoldedBlock:
    """A block for a candidate; its uses replace the items."""
    body = template.body
    block = FoldedBlock(
        _block_name(body, taken), template.params, body, outside_inputs(body), template.name_params
    )
    for start, args in reversed(list(zip(candidate.starts, template.args, strict=True))):
        stretch = items[start : start + candidate.length]
        use = UseItem(block, args, outside_inputs(stretch), stretch[-1].outputs)
        items[start : start + candidate.length] = [use]
    return block


def _block_name(body: Iterable[Part], taken: set[str]) -> str:
    """A new name for a block, by its layers."""
    steps = [item.step for part in body for item in step_items(part, in_blocks=True)]
    words = {format_value(step.callee) for step in steps if step.callee}
    stem = next((name for word, name in _BLOCK_NAMES.items() if word in words), "part")
    if stem == "part" and any("conv" in word for word in words):
        stem = "conv_bn" if "batch_normalization" in words else "convs"
    name = free_name(stem, taken)
    taken.add(name)
    return name


# --- repetitions: `dense 64 relu * 3` and `repeat 3:` ---------------------------------------------


def with_repeats(items: Sequence[Item], ends: Sequence[NodeOutput], max_length: int) -> list[Item]:
    """Items with a loop in place of equal stretches of up to ``max_length`` items."""
    result: list[Item] = []
    links = Links(items, ends)
    start = 0
    while start < len(items):
        length, times = _best_repetition(links, items, start, max_length)
        if not times:
            result.append(items[start])
            start += 1
            continue
        body = tuple(items[start : start + length])
        start += length * times
        outputs = items[start - 1].outputs
        result.append(LoopItem(body, LiteralValue(times), outside_inputs(body), outputs))
    return result


def _best_repetition(
    links: Links, items: Sequence[Item], start: int, max_length: int
) -> tuple[int, int]:
    """Length and number of the largest repetition that starts here; (0, 0) if there is none."""
    best = (0, 0)
    for length in range(1, min(max_length, (len(items) - start) // 2) + 1):
        body = items[start : start + length]
        if not all(map(_may_repeat, body)):
            break
        times = _repetitions(links, items, start, length)
        if length > 1:
            times = _writable_times(links, items, start, length, times)
        is_loop = length == 1 and isinstance(body[0], LoopItem)
        if times > 1 and not is_loop and times * length > best[0] * best[1]:
            best = (length, times)
    return best


def _writable_times(
    links: Links, items: Sequence[Item], start: int, length: int, times: int
) -> int:
    """How often ``repeat`` can do it: it has no arrow, and its output no name."""
    inputs = outside_inputs(items[start : start + length])
    if start and inputs[0].node not in items[start - 1].outputs:
        return 0
    is_complete = times and links.feeds_next_only(start + length * times - 1)
    return times if is_complete else times - 1


def _repetitions(links: Links, items: Sequence[Item], start: int, length: int) -> int:
    """How many equal stretches follow each other, each on the output of the one before."""
    first = items[start : start + length]
    if len(outside_inputs(first)) != 1 or not links.is_closed(start, length):
        return 0
    expected = (pattern_of(first), _value_texts(first))
    times, position, output = 1, start + length, first[-1].outputs[0]
    while position + length <= len(items) and links.is_closed(position, length):
        stretch = items[position : position + length]
        is_next = outside_inputs(stretch) == (NodeOutput(output),) and all(
            position <= user < position + length for user in links.users[output]
        )
        if not is_next or (pattern_of(stretch), _value_texts(stretch)) != expected:
            break
        times, position, output = times + 1, position + length, stretch[-1].outputs[0]
    return times


def _may_repeat(item: Item) -> bool:
    return isinstance(item, UseItem) or all(
        step.name is None and step.step.kind in ("layer", "function") for step in step_items(item)
    )


def _value_texts(items: Iterable[Item]) -> tuple[Any, ...]:
    return tuple(
        tuple((key, format_value(value)) for key, value in item.free_values().items())
        for item in items
    )


# --- loops: `for f in 16 32 64:` ------------------------------------------------------------------


def _with_loops(
    parts: Sequence[Part], ends: Sequence[NodeOutput], taken: set[str]
) -> tuple[Part, ...]:
    """Parts with a loop in place of consecutive uses of a block that differ in one argument."""
    result: list[Part] = []
    links = Links(parts, ends)
    start = 0
    while start < len(parts):
        part = parts[start]
        uses = _consecutive_uses(links, start)
        loop = _loop(uses, taken) if len(uses) >= MIN_LOOP_USES else None
        if loop is not None:
            result.append(loop)
            start += len(uses)
            continue
        if isinstance(part, BranchItem):
            branches = tuple(_with_loops(branch, (), taken) for branch in part.branches)
            part = replace(part, branches=branches)
        result.append(part)
        start += 1
    return tuple(result)


def _loop(uses: Sequence[UseItem], taken: set[str]) -> LoopItem | None:
    first, last = uses[0], uses[-1]
    varying = [name for name in first.block.params if _varies(uses, name)]
    if len(varying) != 1:
        return None
    (name,) = varying
    values = loop_values(name, [use.args[name] for use in uses], taken)
    if values is None:
        return None
    variable, value, series = values
    body = (first.with_values({("block_argument", name): value}),)
    return LoopItem(body, None, first.inputs, last.outputs, variable, series)


def _consecutive_uses(links: Links, start: int) -> list[UseItem]:
    """The longest series of uses from here on that one loop can stand for."""
    parts = links.parts
    first = parts[start]
    if not isinstance(first, UseItem) or len(first.inputs) != 1 or first.inputs[0].path:
        return []
    if start and first.inputs[0].node not in parts[start - 1].outputs:
        return []  # a loop has no arrow
    uses = [first]
    for part in parts[start + 1 :]:
        output = uses[-1].outputs[0]
        if (
            not isinstance(part, UseItem)
            or part.block is not first.block
            or part.inputs != (NodeOutput(output),)
            or len(links.users[output]) != 1
            or part.args.keys() != first.args.keys()
            or sum(_varies([*uses, part], name) for name in first.block.params) > 1
        ):
            break
        uses.append(part)
    while uses and not links.feeds_next_only(start + len(uses) - 1):
        uses.pop()
    return uses


def _varies(uses: Sequence[UseItem], name: str) -> bool:
    values = (use.args.get(name) for use in uses)
    return len({"" if value is None else format_value(value) for value in values}) > 1


# --- blocks that only one loop uses ---------------------------------------------------------------


def _inlined(
    parts: tuple[Part, ...], ends: Sequence[NodeOutput], blocks: Sequence[FoldedBlock]
) -> tuple[tuple[Part, ...], tuple[FoldedBlock, ...]]:
    """The parts with blocks that only one loop uses in its body, and the other blocks."""
    bodies = (parts, *(block.body for block in blocks))
    uses = Counter(use.block for body in bodies for use in _block_uses(body))
    inlined: set[FoldedBlock] = set()

    def rewritten(parts: Sequence[Part], ends: Sequence[NodeOutput]) -> tuple[Part, ...]:
        links = Links(parts, ends)
        return tuple(rewritten_part(part, links, index) for index, part in enumerate(parts))

    def rewritten_part(part: Part, links: Links, position: int) -> Part:
        match part:
            case LoopItem(body=(UseItem() as use,)) if (
                uses[use.block] == 1
                and _takes_only_variable(use, part)
                and _needs_no_names(links, position)
            ):
                inlined.add(use.block)
                return replace(part, body=rewritten(use.block.body, ()))
            case LoopItem():
                return replace(part, body=rewritten(part.body, ()))
            case BranchItem():
                branches = tuple(rewritten(branch, ()) for branch in part.branches)
                return replace(part, branches=branches)
            case _:
                return part

    for block in blocks:
        block.body = rewritten(block.body, ())
    result = rewritten(parts, ends)
    return result, tuple(block for block in blocks if block not in inlined)


def _needs_no_names(links: Links, position: int) -> bool:
    """Whether a loop needs neither an arrow nor a name for its output."""
    is_next = not position or links.parts[position].inputs == tuple(
        map(NodeOutput, links.parts[position - 1].outputs)
    )
    return is_next and links.feeds_next_only(position)


def _takes_only_variable(use: UseItem, loop: LoopItem) -> bool:
    """Whether a block's body can replace its use in a loop, parameters included."""
    args = {loop.variable: Expr(loop.variable)} if loop.variable else {}
    return set(use.block.params) == set(args) and dict(use.args) == args


def _block_uses(parts: Iterable[Part]) -> Iterator[UseItem]:
    for part in parts:
        match part:
            case UseItem():
                yield part
            case LoopItem():
                yield from _block_uses(part.body)
            case BranchItem():
                for branch in part.branches:
                    yield from _block_uses(branch)
            case StepItem():
                pass


MAX_DISTANCE = 60
"""How many parts before a merge its branches may start."""


def with_branches(
    parts: Sequence[Part], inputs: tuple[NodeOutput, ...], ends: Sequence[NodeOutput]
) -> tuple[Part, ...]:
    """Parts with a branch item in place of all branches that nothing else uses.

    The parts take ``inputs``, and ``ends`` are the outputs that are used after them.
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
    """A step that may merge branches, with the parts before and after it."""

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
