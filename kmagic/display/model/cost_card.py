"""What a model costs as a card: a table of its lines, and memory and time for a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kmagic.display.kit.card import (
    Bundle,
    bar_html,
    card_html,
    escape_html,
    figure_html,
    head_cell,
    message_html,
    mime_bundle,
    scroll_html,
)
from kmagic.display.kit.highlighting import model_text_html
from kmagic.evaluation.cost.model_cost import CONVENTION, LayerCost, ModelCost
from kmagic.support.formatting import (
    format_bytes,
    format_flops,
    format_latency,
    format_output_shape,
    pluralize,
)

MAX_LINES, SHOWN = 40, 24
"""A model with more lines shows those with the most FLOPs and activations."""
_HEADS = ("shape", "parameters", "FLOPs", "share", "activations")
_ROW = "display:flex;flex-wrap:wrap;gap:6px 30px;margin:4px 0 10px"


def cost_bundle(cost: ModelCost) -> Bundle:
    """The card of a model's cost, and its text."""
    rows = _rows(cost)
    body = f'<div style="{_ROW}">{"".join(_figures(cost))}</div>{_table(cost, rows)}'
    texts = [*_memory_texts(cost), *cost.notes]
    body += "".join(f'<div class="km-footer">{message_html(text)}</div>' for text in texts)
    facts = f"cost · {pluralize(cost.parameters, 'parameter')} · batches of {cost.batch_size:,}"
    foot = CONVENTION
    if cost.latency:
        foot += f" Latency is the median time of `predict_on_batch`, measured on {cost.device}."
    text = "\n".join([repr(cost), *_text_lines(cost, rows), *texts, foot])
    return mime_bundle(text, card_html(cost.name, facts, body, foot=foot))


def _figures(cost: ModelCost) -> Iterator[str]:
    """The totals."""
    batch = pluralize(cost.batch_size, "sample")
    figures = {"FLOPs per sample": format_flops(cost.flops)}
    for size, seconds in cost.latency.items():
        figures[f"latency, {pluralize(size, 'sample')}"] = format_latency(seconds)
    if cost.training is not None:
        without = "" if cost.optimizer is not None else ", without optimizer"
        figures[f"training memory, {batch}{without}"] = format_bytes(cost.training)
    yield from (f"<div>{figure_html(label, value)}</div>" for label, value in figures.items())


def _memory_texts(cost: ModelCost) -> Iterator[str]:
    """What the memory of a training and of a prediction consists of."""
    parts = [
        f"{name} {format_bytes(size)}"
        for name, size in (
            ("weights", cost.weights),
            ("gradients", cost.gradients),
            ("optimizer", cost.optimizer),
            ("activations for the backward pass", cost.activations),
        )
        if size is not None
    ]
    yield f"Training with batches of {cost.batch_size:,}: {', '.join(parts)}."
    if cost.prediction is not None:
        yield (
            f"Prediction of {pluralize(cost.batch_size, 'sample')}: weights "
            f"{format_bytes(cost.weights)}, and up to {format_bytes(cost.prediction)} of "
            "activations at a time."
        )


# --- lines ----------------------------------------------------------------------------------------


def _rows(cost: ModelCost) -> list[tuple[LayerCost, bool]]:
    """The lines, the sum of the cheapest ones of a long model, and the total.

    Of each, whether it is a line of the model.
    """
    lines = cost.lines
    flops = cost.flops or 1
    activations = sum(line.activations or 0 for line in lines) or 1
    count = len(lines) if len(lines) <= MAX_LINES else SHOWN
    ranked = sorted(lines, key=lambda x: -max(x.flops / flops, (x.activations or 0) / activations))
    hidden = set(map(id, ranked[count:]))
    rows = [(line, True) for line in lines if id(line) not in hidden]
    sums = LayerCost("total", 0, "", None, 0, 0, None)
    if hidden:
        unit = "lines" if lines[0].line else "layers"
        others = replace(sums, text=f"{len(hidden):,} more {unit}, see .to_frame()")
        rows.append((others.with_sums_of(ranked[count:]), False))
    total = replace(sums.with_sums_of(cost.layers), parameters=cost.parameters)
    return [*rows, (total, False)]


def _cells(line: LayerCost, total: int) -> list[str]:
    """Shape, parameters, FLOPs with their share, and activations as text."""
    share = 100 * line.flops / (total or 1)
    percent = "< 0.1 %" if share < 0.05 else f"{share:.1f} %"  # noqa: PLR2004 - rounded
    return [
        format_output_shape(line.shape),
        f"{line.parameters:,}" if line.parameters else "",
        format_flops(line.flops).removesuffix("FLOPs").strip() if line.flops else "",
        percent if line.flops else "",
        format_bytes(line.activations) if line.activations else "",
    ]


def _text_lines(cost: ModelCost, rows: Sequence[tuple[LayerCost, bool]]) -> Iterator[str]:
    table = [["", *_HEADS], *([line.text, *_cells(line, cost.flops)] for line, _ in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for first, *others in table:
        cells = (f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True))
        yield f"  {first:<{widths[0]}}  {'  '.join(cells)}".rstrip()


def _table(cost: ModelCost, rows: Sequence[tuple[LayerCost, bool]]) -> str:
    body = ""
    for line, is_line in rows:
        shape, parameters, flops, share, activations = map(escape_html, _cells(line, cost.flops))
        text = escape_html(line.text)
        if is_line:
            text = f'<span class="km-code">{model_text_html(line.text)}</span>'
        if is_line and line.flops:
            share += f'<div style="margin-top:2px">{bar_html(line.flops / cost.flops)}</div>'
        shape = shape.replace(" x ", "&nbsp;x&nbsp;")
        numbers = (shape, parameters, flops, share, activations)
        cells = "".join(f'<td class="km-muted">{cell}</td>' for cell in numbers)
        body += (
            '<tr><td class="km-left" style="text-align:left;white-space:normal;min-width:64px">'
            f"{text}</td>{cells}</tr>"
        )
    table = (
        '<table class="km-table km-layers"><thead><tr>'
        '<th scope="col" class="km-left" style="text-align:left">layer</th>'
        f"{''.join(map(head_cell, _HEADS))}</tr></thead><tbody>{body}</tbody></table>"
    )
    return scroll_html(table, f"Cost of the lines of {cost.name}")
