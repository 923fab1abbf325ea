"""Errors raised by special methods of the user's objects, such as ``__len__``, as messages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from traceback import walk_tb
from types import FrameType
from typing import Any, TypeVar

from kmagic.support.errors import DataError, KmagicError
from kmagic.support.formatting import describe_error
from kmagic.support.nesting import nesting_problem

F = TypeVar("F", bound=Callable[..., Any])
_FRAMEWORKS = ("keras", "tensorflow", "torch")
LIBRARIES = (*_FRAMEWORKS, "numpy", "pandas", "jax", "optree", "h5py", "kmagic")


def is_user_code(frame: FrameType) -> bool:
    """Whether a frame belongs neither to a library that kmagic uses nor to Python itself."""
    module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    is_autograph = "__autograph_generated_file" in frame.f_code.co_filename
    return not (module in LIBRARIES or module in sys.stdlib_module_names or is_autograph)


def explain_special_methods(function: F) -> F:
    """Raise a DataError where a special method of an object of the user fails, or a walk in it.

    Also where the memory is not enough for the data.
    Layers, callbacks, data sets and generators are programs: what they raise keeps its traceback.
    """

    @wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        try:
            return function(*args, **keywords)
        except KmagicError:
            raise
        except RecursionError as error:
            if nesting_problem([*args, *keywords.values()]):
                raise DataError(
                    "The data is nested too deeply, or contains itself.",
                    "Pass an array, or a list or dictionary of arrays.",
                ) from error
            raise
        except MemoryError as error:
            if is_user_code(_last_frame(error)):
                raise
            message = f"The data is too large for the memory: {describe_error(error)}."
            raise DataError(message, "Pass a part of the data at a time.") from error
        except Exception as error:
            if reason := _failed_method(error):
                raise DataError(reason, "Correct that method, or pass another object.") from error
            raise

    return call  # type: ignore[return-value]  # the same signature


def _last_frame(error: Exception) -> FrameType:
    return [frame for frame, _ in walk_tb(error.__traceback__)][-1]


def _failed_method(error: Exception) -> str:
    """Which special method raised an error, and where; "" if none did."""
    frame = _last_frame(error)
    name = frame.f_code.co_name
    if not (name.startswith("__") and name.endswith("__")) or name == "__call__":
        return ""
    owner = type(next(iter(frame.f_locals.values()), None))
    parents = {parent.__module__.partition(".")[0] for parent in owner.__mro__}
    if not is_user_code(frame) or parents & {*_FRAMEWORKS}:
        return ""
    return f"{owner.__name__}.{name} raised {describe_error(error)}."
