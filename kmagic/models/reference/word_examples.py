"""A short example for every word, made from its signature."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from kmagic.models import catalogue
from kmagic.models.catalogue import Parameter
from kmagic.models.reference.word_families import KerasWord, family_of


@dataclass(frozen=True, slots=True)
class WordExample:
    """A text that builds.

    Attributes:
        text: In the layer language.
        setup: Python code that it needs, or "".
        no_example: Why there is no text, or "".
    """

    text: str = ""
    setup: str = ""
    no_example: str = ""


_INPUTS = {1: "20x8", 2: "32x32x3", 3: "16x16x16x3"}
"""The input of a layer with 1D, 2D or 3D in its name."""
_FAMILY_INPUTS = {"recurrent": "20x8", "attention": "20x8", "image preprocessing": "32x32x3"}

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
    "value_range": "[0, 255]",
    "height_factor": "0.2",
    "width_factor": "0.2",
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
"""A value for each parameter without a default."""

_TEXTS: dict[str, str] = {
    "bidirectional": "input 20x8\nbidirectional(lstm 32)",
    "category_encoding": "input 4 int32\ncategory_encoding 10",
    "conv_lstm1d": "input 10x20x3\nconv_lstm1d 8 3",
    "conv_lstm2d": "input 10x16x16x3\nconv_lstm2d 8 3x3",
    "conv_lstm3d": "input 4x8x8x8x3\nconv_lstm3d 8 3x3x3",
    "constant": "input 16\ndense 32 kernel_initializer=constant(0.1)",
    "discretization": "input 1\ndiscretization bin_boundaries=[0.0, 1.0, 2.0]",
    "dot": "a = input 20x8\nb = input 20x8\ndot 2 <- a, b",
    "einsum_dense": 'input 20x8\neinsum_dense "abc,cd->abd" (none, 64) bias_axes="d"',
    "embedding": "input 80 int32\nembedding 5000 64",
    # In inference it returns its input itself, so it cannot be the last layer.
    "equalization": "input 32x32x3\nequalization\nconv2d 8 3x3",
    "group_normalization": "input 32x32x16\ngroup_normalization 4",
    "hashed_crossing": "a = input 1 int32\nb = input 1 int32\nhashed_crossing 32 <- a, b",
    "hashing": "input 1 string\nhashing 32",
    "integer_lookup": "input 4 int64\ninteger_lookup vocabulary=[7, 11, 42]",
    "lambda": "input 16\nlambda {double}",
    "mel_spectrogram": "input 16000\nmel_spectrogram",
    "normalization": "input 4\nnormalization mean=[0, 1, 2, 3] variance=[1, 1, 4, 4]",
    "permute": "input 20x8\npermute 2x1",
    "pipeline": "input 32x32x3\npipeline([random_flip, rescaling 0.5])",
    "random_posterization": "input 32x32x3\nrandom_posterization 4",
    "repeat_vector": "input 16\nrepeat_vector 20",
    "reshape": "input 16\nreshape 4x4",
    "reversible_embedding": "input 80 int32\nreversible_embedding 5000 64",
    "rnn": "input 20x8\nrnn(lstm_cell 32)",
    "spectral_normalization": "input 32x32x3\nspectral_normalization(conv2d 16 3x3)",
    "stacked_rnn_cells": "input 20x8\nrnn(stacked_rnn_cells([lstm_cell 32, lstm_cell 16]))",
    "stft_spectrogram": "input 16000x1\nstft_spectrogram",
    "string_lookup": 'input 1 string\nstring_lookup vocabulary=["red", "green", "blue"]',
    "text_vectorization": "input 1 string\n"
    "text_vectorization output_sequence_length=80 adapt={texts}",
    "time_distributed": "input 10x32x32x3\ntime_distributed(conv2d 8 3x3)",
    "loss_scale_optimizer": "input 16\ndense 1\ncompile loss_scale_optimizer(adam()) loss=mse",
    "stft": "input 16000x1\nconv1d 32 256 kernel_initializer=stft",
    "quantized_dtype_policy": 'input 16\ndense 32 dtype=quantized_dtype_policy("int8", "float32")',
    "quantized_float8_dtype_policy": "input 16\n"
    'dense 32 dtype=quantized_float8_dtype_policy("float8", "float32")',
    "int4_dtype_policy": 'input 16\ndense 32 dtype=int4_dtype_policy("int4/128", "float32")',
    "gptq_dtype_policy": 'input 16\ndense 32 dtype=gptq_dtype_policy("gptq/4/-1", "float32")',
    "awq_dtype_policy": 'input 16\ndense 32 dtype=awq_dtype_policy("awq/4/128", "float32")',
    "seed_generator": "input 16\ndense 32 kernel_initializer=he_normal(seed=seed_generator(1))",
    "abs_max_quantizer": "input 16\n"
    "dense 32 quantization_config=int8_quantization_config(abs_max_quantizer(axis=0))",
    "mean_metric_wrapper": "input 16\ndense 1\n"
    "compile adam loss=mse metrics=[mean_metric_wrapper({miss})]",
}
"""Examples of words whose signature does not tell their input."""
_SETUPS = {
    "lambda": "def double(x):\n    return 2 * x",
    "text_vectorization": 'texts = ["a good film", "a long film"]',
    "mean_metric_wrapper": "def miss(y_true, y_pred):\n    return abs(y_true - y_pred)",
}
"""Python code that these examples need."""
_NO_EXAMPLES = {
    "input_layer": "Write `input 28x28x1`.",
    "flax_layer": "Needs a Flax module, and Keras with the JAX backend.",
    "jax_layer": "Needs a JAX function, and Keras with the JAX backend.",
    "tfsm_layer": "Needs a folder with a TensorFlow SavedModel.",
    "torch_module_wrapper": "Needs a PyTorch module, and Keras with the PyTorch backend.",
    "wrapper": "A base class for wrappers; it has no call.",
    "cut_mix": "Mixes images together with their labels: use it in a data pipeline.",
    "mix_up": "Mixes images together with their labels: use it in a data pipeline.",
    "max_num_bounding_boxes": "Takes images with bounding boxes: use it in a data pipeline.",
    "multi_optimizer": "Created by Keras; a text names the optimizers inside it.",
    "optimizer_map": "Assigns optimizers to existing layers.",
}
"""Why a word has no example."""

_AS_ARGUMENT = {
    "activation": "dense 32 {word}",
    "initializer": "dense 32 kernel_initializer={call}",
    "regularizer": "dense 32 kernel_regularizer={call}",
    "constraint": "dense 32 kernel_constraint={call}",
    "loss": "dense 3\ncompile adam loss={word}",
    "metric": "dense 3\ncompile adam loss=mse metrics=[{call}]",
    "optimizer": "dense 3\ncompile {call} loss=mse",
    "schedule": "dense 3\ncompile adam({call}) loss=mse",
    "quantizer": "dense 32 quantization_config={call}",
}
"""The lines after `input 16`, by role."""


def word_example(known: KerasWord) -> WordExample:
    """A text that uses a word and builds, or the reason why there is none."""
    word, is_layer = known.word, known.role == "layer"
    if is_layer or catalogue.find_object("layer", word) is None:
        if word in _NO_EXAMPLES:
            return WordExample(no_example=_NO_EXAMPLES[word])
        if word in _TEXTS:
            return WordExample(_TEXTS[word], _SETUPS.get(word, ""))
    if is_layer:
        return WordExample(_layer_text(known))
    values = _argument_values(known)
    call = f"{word}({', '.join(values)})" if values else word
    if known.role in _AS_ARGUMENT:
        lines = _AS_ARGUMENT[known.role].format(word=word, call=call)
        return WordExample(f"input 16\n{lines}")
    if "float" in word or known.value is not None:
        return WordExample(f"input 16\ndense 3 dtype={call}")
    return WordExample(f"input 16 {word}\nflatten")


def _layer_text(known: KerasWord) -> str:
    family = family_of(known.value)
    if family == "merging":
        return f"a = input 16\nb = input 16\n{known.word} <- a, b"
    line = " ".join([known.word, *_argument_values(known)])
    if family == "attention":
        return f"q = input 20x8\nv = input 30x8\n{line} <- q, v"
    if known.word.endswith("_cell"):
        return f"input 20x8\nrnn({line})"
    params = {param.name: param for param in _parameters(known)}
    if family == "convolution" and "padding" in params:
        line += " same"
    if "activation" in params and params["activation"].default is None:
        line += " relu"
    dims = _dims(known)
    shape = _INPUTS[dims] if dims else _FAMILY_INPUTS.get(family, "16")
    return f"input {shape}\n{line}"


def _argument_values(known: KerasWord) -> list[str]:
    """A value for each required argument."""
    params = _parameters(known)
    values = [_value(param, known) for param in params if param.required]
    # The first argument of these is a strength, which is rarely left at its default.
    if not values and known.role in ("regularizer", "constraint", "optimizer"):
        values = [str(param.default) for param in params[:1] if isinstance(param.default, float)]
    return values


def _value(param: Parameter, known: KerasWord) -> str:
    dims = _dims(known)
    if dims and param.name in {"kernel_size", "pool_size", "size"}:
        return "x".join("3" * dims)
    if dims and param.name == "output_size":
        return "x".join("4" * dims)
    return _VALUES.get(param.name, "1")


def _dims(known: KerasWord) -> int:
    """1, 2 or 3 if the name of the class contains 1D, 2D or 3D; else 0."""
    name = getattr(known.value, "__name__", "")
    return next((dims for dims in _INPUTS if f"{dims}D" in name), 0)


def _parameters(known: KerasWord) -> tuple[Parameter, ...]:
    if known.value is None or not (inspect.isclass(known.value) or known.role == "layer"):
        return ()
    return catalogue.parameters(known.value)
