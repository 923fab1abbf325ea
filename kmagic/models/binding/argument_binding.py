"""A step's words to the arguments of a Keras signature."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from kmagic.language import format_value
from kmagic.language.formatter import format_arg
from kmagic.language.spec import Arg, NotebookValue, LiteralValue, Object, InnerLayer, Shape, Span, Value, Word
from kmagic.language.vocabulary import old_argument_remedy
from kmagic.models import catalogue
from kmagic.models.binding.build_context import BuildContext
from kmagic.models.catalogue import Parameter
from kmagic.support.suggestions import did_you_mean, nearest

Resolve = Callable[[Any, catalogue.Role, BuildContext], Any]
_OBJECTS_ONLY = ("activation", "initializer", "regularizer", "constraint")
_SHAPES = frozenset({"input_shape", "input_dim"})
_OPTIMIZER_ARGUMENTS = frozenset(
    {"lr", "learning_rate", "momentum", "decay", "weight_decay", "clipnorm", "beta_1", "rho"}
)
_IN_COMPILE = ("optimizer", "loss")
"""What a line `compile` may leave without a name."""
UNRESOLVED = object()
"""Stands for a value with a mistake, which is noted already."""


@dataclass(slots=True)
class BoundArguments:
    """Arguments for one call of a Keras class or function.

    Attributes:
        kwargs: By parameter name.
        spans: Where each stands in the text.
        adapt: Data that the layer is adapted to, or None.
        sound: Whether no mistake was found.
    """

    kwargs: dict[str, Any] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    adapt: Any = None
    sound: bool = True


def bind_arguments(  # noqa: PLR0917 - all six are always given
    function: Callable[..., Any],
    word: str,
    args: tuple[Arg, ...],
    span: Span,
    context: BuildContext,
    resolve: Resolve,
) -> BoundArguments:
    """Give each value of a step the parameter that it means.

    A bare word binds by its meaning wherever it stands: the name of a true-or-false parameter,
    a padding, an activation, a dtype. All else goes to the parameters in their order.

    Args:
        function: A class or function with a signature.
        word: What the text calls it.
        args: The step's arguments.
        span: Where the step's own word stands.
        context: Mistakes are noted there.
        resolve: Iterations a value of the text into a Python value, given its role.
    """
    if word == "input" and _is_only_text(args):
        args = (Arg(LiteralValue(1, span=span), span=span), *args)  # one text a sample
    return _Binder(function, word, span, context, resolve).bind(args)


def _is_only_text(args: tuple[Arg, ...]) -> bool:
    """Whether an input says that it takes texts, and no shape."""
    texts = [arg for arg in args if arg.name in (None, "dtype") and _word_of(arg) == "string"]
    others = {arg.name for arg in args if arg not in texts}
    return bool(texts) and not others & {None, "shape", "batch_shape", "tensor"}


@cache
def _by_name(function: Callable[..., Any]) -> Mapping[str, Parameter]:
    return {each.name: each for each in catalogue.parameters(function)}


@cache
def _required(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(each.name for each in catalogue.parameters(function) if each.required)


class _Binder:
    def __init__(
        self,
        function: Callable[..., Any],
        word: str,
        span: Span,
        context: BuildContext,
        resolve: Resolve,
    ) -> None:
        self.function, self.word, self.span = function, word, span
        self.context, self.resolve = context, resolve
        self.params = _by_name(function)
        self.bound = BoundArguments()
        self.named: set[str] = set()
        self.full = False

    def bind(self, args: tuple[Arg, ...]) -> BoundArguments:
        self.named = {arg.name for arg in args if arg.name}
        for place, arg in enumerate(args):
            if arg.name is not None:
                self._keyword(arg.name, arg)
            elif self._is_open_layer(arg, args[place + 1 :]):
                inner = " ".join(format_arg(each) for each in args[place:])
                remedy = f"Write {self.word}({inner})."
                self._note("and its arguments stand in brackets here", arg.span, remedy)
                break
            elif not self._is_name_without_sign(arg, args[place + 1 : place + 2]):
                self._positional(arg, args[place - 1] if place else None)
        self._check_required()
        return self.bound

    # --- one argument -------------------------------------------------------------------------

    def _keyword(self, name: str, arg: Arg) -> None:
        param = self.params.get(name)
        if name == "adapt" and hasattr(self.function, "adapt"):
            self.bound.spans[name] = getattr(arg.value, "span", arg.span)
            self.bound.adapt = self.resolve(arg.value, "any", self.context)
        elif param is not None:
            self._set(param, arg)
        elif catalogue.takes_any_keyword(self.function) and not _is_keras(self.function):
            self._set(Parameter(name, catalogue.role_of(name)), arg)
        else:
            self._note(f"{self.word} has no argument {name}", arg.span, self._argument_hint(arg))

    def _argument_hint(self, arg: Arg) -> str:
        name = arg.name or ""
        if name in _SHAPES and isinstance(arg.value, LiteralValue | Shape):
            return f"The shape has a line of its own: `input {format_value(arg.value)}`."
        if old := old_argument_remedy(name, self.params):
            return old
        if self.word == "compile" and name in _OPTIMIZER_ARGUMENTS:
            return "The optimizer takes it, in brackets: `compile adam(1e-3) loss=mse`."
        return did_you_mean(name, self.params) or self._takes()

    def _is_open_layer(self, arg: Arg, rest: tuple[Arg, ...]) -> bool:
        """Whether a layer in an argument's place has its own arguments behind it."""
        if not isinstance(arg.value, Word) or not any(each.name is None for each in rest):
            return False
        param = self._next()
        return (
            param is not None
            and param.role == "layer"
            and catalogue.find_object("layer", arg.value.text) is not None
        )

    def _is_name_without_sign(self, arg: Arg, after: tuple[Arg, ...]) -> bool:
        """Whether a parameter's name stands before its value as if it were one; then noted."""
        name = arg.value.callee if isinstance(arg.value, InnerLayer) else arg.value
        if isinstance(arg.value, InnerLayer):
            after = arg.value.args[:1]
        if not isinstance(name, Word) or name.text not in self.params or not after:
            return False
        if self.params[name.text].is_flag or after[0].name or self._is_known(name.text):
            return False
        value = format_value(after[0].value)
        remedy = f"Its value stands behind `=`: {name.text}={value}."
        self._note("is the name of an argument", name.span, remedy)
        return True

    def _is_known(self, word: str) -> bool:
        """Whether an argument's name is a value as well: ``activation`` is none."""
        return self._by_meaning(word) is not None or word in self.context.names

    def _positional(self, arg: Arg, before: Arg | None) -> None:
        if self.full:
            return
        word = _word_of(arg)
        param = self._by_meaning(word) if word is not None else None
        if param is not None and param.is_flag:
            self._set(param, Arg(LiteralValue(True, span=arg.span), span=arg.span))
            return
        param = param or self._next()
        if param is None:
            self._too_many(arg, word)
        elif self.word == "compile" and isinstance(arg.value, LiteralValue) and word is None:
            remedy = f"A learning rate stands in brackets: adam({format_value(arg.value)})."
            self._note("is one value too many", arg.span, remedy)
        elif self.word == "compile" and word is not None and param.name not in _IN_COMPILE:
            self._stray_word(word, arg.span)
        elif param.name in self.named:
            remedy = "Leave one out."
            self._note(f"{self.word} has {param.name} twice", arg.span, remedy)
        elif word is not None and self._is_stray(param, word):
            self._stray_word(word, arg.span)
        elif param.role in _OBJECTS_ONLY and isinstance(arg.value, LiteralValue) and word is None:
            remedy = self._takes()
            if before is not None and isinstance(before.value, Word):
                value = format_value(arg.value)
                remedy = f"If it is for {before.value.text}: {before.value.text}({value})."
            self._note("is one value too many", arg.span, remedy)
        elif isinstance(arg.value, Object) and self._is_elsewhere(param, arg.value):
            self._stray_word(format_value(arg.value), arg.span)
        else:
            self._set(param, arg)

    def _by_meaning(self, word: str) -> Parameter | None:
        flag = self.params.get(word)
        if flag is not None and flag.is_flag and self._is_free(word):
            return flag
        if word in catalogue.PADDINGS and self._is_free("padding"):
            return self.params["padding"]
        if self._is_free("activation") and catalogue.accepts_string("activation", word):
            return self.params["activation"]
        if word in catalogue.DTYPES and self._is_free("dtype"):
            return self.params["dtype"]
        return None

    def _is_free(self, name: str) -> bool:
        return name in self.params and name not in self.bound.spans and name not in self.named

    def _next(self) -> Parameter | None:
        free = (
            each
            for each in self.params.values()
            if each.positional and each.name not in self.bound.spans
        )
        return next((each for each in free if self._is_free(each.name) or each.role == "any"), None)

    def _is_stray(self, param: Parameter, word: str) -> bool:
        """Whether a bare word cannot be meant for the next parameter in order."""
        if isinstance(param.default, str) and param.role == "any":
            return False
        if param.role in ("any", "shape"):
            return True
        if param.role != "activation":
            return False  # its own message, when it is resolved, says more
        return not catalogue.find_object(param.role, word) and word not in self.context.names

    @staticmethod
    def _is_elsewhere(param: Parameter, value: Object) -> bool:
        """Whether an object such as ``l2(0.1)`` is known, but not as what comes next."""
        if not isinstance(value.callee, Word):
            return False
        if param.role not in catalogue.OBJECT_ROLES and not param.is_flag:
            return False
        word = value.callee.text
        if param.role == "activation" and catalogue.find_object("layer", word):
            return False
        named: tuple[catalogue.Role, ...] = ("initializer", "regularizer", "constraint")
        is_its_own = not param.is_flag and catalogue.find_object(param.role, word)
        return not is_its_own and any(catalogue.find_object(role, word) for role in named)

    def _set(self, param: Parameter, arg: Arg) -> None:
        if param.name in self.bound.spans:
            self._note(f"{self.word} has {param.name} twice", arg.span, "Leave one out.")
            return
        if not self._fits_truth(param, arg):
            return
        self.bound.spans[param.name] = getattr(arg.value, "span", arg.span)
        value = self.resolve(arg.value, param.role, self.context)
        if value is UNRESOLVED:
            self.bound.sound = False
        else:
            self.bound.kwargs[param.name] = value

    def _fits_truth(self, param: Parameter, arg: Arg) -> bool:
        """Whether true and false, and only they, stand where they belong; if not, note it."""
        span = getattr(arg.value, "span", arg.span)
        if param.is_flag and _is_no_truth(arg.value):
            self._note(f"{param.name} is true or false, not {format_value(arg.value)}", span)
            return False
        if param.is_flag or not isinstance(arg.value, LiteralValue) or not _is_keras(self.function):
            return True
        wants_object = param.role in catalogue.OBJECT_ROLES
        wants_number = param.required or isinstance(param.default, int | float)
        if isinstance(arg.value.value, bool) and (wants_object or wants_number):
            remedy = f"For none at all: {param.name}=none." * (param.default is None)
            self._note(f"{param.name} is not true or false", span, remedy)
            return False
        return True

    # --- mistakes -----------------------------------------------------------------------------

    def _check_required(self) -> None:
        missing = [each for each in _required(self.function) if each not in self.bound.spans]
        if missing and self.bound.sound:
            self._note(f"{self.word} needs {_and(missing)}", self.span, self._takes())

    def _too_many(self, arg: Arg, word: str | None) -> None:
        self.full = True
        if word is not None:
            self._stray_word(word, arg.span)
            return
        self._note(f"{self.word} takes no more values", arg.span, self._takes())

    def _stray_word(self, word: str, span: Span) -> None:
        if remedy := shape_in_parts(word):
            self._note("has no place here", span, remedy)
            return
        if word in catalogue.PADDINGS and "padding" in self.params:
            self._note(f"{self.word} has padding twice", span, "Leave one out.")
            return
        has_activation = "activation" in self.params
        message = f"{self.word} has no parameter of that name"
        remedy = ""
        if catalogue.accepts_string("activation", word):
            has = "has its activation already" if has_activation else "has no activation"
            message = f"{self.word} {has}"
            remedy = f"An activation may stand on its own, after the layer: `/ {word}`."
        elif has_activation:
            message = f"is not an activation, and {message}"
        param = self._next()
        if param is None or param.role != "any" or remedy:
            pass
        elif param.required or (not has_activation and _is_size(param)):
            message = f"is neither a value for {param.name} nor a known word"
        remedy = remedy or self._word_hint(word, has_activation=has_activation)
        self.full = self.full or remedy.startswith("A layer ")  # the rest belongs to that layer
        self._note(message, span, remedy)

    def _word_hint(self, word: str, *, has_activation: bool) -> str:
        remedy = word_hint(word, self.word, self.params, self.context, self._is_free)
        if remedy:
            return remedy
        return "All activations: %keras_layers activations" if has_activation else self._takes()

    def _takes(self) -> str:
        shown = [
            each.name
            if each.required
            else f"{each.name}={catalogue.python_value_text(each.default)}"
            for each in self.params.values()
            if each.positional
        ]
        most = 6
        rest = f" ... (all: %keras_layers {self.word})" if len(shown) > most else ""
        return f"{self.word} takes: {' '.join(shown[:most]) or 'no values'}{rest}"

    def _note(self, message: str, span: Span, remedy: str = "") -> None:
        self.bound.sound = False
        self.context.report(message, span, remedy)


def _is_size(param: Parameter) -> bool:
    """Whether a parameter asks for a number, or for several."""
    is_flag = isinstance(param.default, bool)
    return param.required or (isinstance(param.default, int | float | tuple) and not is_flag)


def _is_no_truth(value: Value) -> bool:
    """Whether a value as it is written can be neither true nor false."""
    if isinstance(value, LiteralValue):
        return value.value not in (True, False, None)  # 0 and 1 are as good
    return isinstance(value, Word | Object | Shape)


def _word_of(arg: Arg) -> str | None:
    if isinstance(arg.value, Word):
        return arg.value.text
    if isinstance(arg.value, NotebookValue) and isinstance(arg.value.value, str):
        return arg.value.value
    return None


def _is_keras(function: Callable[..., Any]) -> bool:
    return (getattr(function, "__module__", "") or "").split(".")[0] == "keras"


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


_DTYPES = {"double": "float64", "float": "float32", "int": "int32", "str": "string"}
"""Python's types, and what the language calls them."""


def shape_in_parts(word: str) -> str:
    """What to write for a word that looks like a part of a shape or a repetition; "" for others.

    Example:
        >>> shape_in_parts("x3")
        'A shape is one word, `28x28x1`; a line is repeated by ` * 3` at its end.'
    """
    if re.fullmatch(r"[xX]\d*", word):
        return "A shape is one word, `28x28x1`; a line is repeated by ` * 3` at its end."
    return ""


def word_hint(
    word: str,
    owner: str,
    params: Mapping[str, Parameter],
    context: BuildContext,
    is_free: Callable[[str], bool],
) -> str:
    """What to do about a word that an argument list has no use for; "" if nothing is near.

    Args:
        word: As it is written.
        owner: The step's own word.
        params: Of what the step calls.
        context: With the names of the notebook and of the block.
        is_free: Whether a parameter has no value yet.
    """
    roles: tuple[catalogue.Role, ...] = ("initializer", "regularizer", "constraint", "metric")
    for role in roles:
        takers = [each.name for each in params.values() if each.role == role]
        if takers and _is_one(role, word.split("(", maxsplit=1)[0]):
            if role == "metric" and not is_free(takers[0]):
                return f"Several metrics are parted by commas: {takers[0]}=accuracy,{word}."
            return f"{word} is {_a(role)}: write {takers[0]}={word}."
    if word in context.params:
        return f"For the value of {word} write it in braces: {{{word}}}."
    if word in context.names:
        return f"For the notebook's {word} write it in braces: {{{word}}}."
    if "dtype" in params and word in _DTYPES:
        return f"Here it is written {_DTYPES[word]}."
    return _near(word, params) or _own_line(word, owner)


def _is_one(role: catalogue.Role, word: str) -> bool:
    return bool(catalogue.find_object(role, word)) or (
        role == "metric" and catalogue.accepts_string(role, word)
    )


def _near(word: str, params: Mapping[str, Parameter]) -> str:
    found = nearest(word, _words(params))
    if found and found[0] in catalogue.words_for_role("activation"):
        return f"Did you mean {found[0]}?   The other activations: %keras_layers activations"
    if found:
        return f"Did you mean {found[0]}?"
    others = nearest(word, params)
    return f"Did you mean {others[0]}=...?" if others else ""


def _words(params: Mapping[str, Parameter]) -> Iterable[str]:
    """Words that would find their parameter by themselves."""
    yield from (each.name for each in params.values() if each.is_flag)
    if "activation" in params:
        yield from catalogue.words_for_role("activation")
    if "padding" in params:
        yield from catalogue.PADDINGS
    if "dtype" in params:
        yield from catalogue.DTYPES


def _own_line(word: str, owner: str) -> str:
    if owner != "compile" and word != "layer" and catalogue.find_object("layer", word) is not None:
        return f"A layer has a line of its own, or ` / ` before it: `/ {word}`."
    return ""


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
