"""Where in a text the layers of the model that was built from it stand."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from kmagic.language.graph import Graph
from kmagic.language.spec import ModelSpec, Span
from kmagic.models.keras_history import operation_of


class Built(Protocol):
    """A model's origin, as ``kmagic.models.build.origin_of`` gives it."""

    @property
    def spec(self) -> ModelSpec:
        """What the text says."""

    @property
    def graph(self) -> Graph:
        """What it stands for."""

    @property
    def steps(self) -> Collection[Any]:
        """Each node with its layer."""

    @property
    def nested(self) -> Collection[Any]:
        """Those of the nested models."""


def spans_of(built: Built | None) -> dict[int, Span]:
    """The line of each layer, the first if it is used again."""
    spans: dict[int, Span] = {}
    for step in (*built.steps, *built.nested) if built is not None else ():
        spans.setdefault(id(operation_of(step.layer)), step.node.span)
    return spans
