"""A confusion matrix as a card: what is coloured are the mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kmagic.display.card import Bundle, bar, card, stylesheet
from kmagic.display.card import bundle as carry
from kmagic.display.names import hint, name_html
from kmagic.display.thumbnail import are_pictures, look_of, thumbnail
from kmagic.labels import isolate, shorten, tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WHOLE = 30  # up to so many classes the whole matrix is shown
WORST = 15  # of more classes, so many with the most mistakes
WORDED = 16  # up to so many classes the plain text holds the matrix too
ROOMY = 12  # up to so many classes the cells are roomy
PAIRS = 6
THUMBS = 6
BOX = 56  # pixels of a thumbnail
FAINT, FULL = 0.15, 0.75  # opacity of the least and of the worst mistake: text stays legible on it
ORANGE, BLUE = "213,94,0", "0,114,178"
UNDEFINED = "\N{EN DASH}"  # a rate of nothing
COLUMN_NAME, ROW_NAME = 14, 18  # signs


class Pair(Protocol):
    """Two classes, the first of which was taken for the second."""

    true: int
    predicted: int
    true_name: str
    predicted_name: str
    count: float
    support: float

    def words(self) -> str:
        """What was taken for what, how often."""


class Shown(Protocol):
    """What a confusion matrix must tell to be drawn."""

    matrix: NDArray[Any]
    classes: tuple[str, ...]
    labels: tuple[int | str, ...]
    figures: Any
    accuracy: float
    targets: Any
    x: Any
    normalize: Any
    name: str

    def normalized(self, over: Any = "true") -> NDArray[np.float64]:
        """The matrix as shares."""

    def pairs(self, n: int | None = 10) -> Sequence[Pair]:
        """The most confused pairs."""

    def indices(
        self, true: object = None, pred: object = None, *, n: int | None = None
    ) -> NDArray[np.intp]:
        """The samples of a cell."""

    def facts(self) -> str:
        """How many and how good."""

    def describe(self) -> str:
        """All in words."""


def bundle(confusion: Shown) -> Bundle:
    """The card of a matrix, and the same in words."""
    pairs = confusion.pairs(None)
    chosen = _choose(len(confusion.classes), pairs)
    body = (
        f"<style>{stylesheet('confusion.css')}</style>"
        '<div class="km-confusion"><div class="km-split" '
        'style="display:flex;flex-wrap:wrap;gap:12px 16px;align-items:flex-start">'
        f'<div class="km-scroll" style="overflow-x:auto;max-width:100%">'
        f"{_table(confusion, chosen, pairs)}</div>"
        f"{_aside(confusion, pairs)}</div></div>"
    )
    title = confusion.name or "confusion matrix"
    markup = card(title, confusion.facts(), body, foot=_left_out(confusion, chosen, pairs))
    return carry(words(confusion), markup)


def words(confusion: Shown) -> str:
    """The matrix as plain text: the figures of each class, and what is confused most."""
    pairs = confusion.pairs(None)
    chosen = _choose(len(confusion.classes), pairs)
    head, *_ = confusion.describe().splitlines()
    lines = [head, "", *_rows(confusion, chosen)]
    if pairs:
        lines += ["", "Most confused:", *(f"  {pair.words()}" for pair in pairs[:PAIRS])]
    left_out = _left_out(confusion, chosen, pairs)
    return "\n".join([*lines, *(["", left_out] if left_out else [])])


def _choose(classes: int, pairs: Sequence[Pair]) -> list[int]:
    """Positions of the classes that are shown: all, or those of the worst pairs."""
    if classes <= WHOLE:
        return list(range(classes))
    worst: dict[int, None] = {}
    for pair in pairs:
        if len(worst.keys() | {pair.true, pair.predicted}) > WORST:
            break
        worst.update({pair.true: None, pair.predicted: None})
    rest = (position for position in range(classes) if position not in worst)
    while len(worst) < WORST:
        worst[next(rest)] = None
    return sorted(worst)


def _left_out(confusion: Shown, chosen: Sequence[int], pairs: Sequence[Pair]) -> str:
    if len(chosen) == len(confusion.classes):
        return ""
    inside = set(chosen)
    seen = sum(pair.count for pair in pairs if {pair.true, pair.predicted} <= inside)
    return (
        f"Shown are the {len(chosen)} classes of the most confused pairs, of "
        f"{len(confusion.classes):,}: {tally(seen)} of {tally(sum(p.count for p in pairs))} "
        "mistakes are among them. All classes: .report(), .matrix, .pairs()."
    )


def _table(confusion: Shown, chosen: Sequence[int], pairs: Sequence[Pair]) -> str:
    over = confusion.normalize or "true"
    shares = confusion.normalized(over)
    shown = confusion.matrix if confusion.normalize is None else shares
    mistakes = np.where(np.eye(len(shown), dtype=bool), 0, shown)
    strength = mistakes / (mistakes.max() or 1)
    marked = (pairs[0].true, pairs[0].predicted) if pairs else None
    names = [name_html(confusion.classes[k], COLUMN_NAME) for k in chosen]
    tall = " km-tall" if max(len(confusion.classes[k]) for k in chosen) > 4 else ""  # noqa: PLR2004 - what a column holds
    many = " km-many" if len(chosen) > ROOMY else ""
    heads = "".join(f'<th scope="col"><span>{name}</span></th>' for name in names)
    figures = confusion.figures
    body = []
    for row in chosen:
        cells = "".join(
            _cell(confusion, row, k, shares[row, k], strength[row, k], marked=(row, k) == marked)
            for k in chosen
        )
        has = figures.support[row] > 0
        recall = _percent(figures.recall[row]) if has else UNDEFINED
        body.append(
            f'<tr><th scope="row">{name_html(confusion.classes[row], ROW_NAME)}</th>{cells}'
            f'<td class="km-side"><div class="km-recall">{bar(figures.recall[row])}'
            f"<span>{recall}</span></div></td>"
            f'<td class="km-side">{_percent(figures.f1[row])}</td>'
            f'<td class="km-side">{tally(figures.support[row])}</td></tr>'
        )
    called = confusion.matrix.sum(axis=0)
    precision = "".join(
        f"<td>{_percent(figures.precision[k]) if called[k] > 0 else UNDEFINED}</td>" for k in chosen
    )
    of = {"true": "its row", "pred": "its column", "all": "all"}[over]
    return (
        f'<table class="km-matrix{many}"><caption>Rows: true class. Columns: predicted class. '
        f"Small: percent of {of}.</caption>"
        f'<thead class="{tall.strip()}"><tr><th class="km-corner">true \\ predicted</th>{heads}'
        '<th scope="col" class="km-side km-wide">recall&nbsp;%</th>'
        '<th scope="col" class="km-side">F1&nbsp;%</th>'
        f'<th scope="col" class="km-side">support</th></tr></thead><tbody>{"".join(body)}</tbody>'
        f'<tfoot><tr><th scope="row">precision&nbsp;%</th>{precision}'
        '<td class="km-side" colspan="3">'
        f"accuracy {_percent(confusion.accuracy, 2)}</td></tr></tfoot></table>"
    )


def _cell(
    confusion: Shown, row: int, column: int, share: float, strength: float, *, marked: bool
) -> str:
    count = confusion.matrix[row, column]
    if not count:
        return '<td class="km-none">·</td>'
    right = row == column
    colour = BLUE if right else ORANGE
    alpha = 0.15 if right else FAINT + (FULL - FAINT) * strength
    row_name, column_name = hint(confusion.classes[row]), hint(confusion.classes[column])
    tip = f"{row_name} right" if right else f"{row_name} taken for {column_name}"
    classes = ' class="km-shown"' if marked else ""
    return (
        f'<td{classes} title="{tip}: {tally(count)}" '
        f'style="background-color:rgba({colour},{alpha:.2f})">'
        f"{tally(count)}<br><small>{_percent(share)}%</small></td>"
    )


def _aside(confusion: Shown, pairs: Sequence[Pair]) -> str:
    if not pairs:
        return ""
    listed = "".join(
        f"<li>{name_html(pair.true_name)} taken for {name_html(pair.predicted_name)} "
        f'<span class="km-mute">{tally(pair.count)} of {tally(pair.support)}</span></li>'
        for pair in pairs[:PAIRS]
    )
    return (
        f'<div class="km-aside">{_samples(confusion, pairs[0])}'
        f'<div class="km-sub"><b>Most confused</b></div><ol>{listed}</ol></div>'
    )


def _samples(confusion: Shown, pair: Pair) -> str:
    """Thumbnails of the samples of one pair, the most confident first."""
    if confusion.x is None or not are_pictures(confusion.x):
        return ""
    true, pred = (confusion.labels[position] for position in (pair.true, pair.predicted))
    numbers = confusion.indices(true=true, pred=pred, n=THUMBS)
    pictures = [np.asarray(confusion.x[int(number)]) for number in numbers]
    look = look_of(pictures)
    sure = confusion.targets.confidence
    figures = []
    for number, picture in zip(numbers, pictures, strict=True):
        below = f"no. {number:,}" if sure is None else f"{sure[number]:.2f}"
        alt = f"sample {number}: {isolate(pair.true_name)} taken for {isolate(pair.predicted_name)}"
        figures.append(
            f'<div class="km-thumb" title="sample {number:,}">'
            f"{thumbnail(picture, look, box=BOX, alt=shorten(alt, 120))}"
            f'<div class="km-mute">{below}</div></div>'
        )
    title = f"{name_html(pair.true_name)} taken for {name_html(pair.predicted_name)}"
    return (
        f'<div class="km-sub"><b>{title}</b></div><div class="km-thumbs" '
        f'style="display:flex;flex-wrap:wrap;gap:6px">{"".join(figures)}</div>'
    )


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}"


def _rows(confusion: Shown, chosen: Sequence[int]) -> list[str]:
    """The lines of the plain text's table."""
    figures = confusion.figures
    with_matrix = len(chosen) <= WORDED
    names = [isolate(shorten(confusion.classes[k], ROW_NAME)) for k in chosen]
    head = ["true \\ predicted" if with_matrix else "class"]
    head += names if with_matrix else []
    rows = [[*head, "precision", "recall", "F1", "support"]]
    for name, k in zip(names, chosen, strict=True):
        cells = [tally(confusion.matrix[k, other]) for other in chosen] if with_matrix else []
        rates = [f"{rate[k]:.3f}" for rate in (figures.precision, figures.recall, figures.f1)]
        rows.append([name, *cells, *rates, tally(figures.support[k])])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
