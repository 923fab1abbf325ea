"""The words of the language: how Keras's names are written here, and the short ones.

A layer's word is its class's name in snake_case. This table holds only what that rule does not
give: short aliases, old spellings and where old arguments went. A test holds every entry against
the installed Keras.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_POOLING = {
    "avgpool": "AveragePooling",
    "gap": "GlobalAveragePooling",
    "gmp": "GlobalMaxPooling",
    "maxpool": "MaxPooling",
}
"""Words that stand for the class for images, and with 1d, 2d or 3d for one of the three."""

ALIASES: dict[str, str] = {
    "batch_norm": "BatchNormalization",
    "batchnorm": "BatchNormalization",
    "bn": "BatchNormalization",
    "concat": "Concatenate",
    "dwconv2d": "DepthwiseConv2D",
    "layer_norm": "LayerNormalization",
    "layernorm": "LayerNormalization",
    "leaky_relu": "LeakyReLU",
    "ln": "LayerNormalization",
    "mha": "MultiHeadAttention",
    "prelu": "PReLU",
    "relu": "ReLU",
    "sepconv2d": "SeparableConv2D",
    **{
        f"{word}{rank}": f"{name}{rank.upper() or '2D'}"
        for word, name in {**_POOLING, "upsample": "UpSampling"}.items()
        for rank in ("", "1d", "2d", "3d")
    },
}

PREFERRED: dict[str, str] = {
    "AdamW": "adamw",
    "LeakyReLU": "leaky_relu",
    "PReLU": "prelu",
    "RMSprop": "rmsprop",
    "ReLU": "relu",
    **{
        f"{name}{rank.upper() or '2D'}": f"{word}{rank}"
        for word, name in _POOLING.items()
        for rank in ("1d", "", "3d")
    },
}
"""The word that is written for a class, where it is not the class's own in snake_case."""

RENAMED_ARGUMENTS: dict[str, str] = {
    "alpha": "negative_slope",
    "border_mode": "padding",
    "dropout_U": "recurrent_dropout",
    "dropout_W": "dropout",
    "init": "kernel_initializer",
    "inner_activation": "recurrent_activation",
    "lr": "learning_rate",
    "nb_epoch": "epochs",
    "nb_filter": "filters",
    "output_dim": "units",
    "p": "rate",
    "subsample": "strides",
    "W_regularizer": "kernel_regularizer",
}
"""Arguments of Keras 1 and 2, and their names in Keras 3."""

REMOVED_ARGUMENTS: dict[str, str] = {
    "batch_input_shape": "Write the shape on a separate line: `input 28x28x1`.",
    "decay": "Use a learning rate schedule: adam(exponential_decay(1e-3, 1000, 0.9)).",
    "input_dim": "Write the shape on a separate line: `input 13`.",
    "input_length": "Write the shape on a separate line: `input 80 int32`.",
    "input_shape": "Write the shape on a separate line: `input 28x28x1`.",
    "nb_row": "Write the kernel size as a shape: conv2d 32 3x3.",
}
"""Arguments of Keras 1 and 2 that Keras 3 does not have, and what to write instead."""

CALL_ARGUMENTS: dict[str, str] = {
    **dict.fromkeys(("training", "use_causal_mask", "return_attention_scores"), "true"),
    **dict.fromkeys(("mask", "attention_mask", "query_mask", "value_mask", "key_mask"), "m"),
    "initial_state": "[h, c]",
}
"""Arguments of the calls of Keras's layers, each with an example of its value."""

OTHER_LAYER_NAMES: dict[str, str] = {
    "avg": "avgpool",
    "batch": "bn",
    "bilstm": "bidirectional(lstm 32)",
    "conv": "conv2d",
    "fc": "dense",
    "fully_connected": "dense",
    "keras_input": "input",
    "layer_input": "input",
    "linear_layer": "dense",
    "max": "maxpool",
    "pool": "maxpool",
    "pooling": "maxpool",
    "recurrent": "simple_rnn",
    "residual_connection": "residual:",
    "self_attention": "multi_head_attention",
    "skip": "residual:",
    "transformer": "multi_head_attention",
}
"""Names of layers elsewhere, and their words here."""

_WHICH = "For several classes: sparse_categorical_crossentropy; for two: binary_crossentropy."

OTHER_LOSS_NAMES: dict[str, str] = {
    **dict.fromkeys(
        ("ce", "crossentropy", "crossentropyloss", "logloss", "nll", "nllloss"), _WHICH
    ),
    "bcewithlogits": "Write binary_crossentropy(from_logits=true).",
    **dict.fromkeys(
        ("scce", "sparsecrossentropy"), "Did you mean sparse_categorical_crossentropy?"
    ),
}
"""Names of losses elsewhere, without underscores, and what to write here."""

CONSTANT_FUNCTIONS = frozenset(
    f"ops.{name}" for name in ("arange", "empty", "eye", "full", "identity", "ones", "tri", "zeros")
)
"""Functions that make an array from numbers: such a line does not take the output above."""

REMOVED_LAYERS: dict[str, str] = {
    "cudnn_gru": "Use gru, which uses the GPU automatically.",
    "cudnn_lstm": "Use lstm, which uses the GPU automatically.",
    "locally_connected1d": "Keras 3 has no locally connected layers; the closest is conv1d.",
    "locally_connected2d": "Keras 3 has no locally connected layers; the closest is conv2d.",
    "merge": "Write the operation: `add <- a, b` or `concatenate <- a, b`.",
    "thresholded_relu": "Write relu threshold=1.0.",
}
"""Layers that Keras 3 does not have, and what to write instead."""


def old_argument_remedy(name: str, params: Collection[str]) -> str:
    """What to write for an argument of Keras 1 or 2; "" for any other.

    Args:
        name: The argument.
        params: Names of the arguments that exist, in order.

    Example:
        >>> old_argument_remedy("p", ["rate", "seed"]), old_argument_remedy("p", ["units"])
        ('It is called rate in Keras 3. As the first argument, it needs no name: dropout 0.5.', '')
    """
    new = RENAMED_ARGUMENTS.get(name)
    if new is None or new not in params:
        return REMOVED_ARGUMENTS.get(name, "")
    remedy = f"It is called {new} in Keras 3."
    if new != next(iter(params)):
        return remedy
    example = {"learning_rate": ": adam(1e-3)", "rate": ": dropout 0.5"}.get(new, "")
    return f"{remedy} As the first argument, it needs no name{example}."


def snake_case(name: str) -> str:
    """A class's name as a word.

    Example:
        >>> [snake_case(name) for name in ("Conv2D", "MaxPooling2D", "LSTMCell", "AUC", "MeanIoU")]
        ['conv2d', 'max_pooling2d', 'lstm_cell', 'auc', 'mean_iou']
    """
    for odd in ("AdamW", "DType", "IoU"):
        name = name.replace(odd, odd.title())
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", name)
    name = re.sub(r"(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"_(\d)_?d\b", r"\1d", name.lower())
