"""The magics: each parses its line, calls one public function, and shows what came back."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from kmagic import start
from kmagic.magics import completion, prompt
from kmagic.magics.classification import ClassificationMagics
from kmagic.magics.confusion import ConfusionMagics
from kmagic.magics.data import DataMagics
from kmagic.magics.evaluation import EvaluationMagics
from kmagic.magics.history import HistoryMagics
from kmagic.magics.language import LanguageMagics
from kmagic.magics.model import ModelMagics
from kmagic.magics.persistence import PersistenceMagics
from kmagic.magics.training import TrainingMagics
from kmagic.rich import forget_shown
from kmagic.session import Session

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
    completion.register(shell, session)
    prompt.register(shell)
    shell.events.register("pre_run_cell", forget_shown)
    if os.environ.get("KMAGIC_WARM", "1") != "0":
        start.warm()


def unregister(shell: Any) -> None:
    """Take the magics out of a shell."""
    with suppress(ValueError):  # was not loaded
        shell.events.unregister("pre_run_cell", forget_shown)
    completion.unregister(shell)
    prompt.unregister(shell)
    for family in FAMILIES:
        for kind, names in family.magics.items():
            for name in names:
                shell.magics_manager.magics[kind].pop(name, None)
