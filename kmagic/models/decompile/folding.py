"""Repeated stretches of a plan to blocks, repetitions and loops, where that is plainly shorter.

What repeats is found by form alone (which layers, and what each takes from where); what differs
between the repetitions becomes a block's parameters. The stretch whose folding saves most goes
first, and then the folded text is searched again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kmagic.language import format_value
from kmagic.language.spec import NodeOutput, Word
from kmagic.models.decompile.block_search import Candidate, Search
from kmagic.models.decompile.block_templates import Template
from kmagic.models.decompile.branches import structured
from kmagic.models.decompile.items import Block, Fork, Item, Leaf, Loop, Part, Use
from kmagic.models.decompile.links import Flow, outside
from kmagic.models.decompile.loops import inlined, looped
from kmagic.models.decompile.plan import Plan, outs
from kmagic.models.decompile.repeats import repeated

MOST_ENTRIES = 3
"""No block takes more outputs than this."""
MOST_PERIOD = 12
"""No ``repeat`` holds more items than this."""
_KINDS = {
    "multi_head_attention": "attend",
    "grouped_query_attention": "attend",
    "add": "res",
    "ops.add": "res",
    "concatenate": "mix",
    "multiply": "gate",
}
"""Layer in a block -> what the block is called."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A plan's parts, and the blocks that they use, each after those it uses itself."""

    parts: tuple[Part, ...]
    blocks: tuple[Block, ...] = ()


def fold(plan: Plan, taken: set[str], *, blocks: bool = True) -> Folded:
    """Fold a plan.

    Args:
        plan: A model's plan.
        taken: Names that blocks and parameters must not have; those of the blocks are added.
        blocks: False leaves every step a line of its own.
    """
    items: list[Item] = [
        Leaf(number, step, step.values, Word(step.name) if step.name else None)
        for number, step in enumerate(plan.steps)
    ]
    if not blocks:
        return Folded(tuple(items))
    ends = [out for arg in (*plan.outputs, *(plan.inputs or ())) for out in outs(arg)]
    return _Folder(items, ends, taken).run()


class _Folder:
    def __init__(self, items: list[Item], ends: Sequence[NodeOutput], taken: set[str]) -> None:
        self.items, self.ends, self.taken = items, ends, taken
        self.blocks: list[Block] = []

    def run(self) -> Folded:
        for entries in range(1, MOST_ENTRIES + 1):
            while True:
                self.items = repeated(self.items, self.ends, 1)
                flow = Flow(self.items, self.ends)
                found = Search(self.items, flow, entries, self.taken).best()
                if found is None:
                    break
                self._make_block(*found)
        self.items = repeated(self.items, self.ends, MOST_PERIOD)
        parts = looped(structured(self.items, (), self.ends), self.ends, self.taken)
        for block in self.blocks:
            body = structured(block.body, block.entries, ())
            block.body = looped(body, (), self.taken | set(block.params))
        return Folded(*inlined(parts, self.ends, self.blocks))

    def _make_block(self, candidate: Candidate, made: Template) -> None:
        entries, gives = tuple(outside(made.body)), made.body[-1].gives
        block = Block(self._name(made.body), made.params, made.body, entries, gives, made.names)
        self.blocks.append(block)
        for at, args in reversed(list(zip(candidate.starts, made.args, strict=True))):
            stretch = self.items[at : at + candidate.length]
            use = Use(block, args, tuple(outside(stretch)), stretch[-1].gives)
            self.items[at : at + candidate.length] = [use]

    def _name(self, body: tuple[Part, ...]) -> str:
        """A name for a block, by what is in it."""
        words = {format_value(leaf.step.callee) for leaf in _leaves(body) if leaf.step.callee}
        stem = next((kind for word, kind in _KINDS.items() if word in words), "part")
        if stem == "part" and any("conv" in word for word in words):
            stem = "conv_bn" if "batch_normalization" in words else "convs"
        name, count = stem, 1
        while name in self.taken:
            count += 1
            name = f"{stem}{count}"
        self.taken.add(name)
        return name


def _leaves(parts: Iterable[Part]) -> Iterator[Leaf]:
    """All steps, those of blocks too."""
    for part in parts:
        match part:
            case Leaf():
                yield part
            case Use():
                yield from _leaves(part.block.body)
            case Loop():
                yield from _leaves(part.body)
            case Fork():
                yield part.leaf
                for branch in part.branches:
                    yield from _leaves(branch)
