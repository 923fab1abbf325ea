"""The ways out: any model as a text of the layer language, any text or model as Keras code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from kmagic.language.spec import ModelSpec
from kmagic.support.rendering import Renderable


class Code(Renderable, str):  # noqa: SLOT000 - it remembers two things
    """A text of code: a string, shown as a card of its lines.

    Attributes:
        name: Whose code it is.
        language: "python" or "dsl".
    """

    renderer: ClassVar[str] = "kmagic.display.model.code_card:code_bundle"
    name: str
    language: str

    def __new__(cls, text: str, name: str, language: str) -> Self:
        """Make a string that remembers whose code it is."""
        made = super().__new__(cls, text)
        made.name, made.language = name, language
        return made


def to_dsl(model: Any, *, width: int = 0, exact: bool = False) -> str:
    """Write a model down in the layer language.

    Args:
        model: A ``keras.Sequential`` or a functional ``keras.Model``.
        width: If given, neighbouring steps share a line, between `` / ``, up to this many
            columns.
        exact: One line for each layer, and every layer under its own name.

    Returns:
        A text that :func:`kmagic.build` makes an equal model of: same configuration (names aside
        where Keras invents them), same shapes of weights, same outputs for the same weights.

    Raises:
        DecompileError: The model holds what no text can say: a class with code of its own, a
            function without a name. The message names the layer.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")])
        >>> print(to_dsl(model))
        input 4
        dense 2 softmax
    """
    from kmagic.models import decompile  # noqa: PLC0415 - not before a model is written down

    return decompile.to_dsl(model, width=width, exact=exact)


def to_python(model: Any, *, name: str = "model", names: Mapping[str, Any] | None = None) -> str:
    """Write the Keras program for a model or a text of the layer language.

    Args:
        model: A Keras model, a text, or a spec.
        name: The variable that will hold the model.
        names: What the names in braces stand for, as far as it is at hand.

    Returns:
        Source that ``ruff format`` leaves as it is; run, it gives an equal model. A model that
        kmagic has built keeps its blocks, as functions, and its expressions.

    Raises:
        DSLError: The text holds mistakes.
        DecompileError: The model holds what no text can say.

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
    """What a model's text says: its own if kmagic built it, with the compilation of today."""
    from kmagic.language import format_spec, parse  # noqa: PLC0415 - as above
    from kmagic.models.build import origin_of  # noqa: PLC0415 - not before a program is written
    from kmagic.models.decompile import to_spec, with_current_compile  # noqa: PLC0415 - as above

    origin = origin_of(model)
    if origin is None:
        return to_spec(model)
    text = origin.spec.source or format_spec(origin.spec)
    current = with_current_compile(text, model)
    return origin.spec if current == text else parse(current)
