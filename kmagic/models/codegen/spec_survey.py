"""What a text holds, looked over before a line of its program is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from kmagic.language import expressions
from kmagic.language.spec import (
    Arg,
    BlockSpec,
    Expr,
    ForSpec,
    FreezeSpec,
    Index,
    LayerSpec,
    MergeSpec,
    NestedSpec,
    Ref,
    RepeatSpec,
    ResidualSpec,
    Statement,
    Value,
    Word,
)


def free_names(statements: Iterable[Statement], bound: frozenset[str] = frozenset()) -> set[str]:
    """The names in braces that the text itself does not give a meaning: the notebook's.

    Args:
        statements: The text.
        bound: Parameters and loop names around them.
    """
    found: set[str] = set()
    for statement in statements:
        inner = bound
        match statement:
            case BlockSpec():
                inner |= {param.name for param in statement.params}
                for param in statement.params:
                    found |= names([param.default], bound)
                found |= free_names(statement.body, inner)
            case ForSpec():
                found |= names(statement.values, bound)
                found |= free_names(statement.body, bound | {statement.name})
            case RepeatSpec():
                found |= names([statement.times], bound) | free_names(statement.body, bound)
            case ResidualSpec():
                found |= free_names(statement.body, bound)
            case MergeSpec():
                found |= names([statement.callee, statement.args], bound)
                for branch in statement.branches:
                    found |= free_names(branch.body, bound)
            case NestedSpec():
                found |= names([statement.args], bound) | free_names(statement.body, bound)
            case _:
                found |= names([statement], bound)
    return found


def names(values: Iterable[Any], bound: frozenset[str] = frozenset()) -> set[str]:
    """The names in the expressions of these values, but those that are bound."""
    found: set[str] = set()
    for value in within(values):
        if isinstance(value, Expr):
            found |= expressions.names_in_expression(value.source) - bound
    return found


def within(thing: Any) -> Iterator[Any]:
    """A value and all values in it."""
    if isinstance(thing, str):
        return
    if isinstance(thing, Iterable):
        for each in thing:
            yield from within(each)
    elif is_dataclass(thing):
        yield thing
        for field in fields(thing):
            yield from within(getattr(thing, field.name))


def in_scope(statements: Iterable[Statement]) -> Iterator[Statement]:
    """The statements of one scope, those in loops, residuals and branches too."""
    for statement in statements:
        yield statement
        match statement:
            case RepeatSpec() | ForSpec() | ResidualSpec():
                yield from in_scope(statement.body)
            case MergeSpec():
                for branch in statement.branches:
                    yield from in_scope(branch.body)


def targets(statements: Iterable[Statement]) -> frozenset[str]:
    """The names that a scope gives to outputs."""
    return frozenset(
        target
        for statement in in_scope(statements)
        if isinstance(statement, LayerSpec)
        for target in statement.targets
        if target != "_"
    )


def wanted_layers(statements: Iterable[Statement]) -> frozenset[str]:
    """The names whose layer, not its output, is used again: by ``reuse``, ``&`` or ``freeze``."""
    found: set[str] = set()
    for statement in in_scope(statements):
        if isinstance(statement, LayerSpec) and statement.reuse:
            found.add(getattr(statement.callee, "text", ""))
        if isinstance(statement, FreezeSpec):
            found |= {arg.value.text for arg in statement.args if isinstance(arg.value, Word)}
        if not isinstance(statement, BlockSpec | NestedSpec):
            found |= {each.name for each in within([statement]) if isinstance(each, Ref)}
    return frozenset(found)


def uses_entry(statements: Iterable[Statement]) -> bool:
    """Whether ``_in`` stands for what enters these statements, not an inner body."""
    for statement in statements:
        match statement:
            case LayerSpec():
                if mentions("_in", statement.inputs or ()):
                    return True
            case RepeatSpec() | ForSpec():
                if uses_entry(statement.body):
                    return True
            case MergeSpec() | ResidualSpec() | BlockSpec() | NestedSpec():
                continue
            case _:
                if any(isinstance(v, Word) and v.text == "_in" for v in within([statement])):
                    return True
    return False


def mentions(name: str, args: tuple[Arg, ...]) -> bool:
    """Whether a name stands among the inputs of a step."""
    return any(_is_name(value, name) for value in within(args))


def _is_name(value: Value, name: str) -> bool:
    return (isinstance(value, Word) and value.text == name) or (
        isinstance(value, Index) and value.name == name
    )


def inputs(statements: Iterable[Statement]) -> int:
    """How many ``input`` lines a scope has."""
    return sum(
        isinstance(each, LayerSpec)
        and isinstance(each.callee, Word)
        and each.callee.text == "input"
        for each in in_scope(statements)
    )


def counts(statements: Iterable[Statement]) -> Iterator[Value]:
    """What the loops of a text run over, those in blocks and nested models too."""
    for statement in statements:
        match statement:
            case LayerSpec() if statement.times is not None:
                yield statement.times
            case RepeatSpec():
                yield statement.times
            case ForSpec():
                yield from statement.values
            case _:
                pass
        yield from counts(getattr(statement, "body", getattr(statement, "branches", ())))


def callees(statements: Iterable[Statement]) -> Iterator[str]:
    """The words of all steps, those in blocks and nested models too."""
    for statement in statements:
        if isinstance(statement, LayerSpec | MergeSpec) and isinstance(statement.callee, Word):
            yield statement.callee.text
        yield from callees(getattr(statement, "body", getattr(statement, "branches", ())))
