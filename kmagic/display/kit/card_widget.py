"""The kernel's end of a card that is interactive while its kernel runs.

The card is complete HTML and is saved as such. Beside it the kernel opens a widget without a view
of its own: its module finds the card in the page, wherever and however often it is shown, by the
key in ``data-km`` (``static/kit/card_client.js``), and sends requests as custom messages. When the
kernel goes, the card is as it was before.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

from kmagic.display.kit.assets import js_module, read_static
from kmagic.support.display_mode import display_mode
from kmagic.support.errors import KmagicError

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

    return CardWidget
