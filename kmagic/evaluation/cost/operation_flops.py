"""The floating-point operations (FLOPs) of the operations of a TensorFlow graph.

The convention is that of TensorFlow's profiler: a multiplication and an addition are two, a
function of one element such as ``exp`` or ``relu`` is one, a softmax is five for each element. The
profiler has no figures for many operations, nor for the body of a loop; they are counted here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

_ONCE = """
    Abs Acos Acosh Add AddV2 ApproximateEqual Asin Asinh Atan Atan2 Atanh BiasAdd Ceil
    ClipByValue Complex ComplexAbs Conj Cos Cosh Digamma Div DivNoNan Elu Equal Erf Erfc Erfinv
    Exp Expm1 Floor FloorDiv FloorMod Greater GreaterEqual Inv IsFinite IsInf IsNan LeakyRelu
    Less LessEqual Lgamma Log Log1p Maximum Minimum Mod Mul MulNoNan Neg NextAfter NotEqual Pow
    RealDiv Reciprocal Relu Relu6 Rint Round Selu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt
    Square Sub Tan Tanh TruncateDiv TruncateMod Xdivy Xlog1py Xlogy
"""
ELEMENTWISE = dict.fromkeys(_ONCE.split(), 1) | {"Rsqrt": 2, "SquaredDifference": 2}
"""FLOPs for each element of the output."""
_PER_ELEMENT = ELEMENTWISE | {
    "FusedBatchNormV3": 2,
    "LogSoftmax": 5,
    "ResizeBilinear": 9,  # three times a + (b - a) * t
    "Softmax": 5,
}
"""The same, but elements are not computed from one of each input."""
CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
LOOPS = {"StatelessWhile", "While"}
_IF = ("then_branch", "else_branch")
_CASE = ("branches",)
_BRANCHES = {"Case": _CASE, "If": _IF, "StatelessCase": _CASE, "StatelessIf": _IF}
_MOVING = """
    Assert AssignAddVariableOp AssignSubVariableOp AssignVariableOp BatchToSpaceND Bitcast
    BroadcastArgs BroadcastTo Cast CheckNumerics Concat ConcatV2 ConjugateTranspose Const
    CropAndResize DeepCopy DepthToSpace DynamicStitch EmptyTensorList EnsureShape ExpandDims
    ExtractImagePatches ExtractVolumePatches Fill Gather GatherNd GatherV2 Identity IdentityN
    Imag InvertPermutation LinSpace MatrixBandPart MatrixDiag MatrixDiagPartV3 MatrixDiagV3
    MirrorPad NoOp OneHot OnesLike Pack Pad PadV2 Placeholder PlaceholderWithDefault
    PreventGradient Print PrintV2 RandomStandardNormal RandomUniform Range Rank ReadVariableOp
    Real Reshape ResizeNearestNeighbor ResourceGather ReverseSequence ReverseV2 Roll ScatterNd
    Select SelectV2 Shape ShapeN Size Slice Snapshot SpaceToBatchND SpaceToDepth Split SplitV
    Squeeze StatelessMultinomial StopGradient StridedSlice TensorScatterAdd TensorScatterUpdate
    Tile TopKV2 Transpose TruncatedNormal Unpack VarIsInitializedOp Where ZerosLike
"""
_FREE = frozenset(_MOVING.split())
_FREE_PREFIXES = ("StatelessRandom", "StatelessTruncated", "TensorList")
"""They move, create or select values."""


class FlopCounter:
    """Counts the FLOPs of operations.

    Attributes:
        missing: What was not counted, and how often: types of operations, loops.

    Example:
        >>> function = tf.function(lambda x: tf.nn.relu(x @ tf.ones((4, 8))))
        >>> graph = function.get_concrete_function(tf.TensorSpec((1, 4))).graph
        >>> counter = FlopCounter()
        >>> sum(map(counter.count, graph.get_operations())), counter.missing
        (72, Counter())
    """

    def __init__(self) -> None:
        self.missing: Counter[str] = Counter()

    def count(self, operation: Any) -> int:
        """The FLOPs of an operation; 0 if they are unknown, which ``missing`` then says."""
        kind = operation.type
        if kind in LOOPS:
            return self._loop(operation)
        if kind in CALLS:
            return self._function(operation, operation.get_attr("f"))
        if kind in _BRANCHES:
            branches = [operation.get_attr(name) for name in _BRANCHES[kind]]
            return max(self._function(operation, name) for name in tf.nest.flatten(branches))
        tensors = (*operation.inputs, *operation.outputs)
        is_number = any(t.dtype.is_floating or t.dtype.is_complex for t in tensors)
        is_free = kind in _FREE or kind.startswith(_FREE_PREFIXES)
        if is_free or not (is_number or kind in _CONTRACTIONS):
            return 0
        formula = _FORMULAS.get(kind)
        known = all(tensor.shape.is_fully_defined() for tensor in tensors)
        if formula is None or not known:
            self.missing[kind if known else f"{kind} of unknown shape"] += 1
            return 0
        return formula(operation)

    def _function(self, operation: Any, name: Any) -> int:
        return sum(map(self.count, function_graph(operation, name).get_operations()))

    def _loop(self, operation: Any) -> int:
        trips = trip_count(operation)
        if trips is None:
            self.missing["loop of unknown length"] += 1
            return 0
        body = self._function(operation, operation.get_attr("body"))
        condition = self._function(operation, operation.get_attr("cond"))
        return trips * body + (trips + 1) * condition


def function_graph(operation: Any, name: Any) -> Any:
    """The graph of a function that an operation calls."""
    return operation.graph._get_function(name.name).graph  # noqa: SLF001 - no public access


def trip_count(loop: Any) -> int | None:
    """How often the body of a loop runs; None if that depends on the values it computes.

    Known are conditions such as ``i < n and j < m``, where the body adds a constant to i and j.
    """
    condition = function_graph(loop, loop.get_attr("cond"))
    trips: list[int | None] = []
    pending = list(condition.outputs)
    while pending:
        operation = _without_identity(pending.pop()).op
        if operation.type == "LogicalAnd":
            pending += operation.inputs
        else:
            trips.append(_trips_of_condition(loop, condition, operation))
    return None if None in trips else min(trips)  # type: ignore[type-var] # no None


def _trips_of_condition(loop: Any, condition: Any, comparison: Any) -> int | None:
    """How often ``counter < limit`` holds in a loop."""
    if comparison.type != "Less":
        return None
    body = function_graph(loop, loop.get_attr("body"))
    index, of_limit = (_index(tensor, condition.inputs) for tensor in comparison.inputs)
    if index is None:
        return None
    if of_limit is None:
        limit = _static_value(comparison.inputs[1])
    else:
        is_fixed = _without_identity(body.outputs[of_limit]) is body.inputs[of_limit]
        limit = _static_value(loop.inputs[of_limit]) if is_fixed else None
    addition = _without_identity(body.outputs[index]).op
    if addition.type != "AddV2" or _index(addition.inputs[0], body.inputs) != index:
        return None
    start, step = _static_value(loop.inputs[index]), _static_value(addition.inputs[1])
    if start is None or limit is None or step is None or step <= 0:
        return None
    return max(0, math.ceil((int(limit) - int(start)) / int(step)))


def _index(tensor: Any, among: Sequence[Any]) -> int | None:
    source = _without_identity(tensor)
    return next((index for index, each in enumerate(among) if each is source), None)


def _without_identity(tensor: Any) -> Any:
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


def _static_value(tensor: Any) -> Any:
    """The value of a tensor that depends on constants only; None of any other."""
    value = tf.get_static_value(tensor)
    if value is None and tensor.op.type in ("Identity", "Max"):
        value = _static_value(tensor.op.inputs[0])
        value = value if value is None or tensor.op.type == "Identity" else np.max(value)
    return value


# --- formulas -------------------------------------------------------------------------------------


def _convolution(operation: Any) -> int:
    return 2 * _out(operation) * math.prod(_shape(operation.inputs[1])[:-1])


def _transposed_convolution(operation: Any) -> int:
    """Each element of the smaller image is multiplied with one filter of the convolution."""
    return 2 * _size(operation.inputs[2]) * math.prod(_shape(operation.inputs[1])[:-1])


def _depthwise_convolution(operation: Any) -> int:
    return 2 * _out(operation) * math.prod(_shape(operation.inputs[1])[:2])


def _matrix_product(operation: Any) -> int:
    transposed = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
    return 2 * _out(operation) * _shape(operation.inputs[0])[-2 if transposed else -1]


def _einsum(operation: Any) -> int:
    """Two FLOPs for each combination of indices; an ellipsis stands for any number of them."""
    terms = operation.get_attr("equation").decode().split("->")[0].split(",")
    sizes: dict[str, int] = {}
    others: list[list[int]] = []
    for term, tensor in zip(terms, operation.inputs, strict=True):
        before, dots, after = term.partition("...")
        shape = _shape(tensor)
        end = len(shape) - len(after)
        sizes |= zip(before + after, shape[: len(before)] + shape[end:], strict=True)
        others.append(shape[len(before) : end] if dots else [])
    batch = math.prod(np.broadcast_shapes(*others))
    return (2 if len(terms) > 1 else 1) * batch * math.prod(sizes.values())


def _out(operation: Any) -> int:
    return _size(operation.outputs[0])


def _size(tensor: Any) -> int:
    return math.prod(_shape(tensor))


def _shape(tensor: Any) -> list[int]:
    shape: list[int] = tensor.shape.as_list()
    return shape


_CONTRACTIONS: dict[str, Callable[[Any], int]] = {
    **dict.fromkeys(("Conv2D", "Conv3D"), _convolution),
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInputV2"), _transposed_convolution),
    "DepthwiseConv2dNative": _depthwise_convolution,
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "MatMul"), _matrix_product),
    "Einsum": _einsum,
}
"""Counted for integers too, which quantized layers multiply."""
_BY_KINDS: dict[str, Callable[[Any], int]] = {
    " ".join(_PER_ELEMENT): lambda operation: _PER_ELEMENT[operation.type] * _out(operation),
    "ArgMax ArgMin EuclideanNorm Max Min Prod Sum": lambda operation: max(
        0, _size(operation.inputs[0]) - _out(operation)
    ),
    "Cumprod Cumsum CumulativeLogsumexp Mean SegmentSum UnsortedSegmentSum": lambda operation: (
        _size(operation.inputs[0])
    ),
    "AvgPool AvgPool3D MaxPool MaxPool3D": lambda operation: (
        math.prod(operation.get_attr("ksize")) * _out(operation)
    ),
    "AddN": lambda operation: (len(operation.inputs) - 1) * _out(operation),
    "L2Loss": lambda operation: 3 * _size(operation.inputs[0]) - 1,
}
_FORMULAS = _CONTRACTIONS | {
    kind: formula for kinds, formula in _BY_KINDS.items() for kind in kinds.split()
}
