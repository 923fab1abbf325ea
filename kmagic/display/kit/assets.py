"""The style sheets and ES modules of ``kmagic/static``, as text for cards and widgets."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.{1,2}/[\w./]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default\b)", re.MULTILINE)


@cache
def read_static(path: str) -> str:
    """A file of ``kmagic/static``, such as ``kit/card.css``."""
    return files("kmagic").joinpath("static", *path.split("/")).read_text(encoding="utf-8")


@cache
def minified_css(path: str) -> str:
    """A style sheet without comments and spaces, since every saved card contains it.

    Example:
        >>> "tr.km-best>*{font-weight:600}" in minified_css("kit/card.css")
        True
    """
    rules = re.sub(r"/\*.*?\*/", "", read_static(path), flags=re.DOTALL)
    rules = re.sub(r"\s*([{};,>!])\s*|(:)\s+", r"\1\2", rules).strip()
    return re.sub(r"(?<=[\s:,(])0\.(?=\d)", ".", rules.replace(";}", "}"))


def css_for(markup: str, path: str, parts: Mapping[str, str]) -> str:
    """A minified style sheet, and those of the parts in some HTML, by a class of each part."""
    used = (sheet for name, sheet in parts.items() if name in markup)
    return "".join(map(minified_css, (path, *used)))


@cache
def js_module(path: str) -> str:
    """An ES module joined with all modules that it imports, since a widget has only one file.

    The joined modules share one scope, so no two of them may declare the same name. The module's
    default export stays exported.

    Example:
        >>> joined = js_module("training/live_view.js")
        >>> "import " in joined.split("class StopControl")[1], joined.count("class LiveChart ")
        (False, 1)
    """
    texts = [read_static(name) for name in _with_imports(path, [])]
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in texts)


def _with_imports(path: str, seen: list[str]) -> list[str]:
    """The paths of a module and of those it imports, each once, imported ones first."""
    if path in seen:
        return []
    seen.append(path)
    imported = [
        posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        for target in _IMPORT.findall(read_static(path))
    ]
    return [*(name for target in imported for name in _with_imports(target, seen)), path]
