"""What a thing of Keras's is: a model, a layer, a tensor, and whether a text can build it."""

from __future__ import annotations

from typing import Any

from kmagic.language.spec import ModelKind
from kmagic.models.decompile.configs import invented
from kmagic.support.errors import DecompileError


def is_model(value: Any) -> bool:
    """Whether a layer is a model of its own."""
    import keras  # noqa: PLC0415 - a model is here, so Keras is

    return isinstance(value, keras.Model)


def is_tensor(value: Any) -> bool:
    """Whether a value is one of Keras's symbolic tensors."""
    return type(value).__name__ == "KerasTensor"


def is_layer(operation: Any) -> bool:
    """Whether an operation is a layer, not a function of keras.ops."""
    import keras  # noqa: PLC0415 - a model is here, so Keras is

    return isinstance(operation, keras.layers.Layer)


def is_plain_model(model: Any) -> bool:
    """Whether a model is just what the language builds, not a class of the notebook's."""
    return type(model).__module__.startswith("keras.src.models.")


def kind_of(model: Any) -> ModelKind:
    """What a model is."""
    import keras  # noqa: PLC0415 - a model is here, so Keras is

    return "sequential" if isinstance(model, keras.Sequential) else "functional"


def check_kind(model: Any) -> None:
    """See to it that a model is of a kind that texts can build.

    Raises:
        DecompileError: It is not.
    """
    if not is_model(model):
        raise DecompileError(
            f"expected a Keras model, not a {type(model).__name__}",
            "Put a layer into a model first: keras.Sequential([layer]).",
        )
    if not is_plain_model(model) or type(model).__name__ == "Model":
        raise DecompileError(
            f"{model.name} is of the class {type(model).__name__}, whose own code says what it"
            " does; a text can say only what keras.Sequential and keras.Model(inputs, outputs) do",
        )


def all_frozen(layer: Any) -> bool:
    """Whether neither a layer nor anything in it is trained."""
    return all(
        not each.trainable
        for each in layer._flatten_layers()  # noqa: SLF001 - Keras has no public way to them
        if not is_input_layer(each)
    )


def is_input_layer(layer: Any) -> bool:
    """Whether a layer is where a model begins."""
    import keras  # noqa: PLC0415 - a model is here, so Keras is

    return isinstance(layer, keras.layers.InputLayer)


def refused(layer: Any, reason: str) -> DecompileError:
    """The refusal to write a layer down."""
    kind = type(layer).__name__
    named = "" if invented(layer.name, kind) and layer.name == kind.lower() else f" {layer.name}"
    what = "model" if is_model(layer) else "layer"
    return DecompileError(f"the {what}{named} ({kind}) cannot be written down: {reason}")
