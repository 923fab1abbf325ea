"""The arguments of a block's use, and the values of a loop."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from kmagic.language.formatter import format_value
from kmagic.language.name_lookup import Lookup
from kmagic.language.spec import BlockSpec, ForSpec, Given, LayerSpec, Object, Sequence, Word
from kmagic.support.suggestions import did_you_mean


def block_arguments(block: BlockSpec, spec: LayerSpec, lookup: Lookup) -> dict[str, Any]:
    """What each parameter of a block is in one of its uses.

    Args:
        block: The block.
        spec: The step that uses it.
        lookup: Evaluates the arguments.
    """
    known = {param.name: param for param in block.params}
    values: dict[str, Any] = {}
    free = iter(block.params)
    for arg in spec.args:
        if arg.name is None:
            param = next((each for each in free if each.name not in values), None)
            if param is None:
                message = f"block {block.name} takes no more arguments"
                lookup.fail(message, arg.span, _takes(block))
            name = param.name
        else:
            name = arg.name
            if name not in known:
                remedy = did_you_mean(name, known) or _takes(block)
                lookup.fail(f"block {block.name} has no parameter {name}", arg.span, remedy)
        if name in values:
            lookup.fail(f"{name} is given twice", arg.span)
        values[name] = lookup.plain(lookup.value(arg.value))
    for param in block.params:
        if param.name not in values:
            if param.default is None:
                lookup.fail(f"block {block.name} needs {param.name}", spec.span, _takes(block))
            values[param.name] = lookup.plain(lookup.value(param.default))
    return values


def loop_values(spec: ForSpec, lookup: Lookup) -> list[Any]:
    """What the name of a loop is in each of its turns.

    Args:
        spec: The loop.
        lookup: Evaluates the values.
    """
    series = spec.values
    if len(series) == 1 and isinstance(series[0], Sequence):
        series = series[0].items  # a list, as Python has it
    for value in series:
        if isinstance(value, Object) and value.callee == Word("range"):
            remedy = "Write `repeat 3:`, or the values themselves: `for f in 32 64:`."
            lookup.fail("is Python's", value.span, remedy)
    values = [lookup.value(value) for value in series]
    only = values[0] if len(values) == 1 else None
    if isinstance(only, Given) and not isinstance(only.value, str):
        with suppress(TypeError):  # one value, not a series of them
            return [Given(each, spec.name, span=spec.span) for each in only.value]
    return values


def _takes(block: BlockSpec) -> str:
    shown = [
        each.name if each.default is None else f"{each.name}={format_value(each.default)}"
        for each in block.params
    ]
    return f"{block.name} takes: {' '.join(shown) or 'no values'}"
