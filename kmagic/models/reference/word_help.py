"""The help on one word, with an example that is made from its signature."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kmagic.language import parse
from kmagic.language.search_space import first_values
from kmagic.models import catalogue
from kmagic.models.catalogue import Parameter, Role
from kmagic.models.reference.docstring import Docstring, docstring, shape_from_text
from kmagic.models.reference.language_words import WORD_TEXTS, LanguageWord
from kmagic.models.reference.word_families import OTHER, KerasWord, family_of
from kmagic.support.errors import KmagicError
from kmagic.support.formatting import format_output_shape
from kmagic.support.keras_import import keras
from kmagic.support.rendering import Renderable
from kmagic.support.suggestions import did_you_mean

_MAX_OPTIONAL = 3
"""The usage line shows at most this many optional arguments."""


@dataclass(frozen=True, slots=True)
class ArgumentHelp:
    """The help on one argument.

    Attributes:
        name: Its name.
        default: As the language writes it; None if the argument is required.
        role: The role of its words, or "any".
        is_flag: Whether its bare name sets it and ``!name`` clears it.
        positional: Whether its value can be given without its name.
        description: Keras's explanation.
    """

    name: str
    default: str | None
    role: Role = "any"
    is_flag: bool = False
    positional: bool = True
    description: str = ""


@dataclass(frozen=True, slots=True)
class ExampleLine:
    """A line of an example, and the shape of its output."""

    text: str
    shape: str = ""


@dataclass(frozen=True)
class WordHelp(Renderable):
    """The help on one word.

    Attributes:
        word: The word.
        name: Its name in Keras, "keras.layers.Conv2D"; "" for the language's own words.
        usage: How a line with it looks.
        summary: What it is, in one sentence.
        details: Further paragraphs.
        aliases: Other words for it.
        other_meanings: Queries for other meanings of the word: "metric hinge".
        arguments: Arguments of the constructor, in order.
        call_arguments: Arguments after the arrow.
        shape_in: The shape of the input, without the batch.
        shape_out: The shape of the output, without the batch.
        example: Lines of the language that build.
        setup: Python code that the example needs.
        no_example: Why there is no example, or "".
    """

    renderer = "kmagic.display.model.reference_card:word_help_bundle"

    word: str
    name: str = ""
    usage: str = ""
    summary: str = ""
    details: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    other_meanings: tuple[str, ...] = ()
    arguments: tuple[ArgumentHelp, ...] = ()
    call_arguments: tuple[ArgumentHelp, ...] = ()
    shape_in: str = ""
    shape_out: str = ""
    example: tuple[ExampleLine, ...] = ()
    setup: str = ""
    no_example: str = ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.word}: {self.summary}>"


def word_help(known: KerasWord, other_meanings: Sequence[str] = ()) -> WordHelp:
    """The help on a word of Keras's, with queries for its other meanings."""
    doc = docstring(known.value)
    is_layer = known.role == "layer"
    arguments = () if known.role == "activation" else _arguments(known.value)
    text = setup = no_example = ""
    # What a class of the notebook takes is not known.
    if not is_layer or family_of(known.value) != OTHER or known.word.islower():
        text, setup, no_example = word_example(known)
    return WordHelp(
        word=known.word,
        name=_keras_name(known),
        usage=_usage(known, arguments),
        summary=known.summary,
        details=doc.details,
        aliases=known.aliases,
        other_meanings=tuple(other_meanings),
        arguments=arguments,
        call_arguments=_call_arguments(known, doc) if is_layer else (),
        shape_in=_input_shape(doc) if is_layer else "",
        shape_out=doc.shape("Output shape") if is_layer else "",
        example=_example_lines(text, setup),
        setup=setup,
        no_example=no_example,
    )


def language_word_help(known: LanguageWord) -> WordHelp:
    """The help on one of the language's own words."""
    functions = {"input": keras.Input, "compile": keras.Model.compile}
    return WordHelp(
        word=known.word,
        name="keras.Model.compile" if known.word == "compile" else "",
        usage=known.usage,
        summary=known.summary,
        arguments=_arguments(functions.get(known.word)),
        example=_example_lines(known.example, known.setup),
        setup=known.setup,
    )


def ops_help(name: str) -> WordHelp:
    """The help on a function of keras.ops.

    Raises:
        KmagicError: There is no such function.
    """
    function = getattr(keras.ops, name, None)
    if not inspect.isfunction(function):
        known = (f"ops.{other}" for other in vars(keras.ops) if not other.startswith("_"))
        remedy = did_you_mean(f"ops.{name}", known) or "List all: %keras_layers ops"
        raise KmagicError(f"ops.{name} is not in keras.ops", remedy)
    doc = docstring(function)
    return WordHelp(
        word=f"ops.{name}",
        name=f"keras.ops.{name}",
        usage=f"ops.{name} ARGUMENTS <- INPUTS",
        summary=doc.summary,
        details=doc.details,
        arguments=_arguments(function),
        no_example="Write tensors after the arrow, and all other arguments before it.",
    )


# --- arguments ----------------------------------------------------------------------------------


def _arguments(function: Any) -> tuple[ArgumentHelp, ...]:
    if function is None:
        return ()
    descriptions = argument_descriptions(function)
    return tuple(
        _argument(param, descriptions.get(param.name, ""))
        for param in catalogue.parameters(function)
        if param.positional or param.name in descriptions
    )


def _argument(param: Parameter, description: str) -> ArgumentHelp:
    default = None if param.required else catalogue.python_value_text(param.default)
    return ArgumentHelp(
        param.name, default, param.role, param.is_flag, param.positional, description
    )


def argument_descriptions(function: Any) -> dict[str, str]:
    """Keras's explanation of each argument of a class (with its bases) or function."""
    descriptions = dict(WORD_TEXTS["arguments"])
    owners = reversed(function.__mro__) if inspect.isclass(function) else [function]
    for owner in owners:
        if owner is not object:
            descriptions |= docstring(owner).arguments()
    return descriptions


def _call_arguments(known: KerasWord, doc: Docstring) -> tuple[ArgumentHelp, ...]:
    """The arguments of a layer's call, unless it only has its input."""
    descriptions = doc.arguments("Call arguments")
    descriptions.setdefault("sequences", descriptions.get("inputs", ""))
    try:
        params = catalogue.parameters(known.value.call)
    except (AttributeError, TypeError, ValueError):  # a call without a signature
        return ()
    arguments = tuple(
        _argument(
            param, descriptions.get(param.name) or WORD_TEXTS["call_arguments"].get(param.name, "")
        )
        for param in params
    )
    return arguments if len(arguments) > 1 else ()


# --- usage, shapes, example ---------------------------------------------------------------------


def _usage(known: KerasWord, arguments: Sequence[ArgumentHelp]) -> str:
    """The word with its required and its first optional arguments."""
    required = [arg.name.upper() for arg in arguments if arg.default is None]
    optional = [
        f"{arg.name}={arg.default}"
        for arg in arguments
        if arg.default is not None and arg.positional
    ]
    more = " ..." if len(optional) > _MAX_OPTIONAL else ""
    optional = optional[:_MAX_OPTIONAL]
    if known.role == "layer":
        return " ".join([known.word, *required, *(f"[{text}]" for text in optional)]) + more
    if not required and not optional:
        return known.word
    return f"{known.word}({', '.join(required + optional)}{more})"


def _input_shape(doc: Docstring) -> str:
    if shape := doc.shape("Input shape"):
        return shape
    arguments = doc.arguments("Call arguments")
    shape = shape_from_text(arguments.get("inputs", "") or arguments.get("sequence", ""))
    return shape if re.fullmatch(r"[\w.]+(?: x [\w.]+)+", shape) else ""


def _keras_name(known: KerasWord) -> str:
    if known.value is None:
        return ""
    name = getattr(known.value, "__name__", "")
    members = catalogue.members(known.role)
    if members.get(name) is not known.value:
        name = next((other for other, value in members.items() if value is known.value), "")
    if not name:  # a class of the notebook
        return "of this notebook"
    return f"{catalogue.keras_module(known.role).__name__}.{name}"


def _example_lines(text: str, setup: str) -> tuple[ExampleLine, ...]:
    """The lines of an example with the shapes of their outputs, from a model built of them."""
    if not text:
        return ()
    from kmagic.models.build import build_model, origin_of  # noqa: PLC0415 - not before it is needed

    names: dict[str, Any] = {}
    exec(setup, names)  # noqa: S102 - code of this package
    names.pop("__builtins__", None)
    origin = origin_of(build_model(first_values(parse(text, ranges=True)), names))
    steps = origin.steps if origin is not None else ()
    shapes = {step.node.span.line: format_output_shape(step.shape) for step in steps}
    return tuple(
        ExampleLine(line, "" if line.endswith(":") else shapes.get(number, ""))
        for number, line in enumerate(text.splitlines(), 1)
    )


# --- examples -----------------------------------------------------------------------------------

_INPUTS = {1: "20x8", 2: "32x32x3", 3: "16x16x16x3"}
"""The input of a layer with 1D, 2D or 3D in its name."""
_FAMILY_INPUTS = {"recurrent": "20x8", "attention": "20x8", "image preprocessing": "32x32x3"}


def word_example(known: KerasWord) -> tuple[str, str, str]:
    """A text that builds, Python code that it needs, and why there is no text; each may be ""."""
    word, is_layer = known.word, known.role == "layer"
    if is_layer or catalogue.find_object("layer", word) is None:
        example, reason = WORD_TEXTS["examples"].get(word), WORD_TEXTS["no_examples"].get(word)
        if example or reason:
            return example or "", WORD_TEXTS["setups"].get(word, ""), reason or ""
    if is_layer:
        return _layer_text(known), "", ""
    values = _argument_values(known)
    call = f"{word}({', '.join(values)})" if values else word
    if lines := WORD_TEXTS["lines"].get(known.role):
        return f"input 16\n{lines.format(word=word, call=call)}", "", ""
    if "float" in word or known.value is not None:
        return f"input 16\ndense 3 dtype={call}", "", ""
    return f"input 16 {word}\nflatten", "", ""


def _layer_text(known: KerasWord) -> str:
    family = family_of(known.value)
    if family == "merging":
        return f"a = input 16\nb = input 16\n{known.word} <- a, b"
    line = " ".join([known.word, *_argument_values(known)])
    if family == "attention":
        return f"q = input 20x8\nv = input 30x8\n{line} <- q, v"
    if known.word.endswith("_cell"):
        return f"input 20x8\nrnn({line})"
    params = {param.name: param for param in _parameters(known)}
    if family == "convolution" and "padding" in params:
        line += " same"
    if "activation" in params and params["activation"].default is None:
        line += " relu"
    dims = _dims(known)
    shape = _INPUTS[dims] if dims else _FAMILY_INPUTS.get(family, "16")
    return f"input {shape}\n{line}"


def _argument_values(known: KerasWord) -> list[str]:
    params = _parameters(known)
    values = [_value(param, known) for param in params if param.required]
    # The first argument of these is a strength, which is rarely left at its default.
    if not values and known.role in ("regularizer", "constraint", "optimizer"):
        values = [str(param.default) for param in params[:1] if isinstance(param.default, float)]
    return values


def _value(param: Parameter, known: KerasWord) -> str:
    dims = _dims(known)
    if dims and param.name in {"kernel_size", "pool_size", "size"}:
        return "x".join("3" * dims)
    if dims and param.name == "output_size":
        return "x".join("4" * dims)
    return WORD_TEXTS["values"].get(param.name, "1")


def _dims(known: KerasWord) -> int:
    """1, 2 or 3 if the name of the class contains 1D, 2D or 3D; else 0."""
    name = getattr(known.value, "__name__", "")
    return next((dims for dims in _INPUTS if f"{dims}D" in name), 0)


def _parameters(known: KerasWord) -> tuple[Parameter, ...]:
    if known.value is None or not (inspect.isclass(known.value) or known.role == "layer"):
        return ()
    return catalogue.parameters(known.value)
