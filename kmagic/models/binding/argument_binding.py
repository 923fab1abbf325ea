"""Binds a step's values to the parameters of a Keras signature."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kmagic.language import format_value, spec
from kmagic.language.formatter import format_arg
from kmagic.language.spec import Arg, LiteralValue, NotebookValue, Object, Span, Value, Word
from kmagic.language.vocabulary import CALL_ARGUMENTS, old_argument_remedy
from kmagic.models import catalogue
from kmagic.models.binding.build_context import UNRESOLVED, BuildContext
from kmagic.models.binding.memory_limit import StepError, check_array
from kmagic.models.catalogue import (
    WEIGHT_ROLES,
    Parameter,
    Role,
    accepts_string,
    find_object,
    is_of_keras,
)
from kmagic.support.formatting import join_with_and
from kmagic.support.suggestions import Suggestion, did_you_mean, nearest

Resolve = Callable[[Any, Role, BuildContext], Any]
_OBJECT_ONLY_ROLES = ("activation", *WEIGHT_ROLES)
_OPTIMIZER_ARGUMENTS = frozenset(
    {"lr", "learning_rate", "momentum", "decay", "weight_decay", "clipnorm", "beta_1", "rho"}
)
_PYTHON_DTYPES = {"double": "float64", "float": "float32", "int": "int32", "str": "string"}
_MAX_SHOWN = 6
"""A remedy lists at most this many parameters."""
_MAX_CHECKED = 10_000_000
"""Elements of an array that are checked; one of the notebook may be a view of any size."""


@dataclass(slots=True)
class BoundArguments:
    """Arguments for one call of a Keras class or function.

    Attributes:
        kwargs: By parameter name.
        spans: Their positions in the text.
        adapt: Data to adapt the layer to, or None.
        valid: Whether no mistake was found.
    """

    kwargs: dict[str, Any] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    adapt: Any = None
    valid: bool = True


def bind_arguments(  # noqa: PLR0917 - all six are always given
    function: Callable[..., Any],
    word: str,
    args: tuple[Arg, ...],
    span: Span,
    context: BuildContext,
    resolve: Resolve,
) -> BoundArguments:
    """Give each value of a step its parameter.

    A bare word is bound by its meaning, wherever it is: the name of a boolean parameter, a
    padding, an activation, a dtype. All other values are bound in the order of the parameters.

    Args:
        function: A class or function with a signature.
        word: Its word in the text.
        args: The step's arguments.
        span: The position of the word.
        context: Receives the mistakes.
        resolve: Converts a value of the text to a Python value, given its role.
    """
    if word == "input" and _is_only_string_dtype(args):
        args = (Arg(LiteralValue(1, span=span), span=span), *args)  # one string per sample
    return _ArgumentBinder(function, word, span, context, resolve).bind(args)


def _is_only_string_dtype(args: tuple[Arg, ...]) -> bool:
    """Whether an input has the dtype string, and no shape."""
    strings = [arg for arg in args if arg.name in (None, "dtype") and _word_of(arg) == "string"]
    others = {arg.name for arg in args if arg not in strings}
    return bool(strings) and not others & {None, "shape", "batch_shape", "tensor"}


@dataclass(slots=True)
class _ArgumentBinder:
    function: Callable[..., Any]
    word: str
    span: Span
    context: BuildContext
    resolve: Resolve
    bound: BoundArguments = field(default_factory=BoundArguments)
    params: dict[str, Parameter] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    is_full: bool = False

    def bind(self, args: tuple[Arg, ...]) -> BoundArguments:
        self.params = {param.name: param for param in catalogue.parameters(self.function)}
        self.named = {arg.name for arg in args if arg.name}
        for index, arg in enumerate(args):
            following = args[index + 1 :]
            if arg.name is not None:
                self._bind_keyword(arg.name, arg)
            elif self._is_layer_without_parentheses(arg, following):
                inner = " ".join(map(format_arg, args[index:]))
                remedy = f"Write {self.word}({inner})."
                self._report("must be in parentheses, with its arguments", arg.span, remedy)
                break
            elif not self._is_keyword_without_sign(arg, following[:1]):
                self._bind_positional(arg, args[index - 1] if index else None)
        missing = [
            param.name
            for param in self.params.values()
            if param.required and param.name not in self.bound.spans
        ]
        if missing and self.bound.valid:
            needed = join_with_and(missing)
            self._report(f"{self.word} needs {needed}", self.span, self._signature())
        return self.bound

    # --- one argument -------------------------------------------------------------------------

    def _bind_keyword(self, name: str, arg: Arg) -> None:
        param = self.params.get(name)
        if name == "adapt" and hasattr(self.function, "adapt"):
            self.bound.spans[name] = arg.value.span
            self.bound.adapt = self.resolve(arg.value, "any", self.context)
        elif param is not None:
            self._set(param, arg)
        elif catalogue.takes_any_keyword(self.function) and not is_of_keras(self.function):
            self._set(Parameter(name, catalogue.role_of(name)), arg)
        else:
            remedy = self._keyword_remedy(name, arg.value)
            self._report(f"{self.word} has no argument {name}", arg.span, remedy)

    def _keyword_remedy(self, name: str, value: Value) -> str:
        if name in ("input_shape", "input_dim") and isinstance(value, LiteralValue | spec.Shape):
            return f"Write the shape on a separate line: `input {format_value(value)}`."
        if remedy := old_argument_remedy(name, self.params):
            return remedy
        if self.word == "compile" and name in _OPTIMIZER_ARGUMENTS:
            return "Pass it to the optimizer: `compile adam(1e-3) loss=mse`."
        return self._call_remedy(name) or did_you_mean(name, self.params) or self._signature()

    def _call_remedy(self, name: str) -> str:
        """Where an argument of the layer's call is written; "" for any other name."""
        call = getattr(self.function, "call", None)
        if name not in CALL_ARGUMENTS or call is None:
            return ""
        if all(param.name != name for param in catalogue.parameters(call)):
            return ""
        return f"Write it after the inputs: `<- _, {name}={CALL_ARGUMENTS[name]}`."

    def _is_layer_without_parentheses(self, arg: Arg, following: tuple[Arg, ...]) -> bool:
        """Whether a layer as an argument is followed by its own arguments."""
        if not isinstance(arg.value, Word) or all(other.name for other in following):
            return False
        param = self._next_parameter()
        is_for_layer = param is not None and param.role == "layer"
        return is_for_layer and find_object("layer", arg.value.text) is not None

    def _is_keyword_without_sign(self, arg: Arg, following: tuple[Arg, ...]) -> bool:
        """Whether a parameter's name comes before its value without ``=``; if so, report it."""
        name = arg.value
        if isinstance(arg.value, spec.InnerLayer):
            name, following = arg.value.callee, arg.value.args[:1]
        if not isinstance(name, Word) or name.text not in self.params or not following:
            return False
        has_meaning = self._parameter_by_meaning(name.text) is not None
        is_flag = self.params[name.text].is_flag
        if is_flag or following[0].name or has_meaning or self.context.is_variable(name.text):
            return False
        remedy = f"Write its value after `=`: {name.text}={format_value(following[0].value)}."
        self._report("is the name of an argument", name.span, remedy)
        return True

    def _bind_positional(self, arg: Arg, before: Arg | None) -> None:
        if self.is_full:
            return
        word = _word_of(arg)
        param = self._parameter_by_meaning(word) if word is not None else None
        if param is not None and param.is_flag:
            self._set(param, Arg(LiteralValue(True, span=arg.span), span=arg.span))
            return
        param = param or self._next_parameter()
        is_literal = isinstance(arg.value, LiteralValue) and word is None
        is_compile = self.word == "compile"
        if param is None:
            self.is_full = True
            if word is not None:
                self._report_word(word, arg.span)
            else:
                self._report(f"too many values for {self.word}", arg.span, self._signature())
        elif is_compile and is_literal:
            remedy = f"Pass a learning rate to the optimizer: adam({format_value(arg.value)})."
            self._report("unexpected value", arg.span, remedy)
        elif word is not None and self._is_stray_word(param, word):
            self._report_word(word, arg.span)
        elif param.name in self.named:
            self._report_repetition(param.name, arg.span)
        elif param.role in _OBJECT_ONLY_ROLES and is_literal:
            remedy = self._signature()
            if before is not None and isinstance(before.value, Word):
                name = before.value.text
                remedy = f"To pass it to {name}, write {name}({format_value(arg.value)})."
            self._report("unexpected value", arg.span, remedy)
        elif isinstance(arg.value, Object) and self._is_stray_object(param, arg.value):
            self._report_word(format_value(arg.value), arg.span)
        else:
            self._set(param, arg)

    def _parameter_by_meaning(self, word: str) -> Parameter | None:
        flag = self.params.get(word)
        if flag is not None and flag.is_flag and self._is_free(word):
            return flag
        if word in catalogue.PADDINGS and self._is_free("padding"):
            return self.params["padding"]
        if self._is_free("activation") and accepts_string("activation", word):
            return self.params["activation"]
        if word in catalogue.DTYPES and self._is_free("dtype"):
            return self.params["dtype"]
        return None

    def _is_free(self, name: str) -> bool:
        return name in self.params and name not in self.bound.spans and name not in self.named

    def _next_parameter(self) -> Parameter | None:
        for param in self.params.values():
            is_candidate = param.positional and param.name not in self.bound.spans
            if is_candidate and (param.name not in self.named or param.role == "any"):
                return param
        return None

    def _is_stray_word(self, param: Parameter, word: str) -> bool:
        """Whether a bare word cannot be a value of the next parameter in order."""
        if self.word == "compile" and param.name not in {"optimizer", "loss"}:
            return True
        if isinstance(param.default, str) and param.role == "any":
            is_padding = param.name == "padding" and is_of_keras(self.function)
            return is_padding and word not in catalogue.PADDINGS
        if param.role in ("any", "shape"):
            return True
        if find_object(param.role, word) or self.context.is_variable(word):
            return False
        if param.role == "activation":
            return True
        # Else resolving it gives a more precise message.
        is_flag = bool(nearest(word, self._bare_words())) and not accepts_string(param.role, word)
        return is_flag and not nearest(word, catalogue.words_for_role(param.role))

    @staticmethod
    def _is_stray_object(param: Parameter, value: Object) -> bool:
        """Whether an object such as ``l2(0.1)`` belongs to another parameter than the next."""
        if not isinstance(value.callee, Word):
            return False
        if param.role not in catalogue.OBJECT_ROLES and not param.is_flag:
            return False
        word = value.callee.text
        if param.role == "activation" and find_object("layer", word):
            return False
        fits = not param.is_flag and find_object(param.role, word)
        return not fits and any(find_object(role, word) for role in WEIGHT_ROLES)

    def _set(self, param: Parameter, arg: Arg) -> None:
        if param.name in self.bound.spans:
            self._report_repetition(param.name, arg.span)
            return
        if not self._check_boolean(param, arg):
            return
        self.bound.spans[param.name] = arg.value.span
        self.context.argument_names[arg.value.span] = (self.word, param.name)
        value = self.resolve(self._as_float(arg.value, param), param.role, self.context)
        if value is UNRESOLVED:
            self.bound.valid = False
        elif is_of_keras(self.function) and (problem := _problem(value, param)):
            message = f"{param.name} {problem.message}"
            self._report(message, arg.value.span, problem.remedy)
        else:
            self.bound.kwargs[param.name] = value

    def _as_float(self, value: Value, param: Parameter) -> Value:
        """A whole number as the float that Keras insists on in optimizers and ``loss_weights``."""
        module = getattr(self.function, "__module__", "")
        is_of_optimizer = module.startswith("keras.src.optimizers")
        is_weight = self.word == "compile" and param.name == "loss_weights"
        if not is_weight and not (is_of_optimizer and isinstance(param.default, float)):
            return value
        if isinstance(value, LiteralValue | NotebookValue) and type(value.value) is int:
            return replace(value, value=float(value.value))
        return value

    def _check_boolean(self, param: Parameter, arg: Arg) -> bool:
        """Whether a boolean parameter, and no other, gets true or false; if not, report it."""
        if param.is_flag and cannot_be_boolean(arg.value):
            value = format_value(arg.value)
            self._report(f"{param.name} must be true or false; got {value}", arg.value.span)
            return False
        if (
            param.is_flag
            or not isinstance(arg.value, LiteralValue | NotebookValue)
            or not is_of_keras(self.function)
        ):
            return True
        wants_object = param.role in catalogue.OBJECT_ROLES
        wants_number = param.required or isinstance(param.default, int | float | tuple)
        if isinstance(arg.value.value, bool | np.bool_) and (wants_object or wants_number):
            remedy = f"For none, write {param.name}=none." * (param.default is None)
            self._report(f"{param.name} must not be true or false", arg.value.span, remedy)
            return False
        return True

    # --- problems -----------------------------------------------------------------------------

    def _report(self, message: str, span: Span, remedy: str = "") -> None:
        self.bound.valid = False
        self.context.report(message, span, remedy)

    def _report_repetition(self, name: str, span: Span) -> None:
        self._report(f"{self.word} already has {name}", span, "Remove one of the two.")

    def _report_word(self, word: str, span: Span) -> None:
        if re.fullmatch(r"[xX]\d*", word):
            remedy = "Write a shape without spaces, `28x28x1`; to repeat a line, add ` * 3`."
            self._report("unexpected word", span, remedy)
            return
        if word in catalogue.PADDINGS and "padding" in self.params:
            self._report_repetition("padding", span)
            return
        has_activation = "activation" in self.params
        if accepts_string("activation", word) and "activation" in self.named:
            self._report_repetition("activation", span)
            return
        if accepts_string("activation", word):
            has = "already has an activation" if has_activation else "has no activation"
            remedy = f"Write the activation as a layer of its own: `/ {word}`."
            self._report(f"{self.word} {has}", span, remedy)
            return
        if word not in self.context.params and self.context.report_own_name(word, span):
            self.bound.valid = False
            return
        message = f"is not a parameter of {self.word}"
        if has_activation:
            message = f"is neither an activation nor a parameter of {self.word}"
        param = self._next_parameter()
        if param is not None and param.role == "any":
            is_size = isinstance(param.default, int | float | tuple) and not param.is_flag
            if param.required or (is_size and not has_activation):
                message = f"is neither a value for {param.name} nor a known word"
        remedy = self._word_remedy(word)
        is_layer = find_object("layer", word) is not None and word != "layer"
        if not remedy and is_layer and self.word != "compile":
            remedy = f"Write a layer on a new line, or after ` / `: `/ {word}`."
            self.is_full = True  # what follows belongs to that layer
        if not remedy and has_activation:
            remedy = "List all activations: %keras_layers activations"
        self._report(message, span, remedy or self._signature())

    def _word_remedy(self, word: str) -> str:
        """What to write instead of a word that fits no parameter; "" if nothing is similar."""
        roles: tuple[Role, ...] = (*WEIGHT_ROLES, "metric")
        for role in roles:
            takers = [param.name for param in self.params.values() if param.role == role]
            if takers and _has_role(word.split("(", maxsplit=1)[0], role):
                if role == "metric" and not self._is_free(takers[0]):
                    return f"Separate metrics with commas: {takers[0]}=accuracy,{word}."
                article = "an" if role == "initializer" else "a"
                change = f"{takers[0]}={word}"
                return Suggestion(word, change, f"{word} is {article} {role}: write {change}.")
        if remedy := self._call_remedy(word):
            return remedy
        if word in self.context.params:
            return Suggestion(word, f"{{{word}}}", f"For the value of {word}, write {{{word}}}.")
        param, is_variable = self._next_parameter(), self.context.is_variable(word)
        if is_variable and param is not None and param.name not in self.named:
            remedy = f"For the notebook variable {word}, write {{{word}}}."
            return Suggestion(word, f"{{{word}}}", remedy)
        if "dtype" in self.params and word in _PYTHON_DTYPES:
            dtype = _PYTHON_DTYPES[word]
            return Suggestion(word, dtype, f"Write {dtype}.")
        similar = nearest(word, self._bare_words())
        is_activation = bool(similar) and similar[0] in catalogue.words_for_role("activation")
        if is_activation and not self._is_free("activation"):
            return (
                f"Did you mean {similar[0]}? {self.word} already has an activation: write it as "
                f"a layer of its own, `/ {similar[0]}`."
            )
        if is_activation:
            remedy = f"Did you mean {similar[0]}? All activations: %keras_layers activations"
            return Suggestion(word, similar[0], remedy)
        if similar:
            return Suggestion(word, similar[0])
        for param in self.params.values():
            values = catalogue.words_for_role(param.role) if param.role in WEIGHT_ROLES else ()
            if similar := nearest(word, values):
                return Suggestion(word, f"{param.name}={similar[0]}")
        names = nearest(word, filter(self._is_free, self.params))
        return f"Did you mean {names[0]}=...?" if names else ""

    def _bare_words(self) -> set[str]:
        """The words that need no parameter's name, and whose parameter has no value yet."""
        flags = {param.name for param in self.params.values() if param.is_flag}
        words = set(filter(self._is_free, flags))
        if "activation" in self.params:
            words |= set(catalogue.words_for_role("activation"))
        if self._is_free("padding"):
            words |= set(catalogue.PADDINGS)
        if self._is_free("dtype"):
            words |= catalogue.DTYPES
        return words

    def _signature(self) -> str:
        shown = [
            param.name + f"={catalogue.python_value_text(param.default)}" * (not param.required)
            for param in self.params.values()
            if param.positional
        ]
        rest = f" ... (all: %keras_layers {self.word})" if len(shown) > _MAX_SHOWN else ""
        return f"{self.word} takes: {' '.join(shown[:_MAX_SHOWN]) or 'no values'}{rest}"


def with_name(cls: Any, args: tuple[Arg, ...], name: str | None, span: Span) -> tuple[Arg, ...]:
    """Arguments of a class with the name of the object, if it can have one and has none yet."""
    if not name or any(arg.name == "name" for arg in args):
        return args
    has_name = any(param.name == "name" for param in catalogue.parameters(cls))
    if not has_name and not catalogue.takes_any_keyword(cls):
        return args
    return (*args, Arg(LiteralValue(name, span=span), "name", span=span))


def with_flags(function: Callable[..., Any], args: tuple[Arg, ...]) -> tuple[Arg, ...]:
    """Arguments of a function, with bare names of Keras's boolean parameters as true."""
    if not is_of_keras(function):
        return args
    flags = {param.name for param in catalogue.parameters(function) if param.is_flag}
    return tuple(
        Arg(LiteralValue(True, span=arg.span), arg.value.text, span=arg.span)
        if arg.name is None and isinstance(arg.value, Word) and arg.value.text in flags
        else arg
        for arg in args
    )


def _has_role(word: str, role: Role) -> bool:
    return bool(find_object(role, word)) or (role == "metric" and accepts_string(role, word))


def _problem(value: Any, param: Parameter) -> StepError | None:
    """Why Keras must not get a value: a number in it is infinite or NaN, or it is too large."""
    if isinstance(value, Mapping | list | tuple):
        parts = value.values() if isinstance(value, Mapping) else value
        return next((problem for part in parts if (problem := _problem(part, param))), None)
    array = np.asarray(value) if isinstance(value, float | np.floating | np.ndarray) else None
    if array is not None and array.size > _MAX_CHECKED:
        try:
            check_array(array.shape, array.dtype)
        except StepError as error:
            return error
        return None
    if array is None or array.dtype.kind != "f" or np.isfinite(array).all():
        return None
    if np.all(array == np.inf) and param.name.startswith("max"):  # no bound
        return None
    return StepError(f"must be finite; got {array[~np.isfinite(array)].flat[0]}", "")


def cannot_be_boolean(value: Value) -> bool:
    """Whether a boolean parameter must not get a value."""
    if isinstance(value, LiteralValue):
        return value.value not in (True, False, None)  # 0 and 1 are as good
    return isinstance(value, Word | Object | spec.Shape)


def _word_of(arg: Arg) -> str | None:
    if isinstance(arg.value, Word):
        return arg.value.text
    if isinstance(arg.value, NotebookValue) and isinstance(arg.value.value, str):
        return arg.value.value
    return None
