"""What a model is asked about, made what it takes: arrays, frames, files, sentences, data sets."""

from __future__ import annotations

import glob
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.images.image_paths import is_image_file, is_pillow_image, is_url
from kmagic.data.preparation.scale_drift import warn_of_scale_drift
from kmagic.data.preparation.text_encoding import DecodedTexts
from kmagic.evaluation.prediction.batch_prediction import as_samples, sample_shape
from kmagic.support.errors import EvaluationError
from kmagic.support.model_registry import dataset_for
from kmagic.support.sentences import as_sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

PLANE = 2  # axes of a picture without channels
SMALLEST = 16
"""A row of fewer values is no picture."""
FOR_TEXTS = "Sentences are for kmagic.predict (`%keras_predict`)."


@dataclass(frozen=True, eq=False, slots=True)
class ModelInputs:
    """Samples as a model takes them, and as a reader sees them.

    Attributes:
        x: For the model; None where it is pictures that are still to be read.
        pictures: What stands for pictures, where ``x`` is None.
        shown: One entry a sample, as it is to be shown; None where there is nothing to see.
        names: What the samples are called: a frame's index.
        truth: The labels, where a data set brings them.
        data: What the model has learned from or the samples are of, where that is known.
    """

    x: Any = None
    pictures: Any = None
    shown: Any = None
    names: Sequence[str] = ()
    truth: Any = None
    data: Any = None


def model_inputs_for(model: Any, x: Any) -> ModelInputs:
    """Samples as a model takes them.

    What it learned from (:func:`kmagic.support.model_registry.dataset_for`) says how raw data become that: sentences,
    data frames, bytes of pictures and files are prepared; arrays of numbers are taken as they are.

    Args:
        model: A Keras model, or anything with ``predict_on_batch``.
        x: Samples; a data set stands for its test part.

    Raises:
        EvaluationError: They are not what this model takes.
        DataError: As above, told by the preparation.

    Warns:
        ScaleWarning: They were scaled in another way than what the model has learned from.
    """
    judged = getattr(x, "x_test", x)
    if not is_raw(model, judged):
        warn_of_scale_drift(model, judged)
    if hasattr(x, "x_test"):
        return ModelInputs(x.x_test, shown=decode_samples(x, x.x_test), truth=x.y_test, data=x)
    data = dataset_for(model)
    return replace(_of_anything(model, data, x), data=data)


def _of_anything(model: Any, data: Any, x: Any) -> ModelInputs:
    if _are_named_rows(model, data, x):
        return ModelInputs(data.prepare(x))
    if isinstance(x, dict) or _several_inputs(model):
        return ModelInputs(x)
    if _are_pictures(model, data, x):
        reject_images(model, data)
        return ModelInputs(pictures=x)
    if _takes_texts(model, data) and (files := _text_files(x)):
        texts = _of_sentences(model, data, [_read(each) for each in files])
        return replace(texts, names=[str(each) for each in files])
    if hasattr(x, "iloc") and as_sentences(x) is None:
        return _of_frame(model, data, x)
    sentences = as_sentences(x)
    if sentences is not None:
        return _of_sentences(model, data, sentences)
    samples = as_samples_or_rows(model, data, x)
    if data is not None and _are_bytes(data, samples):
        return ModelInputs(data.prepare(samples), shown=samples)
    samples = _one_as_many(model, samples)
    return ModelInputs(
        samples, shown=decode_samples(data, samples) if hasattr(samples, "shape") else None
    )


def reject_images(
    model: Any, data: Any, remedy: str = "Give an array or a data frame, one row a sample."
) -> None:
    """Refuse pictures to a model of rows that are none, instead of making each a tiny square.

    Args:
        model: The model.
        data: What it learned from, where that is known.
        remedy: What to do instead.

    Raises:
        EvaluationError: It takes rows that are no pictures.
    """
    shape = sample_shape(model)
    if shape is None or len(shape) != 1 or getattr(data, "image_shape", None) is not None:
        return
    if _takes_texts(model, data):
        raise EvaluationError("The model takes texts, and no pictures.", FOR_TEXTS)
    if data is not None or (shape[0] or 0) < SMALLEST or _reads_word_numbers(model):
        raise EvaluationError(
            f"The model takes rows of {shape[0] or 'any number of'} numbers, and no pictures.",
            remedy,
        )


def is_raw(model: Any, x: Any) -> bool:
    """Whether samples are prepared before the model sees them, so that their scale says nothing.

    Args:
        model: The model.
        x: Samples.
    """
    if _several_inputs(model):
        return False
    return not isinstance(x, np.ndarray) or _are_bytes(dataset_for(model), x)


def as_samples_or_rows(model: Any, data: Any, x: Any) -> Any:
    """Arrays and streams as they are; lists of word numbers padded as the model learned it."""
    encoding = getattr(data, "encoding", None)
    ragged = isinstance(x, list | tuple) or getattr(x, "dtype", None) == np.dtype(object)
    if encoding is not None and ragged:
        return data.prepare(x)
    samples = as_samples(model, x)
    if samples is None and not isinstance(x, Iterable):
        raise EvaluationError(
            "Expected samples: an array, a list, a data frame, files, sentences or a data set; "
            f"received {type(x).__name__}."
        )
    return x if samples is None else samples


def _are_named_rows(model: Any, data: Any, x: Any) -> bool:
    """Whether these are rows of the table that the model learned from, as dictionaries."""
    if getattr(getattr(data, "preparation", None), "columns", None) is None:
        return False
    rows = x if isinstance(x, list | tuple) else [x]
    return bool(rows) and all(isinstance(row, dict) for row in rows) and not _several_inputs(model)


def _several_inputs(model: Any) -> bool:
    return len(getattr(model, "inputs", None) or ()) > 1


def _of_frame(model: Any, data: Any, frame: Any) -> ModelInputs:
    shape = sample_shape(model)
    wide = hasattr(frame, "columns")
    if not wide and shape is not None and shape == (len(frame),) and len(frame) > 1:
        frame, wide = frame.to_frame().T, True  # one row of a table
    names = [str(each) for each in frame.index[:100]]
    if data is None or not wide:
        values = frame.to_numpy()
        return ModelInputs(_one_as_many(model, values), shown=frame, names=names)
    columns = getattr(data, "columns", None)
    is_known = isinstance(columns, tuple) and set(columns) <= set(frame.columns)
    raw = frame[list(columns)] if is_known else frame  # type: ignore[arg-type]  # a tuple then
    return ModelInputs(data.prepare(raw), shown=frame, names=names)


def _of_sentences(model: Any, data: Any, sentences: list[str]) -> ModelInputs:
    _refuse_sentences(data, sentences)
    if data is not None:
        return ModelInputs(data.prepare(sentences), shown=sentences)
    if _takes_strings(model):
        texts = np.array(sentences, dtype=object)
        return ModelInputs(texts, shown=texts)
    first = sentences[0]
    raise EvaluationError(
        f"The model takes numbers, and how {first[:40]!r} becomes some is not known here.",
        "If it is a file, it is not there. Sentences are known after a fit on data that "
        "load_data has read, or with a line text_vectorization in the model.",
    )


def _refuse_sentences(data: Any, sentences: list[str]) -> None:
    """Refuse sentences, or files that are not there, to a model that learned from neither."""
    columns = getattr(data, "columns", None)
    columns = getattr(columns, "wanted", columns) or ()
    is_row = len(sentences) == len(columns)  # one row of a table of words
    pictures = getattr(data, "image_shape", None) is not None
    if getattr(data, "encoding", None) is not None or not (pictures or (columns and not is_row)):
        return
    first = sentences[0]
    if Path(first).suffix and not first.endswith(".") and " " not in first:
        raise EvaluationError(f"There is no file {first}.")
    what = "pictures" if pictures else f"rows of {len(columns)} columns"
    raise EvaluationError(
        f"The model has learned from {what}, and {first[:40]!r} is a text.",
        "Give arrays or files of pictures."
        if pictures
        else "Give a data frame, or dictionaries with the columns' names.",
    )


def _reads_word_numbers(model: Any) -> bool:
    """Whether rows of whole numbers go in, or an embedding looks them up."""
    inputs = getattr(model, "inputs", None) or ()
    layers = getattr(model, "layers", None) or ()
    return any(str(getattr(each, "dtype", "")).startswith("int") for each in inputs) or any(
        kind.__name__ == "Embedding" for layer in layers for kind in type(layer).__mro__
    )


def _text_files(x: Any) -> list[Path]:
    """The files that paths, folders and patterns name; none if it is anything else."""
    if isinstance(x, list | tuple) and x:
        parts = [_text_files(each) for each in x]
        return [each for part in parts for each in part] if all(parts) else []
    if not isinstance(x, str | os.PathLike):
        return []
    path = Path(x).expanduser()
    try:
        if path.is_dir():
            return sorted(path.rglob("*.txt"))
        if path.is_file() or not isinstance(x, str):
            return [path]
        pattern = path.name if glob.has_magic(path.name) and path.parent.is_dir() else ""
        return sorted(path.parent.glob(pattern)) if pattern.endswith(".txt") else []
    except (OSError, ValueError):  # a sentence, and no name that a file can have
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise EvaluationError(f"{path} cannot be read: {why}.") from error


def _takes_strings(model: Any) -> bool:
    inputs = getattr(model, "inputs", None) or ()
    return any(str(getattr(each, "dtype", "")) == "string" for each in inputs)


def _takes_texts(model: Any, data: Any) -> bool:
    return _takes_strings(model) or getattr(data, "encoding", None) is not None


def _are_pictures(model: Any, data: Any, x: Any) -> bool:
    """Whether somebody gives files, or something else that has to be read as a picture."""
    if is_pillow_image(x) or isinstance(x, bytes | bytearray) or hasattr(x, "read"):
        return not _takes_texts(model, data)
    if isinstance(x, str | os.PathLike):
        return _is_file(x) and not _takes_texts(model, data)
    if isinstance(x, list | tuple) and x:
        return _are_pictures(model, data, x[0])
    return False


def _is_file(word: str | Path | os.PathLike[str]) -> bool:
    """Whether a text names a file, a folder, a pattern or an address, and is no sentence."""
    if not isinstance(word, str) or is_url(word):
        return True
    try:
        path = Path(word).expanduser()
        return path.exists() or is_image_file(path) or glob.has_magic(word)
    except (OSError, ValueError):  # no name that a file can have
        return False


def _are_bytes(data: Any, x: Any) -> bool:
    """Whether samples are raw pictures, of bytes, of a set that was scaled."""
    scaled = getattr(getattr(data, "scaling", None), "kind", "none") != "none"
    is_raw = getattr(x, "dtype", None) == np.dtype(np.uint8)
    return scaled and is_raw and getattr(data, "image_shape", None) is not None


def _one_as_many(model: Any, x: Any) -> Any:
    """A single sample as a batch of one."""
    shape = sample_shape(model)
    received = tuple(getattr(x, "shape", ()))
    if shape is None or not received:
        return x
    if shape[-1] == 1 and len(received) == len(shape) - 1:  # a picture without its channel
        x, received = x[..., None], (*received, 1)
    if len(received) != len(shape):
        return x
    fits = all(want in (None, got) for got, want in zip(received, shape, strict=True))
    batch = len(shape) == 1 and shape[0] == 1  # rows of one number each are a batch
    return x[None] if fits and not batch else x


def decode_samples(data: Any, x: Any) -> Any:
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
