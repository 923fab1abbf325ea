"""Adapts preprocessing layers to data of the notebook, before their model is built."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from kmagic.language.expressions import ExpressionError, evaluate, parse_expression
from kmagic.language.spec import NotebookValue, Value
from kmagic.models.binding.build_context import BuildContext
from kmagic.models.build.keras_errors import error_summary
from kmagic.models.keras_history import call_inputs
from kmagic.support.data_values import check_has_values, shape_of_data
from kmagic.support.errors import DataError
from kmagic.support.formatting import format_output_shape, join_with_and, pluralize
from kmagic.support.keras_import import keras
from kmagic.support.memory import require_memory
from kmagic.support.sentences import NUMERIC_KINDS, as_sentences

_LEARNED = ("mean", "variance", "bin_boundaries")
"""What layers learn from numbers."""


def adapt(layer: Any, word: str, data: Any, argument: Value, context: BuildContext) -> None:
    """Adapt a layer to data; what it cannot adapt to is reported.

    Args:
        layer: A layer with a method ``adapt``.
        word: Its word in the text.
        data: The data. Columns of a data frame are rows of features, or texts.
        argument: The argument ``adapt`` in the text, for messages.
        context: Receives the problems.
    """
    source = argument.source if isinstance(argument, NotebookValue) else "data"
    takes_text = isinstance(layer, (keras.layers.TextVectorization, keras.layers.StringLookup))
    try:
        message, remedy = _unsuitable(layer, data, source, context.names, takes_text=takes_text)
    except DataError as error:
        message, remedy = f"this data: {error.message}", error.remedy
    if not message:
        try:
            layer.adapt(_as_array(data))
        except Exception as error:  # noqa: BLE001 - the data is the user's
            message = f"this data: {error_summary(error)}"
            remedy = "Pass an array or a list of what the layer will get in training."
    learned = [value for name in _LEARNED if (value := getattr(layer, name, None)) is not None]
    if not message and not all(np.isfinite(np.asarray(value)).all() for value in learned):
        message = "missing or infinite values: its mean would be undefined"
        remedy = "Remove the rows that contain them in a cell above."
    if message:
        context.report(f"{word} cannot adapt to {message}", argument.span, remedy)


def check_adapted_shape(layer: Any, word: str, argument: Value, context: BuildContext) -> None:
    """Report an adapted normalization whose input has other features than the data."""
    mean = getattr(layer, "mean", None)
    if not isinstance(layer, keras.layers.Normalization) or mean is None:
        return
    features = {axis % len(mean.shape) - len(mean.shape) for axis in layer.axis}
    for tensor in call_inputs(layer):
        shape = tensor.shape
        if any(-axis > len(shape) or shape[axis] != mean.shape[axis] for axis in features):
            adapted = format_output_shape((None, *mean.shape[1:]))
            expected = format_output_shape(shape)
            message = f"{word} was adapted to {adapted}, but its input is {expected}"
            context.report(message, argument.span, "Pass data with the features of its input.")
            return


def _unsuitable(
    layer: Any, data: Any, source: str, names: Mapping[str, Any], *, takes_text: bool
) -> tuple[str, str]:
    """What is wrong with data that Keras would misunderstand, and what to do.

    Raises:
        DataError: It has no values, or too many.
    """
    check_has_values(data)
    if data is None:
        return "None", "Pass the training data: adapt={x_train}."
    if isinstance(data, str | bytes):
        return "a single text", "Pass a list or an array of texts."
    if hasattr(data, "x_train"):
        return "a whole dataset", f"Pass its training inputs: adapt={{{source}.x_train}}."
    if isinstance(getattr(data, "element_spec", None), tuple):
        return (
            "a stream of inputs and targets",
            "Pass only the inputs: `texts = stream.map(lambda x, y: x)`, then adapt={texts}.",
        )
    if hasattr(data, "columns") and hasattr(data, "iloc") and _texts(data) is None:
        numbers = [name for name in data.columns if data[name].dtype.kind in "biuf"]
        others = [name for name in data.columns if name not in numbers]
        if takes_text and others:
            return "several columns", f"Pass one column: {{{source}[{_key(others[0])}]}}."
        chosen = ", ".join(map(_key, numbers))
        remedy = f"Pass the columns with numbers: {{{source}[[{chosen}]]}}." if numbers else ""
        if others:
            shown = join_with_and(list(map(str, others)))
            return f"the column{'s' * (len(others) > 1)} {shown}: not numbers", remedy
    array = _as_array(data)
    parts = data if isinstance(data, list | tuple) else [array]
    size = sum(part.nbytes for part in parts if isinstance(part, np.ndarray))
    require_memory(size, "It", "Adapt the layer to a part of the data.")
    kind = getattr(getattr(array, "dtype", None), "kind", "")
    if takes_text and kind and kind in NUMERIC_KINDS:
        return "numbers: it takes texts", "Pass texts, or convert the numbers in a cell above."
    is_date = kind in ("m", "M")
    if not takes_text and (is_date or _contains_text(array)):
        return (
            f"{'dates' if is_date else 'texts'}: it takes numbers",
            "Convert them in a cell above.",
        )
    if shape_of_data(array)[:1] == (0,):
        return "no rows", "Pass the training data: adapt={x_train}."
    is_row = isinstance(layer, keras.layers.Normalization) and layer.axis != ()
    if not is_row or len(shape_of_data(array)) != 1:
        return "", ""
    # Keras would take the only axis for the features.
    remedy = "Pass an array of rows: `rows = np.array(values)[:, None]`."
    for rows in _as_rows(source):
        with suppress(ExpressionError):
            if len(shape_of_data(evaluate(rows, names))) == 2:  # noqa: PLR2004 - rows and features
                remedy = f"For one feature: adapt={{{rows}}}."
                break
    return f"{pluralize(len(array), 'number')}: it takes rows of features", remedy


def _as_rows(source: str) -> Iterator[str]:
    """Expressions that may give the numbers of another one as rows; the best ones first."""
    code = f"({source}\n)"
    tree = parse_expression(source)
    is_operand = isinstance(tree, ast.Attribute | ast.Name | ast.Subscript)
    operand = source if is_operand else f"({source})"
    if isinstance(tree, ast.Attribute) and tree.attr == "values":
        tree = tree.value
    match tree:  # a column of a data frame
        case ast.Subscript(frame, ast.Constant(name)) | ast.Attribute(frame, name):
            yield f"{ast.get_source_segment(code, frame)}[[{_key(name)}]].values"
    yield from (f"{operand}.values[:, None]", f"{operand}[:, None]")


def _contains_text(data: Any) -> bool:
    try:
        return as_sentences(data) is not None
    except DataError:  # texts and numbers
        return True


def _key(name: Any) -> str:
    return f'"{name}"' if isinstance(name, str) and '"' not in name else repr(name)


def _texts(data: Any) -> list[str] | None:
    """The texts of a series, or of a data frame with one column; None if they are none."""
    return as_sentences(data) if hasattr(data, "iloc") else None


def _as_array(data: Any) -> Any:
    """Pandas objects and lists as Keras takes them, and quickly: texts in a list, else arrays."""
    texts = _texts(data)
    if texts is not None:
        return texts
    if hasattr(data, "to_numpy"):
        return data.to_numpy()
    is_list = isinstance(data, list | tuple) and not hasattr(next(iter(data), None), "shape")
    if is_list and not any(isinstance(item, str | bytes) for item in data):
        with suppress(ValueError):  # rows of different length
            return np.array(data)
    return data
