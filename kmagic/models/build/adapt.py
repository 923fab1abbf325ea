"""A preprocessing layer learns from the notebook's data."""

from __future__ import annotations

from typing import Any

from kmagic.language.spec import Span
from kmagic.models.binding.build_context import BuildContext
from kmagic.models.build.keras_errors import error_summary
from kmagic.support.sentences import as_sentences


def adapt(layer: Any, word: str, data: Any, span: Span, context: BuildContext) -> None:
    """Adapt a layer; what it cannot learn from is noted.

    Args:
        layer: A layer with ``adapt``.
        word: What the text calls it.
        data: What it is to learn from.
        span: Where these stand in the text.
        context: Mistakes are noted there.
    """
    refused = _refused(data)
    if refused:
        context.report(f"{word} cannot adapt to this: {refused[0]}", span, refused[1])
        return
    try:
        # Of a column Keras would take each text for a batch: the same, and a hundred times as long.
        texts = as_sentences(data) if hasattr(data, "iloc") else None
        layer.adapt(data if texts is None else texts)
    except Exception as error:  # noqa: BLE001 - the data are the user's
        remedy = "It takes an array or a list of what the layer will get in training."
        if hasattr(data, "iloc"):
            remedy = "Give the values of the column: {frame.column.values}."
        context.report(f"{word} cannot adapt to this: {error_summary(error)}", span, remedy)


def _refused(data: Any) -> tuple[str, str] | None:
    """What is wrong with data that Keras would learn something else from, and what to do."""
    if data is None:
        return "it is None", "Give the training data: adapt={x_train}."
    if isinstance(data, str | bytes):
        return "it is one text", "Give many of them, in a list or an array."
    if hasattr(data, "columns") and hasattr(data, "iloc"):
        columns = [str(each) for each in data.columns]
        first = next((each for each in columns if each.isidentifier()), "text")
        return (
            "Keras would read the names of the table's columns",
            f"Give its values, {{frame.values}}, or those of one column, {{frame.{first}.values}}.",
        )
    if hasattr(data, "x_train"):
        return "it is a whole data set", "Give its training inputs: adapt={data.x_train}."
    if isinstance(getattr(data, "element_spec", None), tuple):
        return (
            "the stream holds targets, too",
            "Give the inputs alone: `texts = stream.map(lambda x, y: x)`, and adapt={texts}.",
        )
    return None
