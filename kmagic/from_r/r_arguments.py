"""R's values as values of the layer language, and a call's arguments by Keras's signature."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from kmagic.from_r.r_names import meaning, string_for, word_of
from kmagic.from_r.r_nodes import Mistake, Place
from kmagic.from_r.r_values import (
    Broken,
    Closure,
    Given,
    Model,
    Symbol,
    Tensor,
    Thing,
    Unknown,
    Vector,
)
from kmagic.language.spec import (
    Arg,
    Expr,
    InnerLayer,
    LiteralValue,
    MappingValue,
    Object,
    Ref,
    SequenceValue,
    Shape,
    Value,
    Word,
)
from kmagic.language.vocabulary import RENAMED_ARGUMENTS, old_argument_remedy
from kmagic.models.catalogue import Parameter, Role, parameters, word_for, words_for_role
from kmagic.support.suggestions import did_you_mean

_PLAIN = re.compile(r"[^\W\d]\w*")
_VALUES = frozenset({"true", "false", "none", "inf", "nan", "_", "_in"})
_WITHOUT_EFFECT = frozenset(
    {"implementation", "sample_weight_mode", "schedule_decay", "input_length"}
)
_OTHER_ARGUMENTS = ("input_shape", "batch_input_shape", "lr", "decay")
"""Arguments of R's that no signature of Keras 3 has."""
_ROLES_OF_STRINGS: tuple[Role, ...] = (
    "activation",
    "loss",
    "metric",
    "optimizer",
    "initializer",
    "regularizer",
    "constraint",
)

Note = Callable[[str, Place], None]


class Arguments:
    """Puts R's arguments into the layer language.

    Args:
        note: Told what the reader should know.
        model_name: The name that a model will have in the text.
        from_one: Whether axes are counted from 1, as keras3 does, and not as Keras does.
    """

    def __init__(
        self, note: Note, model_name: Callable[[Model, Place], str], *, from_one: bool = False
    ) -> None:
        self._note, self._model_name, self._from_one = note, model_name, from_one

    # --- a call -------------------------------------------------------------------------------

    def of(self, function: Any, given: Iterable[Given], *, layer: bool = False) -> tuple[Arg, ...]:
        """The arguments of a Keras class or function, in the order of its signature.

        Args:
            function: The class or function.
            given: What R gives it.
            layer: Whether bare words may stand for activation, padding and flags.
        """
        params = {each.name: each for each in parameters(function)}
        bound = self._bound(function, params, given)
        order = [name for name in params if name in bound]
        found: list[Arg] = []
        leading = True
        for index, name in enumerate(order):
            param, each = params[name], bound[name]
            value = self._unless_default(param, each)
            if value is None:
                leading = False
                continue
            leading = leading and param.positional and list(params)[index] == name
            shown = isinstance(value, Word) or (
                isinstance(value, LiteralValue) and type(value.value) is bool
            )
            first = not index and name != "axis"
            if leading and not shown and (param.required or first):
                found.append(Arg(value))
            elif layer and self._is_bare(param, value):
                found.append(Arg(Word(name) if isinstance(value, LiteralValue) else value))
            elif leading and param.required and isinstance(value, Word):
                found.append(Arg(value))
            else:
                found.append(Arg(value, name))
        return _in_reading_order(found)

    def _unless_default(self, param: Parameter, each: Given) -> Value | None:
        if each.value is None:  # R's NULL: whatever Keras does
            return LiteralValue(None) if param.required else None
        value = each.value
        if param.name in ("axis", "axes"):
            value = self._axes(value, each.place)
        return self.value(value, param.role, each.place, param)

    def _axes(self, value: Any, place: Place) -> Any:
        """Axes as Keras counts them: from 0, the batch being the first."""
        if isinstance(value, Vector):
            return Vector(value.kind, [(key, self._axes(each, place)) for key, each in value.items])
        if not isinstance(value, int) or value <= 0:
            return value
        if self._from_one:
            self._note("keras3 counts axes from 1, Keras from 0", place)
            return value - 1
        self._note("axis is taken as Keras counts it: from 0, which is the batch", place)
        return value

    @staticmethod
    def _is_bare(param: Parameter, value: Value) -> bool:
        if param.is_flag:
            return isinstance(value, LiteralValue) and value.value is True
        return isinstance(value, Word) and param.name in ("activation", "padding")

    def _bound(
        self, function: Any, params: dict[str, Parameter], given: Iterable[Given]
    ) -> dict[str, Given]:
        bound: dict[str, Given] = {}
        bare: list[Given] = []
        for each in given:
            if each.name is None:
                bare.append(each)
                continue
            name = self._name(function, params, each)
            if name in bound:
                raise Mistake(f"gives {name} a second time", each.place)
            if name:
                bound[name] = each
        free = [each.name for each in params.values() if each.positional and each.name not in bound]
        for each in bare:
            if not free:
                raise Mistake(
                    f"is one argument too many for {word_for_function(function)}", each.place
                )
            bound[free.pop(0)] = each
        return bound

    def _name(self, function: Any, params: dict[str, Parameter], each: Given) -> str:
        """The parameter that R's name means; "" where Keras 3 has none and needs none."""
        name = str(each.name)
        if name in params:
            return name
        if RENAMED_ARGUMENTS.get(name) in params:
            return RENAMED_ARGUMENTS[name]
        if name == "l" and params:  # kerasR's l1(l = 0.01)
            return next(iter(params))
        if name in _WITHOUT_EFFECT:
            if each.value is not None:
                self._note(f"{name} has no effect in Keras 3 and is left out", each.place)
            return ""
        begun = [each for each in params if each.startswith(name)]
        if len(begun) == 1:  # R completes the names of arguments
            return begun[0]
        word = word_for_function(function)
        remedy = did_you_mean(name, [*params, *_OTHER_ARGUMENTS])
        remedy = remedy or old_argument_remedy(name, params)
        known = ", ".join(list(params)[:12])
        raise Mistake(
            f"is no argument of {word}", each.place, remedy or f"{word} takes {known} ..."
        )

    # --- a value ------------------------------------------------------------------------------

    def value(self, value: Any, role: Role, place: Place, param: Parameter | None = None) -> Value:
        """A value in a place of this role.

        Raises:
            Mistake: It has no counterpart.
        """
        if value is None or isinstance(value, bool | int | float):
            return LiteralValue(value)
        if isinstance(value, str):
            return self._string(value, role, place, param)
        if isinstance(value, Symbol):
            return self._symbol(value, role, place)
        if isinstance(value, Vector):
            return self._vector(value, role, place, param)
        if isinstance(value, Thing):
            return self.thing(value, role)
        if isinstance(value, Unknown):
            return Expr(source_of(value, place))
        if isinstance(value, Model) and role in _ROLES_OF_STRINGS:
            raise Mistake(f"is a model, not {_article(role)} {role}", place)
        if isinstance(value, Model):
            return Ref(self._model_name(value, place))
        if isinstance(value, Closure) and value.variable:
            said = f"{value.variable} is a function of R's: define it in a Python cell"
            self._note(said, place)
            return Expr(value.variable)
        if isinstance(value, Closure):
            remedy = "Define it in a Python cell, and write its name here in R, without quotes."
            raise Mistake("is a function of R, which Keras cannot call from here", place, remedy)
        if isinstance(value, Tensor):
            raise Mistake("is what leaves a layer, and an argument of a layer is a value", place)
        raise Mistake("has no counterpart in the layer language", place)

    def thing(self, thing: Thing, role: Role) -> Value:
        """``l2(0.01)``, or a layer within a layer."""
        found = meaning(thing.name, role) if role != "any" else None
        if found is None and role == "any":
            found = next(filter(None, (meaning(thing.name, each) for each in _OBJECTS)), None)
        if found is None:
            what = "an argument of this kind" if role == "any" else f"{_article(role)} {role}"
            remedy = (
                did_you_mean(word_of(thing.name), words_for_role(role)) if role != "any" else ""
            )
            raise Mistake(f"is not {what}", thing.place, remedy)
        if role == "layer":
            return InnerLayer(
                Word(word_for_function(found)), self.of(found, thing.args, layer=True)
            )
        given = optimizer_arguments(found, thing, self._note) if role == "optimizer" else thing.args
        args = self.of(found, given)
        word = word_for_function(found)
        return Object(Word(word), args) if args else Word(word)

    def _string(self, text: str, role: Role, place: Place, param: Parameter | None) -> Value:
        if role in _ROLES_OF_STRINGS:
            word = string_for(text, role)
            if not word:
                remedy = did_you_mean(text, words_for_role(role))
                raise Mistake(f"is not {_article(role)} {role} that Keras knows", place, remedy)
            return Word(word)
        if param is not None and param.name == "padding":
            text = text.lower()
        plain = _PLAIN.fullmatch(text) and text not in _VALUES
        return (
            Word(text) if plain and (param is None or param.name != "name") else LiteralValue(text)
        )

    def _symbol(self, symbol: Symbol, role: Role, place: Place) -> Value:
        found = meaning(symbol.name, role) if role != "any" else None
        if found is not None:
            return Word(word_for_function(found))
        word = string_for(word_of(symbol.name), role) if role in _ROLES_OF_STRINGS else ""
        if not word:
            what = f"{_article(role)} {role}" if role != "any" else "a value"
            raise Mistake(f"is not {what}", place)
        return Word(word)

    def _vector(self, vector: Vector, role: Role, place: Place, param: Parameter | None) -> Value:
        items = list(vector)
        if vector.named:
            entries = tuple(
                (_key(str(name)), self.value(item, role, place)) for name, item in vector.items
            )
            return MappingValue(entries)
        if items and all(each is None or (type(each) is int and each >= 0) for each in items):
            if len(items) > 1:
                return Shape(tuple(items))
            return LiteralValue(items[0]) if items[0] is not None else Shape((None,))
        if len(items) == 1 and role in ("metric", "loss"):
            return self.value(items[0], role, place, param)
        return SequenceValue("list", tuple(self.value(each, role, place) for each in items))


_OBJECTS: tuple[Role, ...] = (
    "initializer",
    "regularizer",
    "constraint",
    "schedule",
    "optimizer",
    "loss",
    "metric",
)


def optimizer_arguments(cls: Any, thing: Thing, note: Note) -> list[Given]:
    """An optimizer's arguments as Keras 3 has them: no ``lr``, ``decay`` or ``clipnorm = -1``."""
    found = {each.name: each for each in thing.args if each.name is not None}
    bare = [each for each in thing.args if each.name is None]
    for clip in ("clipnorm", "clipvalue"):
        given = found.get(clip)
        if given is not None and isinstance(given.value, int | float) and given.value <= 0:
            del found[clip]  # kerasR's way to say that nothing is clipped
    rate = bare.pop(0) if bare else found.pop("lr", found.pop("learning_rate", None))
    decay = found.pop("decay", None)
    place = rate.place if rate is not None else thing.place
    value = rate.value if rate is not None else _KERASR_RATES.get(thing.name)
    default = next(each.default for each in parameters(cls) if each.name == "learning_rate")
    if rate is None and value is not None:
        note(f"{thing.name}() learns at {value:g} in kerasR; Keras 3 would take {default:g}", place)
    if decay is not None and decay.value not in (0, None):
        value = default if value is None else value
        args = [Given(each, None, decay.place) for each in (value, 1, decay.value)]
        value = Thing("inverse_time_decay", args, decay.place)
        note("decay is a schedule now: the same rates by inverse_time_decay", decay.place)
    first = [] if value is None else [Given(value, "learning_rate", place)]
    return [*first, *bare, *found.values()]


_KERASR_RATES = {"Adadelta": 1.0, "Adagrad": 0.01, "Adamax": 0.002, "Nadam": 0.002}
"""Learning rates that kerasR sends by itself, where Keras 3 has another."""


def source_of(value: Unknown, place: Place) -> str:
    """The Python expression of something that R knows.

    Raises:
        Broken: Its statement has been told already.
        Mistake: There is none.
    """
    if isinstance(value, Broken):
        raise Told
    if not value.python:
        remedy = "Write the number, or make it in a Python cell and write its name here."
        raise Mistake("is a value that only R could work out", place, remedy)
    return value.python


class Told(Exception):  # noqa: N818 - a signal within this package
    """What this depends on has been told to be wrong."""


def word_for_function(function: Any) -> str:
    """The language's word for a class or function of Keras's."""
    return word_for(function) if isinstance(function, type) else str(function.__name__)


def _key(name: str) -> Value:
    return Word(name) if _PLAIN.fullmatch(name) and name not in _VALUES else LiteralValue(name)


def _article(role: str) -> str:
    return "an" if role[0] in "aio" else "a"


def _in_reading_order(args: list[Arg]) -> tuple[Arg, ...]:
    """Values first, then bare words, then what has a name."""
    bare = [each for each in args if each.name is None and not isinstance(each.value, Word)]
    flags = [each for each in args if each.name is None and isinstance(each.value, Word)]
    return (*bare, *flags, *(each for each in args if each.name is not None))
