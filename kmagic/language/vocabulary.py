"""The words of the language: how Keras's names are written here, and the short ones.

A layer's word is its class's name in snake_case. This table holds only what that rule does not
give: short aliases, old spellings and where old arguments went. A test holds every entry against
the installed Keras.
"""

from __future__ import annotations

import re

ALIASES: dict[str, str] = {
    "avgpool": "AveragePooling2D",
    "avgpool1d": "AveragePooling1D",
    "avgpool2d": "AveragePooling2D",
    "avgpool3d": "AveragePooling3D",
    "batch_norm": "BatchNormalization",
    "batchnorm": "BatchNormalization",
    "bn": "BatchNormalization",
    "concat": "Concatenate",
    "dwconv2d": "DepthwiseConv2D",
    "gap": "GlobalAveragePooling2D",
    "gap1d": "GlobalAveragePooling1D",
    "gap2d": "GlobalAveragePooling2D",
    "gap3d": "GlobalAveragePooling3D",
    "gmp": "GlobalMaxPooling2D",
    "gmp1d": "GlobalMaxPooling1D",
    "gmp2d": "GlobalMaxPooling2D",
    "gmp3d": "GlobalMaxPooling3D",
    "layer_norm": "LayerNormalization",
    "layernorm": "LayerNormalization",
    "leaky_relu": "LeakyReLU",
    "ln": "LayerNormalization",
    "maxpool": "MaxPooling2D",
    "maxpool1d": "MaxPooling1D",
    "maxpool2d": "MaxPooling2D",
    "maxpool3d": "MaxPooling3D",
    "mha": "MultiHeadAttention",
    "prelu": "PReLU",
    "relu": "ReLU",
    "sepconv2d": "SeparableConv2D",
    "upsample": "UpSampling2D",
    "upsample1d": "UpSampling1D",
    "upsample2d": "UpSampling2D",
    "upsample3d": "UpSampling3D",
}

PREFERRED: dict[str, str] = {
    "AdamW": "adamw",
    "AveragePooling1D": "avgpool1d",
    "AveragePooling2D": "avgpool",
    "AveragePooling3D": "avgpool3d",
    "GlobalAveragePooling1D": "gap1d",
    "GlobalAveragePooling2D": "gap",
    "GlobalAveragePooling3D": "gap3d",
    "GlobalMaxPooling1D": "gmp1d",
    "GlobalMaxPooling2D": "gmp",
    "GlobalMaxPooling3D": "gmp3d",
    "LeakyReLU": "leaky_relu",
    "MaxPooling1D": "maxpool1d",
    "MaxPooling2D": "maxpool",
    "MaxPooling3D": "maxpool3d",
    "PReLU": "prelu",
    "RMSprop": "rmsprop",
    "ReLU": "relu",
}
"""The word that is written for a class, where it is not the class's own in snake_case."""

OLD_ARGUMENTS: dict[str, str] = {
    "alpha": "It is called negative_slope now.",
    "batch_input_shape": "The shape stands on a line of its own, `input 28x28x1`.",
    "border_mode": "It is called padding now.",
    "decay": "Give the learning rate a schedule: adam(exponential_decay(1e-3, 1000, 0.9)).",
    "dropout_U": "It is called recurrent_dropout now.",
    "dropout_W": "It is called dropout now.",
    "init": "It is called kernel_initializer now.",
    "inner_activation": "It is called recurrent_activation now.",
    "input_dim": "The shape stands on a line of its own, `input 13`.",
    "input_length": "The shape stands on a line of its own, `input 80 int32`.",
    "input_shape": "The shape stands on a line of its own, `input 28x28x1`.",
    "lr": "It is called learning_rate; being the first argument it needs no name: adam(1e-3).",
    "nb_epoch": "It is called epochs now.",
    "nb_filter": "It is called filters; being the first argument it needs no name.",
    "nb_row": "The kernel is a shape: conv2d 32 3x3.",
    "output_dim": "It is called units; being the first argument it needs no name.",
    "p": "It is called rate; being the first argument it needs no name: dropout 0.5.",
    "subsample": "It is called strides now.",
    "W_regularizer": "It is called kernel_regularizer now.",
}
"""Arguments of Keras 1 and 2 that are gone, and what took their place."""

OTHER_WORDS: dict[str, str] = {
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
"""What people call a layer elsewhere, and its word here."""

_WHICH = "For one class of several: sparse_categorical_crossentropy; of two: binary_crossentropy."

OTHER_LOSSES: dict[str, str] = {
    **dict.fromkeys(
        ("ce", "crossentropy", "crossentropyloss", "logloss", "nll", "nllloss"), _WHICH
    ),
    "bcewithlogits": "Write binary_crossentropy(from_logits=true).",
    "sparsecrossentropy": "Did you mean sparse_categorical_crossentropy?",
}
"""What people call a loss elsewhere, without its underscores, and what to write here."""

OLD_LAYERS: dict[str, str] = {
    "cudnn_gru": "gru uses the GPU by itself.",
    "cudnn_lstm": "lstm uses the GPU by itself.",
    "locally_connected1d": "Keras 3 has no locally connected layers; conv1d is the nearest.",
    "locally_connected2d": "Keras 3 has no locally connected layers; conv2d is the nearest.",
    "merge": "Write the operation: `add <- a, b` or `concatenate <- a, b`.",
    "thresholded_relu": "Write relu threshold=1.0.",
}
"""Layers that Keras 3 no longer has, and what to write instead."""


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
