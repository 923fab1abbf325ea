"""Keras in a Jupyter cell.

``%load_ext kmagic`` loads the magics; every one of them is a thin skin over a function here.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kmagic.api import fit as fit
    from kmagic.build import build as build
    from kmagic.data import Dataset as Dataset
    from kmagic.data import load_data as load_data
    from kmagic.dsl import format_spec as format_spec
    from kmagic.dsl import parse as parse
    from kmagic.errors import KmagicError as KmagicError
    from kmagic.evaluation.classify import classify as classify
    from kmagic.evaluation.confusion import confusion as confusion
    from kmagic.evaluation.evaluate import evaluate as evaluate
    from kmagic.evaluation.predicting import predict as predict
    from kmagic.evaluation.predicting import predict_classes as predict_classes
    from kmagic.evaluation.predicting import predict_proba as predict_proba
    from kmagic.export import to_dsl as to_dsl
    from kmagic.export import to_python as to_python
    from kmagic.from_r import from_r as from_r
    from kmagic.preparation import Preparation as Preparation
    from kmagic.preparation import TextEncoding as TextEncoding
    from kmagic.preparation import learn_text as learn_text
    from kmagic.run import TrainingRun as TrainingRun
    from kmagic.saving import load as load
    from kmagic.saving import save as save

__version__ = "0.1.0"

_HOMES = {
    "Dataset": "data",
    "KmagicError": "errors",
    "Preparation": "preparation",
    "TextEncoding": "preparation",
    "TrainingRun": "run",
    "build": "build",
    "classify": "evaluation.classify",
    "confusion": "evaluation.confusion",
    "evaluate": "evaluation.evaluate",
    "fit": "api",
    "format_spec": "dsl",
    "from_r": "from_r",
    "learn_text": "preparation",
    "load": "saving",
    "load_data": "data",
    "parse": "dsl",
    "predict": "evaluation.predicting",
    "predict_classes": "evaluation.predicting",
    "predict_proba": "evaluation.predicting",
    "save": "saving",
    "to_dsl": "export",
    "to_python": "export",
}
"""Public name -> the module that holds it; nothing is imported before it is asked for."""

__all__ = ["__version__", "load_ipython_extension", *sorted(_HOMES)]  # noqa: PLE0604 - names only


class _Contents(ModuleType):
    """The package, whose functions are not hidden by a submodule of the same name.

    Importing ``kmagic.build`` would else put the module in the place of ``kmagic.build()``.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _HOMES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Contents


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in _HOMES:
        return getattr(import_module(f"kmagic.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, whether they are imported yet or not."""
    return __all__


def load_ipython_extension(shell: Any) -> None:
    """Load the magics into an IPython shell, and start Keras in the background.

    Args:
        shell: The InteractiveShell; IPython passes it at ``%load_ext kmagic``.
    """
    from kmagic.magics import register  # noqa: PLC0415 - not needed without a notebook

    register(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Take the magics out of an IPython shell again."""
    from kmagic.magics import unregister  # noqa: PLC0415 - not needed without a notebook

    unregister(shell)
