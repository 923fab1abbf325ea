"""Explains Keras's errors: what a class or layer expected, what it got, and what to write.

Keras's message tells the kind of error. Shapes, and the layers that they come from, are taken from
the model's text, where they are known better.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, cast

from kmagic.language import format_statement, format_value, parse
from kmagic.language.spec import Arg, InnerLayer, LayerSpec, LiteralValue, Shape, Word
from kmagic.models.binding.build_context import Fix
from kmagic.models.catalogue import has_leading_value, python_value_text
from kmagic.support.formatting import MAX_REPR, format_output_shape, shorten_name
from kmagic.support.suggestions import Suggestion, did_you_mean

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_CALLING = re.compile(r"Exception encountered when calling .*?\n+", re.DOTALL)
_RECEIVED = re.compile(
    r"[^\w)\]'\"`]*\b(?:Full (?:input )?shapes?|Received|Inputs received|Arguments)\b.*", re.DOTALL
)
_MAX_MESSAGE = 10_000
"""Keras's messages contain values as they are, also lists of a million numbers."""
_SHAPE = re.compile(r"\(None(?:, (?:None|\d+))*,?\)")


@dataclass(frozen=True, slots=True)
class KerasProblem:
    """Why Keras rejected something.

    Attributes:
        message: What was expected, and what it got.
        remedy: What to do.
        argument: Name of the argument at fault, if there is one.
        fixes: Changes of the text that may help.
    """

    message: str
    remedy: str = ""
    argument: str = ""
    fixes: tuple[Fix, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerInput:
    """One of the inputs of a layer.

    Attributes:
        shape: With the batch dimension.
        label: Its name in the text: "a", or "conv2d in line 4".
        word: The word of the layer that it comes from.
        line: That layer's line in the user's editor.
        layer: That layer.
        spec: Its step in the text.
    """

    shape: Any
    label: str = ""
    word: str = ""
    line: int = 0
    layer: Any = None
    spec: LayerSpec | None = None


def error_summary(error: BaseException) -> str:
    """The first paragraph of an exception's message, without Keras's introduction."""
    text = _ANSI.sub("", str(error)[:_MAX_MESSAGE]).strip()
    text = _CALLING.sub("", text)
    _, _, inner = text.rpartition("Error encountered:")  # in a layer of the user's own
    text = inner.strip() or text
    paragraph = re.split(r"\n\s*\n", text)[0]
    return " ".join(paragraph.split()) or type(error).__name__


def clean_message(message: str) -> str:
    """A message of Keras's without received values, code marks, and batch dimensions."""
    message = _RECEIVED.sub("", message) or message
    message = _SHAPE.sub(lambda shape: _format_shape(_dimensions(shape[0])), message)
    return message.replace("`", "").strip(" .")


def _dimensions(text: str) -> tuple[int | None, ...]:
    return tuple(None if dim == "None" else int(dim) for dim in re.findall(r"None|\d+", text))


def _format_shape(shape: Any) -> str:
    return format_output_shape(shape) or "?"


def _join(items: Sequence[str], word: str) -> str:
    return f" {word} ".join(filter(None, [", ".join(items[:-1]), items[-1]])) if items else ""


# --- errors of a class's arguments ------------------------------------------------------------


def explain_argument_error(
    error: BaseException, word: str, arguments: Mapping[str, Any], known: Iterable[str] = ()
) -> KerasProblem:
    """Why a class did not accept its arguments.

    Args:
        error: The exception.
        word: The word of the class in the text.
        arguments: The arguments it got.
        known: Names of all its parameters.
    """
    message = error_summary(error)
    unknown = re.search(r"Unrecognized keyword arguments? passed to \w+: \{'(\w+)'", message)
    if unknown:
        remedy = did_you_mean(unknown[1], known)
        return KerasProblem(f"{word} has no argument {unknown[1]}", remedy, unknown[1])
    mentioned = (
        name
        for name in arguments
        if re.search(rf"\b{re.escape(name)}\b", message) or name.replace("_", " ") in message
    )
    name = max(mentioned, key=len, default="")
    argument = arguments.get(name)
    value = shorten_name(python_value_text(argument), MAX_REPR)
    if isinstance(argument, tuple) and all(type(size) is int for size in argument):
        value = "x".join(map(str, argument))
    if re.search(r"between 0 and 1|range \[0, 1[\])]", message) and name:
        remedy = ""
        if isinstance(argument, int | float) and 1 < argument <= 100:  # noqa: PLR2004 - a percentage
            remedy = Suggestion(f"{argument:g}", f"{argument / 100:g}")
        return KerasProblem(f"{name} must be between 0 and 1; got {value}", remedy, name)
    for pattern, template, remedy in _ARGUMENT_RULES:
        match = re.search(pattern, message)
        if match and (name or "{name}" not in template):
            parts = {"name": name, "value": value, "word": word, **match.groupdict()}
            return KerasProblem(template.format(**parts), remedy.format(**parts), name)
    match = re.search(r"tuple of (\d+) integers", message)
    if match and name:
        count = int(match[1])
        expected = f"a positive integer, or {count} of them such as {'x'.join('3' * count)}"
        return KerasProblem(f"{name} must be {expected}; got {value}", "", name)
    match = re.search(r"(?:one of|in) [{\[(](?P<all>['\"][^}\])]*)[}\])]", message)
    if match and name:
        allowed = sorted(set(re.findall(r"['\"]([^'\"]+)['\"]", match["all"])))
        allowed += ["none"] * ("None" in match["all"])
        remedy = did_you_mean(value, allowed)
        return KerasProblem(f"{name} must be {_join(allowed, 'or')}; got {value}", remedy, name)
    return KerasProblem(f"{word}: {clean_message(message)}", "", name)


_ARGUMENT_RULES = (
    (
        r"strides > 1.* not supported in conjunction with .*dilation_rate > 1",
        "strides and dilation_rate cannot both be greater than 1",
        "Remove one of the two.",
    ),
    (
        r"should be float, or an instance of LearningRateSchedule",
        "{name} must be a number or a schedule; got {value}",
        "Example: adam(1e-3).",
    ),
    (r"Negative dimensions are not allowed", "sizes in a shape must not be negative", ""),
    (r"You must pass a `?shape`? argument", "input needs a shape", "Example: `input 28x28x1`."),
    (r"Invalid dtype: (?P<what>.*)", "{what} is not a dtype", "Example: `input 80 int32`."),
    (r"tuple of 1 integers", "{name} must be a positive integer; got {value}", ""),
    (
        r"expected a positive integer|must be a positive integer|strictly positive|greater than 0",
        "{name} must be a positive integer; got {value}",
        "",
    ),
    (r"non-negative", "{name} must not be negative; got {value}", ""),
    (
        r"Could not interpret (?P<role>\w+) (?:function )?identifier",
        "{value} cannot be interpreted as {role}",
        "",
    ),
    (
        r"could not be deserialized properly|Please initialize `(?P<what>\w+)` layer with",
        "{word} does not accept this kind of layer",
        "Pass a recurrent layer: `{word}(lstm 32)`.",
    ),
)
"""A pattern in Keras's message, and the message and remedy to show."""


# --- errors of a layer's inputs ---------------------------------------------------------------


_DIMENSIONS = {
    2: "one dimension (features)",
    3: "two dimensions (steps x features)",
    4: "three dimensions (height x width x channels)",
    5: "four dimensions (depth x height x width x channels)",
}
"""The meaning of the dimensions, by their number including the batch."""
_MERGES = frozenset(
    {"Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"}
)
_REDUCING = ("Flatten", "Global")


@dataclass(frozen=True, slots=True)
class _Failure:
    message: str
    word: str
    layer: Any
    inputs: Sequence[LayerInput]
    spec: LayerSpec

    @property
    def shapes(self) -> str:
        """The shapes of the inputs: "28 x 28", or "4 from a and 5 from b"."""
        several = len(self.inputs) > 1
        shapes = [
            _format_shape(value.shape) + f" from {value.label}" * bool(value.label and several)
            for value in self.inputs
        ]
        return _join(shapes, "and")


def explain_layer_error(
    error: BaseException, word: str, layer: Any, inputs: Sequence[LayerInput], spec: LayerSpec
) -> KerasProblem:
    """Why a layer did not accept its inputs.

    Args:
        error: The exception of Keras.
        word: The word of the layer in the text.
        layer: The layer, or a function that is applied like one.
        inputs: What the layer got.
        spec: Its step in the text.
    """
    failure = _Failure(error_summary(error), word, layer, inputs, spec)
    reason = clean_message(failure.message)
    general = KerasProblem(f"{word} does not accept {failure.shapes or 'its input'}: {reason}")
    return next(chain(_call_problems(failure), _shape_problems(failure)), general)


def explain_model_error(error: BaseException) -> str:
    """Why the layers do not form a model."""
    message = error_summary(error)
    twice = re.search(r'name "(?P<name>.*?)" is used (?P<count>\d+) times', message)
    if twice:
        return f"{twice['count']} layers have the name {twice['name']}"
    return f"these layers do not form a model: {clean_message(message)}"


def _call_problems(failure: _Failure) -> Iterator[KerasProblem]:
    """What is wrong with the number and names of the inputs; the first explanation is the best."""
    word, message = failure.word, failure.message
    unknown = re.search(r"got an unexpected keyword argument '(\w+)'", message)
    if unknown:
        known = _call_arguments(failure.layer)
        remedy = did_you_mean(unknown[1], known) or f"Available: {', '.join(known) or 'none'}."
        yield KerasProblem(f"{word} has no call argument {unknown[1]}", remedy, unknown[1])
    function = getattr(failure.layer, "function", None)
    if function is not None and has_leading_value(function) and not failure.layer.args:
        name = next(iter(inspect.signature(function).parameters))
        example = '"ij,jk->ik"' if name == "subscripts" else f"{{{name}}}"
        remedy = f"Write it before the arrow: `{word} {example} <- ...`."
        yield KerasProblem(f"{word} needs {name} before its inputs", remedy)
    missing = re.search(
        r"must be called on a list of inputs, namely \[query, (value)\]"
        r"|missing (?:a|\d+) required (?:positional )?arguments?: (.*)",
        message,
    )
    if missing:
        name = missing[1] or missing[2].replace("'", "")
        remedy = f"Name the inputs after an arrow: `{word} ... <- a, b`."
        if not failure.inputs:
            yield KerasProblem(f"{word} has no input", "Name it first: `<- _, ...`.")
        fixes = (_self_attention(failure.spec),) if name == "value" else ()
        yield KerasProblem(f"{word} needs another input: {name} is missing", remedy, fixes=fixes)
    if type(failure.layer).__name__ in _MERGES:
        yield _merge_problem(failure)
    if "expects 1 input(s)" in message:
        remedy = f"Join them first: `concatenate <- a, b / {word} ...`."
        yield KerasProblem(f"{word} takes one input; got {failure.shapes}", remedy)


def _self_attention(spec: LayerSpec) -> Fix:
    """The same step with its input in the place of a second one, too."""
    first, *others = spec.inputs or (Arg(Word("_")),)
    changed = replace(spec, inputs=(first, first, *others))
    remedy = f"For self-attention, write `{format_statement(changed)}`."
    return Fix(remedy, ((spec, (changed,)),))


def _call_arguments(layer: Any) -> list[str]:
    """Names of the arguments of a layer's call after the first input."""
    try:
        params = list(inspect.signature(getattr(layer, "call", layer)).parameters.values())
    except (TypeError, ValueError):
        return []
    return [param.name for param in params[1:] if param.kind is not param.VAR_KEYWORD]


def _merge_problem(failure: _Failure) -> KerasProblem:
    word, shapes, inputs = failure.word, failure.shapes, failure.inputs
    kind = type(failure.layer).__name__
    if len(inputs) == 1 and not isinstance(inputs[0].shape, list | dict):
        remedy = f"Name them after an arrow: `{word} <- a, b`."
        return KerasProblem(f"{word} needs several inputs; got one", remedy)
    if kind == "Subtract" and len(inputs) != 2:  # noqa: PLR2004 - one from another
        return KerasProblem(f"{word} needs two inputs; got {len(inputs)}")
    if word == "residual":
        entry, output = (_format_shape(value.shape) for value in inputs)
        message = f"cannot add the output of its body, {output}, to its input, {entry}"
        return KerasProblem(message, "Let the body end in the shape of the input.")
    if kind == "Dot":
        remedy = "Choose axes of equal size. Axis 0 is the batch."
        return KerasProblem(f"{word} needs equal sizes along its axes; got {shapes}", remedy)
    if kind == "Concatenate":
        remedy = "All sizes must be equal, except along the joined axis (the last, or axis=...)."
        return KerasProblem(f"{word} cannot join {shapes}", remedy)
    remedy = "Give them the same shape first; `concatenate` joins outputs of different sizes."
    return KerasProblem(f"{word} needs inputs of the same shape; got {shapes}", remedy)


def _shape_problems(failure: _Failure) -> Iterator[KerasProblem]:
    """What is wrong with the shapes of the inputs; the first explanation is the best."""
    word, message, layer, shapes = failure.word, failure.message, failure.layer, failure.shapes
    shape = failure.inputs[0].shape if len(failure.inputs) == 1 else None
    shape = None if isinstance(shape, list | dict) else shape
    kind = type(layer).__name__
    if kind == "TimeDistributed" and shape is not None:
        yield from _time_distributed_problem(failure, len(shape) - 2)
    expected = getattr(layer, "input_shape", None) if hasattr(layer, "layers") else None
    if isinstance(expected, tuple) and shape is not None and not _agree(expected, shape):
        yield KerasProblem(f"{word} expects {_format_shape(expected)}; got {shapes}")
    ndim = _expected_ndim(message)
    if ndim and shape is not None and kind == "Permute":
        remedy = "List each dimension once, counting from 1."
        yield KerasProblem(f"{word} lists {ndim - 1} dimensions; got {shapes}", remedy)
    elif ndim and shape is not None:
        dimensions = _DIMENSIONS.get(ndim, f"{ndim - 1} dimensions")
        fixes = tuple(_rank_fixes(failure, ndim, len(shape)))
        yield KerasProblem(f"{word} expects {dimensions}; got {shapes}", fixes=fixes)
    if any(None in tuple(value.shape)[1:] for value in failure.inputs if value.shape):
        remedy = "Give the input a number for this dimension."
        if re.search(r"must be fully-defined|fully defined|should be defined", message):
            what = "the size of the last dimension"
            yield KerasProblem(f"{word} needs {what}; got {shapes}", remedy)
        elif "for %" in message and "NoneType" in message:
            yield KerasProblem(f"{word} needs the number of channels; got {shapes}", remedy)
    axis = getattr(layer, "axis", None)
    if axis is not None and "tuple index out of range" in message:
        problem = f"{word} uses axis {axis}, which an input of {shapes} "
        remedy = "Axis 0 is the batch, and axis -1 the last dimension."
        yield KerasProblem(f"{problem}does not have", remedy)
    if re.search(r"output size would be zero or negative|should be smaller than", message):
        remedy = "Use a smaller window, fewer such layers, or padding `same`."
        remedy = "Crop less." if "cropping" in message else remedy
        yield KerasProblem(f"{word} would leave nothing of {shapes}", remedy)
    built = re.search(r"expected axis (-?\d+) of input shape to have value (\d+)", message)
    if built:
        where = "the last dimension" if built[1] == "-1" else f"dimension {built[1]}"
        problem = f"{word} was built for size {built[2]} in {where}; got {shapes}"
        yield KerasProblem(problem, "A reused layer has the weights of its first use.")
    target = getattr(layer, "target_shape", None)
    if kind == "Reshape" and target and shape is not None:
        wanted = " x ".join("?" if size in (-1, None) else str(size) for size in target)
        problem = f"{word} cannot convert {shapes} to {wanted}"
        if all(isinstance(size, int) and size > 0 for size in (*target, *shape[1:])):
            needed, actual = math.prod(target), math.prod(shape[1:])
            problem = f"{word} to {wanted} needs {needed:,} values; got {actual:,}"
        yield KerasProblem(problem)
    if re.search(
        r"Cannot broadcast|cannot be broadcasted|ncompatible shapes|Inner dimensions", message
    ):
        yield KerasProblem(f"{word} cannot combine these shapes: {shapes}")


def _time_distributed_problem(failure: _Failure, actual: int) -> Iterator[KerasProblem]:
    """The layer for each step expects more dimensions than a step has."""
    spec, inner = failure.layer.layer.input_spec, failure.spec.args[:1]
    ndim = getattr(spec, "ndim", None) or getattr(spec, "min_ndim", None) or 0
    if actual + 1 >= ndim or ndim not in _DIMENSIONS or ndim == min(_DIMENSIONS):
        return
    value, shapes = inner[0].value if inner else None, failure.shapes
    word = format_value(value.callee) if isinstance(value, InnerLayer) else "its layer"
    problem = (
        f"{failure.word} applies {word} to each step, which must have {_DIMENSIONS[ndim]}; "
        f"got {shapes}"
    )
    fixes: tuple[Fix, ...] = ()
    if isinstance(value, InnerLayer) and isinstance(value.callee, Word):
        alone = replace(failure.spec, callee=value.callee, args=value.args)
        remedy = f"To apply it to the whole input, write `{format_statement(alone)}`."
        fixes = (Fix(remedy, ((failure.spec, (alone,)),)),)
    yield KerasProblem(
        problem, "Its input must have one more dimension, for the steps.", fixes=fixes
    )


def _agree(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(one) == len(other) and all(
        None in pair or pair[0] == pair[1] for pair in zip(one, other, strict=True)
    )


def _expected_ndim(message: str) -> int:
    """The number of dimensions that a layer expects; 0 if its number is not at fault."""
    if ndim := re.search(r"expected (?:min_|max_)?ndim=(\d+), found ndim=\d+", message):
        return int(ndim[1])
    if kernel := re.search(
        r"Kernel shape must have the same length.* kernel of shape \((.*?)\)", message
    ):
        return len(kernel[1].split(","))
    return 3 if "at least 3 dimensions" in message else 0  # TimeDistributed


def _rank_fixes(failure: _Failure, expected: int, actual: int) -> Iterator[Fix]:
    """Changes that may give the input of a layer another number of dimensions, best first."""
    source, spec = failure.inputs[0], failure.spec
    before = source.spec
    where = f"{source.word} in line {source.line}"
    if before is not None and getattr(source.layer, "return_sequences", None) is False:
        flag = Arg(LiteralValue(True), "return_sequences")
        remedy = f"{where} returns only its last step: add return_sequences there."
        yield Fix(remedy, ((before, (replace(before, args=(*before.args, flag)),)),))
    if before is not None and type(source.layer).__name__.startswith(_REDUCING):
        remedy = f"{where} removes dimensions: move it after this line, or remove it."
        yield Fix(remedy, ((before, (replace(before, callee=Word("identity"), args=()),)),))
    if expected == actual + 1:
        larger = "x".join("?" if dim is None else str(dim) for dim in (*source.shape[1:], 1))
        is_image = expected == 4  # noqa: PLR2004 - batch, height, width, channels
        kind = "A grayscale image has one channel" if is_image else "For steps with one feature"
        if source.word == "input" and before is not None:
            remedy = f"{kind}: `input {larger}`."
            if expected == 3:  # noqa: PLR2004 - steps, features, batch
                remedy += " Pass integers, such as word indices, to `embedding` first."
            yield Fix(remedy, ((before, (with_shape(before, (*source.shape[1:], 1)),)),))
        line = f"reshape {larger}"
        yield _before(failure, f"{kind}: add `{line}` before this line.", line)
    elif expected > actual and None not in source.shape[1:]:
        size = math.prod(source.shape[1:])
        side = math.isqrt(size)
        sides = [side, side] if side * side == size else [size, *[1] * (expected - 3)]
        line = "reshape " + "x".join(map(str, [*sides, 1][: expected - 1]))
        remedy = f"Give its input such a shape: add `{line}`, for example, before this line."
        yield _before(failure, remedy, line)
    if (expected, actual) == (3, 4):
        if "1d" in failure.word:
            word = failure.word.replace("1d", "2d")
            changed = replace(spec, callee=Word(word))
            yield Fix(f"For images, use `{word}`.", ((spec, (changed,)),))
        line = "time_distributed(flatten)"
        yield _before(failure, f"To make each row a step, add `{line}` before this line.", line)
    if expected < actual:
        remedy = "Add `flatten` or a global pooling layer before this line."
        yield _before(failure, remedy, "flatten" if expected == 2 else "identity")  # noqa: PLR2004 - features and batch


def _before(failure: _Failure, remedy: str, line: str) -> Fix:
    """Another step before the one that failed."""
    (step,) = parse(line).statements
    first = replace(cast("LayerSpec", step), inputs=failure.spec.inputs, span=failure.spec.span)
    return Fix(remedy, ((failure.spec, (first, replace(failure.spec, inputs=None))),))


def with_shape(spec: LayerSpec, shape: Sequence[int | None]) -> LayerSpec:
    """An input line with another shape."""
    words = [arg for arg in spec.args if arg.name is None and isinstance(arg.value, Word)]
    named = [arg for arg in spec.args if arg.name not in (None, "shape")]
    return replace(spec, args=(Arg(Shape(tuple(shape))), *words, *named))
