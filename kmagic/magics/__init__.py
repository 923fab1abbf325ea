"""The magics: each parses its line, calls one public function, and shows the result."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from kmagic.magics.completion import completer
from kmagic.magics.keras_classify import ClassificationMagics
from kmagic.magics.keras_confusion import ConfusionMagics
from kmagic.magics.keras_data import DataMagics
from kmagic.magics.keras_evaluate import EvaluationMagics
from kmagic.magics.keras_fit import TrainingMagics
from kmagic.magics.keras_history_magic import HistoryMagics
from kmagic.magics.keras_layers import LanguageMagics
from kmagic.magics.keras_model import ModelMagics
from kmagic.magics.keras_save import PersistenceMagics
from kmagic.magics.session import Session
from kmagic.support import keras_import
from kmagic.support.process_patches import install_display_hook, remove_display_hook
from kmagic.support.rendering import forget_displayed

MAGIC_CLASSES = (
    ModelMagics,
    LanguageMagics,
    DataMagics,
    TrainingMagics,
    HistoryMagics,
    EvaluationMagics,
    ConfusionMagics,
    ClassificationMagics,
    PersistenceMagics,
)


def register(shell: Any) -> None:
    """Register the magics with a shell, and import Keras in the background.

    ``KMAGIC_WARM=0`` in the environment omits the import.
    """
    session = Session(shell)
    for magics in MAGIC_CLASSES:
        shell.register_magics(magics(shell, session))
    completer.register(shell, session)
    install_display_hook(shell)
    shell.events.register("pre_run_cell", forget_displayed)
    if os.environ.get("KMAGIC_WARM", "1") != "0":
        keras_import.preload()


def unregister(shell: Any) -> None:
    """Remove the magics from a shell."""
    with suppress(ValueError):  # was not registered
        shell.events.unregister("pre_run_cell", forget_displayed)
    completer.unregister(shell)
    remove_display_hook(shell)
    for magics in MAGIC_CLASSES:
        for kind, names in magics.magics.items():
            for name in names:
                shell.magics_manager.magics[kind].pop(name, None)
