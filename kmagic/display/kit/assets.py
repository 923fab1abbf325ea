"""The package's ES modules joined into the one that a widget may have."""

from __future__ import annotations

import re
from functools import cache

from kmagic.display.kit.card import read_static

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w.]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default\b)", re.MULTILINE)


@cache
def js_module(name: str) -> str:
    """A module of ``static/`` with all that it imports, as one module without imports.

    Each file is a module of its own, for a browser, Node or a type checker. Joined they share one
    scope, so no two of them may give the same name to different things.

    Args:
        name: The file's name; what it exports by default stays exported.

    Example:
        >>> joined = js_module("dashboard.js")
        >>> "import " in joined.split("class Brake")[1], joined.count("class Chart ")
        (False, 1)
    """
    seen: list[str] = []
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in _with_imports(name, seen))


def _with_imports(name: str, seen: list[str]) -> list[str]:
    """The texts of a module and of those it needs, each once, what is needed first."""
    if name in seen:
        return []
    seen.append(name)
    text = read_static(name)
    needed = [each for other in _IMPORT.findall(text) for each in _with_imports(other, seen)]
    return [*needed, text]
