"""Which array of ``x`` or ``y`` belongs to which input or output of a model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Number
from typing import Any, Literal, TypeAlias

from kmagic.support.data_values import check_has_values
from kmagic.support.formatting import pluralize
from kmagic.support.keras_import import keras
from kmagic.support.memory import require_memory

Side: TypeAlias = Literal["inputs", "outputs"]
Shape: TypeAlias = tuple[int | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ModelArray:
    """One part of ``x`` or ``y``, and the input or output that it belongs to.

    Attributes:
        label: How a user writes it: "x", "x['left']", "x[0]".
        name: Name of the input or output; "" if the data is not divided.
        values: What was given for it.
        tensor: The model's symbolic input or output; None if it is unknown.
    """

    label: str
    name: str
    values: Any
    tensor: Any = None

    @property
    def array(self) -> Any:
        """The values as a NumPy array; None if they are empty or no array."""
        return as_array(self.values)


def model_tensors(model: Any, side: Side) -> dict[str, Any]:
    """A model's inputs or outputs by name, in the order of a list; empty if it is not built."""
    tensors: list[Any] = list(getattr(model, side, None) or ())
    if len(tensors) > 1:
        structure = getattr(model, "input" if side == "inputs" else "output", None)
        if isinstance(structure, Mapping):
            return dict(structure)
    names = list(getattr(model, "output_names", None) or ()) if side == "outputs" else []
    if len(names) != len(tensors):
        names = [tensor.name for tensor in tensors]
        if side == "outputs":  # of a Sequential, which has no output_names
            names = [tensor._keras_history.operation.name for tensor in tensors]  # noqa: SLF001 - Keras has no other way
    if len(set(names)) < len(names):  # of one layer with several outputs
        names = [
            f"{name}_{index}" if names.index(name) < index else name
            for index, name in enumerate(names)
        ]
    return dict(zip(names, tensors, strict=True))


def output_index(model: Any, output: str) -> int:
    """The position of an output in ``model.outputs``, whose order is not that of a dictionary."""
    tensor = model_tensors(model, "outputs")[output]
    return next(index for index, each in enumerate(model.outputs) if each is tensor)


def match_arrays(model: Any, values: Any, side: Side = "inputs") -> list[ModelArray]:
    """The arrays of ``x`` or ``y``, each with its input or output.

    A dictionary is matched by name, a list by order. For a model with one input a list of arrays
    is its samples, unless its only array is the whole input.

    Args:
        model: A Keras model.
        values: An array, or a list or dictionary of arrays.
        side: "inputs" for ``x``, "outputs" for ``y``.

    Example:
        >>> import keras, numpy as np
        >>> a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
        >>> model = keras.Model([a, b], keras.layers.Concatenate()([a, b]))
        >>> parts = match_arrays(model, [np.zeros((5, 2)), np.zeros((5, 3))])
        >>> [(part.label, part.name, part.tensor.shape) for part in parts]
        [('x[0]', 'a', (None, 2)), ('x[1]', 'b', (None, 3))]
    """
    label = "x" if side == "inputs" else "y"
    tensors = model_tensors(model, side)
    if isinstance(values, Mapping):
        return [
            ModelArray(f"{label}[{name!r}]", str(name), part, tensors.get(name))
            for name, part in values.items()
        ]
    is_list = isinstance(values, list | tuple) and bool(values)
    if len(tensors) > 1 and is_list and all(hasattr(part, "shape") for part in values):
        names = list(tensors) if len(tensors) == len(values) else [""] * len(values)
        return [
            ModelArray(f"{label}[{index}]", name, part, tensors.get(name))
            for index, (name, part) in enumerate(zip(names, values, strict=True))
        ]
    tensor = next(iter(tensors.values())) if len(tensors) == 1 else None
    if tensor is not None and is_list and len(values) == 1 and hasattr(values[0], "shape"):
        values = values[0] if len(values[0].shape) == len(tensor.shape) else values
    return [ModelArray(label, "", values, tensor)]


def as_array(values: Any) -> Any:
    """An array, a data frame or a list of numbers as a NumPy array; None if it is empty, or else.

    Python's numbers in an array of objects, and the columns of pandas' nullable and Arrow types,
    become numbers of NumPy; a missing one becomes nan.

    Example:
        >>> import numpy as np
        >>> as_array(np.array([1.5, None], dtype=object)), as_array([[1], [2, 3]])
        (array([1.5, nan]), None)
    """
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    check_has_values(values)
    if isinstance(values, list):
        try:
            values = np.asarray(values)
        except ValueError:  # rows of different length
            return None
    if not hasattr(values, "__array__") or not hasattr(values, "shape"):
        return None
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    if not array.ndim or not array.size:
        return None
    return _objects_as_numbers(array) if array.dtype.kind == "O" else array


def sparse_rows(values: Any) -> Any:
    """A sparse matrix in CSR format, and a variable as an array; anything else is unchanged.

    The rows of both can be sliced.

    Example:
        >>> import scipy.sparse
        >>> sparse_rows(scipy.sparse.coo_array([[0, 2]])).format
        'csr'
    """
    check_has_values(values)
    if hasattr(values, "assign_add") and hasattr(values, "__array__"):  # no optimizer
        return values.numpy()
    if hasattr(values, "dense_shape"):  # of TensorFlow
        if len(values.shape) != 2:  # noqa: PLR2004 - a matrix
            return keras.ops.convert_to_numpy(values)
        from scipy.sparse import coo_array  # noqa: PLC0415 - %load_ext must not wait for it

        shape = tuple(map(int, values.shape))
        values = coo_array((values.values.numpy(), values.indices.numpy().T), shape)
    if not hasattr(values, "tocsr"):
        return values
    rows = values.tocsr()
    return rows if rows.has_sorted_indices else rows.sorted_indices()


def dense_rows(values: Any) -> Any:
    """Rows of :func:`sparse_rows` as an array; anything else is unchanged."""
    if not hasattr(values, "tocsr"):
        return values
    size = math.prod(values.shape) * values.dtype.itemsize
    require_memory(size, "The sparse matrix, as a dense array,", "Pass fewer rows.")
    return values.toarray()


def _objects_as_numbers(array: Any) -> Any:
    """An array of Python's numbers, or of equal arrays, as one of numbers; others are unchanged."""
    import numpy as np  # noqa: PLC0415 - as above

    cells = array.reshape(-1).tolist()
    if isinstance(cells[0], np.ndarray):
        shapes = {getattr(cell, "shape", None) for cell in cells}
        return np.stack(cells) if len(shapes) == array.ndim == 1 else array
    if not all(map(is_number_or_missing, cells)) or all(map(is_missing, cells)):
        return array
    try:
        numbers = np.array([float("nan") if is_missing(cell) else cell for cell in cells])
        numbers = numbers if numbers.dtype.kind in "biuf" else numbers.astype("float64")
    except (TypeError, ValueError, OverflowError):  # a complex number
        return array
    return numbers.reshape(array.shape)


def is_missing(value: Any) -> bool:
    """Whether a value is None, pandas' NA or NaT."""
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def is_number_or_missing(value: Any) -> bool:
    """Whether a value of an array of objects is a number, or a missing one."""
    return isinstance(value, Number) or type(value).__name__ == "bool" or is_missing(value)


def sample_shape(model: Any) -> Shape | None:
    """Shape of one sample of a model with one input; None if it is unknown."""
    try:
        shape = model.input_shape
    except (AttributeError, ValueError):  # a model that was not called yet
        return None
    is_shape = isinstance(shape, tuple) and all(n is None or isinstance(n, int) for n in shape)
    return tuple(shape[1:]) if is_shape else None


def fits_shape(received: Shape, expected: Shape) -> bool:
    """Whether Keras accepts samples of a shape: it adds or drops a last axis of size one.

    Example:
        >>> fits_shape((28, 28), (28, 28, 1)), fits_shape((5, 1), (None,)), fits_shape((3,), (4,))
        (True, True, False)
    """
    if len(received) == len(expected) - 1 and expected[-1] == 1:
        received = (*received, 1)
    elif len(received) == len(expected) + 1 and received[-1] == 1:
        received = received[:-1]
    return len(received) == len(expected) and all(
        size is None or size == other for size, other in zip(expected, received, strict=True)
    )


CUSTOM_STEPS = ("train_step", "compute_loss")


def has_custom_step(model: Any) -> bool:
    """Whether a model computes its loss by itself, so that it is unknown what data it needs."""
    own = type(model)
    return any(getattr(own, name, None) is not getattr(keras.Model, name) for name in CUSTOM_STEPS)


def structure_errors(model: Any, x: Any, y: Any) -> Iterator[tuple[str, str]]:
    """Inputs or outputs of a model that data lacks, and targets without an output.

    Yields:
        What is wrong, and the remedy.
    """
    if has_custom_step(model):
        return
    inputs, outputs = model_tensors(model, "inputs"), model_tensors(model, "outputs")
    if len(inputs) > 1 or (inputs and _lacks_structure(model, x)):
        yield from _side_errors("x", x, list(inputs), "inputs", needed=set(inputs))
    if len(outputs) == 1 and isinstance(y, Mapping) and y and set(y) != set(outputs):
        named, given, first = next(iter(outputs)), ", ".join(map(str, y)), next(iter(y))
        yield (
            f"the model has one output, {named}, but y has {given}.",
            f"Pass the targets of one, such as y[{first!r}], or of a dataset D.of({first!r}).",
        )
    if len(outputs) > 1 and y is not None:
        loss = getattr(model, "loss", None)
        # An output without a loss needs no targets.
        needed = set() if isinstance(loss, Mapping | list | tuple) else set(outputs)
        yield from _side_errors("y", y, list(outputs), "outputs", needed=needed)


def _lacks_structure(model: Any, x: Any) -> bool:
    """Whether the inputs of a model have names in a dictionary, but no keys of their own."""
    return isinstance(x, Mapping) and not isinstance(getattr(model, "input", None), Mapping)


def _side_errors(
    label: str, values: Any, names: list[str], side: Side, *, needed: set[str]
) -> Iterator[tuple[str, str]]:
    expected = f"the model has {pluralize(len(names), side[:-1])}, {', '.join(names)}"
    parts = ", ".join(f"{name!r}: ..." for name in names)
    alternative = "a list in this order" if len(names) > 1 else "the array itself"
    remedy = f"Pass {{{parts}}}, or {alternative}."
    if isinstance(values, Mapping):
        missing = sorted(needed - set(values))
        unknown = sorted(set(values) - set(names), key=str)
        if missing and label == "y":
            given = ", ".join(map(str, values)) or "nothing"
            if all(str(name).isidentifier() for name in values):
                line = ", ".join(f"{name}=..." for name in values)
                remedy = f"Name them alike: pass {{{parts}}}, or write `output {line}`."
            yield f"{expected}, but y has {given}: nothing for {', '.join(missing)}.", remedy
        elif missing:
            yield f"{expected}, but {label} has nothing for {', '.join(missing)}.", remedy
        elif unknown and label == "y":
            yield f"{expected}, but {label} has {', '.join(map(str, unknown))}.", remedy
    elif isinstance(values, list | tuple) and all(hasattr(part, "shape") for part in values):
        if needed and len(values) != len(names):
            yield f"{expected}, but {label} is a list of {len(values)}.", remedy
    elif hasattr(values, "shape") and needed:
        yield f"{expected}, but {label} is a single array.", remedy
