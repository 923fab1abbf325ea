"""How results are displayed here: as a widget, as HTML, as text or not at all."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias, cast, get_args

from kmagic.support.errors import KmagicError
from kmagic.support.rendering import running_shell

VARIABLE = "KMAGIC_DISPLAY"
STATIC = "static"

DisplayMode: TypeAlias = Literal["widget", "html", "log", "text", "static", "none"]


def requested_display() -> str:
    """The value of the variable; "" if it is not set."""
    return os.environ.get(VARIABLE, "").strip().lower()


def is_static() -> bool:
    """Whether to leave out what differs between runs and machines: times, folders.

    Example:
        >>> is_static()
        False
    """
    return requested_display() == STATIC


def display_mode() -> DisplayMode:
    """How to display something that changes while it is shown.

    - "widget": a live widget, replaced by a static card at the end.
    - "html": a card that is updated, where a notebook does not support third-party widgets, or
      anywidget is not installed.
    - "log": lines of text, then a static card, for a notebook that nobody watches, such as under
      nbclient, papermill and ``jupyter execute``.
    - "text": lines of text, as in a terminal.
    - "static": one card at the end, reproducible and without times.
    - "none": nothing.

    The variable ``KMAGIC_DISPLAY`` takes precedence over the environment.

    Raises:
        KmagicError: The variable has an unknown value.
    """
    requested, modes = requested_display(), get_args(DisplayMode)
    if requested in modes:
        if requested == "widget" and not has_widgets():
            return "html"
        return cast("DisplayMode", requested)
    if requested:
        raise KmagicError(f"{VARIABLE} must be one of {', '.join(modes)}; got {requested!r}.")
    kernel = running_kernel()
    if kernel is None:
        return "text"
    if "google.colab" in sys.modules:
        return "html"
    if not _has_frontend(kernel):
        return "log"
    return "widget" if has_widgets() else "html"


def has_widgets() -> bool:
    """Whether the packages for widgets are installed."""
    return find_spec("anywidget") is not None and find_spec("ipywidgets") is not None


def running_kernel() -> Any:
    """The Jupyter kernel that runs this process, or None."""
    return getattr(running_shell(), "kernel", None)


def _has_frontend(kernel: Any) -> bool:
    """Whether a person sent the running cell: only a frontend with one can answer ``input()``."""
    try:
        content = kernel.get_parent("shell").get("content", {})
    except (AttributeError, TypeError):
        return True  # not an ipykernel, so it is unknown
    return bool(content.get("allow_stdin", True))
