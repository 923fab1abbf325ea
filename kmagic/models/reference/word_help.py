"""The help on one word."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kmagic.models import catalogue
from kmagic.models.catalogue import Parameter, Role
from kmagic.models.reference.docstring import Docstring, docstring, shape_from_text
from kmagic.models.reference.language_words import LanguageWord
from kmagic.models.reference.word_examples import WordExample, word_example
from kmagic.models.reference.word_families import OTHER, KerasWord, family_of
from kmagic.support.errors import KmagicError
from kmagic.support.formatting import format_output_shape
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
    example = WordExample()
    # What a class of the notebook takes is not known.
    if not is_layer or family_of(known.value) != OTHER or known.word.islower():
        example = word_example(known)
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
        example=_example_lines(example.text, example.setup),
        setup=example.setup,
        no_example=example.no_example,
    )


def language_word_help(known: LanguageWord) -> WordHelp:
    """The help on one of the language's own words."""
    import keras  # noqa: PLC0415 - takes seconds

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
    import keras  # noqa: PLC0415 - takes seconds

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
    descriptions = dict(_COMMON_ARGUMENTS)
    owners = reversed(function.__mro__) if inspect.isclass(function) else [function]
    for owner in owners:
        if owner is not object:
            descriptions |= docstring(owner).arguments()
    return descriptions


_COMMON_ARGUMENTS = {
    "activity_regularizer": "Regularizer for the layer's output.",
    "autocast": "Whether inputs are cast to the layer's compute dtype.",
    "data_format": '`"channels_last"` or `"channels_first"`: the position of the channels.',
    "dtype": "The dtype of computations and weights, or a policy for both.",
    "name": "The object's name.",
    "seed": "An integer that makes random choices repeatable.",
    "trainable": "Whether training changes the weights.",
}
"""Arguments of many classes that Keras does not explain."""


def _call_arguments(known: KerasWord, doc: Docstring) -> tuple[ArgumentHelp, ...]:
    """The arguments of a layer's call, unless it only has its input."""
    descriptions = doc.arguments("Call arguments")
    descriptions.setdefault("sequences", descriptions.get("inputs", ""))
    arguments = tuple(
        _argument(param, descriptions.get(param.name) or _COMMON_CALL_ARGUMENTS.get(param.name, ""))
        for param in catalogue.parameters(known.value.call)
    )
    return arguments if len(arguments) > 1 else ()


_COMMON_CALL_ARGUMENTS = {
    "inputs": "The layer's input.",
    "training": "Whether the layer behaves as in training; default: as the model does.",
    "mask": "A boolean tensor: which timesteps to use.",
    "query_mask": "A boolean tensor: which timesteps of the query to use.",
    "value_mask": "A boolean tensor: which timesteps of the value to use.",
    "key_mask": "A boolean tensor: which timesteps of the key to use.",
    "initial_state": "The initial state; default: zeros.",
    "states": "The state of the previous step.",
    "data": "The images, or a dictionary of images, labels, boxes and masks.",
    "sequences": "The layer's input.",
}


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
    origin = origin_of(build_model(text, names))
    steps = origin.steps if origin is not None else ()
    shapes = {step.node.span.line: format_output_shape(step.shape) for step in steps}
    return tuple(
        ExampleLine(line, "" if line.endswith(":") else shapes.get(number, ""))
        for number, line in enumerate(text.splitlines(), 1)
    )
