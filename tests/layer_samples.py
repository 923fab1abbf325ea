"""A value for every parameter of every layer of the installed Keras, and how it is written.

When Keras gains a layer or a parameter, ``test_argument_binding`` fails and names what to add here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import constraints, initializers, quantizers, regularizers
from keras import layers as L  # noqa: N812 - short, as the lines that it stands beside

from kmagic.models import catalogue

Sample = tuple[Any, str]
"""A Python value, and how it is written."""


def double(x: Any) -> Any:
    return x * 2


def init_fn(rng: Any, *_: Any) -> Any:
    return rng


NAMES = {"double": double, "init_fn": init_fn, "matrix": np.ones((10, 4), "float32")}

ROLES: dict[str, list[Sample]] = {
    "initializer": [
        ("he_normal", "he_normal"),
        (initializers.Constant(0.5), "constant(0.5)"),
        (initializers.RandomNormal(0.1, 0.2, seed=3), "random_normal(0.1, 0.2, seed=3)"),
        (
            initializers.VarianceScaling(2.0, mode="fan_out", distribution="uniform"),
            "variance_scaling(2.0, fan_out, distribution=uniform)",
        ),
    ],
    "regularizer": [
        ("l2", "l2"),
        (regularizers.L1L2(1e-4, 0.001), "l1l2(1e-4, 1e-3)"),
        (
            regularizers.OrthogonalRegularizer(0.02, "columns"),
            'orthogonal_regularizer(0.02, "columns")',
        ),
    ],
    "constraint": [
        ("non_neg", "non_neg"),
        (constraints.MaxNorm(2.0, axis=-1), "max_norm(2.0, axis=-1)"),
        (constraints.MinMaxNorm(0.1, 1.0, rate=0.5), "min_max_norm(0.1, 1.0, rate=0.5)"),
    ],
    "activation": [
        ("relu", "relu"),
        ("hard_sigmoid", "hard_sigmoid"),
        (double, "{double}"),
        (None, "none"),
    ],
    "dtype": [
        ("float64", "float64"),
        ("mixed_float16", "mixed_float16"),
        (keras.dtype_policies.DTypePolicy("mixed_bfloat16"), 'dtype_policy("mixed_bfloat16")'),
    ],
    "seed": [(7, "7"), (keras.random.SeedGenerator(5), "seed_generator(5)")],
    "quantizer": [
        (quantizers.Int8QuantizationConfig(), "int8_quantization_config()"),
        (
            quantizers.Int4QuantizationConfig(block_size=64),
            "int4_quantization_config(block_size=64)",
        ),
    ],
}
"""Values for parameters whose meaning their name tells."""

SIZES: dict[str, list[Sample]] = {
    "1": [(3, "3"), ((2,), "(2,)")],
    "2": [(3, "3"), ((2, 3), "2x3")],
    "3": [(2, "2"), ((2, 3, 4), "2x3x4")],
}
SIZED = (
    "dilation_rate",
    "kernel_size",
    "output_padding",
    "output_size",
    "pool_size",
    "size",
    "strides",
)
"""Parameters that take one number, or one for each dimension of the layer."""

PARAMETERS: dict[str, list[Sample]] = {
    "addition_factor": [(0.3, "0.3"), ((0.1, 0.4), "(0.1, 0.4)")],
    "alpha": [(0.5, "0.5")],
    "arguments": [({"factor": 2}, "{factor: 2}"), ({}, "{}")],
    "attention_axes": [((1, 2), "1x2"), ([1], "[1]"), (2, "2")],
    "axes": [(1, "1"), ((1, 2), "1x2"), ([2, 1], "[2, 1]")],
    "axis": [(1, "1"), (-2, "-2")],
    "backward_layer": [
        (L.LSTM(4, go_backwards=True), "lstm 4 go_backwards"),
    ],
    "batch_size": [(8, "8")],
    "bias_axes": [("c", "c")],
    "bin_boundaries": [([0.0, 0.5, 1.0], "[0.0, 0.5, 1.0]"), ([-1, 1], "[-1, 1]")],
    "bins": [(64, "64")],
    "bounding_box_format": [("xyxy", "xyxy"), ("rel_xywh", "rel_xywh")],
    "brightness_factor": [(0.2, "0.2"), ((-0.2, 0.3), "(-0.2, 0.3)")],
    "cell": [
        (L.LSTMCell(4, dropout=0.1), "lstm_cell 4 dropout=0.1"),
        ([L.LSTMCell(4), L.GRUCell(2)], "[lstm_cell 4, gru_cell 2]"),
    ],
    "cells": [
        ([L.LSTMCell(4)], "[lstm_cell 4]"),
        (
            [L.SimpleRNNCell(4), L.GRUCell(2)],
            "[simple_rnn_cell 4, gru_cell(2)]",
        ),
    ],
    "chain_depth": [(2, "2")],
    "clip_limit": [(2.5, "2.5")],
    "contrast_factor": [(0.2, "0.2"), ((0.1, 0.3), "(0.1, 0.3)")],
    "data_format": [
        ("channels_first", "channels_first"),
        ("channels_last", "channels_last"),
        (None, "none"),
    ],
    "depth_multiplier": [(2, "2")],
    "dims": [((2, 1), "2x1"), ((2, 3, 1), "(2, 3, 1)")],
    "dropout": [(0.25, "0.25")],
    "encoding": [("utf-16", '"utf-16"'), ("latin1", "latin1")],
    "epsilon": [(1e-5, "1e-5"), (0.01, "0.01")],
    "equation": [("ab,bc->ac", '"ab,bc->ac"'), ("...b,bc->...c", "'...b,bc->...c'")],
    "factor": [(0.2, "0.2"), ((0.1, 0.3), "(0.1, 0.3)")],
    "fft_length": [(512, "512")],
    "fill_mode": [("nearest", "nearest"), ("wrap", '"wrap"'), ("constant", "constant")],
    "fill_value": [(0.5, "0.5"), (2, "2")],
    "filters": [(6, "6")],
    "flash_attention": [(False, "false"), (None, "none")],
    "frame_length": [(128, "128")],
    "frame_step": [(64, "64")],
    "function": [(double, "{double}")],
    "groups": [(2, "2")],
    "gptq_unpacked_column_size": [(4, "4")],
    "head_dim": [(8, "8")],
    "height": [(4, "4")],
    "height_factor": [(0.2, "0.2"), ((-0.1, 0.3), "(-0.1, 0.3)")],
    "hue_factor": [(0.2, "0.2"), ((0.1, 0.3), "(0.1, 0.3)")],
    "idf_weights": [([0.5, 1.5], "[0.5, 1.5]")],
    "implementation": [(1, "1")],
    "input_dim": [(10, "10")],
    "interpolation": [("nearest", "nearest"), ("bilinear", '"bilinear"')],
    "key_dim": [(5, "5")],
    "l1": [(0.1, "0.1")],
    "l2": [(1e-3, "1e-3")],
    "layer": [
        (L.LSTM(3, return_sequences=True), "lstm 3 return_sequences"),
        (L.GRU(3, activation="relu", name="inner"), "gru(3, relu, name=inner)"),
    ],
    "layers": [
        ([L.RandomFlip("vertical", seed=1)], "[random_flip vertical seed=1]"),
        (
            [L.Rescaling(0.5), L.CenterCrop(2, 2)],
            "[rescaling(0.5), center_crop 2 2]",
        ),
    ],
    "logit_soft_cap": [(2.0, "2.0")],
    "lora_alpha": [(2.0, "2.0")],
    "lora_rank": [(2, "2")],
    "mag_exp": [(1.0, "1.0")],
    "mask": [(double, "{double}")],
    "mask_value": [(1.0, "1.0"), (-1, "-1")],
    "max_freq": [(4000.0, "4000.0"), (4000, "4000")],
    "max_number": [(5, "5")],
    "max_tokens": [(20, "20")],
    "max_value": [(6.0, "6.0"), (None, "none")],
    "mean": [(0.5, "0.5"), ([0.1, 0.2], "[0.1, 0.2]")],
    "merge_mode": [("sum", "sum"), (None, "none"), ("ave", "ave")],
    "min_freq": [(10.0, "10.0")],
    "min_power": [(1e-8, "1e-8")],
    "momentum": [(0.9, "0.9")],
    "n": [(3, "3")],
    "name": [("plain", "plain"), ("with-sign", '"with-sign"')],
    "negative_slope": [(0.1, "0.1")],
    "ngrams": [(2, "2"), ((1, 3), "(1, 3)")],
    "noise_shape": [((None, 1), "?x1"), ((2, 1, 1), "2x1x1"), ([2, 1], "[2, 1]")],
    "num_bins": [(4, "4")],
    "num_chains": [(2, "2")],
    "num_heads": [(2, "2")],
    "num_key_value_heads": [(2, "2")],
    "num_mel_bins": [(40, "40")],
    "num_oov_indices": [(0, "0"), (3, "3")],
    "num_ops": [(3, "3")],
    "num_query_heads": [(4, "4")],
    "num_tokens": [(7, "7")],
    "offset": [(-1.0, "-1.0"), ([0.1, 0.2], "[0.1, 0.2]")],
    "oov_method": [("farmhash", "farmhash"), ("floormod", "floormod")],
    "output_dim": [(4, "4")],
    "output_sequence_length": [(5, "5")],
    "pool_mode": [("average", "average")],
    "power_iterations": [(3, "3")],
    "rate": [(0.3, "0.3"), (0, "0")],
    "recurrent_dropout": [(0.2, "0.2")],
    "ref_power": [(2.0, "2.0")],
    "renorm_clipping": [
        ({"rmax": 3.0, "rmin": 0.3, "dmax": 5.0}, "{rmax: 3.0, rmin: 0.3, dmax: 5.0}")
    ],
    "renorm_momentum": [(0.9, "0.9")],
    "salt": [(5, "5"), ([1, 2], "[1, 2]")],
    "sampling_rate": [(8000, "8000")],
    "saturation_factor": [(0.2, "0.2"), ((0.1, 0.3), "(0.1, 0.3)")],
    "scaling": [("spectrum", "spectrum"), (None, "none")],
    "score_mode": [("concat", "concat"), ("dot", '"dot"')],
    "sequence_length": [(1024, "1024")],
    "sequence_stride": [(256, "256")],
    "shape": [((28, 28, 1), "28x28x1"), ((4,), "4"), ((), "()"), ((None, 3), "?x3")],
    "shared_axes": [([1, 2], "[1, 2]"), ((1,), "(1,)")],
    "sigma": [(0.5, "0.5"), ((0.1, 0.5), "(0.1, 0.5)")],
    "sliding_window": [(3, "3")],
    "standardize": [("lower", "lower"), (None, "none"), (double, "{double}")],
    "split": [("character", "character"), (None, "none"), (double, "{double}")],
    "stddev": [(0.1, "0.1")],
    "target_shape": [((2, 3), "2x3"), ((-1,), "-1"), ((-1, 4), "(-1, 4)"), ([2, 2], "[2, 2]")],
    "threshold": [(0.5, "0.5")],
    "threshold_factor": [(0.3, "0.3"), ((0.1, 0.4), "(0.1, 0.4)")],
    "tile_grid_size": [((4, 4), "4x4")],
    "top_db": [(60.0, "60.0")],
    "units": [(5, "5")],
    "use_cudnn": [(False, "false"), ("auto", "auto")],
    "value_dim": [(3, "3")],
    "value_range": [((0, 1), "(0, 1)"), ((-1.0, 1.0), "(-1.0, 1.0)"), ([0, 255], "[0, 255]")],
    "variance": [(2.0, "2.0"), ([1.0, 2.0], "[1.0, 2.0]")],
    "width": [(4, "4")],
    "width_factor": [(0.2, "0.2"), ((-0.1, 0.3), "(-0.1, 0.3)")],
    "window": [("hamming", "hamming"), (None, "none")],
    "x_factor": [(0.2, "0.2"), ((0.1, 0.3), "(0.1, 0.3)")],
    "y_factor": [(0.2, "0.2"), ((0.1, 0.3), "(0.1, 0.3)")],
}
"""Values for all other parameters."""

OWN: dict[tuple[str, str], list[Sample]] = {
    ("AugMix", "factor"): [(0.4, "0.4"), ((0.1, 0.4), "(0.1, 0.4)")],
    ("CategoryEncoding", "output_mode"): [("one_hot", "one_hot"), ("count", "count")],
    ("Cropping1D", "cropping"): [(2, "2"), ((1, 2), "1x2"), ((0, 1), "(0, 1)")],
    ("Cropping2D", "cropping"): [
        (2, "2"),
        ((1, 2), "1x2"),
        (((0, 1), (2, 3)), "((0, 1), 2x3)"),
        ([[1, 2], [3, 4]], "[[1, 2], [3, 4]]"),
    ],
    ("Cropping3D", "cropping"): [
        (2, "2"),
        ((1, 2, 3), "1x2x3"),
        (((0, 1), (2, 3), (4, 5)), "((0, 1), 2x3, 4x5)"),
    ],
    ("Bidirectional", "backward_layer"): [
        (
            L.LSTM(3, return_sequences=True, go_backwards=True),
            "lstm 3 return_sequences go_backwards",
        ),
    ],
    ("Discretization", "output_mode"): [("one_hot", "one_hot"), ("multi_hot", "multi_hot")],
    ("EinsumDense", "output_shape"): [(4, "4"), ((None, 4), "?x4"), ([4], "[4]")],
    ("Hashing", "dtype"): [("int64", "int64")],
    ("Hashing", "mask_value"): [("", '""'), (0, "0"), ("none", '"none"')],
    ("IntegerLookup", "mask_token"): [(0, "0")],
    ("IntegerLookup", "oov_token"): [(-2, "-2")],
    ("IntegerLookup", "output_mode"): [("multi_hot", "multi_hot"), ("count", "count")],
    ("IntegerLookup", "vocabulary"): [([3, 5, 8], "[3, 5, 8]")],
    ("IntegerLookup", "vocabulary_dtype"): [("int64", "int64")],
    ("Lambda", "output_shape"): [((4,), "(4,)"), ((2, 3), "2x3"), (double, "{double}")],
    ("LayerNormalization", "axis"): [(1, "1"), ([-2, -1], "[-2, -1]"), ((1, 2), "1x2")],
    ("MaxNumBoundingBoxes", "fill_value"): [(-2, "-2")],
    ("MultiHeadAttention", "output_shape"): [(6, "6"), ((2, 3), "2x3")],
    ("Normalization", "axis"): [(1, "1"), (None, "none"), ([-1], "[-1]"), ((1, 2), "1x2")],
    ("RandAugment", "factor"): [(0.4, "0.4")],
    ("RandomColorDegeneration", "factor"): [(0.4, "0.4"), ((0.1, 0.4), "(0.1, 0.4)")],
    ("RandomElasticTransform", "scale"): [(0.5, "0.5")],
    ("RandomErasing", "scale"): [((0.1, 0.2), "(0.1, 0.2)")],
    ("RandomFlip", "mode"): [("horizontal", "horizontal"), ("vertical", '"vertical"')],
    ("RandomGaussianBlur", "kernel_size"): [(5, "5"), ((3, 5), "3x5")],
    ("RandomGrayscale", "factor"): [(0.3, "0.3")],
    ("RandomPerspective", "scale"): [(0.5, "0.5")],
    ("RandomPosterization", "factor"): [(3, "3")],
    ("Rescaling", "scale"): [
        (0.5, "0.5"),
        (1 / 255, "0.00392156862745098"),
        ([0.1, 0.2], "[0.1, 0.2]"),
    ],
    ("Softmax", "axis"): [(1, "1"), ([1, 2], "[1, 2]"), ((1, 2), "(1, 2)")],
    ("STFTSpectrogram", "mode"): [("magnitude", "magnitude"), ("real", "real")],
    ("STFTSpectrogram", "padding"): [("same", "same"), ("valid", '"valid"')],
    ("StringLookup", "mask_token"): [("", '""'), ("[MASK]", '"[MASK]"')],
    ("StringLookup", "oov_token"): [("<unk>", '"<unk>"'), ("other", "other")],
    ("StringLookup", "output_mode"): [("multi_hot", "multi_hot"), ("count", "count")],
    ("StringLookup", "vocabulary"): [(["a", "b c", 'q"'], """["a", "b c", 'q"']""")],
    ("TextVectorization", "output_mode"): [("multi_hot", "multi_hot"), ("count", "count")],
    ("TextVectorization", "vocabulary"): [(["a", "none"], '[a, "none"]')],
    ("UnitNormalization", "axis"): [(1, "1"), ([1, 2], "[1, 2]")],
    ("ZeroPadding1D", "padding"): [(2, "2"), ((0, 1), "(0, 1)")],
    ("ZeroPadding2D", "padding"): [(2, "2"), ((1, 2), "1x2"), (((0, 1), (2, 3)), "((0, 1), 2x3)")],
    ("ZeroPadding3D", "padding"): [(2, "2"), ((1, 2, 3), "1x2x3")],
    **{(name, "output_mode"): [("one_hot", "one_hot")] for name in ("HashedCrossing", "Hashing")},
    **{
        (name, "weights"): [(NAMES["matrix"], "{matrix}")]
        for name in ("Embedding", "ReversibleEmbedding")
    },
    ("Bidirectional", "weights"): [([1.0], "[1.0]")],
    **{
        (f"Conv{dimension}DTranspose", "output_padding"): [(1, "1"), (0, "0")]
        for dimension in (1, 2, 3)
    },
}
"""Values that only one class takes."""

WITH: dict[str, dict[str, Sample]] = {
    "CategoryEncoding": {"num_tokens": (7, "7")},
    "Discretization": {"bin_boundaries": ([0.0, 1.0], "[0.0, 1.0]")},
    "EinsumDense": {
        "equation": ("abc,cd->abd", '"abc,cd->abd"'),
        "output_shape": ((None, 4), "?x4"),
    },
    "RandomCrop": {"seed": (1, "1")},
    "SpectralNormalization": {"layer": (L.Dense(3), "dense 3")},
    "TimeDistributed": {"layer": (L.Dense(3), "dense 3")},
    "Wrapper": {"layer": (L.Dense(3), "dense 3")},
}
"""What a class needs beside the parameter under test, where the samples do not do."""

STRIDES: dict[str, Sample] = {"strides": (4, "4")}
TF_IDF: dict[str, Sample] = {"output_mode": ("tf_idf", "tf_idf")}
WORDS: dict[str, Sample] = {"vocabulary": (["a", "b"], '["a", "b"]')}
FARM: dict[str, Sample] = {"oov_method": ("farmhash", "farmhash")}
MOST: dict[str, Sample] = {"max_tokens": (9, "9"), "output_mode": ("multi_hot", "multi_hot")}
HOT: dict[str, Sample] = {"output_mode": ("multi_hot", "multi_hot")}
PAIRED: dict[tuple[str, str], dict[str, Sample]] = {
    **{(f"Conv{dimension}DTranspose", "output_padding"): STRIDES for dimension in (1, 2, 3)},
    **{(name, "pad_to_max_tokens"): MOST for name in ("IntegerLookup", "StringLookup")},
    ("TextVectorization", "pad_to_max_tokens"): MOST,
    **{(name, "sparse"): HOT for name in ("IntegerLookup", "StringLookup", "TextVectorization")},
    **{(name, "salt"): FARM for name in ("IntegerLookup", "StringLookup")},
    ("IntegerLookup", "idf_weights"): {**TF_IDF, "vocabulary": ([3, 5], "[3, 5]")},
    ("StringLookup", "idf_weights"): {**TF_IDF, **WORDS},
    ("TextVectorization", "idf_weights"): {**TF_IDF, **WORDS},
    ("Normalization", "mean"): {"variance": (2.0, "2.0")},
    ("Normalization", "variance"): {"mean": (2.0, "2.0")},
    ("Discretization", "num_bins"): {"bin_boundaries": (None, "none")},
    ("Dense", "lora_alpha"): {"lora_rank": (2, "2")},
}
"""What a parameter cannot do without."""

REFUSED = frozenset(
    {
        ("ActivityRegularization", "activity_regularizer"),
        ("ReversibleEmbedding", "weights"),
        *(
            (f"{kind}Pooling{dimension}D", "pool_mode")
            for kind in ("Average", "Max")
            for dimension in (1, 2, 3)
        ),
        *(
            (name, "factor")
            for name in (
                "AutoContrast",
                "CenterCrop",
                "RandomFlip",
                "RandomShear",
                "RandomTranslation",
                "RandomZoom",
                "Resizing",
                "Solarization",
            )
        ),
        *(
            (name, param)
            for name in ("IntegerLookup", "StringLookup")
            for param in ("activity_regularizer", "autocast")
        ),
    }
)
"""Parameters that a class has from its base, and does not let anybody set."""

ELSEWHERE = {
    "FlaxLayer": "needs flax",
    "InputLayer": "is written `input`",
    "JaxLayer": "needs jax",
    "Layer": "has no call",
    "TFSMLayer": "needs a SavedModel",
    "TorchModuleWrapper": "needs torch",
}
"""Layers that are reached too, and tested by another test here."""


def classes() -> list[Any]:
    return list(dict.fromkeys(catalogue.members("layer").values()))


def samples(cls: Any, param: catalogue.Parameter) -> list[Sample] | None:
    """Values for a parameter; None if the tables know none."""
    own = OWN.get((cls.__name__, param.name))
    if own is not None:
        return own
    if param.role in ROLES:
        return ROLES[param.role]
    if param.name in SIZED:
        dimensions = next((char for char in cls.__name__ if char in "123"), "")
        return SIZES.get(dimensions)
    if param.name in PARAMETERS:
        return PARAMETERS[param.name]
    if param.is_flag:
        return [(True, "true"), (False, "false")]
    if param.name == "padding" and param.default == "valid":
        return [("same", "same"), ("valid", '"valid"')]
    return None


def base(cls: Any, without: str = "") -> dict[str, Sample]:
    """The arguments that a class cannot do without."""
    found = dict(WITH.get(cls.__name__, {}))
    for param in catalogue.parameters(cls):
        if param.required and param.name not in found:
            values = samples(cls, param)
            assert values, f"{cls.__name__} needs {param.name}, and the tables have no value"
            found[param.name] = values[0]
    found.pop(without, None)
    return found


def cases(cls: Any, param: catalogue.Parameter) -> Iterator[dict[str, Sample]]:
    """Arguments of a class, one of them each sample of a parameter in turn."""
    for sample in samples(cls, param) or ():
        paired = PAIRED.get((cls.__name__, param.name), {})
        yield {**base(cls, param.name), **paired, param.name: sample}


def pairs() -> Iterator[Any]:
    """Every layer with every parameter of it, as a test's parameters."""
    for cls in classes():
        if cls.__name__ not in ELSEWHERE:
            for param in catalogue.parameters(cls):
                yield pytest.param(cls, param, id=f"{cls.__name__}-{param.name}")


RNN_CELLS = [L.LSTMCell(4, dropout=0.1), L.GRUCell(3)]

LINES: list[tuple[str, Any]] = [
    ("dense 4", L.Dense(4)),
    ("dense 4 relu", L.Dense(4, "relu")),
    ("dense relu 4", L.Dense(4, "relu")),
    ("dense 4 !use_bias trainable=false", L.Dense(4, use_bias=False, trainable=False)),
    ("dense units=4 activation=none", L.Dense(4, None)),
    (
        "dense 4 kernel_regularizer=l2(1e-4) relu",
        L.Dense(4, "relu", kernel_regularizer=keras.regularizers.L2(1e-4)),
    ),
    ("dense 4 mixed_float16", L.Dense(4, dtype="mixed_float16")),
    ("dense 4 dtype=int8_from_float32", L.Dense(4, dtype="int8_from_float32")),
    ("dense 4 activation={double}", L.Dense(4, double)),
    (
        "dense 4 bias_initializer=constant(array([1.0, 2.0], float32))",
        L.Dense(4, bias_initializer=keras.initializers.Constant(np.array([1.0, 2.0], "float32"))),
    ),
    ("dense 4 name='it\\'s'", L.Dense(4, name="it's")),
    (
        "conv2d 32 3x3 same relu strides=2 !use_bias",
        L.Conv2D(32, 3, 2, "same", use_bias=False, activation="relu"),
    ),
    ("conv2d same 32 3 2", L.Conv2D(32, 3, 2, "same")),
    (
        "conv2d 8 (3, 5) padding='valid' dilation_rate=1x2",
        L.Conv2D(8, (3, 5), dilation_rate=(1, 2)),
    ),
    ("conv1d 8 3 causal gelu", L.Conv1D(8, 3, padding="causal", activation="gelu")),
    ("maxpool", L.MaxPooling2D()),
    ("maxpool 3 2 same", L.MaxPooling2D(3, 2, "same")),
    ("maxpool1d strides=none", L.MaxPooling1D(strides=None)),
    ("gap keepdims", L.GlobalAveragePooling2D(keepdims=True)),
    ("leaky_relu 0.2", L.LeakyReLU(0.2)),
    ("relu 6", L.ReLU(6)),
    ("relu max_value=inf", L.ReLU(float("inf"))),
    ("softmax -2", L.Softmax(-2)),
    ("softmax (1, 2)", L.Softmax((1, 2))),
    ("rescaling 2.0 -1.0", L.Rescaling(2.0, -1.0)),
    ("rescaling [0.1, 0.2] offset=[-1, 1]", L.Rescaling([0.1, 0.2], [-1, 1])),
    ("reshape -1", L.Reshape((-1,))),
    ("reshape (-1, 4)", L.Reshape((-1, 4))),
    ("reshape 4x4", L.Reshape((4, 4))),
    ("permute 2x1", L.Permute((2, 1))),
    ("permute (2, 3, 1)", L.Permute((2, 3, 1))),
    ("zero_padding2d ((0, 1), (2, 3))", L.ZeroPadding2D(((0, 1), (2, 3)))),
    ("zero_padding2d 1x2", L.ZeroPadding2D((1, 2))),
    ("cropping2d 0", L.Cropping2D(0)),
    ("dropout 0.5 noise_shape=(none, 1) seed=3", L.Dropout(0.5, (None, 1), 3)),
    ("spatial_dropout1d 0.2", L.SpatialDropout1D(0.2)),
    ("concatenate -2", L.Concatenate(-2)),
    ("dot 1x2 normalize", L.Dot((1, 2), normalize=True)),
    ("embedding 100 8 mask_zero", L.Embedding(100, 8, mask_zero=True)),
    ("batch_normalization !scale momentum=0.9", L.BatchNormalization(scale=False, momentum=0.9)),
    ("bn", L.BatchNormalization()),
    ("layer_normalization axis=[1, 2]", L.LayerNormalization(axis=[1, 2])),
    ("group_normalization 4 !center", L.GroupNormalization(4, center=False)),
    (
        "lstm 8 return_sequences dropout=0.1 implementation=1",
        L.LSTM(8, return_sequences=True, dropout=0.1, implementation=1),
    ),
    (
        "gru 8 relu recurrent_activation=hard_sigmoid !reset_after",
        L.GRU(8, "relu", "hard_sigmoid", reset_after=False),
    ),
    ("bidirectional(lstm 8)", L.Bidirectional(L.LSTM(8))),
    (
        "bidirectional(lstm 8 return_sequences) merge_mode=none",
        L.Bidirectional(L.LSTM(8, return_sequences=True), merge_mode=None),
    ),
    (
        "bidirectional(gru 4, backward_layer=gru 4 relu go_backwards)",
        L.Bidirectional(L.GRU(4), backward_layer=L.GRU(4, "relu", go_backwards=True)),
    ),
    (
        "bidirectional lstm(8, dropout=0.1) merge_mode=ave",
        L.Bidirectional(L.LSTM(8, dropout=0.1), merge_mode="ave"),
    ),
    ("time_distributed(dense 4 relu)", L.TimeDistributed(L.Dense(4, "relu"))),
    ("time_distributed(bidirectional(lstm 2))", L.TimeDistributed(L.Bidirectional(L.LSTM(2)))),
    ("rnn(lstm_cell 4) return_state", L.RNN(L.LSTMCell(4), return_state=True)),
    ("rnn([lstm_cell 4 dropout=0.1, gru_cell 3])", L.RNN(RNN_CELLS)),
    (
        "rnn(stacked_rnn_cells([lstm_cell 4 dropout=0.1, gru_cell(3)]))",
        L.RNN(L.StackedRNNCells(RNN_CELLS)),
    ),
    (
        "spectral_normalization(conv2d 4 3x3) power_iterations=2",
        L.SpectralNormalization(L.Conv2D(4, 3), 2),
    ),
    (
        "multi_head_attention 2 8 value_dim=4 output_shape=3 attention_axes=(1, 2)",
        L.MultiHeadAttention(2, 8, 4, output_shape=3, attention_axes=(1, 2)),
    ),
    ("group_query_attention 8 4 2 !use_bias", L.GroupQueryAttention(8, 4, 2, use_bias=False)),
    ("grouped_query_attention 8 4 2", L.GroupQueryAttention(8, 4, 2)),
    ("attention use_scale score_mode=concat", L.Attention(use_scale=True, score_mode="concat")),
    ('einsum_dense "ab,bc->ac" 64 bias_axes=c relu', L.EinsumDense("ab,bc->ac", 64, "relu", "c")),
    ('einsum_dense "abc,cd->abd" ?x64', L.EinsumDense("abc,cd->abd", (None, 64))),
    (
        'string_lookup vocabulary=["a", "b"] output_mode=multi_hot',
        L.StringLookup(vocabulary=["a", "b"], output_mode="multi_hot"),
    ),
    (
        "string_lookup vocabulary=[the, cat] mask_token=''",
        L.StringLookup(vocabulary=["the", "cat"], mask_token=""),
    ),
    (
        "integer_lookup vocabulary=[3, -5, 8] num_oov_indices=2",
        L.IntegerLookup(vocabulary=[3, -5, 8], num_oov_indices=2),
    ),
    (
        "text_vectorization 50 standardize=none split=character ngrams=(1, 2)",
        L.TextVectorization(50, None, "character", (1, 2)),
    ),
    (
        "discretization [0.0, 0.5, 1.0] output_mode=one_hot",
        L.Discretization([0.0, 0.5, 1.0], output_mode="one_hot"),
    ),
    ("discretization num_bins=4", L.Discretization(num_bins=4)),
    ("category_encoding 4 one_hot", L.CategoryEncoding(4, "one_hot")),
    ("hashing 8 salt=[1, 2] output_mode=one_hot", L.Hashing(8, salt=[1, 2], output_mode="one_hot")),
    ("hashed_crossing 8", L.HashedCrossing(8)),
    ("normalization axis=none mean=0.5 variance=2", L.Normalization(None, 0.5, 2)),
    ("random_flip horizontal seed=1", L.RandomFlip("horizontal", 1)),
    (
        "random_rotation (-0.1, 0.2) fill_mode=nearest seed=1",
        L.RandomRotation((-0.1, 0.2), "nearest", seed=1),
    ),
    ("random_zoom 0.1 0.2 seed=1", L.RandomZoom(0.1, 0.2, seed=1)),
    ("rand_augment (0, 1) num_ops=3 seed=1", L.RandAugment((0, 1), 3, seed=1)),
    (
        "pipeline [rescaling 0.5, random_flip vertical seed=2]",
        L.Pipeline([L.Rescaling(0.5), L.RandomFlip("vertical", 2)]),
    ),
    (
        "stft_spectrogram magnitude frame_length=128 scaling=none",
        L.STFTSpectrogram("magnitude", 128, scaling=None),
    ),
    ("mel_spectrogram !power_to_db", L.MelSpectrogram(power_to_db=False)),
    ("lambda {double} output_shape=2x3", L.Lambda(double, (2, 3))),
    ("lambda function={double} arguments={}", L.Lambda(double, arguments={})),
    ("gelu", L.Activation("gelu")),
    ("activation log_softmax", L.Activation("log_softmax")),
    ("activation {double}", L.Activation(double)),
    ("up_sampling2d 2x3 interpolation=bilinear", L.UpSampling2D((2, 3), interpolation="bilinear")),
    ("identity dtype='float64' name=same", L.Identity(dtype="float64", name="same")),
    ("alpha_dropout 0.1 noise_shape=[2, 1]", L.AlphaDropout(0.1, [2, 1])),
    ("activity_regularization 0.1 0.2", L.ActivityRegularization(0.1, 0.2)),
    (
        "conv_lstm2d 4 3x3 same return_sequences",
        L.ConvLSTM2D(4, 3, padding="same", return_sequences=True),
    ),
    (
        "separable_conv2d 8 3x3 depth_multiplier=2 pointwise_regularizer=l1",
        L.SeparableConv2D(8, 3, depth_multiplier=2, pointwise_regularizer="l1"),
    ),
    ("repeat_vector 3", L.RepeatVector(3)),
    ("masking -1.0", L.Masking(-1.0)),
    ("unit_normalization (1, 2)", L.UnitNormalization((1, 2))),
    ("adaptive_average_pooling2d 4x2", L.AdaptiveAveragePooling2D((4, 2))),
    ("average_pooling3d 2", L.AveragePooling3D(2)),
]
"""Lines as people write them, and the layers that Python makes of them."""
