"""What a model has learned from and how, so that what comes later is alike, or goes on."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

_data: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_runs: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_best: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_spreads: WeakKeyDictionary[Any, dict[str, float]] = WeakKeyDictionary()
_new: WeakKeyDictionary[Any, bytes] = WeakKeyDictionary()

UNTRAINED_WARNING = "These weights have never been trained, so the answers are chance."
WHOLE = 2**16
"""Values of a weight up to which all of it is looked at, to see whether it has changed."""


def set_dataset(model: Any, data: Any) -> None:
    """Note what a model learned from.

    Args:
        model: The model; it is not kept alive.
        data: A data set; or what is left of one after a file, a
            :class:`~kmagic.data.preparation.Preparation`. Both have ``classes``, ``scaling``,
            ``labels_of(x)``, ``pictures(x)``, ``prepare(raw)`` and ``preparation``.
    """
    _data[model] = data


def dataset_for(model: Any) -> Any:
    """The data set that a model learned from last, or its preparation; None where unknown.

    Example:
        >>> class Model: ...
        >>> model = Model()
        >>> set_dataset(model, "digits")
        >>> dataset_for(model), dataset_for(Model())
        ('digits', None)
    """
    try:
        return _data.get(model)
    except TypeError:  # it can be no key
        return None


def set_run(model: Any, run: Any) -> None:
    """Note a model's last training run.

    Args:
        model: The model; it is not kept alive.
        run: The run.
    """
    _runs[model] = run


def run_for(model: Any) -> Any:
    """A model's last training run, or None where there is none.

    Example:
        >>> class Model: ...
        >>> model = Model()
        >>> set_run(model, "run")
        >>> run_for(model), run_for(Model())
        ('run', None)
    """
    try:
        return _runs.get(model)
    except TypeError:  # it can be no key
        return None


def set_best(model: Any, best: Any) -> None:
    """Note the best epoch of a model's last run with its weights; None forgets it.

    Args:
        model: The model; it is not kept alive.
        best: The epoch, its figure and its weights.
    """
    if best is None:
        _best.pop(model, None)
    else:
        _best[model] = best


def best_for(model: Any) -> Any:
    """The best epoch of a model's last run with its weights, or None where nobody kept them.

    Example:
        >>> class Model: ...
        >>> model = Model()
        >>> set_best(model, "weights")
        >>> best_for(model), best_for(Model())
        ('weights', None)
    """
    return _best.get(model)


def set_spreads(model: Any, spreads: dict[str, float]) -> None:
    """Note how far the values spread that a model has learned from; nothing forgets it.

    Args:
        model: The model; it is not kept alive.
        spreads: Their standard deviation, an entry an input; "" is the only one's name.
    """
    if spreads:
        _spreads[model] = spreads
    else:
        _spreads.pop(model, None)


def spreads_for(model: Any) -> dict[str, float]:
    """How far the values spread that a model has learned from; nothing where nobody knows.

    Example:
        >>> class Model: ...
        >>> model = Model()
        >>> set_spreads(model, {"": 0.3})
        >>> spreads_for(model), spreads_for(Model())
        ({'': 0.3}, {})
    """
    try:
        return _spreads.get(model, {})
    except TypeError:  # it can be no key
        return {}


def mark_untrained(model: Any) -> None:
    """Note that a model's weights are as they were made; one without weights is not noted.

    Args:
        model: A Keras model; it is not kept alive.
    """
    if getattr(model, "built", False) and model.trainable_variables:
        _new[model] = _print_of(model)


def is_untrained(model: Any) -> bool:
    """Whether a model is known to have the weights that it was made with.

    It is not said of one that was trained in any way, that has got weights from elsewhere, or
    whose past nobody knows.

    Args:
        model: The model.
    """
    try:
        made = _new.get(model)
    except TypeError:  # it can be no key
        return False
    if made is None or run_for(model) is not None:
        return False
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and int(optimizer.iterations) > 0:
        return False
    return made == _print_of(model)


def _print_of(model: Any) -> bytes:
    """A fingerprint of a model's weights; of a large one a row from the middle counts."""
    import hashlib  # noqa: PLC0415 - not before a model is built

    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    found = hashlib.blake2b(digest_size=16)
    for each in model.trainable_variables:
        size = 1
        for side in each.shape:
            size *= side
        part = each if size <= WHOLE else each[each.shape[0] // 2]
        found.update(np.asarray(part).tobytes())
    return found.digest()
