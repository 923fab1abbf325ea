"""How a fit is done: by a pipeline of our own, or by Keras alone, and then for what reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from kmagic.training.pipeline.batch_stream import batches_in, ordered, shuffled
from kmagic.training.pipeline.batches_per_call import Stride
from kmagic.training.pipeline.fit_inputs import Arrays, UnsuitedError, take_arrays, take_validation

if TYPE_CHECKING:
    import keras

    from kmagic.training.pipeline.executions import Executions

DEFAULT_BATCH = 32
"""Keras's own batch size, where the user names none."""

OWN = (
    "fit",
    "evaluate",
    "train_step",
    "test_step",
    "compute_metrics",
    "make_train_function",
    "make_test_function",
)
"""Methods that must be Keras's own, so that it is known what a step of training does."""
TRAINING = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
VALIDATION = ("on_test_batch_begin", "on_test_batch_end")


class Plain:
    """A fit as Keras does it: a context in which nothing is changed.

    Args:
        why: The reason, as "x is a generator".
        arguments: What ``model.fit`` is called with, the callbacks left out.

    Attributes:
        way: In words, for the record.
        breaks: Whether an execution ends with the batch in which the loss is no number any more.
    """

    def __init__(self, why: str, arguments: dict[str, Any]) -> None:
        self.arguments = arguments
        self.way = f"plain: {why}"
        self.breaks = False

    def callbacks(self, callbacks: Sequence[keras.callbacks.Callback]) -> Any:
        """The callbacks as ``model.fit`` takes them."""
        return list(callbacks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *how: object) -> None:
        pass


class Fast:
    """A fit of arrays by one endless pipeline, several batches to an execution.

    It is a context: within it the model's train and test function are ours.

    Args:
        model: The model.
        training: What it is trained on.
        validation: What is validated, where that is arrays too.
        arguments: Those of ``model.fit``; here they become what it is called with.
        repeatable: What is trained must not depend on how quick the machine is, not by a bit.
    """

    def __init__(
        self,
        model: keras.Model,
        training: Arrays,
        validation: Arrays | None,
        arguments: dict[str, Any],
        *,
        repeatable: bool,
    ) -> None:
        self._model = model
        self._used: list[Executions] = []
        self.way = "fast"
        self.breaks = True
        batch = arguments.pop("batch_size", None) or DEFAULT_BATCH
        validated = arguments.pop("validation_batch_size", None) or batch
        mix = shuffled if arguments.pop("shuffle", True) else ordered
        for name in ("y", "sample_weight", "class_weight", "validation_split"):
            arguments.pop(name, None)
        self._steps = batches_in(training.samples, batch)
        self._batch = batch
        self._short = bool(training.samples % batch)
        self._exact = repeatable or mix is ordered
        self._validation_steps = 0
        self.arguments = arguments | {
            "x": mix(training.packed, training.samples, batch),
            "steps_per_epoch": self._steps,
            "shuffle": False,
        }
        if validation is not None:
            self._validation_steps = batches_in(validation.samples, validated)
            stream = ordered(validation.packed, validation.samples, validated)
            self.arguments |= {
                "validation_data": stream,
                "validation_steps": self._validation_steps,
            }
        elif arguments.get("validation_data") is not None:
            self.arguments["validation_batch_size"] = validated

    def callbacks(self, callbacks: Sequence[keras.callbacks.Callback]) -> Any:
        """The callbacks as ``model.fit`` takes them, to be told of whole executions.

        Where one of them watches each batch, an execution is a batch. Those that have an
        attribute ``any_stride`` set do not mind.
        """
        from kmagic.training.pipeline.executions import Callbacks, Executions, Loop
        from kmagic.training.pipeline.step_graph import gains_by_size  # noqa: PLC0415 - as above

        minding = [each for each in callbacks if not getattr(each, "any_stride", False)]
        watching = watchers(minding, TRAINING)
        if watching:
            self.way = f"fast, batch by batch: {watching[0]} watches each"
        sized = self._short and not self._exact and gains_by_size(self._model)
        training = Loop(
            self._steps,
            Stride(1 if watching else None),
            epochs=self.arguments.get("epochs", 1) - self.arguments.get("initial_epoch", 0),
            whole=self._batch if sized else None,
        )
        self._used = [Executions.of(self._model, "train")]
        self._used[0].loop = training
        validation = None
        if self._validation_steps:
            most = 1 if watchers(minding, VALIDATION) else None
            validation = Loop(self._validation_steps, Stride(most))
            self._used.append(Executions.of(self._model, "test"))
            self._used[1].loop = validation
        verbose = self.arguments.get("verbose", "auto")
        return Callbacks(
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *how: object) -> None:
        for executions in self._used:
            executions.leave()


def plan(
    model: keras.Model,
    arguments: Mapping[str, Any],
    *,
    plain: bool = False,
    repeatable: bool = False,
) -> Plain | Fast:
    """Choose how a fit is done.

    Args:
        model: A compiled model.
        arguments: Those of ``model.fit``, by name, the callbacks left out.
        plain: The user wants Keras's own way.
        repeatable: The user wants the same from each training, to the last bit. So it is without
            ``shuffle`` anyway.

    Returns:
        The way, as a context; within it ``model.fit(**way.arguments)`` trains, with
        ``callbacks=way.callbacks(...)``.
    """
    try:
        if plain:
            raise UnsuitedError("asked for")  # noqa: TRY301 - the one way out
        check_model(model)
        return _fast(model, dict(arguments), repeatable=repeatable)
    except UnsuitedError as reason:
        return Plain(str(reason), dict(arguments))


def _fast(model: keras.Model, arguments: dict[str, Any], *, repeatable: bool) -> Fast:
    """A fit by a pipeline of our own; raises UnsuitedError if it cannot be."""
    for name in ("steps_per_epoch", "validation_steps"):
        if arguments.get(name) is not None:
            raise UnsuitedError(f"{name} is given")
    if not isinstance(arguments.get("shuffle", True), bool):
        raise UnsuitedError(f"shuffle is {arguments['shuffle']!r}")
    for name in ("batch_size", "validation_batch_size"):
        size = arguments.get(name) or DEFAULT_BATCH
        if not isinstance(size, int) or size < 1:
            raise UnsuitedError(f"{name} is {size!r}")
    training = take_arrays(*(arguments.get(name) for name in ("x", "y", "sample_weight")))
    validation = None
    if arguments.get("validation_data") is not None:
        validation = take_validation(arguments["validation_data"])
    elif arguments.get("validation_split"):
        training, validation = training.split(arguments["validation_split"])
    training = training.weighted(arguments.get("class_weight"))
    return Fast(model, training, validation, arguments, repeatable=repeatable)


def check_model(model: keras.Model) -> None:
    """Refuse a model whose steps do something that is not known.

    Raises:
        UnsuitedError: Says what it is.
    """
    import keras  # noqa: PLC0415 - takes seconds
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    if keras.config.backend() != "tensorflow":
        raise UnsuitedError(f"Keras runs on {keras.config.backend()}")
    for name in OWN:
        method = getattr(model, name)
        if getattr(method, "__func__", None) is not getattr(keras.Model, name):
            raise UnsuitedError(f"the model has a {name} of its own")
    for name in ("train_function", "test_function"):
        home = getattr(getattr(model, name), "__module__", "keras.")
        if not home.startswith(("keras.", "kmagic.")):
            raise UnsuitedError(f"the model has a {name} of its own")
    if model.run_eagerly or tf.config.functions_run_eagerly():
        raise UnsuitedError("the model runs eagerly")
    if model.jit_compile:
        raise UnsuitedError("the model is compiled by XLA (jit_compile)")
    if model.steps_per_execution != 1:
        raise UnsuitedError(f"steps_per_execution is {model.steps_per_execution}")
    strategy = tf.distribute.get_strategy()
    if tf.distribute.has_strategy() or model.distribute_strategy is not strategy:
        raise UnsuitedError("the model is trained by a distribution strategy")
    if keras.distribution.distribution() is not None:
        raise UnsuitedError("the model is trained by a distribution")
    limits = ("max_epochs", "max_steps_per_epoch")  # new in Keras 3.11
    if any(getattr(keras.config, limit, lambda: None)() for limit in limits):
        raise UnsuitedError("Keras is told to limit epochs or steps")
    if any(device.device_type != "CPU" for device in tf.config.list_physical_devices()):
        raise UnsuitedError("there is another processor than the CPU")


def watchers(callbacks: Iterable[keras.callbacks.Callback], methods: Sequence[str]) -> list[str]:
    """The classes of those callbacks that do something at each batch.

    Keras's own bear to be called for several batches at once, unless they were told to count
    them.
    """
    return [type(each).__name__ for each in callbacks if _watches(each, methods)]


def _watches(callback: keras.callbacks.Callback, methods: Sequence[str]) -> bool:
    for name in methods:
        method = getattr(callback, name)
        home = getattr(getattr(method, "__func__", method), "__module__", None) or ""
        if not home.startswith("keras."):
            return True
    counting = ("save_freq", "update_freq")
    return getattr(callback, "write_steps_per_second", False) or any(
        getattr(callback, name, "epoch") != "epoch" for name in counting
    )
