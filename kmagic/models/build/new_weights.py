"""Whether all weights of a model that was just built were made with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kmagic.language.graph import Graph
from kmagic.language.portable_text import literal_text
from kmagic.language.spec import NotebookValue, Word, find_parts
from kmagic.models.build.builder import BuiltStep


def is_fresh(graph: Graph, steps: Sequence[BuiltStep], names: Mapping[str, Any]) -> bool:
    """Whether a model holds nothing of the notebook that may bring weights along.

    A layer or a model of the notebook may have been trained, and a class or a function of the
    user's own may read weights: then it is not known.

    Args:
        graph: What the text stands for.
        steps: Each node's layer, also those of the nested models.
        names: What the names in braces stand for.
    """
    nodes = [node for each in (graph, *graph.models) for node in each.nodes]
    return all(_is_of_keras(step.layer) for step in steps) and not any(
        _is_lent(part, names)
        for node in nodes
        for value in (node.callee, *(arg for arg in node.args if arg.name != "adapt"))
        for part in find_parts(value, NotebookValue, Word)
    )


def _is_of_keras(layer: Any) -> bool:
    made_by = getattr(layer, "function", type(layer))  # a function of keras.ops is one step too
    return str(getattr(made_by, "__module__", "")).startswith("keras.")


def _is_lent(part: NotebookValue | Word, names: Mapping[str, Any]) -> bool:
    if isinstance(part, NotebookValue):
        return literal_text(part.value) is None
    return part.text in names and literal_text(names[part.text]) is None
