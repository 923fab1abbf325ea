"""Format generated source with ruff."""

from __future__ import annotations

import subprocess
import sys


def ruff_formatted(source: str) -> str:
    """The source as ``ruff format`` writes it."""
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{source}\n{done.stderr}"
    return done.stdout
