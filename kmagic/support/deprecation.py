"""Old names of parameters that are accepted for a while, with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def renamed_parameters(**new_names: str) -> Callable[[F], F]:
    """Let a function accept old names of its parameters; its signature shows the new ones.

    Args:
        **new_names: Old name -> new name.

    Raises:
        TypeError: At the call, if both names are given.

    Warns:
        FutureWarning: At the call, if an old name is given.

    Example:
        >>> @renamed_parameters(classes="class_names")
        ... def shout(class_names):
        ...     return [name.upper() for name in class_names]
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     shout(classes=["cat"])
        ['CAT']
    """

    def decorate(function: F) -> F:
        @wraps(function)
        def call(*args: Any, **keywords: Any) -> Any:
            for old in new_names.keys() & keywords.keys():
                new = new_names[old]
                if new in keywords:
                    raise TypeError(f"{old}= is the old name of {new}=; pass only {new}=.")
                message = f"{old}= is deprecated; use {new}= instead."
                warnings.warn(message, FutureWarning, stacklevel=2)
                keywords[new] = keywords.pop(old)
            return function(*args, **keywords)

        return call  # type: ignore[return-value]  # the same signature

    return decorate
