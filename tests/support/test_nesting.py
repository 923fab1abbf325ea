"""Lists and dictionaries that cannot be walked to their end are found before they are."""

from __future__ import annotations

import functools
from collections import OrderedDict, UserDict, deque
from typing import Any, NamedTuple

import numpy as np
import pytest

from kmagic.support.nesting import MAX_DEPTH, nesting_problem


class Pair(NamedTuple):
    left: Any
    right: Any


def nested(depth: int, wrap: Any, value: Any = 0) -> Any:
    return functools.reduce(lambda inner, _: wrap(inner), range(depth), value)


def containing_itself() -> list[Any]:
    circle: list[Any] = [1, 2]
    circle.append(circle)
    loop: dict[str, Any] = {}
    loop["a"] = loop
    ring: list[Any] = []
    ring.append(({"a": ring}, "text"))
    twice: list[Any] = []
    twice += [twice, twice]
    ordered: OrderedDict[str, Any] = OrderedDict()
    ordered["a"] = [ordered]
    user: UserDict[str, Any] = UserDict()
    user["a"] = user
    ends: deque[Any] = deque()
    ends.append(ends)
    objects = np.empty((1, 2), object)
    objects[0] = [objects, 1]
    lists = [circle, loop, ring, (0, [ring]), twice, ordered, circle[:], Pair(1, loop)]
    return [*lists, user, ends, objects, [{"a": objects}]]


@pytest.mark.parametrize("value", containing_itself(), ids=range(12))
def test_what_contains_itself(value) -> None:
    assert "contains itself" in nesting_problem(value)


@pytest.mark.parametrize(
    "wrap", [lambda v: [v], lambda v: (v,), lambda v: {"a": v}, lambda v: Pair(1, v)]
)
@pytest.mark.parametrize("value", [0, None, "a", [], np.zeros(3), {"b": 1}])
def test_deep_nesting(wrap, value) -> None:
    limit = MAX_DEPTH - isinstance(value, list | dict)
    assert not nesting_problem(nested(limit, wrap, value))
    assert "more than 64 levels" in nesting_problem(nested(limit + 1, wrap, value))
    assert "more than 64 levels" in nesting_problem(nested(10_000, wrap, value))


@pytest.mark.parametrize(
    "wrap", [lambda v: [v, v], lambda v: (v, {"a": v}), lambda v: {"a": v, "b": v}]
)
def test_what_is_contained_too_often(wrap) -> None:
    assert "more than 1,000,000 items" in nesting_problem(nested(30, wrap))
    assert not nesting_problem(nested(5, wrap))


@pytest.mark.parametrize(
    "value",
    [
        *(3, None, "text", np.zeros((2, 2)), [], (), {}, [[1], [2, 3]], {"a": (1, [2])}),
        *(np.zeros((50, 8, 8)).tolist(), [[0]] * 1000, range(10**12), ["a", b"b", None, [None]]),
        *(np.array([1, "a", None], object), np.array([[1], [2, 3]], object), deque([[1], [2]])),
    ],
)
def test_what_data_and_settings_contain(value) -> None:
    assert not nesting_problem(value)
