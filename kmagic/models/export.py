"""Writes a text or a model as Keras code; code of both kinds is shown as a card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from kmagic.language import format_spec, parse
from kmagic.language.spec import CompileSpec, ModelSpec, Span
from kmagic.models.build import origin_of
from kmagic.models.build.model_origin import ModelOrigin
from kmagic.models.codegen import keras_program
from kmagic.models.decompile import to_spec, with_current_compile
from kmagic.models.global_settings import changed_settings
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


def to_python(model: Any, *, name: str = "model", names: Mapping[str, Any] | None = None) -> str:
    """Write the Keras program for a model or a text of the layer language.

    Args:
        model: A Keras model, a text, or a spec.
        name: The variable of the model.
        names: Values of the names in braces, as far as they are known. A model built by kmagic
            has its own.

    Returns:
        Source code that builds an equal model, as ``ruff format`` writes it. A model built by
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
    if isinstance(model, str | ModelSpec):
        return keras_program(model, names, name=name, settings=changed_settings())
    origin = origin_of(model)
    if origin is None or not origin.describes(model):
        return keras_program(to_spec(model), names, name=name)
    known = {**(names or {}), **origin.names()}
    spec, settings = _current_spec(model, origin), origin.settings
    shapes = {}
    if _positions(spec) == _positions(origin.spec):
        shapes = {step.node.span: step.shape for step in (*origin.steps, *origin.nested)}
    return keras_program(spec, known or None, name=name, settings=settings, shapes=shapes)


def _positions(spec: ModelSpec) -> list[Span]:
    return [part.span for part in spec.statements if not isinstance(part, CompileSpec)]


def _current_spec(model: Any, origin: ModelOrigin) -> ModelSpec:
    """A model's own text with its current compilation."""
    text = origin.spec.source or format_spec(origin.spec)
    current = with_current_compile(text, model)
    return origin.spec if current == text else parse(current)
