"""The entry to the pipeline: how ``fit`` feeds a model, by kmagic's fast pipeline or by Keras."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, Self

import keras
import tensorflow as tf

from kmagic.data.inspection import count_batches
from kmagic.models.fixed_batches import fixed_batch_size
from kmagic.support.errors import TrainingError
from kmagic.support.process_patches import InterruptGuard
from kmagic.training.pipeline import executions
from kmagic.training.pipeline.batch_stream import from_disk, ordered, shuffled
from kmagic.training.pipeline.dense_arrays import (
    DenseArrays,
    UnsuitedError,
    dense_arrays,
    dense_validation,
    is_large_file,
)
from kmagic.training.pipeline.step_graph import gains_by_batch_size

DEFAULT_BATCH_SIZE = 32
"""Keras's own."""

KERAS_METHODS = (
    "fit",
    "evaluate",
    "train_step",
    "test_step",
    "compute_metrics",
    "make_train_function",
    "make_test_function",
)
"""Methods that must be Keras's own: only then it is known what a training step does."""
TRAINING_METHODS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
)
VALIDATION_METHODS = ("on_test_batch_begin", "on_test_batch_end")


class KerasPipeline:
    """Plain Keras: a context manager that changes nothing."""

    def __init__(self, reason: str, arguments: dict[str, Any]) -> None:
        self.arguments = arguments
        self.description = f"plain: {reason}"  # for the run's record
        self.stops_at_nan = False  # whether an execution ends with the batch that becomes nan

    def callbacks(self, callbacks: Sequence[keras.callbacks.Callback]) -> Any:
        """The callbacks as an argument of ``model.fit``."""
        return list(callbacks)

    def fit(
        self,
        model: keras.Model,
        callbacks: Any,
        interrupts: InterruptGuard,  # noqa: ARG002 - the callbacks release it
    ) -> None:
        """Train the model; ``callbacks`` are those that :meth:`callbacks` returned."""
        arguments = dict(self.arguments)
        # A logger that wraps fit may expect x where users write it: as the first argument.
        first = next(iter(signature(model.fit).parameters.values()))
        takes_first = first.name == "x" and first.kind is not Parameter.KEYWORD_ONLY
        is_any = first.kind is Parameter.VAR_POSITIONAL
        positional = [arguments.pop("x")] if takes_first or is_any else []
        model.fit(*positional, **arguments, callbacks=callbacks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class FastPipeline(KerasPipeline):
    """Several batches per call of the model's step functions.

    Arrays become one endless stream; streams of known length are unchanged. Within its context the
    model's train and test function are replaced.

    Raises:
        UnsuitedError: It cannot be used for this data.
    """

    def __init__(
        self, model: keras.Model, arguments: Mapping[str, Any], *, repeatable: bool
    ) -> None:
        given = dict(arguments)
        reject_steps(given)
        self._model = model
        self._functions: list[executions.StepFunction] = []
        self.description = "fast"
        self.stops_at_nan = True
        self._repeatable = repeatable
        self._batch_size = given.get("batch_size") or DEFAULT_BATCH_SIZE
        validation_size = given.get("validation_batch_size") or self._batch_size
        held_out = given.get("validation_data")
        validation = None if held_out is None else dense_validation(held_out)
        self._validation_steps = known_length(held_out)
        self._steps = known_length(given["x"])
        self._has_short_batch = False  # unknown
        if self._steps:
            self.arguments = given
        else:
            self._set_arrays(given)
        if validation is not None:
            self._validation_steps = math.ceil(validation.samples / validation_size)
            self.arguments |= {
                "validation_data": ordered(validation.packed, validation.samples, validation_size),
                "validation_steps": self._validation_steps,
                "validation_batch_size": None,
            }
        elif held_out is not None and not self._validation_steps:
            self.arguments["validation_batch_size"] = validation_size

    def _set_arrays(self, given: dict[str, Any]) -> None:
        """Set the arguments for a stream of arrays."""
        training, shuffle = pop_arrays(given)
        for name in ("batch_size", "validation_batch_size"):
            given.pop(name, None)
        stream = shuffled if shuffle else ordered
        self._steps = math.ceil(training.samples / self._batch_size)
        self._has_short_batch = bool(training.samples % self._batch_size)
        self._repeatable = self._repeatable or not shuffle
        self.arguments = given | {
            "x": stream(training.packed, training.samples, self._batch_size),
            "steps_per_epoch": self._steps,
            "shuffle": False,
        }

    def callbacks(self, callbacks: Sequence[keras.callbacks.Callback]) -> Any:
        """The callbacks as an argument of ``model.fit``, to be called once per execution.

        If one of them does something at every batch, an execution is a single batch, unless it
        has an attribute ``every_batch`` that is False.
        """
        strict = [callback for callback in callbacks if getattr(callback, "every_batch", True)]
        per_batch = batch_callbacks(strict, TRAINING_METHODS)
        if per_batch:
            self.description = f"fast, batch by batch for {per_batch[0]}"
        known_size = (
            self._has_short_batch and not self._repeatable and gains_by_batch_size(self._model)
        )
        training = executions.BatchLoop(
            self._steps,
            executions.BatchesPerCall(1 if per_batch else None),
            epochs=self.arguments.get("epochs", 1) - self.arguments.get("initial_epoch", 0),
            full_batch=self._batch_size if known_size else None,
        )
        self._functions = [executions.StepFunction.install(self._model, "train", training)]
        limit = 1 if batch_callbacks(strict, VALIDATION_METHODS) else None
        # Of no steps if Keras validates: its batches are then notified one by one.
        validation = executions.BatchLoop(self._validation_steps, executions.BatchesPerCall(limit))
        if self._validation_steps:
            self._functions.append(executions.StepFunction.install(self._model, "test", validation))
        verbose = self.arguments.get("verbose", "auto")
        return executions.ExecutionCallbackList(
            callbacks,
            training=training,
            validation=validation,
            add_history=True,
            add_progbar=verbose != 0,
            model=self._model,
            verbose=verbose,
            epochs=self.arguments.get("epochs", 1),
            steps=self._steps,
        )

    def __exit__(self, *error: object) -> None:
        for function in self._functions:
            function.release()


def choose_pipeline(
    model: keras.Model,
    arguments: Mapping[str, Any],
    parts: Mapping[str, Any],
    *,
    plain: bool,
    repeatable: bool,
) -> KerasPipeline:
    """Choose how to run the fit of a compiled model, ``plain`` if the user wants plain Keras.

    ``parts`` are the arguments with the validation data that is split off.

    With ``repeatable``, results must not depend on the machine's speed, not even in the last bit;
    without ``shuffle`` they never do. The result is a context manager. Within it train by
    ``model.fit(**pipeline.arguments, callbacks=pipeline.callbacks(...))``.
    """
    if streams := disk_streams(parts):
        arguments = parts = {**parts, **streams}
    try:
        if plain:
            raise UnsuitedError("requested")  # noqa: TRY301 - the only way out
        check_model(model)
        if any(device.device_type != "CPU" for device in tf.config.list_physical_devices()):
            raise UnsuitedError("there is a device other than the CPU")  # noqa: TRY301 - as above
        return FastPipeline(model, parts, repeatable=repeatable)
    except UnsuitedError as reason:
        return KerasPipeline(str(reason), own_arguments(model, arguments))


def reject_steps(arguments: Mapping[str, Any]) -> None:
    """Raise UnsuitedError if the number of batches is given."""
    for name in ("steps_per_epoch", "validation_steps"):
        if arguments.get(name) is not None:
            raise UnsuitedError(f"{name} is given")


def pop_arrays(arguments: dict[str, Any]) -> tuple[DenseArrays, bool]:
    """Remove the training data from the arguments; returns it, and whether it is shuffled.

    Raises:
        UnsuitedError: It is not dense arrays.
    """
    shuffle = arguments.pop("shuffle", True)
    if arguments.pop("validation_split", 0):
        raise UnsuitedError("x and y differ in length")
    if not isinstance(shuffle, bool):
        raise UnsuitedError(f"shuffle is {shuffle!r}")
    parts = ("x", "y", "sample_weight")
    training = dense_arrays(*(arguments.pop(name, None) for name in parts))
    return training.weighted(arguments.pop("class_weight", None)), shuffle


def disk_streams(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The data arguments as streams where arrays are in large files; others are left out.

    Keras would copy such arrays into memory.
    """
    given = arguments.get("batch_size")
    changed: dict[str, Any] = {}
    parts = {name: arguments.get(name) for name in ("x", "y", "sample_weight")}
    held_out = arguments.get("validation_data")
    with suppress(UnsuitedError):
        if is_large(parts):
            training = dense_arrays(**parts).weighted(arguments.get("class_weight"))
            shuffle = bool(arguments.get("shuffle", True))
            size = _batch_size(given, training, arguments.get("steps_per_epoch"))
            changed = dict.fromkeys(("y", "sample_weight", "class_weight", "batch_size"))
            changed["x"] = from_disk(training.packed, training.samples, size, shuffle=shuffle)
            changed |= {"shuffle": False}
            if given and held_out is not None:
                changed["validation_batch_size"] = arguments.get("validation_batch_size") or given
        if isinstance(held_out, tuple | list) and is_large(held_out):
            given = arguments.get("validation_batch_size") or given
            validation = dense_arrays(*held_out)
            size = _batch_size(given, validation, arguments.get("validation_steps"))
            stream = from_disk(validation.packed, validation.samples, size, shuffle=False)
            changed |= {"validation_data": stream, "validation_batch_size": None}
    return changed


def _batch_size(given: int | None, arrays: DenseArrays, steps: int | None) -> int:
    """The size of a batch; if only their number is given, all samples are used, as in Keras."""
    return given or (math.ceil(arrays.samples / steps) if steps else DEFAULT_BATCH_SIZE)


def is_large(arrays: Any) -> bool:
    """Whether one of the arrays is in a large file."""
    return any(map(is_large_file, keras.tree.flatten(arrays)))


def known_length(stream: Any) -> int:
    """Number of batches of a ``tf.data.Dataset`` or PyDataset that ends; 0 for anything else."""
    if not isinstance(stream, tf.data.Dataset | keras.utils.PyDataset):
        return 0
    return max(0, count_batches(stream) or 0)


def check_model(model: keras.Model) -> None:
    """Raise UnsuitedError if it is unknown what the model's steps do."""
    if keras.config.backend() != "tensorflow":
        raise UnsuitedError(f"Keras runs on {keras.config.backend()}")
    for name in KERAS_METHODS:
        method = getattr(model, name)
        if getattr(method, "__func__", None) is not getattr(keras.Model, name):
            raise UnsuitedError(f"the model has its own {name}")
    for name in ("fit", "evaluate"):
        if wrapper := wrapper_of(getattr(keras.Model, name)):
            raise UnsuitedError(f"Model.{name} is wrapped by {wrapper}")
    for name in ("train_function", "test_function"):
        module = getattr(getattr(model, name), "__module__", "keras.")
        if not module.startswith(("keras.", "kmagic.")):
            raise UnsuitedError(f"the model has its own {name}")
    if model.run_eagerly or tf.config.functions_run_eagerly():
        raise UnsuitedError("the model runs eagerly")
    if model.jit_compile:
        raise UnsuitedError("the model is compiled by XLA (jit_compile)")
    if model.steps_per_execution != 1:
        raise UnsuitedError(f"steps_per_execution is {model.steps_per_execution}")
    if fixed_batch_size(model) is not None:  # its outputs have a shape that a last batch lacks
        raise UnsuitedError("the model has a fixed batch size")
    strategy = tf.distribute.get_strategy()
    if tf.distribute.has_strategy() or model.distribute_strategy is not strategy:
        raise UnsuitedError("the model uses a distribution strategy")
    if keras.distribution.distribution() is not None:
        raise UnsuitedError("the model uses a distribution")
    limits = ("max_epochs", "max_steps_per_epoch")  # new in Keras 3.11
    if any(getattr(keras.config, limit, lambda: None)() for limit in limits):
        raise UnsuitedError("Keras is configured to limit epochs or steps")


def wrapper_of(method: Any) -> str:
    """What has replaced a method of Keras's, such as a logger; "" if nothing has.

    A wrapper sees what the user has passed, so it gets the arguments as they are.
    """
    code = getattr(method, "__code__", None)
    if code is not None and Path(code.co_filename).is_relative_to(Path(keras.__file__).parent):
        return ""
    module = str(getattr(method, "__globals__", {}).get("__name__", type(method).__module__))
    return "a function of the notebook" if module == "__main__" else module.partition(".")[0]


def own_arguments(model: keras.Model, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that a model's own ``fit`` takes.

    Raises:
        TrainingError: It lacks one that is needed.
    """
    parameters = signature(model.fit).parameters
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return dict(arguments)
    unneeded = {"verbose"} if arguments["epochs"] > 1 else {"verbose", "epochs"}
    given = {name for name, value in arguments.items() if value is not None} - unneeded
    missing = sorted({"callbacks", *given} - parameters.keys())
    if missing:
        raise TrainingError(
            f"The model's own fit has no argument {missing[0]}.",
            f"Add {missing[0]} to its parameters and pass it to super().fit().",
        )
    return {name: value for name, value in arguments.items() if name in parameters}


def batch_callbacks(
    callbacks: Iterable[keras.callbacks.Callback], methods: Sequence[str]
) -> list[str]:
    """The class names of those callbacks that do something at every batch.

    Keras's own may be called once for several batches, unless configured to count batches.
    """
    return [
        type(callback).__name__ for callback in callbacks if _needs_every_batch(callback, methods)
    ]


def _needs_every_batch(callback: keras.callbacks.Callback, methods: Sequence[str]) -> bool:
    bound = [getattr(callback, name) for name in methods]
    functions = (getattr(method, "__func__", method) for method in bound)
    modules = [getattr(function, "__module__", None) or "" for function in functions]
    frequencies = [getattr(callback, name, "epoch") for name in ("save_freq", "update_freq")]
    return (
        not all(module.startswith("keras.") for module in modules)
        or getattr(callback, "write_steps_per_second", False)
        or frequencies != ["epoch", "epoch"]
    )
