"""The ranges and choices in a text, and the text for one choice of their values."""

from __future__ import annotations

import ast
import itertools
import math
import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from kmagic.language import spec
from kmagic.language.expressions import (
    ExpressionError,
    evaluate,
    names_in_expression,
    parse_expression,
)
from kmagic.language.formatter import format_spec, format_value
from kmagic.language.parser import Cursor
from kmagic.language.tokens import ParseError, problem_at, tokenize
from kmagic.support.errors import Problem
from kmagic.support.suggestions import did_you_mean

_WITH_ITEMS = spec.Choice | spec.AlternativesSpec | spec.VarySpec
MAX_CORNERS = 64
"""If a space has more corners, a part of them is checked."""


@dataclass(frozen=True)
class Hyperparameter:
    """A value that a search varies: a choice if it has ``choices``, else a range of numbers.

    Attributes:
        name: Its place in the text, "dense.units", or the name of a ``vary`` line.
        choices: The values, as numbers and texts, in the order of the text.
        low: The smallest number, an integer if the values are integers.
        high: The largest number.
        step: The distance between the numbers; None for all integers or all real numbers.
        log: Whether small numbers are tried as often as large ones.

    Example:
        >>> Hyperparameter("adam.learning_rate", low=1e-4, high=1e-2, log=True).ends()
        (0.0001, 0.01)
    """

    name: str
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False

    def ends(self) -> tuple[Any, ...]:
        """The extreme values of a range, or all values of a choice."""
        return self.choices or (self.low, self.high)

    def check(self, value: Any) -> None:
        """Check that the parameter can have a value.

        Raises:
            ValueError: It cannot.
        """
        if self.choices and value not in self.choices:
            raise ValueError(f"{self.name} must be one of {self.choices}; got {value!r}")
        if not self.choices and not self.low <= value <= self.high:
            message = f"{self.name} must be from {self.low} to {self.high}; got {value!r}"
            raise ValueError(message)


@dataclass(frozen=True)
class Place:
    """Where a text has a range or a choice.

    Attributes:
        part: The range or choice in the spec.
        around: The values and statements that contain it, the outermost first.
    """

    part: Any
    around: tuple[Any, ...]

    @property
    def _variants(self) -> spec.Range | spec.Choice | spec.AlternativesSpec:
        """The range or choice itself, also of a ``vary`` line."""
        return self.part.value if isinstance(self.part, spec.VarySpec) else self.part

    def parameter(self, name: str) -> Hyperparameter:
        """The parameter of this place."""
        part = self._variants
        if isinstance(part, spec.Range):
            return Hyperparameter(name, (), part.low, part.high, part.step, part.log)
        return Hyperparameter(name, tuple(_labels(part)))

    def chosen(self, value: Any) -> Any:
        """What the text has here for a value of the parameter."""
        part = self._variants
        if isinstance(part, spec.Range):
            number = int(value) if isinstance(part.low, int) else _rounded(float(value), part)
            return spec.LiteralValue(number, span=part.span)
        items = part.steps if isinstance(part, spec.AlternativesSpec) else part.items
        return items[_labels(part).index(value)]


class SearchSpace:
    """A text with ranges, and what they are called.

    Args:
        text: The text.
        parsed: Its spec.
        parameters: The parameters, each with its place.
        names: The notebook's variables, for the names in braces.
        where: What the text is, for messages.
        first_line: Number of its first line in the user's editor.

    Attributes:
        text: The text.
        parameters: The values that a search varies, in the order of the text.
        places: Each of them with its place.
    """

    def __init__(
        self,
        text: str,
        parsed: spec.ModelSpec,
        parameters: Mapping[Hyperparameter, Place],
        names: Mapping[str, Any] | None = None,
        *,
        where: str = "",
        first_line: int = 1,
    ) -> None:
        self.text, self.names = text, names or {}
        self.where, self.first_line = where, first_line
        self._spec = parsed
        self.places = dict(parameters)
        self.parameters = tuple(self.places)

    def fill(self, values: Mapping[str, Any]) -> str:
        """The text with one value for each parameter; a text for ``%%keras_model``.

        Args:
            values: By the names of the parameters.

        Raises:
            KeyError: A parameter has no value.
            ValueError: A value is outside of its range.
        """
        return format_spec(self.fill_spec(values))

    def fill_spec(self, values: Mapping[str, Any]) -> spec.ModelSpec:
        """The same as a spec whose parts keep their positions in the text of the search."""
        for parameter in self.parameters:
            parameter.check(values[parameter.name])
        return filled(self._spec, [(place, values[p.name]) for p, place in self.places.items()])

    def used(self, values: Mapping[str, Any]) -> frozenset[str]:
        """The parameters that matter for some values: without those of steps that are not used."""
        parts = {id(place.part): p for p, place in self.places.items()}
        unused: set[str] = set()
        for parameter, place in self.places.items():
            for outer, inner in itertools.pairwise([*place.around, place.part]):
                chooser = parts.get(id(outer))
                if chooser is not None and isinstance(outer, _WITH_ITEMS):
                    chosen = self.places[chooser].chosen(values[chooser.name])
                    if chosen is not inner:
                        unused.add(parameter.name)
        return frozenset(p.name for p in self.parameters if p.name not in unused)


def find_places(part: Any, around: tuple[Any, ...] = ()) -> Iterator[Place]:
    """All ranges and choices in a part of a spec, also those within others, in their order."""
    if isinstance(part, tuple):
        for item in part:
            yield from find_places(item, around)
        return
    if not is_dataclass(part) or isinstance(part, spec.Span):
        return
    if isinstance(part, spec.VARIED):
        yield Place(part, around)
    inner = part.value if isinstance(part, spec.VarySpec) else part
    if not is_dataclass(inner):
        return
    for item in fields(inner):
        yield from find_places(getattr(inner, item.name), (*around, part))


def filled(parsed: spec.ModelSpec, values: list[tuple[Place, Any]]) -> spec.ModelSpec:
    """A spec with a value for each of its places, and for the names of its ``vary`` lines.

    Args:
        parsed: The spec.
        values: Places with their values, the outer ones before those within them.
    """
    varied: dict[str, spec.Value] = {}
    for place, value in values:
        chosen = place.chosen(value)
        varied = {name: spec.replace_part(v, place.part, chosen) for name, v in varied.items()}
        if isinstance(place.part, spec.VarySpec):
            varied[place.part.name] = chosen
            parsed = spec.replace_part(parsed, place.part, ())
        elif isinstance(place.part, spec.AlternativesSpec):
            parsed = spec.replace_part(parsed, place.part, (chosen,))
        else:
            parsed = spec.replace_part(parsed, place.part, chosen)
    for expr in spec.find_parts(parsed, spec.Expr) if varied else ():
        parsed = spec.replace_part(parsed, expr, _with_values(expr, varied))
    return parsed


def first_values(parsed: spec.ModelSpec) -> spec.ModelSpec:
    """A spec with the first value of each range and choice, to check it while it is written."""
    places = list(find_places(parsed.statements))
    return filled(parsed, [(place, place.parameter("").ends()[0]) for place in places])


def naming_problems(parsed: spec.ModelSpec) -> Iterator[Problem]:
    """Mistakes in the names of the ``vary`` lines."""
    lines = [item for item in parsed.statements if isinstance(item, spec.VarySpec)]
    inner = {part.name for part in spec.find_parts(parsed, spec.Param)}
    inner |= {
        item.name
        for item in spec.statements_in(parsed.statements, inner=True)
        if isinstance(item, spec.ForSpec)
    }
    used: set[str] = set()
    for expr in spec.find_parts(parsed, spec.Expr):
        with suppress(ExpressionError):
            used |= names_in_expression(expr.source)
    known: set[str] = set()
    for line in lines:
        if line.name in known:
            yield problem_at(line.span, f"{line.name} is varied twice", "Choose another name.")
        elif line.name in inner:
            message = f"{line.name} is also a parameter or loop variable of the text"
            yield problem_at(line.span, message, "Choose another name.")
        elif line.name not in used:
            remedy = f"Write {{{line.name}}} where the value belongs."
            remedy = did_you_mean(line.name, used) or remedy
            yield problem_at(line.span, f"{line.name} is not used in the text", remedy)
        known.add(line.name)


def corners(parameters: tuple[Hyperparameter, ...], seed: int = 0) -> list[dict[str, Any]]:
    """Extreme values of a search space, of which all are checked before the first trial.

    Args:
        parameters: The parameters.
        seed: For the choice of corners, if there are more than `MAX_CORNERS`.

    Returns:
        All combinations of the extreme values and choices. If there are more than `MAX_CORNERS`:
        those with all first and all last values, all that differ from these in one parameter,
        and random ones up to that number.

    Example:
        >>> width = Hyperparameter("width", low=8, high=64)
        >>> corners((width, Hyperparameter("act", ("relu", "tanh"))))[1:3]
        [{'width': 8, 'act': 'tanh'}, {'width': 64, 'act': 'relu'}]
    """
    ends = [parameter.ends() for parameter in parameters]
    names = [parameter.name for parameter in parameters]
    if math.prod(map(len, ends)) <= MAX_CORNERS:
        return [dict(zip(names, values, strict=True)) for values in itertools.product(*ends)]
    found: list[dict[str, Any]] = []
    for index in (0, -1):
        plain = {name: values[index] for name, values in zip(names, ends, strict=True)}
        found.append(plain)
        for name, values in zip(names, ends, strict=True):
            found += [plain | {name: value} for value in values]
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    while len(found) < MAX_CORNERS:
        found.append({name: rng.choice(v) for name, v in zip(names, ends, strict=True)})
    return [values for index, values in enumerate(found) if values not in found[:index]]


def parse_range(text: str, name: str) -> Hyperparameter | None:
    """The parameter that an option such as ``16|32|64`` stands for; None for a plain value.

    Raises:
        ValueError: The text looks like a range, and is none; the message says why.

    Example:
        >>> parse_range("16|32|64", "batch_size").choices, parse_range("32", "batch_size")
        ((16, 32, 64), None)
    """
    lines, problems = tokenize(text)
    if problems or len(lines) != 1 or not ("|" in text or ".." in text):
        if problems and ("|" in text or ".." in text):
            raise ValueError(problems[0].message)
        return None
    cursor = Cursor(lines[0].tokens)
    try:
        value = cursor.value()
        if not cursor.done:
            cursor.fail("is not part of a range or choice")
    except ParseError as error:
        raise ValueError(f"{error.problem.message}. {error.problem.remedy}".strip()) from None
    if not isinstance(value, spec.Range | spec.Choice):
        return None
    return Place(value, ()).parameter(name)


def _rounded(value: float, part: spec.Range) -> float:
    """A number with four digits, as a text should have it, within its range."""
    return min(max(float(f"{value:.4g}"), part.low), part.high)


def _labels(part: spec.Choice | spec.AlternativesSpec) -> list[Any]:
    """The items of a choice as numbers and texts."""
    if isinstance(part, spec.AlternativesSpec):
        labels = [format_spec(spec.ModelSpec((step,))) for step in part.steps]
        short = [format_value(step.callee) for step in part.steps]
    else:
        labels = [_label(item) for item in part.items]
        short = [
            format_value(item.callee) if isinstance(item, spec.Object) else label
            for item, label in zip(part.items, labels, strict=True)
        ]
    return short if len(set(map(str, short))) == len(short) else labels


def _label(item: spec.Value) -> Any:
    value = item.value if isinstance(item, spec.LiteralValue) else None
    return value if isinstance(value, bool | int | float | str) else format_value(item)


def _with_values(expr: spec.Expr, varied: Mapping[str, spec.Value]) -> spec.Value:
    """An expression with the values of varied names in it."""
    if expr.source in varied:
        return varied[expr.source]
    try:
        names = names_in_expression(expr.source)
        if not names & varied.keys():
            return expr
        tree = _Constants(varied).visit(parse_expression(expr.source))
        source = ast.unparse(tree)
        if names <= varied.keys():
            value = evaluate(source, {})
            if isinstance(value, bool | int | float | str):
                return spec.LiteralValue(value, span=expr.span)
    except ExpressionError:  # reported when the text is expanded
        return expr
    return replace(expr, source=source)


class _Constants(ast.NodeTransformer):
    def __init__(self, varied: Mapping[str, spec.Value]) -> None:
        self._varied = varied

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self._varied:
            return node
        value = spec.plain_value(self._varied[node.id])
        return ast.parse(repr(value), mode="eval").body
