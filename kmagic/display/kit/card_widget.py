"""The kernel's end of a card that is interactive while its kernel runs.

The card is complete HTML and is saved as such. Beside it the kernel opens a widget without a view
of its own: its module finds the card in the page, wherever and however often it is shown, by the
key in ``data-km`` (``static/kit/card_client.js``), and sends requests as custom messages. When the
kernel goes, the card is as it was before.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeAlias

from kmagic.display.kit.assets import js_module, read_static
from kmagic.display.kit.samples import Sample, encode_samples
from kmagic.support.display_mode import display_mode
from kmagic.support.errors import KmagicError

MAX_SAMPLES = 48  # in a reply
MAX_WIDGETS = 16  # cards that are interactive at a time; older ones become static

Answer: TypeAlias = Callable[[dict[str, Any]], tuple[dict[str, Any], list[bytes]]]
"""The reply to a request of the page, as JSON and its binary parts."""

_open_widgets: deque[Any] = deque()


def open_widget(module: str, state: dict[str, Any], answer: Answer) -> str:
    """Open a widget for a card that is about to be shown.

    Args:
        module: The widget's module and style sheet in ``static``, without their suffixes.
        state: What the page needs from the beginning, as JSON.
        answer: Answers the requests of the page.

    Returns:
        The card's key, or "" if widgets are not available.
    """
    if display_mode() != "widget":
        return ""
    key = uuid.uuid4().hex[:12]
    widget = widget_class(module)(state={"key": key, **state})
    widget.on_msg(lambda _, message, __: reply_to(widget, answer, message))
    _open_widgets.append(widget)
    while len(_open_widgets) > MAX_WIDGETS:
        _open_widgets.popleft().close()
    return key


def reply_to(widget: Any, answer: Answer, message: dict[str, Any]) -> None:
    """Send the reply to a request, or what is wrong with it."""
    try:
        reply, buffers = answer(message)
    except KmagicError as error:
        reply, buffers = {"error": str(error)}, []
    widget.send({"reply_to": message.get("id"), **reply}, buffers)


def samples_reply(
    message: dict[str, Any],
    indices: Sequence[int],
    draw: Callable[[list[int]], Sequence[Sample]],
    summary: str,
) -> tuple[dict[str, Any], list[bytes]]:
    """The page of samples that a message requests (``first`` and ``count``), for a panel.

    Args:
        message: The request.
        indices: All samples that are selected.
        draw: Gives some of them as they are shown.
        summary: How many there are, in words.
    """
    first = max(0, int(message.get("first", 0)))
    count = min(MAX_SAMPLES, max(1, int(message.get("count", MAX_SAMPLES))))
    samples = draw([int(k) for k in indices[first : first + count]])
    items, buffers = [], []
    for sample, image in zip(samples, encode_samples(samples), strict=True):
        item = {name: getattr(sample, name) for name in ("index", "caption", "title", "text")}
        if image is not None:
            item |= {
                name: getattr(image, name) for name in ("mime", "width", "height", "pixelated")
            }
            buffers.append(image.data)
        items.append(item)
    return {"total": len(indices), "summary": summary, "samples": items}, buffers


@cache
def widget_class(module: str) -> Any:
    """The widget's class, created on first use because importing anywidget takes 0.3 s."""
    import anywidget  # noqa: PLC0415 - see above
    import traitlets  # noqa: PLC0415 - see above

    class CardWidget(anywidget.AnyWidget):
        """The kernel's end of a card."""

        _esm = js_module(f"{module}.js")
        _css = read_static("kit/interactive.css") + read_static(f"{module}.css")
        state = traitlets.Dict().tag(sync=True)

        def __repr__(self) -> str:
            return "the widget of a card, which has no view of its own"

    # anywidget replaces the style sheet of a class of the same name.
    CardWidget.__name__ = f"CardWidget_{module.replace('/', '_')}"
    return CardWidget
