"""Whether it is known how many batches of a stream there are to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kmagic.data.inspection import count_batches, stream_kind
from kmagic.support.errors import KmagicError
from kmagic.support.messages import Option, Text

MAX_BATCHES = 50_000_000
"""Of a PyDataset: Keras shuffles a list of their indices, which takes 2 GB."""


def check_end(
    stream: Any,
    subject: str | Option,
    option: str,
    steps: int | None,
    error: Callable[[Text, str | Text], KmagicError],
) -> None:
    """Check that a stream does not state that it never ends, unless ``option`` gives the ``steps``.

    No batch is read. Whether a generator ends is not known.

    Raises:
        KmagicError: It never ends, or its class lacks a length. It is made by ``error`` from a
            message and a remedy.
    """
    kind = stream_kind(stream)
    if kind not in ("tf.data.Dataset", "PyDataset", "DataLoader"):
        return
    batches = count_batches(stream)
    if batches is not None and batches > MAX_BATCHES and kind == "PyDataset":
        message = f" has {batches:,} batches; the limit is {MAX_BATCHES:,}."
        raise error(Text(subject, message), "Let its method __len__ return a smaller number.")
    if batches is None and kind == "PyDataset":
        message = f" is a {type(stream).__name__} without a length."
        raise error(Text(subject, message), "Define its method __len__, the number of batches.")
    if steps is None and batches is not None and batches < 0:
        alternative = ", or leave out .repeat()" if kind == "tf.data.Dataset" else ""
        remedy = steps_remedy(option) + f"{alternative}."
        raise error(Text(subject, " never ends."), remedy)


def steps_remedy(option: str) -> Text:
    """What to do about a stream without a known end; the sentence continues or ends with "."."""
    return Text("Pass the number of batches, for example ", Option(option, 100))


def unknown_length_note(data: Any, subject: str, option: str) -> str:
    """What to tell about a dataset whose batches only a first pass counts; "" for other data.

    Such a dataset, of a generator or of files, may never end.
    """
    if stream_kind(data) != "tf.data.Dataset" or count_batches(data) is not None:
        return ""
    return (
        f"{subject} does not state its number of batches; the first epoch counts them. If it never "
        f"ends, pass {option}."
    )
