"""What a model's text contains, gathered before its program is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kmagic.language import expressions, spec
from kmagic.language.expand import mentions
from kmagic.language.spec import BlockSpec, ForSpec, NestedSpec, Statement


def free_names(part: Any, bound: frozenset[str] = frozenset()) -> set[str]:
    """The names in braces that no block parameter or loop variable defines: the notebook's.

    Args:
        part: Statements, or any part of them.
        bound: Parameters and loop variables around it.
    """
    names: set[str] = set()
    for found in spec.find_parts(part, spec.Expr, BlockSpec, ForSpec):
        match found:
            case spec.Expr(source):
                names |= expressions.names_in_expression(source) - bound
            case BlockSpec(_, params, body):
                inner = bound | {param.name for param in params}
                names |= free_names(params, bound) | free_names(body, inner)
            case ForSpec(name, values, body):
                names |= free_names(values, bound) | free_names(body, bound | {name})
    return names


def defined_names(statements: Iterable[Statement]) -> set[str]:
    """The names of all blocks and nested models."""
    found = spec.statements_in(statements, inner=True)
    return {part.name for part in found if isinstance(part, BlockSpec | NestedSpec)}


def output_names(statements: Iterable[Statement]) -> frozenset[str]:
    """The names that a scope gives to outputs."""
    return frozenset(
        target
        for statement in spec.statements_in(statements)
        if isinstance(statement, spec.LayerSpec)
        for target in statement.targets
        if target != "_"
    )


def reused_layers(statements: Iterable[Statement]) -> frozenset[str]:
    """The names whose layer, not its output, is used again: by ``reuse``, ``&``, ``freeze`` ..."""
    names: set[str] = set()
    for statement in spec.statements_in(statements):
        if isinstance(statement, spec.LayerSpec) and statement.reuse:
            names.add(getattr(statement.callee, "text", ""))
        if isinstance(statement, spec.FreezeSpec | spec.UnfreezeSpec):
            names |= {arg.value.text for arg in statement.args if isinstance(arg.value, spec.Word)}
        if not isinstance(statement, BlockSpec | NestedSpec):
            names |= {ref.name for ref in spec.find_parts(statement, spec.Ref)}
    return frozenset(names)


def uses_entry(statements: Iterable[Statement]) -> bool:
    """Whether ``_in`` stands for what enters these statements, not for that of an inner body."""
    return any(
        uses_entry(statement.body)
        if isinstance(statement, spec.RepeatSpec | ForSpec)
        else mentions("_in", statement)
        for statement in statements
        if not isinstance(statement, spec.MergeSpec | spec.ResidualSpec | BlockSpec | NestedSpec)
    )
