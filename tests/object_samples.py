"""A value for every parameter of Keras's losses, metrics, optimizers and the like.

When Keras gains one, ``test_argument_binding`` fails and names what to add here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import keras

from kmagic.models import catalogue

from .layer_samples import ROLES, Sample

OBJECTS: tuple[catalogue.Role, ...] = (
    "initializer",
    "regularizer",
    "constraint",
    "loss",
    "metric",
    "optimizer",
    "schedule",
    "dtype",
    "quantizer",
    "seed",
)
ABSTRACT = frozenset(
    {
        "Constraint",
        "DTypePolicyMap",  # a map of paths, which come to be when a model is built
        "Initializer",
        "LearningRateSchedule",
        "Loss",
        "Metric",
        "MultiOptimizer",
        "Optimizer",
        "OptimizerMap",
        "QuantizationConfig",
        "Quantizer",
        "Regularizer",
    }
)
"""Classes to derive from, and those that take what only a program can give."""

VALUES: dict[str, list[Sample]] = {
    "activation_quantizer": [(None, "none")],
    "adam_lr_ratio": [(2, "2")],
    "average": [("macro", "macro"), ("weighted", '"weighted"')],
    "axis": [(-1, "-1"), (1, "1")],
    "boundaries": [([100, 200], "[100, 200]")],
    "class_aggregation": [("variance_weighted_average", "variance_weighted_average")],
    "class_id": [(1, "1")],
    "clipnorm": [(1.0, "1.0")],
    "clipvalue": [(0.5, "0.5")],
    "curve": [("PR", "PR")],
    "dataset": [(["a b"], '["a b"]')],
    "decay_steps": [(100, "100")],
    "distribution": [("uniform", "uniform")],
    "ema_overwrite_frequency": [(10, "10")],
    "exclude_layers": [(["head"], '["head"]')],
    "first_decay_steps": [(10, "10")],
    "fn": [("mean_squared_error", "mean_squared_error")],
    "global_clipnorm": [(1.0, "1.0")],
    "gradient_accumulation_steps": [(2, "2")],
    "ignore_class": [(-1, "-1"), (0, "0")],
    "initial_learning_rate": [(0.1, "0.1")],
    "inner_optimizer": [(keras.optimizers.SGD(0.1), "sgd(0.1)")],
    "input_axes": [((0,), "(0,)")],
    "label_weights": [([0.5, 0.5], "[0.5, 0.5]")],
    "learning_rate": [
        (0.01, "0.01"),
        (
            keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9),
            "exponential_decay(0.1, 10, 0.9)",
        ),
    ],
    "loss_scale_factor": [(2.0, "2.0")],
    "mode": [("fan_out", "fan_out"), ("columns", "columns"), ("int8", "int8")],
    "name": [("mine", "mine"), ("my own", '"my own"')],
    "num_classes": [(3, "3")],
    "num_labels": [(2, "2")],
    "output_axes": [((-1,), "(-1,)")],
    "output_dtype": [("int8", "int8")],
    "quantization_layer_structure": [(None, "none")],
    "reduction": [("sum", "sum"), (None, "none")],
    "scaling": [("spectrum", "spectrum"), (None, "none")],
    "side": [("imag", "imag")],
    "source_name": [("float32", "float32")],
    "steps": [(100, "100")],
    "summation_method": [("minoring", "minoring")],
    "target_class_ids": [([0], "[0]"), ((0, 1), "(0, 1)")],
    "threshold": [(0.3, "0.3")],
    "thresholds": [(0.3, "0.3"), ([0.2, 0.4], "[0.2, 0.4]")],
    "tokenizer": [(str, "{tokenizer}")],
    "top_k": [(2, "2")],
    "value": [(0.5, "0.5"), ([1.0, 2.0], "[1.0, 2.0]")],
    "value_range": [((-127, 127), "(-127, 127)")],
    "values": [([1.0, 0.5, 0.1], "[1.0, 0.5, 0.1]")],
    "warmup_target": [(0.2, "0.2")],
    "weight_bits": [(8, "8")],
    "weight_decay": [(0.01, "0.01")],
    "weight_quantizer": [(None, "none")],
    "window": [("hamming", "hamming"), (None, "none")],
}
OWN: dict[tuple[str, str], list[Sample]] = {
    ("AbsMaxQuantizer", "axis"): [(0, "0")],
    ("AUC", "num_thresholds"): [(50, "50")],
    ("AWQConfig", "weight_bits"): [(4, "4")],
    ("LossScaleOptimizer", "dynamic"): [(True, "true")],
    ("GPTQDTypePolicy", "mode"): [("gptq/4/64", '"gptq/4/64"')],
    ("AWQDTypePolicy", "mode"): [("awq/4/64", '"awq/4/64"')],
    ("Int4DTypePolicy", "mode"): [("int4/64", '"int4/64"')],
    ("QuantizedFloat8DTypePolicy", "mode"): [("float8", "float8")],
    ("QuantizedDTypePolicy", "mode"): [("int8", "int8")],
    ("DTypePolicy", "name"): [("mixed_float16", "mixed_float16"), ("float64", '"float64"')],
    ("FloatDTypePolicy", "name"): [("mixed_float16", "mixed_float16")],
    ("VarianceScaling", "mode"): [("fan_out", "fan_out")],
    ("OrthogonalRegularizer", "mode"): [("columns", "columns")],
}
PAIRED: dict[tuple[str, str], dict[str, Sample]] = {
    ("AUC", "label_weights"): {"multi_label": (True, "true"), "num_labels": (2, "2")},
    ("AUC", "num_labels"): {"multi_label": (True, "true")},
}
NAMES = {"tokenizer": str}


def classes() -> Iterator[tuple[catalogue.Role, Any]]:
    for role in OBJECTS:
        for cls in dict.fromkeys(filter(inspect.isclass, catalogue.members(role).values())):
            if cls.__name__ not in ABSTRACT:
                yield role, cls


def samples(cls: Any, param: catalogue.Parameter) -> list[Sample] | None:
    """Values for a parameter: from the tables, or near its default; None if there are none."""
    own = OWN.get((cls.__name__, param.name))
    if own is not None:
        return own
    if param.name in VALUES:
        return VALUES[param.name]
    if param.role in ROLES:
        return ROLES[param.role]
    if param.is_flag:
        return [(not param.default, str(not param.default).lower())]
    if isinstance(param.default, int | float):
        near = param.default + 1 if isinstance(param.default, int) else param.default / 2 + 0.25
        return [(near, repr(near))]
    if param.required:
        return [(0.5, "0.5")]
    return None


def base(cls: Any, without: str = "") -> dict[str, Sample]:
    """The arguments that a class cannot do without."""
    found: dict[str, Sample] = {}
    for param in catalogue.parameters(cls):
        values = samples(cls, param)
        if param.required and param.name != without and values:
            found[param.name] = values[0]
    return found


REFUSED = frozenset(
    ("LossScaleOptimizer", name)
    for name in (
        "weight_decay",
        "clipnorm",
        "clipvalue",
        "global_clipnorm",
        "use_ema",
        "ema_momentum",
        "ema_overwrite_frequency",
        "loss_scale_factor",
        "gradient_accumulation_steps",
    )
)
"""Parameters that a class has from its base, and does not let anybody set."""


def cases(cls: Any, param: catalogue.Parameter) -> Iterator[dict[str, Sample]]:
    """Arguments of a class, one of them each sample of a parameter in turn."""
    for sample in samples(cls, param) or ():
        paired = PAIRED.get((cls.__name__, param.name), {})
        yield {**base(cls, param.name), **paired, param.name: sample}
