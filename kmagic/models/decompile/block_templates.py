"""What several stretches of a text have in common, and the parameters for what they have not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kmagic.language import format_value
from kmagic.language.spec import Expr, LiteralValue, Shape, Value, Word
from kmagic.models import catalogue
from kmagic.models.decompile.config_values import is_plain_word
from kmagic.models.decompile.items import Item, Key, Leaf, Loop, Use
from kmagic.models.decompile.shortest_arguments import shorter

_LETTERS = {
    "filters": "f",
    "units": "u",
    "kernel_size": "k",
    "pool_size": "k",
    "strides": "s",
    "rate": "r",
    "activation": "a",
    "name": "p",
    "input_dim": "n",
    "output_dim": "d",
    "padding": "pad",
    "dilation_rate": "d",
}
_MOST_FACTOR = 16
MOST_COLUMNS = 12
"""With more values than this that differ in ways of their own, there is no template."""
_NAME_EXPR = re.compile(r"(?P<name>\w+) \+ \"(?P<rest>[^\"\\%]*)\"")
_WORDS = re.compile(r"\d+|[^\W\d_]+|[\W_]")

Place = tuple[Any, ...]
"""A field of a stretch: the item's place in it, then the item's own key."""


class Column:
    """One field's values, a value for each stretch.

    Attributes:
        values: In the order of the stretches.
        texts: The same as texts, which tell apart what Python finds equal: 1 and true.
        numbers: The same as whole numbers, or None if they are not all whole and positive.
    """

    def __init__(self, values: Iterable[Value]) -> None:
        self.values = tuple(values)
        self.texts = tuple(map(format_value, self.values))
        self.numbers = _numbers(self.values)


@dataclass(frozen=True, slots=True)
class Template:
    """A stretch that stands for several.

    Attributes:
        body: The first stretch's items, with parameters in the place of what varies.
        params: Parameters with their defaults or None, in their order.
        args: For each stretch, its arguments; those that are the default are left out.
        names: Those parameters that are parts of layers' names.
    """

    body: tuple[Item, ...]
    params: dict[str, Value | None]
    args: tuple[dict[str, Value], ...]
    names: frozenset[str]


def template(stretches: Sequence[tuple[Item, ...]], taken: Iterable[str]) -> Template | None:
    """What stands for all of these stretches of the same form, or None if nothing does.

    Args:
        stretches: Each with the same number of items of the same shapes.
        taken: Names that a parameter must not have.
    """
    columns = _columns(stretches)
    if columns is None:
        return None
    varying = {place: column for place, column in columns.items() if len(set(column.texts)) > 1}
    names = {place for place in varying if is_name(stretches[0][place[0]], place[1:])}
    if len({varying[place].texts for place in varying.keys() - names}) > MOST_COLUMNS:
        return None
    holes = _Holes(varying, names, set(taken), len(stretches))
    holes.fill()
    body = tuple(
        item.changed({place[1:]: value for place, value in holes.found.items() if place[0] == at})
        for at, item in enumerate(stretches[0])
    )
    return Template(body, *holes.ordered(), frozenset(holes.names))


def is_name(item: Item, key: Key) -> bool:
    """Whether a field is a layer's name, or a part of one that a block takes."""
    while key[0] == "in" and isinstance(item, Loop):
        item, key = item.items[key[1]], key[2:]
    return key == ("name",) or (isinstance(item, Use) and key[1] in item.block.names)


def _columns(stretches: Sequence[tuple[Item, ...]]) -> dict[Place, Column] | None:
    """Every field's value in each stretch; a missing argument is its default."""
    found: dict[Place, Column] = {}
    for at, items in enumerate(zip(*stretches, strict=True)):
        rows = [item.fields() for item in items]
        for key in dict.fromkeys(key for row in rows for key in row):
            values = [
                row[key] if key in row else _default(item, key)
                for row, item in zip(rows, items, strict=True)
            ]
            known = [value for value in values if value is not None]
            if len(known) < len(values):
                return None
            found[at, *key] = Column(known)
    return found


def _default(item: Item, key: Key) -> Value | None:
    """What an argument is where it is not written, as a value; None if there is no telling."""
    if isinstance(item, Use):
        return item.block.params.get(key[1])
    if not isinstance(item, Leaf) or key[0] != "of":
        return None
    for param in catalogue.parameters(item.step.owner) if item.step.owner else ():
        if param.name == key[1] and not param.required:
            return _simple(shorter(param.name, param.default))
    return None


def _simple(value: Any) -> Value | None:
    if value is None or isinstance(value, bool | int | float):
        return LiteralValue(value)
    if isinstance(value, str):
        return Word(value) if is_plain_word(value) else LiteralValue(value)
    if (
        isinstance(value, tuple)
        and len(value) > 1
        and all(isinstance(each, int) and each > 0 for each in value)
    ):
        return Shape(value)
    return None


class _Holes:
    """Finds the parameters behind the values that vary."""

    def __init__(
        self,
        varying: dict[Place, Column],
        name_places: set[Place],
        taken: set[str],
        count: int,
    ) -> None:
        self.varying, self.name_places, self.taken, self.count = varying, name_places, taken, count
        self.found: dict[Place, Value] = {}
        self.params: dict[str, Column] = {}
        self.names: set[str] = set()

    def fill(self) -> None:
        self._fill_names({place: self.varying[place] for place in self.name_places})
        rest = {
            place: column for place, column in self.varying.items() if place not in self.name_places
        }
        for place in sorted(rest, key=lambda place: _size(rest[place])):
            self.found[place] = Expr(self._known(rest[place]) or self._new(place, rest[place]))

    def ordered(self) -> tuple[dict[str, Value | None], tuple[dict[str, Value], ...]]:
        """Parameters with defaults, and each stretch's arguments."""
        params: dict[str, Value | None] = {}
        defaults: dict[str, Value] = {}
        for name, column in self.params.items():
            usual, often = Counter(column.texts).most_common(1)[0]
            if name not in self.names and often > 1 and often >= 2 * (self.count - often):
                defaults[name] = column.values[column.texts.index(usual)]
            else:
                params[name] = None
        params |= defaults
        args = tuple(
            {
                name: self.params[name].values[turn]
                for name in params
                if name not in defaults
                or self.params[name].texts[turn] != format_value(defaults[name])
            }
            for turn in range(self.count)
        )
        return params, args

    # --- numbers ------------------------------------------------------------------------------

    def _known(self, column: Column) -> str:
        """A parameter that is this column, or one from which it follows by arithmetic."""
        for name, other in self.params.items():
            if other.texts == column.texts:
                return name
        if column.numbers is None:
            return self._known_shape(column.values)
        for name, other in self.params.items():
            factor = _factor(column.numbers, other.numbers)
            if factor:
                return f"{name} * {factor}"
        return ""

    def _known_shape(self, values: tuple[Value, ...]) -> str:
        """A shape whose varying dimensions are parameters: ``(1, 1, f)``."""
        shapes = [each.dims for each in values if isinstance(each, Shape)]
        if len(shapes) < len(values) or len(set(map(len, shapes))) > 1:
            return ""
        found: list[str] = []
        for dims in zip(*shapes, strict=True):
            if len(set(dims)) == 1:
                found.append(str(dims[0]))
                continue
            known = self._known(Column(map(LiteralValue, dims)))
            if not known:
                return ""
            found.append(known)
        return f"({', '.join(found)})"

    def _new(self, place: Place, column: Column) -> str:
        name = self._free(_LETTERS.get(str(place[-1]), str(place[-1])[0]))
        self.params[name] = column
        return name

    def _free(self, stem: str) -> str:
        name, count = stem, 1
        while name in self.params or name in self.taken:
            count += 1
            name = f"{stem}{count}"
        return name

    # --- names of layers ----------------------------------------------------------------------

    def _fill_names(self, names: dict[Place, Column]) -> None:
        texts = {place: tuple(map(_text, column.values)) for place, column in names.items()}
        groups: dict[tuple[str, ...], list[tuple[Place, str, str]]] = {}
        for place, own in texts.items():
            before, middles, after = split_names(own)
            groups.setdefault(middles, []).append((place, before, after))
        for middles, members in groups.items():
            stems = {before for _, before, _ in members}
            whole = len(stems) == 1
            stem = next(iter(stems)) if whole else ""
            rest = {after for _, _, after in members}
            tail = next(iter(rest)) if whole and len(rest) == 1 else ""
            column = Column(_word(stem + middle + tail) for middle in middles)
            name = self._known(column)
            if not name:
                name = self._free("p")
                self.params[name] = column
                self.names.add(name)
            for place, before, after in members:
                self.found[place] = _joined("" if whole else before, name, "" if tail else after)


def numbered(
    name: str, series: Sequence[Value], taken: Iterable[str]
) -> tuple[str, Value, tuple[Value, ...]] | None:
    """What a loop runs through: names that differ in a number by the numbers alone.

    Returns:
        The loop's name, what stands for it in the loop's body, and the series; None if a loop
        cannot run through these values.
    """
    parts = [
        _NAME_EXPR.fullmatch(each.source) if isinstance(each, Expr) else None for each in series
    ]
    stem = {part["name"] for part in parts if part}
    if all(parts) and len(stem) == 1:
        texts = [part["rest"] for part in parts if part]
        lead = f"{stem.pop()} + "
    elif all(isinstance(each, Word) for each in series):
        texts, lead = list(map(_text, series)), ""
    else:
        return (
            None
            if any(isinstance(each, Expr) for each in series)
            else (name, Expr(name), tuple(series))
        )
    before, middles, after = split_names(texts)
    if (
        not all(each.isdigit() and str(int(each)) == each for each in middles)
        or "%" in before + after
    ):
        return None if lead else (name, Expr(name), tuple(series))
    var, count = "i", 1
    while var in taken:
        count += 1
        var = f"i{count}"
    each = Expr(f"{lead}{_quoted(before + '%d' + after)} % {var}")
    return var, each, tuple(LiteralValue(int(middle)) for middle in middles)


def _joined(before: str, name: str, after: str) -> Expr:
    parts = [_quoted(before) if before else "", name, _quoted(after) if after else ""]
    return Expr(" + ".join(filter(None, parts)))


def _quoted(text: str) -> str:
    return format_value(LiteralValue(text))


def split_names(names: Sequence[str]) -> tuple[str, tuple[str, ...], str]:
    """What names begin with, what each has of its own, and what they end with.

    Example:
        >>> split_names(["conv2_block1_add", "conv2_block12_add"])
        ('conv2_block', ('1', '12'), '_add')
    """
    pieces = [_WORDS.findall(name) for name in names]
    before = _common(pieces)
    after = _common([each[before:][::-1] for each in pieces])
    middles = tuple("".join(each[before : len(each) - after]) for each in pieces)
    tail = "".join(pieces[0][len(pieces[0]) - after :]) if after else ""
    return "".join(pieces[0][:before]), middles, tail


def _common(pieces: Sequence[Sequence[str]]) -> int:
    count = 0
    for together in zip(*pieces, strict=False):
        if len(set(together)) > 1:
            break
        count += 1
    return count


def _text(value: Value) -> str:
    return value.text if isinstance(value, Word) else str(getattr(value, "value", ""))


def _word(text: str) -> Value:
    return Word(text) if is_plain_word(text) else LiteralValue(text)


def _size(column: Column) -> tuple[int, ...]:
    """Small numbers first, so that the others are multiples; what is no number comes last."""
    return (1,) if column.numbers is None else (0, *column.numbers)


def _factor(numbers: tuple[int, ...], base: tuple[int, ...] | None) -> int:
    """The whole number by which all of some numbers are multiples of others; 0 if there is none."""
    if base is None or len(set(base)) == 1:
        return 0
    factor = numbers[0] // base[0]
    fits = all(value == factor * each for value, each in zip(numbers, base, strict=True))
    return factor if fits and 1 < factor <= _MOST_FACTOR else 0


def _numbers(values: tuple[Value, ...]) -> tuple[int, ...] | None:
    found = [each.value for each in values if isinstance(each, LiteralValue)]
    whole = [each for each in found if type(each) is int and each > 0]
    return tuple(whole) if len(whole) == len(values) else None
