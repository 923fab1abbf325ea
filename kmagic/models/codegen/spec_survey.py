"""What a model's text contains, gathered before its program is written."""

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
    find_parts,
)


def free_names(part: Any, bound: frozenset[str] = frozenset()) -> set[str]:
    """The names in braces that no block parameter or loop variable defines: the notebook's.

    Args:
        part: Statements, or any part of them.
        bound: Parameters and loop variables around it.
    """
    match part:
        case Expr():
            return expressions.names_in_expression(part.source) - bound
        case BlockSpec():
            inner = bound | {param.name for param in part.params}
            return free_names(part.params, bound) | free_names(part.body, inner)
        case ForSpec():
            return free_names(part.values, bound) | free_names(part.body, bound | {part.name})
        case tuple():
            parts = part
        case _ if is_dataclass(part):
            parts = tuple(getattr(part, field.name) for field in fields(part))
        case _:
            parts = ()
    return set().union(*(free_names(inner, bound) for inner in parts))


def all_statements(statements: Iterable[Statement]) -> Iterator[Statement]:
    """The statements and all that are nested in them."""
    for statement in statements:
        yield statement
        yield from all_statements(getattr(statement, "body", getattr(statement, "branches", ())))


def scope_statements(statements: Iterable[Statement]) -> Iterator[Statement]:
    """The statements of one scope: those in loops, residuals and branches, not those in blocks."""
    for statement in statements:
        yield statement
        if not isinstance(statement, BlockSpec | NestedSpec):
            nested = getattr(statement, "body", getattr(statement, "branches", ()))
            yield from scope_statements(nested)


def output_names(statements: Iterable[Statement]) -> frozenset[str]:
    """The names that a scope gives to outputs."""
    return frozenset(
        target
        for statement in scope_statements(statements)
        if isinstance(statement, LayerSpec)
        for target in statement.targets
        if target != "_"
    )


def reused_layers(statements: Iterable[Statement]) -> frozenset[str]:
    """The names whose layer, not its output, is used again: by ``reuse``, ``&`` or ``freeze``."""
    names: set[str] = set()
    for statement in scope_statements(statements):
        if isinstance(statement, LayerSpec) and statement.reuse:
            names.add(getattr(statement.callee, "text", ""))
        if isinstance(statement, FreezeSpec):
            names |= {arg.value.text for arg in statement.args if isinstance(arg.value, Word)}
        if not isinstance(statement, BlockSpec | NestedSpec):
            names |= {ref.name for ref in find_parts(statement, Ref)}
    return frozenset(names)


def uses_entry(statements: Iterable[Statement]) -> bool:
    """Whether ``_in`` stands for what enters these statements, not for that of an inner body."""
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
                if any(word.text == "_in" for word in find_parts(statement, Word)):
                    return True
    return False


def mentions(name: str, args: tuple[Arg, ...]) -> bool:
    """Whether a name is among the inputs of a step."""
    return any(
        (part.text if isinstance(part, Word) else part.name) == name
        for part in find_parts(args, Word, Index)
    )


def has_input(statements: Iterable[Statement]) -> bool:
    """Whether a scope has an ``input`` line."""
    return any(
        isinstance(statement, LayerSpec) and statement.callee == Word("input")
        for statement in scope_statements(statements)
    )


def loop_values(statements: Iterable[Statement]) -> Iterator[Value]:
    """What the loops of a text run over, in blocks and nested models too."""
    for statement in all_statements(statements):
        if isinstance(statement, LayerSpec | RepeatSpec) and statement.times is not None:
            yield statement.times
        elif isinstance(statement, ForSpec):
            yield from statement.values


def callees(statements: Iterable[Statement]) -> Iterator[str]:
    """The words of all steps, in blocks and nested models too."""
    for statement in all_statements(statements):
        if isinstance(statement, LayerSpec | MergeSpec) and isinstance(statement.callee, Word):
            yield statement.callee.text
