"""Writes a model as a text of the layer language, and a text or model as Keras code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from kmagic.language.spec import ModelSpec
from kmagic.support.rendering import Renderable


class Code(Renderable, str):  # noqa: SLOT000 - it has two attributes
    """A string of code, shown as a card.

    Attributes:
        name: The name of the model.
        language: "python" or "dsl".
    """

    renderer: ClassVar[str] = "kmagic.display.model.code_card:code_bundle"
    name: str
    language: str

    def __new__(cls, text: str, name: str, language: str) -> Self:
        """Create a string of code with the name of its model."""
        code = super().__new__(cls, text)
        code.name, code.language = name, language
        return code


def to_dsl(model: Any, *, width: int = 0, exact: bool = False) -> str:
    """Write a model as a text of the layer language.

    Args:
        model: A ``keras.Sequential`` or a functional ``keras.Model``.
        width: Put consecutive layers on one line, separated by `` / ``, up to this many columns.
        exact: Write one line per layer, and the name of every layer.

    Returns:
        A text from which :func:`kmagic.build` builds an equal model: the same configuration
        (except generated names), weight shapes, and outputs for the same weights.

    Raises:
        DecompileError: The model contains something that a text cannot express: a class with its
            own code, a function without a name. The message names the layer.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")])
        >>> print(to_dsl(model))
        input 4
        dense 2 softmax
    """
    from kmagic.models import decompile  # noqa: PLC0415 - not before a model is written

    return decompile.to_dsl(model, width=width, exact=exact)


def to_python(model: Any, *, name: str = "model", names: Mapping[str, Any] | None = None) -> str:
    """Write the Keras program for a model or a text of the layer language.

    Args:
        model: A Keras model, a text, or a spec.
        name: The variable of the model.
        names: Values of the names in braces, as far as they are known.

    Returns:
        Source code, formatted like ``ruff format``, that builds an equal model. A model built by
        kmagic keeps its blocks, as functions, and its expressions.

    Raises:
        DSLError: The text has mistakes.
        DecompileError: The model contains something that a text cannot express.

    Example:
        >>> print(to_python("input 4 / dense 2 softmax"), end="")
        import keras
        from keras import layers
        <BLANKLINE>
        model = keras.Sequential(
            [keras.Input(shape=(4,)), layers.Dense(2, activation="softmax")]
        )
    """
    from kmagic.models.codegen import keras_program  # noqa: PLC0415 - not before a program is written

    spec = model if isinstance(model, str | ModelSpec) else _spec_of(model)
    return keras_program(spec, names, name=name)


def _spec_of(model: Any) -> ModelSpec:
    """A model's own text with its current compilation, or a text made from the model."""
    from kmagic.language import format_spec, parse  # noqa: PLC0415 - as above
    from kmagic.models.build import origin_of  # noqa: PLC0415 - not before a program is written
    from kmagic.models.decompile import to_spec, with_current_compile  # noqa: PLC0415 - as above

    origin = origin_of(model)
    if origin is None:
        return to_spec(model)
    text = origin.spec.source or format_spec(origin.spec)
    current = with_current_compile(text, model)
    return origin.spec if current == text else parse(current)
