"""How results are to be shown here: by widget, by HTML, as text or not at all."""

from __future__ import annotations

import sys
from typing import Any, Literal, TypeAlias, get_args

from kmagic.support.errors import KmagicError
from kmagic.support.static_display import VARIABLE, requested_display

DisplayMode: TypeAlias = Literal["widget", "html", "log", "text", "static", "none"]


def display_mode() -> DisplayMode:
    """How to show what changes while it is shown.

    - "widget": a live widget, then a picture that stays.
    - "html": a picture that is replaced, where a notebook has no widgets of others' making.
    - "log": lines of text, then a picture that stays: a notebook that nobody watches, as under
      nbclient, papermill and ``jupyter execute``.
    - "text": lines of text, as in a terminal.
    - "static": one picture at the end, the same for the same result, with no times in it.
    - "none": nothing.

    The variable ``KMAGIC_DISPLAY`` decides if it is set; else the surroundings do.

    Raises:
        KmagicError: The variable holds no such word.
    """
    wish = requested_display()
    if not wish:
        return _surroundings()
    for known in get_args(DisplayMode):
        if wish == known:
            return known  # type: ignore[no-any-return] # one of the words above
    raise KmagicError(
        f"{VARIABLE} is {wish!r}, which is no way to show anything.",
        f"It may be one of: {', '.join(get_args(DisplayMode))}.",
    )


def _surroundings() -> DisplayMode:
    kernel = running_kernel()
    if kernel is None:
        return "text"
    if "google.colab" in sys.modules:
        return "html"
    return "widget" if _somebody_watches(kernel) else "log"


def running_kernel() -> Any:
    """The Jupyter kernel that runs this process, or None."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None)


def _somebody_watches(kernel: Any) -> bool:
    """Whether the running cell was sent by a frontend: one with a person can answer ``input()``."""
    try:
        content = kernel.get_parent("shell").get("content", {})
    except (AttributeError, TypeError):
        return True  # not an ipykernel: no way to know
    return bool(content.get("allow_stdin", True))
