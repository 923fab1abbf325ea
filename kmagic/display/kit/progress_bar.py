"""The bar of a long work, while it runs."""

from __future__ import annotations

import sys
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, TextIO

from kmagic.display.kit.assets import minified_css
from kmagic.display.kit.card import (
    bar_html,
    escape_html,
    mime_bundle,
)
from kmagic.support.display_mode import display_mode

if TYPE_CHECKING:
    from kmagic.display.kit.card import Bundle
    from kmagic.support.display_mode import DisplayMode
    from kmagic.support.progress import Progress, ProgressView


def progress_view(how: DisplayMode | None = None) -> ProgressView | None:
    """A view that suits the surroundings, or the mode that is asked for; None shows nothing."""
    how = how or display_mode()
    if how in ("widget", "html"):
        return ProgressBar()
    return ProgressLine(sys.stdout) if how == "text" and sys.stdout.isatty() else None


def progress_bundle(progress: Progress) -> Bundle:
    """A bar with words below, plain and as HTML."""
    words = progress.to_text()
    markup = (
        f"<style>{minified_css('kit/card.css')}</style>"
        f'<div class="kmagic" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{100 * progress.fraction:.0f}" aria-valuetext="{escape_html(words)}">'
        f'<div class="km-muted" style="margin-bottom:6px">{escape_html(words)}</div>'
        f"{bar_html(progress.fraction)}</div>"
    )
    return mime_bundle(words, markup)


class ProgressBar:
    """A bar in the running cell, which goes when the work is over."""

    def __init__(self) -> None:
        self._handle: Any = None

    def update(self, progress: Progress) -> None:
        """Show where it stands."""
        if self._handle is None:
            from IPython.display import display  # noqa: PLC0415 - only a notebook has it

            self._handle = display(progress_bundle(progress), raw=True, display_id=True)  # type: ignore[no-untyped-call] # IPython's is not typed
        else:
            self._handle.update(progress_bundle(progress), raw=True)

    def close(self) -> None:
        """Leave nothing to be seen: the result comes below."""
        if self._handle is not None:
            self._handle.update(mime_bundle("", ""), raw=True)


class ProgressLine:
    """A line on a terminal that moves.

    Args:
        stream: The terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._width = 0

    def update(self, progress: Progress) -> None:
        """Write over the line."""
        self._write(progress.to_text()[: get_terminal_size().columns - 1])

    def close(self) -> None:
        """Wipe the line."""
        self._write("")
        self._stream.write("\r")
        self._stream.flush()

    def _write(self, text: str) -> None:
        self._stream.write(f"\r{text}{' ' * max(0, self._width - len(text))}")
        self._stream.flush()
        self._width = len(text)
