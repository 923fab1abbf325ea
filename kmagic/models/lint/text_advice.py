"""What stands in a model's text and takes no part in the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kmagic.language import format_statement
from kmagic.language.graph import Graph, Node
from kmagic.language.spec import (
    BlockSpec,
    LayerSpec,
    MappingValue,
    MergeSpec,
    NestedSpec,
    NodeOutput,
    SequenceValue,
    Statement,
)
from kmagic.models.lint.advice import Advice


def text_advice(statements: Iterable[Statement], graph: Graph) -> Iterator[Advice]:
    """Advice about lines, blocks and models that nothing uses.

    Args:
        statements: The text's.
        graph: What it stands for.
    """
    yield from _unused_lines(graph)
    statements = tuple(statements)
    used = set(_words(statements))
    for each in statements:
        if isinstance(each, BlockSpec | NestedSpec) and each.name not in used:
            kind = "block" if isinstance(each, BlockSpec) else "model"
            yield Advice(
                f"unused-{kind}",
                f"the {kind} {each.name} is never used, and what it holds was not looked at.",
                f"Write `{each.name}` in a line, or leave it out.",
                each.span,
            )


def _unused_lines(graph: Graph) -> Iterator[Advice]:
    needed = set(_needed(graph))
    told: set[int] = set()
    for number, node in enumerate(graph.nodes):
        if number in needed or node.is_input or node.span.line in told or node.trail:
            continue
        # Of a branch that leads nowhere, only its end is told.
        if any(number in _sources(other) for other in graph.nodes[number + 1 :]):
            continue
        told.add(node.span.line)
        text = format_statement(node.spec) if node.spec is not None else "this line"
        yield Advice(
            "unused-line",
            f"no output depends on `{text}`, so it is not in the model.",
            "Join it to the rest, name it in `output`, or leave it out.",
            node.span,
        )


def _needed(graph: Graph) -> Iterator[int]:
    """Numbers of the nodes that the outputs depend on."""
    todo = [number for arg in graph.outputs for number in _numbers(arg.value)]
    seen: set[int] = set()
    while todo:
        number = todo.pop()
        if number in seen:
            continue
        seen.add(number)
        yield number
        todo += _sources(graph.nodes[number])


def _sources(node: Node) -> list[int]:
    return [number for arg in node.inputs for number in _numbers(arg.value)]


def _numbers(value: Any) -> Iterator[int]:
    match value:
        case NodeOutput(node=number):
            yield number
        case SequenceValue(items=items):
            for item in items:
                yield from _numbers(item)
        case MappingValue(entries=entries):
            for _, item in entries:
                yield from _numbers(item)


def _words(statements: Iterable[Any]) -> Iterator[str]:
    """Every word that a line applies or refers to, in all bodies."""
    for each in statements:
        if isinstance(each, LayerSpec | MergeSpec):
            yield getattr(each.callee, "text", "")
            yield from _refs(each.args)
            yield from _refs(getattr(each, "inputs", None) or ())
        yield from _refs(getattr(each, "entries", ()))
        yield from _words(getattr(each, "body", ()))
        yield from _words(getattr(each, "branches", ()))


def _refs(args: Iterable[Any]) -> Iterator[str]:
    for arg in args:
        value = getattr(arg, "value", arg)
        yield getattr(value, "name", "") or ""
        yield getattr(value, "text", "") or ""
        yield from _refs(getattr(value, "args", ()))
        yield from _refs(getattr(value, "items", ()))
