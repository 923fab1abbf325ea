"""Keras in a Jupyter cell.

``%load_ext kmagic`` loads the magics; each of them calls a function of this module.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kmagic.api import build as build
    from kmagic.api import cross_validate as cross_validate
    from kmagic.api import find_label_errors as find_label_errors
    from kmagic.api import fit as fit
    from kmagic.cluster.connection import connect as connect
    from kmagic.data import Dataset as Dataset
    from kmagic.data import load_data as load_data
    from kmagic.data.preparation.preparation import Preparation as Preparation
    from kmagic.data.preparation.text_encoding import TextEncoding as TextEncoding
    from kmagic.data.preparation.text_encoding import learn_text as learn_text
    from kmagic.evaluation.classification.classify import classify as classify
    from kmagic.evaluation.confusion.confusion import confusion as confusion
    from kmagic.evaluation.confusion.confusion import confusion_of as confusion_of
    from kmagic.evaluation.cost.model_cost import cost as cost
    from kmagic.evaluation.prediction.evaluate import evaluate as evaluate
    from kmagic.evaluation.prediction.file_prediction import predict_to_file as predict_to_file
    from kmagic.evaluation.prediction.predict import predict as predict
    from kmagic.evaluation.prediction.predict import predict_classes as predict_classes
    from kmagic.evaluation.prediction.predict import predict_proba as predict_proba
    from kmagic.evaluation.regression.errors_of import errors as errors
    from kmagic.evaluation.regression.errors_of import errors_of as errors_of
    from kmagic.from_r import from_r as from_r
    from kmagic.language import format_spec as format_spec
    from kmagic.language import parse as parse
    from kmagic.models.decompile import to_dsl as to_dsl
    from kmagic.models.export import to_python as to_python
    from kmagic.persistence.save_load import load as load
    from kmagic.persistence.save_load import save as save
    from kmagic.support.errors import KmagicError as KmagicError
    from kmagic.training.learning_rate_test import find_learning_rate as find_learning_rate
    from kmagic.training.run.training_run import TrainingRun as TrainingRun
    from kmagic.tuning.tune import tune as tune

__version__ = "0.1.0"

_PUBLIC = {
    "api": ("build", "cross_validate", "find_label_errors", "fit"),
    "cluster.connection": ("connect",),
    "data": ("Dataset", "load_data"),
    "data.preparation.preparation": ("Preparation",),
    "data.preparation.text_encoding": ("TextEncoding", "learn_text"),
    "evaluation.classification.classify": ("classify",),
    "evaluation.confusion.confusion": ("confusion", "confusion_of"),
    "evaluation.cost.model_cost": ("cost",),
    "evaluation.prediction.evaluate": ("evaluate",),
    "evaluation.prediction.file_prediction": ("predict_to_file",),
    "evaluation.prediction.predict": ("predict", "predict_classes", "predict_proba"),
    "evaluation.regression.errors_of": ("errors", "errors_of"),
    "from_r": ("from_r",),
    "language": ("format_spec", "parse"),
    "models.decompile": ("to_dsl",),
    "models.export": ("to_python",),
    "persistence.save_load": ("load", "save"),
    "support.errors": ("KmagicError",),
    "training.learning_rate_test": ("find_learning_rate",),
    "training.run.training_run": ("TrainingRun",),
    "tuning.tune": ("tune",),
}
"""Module -> its public names; it is imported when one of them is first used."""
_MODULES = {name: module for module, names in _PUBLIC.items() for name in names}

_WITH_KERAS = frozenset(
    {"build", "classify", "confusion_of", "cost", "cross_validate", "errors_of", "evaluate", "fit"}
    | {
        "find_label_errors",
        "find_learning_rate",
        "load",
        "predict",
        "predict_classes",
        "predict_to_file",
        "predict_proba",
        "save",
        "to_dsl",
    }
    | {"to_python", "tune"}
)
__all__ = ["__version__", "load_ipython_extension", *sorted(_MODULES)]  # noqa: PLE0604 - names only


class _Package(ModuleType):
    """This package; a subpackage does not replace the public function of the same name.

    Importing ``kmagic.from_r`` would otherwise replace ``kmagic.from_r()``.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _MODULES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in _MODULES:
        if name in _WITH_KERAS:
            from kmagic.support.keras_import import check_installation_once  # noqa: PLC0415 - late

            check_installation_once()
        module = import_module(f"kmagic.{_MODULES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return __all__


def load_ipython_extension(shell: Any) -> None:
    """Load the magics into an IPython shell, and import Keras in the background.

    Args:
        shell: The InteractiveShell; IPython passes it at ``%load_ext kmagic``.
    """
    from kmagic.magics import register  # noqa: PLC0415 - not needed without a notebook

    register(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Remove the magics from an IPython shell."""
    from kmagic.magics import unregister  # noqa: PLC0415 - not needed without a notebook

    unregister(shell)
