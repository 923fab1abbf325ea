"""Errors that Keras and TensorFlow raise during a fit or an evaluation, as clear messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple

from kmagic.models.fixed_batches import fixed_batch_size, stream_batch_error
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import pluralize
from kmagic.support.messages import Option, Text
from kmagic.support.object_errors import is_user_code
from kmagic.training.retracing import OTHER_AXES, REMEDY, is_rank_error
from kmagic.training.run.training_run import TrainingRun

BOILERPLATE = (
    "Exception encountered when calling",
    "Arguments received by",
    "Graph execution error",
    "Detected at node",
    "File ",
)
OTHER_WEIGHTS = "This optimizer can only be called for the variables it was originally built with"
MAX_LENGTH = 300
_NODE, _OPERATION = re.compile(r"\{\{\w+ [^}]*\}\} ?"), re.compile(r" ?\[Op:\w+\].*", re.DOTALL)
_LABEL = re.compile(r"label value of (-?\d+) which is outside the valid range of \[0, (\d+)\)")
_INDEX = re.compile(r"= (-?\d+) is not in \[0, (\d+)\)")
_EMBEDDING = re.compile(r"/(\w*embedding\w*)[_/]", re.IGNORECASE)
_MONITOR = re.compile(r"(\w+) callback received monitor=(\w+), but Keras isn't able")
_BATCH_SIZES = re.compile(r"Incompatible shapes: \[(\d+)((?:,\d+)*)\] vs\. \[(\d+)\2\]")
_BATCH = re.compile(r"arity mismatch|[Gg]enerator.{0,9} yielded an element")
_SHAPE = re.compile(
    r"\b(shapes?|ranks?|ndim|dims?|dimensions?|ax[ie]s|cardinality|incompatible)\b", re.IGNORECASE
)


class ErrorCause(NamedTuple):
    """What an error of Keras or TensorFlow means."""

    reason: str
    remedy: str = ""
    is_about_data: bool = True


def training_error(
    run: TrainingRun, error: Exception, model: Any = None, *, was_traced: bool = True
) -> TrainingError | None:
    """The error to raise in place of one that ended a training; None to raise that one itself.

    ``was_traced`` is whether the model had a training function before.
    """
    if _from_user_code(error.__traceback__):
        return None
    if isinstance(error, OSError):
        return _file_error(run, error)
    if not is_data_error(error):
        return None
    reason, remedy, is_about_data = explain_error(error, model, was_traced=was_traced)
    subject = f"{run.model_name} cannot be trained on this data: "
    if not is_about_data:
        subject = f"The training of {run.model_name} failed: "
    return TrainingError(subject + reason, remedy)


@contextmanager
def explain_stream_errors(name: str) -> Iterator[None]:
    """Raise a TrainingError for what TensorFlow raises when it reads the first batches."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("tensorflow."):
            raise
        sentence = _OPERATION.sub("", _NODE.sub("", main_sentence(error)))
        raise TrainingError(f"The data for {name} could not be read: {sentence}") from error


def is_data_error(error: Exception) -> bool:
    """Whether an error of Keras or TensorFlow is about the data, or the memory that it takes."""
    tensorflow_errors = ("InvalidArgumentError", "ResourceExhaustedError")
    return isinstance(error, ValueError) or type(error).__name__ in tensorflow_errors


def explain_error(error: Exception, model: Any = None, *, was_traced: bool = True) -> ErrorCause:
    """Explain an error by what it says; shapes are mentioned only if it is about shapes.

    A stateful ``model`` explains them by the fixed size of its batches.

    Example:
        >>> explain_error(ValueError("Two is odd.")).reason
        'Two is odd.'
        >>> explain_error(ValueError("Incompatible shapes: [2,3] vs. [2,4]")).remedy
        "Check the shapes of x and y, the model's outputs and its loss."
    """
    if was_traced and is_rank_error(error):
        return ErrorCause(OTHER_AXES, REMEDY)
    text, sentence = str(error), main_sentence(error)
    if shapes := _BATCH_SIZES.search(text):
        sizes, size = {int(shapes[1]), int(shapes[3])}, fixed_batch_size(model)
        if size in sizes and (cause := stream_batch_error(model, *(sizes - {size}))):
            return ErrorCause(*cause)
    if OTHER_WEIGHTS in text:
        return ErrorCause(
            "its optimizer was used before for other weights. A layer was unfrozen or added since "
            "then.",
            'Compile the model with a new optimizer, for example "adam".',
            is_about_data=False,
        )
    if label := _LABEL.search(text):
        value, units = map(int, label.groups())
        start = f"Write {value + 1} units, or n" if value >= units else "N"
        return ErrorCause(
            f"a label is {value}, but the last layer has {units} units, for labels 0 to "
            f"{units - 1}.",
            f"{start}umber the labels from 0 to {units - 1}.",
        )
    if index := _INDEX.search(text):
        value, size = map(int, index.groups())
        layer = _EMBEDDING.search(text)
        taker = f"layer {layer[1]} accepts" if layer else "the model accepts"
        remedy = f"Write `embedding {value + 1}`, or use a smaller vocabulary." if layer else ""
        return ErrorCause(
            f"the data contains the index {value:,}, but {taker} indices from 0 to {size - 1:,}.",
            remedy if value >= size else "Number the indices from 0.",
        )
    if monitor := _MONITOR.search(text):
        callback, name = monitor.groups()
        return ErrorCause(
            f"{callback} does not know whether {name!r} should be high or low.",
            f"Pass mode='max' or mode='min' to {callback}.",
            is_about_data=False,
        )
    if "truth value of an array" in text:
        return ErrorCause(
            "a callback compares a metric that has several values, such as one for each class.",
            'Let it have one: keras.metrics.F1Score(average="macro").',
            is_about_data=False,
        )
    if type(error).__name__ == "ResourceExhaustedError":
        remedy = "Use smaller batches, or a smaller model."
        return ErrorCause("the memory is not enough.", remedy, is_about_data=False)
    if _BATCH.search(text):
        reason = f"the batches of x differ in form: {sentence.partition('; tuple: ')[0]}"
        remedy = "Yield the same number of parts, (x, y), and the same shapes in each batch."
        return ErrorCause(reason, remedy)
    if "ragged" in sentence:
        return ErrorCause(sentence, "Pad the rows of x to one length: x.to_tensor().")
    is_about_shapes = bool(_SHAPE.search(sentence))
    remedy = "Check the shapes of x and y, the model's outputs and its loss." * is_about_shapes
    return ErrorCause(sentence, remedy, is_about_data=is_about_shapes)


def main_sentence(error: Exception) -> str:
    """The part of a message that says what is wrong."""
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
        if is_user_code(trace.tb_frame):
            return True
        trace = trace.tb_next
    return False
