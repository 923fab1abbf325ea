"""A model as its own text: each line, the shape that leaves it, its parameters as a bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from kmagic.display.kit.card import (
    Bundle,
    bar_html,
    card_html,
    escape_html,
    message_html,
    mime_bundle,
)
from kmagic.language import format_statement
from kmagic.models.catalogue import word_for
from kmagic.support.formatting import format_bytes, format_output_shape, pluralize


@dataclass(slots=True)
class ModelRow:
    """One line of the picture; a block's line holds the lines inside it."""

    text: str
    shape: str
    parameters: int = 0
    shared: bool = False
    inside: list[ModelRow] = field(default_factory=list)


def model_bundle(model: Any, name: str, built: Any, notes: Sequence[str] = ()) -> Bundle:
    """A model's card.

    Args:
        model: A Keras model.
        name: What the notebook calls it.
        built: What it was built from (``kmagic.models.build.origin_of``), or None.
        notes: Warnings below the picture.
    """
    rows = _rows(built) if built is not None else _layer_rows(model)
    facts = model_summary(model)
    return mime_bundle(
        _text(name, facts, rows, notes), card_html(name, facts, _table(rows) + _notes(notes))
    )


def model_summary(model: Any) -> str:
    """How large a model is, and how it is compiled, in words."""
    facts = ["not built yet: the shape of its input is not known"]
    if model.built:
        total = model.count_params()
        frozen = sum(_size(weight) for weight in model.non_trainable_weights)
        facts = [pluralize(total, "parameter"), format_bytes(_bytes(model))]
        if frozen:
            facts.insert(1, f"{frozen:,} not trained")
    facts.append(_compiled(model))
    return " · ".join(facts)


def _rows(built: Any) -> list[ModelRow]:
    seen: set[int] = set()
    return list(_group(built.steps, 0, seen))


def _group(steps: Sequence[Any], depth: int, seen: set[int]) -> Iterator[ModelRow]:
    """Rows of one level; the steps of one use of a block fold into one row."""

    def use(step: Any) -> Any:
        return step.node.trail[depth] if len(step.node.trail) > depth else None

    for block, members in groupby(steps, key=use):
        group = list(members)
        if block is None:
            yield from (_row(step, seen) for step in group)
            continue
        first = group[0].node.span
        times = sum(step.node.span == first for step in group)
        times = times if len(group) % times == 0 else 1
        inside = list(_group(group[: len(group) // times], depth + 1, seen))
        rest = list(_group(group[len(group) // times :], depth + 1, seen))
        yield ModelRow(
            format_statement(block.spec) + (f" * {times}" if times > 1 else ""),
            format_output_shape(group[-1].shape),
            sum(row.parameters for row in (*inside, *rest)),
            inside=inside,
        )


def _row(step: Any, seen: set[int]) -> ModelRow:
    text = format_statement(step.node.spec) if step.node.spec is not None else "?"
    shared = id(step.layer) in seen
    seen.add(id(step.layer))
    size = 0 if shared else _parameters(step.layer)
    return ModelRow(text, format_output_shape(step.shape), size, shared and _parameters(step.layer) > 0)


def _layer_rows(model: Any) -> list[ModelRow]:
    rows = []
    for layer in model.layers:
        shape = getattr(getattr(layer, "output", None), "shape", None) if layer.built else None
        text = f"{layer.name} ({type(layer).__name__})"
        rows.append(ModelRow(text, format_output_shape(shape), _parameters(layer)))
    return rows


def _parameters(layer: Any) -> int:
    if not getattr(layer, "built", False) or not hasattr(layer, "count_params"):
        return 0
    return int(layer.count_params())


def _size(weight: Any) -> int:
    total = 1
    for dim in weight.shape:
        total *= dim
    return total


def _bytes(model: Any) -> float:
    widths = {"64": 8, "32": 4, "16": 2, "t8": 1}
    return sum(_size(weight) * widths.get(str(weight.dtype)[-2:], 4) for weight in model.weights)


def _compiled(model: Any) -> str:
    if not getattr(model, "compiled", False):
        return "not compiled"
    optimizer = word_for(type(model.optimizer))
    return (
        f"compiled: {optimizer}, {_loss_words(model.loss)}"
        if model.loss
        else f"compiled: {optimizer}"
    )


def _loss_words(loss: Any) -> str:
    if isinstance(loss, dict):
        return ", ".join(f"{key} {_loss_words(item)}" for key, item in loss.items())
    if isinstance(loss, list | tuple):
        return ", ".join(map(_loss_words, loss))
    return loss if isinstance(loss, str) else getattr(loss, "name", None) or loss.__name__


def _table(rows: Sequence[ModelRow]) -> str:
    most = max((row.parameters for row in rows), default=0)
    body = "".join(_html_row(row, most) for row in rows)
    return (
        '<div class="km-fit"><table class="km-table km-layers"><thead><tr>'
        '<th scope="col" class="km-left" style="text-align:left">layer</th>'
        '<th scope="col">shape</th><th scope="col">parameters</th>'
        '<th aria-hidden="true"></th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _html_row(row: ModelRow, most: int) -> str:
    size = "shared" if row.shared else f"{row.parameters:,}" if row.parameters else ""
    text = f'<span class="km-code">{escape_html(row.text)}</span>'
    if row.inside:
        lines = "".join(
            f'<div class="km-code">{escape_html(line)}</div>' for line in _outline(row, 1)
        )
        text = f"<details><summary>{text}</summary>{lines}</details>"
    shape = escape_html(row.shape).replace(
        " x ", "\u00a0x\u00a0"
    )  # one word, however narrow the card
    share = bar_html(row.parameters / most) if most and row.parameters else bar_html(0.0)
    return (
        f'<tr><td class="km-left" style="text-align:left;white-space:normal">{text}</td>'
        f'<td class="km-mute">{shape}</td><td class="km-mute">{size}</td>'
        f'<td style="width:30%">{share}</td></tr>'
    )


def _outline(row: ModelRow, depth: int) -> Iterator[str]:
    for inner in row.inside:
        size = f"  {inner.parameters:,}" if inner.parameters else ""
        indent = "\u00a0\u00a0" * depth
        yield f"{indent}{inner.text}  \u2192 {inner.shape}{size}"
        yield from _outline(inner, depth + 1)


def _notes(notes: Sequence[str]) -> str:
    return "".join(f'<div class="km-foot">{message_html(note)}</div>' for note in notes)


def _text(name: str, facts: str, rows: Sequence[ModelRow], notes: Sequence[str]) -> str:
    width = max((len(row.text) for row in rows), default=0)
    shapes = max((len(row.shape) for row in rows), default=0)
    lines = [f"{name}: {facts}"]
    for row in rows:
        size = "shared" if row.shared else f"{row.parameters:,}" if row.parameters else ""
        lines.append(f"  {row.text:<{width}}  {row.shape:>{shapes}}  {size:>12}".rstrip())
    return "\n".join([*lines, *notes])
