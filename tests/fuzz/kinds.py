"""The kinds of fuzz inputs by name."""

from __future__ import annotations

from .file_kinds import DataFiles, ModelFiles
from .fuzzing import Kind
from .line_kind import Lines
from .text_kinds import Braces, RCode, Texts

KINDS: dict[str, type[Kind]] = {
    kind.name: kind for kind in (Texts, Lines, RCode, ModelFiles, DataFiles, Braces)
}
