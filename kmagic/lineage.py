"""What a model has learned from and how, so that what comes later is alike, or goes on."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

_data: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_runs: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_best: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_spreads: WeakKeyDictionary[Any, float] = WeakKeyDictionary()


def remember(model: Any, data: Any) -> None:
    """Note what a model learned from.

    Args:
        model: The model; it is not kept alive.
        data: A data set; or what is left of one after a file, a
            :class:`~kmagic.preparation.Preparation`. Both have ``classes``, ``scaling``,
            ``labels_of(x)``, ``pictures(x)``, ``prepare(raw)`` and ``preparation``.
    """
    _data[model] = data


def recall(model: Any) -> Any:
    """The data set that a model learned from last, or its preparation; None where unknown.

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


def remember_run(model: Any, run: Any) -> None:
    """Note a model's last training run.

    Args:
        model: The model; it is not kept alive.
        run: The run.
    """
    _runs[model] = run


def recall_run(model: Any) -> Any:
    """A model's last training run, or None where there is none.

    Example:
        >>> class Model: ...
        >>> model = Model()
        >>> remember_run(model, "run")
        >>> recall_run(model), recall_run(Model())
        ('run', None)
    """
    try:
        return _runs.get(model)
    except TypeError:  # it can be no key
        return None


def remember_best(model: Any, best: Any) -> None:
    """Note the best epoch of a model's last run with its weights; None forgets it.

    Args:
        model: The model; it is not kept alive.
        best: The epoch, its figure and its weights.
    """
    if best is None:
        _best.pop(model, None)
    else:
        _best[model] = best


def recall_best(model: Any) -> Any:
    """The best epoch of a model's last run with its weights, or None where nobody kept them.

    Example:
        >>> class Model: ...
        >>> model = Model()
        >>> remember_best(model, "weights")
        >>> recall_best(model), recall_best(Model())
        ('weights', None)
    """
    return _best.get(model)


def remember_spread(model: Any, spread: float | None) -> None:
    """Note how far the values spread that a model has learned from; None forgets it.

    Args:
        model: The model; it is not kept alive.
        spread: Their standard deviation.
    """
    if spread is None:
        _spreads.pop(model, None)
    else:
        _spreads[model] = spread


def recall_spread(model: Any) -> float | None:
    """How far the values spread that a model has learned from, or None where nobody knows.

    Example:
        >>> class Model: ...
        >>> model = Model()
        >>> remember_spread(model, 0.3)
        >>> recall_spread(model), recall_spread(Model())
        (0.3, None)
    """
    try:
        return _spreads.get(model)
    except TypeError:  # it can be no key
        return None
