"""Advice on a model's layers, on its outputs with their losses, and on the rest of its text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kmagic.language import format_statement, format_value, spec
from kmagic.language.graph import Graph, arrow_first, named_end
from kmagic.language.spec import find_parts
from kmagic.language.vocabulary import snake_case
from kmagic.models.lint.advice import Advice
from kmagic.models.lint.model_graph import (
    TRAINING_ONLY,
    TRANSPARENT,
    LayerCall,
    ModelGraph,
    ancestors,
    previous_call,
)
from kmagic.models.model_arrays import output_index
from kmagic.support.formatting import format_output_shape
from kmagic.support.keras_import import keras

_ADDING = ("Add", "Average", "Maximum", "Minimum", "Subtract")
_POINTWISE = (
    "Activation",
    "BatchNormalization",
    "Dense",
    "InputLayer",
    "LayerNormalization",
    "Normalization",
    "Rescaling",
    *TRAINING_ONLY,
)
"""Layers that compute each position of an image or sequence from that position alone."""
_DECIMAL = ("BatchNormalization", "Conv", "Dense", "LayerNormalization", "Normalization")


def layer_advice(graph: ModelGraph) -> Iterator[Advice]:
    """Advice on every layer of a model."""
    for call in graph.calls:
        source = previous_call(call, *TRAINING_ONLY, *TRANSPARENT)
        if source is not None:
            yield from _advice_on_pair(source, call)
        yield from _broadcast(call)
        yield from _useless_bias(call)
    for end in graph.ends:
        yield from _missing_flatten(end)
        if getattr(graph.model, "compiled", False):
            yield from _after_output(end)
    for call in graph.unused:
        message = "The model ignores this input: no output depends on it."
        yield _at("unused-input", call, message, "Connect it, or remove it.")


def _at(code: str, call: LayerCall, message: str, remedy: str, *, is_hint: bool = False) -> Advice:
    return Advice(code, message, remedy, call.span, call.name, is_hint)


def _advice_on_pair(first: LayerCall, call: LayerCall) -> Iterator[Advice]:
    """Advice on a layer and the one before it, which may also have other uses."""
    is_dense = call.kind == "Dense"
    activation = first.activation if len(first.children) == 1 else ""
    if is_dense and first.kind == "Dense" and activation == "linear" and first.rank == call.rank:
        message = "Two dense layers act as one when there is no activation between them."
        yield _at("no-activation", first, message, f"Add one: `dense {first.units} relu`.")
    elif activation == "softmax" and not is_dense and call.activation == "softmax":
        message = "All classes become nearly equal: softmax is applied twice in a row."
        yield _at("softmax-twice", call, message, "Remove one of the two.")
    elif activation == "softmax" and is_dense and first.kind in ("Dense", "Activation", "Softmax"):
        message = "Little information reaches the next dense layer: softmax comes before it."
        yield _at("hidden-softmax", first, message, "Use relu, the usual activation there.")
    elif call.kind == "Embedding" and first.is_any(*_DECIMAL):
        yield _at(
            "embedding-floats",
            call,
            f"Decimals are cut off: embedding takes integers, but gets decimals of {first.word}.",
            "Put the embedding first, after `input 80 int32`.",
        )


def _broadcast(call: LayerCall) -> Iterator[Advice]:
    if call.kind not in _ADDING:
        return
    shapes = {tuple(shape[1:]) for shape in call.shapes if isinstance(shape, tuple)}
    if len([shape for shape in shapes if None not in shape]) > 1:
        shown = " and ".join(map(format_output_shape, call.shapes))
        yield _at(
            "broadcast",
            call,
            f"{call.word} repeats one input along the other: {shown} differ in shape.",
            "Give both the same shape; `concatenate` joins different shapes.",
        )


def _useless_bias(call: LayerCall) -> Iterator[Advice]:
    if call.kind != "BatchNormalization" or not getattr(call.layer, "center", False):
        return
    source = previous_call(call)
    if source is None or len(source.children) > 1 or source.activation != "linear":
        return
    if source.is_any("Conv", "Dense", "DepthwiseConv", "SeparableConv") and getattr(
        source.layer, "use_bias", False
    ):
        message = "The bias has no effect: the batch normalization after it subtracts the mean."
        yield _at("bias", source, message, "Write !use_bias.", is_hint=True)


def _after_output(end: LayerCall) -> Iterator[Advice]:
    if end.is_any(*TRAINING_ONLY):
        message = f"Outputs change at random in training: the last layer is {end.word}."
    elif end.kind == "BatchNormalization":
        message = f"Outputs are normalized over each batch: the last layer is {end.word}."
    else:
        return
    yield _at("after-output", end, message, "Move it before the output layer.")


def _missing_flatten(end: LayerCall) -> Iterator[Advice]:
    """Dense layers alone, on rows or images, compute each position by itself."""
    if end.kind != "Dense" or end.rank < 3:  # noqa: PLR2004 - samples of at least two dimensions
        return
    if all(call.is_any(*_POINTWISE) for call in ancestors(end)):
        positions = format_output_shape(end.shape[:-1])
        yield _at(
            "no-flatten",
            end,
            f"The model predicts at each of {positions} positions: dense only uses the last "
            "dimension.",
            "Write `flatten` before the first dense.",
        )


# --- outputs, losses and metrics --------------------------------------------------------------

CATEGORICAL = (
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "categorical_focal_crossentropy",
)
BINARY = ("binary_crossentropy", "binary_focal_crossentropy")
REGRESSION = (
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
)
_PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid", "log_softmax", "")
_SQUASHING = ("softmax", "sigmoid")


def output_advice(graph: ModelGraph, compile_span: spec.Span) -> Iterator[Advice]:
    """Advice on every output and its loss."""
    model = graph.model
    if not getattr(model, "compiled", False):
        return
    if model.loss is None and compile_span.line and not model.losses:
        yield Advice(
            "no-loss",
            "The model cannot be trained: it has no loss.",
            "For classes: loss=sparse_categorical_crossentropy; for numbers: loss=mse.",
            compile_span,
        )
    losses = losses_of(model, len(graph.ends))
    for end, loss in zip(graph.ends, losses, strict=False):
        problem = _loss_problem(end, loss)
        if problem:
            yield Advice(*problem, end.span if end.span.line else compile_span, end.name)
    is_regression = losses and all(loss_name(loss) in REGRESSION for loss in losses)
    is_squashed = any(end.activation in _SQUASHING for end in graph.ends)
    if is_regression and not is_squashed and _has_accuracy(model):
        yield Advice(
            "accuracy",
            "Accuracy will be close to 0: it counts the outputs that equal the target exactly.",
            "Use metrics=mae.",
            compile_span,
        )


def losses_of(model: Any, count: int) -> list[Any]:
    """The loss of each output; None where there is none, or where it is unknown."""
    loss = model.loss
    if isinstance(loss, Mapping):
        names = list(getattr(model, "output_names", []))
        keys = names if set(loss) <= set(names) else list(loss)
        losses = [loss.get(name) for name in keys]
    elif isinstance(loss, list | tuple):
        losses = list(loss)
    else:
        losses = [loss] * count
    return losses if len(losses) == count else [None] * count


def loss_of_output(model: Any, output: str) -> Any:
    """The loss of an output by its name; None where there is none."""
    loss = model.loss
    if isinstance(loss, Mapping) and output in loss:
        return loss[output]
    return losses_of(model, len(model.outputs))[output_index(model, output)]


def loss_name(loss: Any) -> str:
    """The word of a loss, given as a string, function or object; "" if there is none."""
    if loss is None:
        return ""
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)  # "mse" is mean_squared_error
        except ValueError:  # a metric, or unknown
            return snake_case(loss)
    return snake_case(getattr(loss, "__name__", "") or type(loss).__name__)


def _has_accuracy(model: Any) -> bool:
    """Whether a model is compiled with accuracy for all outputs."""
    try:
        metrics = (model.get_compile_config() or {}).get("metrics")
    except Exception:  # noqa: BLE001 - a metric of the user's without a configuration
        return False
    metrics = metrics if isinstance(metrics, list | tuple) else [metrics]
    return any(metric in {"accuracy", "acc"} for metric in metrics if isinstance(metric, str))


def _loss_problem(end: LayerCall, loss: Any) -> tuple[str, str, str] | None:
    """The code, message and remedy of what is wrong with an output and its loss."""
    name, activation = loss_name(loss), end.activation
    if activation == "softmax" and end.units == 1:
        remedy = "Write `dense 1 sigmoid` with loss=binary_crossentropy."
        if name in REGRESSION:
            remedy = "To predict a number, write `dense 1`."
        return "one-softmax", "The output is always 1: softmax has a single unit.", remedy
    if getattr(loss, "from_logits", False):
        if activation not in _SQUASHING:
            return None
        message = f"{activation.capitalize()} is applied twice: in the last layer, and again by "
        return "logits", message + "from_logits=true.", f"Remove {activation}, or from_logits."
    if name in CATEGORICAL and end.units == 1:
        return (
            "one-class",
            f"{name} chooses between several units, but there is only one.",
            "Write `dense 1 sigmoid` with loss=binary_crossentropy.",
        )
    if name in CATEGORICAL and activation == "sigmoid":
        return (
            "sigmoid-categorical",
            f"{name} expects probabilities that sum to 1, but sigmoid computes each unit alone.",
            "For one class of several, use softmax; for several at once, loss=binary_crossentropy.",
        )
    if name in BINARY and activation == "softmax":
        return (
            "binary-softmax",
            (
                f"{name} treats each unit as a separate decision, but softmax makes all units one "
                "choice."
            ),
            "For one class of several, use a categorical loss; for several at once, sigmoid.",
        )
    if name in (*CATEGORICAL, *BINARY) and activation not in _PROBABILITIES:
        usual, logits = ("softmax", name) if name in CATEGORICAL else ("sigmoid", BINARY[0])
        return (
            f"no-{usual}",
            f"{name} expects probabilities, but the last layer ({activation}) returns any number.",
            f"Add {usual} there, or write loss={logits}(from_logits=true).",
        )
    if name in REGRESSION and activation == "softmax":
        return (
            "regression-softmax",
            f"The model will learn slowly, and its outputs sum to 1: {name} is used with softmax.",
            "For classes: loss=categorical_crossentropy; for numbers: no activation.",
        )
    if name in REGRESSION and activation == "relu" and end.rank < 4:  # noqa: PLR2004 - pixels are not negative
        return (
            "relu-output",
            "Outputs are never negative, and a unit at 0 stops learning: the last layer is relu.",
            "Remove the activation, or use softplus for numbers above 0.",
        )
    return None


# --- what does not belong to the model --------------------------------------------------------


def text_advice(
    statements: Iterable[spec.Statement], graph: Graph, *, is_built: bool
) -> Iterator[Advice]:
    """Advice on unused lines, blocks and models, and on a missing input or layer."""
    for part in (graph, *graph.models):
        yield from _unused_lines(part)
    statements = tuple(statements)
    used = {word.text for word in find_parts(statements, spec.Word)}
    used |= {reference.name for reference in find_parts(statements, spec.Ref, spec.Index)}
    for statement in statements:
        if isinstance(statement, spec.BlockSpec | spec.NestedSpec) and statement.name not in used:
            kind = "block" if isinstance(statement, spec.BlockSpec) else "model"
            yield Advice(
                f"unused-{kind}",
                f"The {kind} {statement.name} was not checked: it is never used.",
                f"Write `{statement.name}` in a line, or remove it.",
                statement.span,
            )
    if is_built or not graph.nodes:
        return
    if all(node.is_input for node in graph.nodes):
        message = "The model cannot learn anything: it has only an input."
        code, remedy = "no-layer", "Add a layer: `dense 10 softmax`."
    else:
        message = "Shapes and parameters are unknown until the first training: there is no input."
        code, remedy = "no-input", "Start with an input line: `input 28x28x1`."
    yield Advice(code, message, remedy, graph.nodes[0].span)


def _unused_lines(graph: Graph) -> Iterator[Advice]:
    sources = [
        {output.node for output in find_parts(node.inputs, spec.NodeOutput)} for node in graph.nodes
    ]
    needed = {output.node for output in find_parts(graph.outputs, spec.NodeOutput)}
    for index in reversed(range(len(graph.nodes))):  # a node's sources come before it
        if index in needed:
            needed |= sources[index]
    seen: set[int] = set()
    # Only the end of an unused branch is reported, and a block's only if no use of it is needed.
    needed = needed.union(*sources)
    used_spans = {graph.nodes[index].span for index in needed if graph.nodes[index].trail}
    for index in sorted(set(range(len(graph.nodes))) - needed):
        node = graph.nodes[index]
        if node.is_input or node.span.line in seen or node.span in used_spans:
            continue
        seen.add(node.span.line)
        text = format_statement(node.spec)
        yield Advice(
            "unused-line",
            f"The model does not contain `{text}`: no output depends on it.",
            _connect_remedy(graph, index),
            node.span,
        )


def _connect_remedy(graph: Graph, index: int) -> str:
    """How to connect an unused line; a name or an arrow may belong to another layer of it."""
    nodes = graph.nodes
    if line := arrow_first(nodes, index):
        return f"An arrow belongs to the layer before it: write `{line}`."
    for first in reversed(range(index)):
        if nodes[first].span.line != nodes[index].span.line:
            break
        if line := named_end(nodes, first):
            name, word = nodes[first].spec.targets[0], format_value(nodes[first].spec.callee)
            return f"{name} is the output of {word}. For the end of the line, write `{line}`."
    return "Connect it, name it in `output`, or remove it."
