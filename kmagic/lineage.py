"""Which data a model has learned from, so that what it is given later is prepared alike."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

_data: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def remember(model: Any, data: Any) -> None:
    """Note what a model learned from.

    Args:
        model: The model; it is not kept alive.
        data: A data set: an object with ``classes`` and ``scaling``.
    """
    _data[model] = data


def recall(model: Any) -> Any:
    """The data set that a model learned from last, or None where that is not known.

    Example:
        >>> class Model: ...
        >>> model = Model()
        >>> remember(model, "digits")
        >>> recall(model), recall(Model())
        ('digits', None)
    """
    try:
        return _data.get(model)
    except TypeError:  # it can be no key
        return None
