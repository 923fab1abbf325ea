"""Which arguments of an object must be written, and how they are written shortest.

What may be left out is not guessed from defaults, since one default may follow another: the
object is made again from what would be written, and the two configs are compared.
"""

from __future__ import annotations

import copy
import inspect
import json
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from kmagic.language.spec import (
    NO_SPAN,
    Arg,
    Expr,
    LiteralValue,
    Object,
    SequenceValue,
    Shape,
    Value,
    Word,
)
from kmagic.models import catalogue
from kmagic.models.binding import BuildContext, bind_arguments
from kmagic.models.catalogue import Parameter
from kmagic.models.decompile.config_values import (
    Unwritable,
    Writer,
    is_finite_number,
    is_plain_word,
)
from kmagic.models.decompile.configs import comparable, is_object, same

_UNIFORM = frozenset({"cropping", "dilation_rate", "output_padding", "padding", "size", "strides"})
"""Parameters whose equal numbers are written once, ``strides=2``."""
_NOT_FIRST = frozenset({"axis", "data_format", "name"})
"""First parameters that are clearer with their names."""
_SECOND = frozenset({"offset"})
"""Parameters after the first that need no name though they have a default."""
_BEHIND_TENSORS = frozenset({"x2", "key", "newshape", "shape", "dtype"})
"""Parameters of functions of keras.ops that need no name right behind the tensors."""
_UNSEEN = frozenset({"name", "vocabulary_size"})
"""Keys of configs that are not compared: they follow from others."""


class Arguments:
    """Writes the arguments of objects, from their classes and configs."""

    def __init__(self) -> None:
        self.writer = Writer(self.of)
        self._needed: dict[str, dict[str, Any]] = {}

    def of(self, cls: Any, config: Mapping[str, Any]) -> tuple[Arg, ...]:
        """The arguments that make an object of this config, as short as they can be.

        Raises:
            Unwritable: Something in the config has no words, or does not come back.
        """
        return self.surface(cls, self.needed(cls, config))

    # --- what must be written -----------------------------------------------------------------

    def needed(self, cls: Any, config: Mapping[str, Any]) -> dict[str, Any]:
        """The part of a config that must be written, by parameter.

        Raises:
            Unwritable: An object made from the whole config has another config.
        """
        mark = _mark(cls, config)
        if mark not in self._needed:
            self._needed[mark] = self._find_needed(cls, config)
        return self._needed[mark] if mark else self._needed.pop(mark)

    def _find_needed(self, cls: Any, config: Mapping[str, Any]) -> dict[str, Any]:
        params = {each.name: each for each in catalogue.parameters(cls)}
        given = {
            key: value
            for key, value in _as_given(cls, config).items()
            if key in params and key != "name"
        }
        target = _compared(config)
        make = self._maker(cls, config)
        made = make(given)
        if not _fits(made, target):
            short = {name: shorter(name, value) for name, value in given.items()}
            if not _fits(make(short), target):
                for name, value in given.items():
                    self.value(params[name], value)  # says more, if it is this
                raise Unwritable(_difference(made, target))
            given = short
        names = {name for name in given if params[name].required}
        for _ in range(4):
            made = make({name: given[name] for name in names})
            wrong = set(given) if made is None else _wrong(made, target).intersection(given)
            if not wrong - names:
                break
            names |= wrong
        if not _fits(made, target):
            names = set(given)
        for name in sorted(names, key=list(params).index, reverse=True):
            fewer = {each: given[each] for each in names if each != name}
            if not params[name].required and _fits(make(fewer), target):
                names.remove(name)
        chosen = {name: given[name] for name in params if name in names}
        for name, value in chosen.items():
            short_one = {**chosen, name: shorter(name, value)}
            if short_one[name] is not value and _fits(make(short_one), target):
                chosen = short_one
        return chosen

    def _maker(
        self, cls: Any, config: Mapping[str, Any]
    ) -> Callable[[Mapping[str, Any]], dict[str, Any] | None]:
        """Makes an object and gives its config to compare; None where the class refuses."""

        def make(kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
            for words in (False, True):
                found = self.remade(cls, kwargs, config.get("name") or "", words=words)
                with suppress(NotImplementedError):  # some configs can only tell plain words
                    return None if found is None else _compared(found.get_config())
            return None

        return make

    def remade(self, cls: Any, given: Mapping[str, Any], name: str, *, words: bool = False) -> Any:
        """An object made from what is written; None if its class does not take it.

        Args:
            cls: Its class.
            given: Arguments, as they are in its config.
            name: Its name.
            words: Whether objects that Keras knows by a word are given as that word.
        """
        has_name = any(each.name == "name" for each in catalogue.parameters(cls))
        kwargs = {"name": name} if has_name and name else {}
        roles = {each.name: each.role for each in catalogue.parameters(cls)}
        try:
            for key, value in given.items():
                word = self.writer.value(value, roles[key]) if words and is_object(value) else None
                kwargs[key] = word.text if isinstance(word, Word) else self._revived(value)
            return cls(**kwargs)
        except Exception:  # noqa: BLE001 - whatever a class raises, these arguments do not do
            return None

    def _revived(self, value: Any) -> Any:
        import keras  # noqa: PLC0415 - a model is here, so Keras is

        if is_object(value):
            if value["class_name"] == "DTypePolicy":
                return value["config"]["name"]
            with keras.saving.custom_object_scope(self.writer.live):
                return keras.saving.deserialize_keras_object(copy.deepcopy(value), safe_mode=False)
        if isinstance(value, dict):
            return {key: self._revived(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._revived(item) for item in value)
        return value if hasattr(value, "get_config") else copy.deepcopy(value)

    # --- how it is written --------------------------------------------------------------------

    def surface(self, cls: Any, chosen: Mapping[str, Any]) -> tuple[Arg, ...]:
        """Arguments in the order and form in which they are written."""
        params = catalogue.parameters(cls)
        values = {
            each.name: self.value(each, chosen[each.name]) for each in params if each.name in chosen
        }
        values |= {name: self.writer.value(chosen[name]) for name in chosen if name not in values}
        return surface(cls, values)

    def value(self, param: Parameter, value: Any) -> Value:
        """The value of one parameter."""
        if param.role == "dtype" and param.name != "dtype" and not isinstance(value, str):
            return self.writer.value(value)
        found = self.writer.value(value, param.role)
        if param.role == "shape" and isinstance(found, SequenceValue) and len(found.items) == 1:
            only = found.items[0]
            return Shape((None,)) if only == LiteralValue(None) else only
        return found


def surface(cls: Any, values: Mapping[str, Value]) -> tuple[Arg, ...]:
    """Arguments as they are written: the leading ones and plain words without names."""
    params = catalogue.parameters(cls)
    leading: list[Arg] = []
    left = dict(values)
    for place, param in enumerate(params):
        if param.name not in left or not param.positional:
            break
        value = _without_name(param, left[param.name], place)
        if value is None:
            break
        leading.append(Arg(value))
        del left[param.name]
    by_name = {each.name: each for each in params}
    words: list[Arg] = []
    named: list[Arg] = []
    for name, value in left.items():
        word = _bare(cls, by_name.get(name), value)
        (words if word else named).append(Arg(word) if word else Arg(value, name))
    short = (*leading, *words, *named)
    if _bound(cls, short) == dict(values):
        return short
    return tuple(Arg(value, name) for name, value in values.items())


def function_arguments(
    function: Callable[..., Any], values: Mapping[str, Value], inputs: int
) -> tuple[Arg, ...]:
    """Arguments of a function of keras.ops: the ones behind the tensors need no names."""
    names = [each.name for each in catalogue.parameters(function)]
    leading: list[Arg] = []
    for name in names[inputs:]:
        if name not in values or name not in _BEHIND_TENSORS:
            break
        leading.append(Arg(values[name]))
    rest = [Arg(value, name) for name, value in values.items()]
    return (*leading, *rest[len(leading) :])


def _bound(cls: Any, args: tuple[Arg, ...]) -> dict[str, Value] | None:
    """Which parameter each argument goes to when the text is read."""
    context = BuildContext("")
    found = bind_arguments(cls, "", args, NO_SPAN, context, lambda value, _role, _context: value)
    return None if context.problems else found.kwargs


def _without_name(param: Parameter, value: Value, place: int) -> Value | None:
    """The value as it stands among the leading ones, or None if it needs its name."""
    if isinstance(value, Word) and param.role == "any" and not isinstance(param.default, str):
        return LiteralValue(value.text) if param.required else None
    if param.required:
        return value
    if param.name in _NOT_FIRST or (place and param.name not in _SECOND) or param.is_flag:
        return None
    if isinstance(value, LiteralValue) and not is_finite_number(value.value):
        return None
    return (
        value
        if isinstance(value, LiteralValue | Shape | SequenceValue | Word | Object | Expr)
        else None
    )


def _bare(owner: Any, param: Parameter | None, value: Value) -> Word | None:
    """The bare word that sets a parameter by its meaning, if there is one."""
    if param is None:
        return None
    if param.is_flag:
        return Word(param.name) if value == LiteralValue(True) else None
    if not isinstance(value, Word):
        return None
    if param.name == "dtype" and not inspect.isclass(owner):
        return value  # of an input
    if param.name == "padding":
        return value if value.text in catalogue.PADDINGS else None
    is_activation = param.name == "activation" and catalogue.accepts_string(
        "activation", value.text
    )
    return value if is_activation else None


def shorter(name: str, value: Any) -> Any:
    """Equal numbers in a tuple as one number, where Keras spreads one number out again."""
    if name in _UNIFORM:
        if isinstance(value, tuple) and value and all(isinstance(each, tuple) for each in value):
            value = tuple(shorter(name, each) for each in value)
        if isinstance(value, tuple) and len(set(map(repr, value))) == 1:
            return value[0]
    if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], int):
        return value[0]
    if name.endswith("factor") and isinstance(value, tuple) and value[:1] == (-value[-1],):
        return value[-1]  # a range around zero
    if isinstance(value, float) and len(repr(value)) > _LONG:
        import numpy as np  # noqa: PLC0415 - a model is here, so NumPy is

        return float(str(np.float32(value)))  # it has been through single precision
    return value


_LONG = 12
_MISSING = object()


def _fits(made: dict[str, Any] | None, target: dict[str, Any]) -> bool:
    return made is not None and same(made, target)


def _compared(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: comparable(value) for key, value in config.items() if key not in _UNSEEN}


def _wrong(made: dict[str, Any], target: dict[str, Any]) -> set[str]:
    return {
        key
        for key in {*made, *target}
        if not same(made.get(key, _MISSING), target.get(key, _MISSING))
    }


def _mark(cls: Any, config: Mapping[str, Any]) -> str:
    """The same for equal configs, names aside; "" for those that cannot be told apart so."""
    own = {key: value for key, value in config.items() if key not in _UNSEEN}
    try:
        return f"{cls.__module__}.{cls.__qualname__} {json.dumps(own)}{own!r}"
    except (TypeError, ValueError):
        return ""


def _as_given(cls: Any, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A config as the arguments were: Bidirectional gives the layer in it another name."""
    if cls.__name__ != "Bidirectional":
        return config
    found = copy.deepcopy(dict(config))
    inner = (found.get("layer") or {}).get("config", {})
    if "name" in inner:
        inner["name"] = inner["name"].removeprefix("forward_")
    return found


def _difference(made: dict[str, Any] | None, target: dict[str, Any]) -> str:
    if made is None:
        return "it cannot be made again from its own config"
    keys = sorted(_wrong(made, target))
    return f"its {' and '.join(keys)} cannot be given when it is made"


@contextmanager
def undisturbed() -> Iterator[None]:
    """Make objects and leave no trace: Keras's counters of names, Python's random numbers."""
    from keras.src.backend.common import global_state  # noqa: PLC0415 - Keras is here already

    counters = global_state.get_global_attribute("object_name_uids")
    before = dict(counters) if counters is not None else {}
    state = random.getstate()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(state)
        counters = global_state.get_global_attribute("object_name_uids")
        if counters is not None:
            counters.clear()
            counters.update(before)


__all__ = ["Arguments", "is_plain_word", "surface", "undisturbed"]
