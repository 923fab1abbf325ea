"""``compile`` lines and the arguments of ``%keras_compile`` to ``Model.compile``."""

from __future__ import annotations

from typing import Any

from kmagic.binding.arguments import bind
from kmagic.binding.context import Context
from kmagic.build.keras_errors import first_words
from kmagic.build.values import Values
from kmagic.spec import Arg, LayerOf, ModelOf, Span

_LISTS = ("metrics", "weighted_metrics")


def compile_model(model: Any, args: tuple[Arg, ...], span: Span, context: Context) -> None:
    """Compile a model as a ``compile`` line says.

    Args:
        model: A Keras model.
        args: Of the line: the optimizer first, then loss, metrics ...
        span: Where the line stands.
        context: For the messages.

    Raises:
        DSLError: An unknown optimizer, loss, metric or argument.
    """
    bound = bind(type(model).compile, "compile", args, span, context, Values(_no_layers).resolve)
    context.check()
    for name in _LISTS:
        if name in bound.kwargs and not isinstance(bound.kwargs[name], list | tuple | dict):
            bound.kwargs[name] = [bound.kwargs[name]]
    try:
        model.compile(**bound.kwargs)
    except Exception as error:
        raise context.refuse(first_words(error), span) from error


def _no_layers(reference: LayerOf | ModelOf) -> Any:
    raise TypeError(f"a compile line holds no layers: {reference}")
