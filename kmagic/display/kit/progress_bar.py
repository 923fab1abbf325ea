"""The progress of a long operation, while it runs."""

from __future__ import annotations

import sys
from shutil import get_terminal_size
from typing import Any, TextIO

from kmagic.display.kit.assets import minified_css
from kmagic.display.kit.card import Bundle, bar_html, escape_html, mime_bundle
from kmagic.support.display_mode import DisplayMode, display_mode
from kmagic.support.progress import Progress, ProgressView


def progress_view(mode: DisplayMode | None = None) -> ProgressView | None:
    """A view for a display mode, by default the current one; None if it shows no progress."""
    mode = mode or display_mode()
    if mode in ("widget", "html"):
        return ProgressBar()
    return ProgressLine(sys.stdout) if mode == "text" and sys.stdout.isatty() else None


def progress_bundle(progress: Progress) -> Bundle:
    """A bar below its text, as text and as HTML."""
    text = progress.to_text()
    label = escape_html(text)
    markup = (
        f"<style>{minified_css('kit/card.css')}</style>"
        f'<div class="kmagic" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{100 * progress.fraction:.0f}" aria-valuetext="{label}">'
        f'<div class="km-muted" style="margin-bottom:6px">{label}</div>'
        f"{bar_html(progress.fraction)}</div>"
    )
    return mime_bundle(text, markup)


class ProgressBar:
    """A bar in the running cell, which disappears at the end."""

    def __init__(self) -> None:
        self._handle: Any = None

    def update(self, progress: Progress) -> None:
        """Show the current state."""
        bundle = progress_bundle(progress)
        if self._handle is None:
            from IPython.display import display  # noqa: PLC0415 - only notebooks need it

            self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call] # IPython is not typed
        else:
            self._handle.update(bundle, raw=True)

    def close(self) -> None:
        """Remove the bar, since the result follows."""
        if self._handle is not None:
            self._handle.update(mime_bundle("", ""), raw=True)


class ProgressLine:
    """A line on a terminal, which is overwritten."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._width = 0

    def update(self, progress: Progress) -> None:
        """Overwrite the line."""
        self._write(progress.to_text()[: get_terminal_size().columns - 1])

    def close(self) -> None:
        """Clear the line."""
        self._write("")
        self._stream.write("\r")
        self._stream.flush()

    def _write(self, text: str) -> None:
        self._stream.write(f"\r{text}{' ' * max(0, self._width - len(text))}")
        self._stream.flush()
        self._width = len(text)
