"""Spec to text: the canonical form of a model's text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from kmagic.language import spec
from kmagic.language.parser import RESERVED
from kmagic.language.spec import Arg, InnerLayer, LayerSpec, ModelSpec, Statement

_MAX_INLINE = 88
"""Longest line of a branch that is written on one line."""
_SMALL = 0.01
"""Only numbers below this are written with an exponent, where that is shorter."""
_NOT_A_NAME = RESERVED | {"sequential", "functional"}
_PLAIN_NAME = re.compile(r"[^\W\d]\w*")


def format_spec(spec: ModelSpec, *, width: int = 0) -> str:
    """Write a spec as text; parsing the text gives an equal spec.

    Args:
        spec: The spec.
        width: If given, consecutive steps share a line, separated by `` / ``, up to this many
            columns.

    Example:
        >>> from kmagic.language import parse
        >>> print(format_spec(parse("input 4/dense   2 !use_bias"), width=80))
        input 4 / dense 2 !use_bias
    """
    return "\n".join(_lines(spec.statements, "", width))


def format_statement(statement: Statement) -> str:
    """One statement without its body."""
    match statement:
        case LayerSpec():
            return _step(statement)
        case spec.CompileSpec():
            return _join("compile", *map(format_arg, statement.args))
        case spec.FreezeSpec():
            return _join("freeze", *map(format_arg, statement.args))
        case spec.UnfreezeSpec():
            return _join("unfreeze", *map(format_arg, statement.args))
        case spec.OutputSpec():
            return f"output {_tensors(statement.entries)}"
        case spec.InputsSpec():
            return f"inputs {_tensors(statement.entries)}"
        case spec.HeadSpec(name=name):
            args = map(format_arg, statement.args)
            return _join("model", _head_name(name), statement.kind, *args)
        case spec.NestedSpec():
            args = map(format_arg, statement.args)
            return _join("model", statement.name, statement.kind, *args) + ":"
        case spec.BlockSpec():
            params = ", ".join(map(format_param, statement.params))
            return f"block {statement.name}{f'({params})' if params else ''}:"
        case spec.RepeatSpec():
            return f"repeat {format_value(statement.times)}:"
        case spec.ForSpec():
            values = " ".join(map(format_value, statement.values))
            return f"for {statement.name} in {values}:"
        case spec.ResidualSpec():
            return "residual:"
        case spec.BranchSpec():
            return "branch:"
        case spec.MergeSpec():
            args = map(format_arg, statement.args)
            return _join("merge", format_value(statement.callee), *args) + ":"
        case spec.AlternativesSpec():
            first, *others = statement.steps
            return " | ".join(map(_step, [first, *(replace(step, targets=()) for step in others)]))
        case spec.VarySpec():
            return f"vary {statement.name} = {format_value(statement.value)}"
        case _:
            raise TypeError(f"{type(statement).__name__} has no text")


def format_value(value: spec.Value) -> str:
    """One value."""
    match value:
        case spec.LiteralValue():
            return _literal(value.value)
        case spec.Word():
            return value.text
        case spec.Shape():
            return "x".join("?" if dim is None else str(dim) for dim in value.dims)
        case spec.Expr():
            return "{" + value.source + "}"
        case spec.Object():
            return f"{format_value(value.callee)}({_comma_args(value.args)})"
        case InnerLayer():
            return " ".join([format_value(value.callee), *map(format_arg, value.args)])
        case spec.SequenceValue(kind="list"):
            return f"[{', '.join(map(format_value, value.items))}]"
        case spec.SequenceValue():
            comma = "," if len(value.items) == 1 else ""
            return f"({', '.join(map(format_value, value.items))}{comma})"
        case spec.MappingValue():
            entries = (f"{format_value(key)}: {format_value(item)}" for key, item in value.entries)
            return "{" + ", ".join(entries) + "}"
        case spec.NotebookValue():
            return f"{{{value.source}}}"
        case spec.Range():
            step = "" if value.step is None else f":{_literal(value.step)}"
            return f"{_literal(value.low)}..{_literal(value.high)}{step}{'~log' * value.log}"
        case spec.Choice():
            return "|".join(map(format_value, value.items))
        case spec.Ref():
            return f"&{value.name}"
        case spec.Index():
            return value.name + "".join(f"[{_literal(key)}]" for key in value.path)
        case _:
            raise TypeError(f"{type(value).__name__} belongs to a graph and has no text")


def format_arg(arg: Arg) -> str:
    """One argument: a value, `name=value` or `!name`."""
    if arg.name is None:
        return format_value(arg.value)
    if isinstance(arg.value, spec.LiteralValue) and arg.value.value is False:
        return f"!{arg.name}"
    return f"{arg.name}={format_value(arg.value)}"


def format_param(param: spec.Param) -> str:
    """A block's parameter: `f` or `s=1`."""
    return param.name if param.default is None else f"{param.name}={format_value(param.default)}"


def _literal(value: object) -> str:
    match value:
        case None | bool():
            return str(value).lower()
        case str():
            return '"' + "".join(map(_character, value)) + '"'
        case float():
            return _float(value) if math.isfinite(value) else str(value)
        case _:
            return "..." if value is ... else repr(value)


def _float(value: float) -> str:
    """A float as Python writes it, or with an exponent where that is shorter: ``1e-3``."""
    plain = repr(value)
    mantissa, _, exponent = (plain if "e" in plain else f"{value:e}").partition("e")
    short = f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}"
    small = abs(value) < _SMALL or "e" in plain
    return short if small and len(short) < len(plain) and float(short) == value else plain


def _character(char: str) -> str:
    return f"\\{char}" if char == '"' else "'" if char == "'" else repr(char)[1:-1]


def _comma_args(args: Iterable[Arg]) -> str:
    return ", ".join(map(format_arg, args))


def _tensors(args: Iterable[Arg]) -> str:
    return ", ".join(
        format_value(arg.value) if arg.name is None else f"{arg.name}={format_value(arg.value)}"
        for arg in args
    )


def _step(spec: LayerSpec) -> str:
    parts = [", ".join(spec.targets) + " ="] if spec.targets else []
    if spec.reuse:
        parts.append("reuse")
    # An inner layer is only possible in brackets, and so are the arguments before it.
    in_brackets = 1 + max(
        (index for index, arg in enumerate(spec.args) if isinstance(arg.value, InnerLayer)),
        default=-1,
    )
    callee = format_value(spec.callee)
    if in_brackets:
        callee += f"({_comma_args(spec.args[:in_brackets])})"
    parts += [callee, *map(format_arg, spec.args[in_brackets:])]
    if spec.inputs is not None:
        parts.append("<- " + _tensors(spec.inputs))
    if spec.times is not None:
        parts.append("* " + format_value(spec.times))
    return " ".join(parts)


def _head_name(name: str) -> str:
    """A model's name, in quotes if it would be read as something else."""
    plain = _PLAIN_NAME.fullmatch(name) and name not in _NOT_A_NAME
    return name if not name or plain else _literal(name)


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _lines(statements: Iterable[Statement], indent: str, width: int) -> Iterator[str]:
    row = ""
    for statement in statements:
        text = format_statement(statement)
        joins = isinstance(statement, LayerSpec) and not statement.targets
        if row and joins and width and len(indent) + len(row) + 3 + len(text) <= width:
            row += f" / {text}"
            continue
        if row:
            yield indent + row
        row = text if isinstance(statement, LayerSpec) else ""  # the next step may share its line
        if inline := _inline_branch(statement, indent):
            yield indent + inline
        elif not row:
            yield indent + text
            yield from _lines(getattr(statement, "body", ()), indent + "  ", width)
    if row:
        yield indent + row


def _inline_branch(statement: Statement, indent: str) -> str:
    """A branch of a few plain steps on one line, or "" if it needs several."""
    if not isinstance(statement, spec.BranchSpec):
        return ""
    steps = [step for step in statement.body if isinstance(step, LayerSpec)]
    row = "branch: " + " / ".join(map(_step, steps))
    return row if len(steps) == len(statement.body) and len(indent + row) <= _MAX_INLINE else ""
