"""What a model costs as a card: a table of its lines, and memory and time for a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
_ROW = "display:flex;flex-wrap:wrap;gap:6px 30px;margin:4px 0 10px"


def cost_bundle(cost: ModelCost) -> Bundle:
    """The card of a model's cost, and its text."""
    lines, hidden = _shown(cost.lines)
    body = f'<div style="{_ROW}">{"".join(_figures(cost))}</div>{_table(cost, lines, hidden)}'
    texts = [*_memory_texts(cost), *cost.notes]
    body += "".join(f'<div class="km-footer">{message_html(text)}</div>' for text in texts)
    facts = f"cost · {pluralize(cost.parameters, 'parameter')} · batches of {cost.batch_size:,}"
    foot = f"{CONVENTION} {_latency_text(cost)}".strip()
    text = "\n".join([repr(cost), *_text_lines(cost, lines, hidden), *texts, foot])
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


def _latency_text(cost: ModelCost) -> str:
    if not cost.latency:
        return ""
    return f"Latency is the median time of `predict_on_batch`, measured on {cost.device}."


# --- lines ----------------------------------------------------------------------------------------


def _shown(lines: Sequence[LayerCost]) -> tuple[list[LayerCost], list[LayerCost]]:
    """The lines to show, and the cheapest ones of a long model."""

    def share(line: LayerCost) -> float:
        return max(line.flops / flops, (line.activations or 0) / activations)

    flops = sum(line.flops for line in lines) or 1
    activations = sum(line.activations or 0 for line in lines) or 1
    ranked = sorted(range(len(lines)), key=lambda index: -share(lines[index]))
    kept = set(ranked if len(lines) <= MAX_LINES else ranked[:SHOWN])
    shown = [line for index, line in enumerate(lines) if index in kept]
    return shown, [line for index, line in enumerate(lines) if index not in kept]


def _cells(line: LayerCost, total: int) -> list[str]:
    """Shape, parameters, FLOPs with their share, and activations as text."""
    return [
        format_output_shape(line.shape),
        f"{line.parameters:,}" if line.parameters else "",
        format_flops(line.flops).removesuffix("FLOPs").strip() if line.flops else "",
        _percent(line.flops, total),
        format_bytes(line.activations) if line.activations else "",
    ]


def _percent(flops: int, total: int) -> str:
    share = 100 * flops / total if total else 0.0
    return "" if not flops else "< 0.1 %" if share < 0.05 else f"{share:.1f} %"  # noqa: PLR2004 - rounded


def _all_rows(
    cost: ModelCost, lines: Sequence[LayerCost], hidden: Sequence[LayerCost]
) -> Iterator[tuple[LayerCost, bool]]:
    """The lines, and whether each is a line of the model: at the end the others and the total."""
    yield from ((line, True) for line in lines)
    if hidden:
        unit = "lines" if hidden[0].line else "layers"
        yield _sum_of(f"{len(hidden):,} more {unit}, see .to_frame()", hidden), False
    total = _sum_of("total", cost.layers)
    yield LayerCost("total", 0, "", None, cost.parameters, cost.flops, total.activations), False


def _sum_of(text: str, lines: Sequence[LayerCost]) -> LayerCost:
    activations = sum(line.activations or 0 for line in lines)
    parameters = sum(line.parameters for line in lines)
    return LayerCost(text, 0, "", None, parameters, sum(x.flops for x in lines), activations)


def _text_lines(
    cost: ModelCost, lines: Sequence[LayerCost], hidden: Sequence[LayerCost]
) -> Iterator[str]:
    heads = ["", "shape", "parameters", "FLOPs", "share", "activations"]
    rows = [heads] + [
        [line.text, *_cells(line, cost.flops)] for line, _ in _all_rows(cost, lines, hidden)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = (f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True))
        yield f"  {first:<{widths[0]}}  {'  '.join(cells)}".rstrip()


def _table(cost: ModelCost, lines: Sequence[LayerCost], hidden: Sequence[LayerCost]) -> str:
    body = ""
    for line, is_line in _all_rows(cost, lines, hidden):
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
    heads = ("shape", "parameters", "FLOPs", "share", "activations")
    table = (
        '<table class="km-table km-layers"><thead><tr>'
        '<th scope="col" class="km-left" style="text-align:left">layer</th>'
        f"{''.join(map(head_cell, heads))}</tr></thead><tbody>{body}</tbody></table>"
    )
    return scroll_html(table, f"Cost of the lines of {cost.name}")
