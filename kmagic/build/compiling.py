"""``compile`` lines and the arguments of ``%keras_compile`` to ``Model.compile``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmagic.binding.arguments import bind
from kmagic.binding.context import Context
from kmagic.build.keras_errors import first_words, tidy
from kmagic.build.values import Values
from kmagic.spec import Arg, LayerOf, ModelOf, Span

_LISTS = ("metrics", "weighted_metrics")


def compile_model(model: Any, arguments: Mapping[str, Any], span: Span, context: Context) -> None:
    """Compile a model.

    Args:
        model: A Keras model.
        arguments: From :func:`compile_arguments`.
        span: Where the line stands that gave them.
        context: For the messages.

    Raises:
        DSLError: An unknown optimizer, loss, metric or argument.
    """
    context.check()
    try:
        model.compile(**arguments)
    except Exception as error:
        context.refuse(tidy(first_words(error)), span, cause=error)
        context.check()
        raise


def compile_arguments(args: tuple[Arg, ...], span: Span, context: Context) -> dict[str, Any]:
    """The arguments of ``Model.compile`` that a line stands for; mistakes are noted.

    Args:
        args: Of the line: the optimizer first, then loss, metrics ...
        span: Where the line stands.
        context: For the messages.
    """
    import keras  # noqa: PLC0415 - takes seconds

    bound = bind(keras.Model.compile, "compile", args, span, context, Values(_no_layers).resolve)
    for name in _LISTS:
        if name in bound.kwargs and not isinstance(bound.kwargs[name], list | tuple | dict):
            bound.kwargs[name] = [bound.kwargs[name]]
    return bound.kwargs


def _no_layers(reference: LayerOf | ModelOf) -> Any:
    raise TypeError(f"a compile line holds no layers: {reference}")
