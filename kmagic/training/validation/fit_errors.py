"""What Keras says when model and data do not fit, cut down to the sentence that helps."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from kmagic.support.formatting import pluralize
from kmagic.training.retracing import REMEDY, is_rank_error

if TYPE_CHECKING:
    from types import TracebackType

    from kmagic.training.run.training_run import TrainingRun

LIBRARIES = ("keras", "tensorflow", "numpy", "pandas", "jax", "torch", "optree", "h5py", "kmagic")
DECORATION = (
    "Exception encountered when calling",
    "Arguments received by",
    "Graph execution error",
    "Detected at node",
    "File ",
)
LONGEST = 300


def is_misfit(error: Exception) -> bool:
    """Whether Keras or TensorFlow refused the data, and not some code of the user's own."""
    refused = isinstance(error, ValueError) or type(error).__name__ == "InvalidArgumentError"
    return refused and not _from_user_code(error.__traceback__)


def essence(error: Exception) -> str:
    r"""The part of a message that says what is wrong.

    Example:
        >>> essence(ValueError("Exception encountered when calling Dense.call().\n\nTwo is odd."))
        'Two is odd.'
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).partition("[[{{node")[0].strip()
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    if "Graph execution error" in text:  # the sentence is the last line, after the graph's places
        paragraphs = text.splitlines()[-1:]
    telling = [each for each in paragraphs if not each.startswith(DECORATION)]
    found = telling[0] if telling else type(error).__name__
    return found if len(found) <= LONGEST else found[:LONGEST].rsplit(" ", 1)[0] + " ..."


def in_words(error: Exception) -> tuple[str, str]:
    """What was refused, and what to do.

    Args:
        error: What Keras or TensorFlow has raised.

    Example:
        >>> in_words(ValueError("Two is odd."))[0]
        'Two is odd.'
    """
    if is_rank_error(error):
        return "samples or targets have other axes than those before.", REMEDY
    return essence(error), "Look at the shapes of x and y, at the model's outputs and at its loss."


def is_refusal(error: Exception) -> bool:
    """Whether the machine refused a file of ours: a full disk, a folder that is gone."""
    return isinstance(error, OSError) and not _from_user_code(error.__traceback__)


def refused(run: TrainingRun, error: Exception) -> tuple[str, str]:
    """What the machine refused, and what is left of the run.

    Args:
        run: The record.
        error: What :func:`is_refusal` has found.
    """
    file = getattr(error, "filename", None)
    why = getattr(error, "strerror", None) or essence(error)
    what = f"{file}: {why}" if file else why
    verb = "is" if len(run.log) == 1 else "are"
    kept = f" {pluralize(len(run.log), 'epoch')} {verb} kept." if run.log else ""
    words = f"{run.model_name}'s training ended, since a file could not be written. {what}.{kept}"
    go_on = "Make room or name another place; with resume (`--resume`) the run goes on."
    return words, go_on if run.log else "Make room, or name another place."


def _from_user_code(trace: TracebackType | None) -> bool:
    """Whether a layer, callback or generator of the user's own is in the trace."""
    trace = trace.tb_next if trace else None  # the first frame is our own
    while trace:
        module = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        made = "__autograph_generated_file" in trace.tb_frame.f_code.co_filename
        if module not in LIBRARIES and module not in sys.stdlib_module_names and not made:
            return True
        trace = trace.tb_next
    return False
