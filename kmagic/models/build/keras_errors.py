"""Why a layer refuses what reached it, in the words of the text and without Keras's own.

Keras's message tells what kind of refusal it is; the shapes, and where they come from, are known
here better than there.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmagic.models.catalogue import python_value_text
from kmagic.support.formatting import format_output_shape
from kmagic.support.suggestions import did_you_mean

_MEANINGS = {
    2: "one dimension, features",
    3: "two dimensions, steps x features",
    4: "three dimensions, height x width x channels",
    5: "four dimensions, depth x height x width x channels",
}
"""What the dimensions mean, by their number with that of the samples."""
_MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
_REDUCING = ("Flatten", "Global")


@dataclass(frozen=True, slots=True)
class Reached:
    """One of the inputs that reached a layer.

    Attributes:
        shape: With the batch dimension.
        label: What the text calls it: "a", or "conv2d in line 4".
        word: The word of the layer that it comes from.
        line: That layer's line, as the user's editor counts.
        layer: That layer.
    """

    shape: Any
    label: str = ""
    word: str = ""
    line: int = 0
    layer: Any = None


@dataclass(frozen=True, slots=True)
class _Case:
    """A refusal that is looked at."""

    error: BaseException
    message: str
    word: str
    layer: Any
    inputs: Sequence[Reached]

    @property
    def shapes(self) -> str:
        """What reached the layer: "28 x 28", or "4 from a and 5 from b"."""
        shown = [
            f"{format_output_shape(each.shape)} from {each.label}"
            if each.label and len(self.inputs) > 1
            else format_output_shape(each.shape)
            for each in self.inputs
        ]
        return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)

    @property
    def is_one(self) -> bool:
        """Whether a single tensor reached the layer."""
        return len(self.inputs) == 1 and not isinstance(self.inputs[0].shape, list | dict)

    @property
    def kind(self) -> str:
        """Name of the layer's class."""
        return type(self.layer).__name__

    def has(self, *texts: str) -> bool:
        """Whether Keras's message holds one of these."""
        return any(each in self.message for each in texts)


def explain(error: BaseException, word: str, layer: Any, inputs: Sequence[Reached]) -> Refusal:
    """Why a layer refused what reached it.

    Args:
        error: What Keras raised.
        word: What the text calls the layer.
        layer: The layer, or a function that is applied like one.
        inputs: What reached it.
    """
    case = _Case(error, error_summary(error), word, layer, inputs)
    for rule in _RULES:
        found = rule(case)
        if found is not None:
            return found
    why = tidy(case.message)
    return Refusal(f"{word} does not take {case.shapes or 'this'}: {why}")


def explain_model(error: BaseException) -> str:
    """Why the layers do not make a model."""
    message = error_summary(error)
    twice = re.search(r'name "(?P<name>.*?)" is used (?P<count>\d+) times', message)
    if twice:
        return f"{twice['count']} layers have the name {twice['name']}"
    return f"this does not make a model: {tidy(message)}"


# --- the rules, tried in their order -----------------------------------------------------------


def _call_word(case: _Case) -> Refusal | None:
    found = re.search(r"got an unexpected keyword argument '(\w+)'", case.message)
    if not found:
        return None
    known = _call_words(case.layer)
    remedy = did_you_mean(found[1], known) or f"It takes: {', '.join(known) or 'nothing by name'}."
    return Refusal(f"{case.word} takes no {found[1]} where it is used", remedy, found[1])


def _call_words(layer: Any) -> list[str]:
    """Names of what a layer takes beside its first input."""
    try:
        params = list(inspect.signature(getattr(layer, "call", layer)).parameters.values())
    except (TypeError, ValueError):
        return []
    return [each.name for each in params[1:] if each.kind is not each.VAR_KEYWORD]


def _attention(case: _Case) -> Refusal | None:
    missing = re.search(
        r"missing (?:a|\d+) required (?:positional )?arguments?: (.*)", case.message
    )
    pair = case.has("must be called on a list of inputs, namely [query, value]")
    if not pair and not missing:
        return None
    wanted = "value" if pair or missing is None else missing[1].replace("'", "")
    remedy = f"For attention to itself: `{case.word} ... <- _, _`."
    if wanted != "value":
        remedy = f"Name the inputs behind an arrow: `{case.word} ... <- a, b`."
    return Refusal(f"{case.word} needs another input: {wanted} is missing", remedy)


def _merge(case: _Case) -> Refusal | None:
    if case.kind not in (*_MERGES, "Concatenate", "Dot"):
        return None
    if case.is_one:
        remedy = f"Name them behind an arrow: `{case.word} <- a, b`."
        return Refusal(f"{case.word} joins several outputs, and only one reached it", remedy)
    if case.kind == "Subtract" and len(case.inputs) != 2:  # noqa: PLR2004 - one from another
        return Refusal(f"{case.word} takes two outputs, and {len(case.inputs)} reached it")
    if case.word == "residual":
        entered, leaves = (format_output_shape(each.shape) for each in case.inputs)
        message = f"adds what leaves its body, {leaves}, to what entered it, {entered}"
        remedy = "Both need one shape: let the body end in the shape that entered it."
        return Refusal(message, remedy)
    if case.kind == "Dot":
        remedy = "The sizes along its axes must be equal; axes are counted with the samples as 0."
        return Refusal(f"{case.word} multiplies equal sizes, and got {case.shapes}", remedy)
    if case.kind == "Concatenate":
        remedy = "All dimensions but the joined one must be equal; that is the last, or axis=..."
        return Refusal(f"{case.word} cannot join {case.shapes}", remedy)
    remedy = "Bring them to one shape before it; `concatenate` joins outputs of several sizes."
    return Refusal(f"{case.word} takes outputs of one shape, and got {case.shapes}", remedy)


def _one_input(case: _Case) -> Refusal | None:
    if not case.has("expects 1 input(s)"):
        return None
    remedy = f"Join them first: `concatenate <- a, b / {case.word} ...`."
    return Refusal(f"{case.word} takes one input, and got {case.shapes}", remedy)


def _other_model(case: _Case) -> Refusal | None:
    takes = getattr(case.layer, "input_shape", None) if hasattr(case.layer, "layers") else None
    if not isinstance(takes, tuple) or not case.is_one or None in (takes, case.inputs[0].shape):
        return None
    came = case.inputs[0].shape
    if len(takes) == len(came) and all(
        one is None or other is None or one == other for one, other in zip(takes, came, strict=True)
    ):
        return None
    return Refusal(f"{case.word} takes {format_output_shape(takes)}, and {case.shapes} reached it")


def _rank(case: _Case) -> Refusal | None:
    found = re.search(r"expected (min_|max_)?ndim=(\d+), found ndim=(\d+)", case.message)
    kernel = re.search(
        r"Kernel shape must have the same length.* kernel of shape \((.*?)\)", case.message
    )
    if not case.is_one:
        return None
    if found:
        wanted = int(found[2])
    elif kernel:
        wanted = len(kernel[1].split(","))
    elif case.has("at least 3 dimensions"):  # TimeDistributed
        wanted = 3
    else:
        return None
    came = len(case.inputs[0].shape)
    meaning = _MEANINGS.get(wanted, f"{wanted - 1} dimensions")
    if case.kind == "Permute":
        message = f"{case.word} orders {wanted - 1} dimensions, and {case.shapes} reached it"
        return Refusal(message, "Each dimension stands there once, counted from 1.")
    return Refusal(
        f"{case.word} takes {meaning}, and {case.shapes} reached it",
        _rank_hint(case, wanted, came),
    )


def _rank_hint(case: _Case, wanted: int, came: int) -> str:
    source = case.inputs[0]
    if (wanted, came) == (3, 4) and "1d" in case.word:
        return f"For pictures: `{case.word.replace('1d', '2d')}`."
    if (wanted, came) == (3, 4):
        return "`time_distributed(flatten)` before this line makes one step of each row."
    if wanted < came:
        return "`flatten` or a global pooling before this line takes dimensions away."
    if getattr(source.layer, "return_sequences", None) is False:
        return (
            f"{source.word} in line {source.line} gives its last step only: "
            f"write return_sequences there."
        )
    if type(source.layer).__name__.startswith(_REDUCING):
        return f"{source.word} in line {source.line} takes dimensions away: move it below."
    dims = [str(each) if each else "?" for each in source.shape[1:]]
    change = "input" if source.word == "input" else "reshape"
    before = "" if source.word == "input" else " before this line"
    if (wanted, came) == (4, 3):
        return f"A grey picture has one channel: `{change} {'x'.join(dims)}x1`{before}."
    if (wanted, came) == (3, 2):
        words = "" if before else "; whole numbers first go through `embedding`"
        return f"Steps of one feature: `{change} {dims[0]}x1`{before}{words}."
    return "A `reshape` before this line gives it more dimensions."


def _unknown_size(case: _Case) -> Refusal | None:
    if not any(None in tuple(each.shape)[1:] for each in case.inputs if each.shape):
        return None
    if case.has("must be fully-defined", "fully defined", "should be defined"):
        what = "the size of the last dimension"
    elif "for %" in case.message and "NoneType" in case.message:
        what = "the number of channels"
    else:
        return None
    remedy = "Give the input a number in that place of its shape."
    return Refusal(f"{case.word} needs {what}, and {case.shapes} reached it", remedy)


def _no_axis(case: _Case) -> Refusal | None:
    if not isinstance(case.error, IndexError) or not case.has("tuple index out of range"):
        return None
    axis = getattr(case.layer, "axis", None)
    remedy = "The samples are axis 0, and -1 is the last axis."
    return Refusal(f"{case.word} works along axis {axis}, and {case.shapes} has none", remedy)


def _nothing_left(case: _Case) -> Refusal | None:
    if not case.has("output size would be zero or negative", "should be smaller than"):
        return None
    remedy = "Use a smaller window, fewer of such lines, or padding `same`."
    if "cropping" in case.message:
        remedy = "Crop less."
    return Refusal(f"{case.word} would leave nothing of {case.shapes}", remedy)


def _used_again(case: _Case) -> Refusal | None:
    found = re.search(r"expected axis (-?\d+) of input shape to have value (\d+)", case.message)
    if not found:
        return None
    where = "the last dimension" if found[1] == "-1" else f"dimension {found[1]}"
    message = f"{case.word} was made for {found[2]} in {where}, and {case.shapes} reached it"
    return Refusal(message, "A layer that is used again has the weights of its first use.")


def _reshape(case: _Case) -> Refusal | None:
    target = getattr(case.layer, "target_shape", None)
    if case.kind != "Reshape" or not target or not case.is_one:
        return None
    came = case.inputs[0].shape[1:]
    asked = " x ".join("?" if each in (-1, None) else str(each) for each in target)
    if not all(isinstance(each, int) and each > 0 for each in (*target, *came)):
        return Refusal(f"{case.word} cannot make {asked} of {case.shapes}")
    values = f"{math.prod(target):,} values, not of the {math.prod(came):,} that reached it"
    return Refusal(f"{case.word} makes {asked} of {values}")


def _broadcast(case: _Case) -> Refusal | None:
    if not case.has(
        "Cannot broadcast", "cannot be broadcasted", "ncompatible shapes", "Inner dimensions"
    ):
        return None
    return Refusal(f"{case.word} cannot bring these shapes together: {case.shapes}")


_RULES: tuple[Callable[[_Case], Refusal | None], ...] = (
    _call_word,
    _attention,
    _merge,
    _one_input,
    _other_model,
    _rank,
    _unknown_size,
    _no_axis,
    _nothing_left,
    _used_again,
    _reshape,
    _broadcast,
)


_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_CALLING = re.compile(r"Exception encountered when calling .*?\n+", re.DOTALL)
_RECEIVED = re.compile(
    r"\W*\b(?:Full (?:input )?shapes?|Received|Inputs received|Arguments)\b.*", re.DOTALL
)
_SHAPE = re.compile(r"\(None(?:, (?:None|\d+))*,?\)")


def error_summary(error: BaseException) -> str:
    """The essential first paragraph of an exception's message."""
    text = _ANSI.sub("", str(error)).strip()
    text = _CALLING.sub("", text)
    _, _, inner = text.rpartition("Error encountered:")  # in a layer of the user's own
    text = inner.strip() or text
    paragraph = re.split(r"\n\s*\n", text)[0]
    paragraph = " ".join(paragraph.split())
    return paragraph or type(error).__name__


def tidy(message: str) -> str:
    """A message of Keras's without what it received, code marks, and the batch dimension."""
    message = _RECEIVED.sub("", message) or message
    message = _SHAPE.sub(lambda found: format_output_shape(_dimensions(found[0])), message)
    return message.replace("`", "").strip(" .")


def _dimensions(text: str) -> tuple[int | None, ...]:
    return tuple(None if each == "None" else int(each) for each in re.findall(r"None|\d+", text))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something of Keras's was refused.

    Attributes:
        message: What was expected, and what came.
        remedy: What to do.
        argument: Name of the argument that is at fault, if one is.
    """

    message: str
    remedy: str = ""
    argument: str = ""


def explain_argument(
    error: BaseException, word: str, arguments: Mapping[str, Any], known: Iterable[str] = ()
) -> Refusal:
    """Why a class did not take its arguments.

    Args:
        error: What it raised.
        word: What the text calls the class.
        arguments: What it was given.
        known: Names of all that it takes.
    """
    message = error_summary(error)
    stray = re.search(r"Unrecognized keyword arguments? passed to \w+: \{'(\w+)'", message)
    if stray:
        remedy = did_you_mean(stray[1], known)
        return Refusal(f"{word} has no argument {stray[1]}", remedy, stray[1])
    named = [
        each
        for each in arguments
        if re.search(rf"\b{re.escape(each)}\b", message) or each.replace("_", " ") in message
    ]
    name = max(named, key=len, default="")
    value = python_value_text(arguments.get(name))
    share = arguments.get(name)
    if re.search(r"between 0 and 1|range \[0, 1[\])]", message) and name:
        percent = isinstance(share, int | float) and 1 < share <= 100  # noqa: PLR2004 - per cent
        remedy = f"Did you mean {share / 100:g}?" if percent else ""  # type: ignore[operator]  # a number
        return Refusal(f"{name} is between 0 and 1, not {value}", remedy, name)
    for pattern, words, remedy in _ARGUMENT_RULES:
        found = re.search(pattern, message)
        if found and (name or "{name}" not in words):
            parts = {"name": name, "value": value, "word": word, **found.groupdict()}
            return Refusal(words.format(**parts), remedy.format(**parts), name)
    found = re.search(r"tuple of (\d+) integers", message)
    if found and name:
        return Refusal(_window(name, int(found[1]), value), "", name)
    found = re.search(r"(?:one of|in) [{\[(](?P<all>['\"][^}\])]*)[}\])]", message)
    if found and name:
        allowed = sorted(set(re.findall(r"['\"]([^'\"]+)['\"]", found["all"])))
        allowed += ["none"] * ("None" in found["all"])
        remedy = did_you_mean(value, allowed)
        return Refusal(f"{name} is {_or(allowed)}, not {value}", remedy, name)
    return Refusal(f"{word}: {tidy(message)}", "", name)


_ARGUMENT_RULES = (
    (
        r"strides > 1.* not supported in conjunction with .*dilation_rate > 1",
        "strides and dilation_rate cannot both be above 1",
        "Leave one of them out.",
    ),
    (r"Negative dimensions are not allowed", "a shape has no negative numbers", ""),
    (r"You must pass a `?shape`? argument", "an input needs a shape", "As in `input 28x28x1`."),
    (r"Invalid dtype: (?P<what>.*)", "{what} is not a dtype", "As in `input 80 int32`."),
    (
        r"tuple of 1 integers",
        "{name} is a whole number above 0, not {value}",
        "",
    ),
    (
        r"expected a positive integer|must be a positive integer|strictly positive|greater than 0",
        "{name} is a whole number above 0, not {value}",
        "",
    ),
    (r"non-negative", "{name} is not negative, but {value} is", ""),
    (
        r"Could not interpret (?P<role>\w+) (?:function )?identifier",
        "{value} has no meaning as {role}",
        "",
    ),
    (
        r"could not be deserialized properly|Please initialize `(?P<what>\w+)` layer with",
        "{word} does not take a layer of this kind",
        "It takes a recurrent layer: `{word}(lstm 32)`.",
    ),
)
"""What is found in Keras's message, and the message and hint that are shown for it."""


def _window(name: str, count: int, value: str) -> str:
    example = "x".join("3" * count)
    return f"{name} is a whole number above 0, or {count} of them as in {example}; not {value}"


def _or(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
