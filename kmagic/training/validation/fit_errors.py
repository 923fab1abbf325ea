"""Errors that Keras and TensorFlow raise during a fit or an evaluation, as clear messages."""

from __future__ import annotations

import re
import sys
from types import TracebackType

from kmagic.support.errors import TrainingError
from kmagic.support.formatting import pluralize
from kmagic.support.messages import Option, Text
from kmagic.training.retracing import OTHER_AXES, REMEDY, is_rank_error
from kmagic.training.run.training_run import TrainingRun

LIBRARIES = ("keras", "tensorflow", "numpy", "pandas", "jax", "torch", "optree", "h5py", "kmagic")
BOILERPLATE = (
    "Exception encountered when calling",
    "Arguments received by",
    "Graph execution error",
    "Detected at node",
    "File ",
)
OTHER_WEIGHTS = "This optimizer can only be called for the variables it was originally built with"
MAX_LENGTH = 300


def training_error(run: TrainingRun, error: Exception) -> TrainingError | None:
    """The error to raise in place of one that ended a training; None to raise that one itself."""
    if _from_user_code(error.__traceback__):
        return None
    if isinstance(error, OSError):
        return _file_error(run, error)
    if not is_data_error(error):
        return None
    if OTHER_WEIGHTS in str(error):
        return TrainingError(
            f"{run.model_name} cannot be trained: its optimizer was used before for other weights. "
            "A layer was unfrozen or added since then.",
            'Compile the model with a new optimizer, for example "adam".',
        )
    reason = main_sentence(error)
    remedy = "Check the shapes of x and y, the model's outputs and its loss."
    if is_rank_error(error):
        reason, remedy = OTHER_AXES, REMEDY
    return TrainingError(f"{run.model_name} cannot be trained on this data: {reason}", remedy)


def is_data_error(error: Exception) -> bool:
    """Whether an error of Keras or TensorFlow is about the data."""
    return isinstance(error, ValueError) or type(error).__name__ == "InvalidArgumentError"


def main_sentence(error: Exception) -> str:
    r"""The part of a message that says what is wrong.

    Example:
        >>> main_sentence(
        ...     ValueError("Exception encountered when calling Dense.call().\n\nTwo is odd.")
        ... )
        'Two is odd.'
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).partition("[[{{node")[0].strip()
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    if "Graph execution error" in text:  # the sentence is the last line, after the stack
        paragraphs = text.splitlines()[-1:]
    useful = [part for part in paragraphs if not part.startswith(BOILERPLATE)]
    sentence = useful[0] if useful else type(error).__name__
    if len(sentence) <= MAX_LENGTH:
        return sentence
    return sentence[:MAX_LENGTH].rsplit(" ", 1)[0] + " ..."


def _file_error(run: TrainingRun, error: OSError) -> TrainingError:
    reason = error.strerror or main_sentence(error)
    details = f"{error.filename}: {reason}" if error.filename else reason
    verb = "was" if len(run.log) == 1 else "were"
    kept = f" {pluralize(len(run.log), 'epoch')} {verb} kept." if run.log else ""
    remedy = Text("Free some space or use another path")
    if run.log:
        remedy += Text(", then continue with ", Option("resume", True))
    return TrainingError(
        f"The training of {run.model_name} ended because a file could not be written. {details}."
        f"{kept}",
        remedy + ".",
    )


def _from_user_code(trace: TracebackType | None) -> bool:
    """Whether a layer, callback or generator of the user is in the traceback."""
    trace = trace.tb_next if trace else None  # the first frame is ours
    while trace:
        module = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        is_autograph = "__autograph_generated_file" in trace.tb_frame.f_code.co_filename
        is_library = module in LIBRARIES or module in sys.stdlib_module_names
        if not is_library and not is_autograph:
            return True
        trace = trace.tb_next
    return False
