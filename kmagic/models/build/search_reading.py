"""The search space of a text: its parameters by name, and whether all its models can be built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kmagic.language import spec
from kmagic.language.parser import parse_partial
from kmagic.language.search_space import (
    Hyperparameter,
    Place,
    SearchSpace,
    corners,
    filled,
    find_places,
    naming_problems,
)
from kmagic.models.binding.build_context import BuildContext
from kmagic.models.build.assembly import report_mistakes
from kmagic.models.build.builder import compile_arguments
from kmagic.models.build.line_shapes import spec_problems
from kmagic.support.errors import BuildError, DSLError, Problem
from kmagic.support.formatting import safe_repr
from kmagic.support.process_patches import isolated_keras


def read_search_space(
    text: str, names: Mapping[str, Any], *, where: str = "", first_line: int = 1
) -> SearchSpace:
    """The search space of a text with ranges.

    A parameter is called by its place: ``dense.units``, ``adam.learning_rate``, ``repeat.times``,
    or by the name of its ``vary`` line. The second of the same name is ``dense_2.units``.

    Args:
        text: The text.
        names: The notebook's variables.
        where: What the text is, for messages.
        first_line: Number of its first line in the user's editor.

    Raises:
        DSLError: The text has mistakes.

    Example:
        >>> space = read_search_space("input 4 / dense 8..64 relu|tanh / dense 1", {})
        >>> [parameter.name for parameter in space.parameters]
        ['dense.units', 'dense.activation']
        >>> print(space.fill({"dense.units": 16, "dense.activation": "tanh"}))
        input 4
        dense 16 tanh
        dense 1
    """
    parsed = parse_partial(text, ranges=True)
    context = BuildContext(text, where, first_line, names, is_trial=True)
    context.problems += [*parsed.problems, *([] if parsed.problems else naming_problems(parsed))]
    context.raise_problems()
    places = list(find_places(parsed.statements))
    parameters = dict(_named(parsed, places, names)) if places else {}
    return SearchSpace(text, parsed, parameters, names, where=where, first_line=first_line)


def check_corners(space: SearchSpace) -> int:
    """Check the shapes of the models with extreme values; nothing is built with weights.

    Returns:
        How many models were checked; see `corners`.

    Raises:
        DSLError: One of them cannot be built; the message has the values that matter.
    """
    every = corners(space.parameters)
    for values in every:
        problems = _problems(space, values)
        if not problems:
            continue
        base, shown = every[0], ""
        if values != base and not _problems(space, base):
            for name, first in base.items():  # values that do not matter are put back
                changed = values | {name: first}
                if _problems(space, changed):
                    values = changed  # noqa: PLW2901 - the same corner with less
            different = {name: value for name, value in values.items() if value != base[name]}
            problems = _problems(space, values)
            shown = ", ".join(f"{name} = {safe_value(value)}" for name, value in different.items())
        if shown:
            trail = f"a trial with {shown}"
            problems = [replace(p, trail=(*p.trail, trail)) for p in problems]
        raise BuildError(problems, space.text, space.where, space.first_line)
    return len(every)


def safe_value(value: Any) -> str:
    """A value of a parameter as text: relu, 64, 0.00012."""
    return value if isinstance(value, str) else safe_repr(value)


def _problems(space: SearchSpace, values: Mapping[str, Any]) -> Sequence[Problem]:
    return spec_problems(space.fill_spec(values), space.names)


def _named(
    parsed: spec.ModelSpec, places: list[Place], names: Mapping[str, Any]
) -> Iterator[tuple[Hyperparameter, Place]]:
    known = _argument_names(parsed, places, names)
    blocks = {
        part.name: part
        for part in spec.statements_in(parsed.statements, inner=True)
        if isinstance(part, spec.BlockSpec)
    }
    taken: set[str] = set()
    for place in places:
        owner, argument = _name_of(place, known, blocks)
        name, number = ".".join(filter(None, (owner, argument))), 1
        while name in taken:
            number += 1
            name = ".".join(filter(None, (f"{owner}_{number}", argument)))
        taken.add(name)
        yield place.parameter(name), place


def _argument_names(
    parsed: spec.ModelSpec, places: list[Place], names: Mapping[str, Any]
) -> dict[spec.Span, tuple[str, str]]:
    """What each value is an argument of, by its position; also of layers that need a choice."""
    known: dict[spec.Span, tuple[str, str]] = {}
    longest = max(len(place.parameter("").ends()) for place in places)
    for index in range(longest):
        values = []
        for place in places:
            ends = place.parameter("").ends()
            values.append((place, ends[min(index, len(ends) - 1)]))
        text = filled(parsed, values)
        context = BuildContext(parsed.source, names=names, is_trial=True)
        with isolated_keras():
            try:
                graph = context.expand(text)
                report_mistakes(graph, context)
                compile_arguments(graph.compile, context)
            except DSLError:  # reported with the corners
                pass
        known |= context.argument_names
    return known


def _name_of(
    place: Place,
    known: Mapping[spec.Span, tuple[str, str]],
    blocks: Mapping[str, spec.BlockSpec],
) -> tuple[str, str]:
    """The owner and the argument whose value a place is; for ``vary`` and ``for`` only a name."""
    part, around = place.part, place.around
    if isinstance(part, spec.VarySpec):
        return part.name, ""
    if isinstance(part, spec.AlternativesSpec):
        return "_or_".join(map(_word, part.steps)), ""
    outer = next((item for item in reversed(around) if not isinstance(item, spec.Arg)), None)
    if isinstance(outer, spec.LayerSpec | spec.MergeSpec) and outer.callee is part:
        return _word(outer), ""
    if isinstance(outer, spec.RepeatSpec):
        return "repeat", "times"
    if isinstance(outer, spec.ForSpec):
        return outer.name, ""
    if isinstance(outer, spec.LayerSpec) and outer.times is part:
        return _word(outer), "times"
    for value in (part, *reversed(around)):
        spans = [value.span, *(item.span for item in getattr(value, "items", ()))]
        found = next((known[span] for span in spans if span in known), None)
        if found is not None and not isinstance(value, spec.Statement):
            word, argument = found
            if isinstance(outer, spec.LayerSpec):
                word = _word(outer)
            return ("", argument) if word == "compile" else (word, argument)
    for inner, owner in zip((part, *reversed(around)), reversed(around), strict=False):
        if isinstance(owner, spec.Param):
            block = next(name for name, item in blocks.items() if owner in item.params)
            return block, owner.name
        if isinstance(owner, spec.LayerSpec) and _word(owner) in blocks:
            return _word(owner), _block_parameter(blocks[_word(owner)], owner, inner)
    return f"line_{part.span.line}", ""


def _block_parameter(block: spec.BlockSpec, use: spec.LayerSpec, arg: Any) -> str:
    """The parameter of a block that an argument of its use is for."""
    if arg.name:
        return str(arg.name)
    named = {other.name for other in use.args}
    free = [param.name for param in block.params if param.name not in named]
    index = [other for other in use.args if other.name is None].index(arg)
    return free[index] if index < len(free) else f"argument_{index + 1}"


def _word(part: Any) -> str:
    callee = getattr(part, "callee", part)
    if isinstance(callee, spec.Choice):
        return "_or_".join(map(_word, callee.items))
    return str(getattr(callee, "text", "") or "expression")
