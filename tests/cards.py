"""The card of a result, and names that a card must escape."""

from __future__ import annotations

from typing import Any

HOSTILE = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "\"quotes' & more",
    "\u05e9\u05dc\u05d5\u05dd",
    "\u202etfel ot thgir",
    "long " * 2000,
]


def html(result: Any) -> str:
    """The HTML of a result's card."""
    return str(result._repr_mimebundle_()["text/html"])


def text(result: Any) -> str:
    """The plain text of a result's card."""
    return str(result._repr_mimebundle_()["text/plain"])
