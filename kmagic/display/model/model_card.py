"""A model as a card: the lines of its text, each with its output shape and its parameters.

A file that a model was saved in or loaded from is shown here too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from kmagic.display.kit.card import (
    Bundle,
    bar_html,
    card_html,
    escape_html,
    message_html,
    mime_bundle,
    scroll_html,
)
from kmagic.display.kit.highlighting import model_text_html
from kmagic.display.model.diagram_graph import read_graph
from kmagic.display.model.diagram_rows import DiagramRow, Item, Parallel, plan_rows
from kmagic.language import format_statement
from kmagic.models.decompile import optimizer_text
from kmagic.models.global_settings import settings_note
from kmagic.models.keras_history import flat_layers
from kmagic.models.model_variables import count_parameters, learning_rate, precisions
from kmagic.support.formatting import format_bytes, format_output_shape, pluralize

if TYPE_CHECKING:
    from kmagic.persistence.model_reading import LoadResult
    from kmagic.persistence.save_load import SaveResult

MAX_ROWS = 60
"""With more rows, repeated parts are folded as in the diagram."""
DTYPE_BYTES = {"64": 8, "32": 4, "16": 2, "t8": 1}


@dataclass(slots=True)
class ModelRow:
    """One line of a model; the line of a block contains the lines inside it."""

    text: str
    shape: str
    parameters: int = 0
    shared: bool = False
    inside: list[ModelRow] = field(default_factory=list)
    unused: bool = False

    @property
    def parameter_text(self) -> str:
        """The number of parameters; "shared" if they were counted before, "not used"."""
        if self.shared or self.unused:
            return "shared" if self.shared else "not used"
        return f"{self.parameters:,}" if self.parameters else ""


def model_bundle(model: Any, name: str, built: Any, notes: Sequence[str] = ()) -> Bundle:
    """A model's card, as text and as HTML.

    Args:
        model: A Keras model.
        name: The name of the notebook variable.
        built: What it was built from (``kmagic.models.build.origin_of``), or None.
        notes: Advice below the table.
    """
    rows = _step_rows(built.steps, 0, _Counted(model)) if built else _layer_rows(model)
    facts = model_summary(model)
    if len(rows) > MAX_ROWS:
        rows = list(_folded_rows(plan_rows(read_graph(model, built))))
    if built and (note := settings_note(built.settings)):
        notes = [*notes, note]
    footers = "".join(f'<div class="km-footer">{message_html(note)}</div>' for note in notes)
    markup = card_html(name, facts, _table(rows, name) + footers)
    return mime_bundle("\n".join([f"{name}: {facts}", *_text_lines(rows), *notes]), markup)


def save_bundle(saved: SaveResult) -> Bundle:
    """A saved file as text and as a card of one line."""
    parts = escape_html(", ".join(saved.parts))
    body = f'<div class="km-muted">{parts}</div>' if parts else ""
    notes = "".join(f'<div class="km-footer">{escape_html(note)}</div>' for note in saved.notes)
    return mime_bundle(repr(saved), card_html(saved.name, saved.location(), body + notes))


def load_bundle(loaded: LoadResult) -> Bundle:
    """A loaded model as its own card, with its file in the footer."""
    return model_bundle(loaded.model, loaded.name, loaded.origin, loaded.lines())


def model_summary(model: Any) -> str:
    """A model's size and how it is compiled."""
    facts = ["not built yet: its input shape is unknown"]
    if model.built:
        size: Any = sum(
            math.prod(weight.shape) * DTYPE_BYTES.get(str(weight.dtype)[-2:], 4)
            for weight in model.weights
        )
        facts = [pluralize(model.count_params(), "parameter"), format_bytes(size)]
        if frozen := sum(math.prod(weight.shape) for weight in model.non_trainable_weights):
            facts.insert(1, f"{frozen:,} not trainable")
    return " · ".join([*facts, _compiled(model)])


def _compiled(model: Any) -> str:
    if not getattr(model, "compiled", False):
        return "not compiled"
    parts = [optimizer_text(model.optimizer)]
    rate = learning_rate(model)
    parts += [f"learning rate {rate:.4g}"] if rate is not None else []
    parts += precisions(model)
    parts += [_loss_text(model.loss)] if model.loss is not None else []
    return f"compiled: {', '.join(parts)}"


def _loss_text(loss: Any) -> str:
    if isinstance(loss, dict):
        return ", ".join(f"{key} {_loss_text(item)}" for key, item in loss.items())
    if isinstance(loss, list | tuple):
        return ", ".join(map(_loss_text, loss))
    if isinstance(loss, str):
        return loss
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", type(loss).__name__))


# --- rows -----------------------------------------------------------------------------------------


class _Counted:
    """The layers of a model, and which of them were counted."""

    def __init__(self, model: Any) -> None:
        self.layers = {id(layer) for layer in flat_layers(model)}
        self.seen: set[int] = set()


def _step_rows(steps: Sequence[Any], depth: int, counted: _Counted) -> list[ModelRow]:
    """The rows of one level of blocks; the steps of one use of a block are one row."""

    def block_use(step: Any) -> Any:
        return step.node.trail[depth] if len(step.node.trail) > depth else None

    rows: list[ModelRow] = []
    for use, members in groupby(steps, key=block_use):
        group = list(members)
        if use is None:
            rows += (_step_row(step, counted) for step in group)
            continue
        # Each use has a trail of its own, equal to that of the use before it.
        uses = [id(step.node.trail[depth]) for step in group]
        times, length = len(set(uses)), uses.count(uses[0])
        inside = _step_rows(group[:length], depth + 1, counted)
        repeated = _step_rows(group[length:], depth + 1, counted)
        rows.append(
            ModelRow(
                format_statement(use.spec) + (f" * {times}" if times > 1 else ""),
                format_output_shape(group[-1].shape),
                sum(row.parameters for row in (*inside, *repeated)),
                inside=inside,
            )
        )
    return rows


def _step_row(step: Any, counted: _Counted) -> ModelRow:
    text, layer = format_statement(step.node.spec), step.layer
    count, shared = count_parameters(layer, counted.seen)
    unused = count > 0 and id(layer) not in counted.layers
    row = ModelRow(text, format_output_shape(step.shape), 0 if unused else count, shared)
    row.unused = unused
    return row


def _layer_rows(model: Any) -> list[ModelRow]:
    rows = []
    for layer in model.layers:
        shape = getattr(getattr(layer, "output", None), "shape", None) if layer.built else None
        text = f"{layer.name} ({type(layer).__name__})"
        rows.append(ModelRow(text, format_output_shape(shape), *count_parameters(layer, set())))
    return rows


def _folded_rows(items: Sequence[Item], branch: str = "") -> Iterator[ModelRow]:
    """The rows of a diagram; those of parallel branches follow each other."""
    for item in items:
        if isinstance(item, Parallel):
            for number, rows in enumerate(item.branches, 1):
                yield from _folded_rows(rows, f"{branch}branch {number}: ")
        elif isinstance(item, DiagramRow):
            node, text = item.node, branch + item.title
            inside = [ModelRow(label, "") for label in node.inside]
            yield ModelRow(text, node.shape, node.parameters, node.shared, inside)


# --- text and HTML --------------------------------------------------------------------------------


def _text_lines(rows: Sequence[ModelRow]) -> Iterator[str]:
    texts = max((len(row.text) for row in rows), default=0)
    shapes = max((len(row.shape) for row in rows), default=0)
    for row in rows:
        yield f"  {row.text:<{texts}}  {row.shape:>{shapes}}  {row.parameter_text:>12}".rstrip()


def _table(rows: Sequence[ModelRow], name: str) -> str:
    largest = max((row.parameters for row in rows), default=0)
    body = "".join(_table_row(row, largest) for row in rows)
    table = (
        '<table class="km-table km-layers"><thead><tr>'
        '<th scope="col" class="km-left" style="text-align:left">layer</th>'
        '<th scope="col">shape</th><th scope="col">parameters</th><td></td></tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )
    return scroll_html(table, f"Layers of {name}")


def _table_row(row: ModelRow, largest: int) -> str:
    text = f'<span class="km-code">{model_text_html(row.text)}</span>'
    if row.inside:
        lines = "".join(f'<div class="km-code">{line}</div>' for line in _inside(row))
        text = f"<details><summary>{text}</summary>{lines}</details>"
    shape = escape_html(row.shape).replace(" x ", "\u00a0x\u00a0")  # never wrapped
    bar = bar_html(row.parameters / largest if largest else 0.0)
    return (
        f'<tr><td class="km-left" style="text-align:left;white-space:normal">{text}</td>'
        f'<td class="km-muted">{shape}</td><td class="km-muted">{row.parameter_text}</td>'
        f'<td style="width:30%">{bar}</td></tr>'
    )


def _inside(row: ModelRow, depth: int = 1) -> Iterator[str]:
    """The lines of a block as HTML."""
    for inner in row.inside:
        parameters = f"  {inner.parameters:,}" if inner.parameters else ""
        shape = f"  \u2192 {escape_html(inner.shape)}{parameters}" if inner.shape else ""
        yield "\u00a0\u00a0" * depth + model_text_html(inner.text) + shape
        yield from _inside(inner, depth + 1)
