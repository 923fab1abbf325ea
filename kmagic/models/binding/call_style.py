"""How a layer or function takes its inputs: one by one, or together in a list."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

LIST_NAMES = frozenset({"inputs", "xs", "arrays", "tensors", "values"})
"""Names that Keras gives to a first parameter that holds all inputs together."""
NOT_INPUTS = frozenset({"training", "mask"})


def wants_list(function: Callable[..., Any], count: int) -> bool:
    """Whether a function takes this many inputs in one list.

    Args:
        function: A function, or a layer's ``call``, bound or as the class has it.
        count: How many inputs there are; more than one.
    """
    try:
        params = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    if any(each.kind is each.VAR_POSITIONAL for each in params):
        return False
    places = [
        each
        for each in params
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        and each.name not in NOT_INPUTS
        and each.name != "self"
    ]
    if not places:
        return False
    if places[0].name in LIST_NAMES and (
        len(places) == 1 or places[1].default is not inspect.Parameter.empty
    ):
        return True
    return len(places) < count
