"""Predictions part by part, in this process or in a pool of actors on a Ray cluster."""

from __future__ import annotations

import logging
import pickle
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.cluster.connection import connect, import_ray
from kmagic.evaluation.prediction.batch_prediction import (
    input_arrays,
    only_output,
    predict_in_batches,
    predict_outputs,
    slice_inputs,
    to_arrays,
)
from kmagic.models.global_settings import apply_settings, changed_settings
from kmagic.models.object_copies import (
    check_copy,
    load_with_classes,
    pickle_with_classes,
    repeatable,
)
from kmagic.support.errors import EvaluationError, KmagicError
from kmagic.support.keras_import import load_keras_in_worker
from kmagic.support.model_registry import dataset_for, set_dataset
from kmagic.support.process_patches import quiet_start
from kmagic.support.progress import Progress

ROWS = 4096
"""Rows of an array in a part."""


class PartWork(ABC):
    """What is predicted for each part; it is pickled, and the model is passed to it."""

    @abstractmethod
    def __call__(self, model: Any, number: int) -> Any:
        """The predictions of a part."""

    @abstractmethod
    def first(self, model: Any) -> NDArray[Any]:
        """Numbers that the first samples of the first part give, to recognise the model."""


def predict_parts(
    model: Any,
    work: PartWork,
    numbers: Sequence[int],
    *,
    on: str | None,
    cpus: float = 1,
    gpus: float = 0,
) -> Iterator[tuple[int, Any]]:
    """The predictions of each part with its number, in the order in which they are ready.

    Args:
        model: The model. On a cluster each actor gets a copy of it once.
        work: The work.
        numbers: The parts.
        on: A cluster, as for :func:`kmagic.connect`; None for this process.
        cpus: Processor cores of each actor.
        gpus: GPUs of each actor.

    Raises:
        EvaluationError: A part cannot be predicted, or the model cannot be copied.
        ClusterError: The cluster cannot be used.
    """
    if on is None:
        for number in numbers:
            yield number, work(model, number)
        return
    if not numbers:
        return
    cluster = connect(on)
    count = min(cluster.require("A prediction", cpus=cpus, gpus=gpus), len(numbers))
    remedy = "Predict in this process, without a cluster."
    data = dataset_for(model)
    setup = import_ray().put(
        (
            pickle_with_classes("The model", model, remedy),
            repeatable(lambda: work.first(model)),
            getattr(data, "preparation", data),
            work,
            max(1, round(cpus)),
            changed_settings(),
        )
    )
    import ray.data  # noqa: PLC0415 - an extra

    _silence(ray.data)
    parts = ray.data.from_items(
        [{"number": number} for number in numbers], override_num_blocks=len(numbers)
    )
    results = parts.map_batches(
        PartPredictor,
        fn_constructor_args=([setup],),  # a list, or Ray passes the value
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=count),
        num_cpus=cpus,
        num_gpus=gpus,
    )
    rows = iter(results.iter_rows())
    with quiet_start():
        first = list(islice(rows, 1))
    for row in chain(first, rows):
        content = pickle.loads(row["content"])  # noqa: S301 - from our own process
        if isinstance(content, KmagicError):
            raise content
        yield int(row["number"]), content


class PartPredictor:
    """Runs in a process of its own on a node, with a copy of the model; Ray calls it."""

    def __init__(self, setup: list[Any]) -> None:
        content, expected, data, self._work, threads, settings = import_ray().get(setup[0])
        load_keras_in_worker(threads)
        apply_settings(settings)
        self._model = load_with_classes(content)
        set_dataset(self._model, data)
        self._error: KmagicError | None = None
        try:
            check_copy("The model", expected, lambda: self._work.first(self._model))
        except KmagicError as error:
            self._error = error

    def __call__(self, batch: dict[str, NDArray[Any]]) -> dict[str, Any]:
        """A batch is one part."""
        number = int(batch["number"][0])
        content: Any
        try:
            if self._error is not None:
                raise self._error
            content = self._work(self._model, number)
        except KmagicError as error:
            content = EvaluationError(error.message, error.remedy)
        # As bytes: Ray would turn tables of numbers into arrays.
        return {"number": [number], "content": [pickle.dumps(content)]}


def _silence(data: Any) -> None:
    """Show our progress instead of Ray's, and no execution plans."""
    with warnings.catch_warnings():  # Ray warns about its own settings
        warnings.simplefilter("ignore")
        context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


# --- arrays ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ArrayWork(PartWork):
    """Predicts rows of arrays, which lie in the memory that the processes of a node share."""

    arrays: Any
    batch_size: int | None

    def __call__(self, model: Any, number: int) -> dict[Any, NDArray[Any]]:
        """All outputs for a part."""
        arrays = import_ray().get(self.arrays)
        rows = slice_inputs(arrays, number * ROWS, (number + 1) * ROWS)
        return predict_outputs(model, rows, batch_size=self.batch_size)

    def first(self, model: Any) -> NDArray[Any]:
        """All outputs for the first sample."""
        outputs = predict_outputs(model, slice_inputs(import_ray().get(self.arrays), 0, 1))
        return np.concatenate([np.ravel(output) for output in outputs.values()])


def predict_rows(
    model: Any, x: Any, *, batch_size: int | None = None, on: str | None = None
) -> NDArray[Any]:
    """As :func:`predict_in_batches`, perhaps on a cluster."""
    arrays = None if on is None else to_arrays(model, x)
    if on is None or arrays is None:
        return predict_in_batches(model, x, batch_size=batch_size)
    outputs = predict_on_cluster(model, arrays, on, batch_size=batch_size)
    return only_output(list(outputs.values()))


def predict_on_cluster(
    model: Any, arrays: Any, on: str, *, batch_size: int | None = None
) -> dict[Any, NDArray[Any]]:
    """As :func:`predict_outputs`, on a cluster; a single part is predicted in this process."""
    connect(on)
    samples = int(input_arrays(arrays)[0].shape[0])
    if samples <= ROWS:
        return predict_outputs(model, arrays, batch_size=batch_size)
    try:
        work = ArrayWork(import_ray().put(arrays), batch_size)
    except TypeError as error:  # such as an array in an open HDF5 file
        raise EvaluationError(
            f"A {type(arrays).__name__} cannot be copied to the cluster.",
            "Predict in this process, without a cluster, or pass NumPy arrays.",
        ) from error
    numbers = range(-(-samples // ROWS))
    parts: dict[int, dict[Any, NDArray[Any]]] = {}
    with Progress(samples, "samples predicted") as progress:
        for number, outputs in predict_parts(model, work, numbers, on=on):
            parts[number] = outputs
            progress.advance(min(ROWS, samples - number * ROWS))
    return {key: np.concatenate([parts[n][key] for n in numbers]) for key in parts[0]}
