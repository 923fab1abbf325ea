"""Conversion of arrays, data frames, files, sentences and datasets to a model's inputs."""

from __future__ import annotations

import glob
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kmagic.data.folders import TEXT_SUFFIXES, files_below, files_matching, read_texts
from kmagic.data.images.image_reader import is_image_file, is_pillow_image, is_url
from kmagic.data.paths import is_table_name, local_path
from kmagic.data.preparation.raw_detection import prepare_frame, prepare_if_raw, prepare_table_rows
from kmagic.data.preparation.scale_drift import warn_of_scale_drift
from kmagic.data.preparation.table_rows import FrameRows, restore_rows
from kmagic.data.preparation.text_encoding import DecodedTexts
from kmagic.data.preparation.windowing import SeriesRows
from kmagic.data.table_file import read_rows
from kmagic.data.target_kind import read_target_frame
from kmagic.evaluation.prediction.batch_prediction import model_phrase, to_arrays
from kmagic.evaluation.prediction.model_outputs import data_for
from kmagic.models.model_arrays import dense_rows, sample_shape, sparse_rows
from kmagic.support.errors import EvaluationError
from kmagic.support.messages import Function, Text
from kmagic.support.model_registry import dataset_for
from kmagic.support.sentences import as_sentences

MIN_PIXELS = 16  # a row of fewer values is not an image
USE_PREDICT = Text("Use ", Function("predict"), " for sentences.")


@dataclass(frozen=True, eq=False, slots=True)
class ModelInputs:
    """Samples as a model takes them, and as they are shown."""

    x: Any = None  # for the model; None if they are images that are still to be read
    images: Any = None  # those, if x is None: files, Pillow images ...
    samples: Any = None  # as they are shown; None if there is nothing to show
    sample_names: Sequence[str] = ()  # files, or the index of a data frame
    y_true: Any = None  # if a dataset brings them
    data: Any = None  # the dataset of the samples, or that the model was trained on
    series: SeriesRows | None = None  # the rows of windows of a table


def model_inputs_for(model: Any, x: Any) -> ModelInputs:
    """Convert samples to the inputs of a model.

    Raw data (sentences, data frames, image bytes and files) are prepared like the training data of
    the model (:func:`kmagic.support.model_registry.dataset_for`); arrays of numbers are used as
    they are.

    Warns:
        ScaleWarning: They are scaled differently from the training data.
    """
    if hasattr(x, "x_test"):
        x = data_for(model, x)
        samples = _prepared_like_training(model, x)
        warn_of_scale_drift(model, samples)
        if getattr(x, "series", None) is not None:
            return ModelInputs(
                samples, None, None, x.series.window_names(), x.y_test, data=x, series=x.series
            )
        shown = decode_samples(x, x.x_test)
        return ModelInputs(samples, samples=shown, y_true=x.y_test, data=x)
    data, x = dataset_for(model), sparse_rows(x)
    inputs = replace(_convert(model, data, x), data=data)
    if _has_several_inputs(model) or inputs.x is x:
        warn_of_scale_drift(model, inputs.x)  # else it was prepared like the training data
    return inputs


def _convert(model: Any, data: Any, x: Any) -> ModelInputs:
    columns = _table_columns(data)
    if columns is not None and data.preparation.windowing is not None:
        raw = x if (file := _table_file(x)) is None else read_rows(file, columns.wanted)
        if hasattr(raw, "columns") or _are_table_rows(model, data, x):
            windows, series = data.preparation.cut(raw)
            return ModelInputs(windows, sample_names=series.window_names(), series=series)
    rows = data.prepare(x) if _are_table_rows(model, data, x) else prepare_table_rows(data, x)
    if rows is not x:
        return ModelInputs(rows, samples=restore_rows(data, rows))
    if columns is not None and (file := _table_file(x)) is not None:
        return _convert_frame(model, data, read_rows(file, columns.wanted))
    if isinstance(x, dict) or _has_several_inputs(model):
        return ModelInputs(x)
    if _are_images(model, data, x):
        reject_images(model, data)
        return ModelInputs(images=x)
    if _takes_text(model, data) and (files := _text_files(x)):
        inputs = _convert_sentences(model, data, read_texts(files).tolist())
        return replace(inputs, sample_names=[str(file) for file in files])
    sentences = as_sentences(x)
    if hasattr(x, "iloc") and sentences is None:
        return _convert_frame(model, data, x)
    if sentences is not None:
        return _convert_sentences(model, data, sentences)
    samples = _arrays_or_padded(model, data, x)
    samples = _as_batch(model, samples)
    if _is_scaled(data):  # numbers are compared with those of the training data
        samples = dense_rows(samples)
        samples = np.asarray(samples) if hasattr(samples, "__array__") else samples
    if data is not None and _are_image_bytes(data, samples):
        return ModelInputs(data.prepare(samples), samples=samples)
    prepared = prepare_if_raw(data, samples)
    if prepared is samples and samples is not x:
        warn_of_scale_drift(model, samples)
    shown: Any = restore_rows(data, prepared)
    if shown is None and hasattr(samples, "shape"):
        shown = decode_samples(data, samples)
    return ModelInputs(prepared, samples=shown)


def _prepared_like_training(model: Any, dataset: Any) -> Any:
    """The test samples of a dataset, as the data that the model was trained on were prepared."""
    x, trained_on = dataset.x_test, dataset_for(model)
    theirs, own = (getattr(data, "preparation", None) for data in (dataset, trained_on))
    if own is None or theirs is None or trained_on is dataset:
        return x
    if own.encoding is not None and theirs.encoding is None:
        return trained_on.prepare(x.tolist())
    if own.encoding is not None and theirs.encoding is not None:
        if own.encoding.vocabulary != theirs.encoding.vocabulary:
            problem = f" was trained with another vocabulary than that of {dataset.name}."
            remedy = "Pass the sentences themselves: they are encoded as in training."
            raise EvaluationError(model_phrase(model) + problem, remedy)
        return x
    if own.scaling.get_config() == theirs.scaling.get_config():
        return x
    if getattr(own.columns, "names", ()) != getattr(theirs.columns, "names", ()):
        return x
    raw = theirs.scaling.inverse(x)
    if own.image_shape is not None and math.prod(own.image_shape) == math.prod(raw.shape[1:]):
        raw = raw.reshape(len(raw), *own.image_shape)
    return theirs.reshape(own.scaling.apply(raw))


def with_targets(inputs: ModelInputs, y: Any, unit: str) -> tuple[ModelInputs, Any, str]:
    """The inputs with the targets that they bring, and what they are."""
    known_unit = unit if unit != "samples" else ""
    if y is not None:
        data = inputs.data
        names = (data.classes or data.targets) if data is not None else ()
        return inputs, read_target_frame(y, names), unit
    if inputs.y_true is not None:
        return inputs, inputs.y_true, known_unit or "test samples"
    if inputs.series is not None:  # rows of a table: the windows that known targets follow
        targets = inputs.series.future(inputs.series.windowing.horizon)[1]
        known = np.isfinite(targets).all(axis=1)
        count = int(known.sum())
        part = slice(count) if known[:count].all() else known  # a slice is no copy
        if count:
            inputs = replace(inputs, x=inputs.x[part], series=inputs.series.part(part))
            return inputs, targets[part], known_unit or "windows"
    return inputs, None, unit


def reject_images(
    model: Any,
    data: Any,
    remedy: str | Text = "Pass an array or a data frame with one row per sample.",
) -> None:
    """Reject images if the model takes rows that are not images."""
    shape = sample_shape(model)
    if shape is None or len(shape) != 1 or getattr(data, "image_shape", None) is not None:
        return
    if _takes_text(model, data):
        raise EvaluationError(model_phrase(model) + " expects text, not images.", USE_PREDICT)
    if data is not None or (shape[0] or 0) < MIN_PIXELS or _takes_word_ids(model):
        width = f"{shape[0]} numbers" if shape[0] else "numbers"
        message = f" expects rows of {width}, not images."
        raise EvaluationError(model_phrase(model) + message, remedy)


def decode_samples(data: Any, x: Any) -> Any:
    """A dataset's samples as they are shown: flat images in two dimensions, without a copy.

    Word ids are decoded to sentences, and rows of a table restored, when they are shown.
    """
    encoding = getattr(data, "encoding", None)
    if encoding is not None and encoding.could_be_rows(x):
        return DecodedTexts(x, encoding)
    rows = restore_rows(data, x)
    if rows is not None:
        return rows
    shape = getattr(data, "image_shape", None)
    if shape is None or not hasattr(x, "reshape") or math.prod(x.shape[1:]) != math.prod(shape):
        return x
    return x.reshape(len(x), *shape)


# --- conversions --------------------------------------------------------------------------------


def _arrays_or_padded(model: Any, data: Any, x: Any) -> Any:
    """Arrays and streams as they are; lists of word ids padded like the training data."""
    encoding = getattr(data, "encoding", None)
    is_ragged = isinstance(x, list | tuple) or getattr(x, "dtype", None) == np.dtype(object)
    if encoding is not None and is_ragged:
        return data.prepare(x)
    arrays = to_arrays(model, x)
    if arrays is None and not isinstance(x, Iterable):
        raise EvaluationError(
            option="x",
            expected="an array, a list, a data frame, files, sentences or a dataset",
            actual=Text(type(x).__name__),
        )
    return x if arrays is None else arrays


def _convert_frame(model: Any, data: Any, frame: Any) -> ModelInputs:
    shape = sample_shape(model)
    is_frame = hasattr(frame, "columns")
    if not is_frame and shape is not None and shape == (len(frame),) and len(frame) > 1:
        frame, is_frame = frame.to_frame().T, True  # one row of a table
    names = [str(label) for label in frame.index[:100]]
    if data is None or not is_frame:
        values = frame.to_numpy()
        return ModelInputs(_as_batch(model, values), samples=frame, sample_names=names)
    columns = getattr(data, "columns", None)
    is_known = isinstance(columns, tuple) and set(columns) <= set(frame.columns)
    raw = frame[list(columns)] if is_known else frame  # type: ignore[arg-type]  # a tuple then
    known = _table_columns(data)
    shown = frame if known is None else FrameRows(frame, known)
    return ModelInputs(prepare_frame(data, raw), samples=shown, sample_names=names)


def _convert_sentences(model: Any, data: Any, sentences: list[str]) -> ModelInputs:
    _reject_sentences(model, data, sentences)
    if data is not None:
        return ModelInputs(data.prepare(sentences), samples=sentences)
    if "string" in _input_dtypes(model):
        texts = np.array(sentences, dtype=object)
        return ModelInputs(texts, samples=texts)
    message = f" expects numbers, and no encoding for {sentences[0][:40]!r} is known."
    remedy = Text(
        "If it is a file name, check that the file exists. For sentences, train the model on data "
        "of ",
        Function("load_data"),
        ", or add a line `text_vectorization` to it.",
    )
    raise EvaluationError(model_phrase(model) + message, remedy)


def _reject_sentences(model: Any, data: Any, sentences: list[str]) -> None:
    """Reject sentences, or missing files, if the model was trained on other data."""
    columns = getattr(data, "columns", None)
    columns = getattr(columns, "wanted", columns) or ()
    is_row = len(sentences) == len(columns)  # one row of a table of words
    images = getattr(data, "image_shape", None) is not None
    if getattr(data, "encoding", None) is not None or not (images or (columns and not is_row)):
        return
    first = sentences[0]
    if Path(first).suffix and not first.endswith(".") and " " not in first:
        raise EvaluationError(f"There is no file {first}.")
    trained_on = "images" if images else f"rows of {len(columns)} columns"
    message = f" was trained on {trained_on}; got the text {first[:40]!r}."
    table = "Pass a data frame, or dictionaries with the names of the columns."
    remedy = "Pass arrays or image files." if images else table
    raise EvaluationError(model_phrase(model) + message, remedy)


def _text_files(x: Any) -> list[Path]:
    """The files that paths, folders and patterns refer to; empty for anything else."""
    if isinstance(x, list | tuple) and x:
        parts = [_text_files(item) for item in x]
        return [file for part in parts for file in part] if all(parts) else []
    if not isinstance(x, str | os.PathLike):
        return []
    path = local_path(x)
    if path is None:  # a sentence that cannot be a file name
        return []
    is_pattern = isinstance(x, str) and glob.has_magic(x)
    try:
        if path.is_file():
            return [path]
        found = files_below(path) if path.is_dir() else files_matching(path) if is_pattern else []
    except OSError:  # such as a folder that cannot be read
        return []
    texts = [file for file in found if file.suffix.lower() in TEXT_SUFFIXES and file.is_file()]
    looks_like_a_file = path.suffix.lower() in TEXT_SUFFIXES and " " not in path.name
    if not texts and (looks_like_a_file or not isinstance(x, str)):
        raise EvaluationError(f"No file matches {x}." if is_pattern else f"There is no file {x}.")
    return texts


def _as_batch(model: Any, x: Any) -> Any:
    """A single sample as a batch of one."""
    shape = sample_shape(model)
    received = tuple(getattr(x, "shape", ()))
    if shape is None or not received:
        return x
    if shape[-1] == 1 and len(received) == len(shape) - 1:  # an image without its channel
        x, received = x[..., None], (*received, 1)
    if len(received) != len(shape):
        return x
    matches = all(want in (None, got) for got, want in zip(received, shape, strict=True))
    is_batch = len(shape) == 1 and shape[0] == 1  # rows of one number each are a batch
    return x[None] if matches and not is_batch else x


# --- what samples are, and what a model takes ---------------------------------------------------


def _are_table_rows(model: Any, data: Any, x: Any) -> bool:
    """Whether these are rows of the table that the model was trained on, as dictionaries."""
    if _table_columns(data) is None:
        return False
    rows = x if isinstance(x, list | tuple) else [x]
    are_rows = bool(rows) and all(isinstance(row, dict) for row in rows)
    return are_rows and not _has_several_inputs(model)


def _table_columns(data: Any) -> Any:
    """The columns of the table that the model was trained on, if it was one."""
    return getattr(getattr(data, "preparation", None), "columns", None)


def table_targets_remedy(x: Any) -> str:
    """How to pass the targets of a table; "" for other samples."""
    if (file := _table_file(x)) is not None:
        reader = {".xlsx": "read_excel", ".parquet": "read_parquet"}.get(file.suffix, "read_csv")
        return f'Pass a column of it: `table = pandas.{reader}("{x}")`, then table["NAME"] as y.'
    return 'Pass a column of it, such as table["NAME"], as y.' if hasattr(x, "columns") else ""


def _table_file(x: Any) -> Path | None:
    path = local_path(x)
    return path if path is not None and is_table_name(path) and path.is_file() else None


def _are_images(model: Any, data: Any, x: Any) -> bool:
    """Whether these are files, or something else that is read as an image."""
    if is_pillow_image(x) or isinstance(x, bytes | bytearray | memoryview) or hasattr(x, "read"):
        return not _takes_text(model, data)
    if isinstance(x, str | os.PathLike):
        return _is_file(x) and not _takes_text(model, data)
    if isinstance(x, list | tuple) and x:
        return _are_images(model, data, x[0])
    return False


def _is_file(word: str | os.PathLike[str]) -> bool:
    """Whether a text is a file, a folder, a pattern or a URL, and not a sentence."""
    if not isinstance(word, str) or is_url(word):
        return True
    path = local_path(word)
    try:
        is_known = path is not None and (path.exists() or is_image_file(path))
    except OSError:
        return False
    return path is not None and (is_known or glob.has_magic(word))


def _are_image_bytes(data: Any, x: Any) -> bool:
    """Whether samples are raw images, as bytes, of a dataset that was scaled."""
    are_bytes = getattr(x, "dtype", None) == np.dtype(np.uint8)
    return _is_scaled(data) and are_bytes and getattr(data, "image_shape", None) is not None


def _is_scaled(data: Any) -> bool:
    return getattr(getattr(data, "scaling", None), "kind", "none") != "none"


def _input_dtypes(model: Any) -> list[str]:
    return [str(getattr(tensor, "dtype", "")) for tensor in getattr(model, "inputs", None) or ()]


def _has_several_inputs(model: Any) -> bool:
    return len(_input_dtypes(model)) > 1


def _takes_text(model: Any, data: Any) -> bool:
    return "string" in _input_dtypes(model) or getattr(data, "encoding", None) is not None


def _takes_word_ids(model: Any) -> bool:
    """Whether an input is of integers, or an embedding looks them up."""
    layers = getattr(model, "layers", None) or ()
    return any(dtype.startswith("int") for dtype in _input_dtypes(model)) or any(
        kind.__name__ == "Embedding" for layer in layers for kind in type(layer).__mro__
    )
