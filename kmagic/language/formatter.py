"""Spec to text: the one canonical way to write a model down."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

from kmagic.language.parser import RESERVED
from kmagic.language.spec import (
    Arg,
    BlockSpec,
    BranchSpec,
    CompileSpec,
    Expr,
    ForSpec,
    FreezeSpec,
    HeadSpec,
    Index,
    InputsSpec,
    LayerSpec,
    Literal,
    Mapping,
    MergeSpec,
    ModelSpec,
    NestedSpec,
    Object,
    OutputSpec,
    Phrase,
    Ref,
    RepeatSpec,
    ResidualSpec,
    Sequence,
    Shape,
    Statement,
    Value,
    Word,
)

_WIDTH = 88
"""A branch in one line is no longer than this."""
_SMALL = 0.01
"""Only numbers below this are written with an exponent, which is not shorter otherwise."""
_NOT_A_NAME = RESERVED | {"sequential", "functional"}
_PLAIN_NAME = re.compile(r"[^\W\d]\w*")


def format_spec(spec: ModelSpec, *, width: int = 0) -> str:
    """Write a spec as text; reading the text gives an equal spec.

    Args:
        spec: What to write.
        width: If given, neighbouring steps share a line, between `` / ``, up to this many
            columns.

    Example:
        >>> from kmagic.language import parse
        >>> print(format_spec(parse("input 4/dense   2 !use_bias"), width=80))
        input 4 / dense 2 !use_bias
    """
    return "\n".join(_lines(spec.statements, "", width))


def format_statement(statement: Statement) -> str:
    """One statement without its body."""
    return next(_statement(statement))[0]


def format_value(value: Value) -> str:
    """One value."""
    match value:
        case Literal():
            return _literal(value.value)
        case Word():
            return value.text
        case Shape():
            return "x".join("?" if dim is None else str(dim) for dim in value.dims)
        case Expr():
            return "{" + value.source + "}"
        case Object():
            return f"{format_value(value.callee)}({_call(value.args)})"
        case Phrase():
            return " ".join([format_value(value.callee), *map(format_arg, value.args)])
        case Sequence(kind="list"):
            return f"[{', '.join(map(format_value, value.items))}]"
        case Sequence():
            comma = "," if len(value.items) == 1 else ""
            return f"({', '.join(map(format_value, value.items))}{comma})"
        case Mapping():
            entries = (f"{format_value(key)}: {format_value(item)}" for key, item in value.entries)
            return "{" + ", ".join(entries) + "}"
        case Ref():
            return f"&{value.name}"
        case Index():
            return value.name + "".join(f"[{_literal(key)}]" for key in value.path)
        case _:
            raise TypeError(f"{type(value).__name__} belongs to a graph and has no text")


def _literal(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if value is ...:
        return "..."
    if isinstance(value, str):
        return '"' + "".join(map(_character, value)) + '"'
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else f"{value}"
    if isinstance(value, float):
        return _float(value)
    return repr(value)


def _float(value: float) -> str:
    """A float as Python writes it, or with an exponent where that is shorter: ``1e-3``."""
    plain = repr(value)
    mantissa, _, exponent = f"{value:e}".partition("e")
    if "e" in plain:
        mantissa, _, exponent = plain.partition("e")
    short = f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}"
    small = abs(value) < _SMALL or "e" in plain
    return short if small and len(short) < len(plain) and float(short) == value else plain


def _character(char: str) -> str:
    return f"\\{char}" if char == '"' else "'" if char == "'" else repr(char)[1:-1]


def format_arg(arg: Arg) -> str:
    """One argument: a value, `name=value` or `!name`."""
    if arg.name is None:
        return format_value(arg.value)
    if isinstance(arg.value, Literal) and arg.value.value is False:
        return f"!{arg.name}"
    return f"{arg.name}={format_value(arg.value)}"


def _call(args: Iterable[Arg]) -> str:
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
    in_brackets = 1 + max(
        (place for place, arg in enumerate(spec.args) if isinstance(arg.value, Phrase)), default=-1
    )
    callee = format_value(spec.callee)
    if in_brackets:
        callee += f"({_call(spec.args[:in_brackets])})"
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


def _words(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _statement(statement: Statement) -> Iterator[tuple[str, tuple[Statement, ...] | None]]:
    """The statement's own line, and its body if it has one."""
    match statement:
        case LayerSpec():
            yield _step(statement), None
        case CompileSpec():
            yield _words("compile", *map(format_arg, statement.args)), None
        case FreezeSpec():
            yield _words("freeze", *map(format_arg, statement.args)), None
        case OutputSpec():
            yield f"output {_tensors(statement.entries)}", None
        case InputsSpec():
            yield f"inputs {_tensors(statement.entries)}", None
        case HeadSpec(name=name):
            args = map(format_arg, statement.args)
            yield _words("model", _head_name(name), statement.kind, *args), None
        case NestedSpec():
            args = map(format_arg, statement.args)
            yield _words("model", statement.name, statement.kind, *args) + ":", statement.body
        case BlockSpec():
            params = ", ".join(
                each.name if each.default is None else f"{each.name}={format_value(each.default)}"
                for each in statement.params
            )
            shown = f"({params})" if params else ""
            yield f"block {statement.name}{shown}:", statement.body
        case RepeatSpec():
            yield f"repeat {format_value(statement.times)}:", statement.body
        case ForSpec():
            values = " ".join(map(format_value, statement.values))
            yield f"for {statement.name} in {values}:", statement.body
        case ResidualSpec():
            yield "residual:", statement.body
        case BranchSpec():
            yield "branch:", statement.body
        case MergeSpec():
            args = map(format_arg, statement.args)
            yield _words("merge", format_value(statement.callee), *args) + ":", statement.branches


def _lines(statements: Iterable[Statement], indent: str, width: int) -> Iterator[str]:
    row = ""
    for statement in statements:
        text, body = next(_statement(statement))
        joins = isinstance(statement, LayerSpec) and not statement.targets
        if row and joins and width and len(indent) + len(row) + 3 + len(text) <= width:
            row += f" / {text}"
            continue
        if row:
            yield indent + row
        row = text
        inline = _inline(statement, indent)
        if inline:
            yield indent + inline
            row = ""
        elif body is not None:
            yield indent + row
            row = ""
            yield from _lines(body, indent + "  ", width)
        elif not isinstance(statement, LayerSpec):
            yield indent + row
            row = ""
    if row:
        yield indent + row


def _inline(statement: Statement, indent: str) -> str:
    """A branch of a few plain steps in one line, or "" if it takes several."""
    if not isinstance(statement, BranchSpec):
        return ""
    steps = [each for each in statement.body if isinstance(each, LayerSpec)]
    row = "branch: " + " / ".join(map(_step, steps))
    return row if len(steps) == len(statement.body) and len(indent + row) <= _WIDTH else ""
