"""A stand-in for a name of the notebook whose value is not at hand.

A program can be written without the values: ``{units // 2}`` stays as it is. So a text is opened
with stand-ins for the names that are missing, and whatever is computed from one is one again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Self

_OPERATIONS = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"),
    *("and", "or", "xor", "lshift", "rshift"),
)


class Unknown(int):
    """Any value at all; where a number is asked for it is 1.

    Example:
        >>> isinstance(64 // Unknown().shape[0], Unknown)
        True
    """

    def __new__(cls) -> Self:  # noqa: D102 - the class says what it gives
        return super().__new__(cls, 1)

    def __getattr__(self, name: str) -> Unknown:
        if name.startswith("_"):
            raise AttributeError(name)
        return Unknown()

    def __getitem__(self, key: object) -> Unknown:
        return Unknown()

    def __iter__(self) -> Iterator[Unknown]:
        yield Unknown()

    def __call__(self, *_: object, **__: object) -> NoReturn:  # noqa: D102 - it is there to be seen
        raise TypeError("a stand-in is not called")


def _operation(_: object, __: object = None) -> Unknown:
    return Unknown()


def _install(operation: Callable[..., Any]) -> None:
    for name in _OPERATIONS:
        setattr(Unknown, f"__{name}__", operation)
        setattr(Unknown, f"__r{name}__", operation)
    for name in ("neg", "pos", "invert"):
        setattr(Unknown, f"__{name}__", operation)


_install(_operation)
