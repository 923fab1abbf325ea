"""The magics: each parses its line, calls one public function, and shows what came back."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from kmagic.magics import prompt
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
from kmagic.support.rendering import forget_displayed

FAMILIES = (
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
    """Give a shell the magics, and start Keras in the background.

    ``KMAGIC_WARM=0`` in the environment leaves the background start out.
    """
    session = Session(shell)
    for family in FAMILIES:
        shell.register_magics(family(shell, session))
    completer.register(shell, session)
    prompt.register(shell)
    shell.events.register("pre_run_cell", forget_displayed)
    if os.environ.get("KMAGIC_WARM", "1") != "0":
        keras_import.preload()


def unregister(shell: Any) -> None:
    """Take the magics out of a shell."""
    with suppress(ValueError):  # was not loaded
        shell.events.unregister("pre_run_cell", forget_displayed)
    completer.unregister(shell)
    prompt.unregister(shell)
    for family in FAMILIES:
        for kind, names in family.magics.items():
            for name in names:
                shell.magics_manager.magics[kind].pop(name, None)
