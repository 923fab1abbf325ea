"""A line that works for every word, made from its signature."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from kmagic.models import catalogue
from kmagic.models.catalogue import Parameter, Role
from kmagic.models.reference.word_families import KerasWord, family_of


@dataclass(frozen=True, slots=True)
class WordExample:
    """A text that builds.

    Attributes:
        text: In the layer language.
        setup: Python lines that the notebook must have run before, or "".
        no_example: Why there is no text that builds here, or "".
    """

    text: str = ""
    setup: str = ""
    no_example: str = ""


_INPUTS = {1: "20x8", 2: "32x32x3", 3: "16x16x16x3"}
"""An input for a layer with 1, 2 or 3 in its name."""
_FAMILY_INPUTS = {
    "recurrent": "20x8",
    "attention": "20x8",
    "image preprocessing": "32x32x3",
}
_PLAIN_INPUT = "16"

_VALUES: dict[str, str] = {
    "activation": "relu",
    "units": "64",
    "filters": "32",
    "rank": "2",
    "rate": "0.2",
    "stddev": "0.1",
    "num_heads": "4",
    "key_dim": "16",
    "head_dim": "16",
    "num_query_heads": "4",
    "num_key_value_heads": "2",
    "height": "24",
    "width": "24",
    "factor": "0.2",
    "scale": "0.00392",
    "n": "4",
    "dims": "2x1",
    "num_bins": "32",
    "num_tokens": "8",
    "value_range": "[0, 255]",
    "height_factor": "0.2",
    "width_factor": "0.2",
    "layer": "dense 8",
    "cell": "lstm_cell 32",
    "cells": "[lstm_cell 32, lstm_cell 16]",
    "initial_learning_rate": "0.01",
    "decay_steps": "1000",
    "decay_rate": "0.9",
    "first_decay_steps": "1000",
    "boundaries": "[1000, 2000]",
    "values": "[0.01, 0.005, 0.001]",
    "num_classes": "3",
    "target_class_ids": "[0]",
    "name": '"mixed_float16"',
    "recall": "0.5",
    "precision": "0.5",
    "sensitivity": "0.5",
    "specificity": "0.5",
    "k": "5",
}
"""A value for each parameter that has no default."""

_WHOLE: dict[str, WordExample] = {
    "bidirectional": WordExample("input 20x8\nbidirectional(lstm 32)"),
    "category_encoding": WordExample("input 4 int32\ncategory_encoding 10"),
    "conv_lstm1d": WordExample("input 10x20x3\nconv_lstm1d 8 3"),
    "conv_lstm2d": WordExample("input 10x16x16x3\nconv_lstm2d 8 3x3"),
    "conv_lstm3d": WordExample("input 4x8x8x8x3\nconv_lstm3d 8 3x3x3"),
    "constant": WordExample("input 16\ndense 32 kernel_initializer=constant(0.1)"),
    "discretization": WordExample("input 1\ndiscretization bin_boundaries=[0.0, 1.0, 2.0]"),
    "dot": WordExample("a = input 20x8\nb = input 20x8\ndot 2 <- a, b"),
    "einsum_dense": WordExample('input 20x8\neinsum_dense "abc,cd->abd" (none, 64) bias_axes="d"'),
    "embedding": WordExample("input 80 int32\nembedding 5000 64"),
    # Outside training it hands on the very tensor it got, so it cannot stand last.
    "equalization": WordExample("input 32x32x3\nequalization\nconv2d 8 3x3"),
    "group_normalization": WordExample("input 32x32x16\ngroup_normalization 4"),
    "hashed_crossing": WordExample(
        "a = input 1 int32\nb = input 1 int32\nhashed_crossing 32 <- a, b"
    ),
    "hashing": WordExample("input 1 string\nhashing 32"),
    "input_layer": WordExample(no_example="It is written `input 28x28x1`."),
    "integer_lookup": WordExample("input 4 int64\ninteger_lookup vocabulary=[7, 11, 42]"),
    "lambda": WordExample("input 16\nlambda {double}", setup="def double(x):\n    return 2 * x"),
    "mel_spectrogram": WordExample("input 16000\nmel_spectrogram"),
    "normalization": WordExample("input 4\nnormalization mean=[0, 1, 2, 3] variance=[1, 1, 4, 4]"),
    "permute": WordExample("input 20x8\npermute 2x1"),
    "pipeline": WordExample("input 32x32x3\npipeline([random_flip, rescaling 0.5])"),
    "random_posterization": WordExample("input 32x32x3\nrandom_posterization 4"),
    "repeat_vector": WordExample("input 16\nrepeat_vector 20"),
    "reshape": WordExample("input 16\nreshape 4x4"),
    "reversible_embedding": WordExample("input 80 int32\nreversible_embedding 5000 64"),
    "rnn": WordExample("input 20x8\nrnn(lstm_cell 32)"),
    "spectral_normalization": WordExample("input 32x32x3\nspectral_normalization(conv2d 16 3x3)"),
    "stacked_rnn_cells": WordExample(
        "input 20x8\nrnn(stacked_rnn_cells([lstm_cell 32, lstm_cell 16]))"
    ),
    "stft_spectrogram": WordExample("input 16000x1\nstft_spectrogram"),
    "string_lookup": WordExample(
        'input 1 string\nstring_lookup vocabulary=["red", "green", "blue"]'
    ),
    "text_vectorization": WordExample(
        "input 1 string\ntext_vectorization output_sequence_length=80 adapt={texts}",
        setup='texts = ["a good film", "a long film"]',
    ),
    "time_distributed": WordExample("input 10x32x32x3\ntime_distributed(conv2d 8 3x3)"),
    "unit_normalization": WordExample("input 16\nunit_normalization"),
    # --- what needs more than Keras and TensorFlow --------------------------------------------
    "flax_layer": WordExample(no_example="It needs a Flax module, and Keras on JAX."),
    "jax_layer": WordExample(no_example="It needs a JAX function, and Keras on JAX."),
    "tfsm_layer": WordExample(no_example="It needs a TensorFlow SavedModel in a folder."),
    "torch_module_wrapper": WordExample(
        no_example="It needs a PyTorch module, and Keras on PyTorch."
    ),
    "wrapper": WordExample(no_example="It is the base of wrappers of your own, and has no call."),
    "cut_mix": WordExample(
        no_example="It mixes pictures with their labels: it belongs in a data pipeline."
    ),
    "mix_up": WordExample(
        no_example="It mixes pictures with their labels: it belongs in a data pipeline."
    ),
    "max_num_bounding_boxes": WordExample(
        no_example="It takes bounding boxes with the pictures: it belongs in a data pipeline."
    ),
    # --- other roles ---------------------------------------------------------------------------
    "loss_scale_optimizer": WordExample(
        "input 16\ndense 1\ncompile loss_scale_optimizer(adam()) loss=mse"
    ),
    "stft": WordExample("input 16000x1\nconv1d 32 256 kernel_initializer=stft"),
    "quantized_dtype_policy": WordExample(
        'input 16\ndense 32 dtype=quantized_dtype_policy("int8", "float32")'
    ),
    "quantized_float8_dtype_policy": WordExample(
        'input 16\ndense 32 dtype=quantized_float8_dtype_policy("float8", "float32")'
    ),
    "int4_dtype_policy": WordExample(
        'input 16\ndense 32 dtype=int4_dtype_policy("int4/128", "float32")'
    ),
    "gptq_dtype_policy": WordExample(
        'input 16\ndense 32 dtype=gptq_dtype_policy("gptq/4/-1", "float32")'
    ),
    "awq_dtype_policy": WordExample(
        'input 16\ndense 32 dtype=awq_dtype_policy("awq/4/128", "float32")'
    ),
    "seed_generator": WordExample(
        "input 16\ndense 32 kernel_initializer=he_normal(seed=seed_generator(1))"
    ),
    "abs_max_quantizer": WordExample(
        "input 16\ndense 32 quantization_config=int8_quantization_config(abs_max_quantizer(axis=0))"
    ),
    "mean_metric_wrapper": WordExample(
        "input 16\ndense 1\ncompile adam loss=mse metrics=[mean_metric_wrapper({miss})]",
        setup="def miss(y_true, y_pred):\n    return abs(y_true - y_pred)",
    ),
    "multi_optimizer": WordExample(no_example="Keras makes it; a text names the optimizers in it."),
    "optimizer_map": WordExample(
        no_example="It maps layers that exist already to optimizers of their own."
    ),
}
"""Examples of words whose signature alone does not tell what they work on."""

_MERGING = "a = input 16\nb = input 16\n{word} <- a, b"
_ATTENTION = "q = input 20x8\nv = input 30x8\n{line} <- q, v"
_ACTIVATION = "input 16\ndense 32 {word}"
_OF_DENSE = "input 16\ndense 32 {role}={line}"


def word_example(known: KerasWord) -> WordExample:
    """A text with the word in it, that builds; or the reason why there is none."""
    if known.word in _WHOLE and not (known.role != "layer" and _is_layer(known.word)):
        return _WHOLE[known.word]
    if known.role == "layer":
        return _of_layer(known)
    return _of_object(known)


def call(known: KerasWord, *, brackets: bool) -> str:
    """The word with a value for each argument that it cannot do without."""
    required = [each for each in _parameters(known) if each.required]
    values = [_value(each, known) for each in required]
    if not values and known.role in _BY_STRENGTH:
        values = [f"{each.default}" for each in _parameters(known)[:1] if _is_float(each)]
    if not values:
        return known.word
    if brackets:
        return f"{known.word}({', '.join(values)})"
    return " ".join([known.word, *values])


_BY_STRENGTH: tuple[Role, ...] = ("regularizer", "constraint", "optimizer")
"""Roles whose first argument says how much, and is rarely left as it is."""


def _is_float(param: Parameter) -> bool:
    return isinstance(param.default, float)


def _is_layer(word: str) -> bool:
    return catalogue.find_object("layer", word) is not None


def _of_layer(known: KerasWord) -> WordExample:
    family = family_of(known.value)
    if family == "merging":
        return WordExample(_MERGING.format(word=known.word))
    line = call(known, brackets=False)
    if family == "attention":
        return WordExample(_ATTENTION.format(line=line))
    if known.word.endswith("_cell"):
        return WordExample(f"input 20x8\nrnn({line})")
    return WordExample(f"input {_input(known, family)}\n{line}{_extras(known)}")


def _input(known: KerasWord, family: str) -> str:
    dims = _dims(known)
    if dims:
        return _INPUTS[dims]
    return _FAMILY_INPUTS.get(family, _PLAIN_INPUT)


def _dims(known: KerasWord) -> int:
    """1, 2 or 3, if the layer's name says over how many dimensions it goes."""
    name = getattr(known.value, "__name__", "")
    return next((dims for dims in _INPUTS if f"{dims}D" in name), 0)


def _value(param: Parameter, known: KerasWord) -> str:
    dims = _dims(known)
    if param.name in {"kernel_size", "pool_size", "size"} and dims:
        return "x".join(["3"] * dims)
    if param.name == "output_size" and dims:
        return "x".join(["4"] * dims)
    return _VALUES.get(param.name, "1")


def _extras(known: KerasWord) -> str:
    """An optional argument that is used more often than not."""
    names = {each.name: each for each in _parameters(known)}
    extra = ""
    if family_of(known.value) == "convolution" and "padding" in names:
        extra += " same"
    if "activation" in names and names["activation"].default is None:
        extra += " relu"
    return extra


def _of_object(known: KerasWord) -> WordExample:
    line = call(known, brackets=True)
    role: Role = known.role
    match role:
        case "activation":
            return WordExample(_ACTIVATION.format(word=known.word))
        case "initializer" | "regularizer" | "constraint":
            return WordExample(_OF_DENSE.format(role=f"kernel_{role}", line=line))
        case "loss":
            return WordExample(f"input 16\ndense 3\ncompile adam loss={known.word}")
        case "metric":
            return WordExample(f"input 16\ndense 3\ncompile adam loss=mse metrics=[{line}]")
        case "optimizer":
            return WordExample(f"input 16\ndense 3\ncompile {line} loss=mse")
        case "schedule":
            return WordExample(f"input 16\ndense 3\ncompile adam({line}) loss=mse")
        case "quantizer":
            return WordExample(f"input 16\ndense 32 quantization_config={line}")
        case _ if "float" in known.word or known.value is not None:
            return WordExample(f"input 16\ndense 3 dtype={line}")
        case _:
            return WordExample(f"input 16 {known.word}\nflatten")


def _parameters(known: KerasWord) -> tuple[Parameter, ...]:
    if known.value is None or not (inspect.isclass(known.value) or known.role == "layer"):
        return ()
    return catalogue.parameters(known.value)
