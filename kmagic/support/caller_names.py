"""The variables that a name may stand for: those of the calling code first, then global ones."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping
from types import CodeType, FrameType
from typing import Any

_OTHER_CODE = ("IPython", "kmagic")
"""Packages whose frames are between a magic or function and the code that calls it."""

USE_IT_HERE = "Assign it here first, or pass it as an argument of the function."
IN_A_CELL = "Define it in a cell above."
_AS_ARGUMENT = "Define it before the call, or pass it: kmagic.build(text, name=value)."


class LimitedNames(dict[str, Any]):
    """Variables that can be used, and those that cannot.

    Attributes:
        hidden: Why a variable cannot be used, and what to do, by its name.
        if_missing: What to do about a name that is not defined at all.
    """

    def __init__(
        self,
        names: Mapping[str, Any],
        hidden: Mapping[str, tuple[str, str]],
        if_missing: str = IN_A_CELL,
    ) -> None:
        super().__init__(names)
        self.hidden, self.if_missing = dict(hidden), if_missing


class CallerNames(LimitedNames):
    """The variables that can be seen in a function, a class body, a module or executed code.

    As for Python, a local variable shadows a global one, also when it is None. Variables of
    enclosing functions are visible while these run, whether or not the inner function uses them.
    As in IPython, a magic finds the notebook's variables before those of a module that calls it.

    Attributes:
        where: Name of the code, for messages.
        code: Its code object.
        local: The names of local variables, and of those of enclosing functions.
    """

    def __init__(
        self, frame: FrameType, notebook: Mapping[str, Any], values: Mapping[str, Any], remedy: str
    ) -> None:
        self.where, self.code = frame.f_code.co_qualname, frame.f_code
        self.is_in_notebook = frame.f_globals is notebook
        own: dict[str, Any] = {}
        for enclosing in reversed([frame, *_enclosing_frames(frame)]):
            own |= _variables(enclosing)
        self.local = frozenset(own)
        own |= values
        unbound = (item for item in _unbound_names(frame) if item[0] not in own)
        hidden = {name: (reason, USE_IT_HERE) for name, reason in unbound}
        names = {**frame.f_globals, **notebook, **own}
        visible = {name: names[name] for name in names if name not in hidden}
        super().__init__(visible, hidden, remedy)

    def is_assigned_here(self, name: str) -> bool:
        """Whether code of the notebook has a variable of its own of this name."""
        own = name in self.local or name in self.hidden or name in self.code.co_varnames
        return self.is_in_notebook and own


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the line that called kmagic, however deep the function is that notices it."""
    level, frame = 1, inspect.currentframe()
    while frame and _package_of(frame) == "kmagic":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def caller_names(notebook: Mapping[str, Any] | None = None, **values: Any) -> Mapping[str, Any]:
    """The variables of the code that called IPython or kmagic.

    Args:
        notebook: The notebook's variables, for a magic; they are returned as they are for the code
            of a cell.
        values: Values of names, for a function; they come before variables.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - as IPython does
    while frame is not None and _package_of(frame) in _OTHER_CODE:
        frame = frame.f_back
    if frame is None or frame.f_locals is notebook:
        return notebook or values
    return CallerNames(
        frame, notebook or {}, values, _AS_ARGUMENT if notebook is None else IN_A_CELL
    )


def why_hidden(name: str, names: Mapping[str, Any]) -> tuple[str, str]:
    """Why a variable cannot be used, and what to do; ("", "") if it can, or does not exist."""
    return names.hidden.get(name, ("", "")) if isinstance(names, LimitedNames) else ("", "")


def if_missing(names: Mapping[str, Any]) -> str:
    """What to do about a name that is not defined."""
    return names.if_missing if isinstance(names, LimitedNames) else IN_A_CELL


def _package_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _variables(frame: FrameType) -> dict[str, Any]:
    """The local variables of a frame.

    Before Python 3.13, a frame keeps the dictionary that it returns, and with it the values of
    variables that are deleted later. A debugger writes this dictionary back, so it stays then.
    """
    names = frame.f_locals
    found = dict(names)
    is_function = frame.f_code.co_flags & inspect.CO_OPTIMIZED
    if sys.version_info < (3, 13) and is_function and frame.f_trace is None:
        names.clear()
    return found


def _enclosing_frames(frame: FrameType) -> Iterator[FrameType]:
    """The running functions that contain the code of a frame, innermost first."""
    code, outer = frame.f_code, frame.f_back
    while outer is not None:
        is_function = outer.f_code.co_flags & inspect.CO_OPTIMIZED  # not a class body
        if is_function and _path_to(code, outer.f_code):
            yield outer
            code = outer.f_code
        outer = outer.f_back


def _path_to(code: CodeType, outer: CodeType) -> list[CodeType]:
    """The code objects from an outer one to one inside it, without the inner one."""
    for inner in outer.co_consts:
        if inner is code:
            return [outer]
        if isinstance(inner, CodeType) and (path := _path_to(code, inner)):
            return [outer, *path]
    return []


def _unbound_names(frame: FrameType) -> Iterator[tuple[str, str]]:
    """Names that are variables of the calling code or around it, and have no value here."""
    code = frame.f_code
    if code.co_flags & inspect.CO_OPTIMIZED:
        for name in (*code.co_varnames, *code.co_cellvars, *code.co_freevars):
            yield name, f"{name} is a local variable of {code.co_name} and has no value yet"
    head, is_nested, _ = code.co_qualname.partition(".<locals>.")
    outer: Any = frame.f_globals.get(head.split(".")[0]) if is_nested else None
    for part in head.split(".")[1:]:
        outer = getattr(outer, part, None)
    outer_code = getattr(inspect.unwrap(outer) if callable(outer) else None, "__code__", None)
    for around in _path_to(code, outer_code) if outer_code is not None else ():
        if around.co_flags & inspect.CO_OPTIMIZED:
            reason = f"of {around.co_name}, which has returned, and {code.co_name} does not use it"
            for name in (*around.co_varnames, *around.co_cellvars):
                yield name, f"{name} is a variable {reason} itself"
