"""A result that has a picture: IPython asks for it, and only then is it drawn.

The results (a data set, a run, a matrix) stand below the displays and import none of them, so
each names its picture by address, as an entry point does.
"""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from typing import Any, ClassVar


class Renderable:
    """Base of all results that a notebook shows as a card.

    Attributes:
        renderer: Address of a function from the result to its bundle of MIME types,
            "package.module:function".
    """

    renderer: ClassVar[str]

    def _bundle(self) -> dict[str, str]:
        module, _, name = self.renderer.partition(":")
        bundle: dict[str, str] = getattr(import_module(module), name)(self)
        return bundle

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return self._bundle()

    def _ipython_display_(self) -> None:
        if not _shown.forget(self):
            display_result(self)


class _JustShown:
    """Remembers the object that a magic has shown in the cell that runs now.

    A magic shows its result and returns it; were it the cell's last line, IPython would show it
    a second time.
    """

    def __init__(self) -> None:
        self._key: tuple[int, int] | None = None

    def note(self, value: object) -> None:
        self._key = (id(value), _execution_count())

    def forget(self, value: object) -> bool:
        """True once, if this very object was shown in this very cell."""
        known = self._key == (id(value), _execution_count())
        self._key = None
        return known


_shown = _JustShown()


def mark_displayed(value: object) -> None:
    """Say that the running cell shows ``value`` already."""
    _shown.note(value)


def was_just_displayed(value: object) -> bool:
    """Whether the running cell shows ``value`` already; asked once, forgotten then."""
    return _shown.forget(value)


def forget_displayed(*_: object) -> None:
    """A new cell begins: whatever was shown belongs to an earlier one."""
    _shown.forget(None)


def display_result(value: Renderable) -> None:
    """Put a result's card into the running cell."""
    display_bundle(value._repr_mimebundle_())


def display_bundle(bundle: dict[str, str]) -> None:
    """Put a bundle of MIME types into the running cell; without IPython print its words."""
    ipython: Any = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        print(bundle["text/plain"])  # noqa: T201 - as IPython does, but not the HTML too
        return
    from IPython.display import display  # noqa: PLC0415 - not needed outside a notebook

    display(bundle, raw=True)  # type: ignore[no-untyped-call]  # IPython ships no types for it


def enable_figure_display() -> None:
    """Let the running notebook show matplotlib's figures that belong to no pyplot.

    IPython learns to draw figures when pyplot is imported; until then all that it shows of one is
    its name.
    """
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return
    from IPython.core.pylabtools import print_figure  # noqa: PLC0415 - not needed elsewhere
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes half a second

    formatters = shell.display_formatter.formatters
    if not any(Figure in each for each in formatters.values()):
        formatters["image/png"].for_type(Figure, partial(print_figure, base64=True))


def _execution_count() -> int:
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "execution_count", 0)
