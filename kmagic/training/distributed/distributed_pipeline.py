"""The loop of a fit whose batches are trained by workers.

The notebook's process has the model, its callbacks and the record. It tells all workers which
batches to train, a tenth of a second of them at a time, so they always stop at the same one. After
each epoch the model gets their weights and the state of the optimizer, and the callbacks see it as
in any other fit; what they change, such as the learning rate, goes to the workers before the next.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras
import numpy as np

from kmagic.cluster.connection import connect, default_address
from kmagic.models.global_settings import changed_settings
from kmagic.models.model_variables import all_variables
from kmagic.models.object_copies import pickle_with_classes, repeatable
from kmagic.support.errors import TrainingError
from kmagic.support.formatting import pluralize
from kmagic.support.messages import Option, Text
from kmagic.support.process_patches import InterruptGuard
from kmagic.training.callbacks.recording_callbacks import StopTraining, stop_if_requested
from kmagic.training.distributed.batch_shares import describe_split
from kmagic.training.distributed.mirrored_replica import MirroredWorkers, gpu_names
from kmagic.training.distributed.ray_workers import RayWorkers, WorkerLostError
from kmagic.training.distributed.replica import (
    Part,
    ReplicaSetup,
    build_variables,
    first_output,
    shapes_of,
)
from kmagic.training.fit_options import PLACES, FitOptions
from kmagic.training.pipeline.dense_arrays import DenseArrays, UnsuitedError, dense_validation
from kmagic.training.pipeline.executions import BatchesPerCall
from kmagic.training.pipeline.pipeline_choice import (
    DEFAULT_BATCH_SIZE,
    TRAINING_METHODS,
    VALIDATION_METHODS,
    KerasPipeline,
    batch_callbacks,
    check_model,
    pop_arrays,
    reject_steps,
)
from kmagic.training.run.training_run import Message, TrainingRun

MAX_FAILURES = 3
"""Times that an epoch is trained again after the loss of a worker."""
MASKED = (
    "The outputs are masked: the loss of each worker is the mean over the unmasked values of its "
    "part of a batch."
)
MEANS = ("sum_over_batch_size", "mean")
"""Reductions of a loss for which shares can be weighted by their rows."""


class Workers(Protocol):
    """A group of replicas that all do the same."""

    @property
    def count(self) -> int:
        """The number of shares of a batch."""

    def start(self, poll: Any, *, at_least: int) -> None:
        """Start them."""

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of each :class:`~kmagic.training.distributed.replica.Replica`."""

    def settle(self) -> None:
        """Wait for a call that was interrupted."""

    def close(self) -> None:
        """End them."""


class DistributedPipeline(KerasPipeline):
    """A fit on several workers.

    Args:
        model: A compiled model.
        arguments: The arguments of the fit, with the validation data that is split off.
        options: How many workers, and where.
        run: The record.

    Raises:
        TrainingError: The model or the data cannot be trained by several workers.
    """

    def __init__(
        self,
        model: keras.Model,
        arguments: Mapping[str, Any],
        options: FitOptions,
        run: TrainingRun,
    ) -> None:
        self._options, self._run, self._model = options, run, model
        try:
            check_model(model)
            given = dict(arguments)
            reject_steps(given)
            training, shuffle = pop_arrays(given)
            validation = _validation(given)
            _check_loss(model)
            self._devices = _devices(options)
            self._count = len(self._devices) or _count_workers(options, run)
            size = given.pop("batch_size", None) or DEFAULT_BATCH_SIZE
            _check_size(size, self._count)
        except UnsuitedError as reason:
            raise _refused(options, str(reason)) from None
        self.arguments = given
        self.stops_at_nan = False
        self._data: dict[Part, Any] = {"train": training.packed}
        self._batches: dict[Part, int] = {"train": size}
        self._steps: dict[Part, int] = {"train": math.ceil(training.samples / size)}
        if validation is not None:
            size = given.get("validation_batch_size") or size
            self._data["test"], self._batches["test"] = validation.packed, size
            self._steps["test"] = math.ceil(validation.samples / size)
        outputs = getattr(model, "outputs", None) or ()
        if any(getattr(output, "_keras_mask", None) is not None for output in outputs):
            run.add_message(MASKED)
        seed = options.seed
        order = seed if seed is not None else int(np.random.default_rng().integers(2**31))
        self._seeds = (order if shuffle else None, seed)
        self._workers: Workers | None = None
        self.description = f"distributed, {self._split(self._count)}"
        self._known: list[np.ndarray] | None = None  # the values that the workers have
        self._is_ahead = False  # whether the workers have trained more than the model has
        self._sizes: dict[Part, BatchesPerCall] = {}

    def _split(self, count: int) -> str:
        return describe_split(self._batches["train"], count, "GPU" if self._devices else "worker")

    def callbacks(self, callbacks: Sequence[keras.callbacks.Callback]) -> Any:
        """The callbacks as a list of Keras's, to be called once per execution."""
        strict = [callback for callback in callbacks if getattr(callback, "every_batch", True)]
        if names := batch_callbacks(strict, (*TRAINING_METHODS, *VALIDATION_METHODS)):
            reason = f"{names[0]} acts on every batch, and the model is with the workers then"
            raise _refused(self._options, reason)
        return keras.callbacks.CallbackList(
            callbacks,
            add_history=True,
            add_progbar=self.arguments.get("verbose", 0) != 0,
            model=self._model,
            verbose=self.arguments.get("verbose", 0),
            epochs=self._run.epochs,
            steps=self._steps["train"],
        )

    def fit(self, model: keras.Model, callbacks: Any, interrupts: InterruptGuard) -> None:
        """Train as ``model.fit`` does."""
        build_variables(model, self._data["train"])
        model.stop_training = False
        callbacks.on_train_begin()
        interrupts.release()  # nothing is created here any more
        epochs = range(self.arguments.get("initial_epoch", 0), self._run.epochs)
        if epochs:
            self._workers = self._new_workers()
            try:
                self._workers.start(self._stop_if_requested, at_least=self._count)
            except WorkerLostError as error:
                raise TrainingError(
                    f"The training cannot start: {error}.",
                    Text("Use fewer ", Option("workers"), ", or end what else uses the cluster."),
                ) from error
        logs: dict[str, Any] = {}
        for epoch in epochs:
            logs = self._train_epoch_again(epoch, callbacks)
            callbacks.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        if epochs and isinstance(model.optimizer, keras.optimizers.Optimizer):
            model.optimizer.finalize_variable_values(model.trainable_weights)
        callbacks.on_train_end(logs)

    def _new_workers(self) -> Workers:
        name = self._model.name
        remedy = Text("Train without ", Option("workers"), ".")
        setup = ReplicaSetup(
            pickle_with_classes(name, self._model, remedy),
            self._batches,
            *self._seeds,
            changed_settings(),
            shapes_of(all_variables(self._model)),
            repeatable(lambda: first_output(self._model, self._data["train"])),
        )
        if self._devices:
            return MirroredWorkers(self._devices, setup, self._data)
        use_gpus = self._options.gpus is not None
        return RayWorkers(self._run.model_name, self._count, setup, self._data, use_gpus=use_gpus)

    def _stop_if_requested(self) -> None:
        stop_if_requested(self._run)

    # --- an epoch -----------------------------------------------------------------------------

    def _train_epoch_again(self, epoch: int, callbacks: Any) -> dict[str, Any]:
        """Train an epoch, with other workers if one is lost.

        Raises:
            StopTraining: It is lost again and again, or cannot be replaced.
        """
        before, why = self._values(), ""
        for _ in range(MAX_FAILURES + 1):
            try:
                if why:
                    self._replace_workers(why)
                return self._train_epoch(epoch, callbacks)
            except WorkerLostError as error:
                why = f"A worker was lost in epoch {epoch + 1:,}: {error}."
                self._known, self._is_ahead = None, False
                self._assign(before)
        self._run.add_message(f"{why} The training ends with what was reached before.")
        raise StopTraining(f"a worker was lost in epoch {epoch + 1:,}")

    def _replace_workers(self, why: str) -> None:
        workers = self._workers
        assert workers is not None  # noqa: S101 - one of them was lost
        workers.close()
        self._sizes.clear()  # they trace their graphs again
        workers.start(self._stop_if_requested, at_least=1)
        split = self._split(workers.count)
        self._run.pipeline = f"distributed, {split}"
        self._run.add_message(f"{why} The epoch is trained again by {split}.")

    def _train_epoch(self, epoch: int, callbacks: Any) -> dict[str, Any]:
        model = self._model
        model.reset_metrics()
        callbacks.on_epoch_begin(epoch)
        logs: dict[str, Any] = {}
        self._is_ahead = True
        for first, count in self._executions("train", epoch):
            callbacks.on_train_batch_begin(first)
            logs = self._run_batches("train", first, count)
            callbacks.on_train_batch_end(first + count - 1, logs)
            if model.stop_training:
                break
        logs = dict(logs)
        self._fetch()
        frequency = self._options.validation_freq
        if "test" in self._data and model._should_eval(epoch, frequency):  # noqa: SLF001 - Keras's rule
            logs |= {f"val_{name}": value for name, value in self._validate(callbacks).items()}
        return logs

    def _validate(self, callbacks: Any) -> dict[str, Any]:
        self._model.reset_metrics()
        callbacks.on_test_begin()
        logs: Any = {}
        for first, count in self._executions("test", 0):
            callbacks.on_test_batch_begin(first)
            logs = self._run_batches("test", first, count)
            callbacks.on_test_batch_end(first + count - 1, logs)
        callbacks.on_test_end(logs)
        return dict(logs)

    def _executions(self, part: Part, epoch: int) -> Any:
        """The first batch and the number of batches of each execution."""
        self._call("begin", part, epoch, self._changes())
        size = self._sizes.setdefault(part, BatchesPerCall())
        done, steps = 0, self._steps[part]
        while done < steps:
            count = size.next(steps - done)
            start = time.perf_counter()
            yield done, count
            size.measured(count, time.perf_counter() - start)
            done += count

    def _call(self, method: str, *arguments: Any) -> list[Any]:
        assert self._workers is not None  # noqa: S101 - it trains
        return self._workers.call(method, *arguments)

    def _run_batches(self, part: Part, first: int, count: int) -> dict[str, Any]:
        """Train or validate some batches; returns the metrics of all workers together."""
        values = zip(*self._call("run", part, first, count), strict=True)
        for variable, parts in zip(self._model.metrics_variables, values, strict=True):
            is_first = variable.aggregation == "only_first_replica"
            variable.assign(parts[0] if is_first else sum(parts))
        return dict(self._model.get_metrics_result())

    # --- the model and the workers ------------------------------------------------------------

    def _values(self) -> list[np.ndarray]:
        return [keras.ops.convert_to_numpy(each) for each in all_variables(self._model)]

    def _changes(self) -> dict[int, np.ndarray]:
        """The values of the model that the workers do not have, by their index."""
        values, known = self._values(), self._known
        self._known = values
        return {
            index: value
            for index, value in enumerate(values)
            if known is None or not np.array_equal(value, known[index])
        }

    def _fetch(self) -> None:
        """Give the model the values of the workers."""
        values = self._call("state")[0]
        self._assign(values)
        self._known, self._is_ahead = values, False

    def _assign(self, values: Sequence[np.ndarray]) -> None:
        with InterruptGuard():
            for variable, value in zip(all_variables(self._model), values, strict=True):
                variable.assign(value)

    def __exit__(self, *error: object) -> None:
        workers = self._workers
        if workers is None:
            return
        try:
            if self._is_ahead and workers.count:
                workers.settle()
                self._fetch()
        except (WorkerLostError, KeyboardInterrupt):
            pass
        finally:
            workers.close()
        if self._is_ahead and self._run.now.batch:
            self._run.add_message(
                "The model has the weights from before this epoch: those of the workers are lost."
            )


def choose_distributed(
    model: keras.Model, arguments: Mapping[str, Any], options: FitOptions, run: TrainingRun
) -> DistributedPipeline | None:
    """The pipeline for several workers or GPUs; None if the options name none.

    Raises:
        TrainingError: They cannot be used.
    """
    if all(getattr(options, name) is None for name in PLACES):
        return None
    return DistributedPipeline(model, arguments, options, run)


def _devices(options: FitOptions) -> list[str]:
    """The GPUs of this machine that are to be used; empty if workers are."""
    if options.gpus is None or options.workers is not None or options.on is not None:
        return []
    names, wanted = gpu_names(), options.gpus
    if not names or (wanted != "all" and len(names) < int(wanted)):
        raise UnsuitedError(f"TensorFlow finds {pluralize(len(names), 'GPU')} on this machine")
    return names if wanted == "all" else names[: int(wanted)]


def _count_workers(options: FitOptions, run: TrainingRun) -> int:
    """The number of workers: as requested, or one for each GPU or machine of the cluster."""
    cluster = connect(options.on or default_address())
    run.messages += [Message(0, text) for text in cluster.messages]
    needs_gpu = options.gpus is not None
    room = cluster.require("A worker", cpus=1, gpus=int(needs_gpu))
    if options.workers is not None:
        count = options.workers
    elif options.gpus is None:
        count = sum(node.cpus >= 1 for node in cluster.nodes)
    else:
        count = room if options.gpus == "all" else int(options.gpus)
    if count > room:
        name = "gpus" if options.workers is None else "workers"
        each = "a CPU and a GPU" if needs_gpu else "a CPU"
        raise TrainingError(
            Text(
                *(Option(name, count), f": {cluster.address} has room for {room:,}; each "),
                f"worker needs {each}.",
            ),
            Text("Use ", Option(name, room), ", or add a machine to the cluster."),
            option=name,
        )
    return count


def _validation(arguments: Mapping[str, Any]) -> DenseArrays | None:
    held_out = arguments.get("validation_data")
    found = None if held_out is None else dense_validation(held_out)
    if held_out is not None and found is None:
        raise UnsuitedError("the validation data is not dense arrays")
    return found


def _check_loss(model: keras.Model) -> None:
    """Raise UnsuitedError if the loss of a batch is not the weighted mean of those of its parts."""
    for loss in keras.tree.flatten(model.loss):
        reduction = getattr(loss, "reduction", MEANS[0])
        if reduction not in MEANS:
            raise UnsuitedError(f"the reduction of the loss is {reduction!r}, not a mean")


def _check_size(batch_size: int, count: int) -> None:
    if batch_size < count:
        raise UnsuitedError(
            f"a batch of {batch_size:,} has no sample for some of {count:,} workers"
        )


def _refused(options: FitOptions, reason: str) -> TrainingError:
    name = "gpus" if options.workers is None and options.on is None else "workers"
    return TrainingError(
        Text(Option(name), f" cannot be used: {reason}."),
        Text("Train without ", Option(name), "."),
        option=name,
    )
