"""Whether it is known how many batches of a stream there are to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kmagic.data.inspection import Inspection, count_batches, stream_kind
from kmagic.support.errors import KmagicError
from kmagic.support.messages import Option, Text


def check_length(
    inspection: Inspection,
    subject: str | Option,
    option: str,
    steps: int | None,
    error: Callable[[Text, str | Text], KmagicError],
) -> None:
    """Check that a stream ends, or that the number of its ``steps`` is given by ``option``.

    Raises:
        KmagicError: It never ends, it is unknown whether it does, or it is empty. It is made by
            ``error`` from a message and a remedy.
    """
    if not inspection.is_stream:
        return
    if inspection.kind == "PyDataset" and inspection.batches is None and not inspection.is_endless:
        message = f" is a {type(inspection.data).__name__} without a length."
        raise error(Text(subject, message), "Define its method __len__, the number of batches.")
    if steps is None and (inspection.is_endless or inspection.is_unbounded):
        reason, alternative = " never ends.", ""
        if inspection.is_unbounded:
            reason = " is a generator that did not end soon: its number of batches is unknown."
        elif inspection.kind == "tf.data.Dataset":
            alternative = ", or leave out .repeat()"
        example = Text("Pass the number of batches, for example ", Option(option, 100))
        raise error(Text(subject, reason), example + f"{alternative}.")
    if not inspection.part_counts:
        raise error(Text(subject, " is empty: it yields no batch."), "Pass at least one.")


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
