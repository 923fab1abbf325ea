"""Test tutorials with nbval.

``pytest -p kmagic.testing.plugin --nbval lesson.ipynb`` runs a notebook and compares its outputs
with the stored ones; see ``docs/tutorials.md``.
"""

from __future__ import annotations

from pathlib import Path

SANITIZE = str(Path(__file__).with_name("nbval.cfg"))
"""Path of the file for nbval's ``--nbval-sanitize-with``: what may differ between machines."""
