"""Samples as a reader sees them."""

from __future__ import annotations

import math
from typing import Any

from kmagic.data.preparation.text_encoding import DecodedTexts


def as_shown(data: Any, x: Any) -> Any:
    """A data set's samples as they are shown: flat pictures get their shape back, without a copy.

    Word numbers are read as sentences, each when it is looked at.

    Args:
        data: A data set, or what is left of it: with ``image_shape`` or ``encoding``.
        x: Its samples, rows first.
    """
    encoding = getattr(data, "encoding", None)
    if encoding is not None and encoding.could_be_rows(x):
        return DecodedTexts(x, encoding)
    shape = getattr(data, "image_shape", None)
    if shape is None or not hasattr(x, "reshape") or math.prod(x.shape[1:]) != math.prod(shape):
        return x
    return x.reshape(len(x), *shape)
