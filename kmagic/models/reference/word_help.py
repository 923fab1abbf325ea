"""The help of one word."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmagic.models import catalogue
from kmagic.models.catalogue import Role
from kmagic.models.reference.docstring import Docstring, docstring, shape_words
from kmagic.models.reference.language_words import LanguageWord
from kmagic.models.reference.word_examples import WordExample, word_example
from kmagic.models.reference.word_families import KerasWord, family_of
from kmagic.models.reference.word_list import word_summary
from kmagic.support.errors import KmagicError
from kmagic.support.formatting import format_output_shape
from kmagic.support.rendering import Renderable
from kmagic.support.suggestions import did_you_mean


@dataclass(frozen=True, slots=True)
class ArgumentHelp:
    """One argument of a word.

    Attributes:
        name: Keras's name of it.
        default: As the language writes it; None if the argument must be given.
        role: What kind of words it takes, or "any".
        is_flag: Whether its bare name sets it and ``!name`` clears it.
        positional: Whether its value can stand without its name.
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
    """A line of the example, and the shape that leaves it."""

    text: str
    shape: str = ""


@dataclass(frozen=True)
class WordHelp(Renderable):
    """The help of one word.

    Attributes:
        word: As it is written.
        name: Where Keras keeps it: "keras.layers.Conv2D"; "" for the language's own words.
        usage: How a line with it looks.
        summary: What it is, in a sentence.
        details: More about it, in paragraphs.
        aliases: Other words for the same.
        other_meanings: Other meanings of the word, as words to ask for: "metric hinge".
        arguments: Of the constructor, in the order of positional values.
        call_arguments: What can stand right of the arrow.
        shape_in: The shape it takes, without the batch.
        shape_out: The shape it gives, without the batch.
        example: Lines in the language that build.
        setup: Python lines that the example stands on.
        no_example: Why there is no example, or "".
    """

    renderer = "kmagic.display.model.reference_card:entry_bundle"

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


def word_help(known: KerasWord, also: Sequence[str]) -> WordHelp:
    """The help of a word of Keras's."""
    told = docstring(known.value)
    arguments = () if known.role == "activation" else _arguments(known.value)
    made = _example(known)
    shape_in, shape_out = _shapes(known, told)
    return WordHelp(
        word=known.word,
        name=_keras_name(known),
        usage=_form(known, arguments),
        summary=word_summary(known),
        details=told.details,
        aliases=known.aliases,
        other_meanings=tuple(also),
        arguments=arguments,
        call_arguments=_call_arguments(known, told),
        shape_in=shape_in,
        shape_out=shape_out,
        example=_lines(made),
        setup=made.setup,
        no_example=made.no_example,
    )


def language_word_help(native: LanguageWord) -> WordHelp:
    """The help of one of the language's own words."""
    import keras  # noqa: PLC0415 - takes seconds

    functions = {"Input": keras.Input, "compile": keras.Model.compile, "Model": None}
    function = functions.get(native.see)
    made = WordExample(native.example, native.setup)
    return WordHelp(
        word=native.word,
        name=f"keras.Model.{native.see}" if native.see == "compile" else "",
        usage=native.usage,
        summary=native.summary,
        arguments=_arguments(function) if function is not None else (),
        example=_lines(made),
        setup=native.setup,
    )


def ops_help(name: str) -> WordHelp:
    """The help of a function of keras.ops.

    Raises:
        KmagicError: There is no such function.
    """
    import keras  # noqa: PLC0415 - takes seconds

    function = getattr(keras.ops, name, None)
    if not inspect.isfunction(function):
        known = (f"ops.{each}" for each in vars(keras.ops) if not each.startswith("_"))
        remedy = did_you_mean(f"ops.{name}", known) or "All of them: %keras_layers ops"
        raise KmagicError(f"ops.{name} is not in keras.ops", remedy)
    told = docstring(function)
    return WordHelp(
        word=f"ops.{name}",
        name=f"keras.ops.{name}",
        usage=f"ops.{name} ARGUMENTS <- INPUTS",
        summary=told.summary,
        details=told.details,
        arguments=_arguments(function),
        no_example="Tensors come first: they stand right of the arrow, the rest left of it.",
    )


# --- arguments ----------------------------------------------------------------------------------


def _arguments(function: Any) -> tuple[ArgumentHelp, ...]:
    if function is None:
        return ()
    told = argument_descriptions(function)
    return tuple(
        ArgumentHelp(
            each.name,
            None if each.required else catalogue.python_value_text(each.default),
            each.role,
            each.is_flag,
            each.positional,
            told.get(each.name, ""),
        )
        for each in catalogue.parameters(function)
        if each.name != "self" and (each.positional or each.name in told)
    )


def argument_descriptions(function: Any) -> dict[str, str]:
    """What Keras says of each argument of a class or function, its bases' words included."""
    found: dict[str, str] = dict(_COMMON)
    bases = reversed(function.__mro__) if inspect.isclass(function) else [function]
    for each in bases:
        if each is not object:
            found |= docstring(each).arguments()
    return found


_COMMON = {
    "activity_regularizer": "Regularizer for the layer's output.",
    "autocast": "Whether inputs are cast to the layer's compute dtype.",
    "data_format": '`"channels_last"` or `"channels_first"`: where the channels stand.',
    "dtype": "The dtype of computations and weights, or a policy for both.",
    "name": "The object's name.",
    "seed": "A whole number that makes the random choices repeatable.",
    "trainable": "Whether training changes the weights.",
}
"""What Keras leaves unsaid of arguments that many of its classes share."""


def _call_arguments(known: KerasWord, told: Docstring) -> tuple[ArgumentHelp, ...]:
    """What stands right of the arrow, as far as it goes beyond the layer's one input."""
    if known.role != "layer":
        return ()
    said = told.arguments("Call arguments")
    said.setdefault("sequences", said.get("inputs", ""))
    try:
        signature = inspect.signature(known.value.call)
    except (AttributeError, TypeError, ValueError):
        return ()
    found = []
    for param in list(signature.parameters.values())[1:]:
        if param.kind in (param.VAR_POSITIONAL, param.VAR_KEYWORD):
            continue
        required = param.default is param.empty
        found.append(
            ArgumentHelp(
                param.name,
                None if required else catalogue.python_value_text(param.default),
                is_flag=isinstance(param.default, bool),
                description=said.get(param.name, "") or _CALLS.get(param.name, ""),
            )
        )
    return tuple(found) if len(found) > 1 else ()


_CALLS = {
    "inputs": "The layer's input.",
    "training": "Whether the layer behaves as in training; by default as the model does.",
    "mask": "A boolean tensor that tells which timesteps count.",
    "query_mask": "A boolean tensor that tells which timesteps of the query count.",
    "value_mask": "A boolean tensor that tells which timesteps of the value count.",
    "key_mask": "A boolean tensor that tells which timesteps of the key count.",
    "initial_state": "The state to begin with; by default zeros.",
    "states": "The state of the step before.",
    "data": "The pictures, or a dictionary of them with their labels, boxes and masks.",
    "sequences": "The layer's input.",
}


# --- form, shapes, example ----------------------------------------------------------------------


def _form(known: KerasWord, arguments: Sequence[ArgumentHelp]) -> str:
    """The line with what must be given, and the first of what can be."""
    required = [each.name.upper() for each in arguments if each.default is None]
    optional = [each for each in arguments if each.default is not None and each.positional]
    most = 3
    shown = [f"[{each.name}={each.default}]" for each in optional[:most]]
    more = " ..." if len(optional) > most else ""
    if known.role == "layer":
        return " ".join([known.word, *required, *shown]) + more
    if not required and not shown:
        return known.word
    return f"{known.word}({', '.join(required + [each.strip('[]') for each in shown])}{more})"


def _shapes(known: KerasWord, told: Docstring) -> tuple[str, str]:
    if known.role != "layer":
        return "", ""
    into = told.shape("Input shape")
    if not into:
        calls = told.arguments("Call arguments")
        into = _tuple_in(calls.get("inputs", "") or calls.get("sequence", ""))
    return into, told.shape("Output shape")


def _tuple_in(text: str) -> str:
    found = shape_words(text)
    return found if re.fullmatch(r"[\w.]+(?: x [\w.]+)+", found) else ""


def _keras_name(known: KerasWord) -> str:
    if known.value is None:
        return ""
    name = getattr(known.value, "__name__", "")
    members: Mapping[str, Any] = catalogue.members(known.role)
    if members.get(name) is not known.value:
        name = next((each for each, value in members.items() if value is known.value), "")
    if not name:  # a class of the notebook's
        return "of this notebook"
    module: str = catalogue.keras_module(known.role).__name__
    return f"{module}.{name}"


def _example(known: KerasWord) -> WordExample:
    if known.role == "layer" and family_of(known.value) == "other" and not known.word.islower():
        return WordExample()  # the notebook's own class: what it takes, only its author knows
    return word_example(known)


def _lines(made: WordExample) -> tuple[ExampleLine, ...]:
    """The example's lines with the shapes that leave them, from a model built of them."""
    lines = made.text.splitlines()
    if not lines:
        return ()
    shapes = _shapes_of(made)
    return tuple(
        ExampleLine(text, "" if text.endswith(":") else shapes.get(number, ""))
        for number, text in enumerate(lines, 1)
    )


def _shapes_of(made: WordExample) -> dict[int, str]:
    from kmagic.models.build import build, origin_of  # noqa: PLC0415 - not before it is asked

    names: dict[str, Any] = {}
    exec(made.setup, names)  # noqa: S102 - lines of our own, from this package
    names.pop("__builtins__", None)
    built = origin_of(build(made.text, **names))
    steps = built.steps if built is not None else ()
    return {step.node.span.line: format_output_shape(step.shape) for step in steps}
