"""The words for each kind of place."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kmagic.language import expressions
from kmagic.magics.completion import completion_words
from kmagic.magics.completion.cursor_position import Place
from kmagic.magics.completion.names_in_scope import Scope
from kmagic.models import catalogue
from kmagic.models.catalogue import Parameter, Role

HEADS = ("block", "branch", "for", "merge", "model", "repeat", "residual")
DIRECTIVES = ("input", "output", "inputs", "compile", "freeze", "reuse")
CONSTANTS = ("true", "false", "none")
_COMMON = ("name", "dtype", "trainable", "autocast", "activity_regularizer")
"""Arguments that every layer has; they come last."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A text that can stand at the cursor.

    Attributes:
        text: The whole of it, what is written already included.
        kind: What it is, in the words of editors: class, function, keyword, param, instance ...
        start: The offset from which it replaces the text up to the cursor.
    """

    text: str
    kind: str
    start: int = 0

    def at(self, start: int) -> Completion:
        """The same from another offset."""
        return replace(self, start=start)


class Candidates:
    """What may stand at a place.

    Args:
        place: From :func:`kmagic.magics.completion.cursor_position.locate`.
        scope: The names that the text gives.
        names: The notebook's names.
    """

    def __init__(self, place: Place, scope: Scope, names: Mapping[str, Any]) -> None:
        self.place, self.scope, self.names = place, scope, names

    def all(self) -> list[Completion]:
        """All that fits what is written already, each once."""
        kinds = {
            "start": self._start,
            "argument": self._argument,
            "value": self._value,
            "tensor": self._tensor,
            "call": self._call,
            "layer": self._layer,
            "braces": self._braces,
            "kind": self._kind,
        }
        found = kinds[self.place.kind]() if self.place.kind in kinds else iter(())
        fitting: dict[str, Completion] = {}
        for each in found:
            if fits(each.text, self.place.fragment):
                fitting.setdefault(each.text, each)
        return list(fitting.values())

    # --- a step -------------------------------------------------------------------------------

    def _start(self) -> Iterator[Completion]:
        if self.place.fragment.startswith("ops."):
            yield from self._ops()
            return
        yield from _as("function", self.scope.blocks)
        yield from _as("instance", self.scope.models)
        yield from _as("keyword", (*DIRECTIVES, *HEADS))
        yield from self._words("layer", "class")
        for name, value in self._own():
            if _is_layer_class(value):
                yield Completion(name, "class")
            elif inspect.isfunction(value) and self.place.fragment:
                yield Completion(name, "function")
        if self.place.fragment:
            yield from self._words("activation", "function")
            yield Completion("ops.", "module")

    def _ops(self) -> Iterator[Completion]:
        keras = sys.modules.get("keras")
        ops = vars(keras.ops) if keras is not None and hasattr(keras, "ops") else {}
        for name, value in sorted(ops.items()):
            if callable(value) and not name.startswith("_"):
                yield Completion(f"ops.{name}", "function")

    def _words(self, role: Role, kind: str) -> Iterator[Completion]:
        """Words of a role; those that are only understood once something is written."""
        for word in completion_words.words(role):
            if word.preferred or self.place.fragment:
                yield Completion(word.text, kind)

    # --- arguments ----------------------------------------------------------------------------

    def _argument(self) -> Iterator[Completion]:
        place = self.place
        block = self.scope.blocks.get(place.callee)
        if block is not None:
            yield from _as("param", (f"{name}=" for name in block if name not in place.given))
            return
        made = self._made()
        params = [
            each for each in completion_words.parameters(made) if each.name not in place.given
        ]
        if place.fragment.startswith("!"):
            yield from _as("param", (f"!{each.name}" for each in params if each.is_flag))
            return
        yield from self._positional(params)
        if made is not None and place.spaced:
            yield from self._by_meaning(made, params)
        elif place.spaced and place.callee not in (*DIRECTIVES, *HEADS):
            yield from self._words("activation", "function")
        plain = [each for each in params if each.name not in _COMMON]
        common = [each for each in params if each.name in _COMMON]
        for param in (*plain, *common):
            yield Completion(f"{param.name}=", "param")
        if hasattr(made, "adapt"):
            yield Completion("adapt=", "param")

    def _made(self) -> Any:
        """The class or function whose arguments are written."""
        callee, owner = self.place.callee, self.place.owner
        if _is_layer_class(self.names.get(callee)):
            return self.names[callee]
        role: Role = catalogue.role_of(owner) if owner else "layer"
        return completion_words.function(callee, role) or completion_words.function(callee, "any")

    def _positional(self, params: list[Parameter]) -> Iterator[Completion]:
        """Values for the parameter that a value without a name goes to."""
        if self.place.callee == "compile" and not self.place.position:
            yield from self._of_role("optimizer")
        if self.place.callee == "input" and self.place.position:
            yield from _as("keyword", sorted(catalogue.DTYPES))
        free = [each for each in params if each.positional]
        position = self.place.position if not self.place.spaced else 0
        param = free[position] if position < len(free) else None
        if param is not None and param.required and param.role not in ("any", "shape"):
            yield from self._of_role(param.role)

    def _by_meaning(self, made: Any, params: list[Parameter]) -> Iterator[Completion]:
        """Bare words that find their argument wherever they stand."""
        names = {each.name: each for each in params}
        given = set(self.place.given)
        if "padding" in names and not given & set(catalogue.PADDINGS):
            known = completion_words.choices(made, "padding")
            yield from _as("keyword", (each for each in catalogue.PADDINGS if each in known))
        activations = {word.text for word in completion_words.words("activation")}
        if "activation" in names and not given & activations:
            yield from self._words("activation", "function")
        for param in params:
            if param.is_flag and param.name not in _COMMON:
                shown = f"!{param.name}" if param.default else param.name
                yield Completion(shown, "param")

    # --- values -------------------------------------------------------------------------------

    def _value(self) -> Iterator[Completion]:
        made = self._made()
        name = self.place.name
        param = (
            next((p for p in catalogue.parameters(made) if p.name == name), None) if made else None
        )
        role = param.role if param is not None else catalogue.role_of(name)
        if param is not None and param.is_flag:
            yield from _as("keyword", ("false", "true") if param.default else ("true", "false"))
            return
        if made is not None and role == "any":
            yield from _as("keyword", completion_words.choices(made, name))
        yield from self._of_role(role)
        if param is not None and param.default is None:
            yield Completion("none", "keyword")

    def _of_role(self, role: Role) -> Iterator[Completion]:
        kinds = {"activation": "function", "dtype": "keyword", "layer": "class"}
        yield from self._words(role, kinds.get(role, "class"))

    # --- names --------------------------------------------------------------------------------

    def _tensor(self) -> Iterator[Completion]:
        yield from _as(
            "instance", ("_", *self.scope.taps, *(("_in",) if self.scope.inside else ()))
        )
        made = completion_words.function(self.place.callee, "layer") if self.place.callee else None
        free = (
            each for each in completion_words.call_parameters(made) if each not in self.place.given
        )
        yield from _as("param", (f"{each}=" for each in free))

    def _call(self) -> Iterator[Completion]:
        if self.place.name in ("training", "use_causal_mask", "return_attention_scores"):
            yield from _as("keyword", ("true", "false"))
            return
        yield from _as("instance", self.scope.taps)
        yield from _as("keyword", CONSTANTS)

    def _layer(self) -> Iterator[Completion]:
        yield from _as("instance", (*self.scope.taps, *self.scope.models))

    def _braces(self) -> Iterator[Completion]:
        path, dot, _ = self.place.fragment.rpartition(".")
        if dot:
            try:
                value = expressions.evaluate(path, self.names)
            except expressions.ExpressionError:
                return
            public = (each for each in dir(value) if not each.startswith("_"))
            yield from _as("property", (f"{path}.{each}" for each in public))
            return
        yield from _as("instance", self.scope.values)
        for name, value in self._own():
            kind = "class" if inspect.isclass(value) else "instance"
            yield Completion(name, "module" if inspect.ismodule(value) else kind)

    def _kind(self) -> Iterator[Completion]:
        yield from _as("keyword", ("sequential", "functional"))

    def _own(self) -> Iterator[tuple[str, Any]]:
        """What the user has given a name, values before modules."""
        own = [
            (name, value)
            for name, value in list(self.names.items())
            if not name.startswith("_") and name not in _SHELL
        ]
        yield from sorted(own, key=lambda each: inspect.ismodule(each[1]))


_SHELL = frozenset({"In", "Out", "get_ipython", "exit", "quit", "open", "display"})
"""What IPython itself puts among the notebook's names."""


def fits(word: str, fragment: str) -> bool:
    """Whether a word goes on from what is written, underscores and case aside.

    Example:
        >>> fits("batch_normalization", "batchn"), fits("dense", "ens")
        (True, False)
    """
    if word.startswith(fragment):
        return True
    if not fragment[:1].isalpha():
        return False
    return catalogue.normalize_word(word).startswith(catalogue.normalize_word(fragment))


def _as(kind: str, found: Iterable[str]) -> Iterator[Completion]:
    return (Completion(each, kind) for each in found)


def _is_layer_class(value: Any) -> bool:
    keras = sys.modules.get("keras")
    base = getattr(getattr(keras, "layers", None), "Layer", None)
    return base is not None and inspect.isclass(value) and issubclass(value, base)
