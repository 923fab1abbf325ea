"""For those who write tutorials with kmagic and test them with nbval.

``pytest -p kmagic.testing.plugin --nbval lesson.ipynb`` runs a notebook as it was recorded and
compares what is shown; see ``docs/tutorials.md``.
"""

from __future__ import annotations

from pathlib import Path

SANITIZE = str(Path(__file__).with_name("nbval.cfg"))
"""The file for nbval's ``--nbval-sanitize-with``: what may differ from machine to machine."""
