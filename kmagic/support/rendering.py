"""Results that a notebook shows as a card.

Results (a dataset, a run, a confusion matrix) lie below the displays and do not import them, so
each names its renderer by address, as an entry point does. It is imported when it is first needed.
"""

from __future__ import annotations

import sys
from functools import wraps
from importlib import import_module
from typing import Any, ClassVar

from kmagic.support.formatting import escape_control_characters


def import_address(address: str) -> Any:
    """Import the object at an address, "package.module:name"."""
    module, _, name = address.partition(":")
    return getattr(import_module(module), name)


class Renderable:
    """Base of all results that a notebook shows as a card."""

    renderer: ClassVar[str]
    """Address of a function from the result to its MIME bundle."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        # The text of a result contains names from data and files: of classes, columns, models.
        super().__init_subclass__(**keywords)
        own = cls.__dict__.get("__repr__")
        if own is not None:
            cls.__repr__ = wraps(own)(lambda self: escape_control_characters(own(self)))  # type: ignore[method-assign]

    def _bundle(self) -> dict[str, str]:
        bundle: dict[str, str] = import_address(self.renderer)(self)
        return bundle

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return self._bundle()

    def _ipython_display_(self) -> None:
        if not was_just_displayed(self):
            display_result(self)


_displayed: tuple[int, int] | None = None
"""Identity of the object that a magic displayed last, and the execution count of its cell.

A magic displays its result and returns it. On the last line of a cell IPython would display it
a second time.
"""


def mark_displayed(value: object) -> None:
    """Note that the running cell already shows ``value``."""
    global _displayed  # noqa: PLW0603 - one kernel runs one cell at a time
    _displayed = id(value), getattr(running_shell(), "execution_count", 0)


def was_just_displayed(value: object) -> bool:
    """Whether the running cell already shows ``value``; the note is dropped by asking."""
    global _displayed
    noted, _displayed = _displayed, None
    return noted == (id(value), getattr(running_shell(), "execution_count", 0))


def forget_displayed(*_: object) -> None:
    """Drop the note: a new cell starts."""
    was_just_displayed(None)


def display_result(value: Renderable) -> None:
    """Show a result's card in the running cell."""
    display_bundle(value._repr_mimebundle_())


def display_bundle(bundle: dict[str, str]) -> None:
    """Show a MIME bundle in the running cell; without IPython, print its plain text."""
    if running_shell() is None:
        print(bundle["text/plain"])  # noqa: T201 - as IPython does, but without the HTML
    else:
        display_in_cell(bundle, raw=True)


def display_in_cell(value: Any, **options: Any) -> Any:
    """Show a value in the running cell; with ``display_id`` returns a handle to replace it."""
    from IPython.display import display  # noqa: PLC0415 - not needed outside a notebook

    return display(value, **options)  # type: ignore[no-untyped-call] # IPython is untyped


def running_shell() -> Any:
    """The running IPython shell, or None."""
    ipython: Any = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None
