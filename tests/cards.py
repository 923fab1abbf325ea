"""What a notebook gets of a result, and names that a card must bear."""

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


def html(found: Any) -> str:
    """A result's card."""
    return str(found._repr_mimebundle_()["text/html"])


def text(found: Any) -> str:
    """The same in words."""
    return str(found._repr_mimebundle_()["text/plain"])
