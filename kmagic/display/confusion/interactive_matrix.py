"""What a matrix's card can do only while its kernel is there.

The card is finished HTML and stays so in the file. Beside it the kernel opens a widget that has no
view: its module (``static/confusion.js``) looks for the card in the page, wherever it stands and
however often, and makes every cell answer a click. It asks for samples by custom messages, so that
only what is looked at is sent. When the kernel goes, the card is what it was before.
"""

from __future__ import annotations

import uuid
from collections import deque
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from kmagic.display.kit.assets import js_module
from kmagic.display.kit.card import read_static
from kmagic.display.kit.samples import encode_samples
from kmagic.support.display_mode import display_mode
from kmagic.support.errors import KmagicError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kmagic.display.kit.samples import Sample

KEPT = 16  # cards that live at a time; older ones are what they are without a kernel
MOST_SAMPLES = 48  # sent at a time

Cell = tuple[int, int]

_living: deque[Any] = deque()


class Living(Protocol):
    """A result that can be asked for what is behind its cells."""

    def state(self) -> dict[str, Any]:
        """What the page needs to know from the beginning, as JSON."""

    def cells(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The numbers (row * classes + column) of the cells that hold something, and what."""

    def ordered(self, by: str) -> Sequence[int]:
        """The classes, sorted."""

    def find(self, cells: Sequence[Cell], threshold: float | None) -> tuple[Sequence[int], str]:
        """The numbers of the samples behind some cells, and how many these are in words."""

    def show(self, numbers: Sequence[int], threshold: float | None) -> Sequence[Sample]:
        """Samples, ready to be shown."""

    def select(self, cells: Sequence[Cell]) -> None:
        """Keep what the user has selected."""


def attach_widget(found: Living) -> str:
    """Open a companion for a card that is about to be shown.

    Args:
        found: What the card shows.

    Returns:
        What the card's element must carry as ``data-km``; "" where there is no widget to be had.
    """
    if display_mode() != "widget":
        return ""
    key = uuid.uuid4().hex[:12]
    widget = widget_class()(state={"key": key, **found.state()})
    widget.on_msg(lambda _, message, __: _answer(widget, found, message))
    _living.append(widget)
    while len(_living) > KEPT:
        _living.popleft().close()
    return key


def answer_request(found: Living, message: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """What the page gets for a question.

    Args:
        found: What the card shows.
        message: ``ask`` is "samples" (with ``cells``, ``first`` and ``threshold``), "matrix",
            "order" (with ``by``) or "select" (with ``cells``).

    Returns:
        The reply as JSON, and its binary parts.
    """
    asked = message.get("ask")
    if asked == "samples":
        return _samples(found, message)
    if asked == "matrix":
        places, counts = found.cells()
        parts = [places.astype("<u4").tobytes(), counts.astype("<f8").tobytes()]
        return {}, parts
    if asked == "order":
        return {"order": [int(place) for place in found.ordered(str(message["by"]))]}, []
    if asked == "select":
        found.select(_read_cells(message))
        return {}, []
    return {"error": f"{asked!r} is no question"}, []


def _answer(widget: Any, found: Living, message: dict[str, Any]) -> None:
    try:
        reply, parts = answer_request(found, message)
    except KmagicError as error:
        reply, parts = {"error": str(error)}, []
    widget.send({"re": message.get("seq"), **reply}, parts)


def _samples(found: Living, message: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    threshold = message.get("threshold")
    numbers, words = found.find(_read_cells(message), threshold)
    first = max(0, int(message.get("first", 0)))
    count = min(MOST_SAMPLES, max(1, int(message.get("count", MOST_SAMPLES))))
    shown = found.show([int(n) for n in numbers[first : first + count]], threshold)
    listed, parts = [], []
    for sample, packed in zip(shown, encode_samples(shown), strict=True):
        item: dict[str, Any] = {
            "number": sample.number,
            "caption": sample.caption,
            "title": sample.title,
            "text": sample.text,
        }
        if packed is not None:
            item |= {
                "mime": packed.mime,
                "width": packed.width,
                "height": packed.height,
                "pixelated": packed.pixelated,
            }
            parts.append(packed.data)
        listed.append(item)
    return {"total": len(numbers), "words": words, "samples": listed}, parts


def _read_cells(message: dict[str, Any]) -> list[Cell]:
    return [(int(row), int(column)) for row, column in message.get("cells", [])]


@cache
def widget_class() -> Any:
    """The widget's class, made when it is first needed: anywidget takes a third of a second."""
    import anywidget  # noqa: PLC0415 - as said
    import traitlets  # noqa: PLC0415 - as said

    class Companion(anywidget.AnyWidget):
        """A card's other end; ``state`` is what :class:`Living` tells."""

        _esm = js_module("confusion.js")
        _css = read_static("companion.css")
        state = traitlets.Dict().tag(sync=True)

        def __repr__(self) -> str:
            return "the companion of a confusion matrix, which has no view of its own"

    return Companion
