"""The magics: each parses its line, calls one public function, and shows what came back."""

from __future__ import annotations

import os
from typing import Any

from kmagic import start
from kmagic.magics.data import DataMagics
from kmagic.magics.evaluation import EvaluationMagics
from kmagic.magics.language import LanguageMagics
from kmagic.magics.model import ModelMagics
from kmagic.magics.training import TrainingMagics
from kmagic.session import Session

FAMILIES = (ModelMagics, LanguageMagics, DataMagics, TrainingMagics, EvaluationMagics)


def register(shell: Any) -> None:
    """Give a shell the magics, and start Keras in the background.

    ``KMAGIC_WARM=0`` in the environment leaves the background start out.
    """
    session = Session(shell)
    for family in FAMILIES:
        shell.register_magics(family(shell, session))
    if os.environ.get("KMAGIC_WARM", "1") != "0":
        start.warm()


def unregister(shell: Any) -> None:
    """Take the magics out of a shell."""
    for family in FAMILIES:
        for kind, names in family.magics.items():
            for name in names:
                shell.magics_manager.magics[kind].pop(name, None)
