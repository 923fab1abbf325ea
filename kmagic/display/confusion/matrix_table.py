"""The confusion matrix as a table: what is coloured are the mistakes.

Every cell holds its count and three percentages, and knows its colour for each; which of them is
seen is a matter of the style sheet and of the buttons above. Where a notebook is not trusted, what
was asked for is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kmagic.display.kit.card import bar_html, name_html, tooltip_text
from kmagic.support.colour_scale import colour_values
from kmagic.support.formatting import format_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

ROOMY = 12  # up to so many classes the cells are roomy
TOLD = 20  # up to so many classes each cell says in words what it is
ORANGE, BLUE = "213,94,0", "0,114,178"
UNDEFINED = "\N{EN DASH}"  # a rate of nothing
UNSEEN, BRIEFLY = " style=display:none", " hidden"
"""What is not shown at first; a notebook that is not trusted keeps the style only, and of the cells
of many classes the shorter word keeps the card small."""
COLUMN_NAME, ROW_NAME, TIP_NAME = 14, 18, 40  # signs
TALL = 4  # signs: longer names of columns are written upwards
WAYS = {"counts": "counts", "true": "of row", "pred": "of column", "all": "of all"}


class Shown(Protocol):
    """What a confusion matrix must tell to be drawn as a table."""

    @property
    def matrix(self) -> NDArray[Any]:
        """The counts."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def per_class(self) -> Any:
        """Figures of each class."""

    @property
    def accuracy(self) -> float:
        """Share of what is right."""

    @property
    def normalize(self) -> Any:
        """What the percentages are of."""

    @property
    def scale(self) -> Any:
        """Whether colours follow counts or logarithms."""

    @property
    def diagonal(self) -> bool:
        """Whether what is right takes part in the colours."""

    def normalized(self, over: Any = "true") -> NDArray[np.float64]:
        """The matrix as shares."""


@dataclass(frozen=True, slots=True)
class _Shades:
    """Shares and tones of all cells, for each way of normalizing."""

    shares: tuple[NDArray[np.float64], ...]
    tones: tuple[NDArray[np.float64], ...]
    first: int  # which of the shares is seen
    ground: NDArray[np.float64]  # the tones that are seen

    @classmethod
    def of(cls, found: Shown) -> _Shades:
        how = {"log": found.scale == "log", "diagonal": found.diagonal}
        shares = tuple(found.normalized(over) for over in ("true", "pred", "all"))
        shades = tuple(colour_values(each, **how) for each in (found.matrix, *shares[:2]))
        over = found.normalize
        first = {"pred": 1, "all": 2}.get(over, 0)
        return cls(shares, shades, first, shades[{"true": 1, "pred": 2}.get(over, 0)])


def matrix_table_html(
    found: Shown,
    chosen: Sequence[int],
    *,
    marked: tuple[int, int] | None = None,
    inside: Mapping[tuple[int, int], str] | None = None,
) -> str:
    """The matrix, with the figures of each class at its edges.

    Args:
        found: The matrix.
        chosen: Positions of the classes that are shown, in their order.
        marked: The cell whose samples are shown beside it.
        inside: What opens within a cell, as HTML.
    """
    shades = _Shades.of(found)
    names = [name_html(found.classes[k], COLUMN_NAME) for k in chosen]
    tall = " km-tall" if max(len(found.classes[k]) for k in chosen) > TALL else ""
    many = " km-many" if len(chosen) > ROOMY else ""
    heads = "".join(f'<th scope="col"><span>{name}</span></th>' for name in names)
    figures = found.per_class
    body = []
    for row in chosen:
        cells = "".join(
            _cell(found, shades, (row, k), (inside or {}).get((row, k), ""), marked=marked)
            for k in chosen
        )
        recall = format_percent(figures.recall[row]) if figures.support[row] > 0 else UNDEFINED
        body.append(
            f'<tr><th scope="row">{name_html(found.classes[row], ROW_NAME)}</th>{cells}'
            f'<td class="km-side"><div class="km-recall">{bar_html(figures.recall[row])}'
            f"<span>{recall}</span></div></td>"
            f'<td class="km-side">{format_percent(figures.f1[row])}</td>'
            f'<td class="km-side">{format_count(figures.support[row])}</td></tr>'
        )
    called = found.matrix.sum(axis=0)
    precision = "".join(
        f"<td>{format_percent(figures.precision[k]) if called[k] > 0 else UNDEFINED}</td>"
        for k in chosen
    )
    of = ("its row", "its column", "all")[shades.first]
    return (
        f'<table class="km-matrix{many}"><caption>Rows: true class. Columns: predicted class. '
        f"Small: percent of {of}.</caption>"
        f'<thead class="{tall.strip()}"><tr><th class="km-corner">true \\ predicted</th>{heads}'
        '<th scope="col" class="km-side km-wide">recall&nbsp;%</th>'
        '<th scope="col" class="km-side">F1&nbsp;%</th>'
        f'<th scope="col" class="km-side">support</th></tr></thead><tbody>{"".join(body)}</tbody>'
        f'<tfoot><tr><th scope="row">precision %</th>{precision}'
        '<td class="km-side" colspan="3">'
        f"accuracy {format_percent(found.accuracy, 2)}</td></tr></tfoot></table>"
    )


def normalization_buttons(normalize: str | None) -> str:
    """The buttons that say what the percentages and colours are of; a style sheet obeys them."""
    wanted = normalize or "counts"
    buttons = "".join(
        f'<label><input type="radio" name="km-by" value="{way}"'
        f"{' checked' if way == wanted else ''}><span>{words}</span></label>"
        for way, words in WAYS.items()
    )
    return (
        '<form class="km-by" role="radiogroup" aria-label="what is coloured" '
        f'style="display:none">{buttons}</form>'
    )


def format_opacity(tone: float) -> str:
    """A tone's opacity, as short as CSS takes it."""
    return f"{abs(tone):.2f}".removeprefix("0")


def format_cell_count(count: float) -> str:
    """A count; of a sum of weights no more digits than a cell can hold."""
    if float(count).is_integer():
        return f"{int(count):,}"
    return f"{count:,.0f}" if abs(count) >= 100 else f"{count:.3g}"  # noqa: PLR2004 - three digits


def format_percent(share: float, digits: int = 1) -> str:
    """A share as percent, without the sign."""
    return f"{100 * share:.{digits}f}"


def _cell(
    found: Shown,
    shades: _Shades,
    place: tuple[int, int],
    inside: str,
    *,
    marked: tuple[int, int] | None,
) -> str:
    row, column = place
    count = found.matrix[row, column]
    if not count:
        return '<td class="km-none">·</td>'
    right = row == column
    kinds = [*(["km-r"] if right else []), *(["km-shown"] if place == marked else [])]
    named = f' class="{" ".join(kinds)}"' if kinds else ""
    colour = BLUE if right else ORANGE
    # Three tones, of the counts, of the row, of the column; of all is that of the counts.
    one, two, three = (format_opacity(tone[row, column]) for tone in shades.tones)
    ground = format_opacity(shades.ground[row, column])
    vars_ = f";--t:{two};--p:{three}" + (f";--c:{one}" if ground != one else "")
    title = ""
    if len(found.classes) <= TOLD:
        true, guess = (tooltip_text(found.classes[k], TIP_NAME) for k in (row, column))
        tip = f"{true} right" if right else f"{true} taken for {guess}"
        title = f' title="{tip}: {format_count(count)}"'
    unseen = UNSEEN if len(found.classes) <= ROOMY else BRIEFLY
    small = "".join(
        f"<i{'' if way == shades.first else unseen}>{format_percent(share[row, column])}</i>"
        for way, share in enumerate(shades.shares)
    )
    figure = f"<b>{format_cell_count(count)}</b> {small}"
    if inside:
        figure = (
            '<details class="km-cell" name="km-cell"><summary style="list-style:none;'
            f'cursor:pointer">{figure}</summary>{inside}</details>'
        )
    return (
        f'<td{named}{title} style="background-color:rgba({colour},{ground}){vars_}">{figure}</td>'
    )
