"""``tune``: search for the best values of the ranges in a model's text."""

from __future__ import annotations

import copy
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from inspect import isclass
from pathlib import Path
from typing import Any, Literal

import keras
from joblib import cpu_count

from kmagic.cluster.connection import connect
from kmagic.data.dataset import find_dataset
from kmagic.data.inspection import random_state_kept, stream_kind
from kmagic.language.parser import parse_partial
from kmagic.language.portable_text import make_portable
from kmagic.language.search_space import Hyperparameter, SearchSpace, parse_range
from kmagic.models.build import build_model
from kmagic.models.build.search_reading import check_corners, read_search_space
from kmagic.models.global_settings import changed_settings
from kmagic.models.model_arrays import has_custom_step
from kmagic.models.object_copies import pickle_for_process
from kmagic.support.caller_names import caller_names
from kmagic.support.errors import TrainingError, check_integer
from kmagic.support.formatting import describe_error
from kmagic.support.memory import available_memory
from kmagic.support.messages import Option, Text
from kmagic.support.object_errors import explain_special_methods
from kmagic.support.process_patches import isolated_keras, layer_counts, let_gpu_memory_grow
from kmagic.support.rendering import import_address
from kmagic.support.user_path import user_path
from kmagic.training.continuation import row_digests
from kmagic.training.fit import inspect_and_check, with_class_weight
from kmagic.training.fit_inputs import convert_arguments, dataset_parts, split_validation
from kmagic.training.fit_options import PLACES, FitOptions
from kmagic.training.run.provenance import fingerprint
from kmagic.training.run.run_list import list_run
from kmagic.training.run.training_run import VALIDATION
from kmagic.training.validation.fit_arguments import check_log_name, log_names
from kmagic.tuning.cluster_pool import ClusterPool
from kmagic.tuning.search_loop import SearchLoop
from kmagic.tuning.shared_values import TRAIN_HERE, ArrayFolder, PickledNames, for_cluster
from kmagic.tuning.study import BATCH_SIZE, Study, StudyDisplay
from kmagic.tuning.study_store import StudyStore, import_optuna
from kmagic.tuning.trial_history import trial_runs
from kmagic.tuning.trial_run import TrialSetup
from kmagic.tuning.worker_pool import LocalPool

TRIALS, EPOCHS = 20, 10
_DISPLAYS = "kmagic.display.tuning.study_displays:study_displays"
_WORKER_BYTES = 3 * 2**29
"""Memory that a worker needs for TensorFlow and a small model."""
_MINIMUMS = {"trials": 1, "epochs": 1, "workers": 1, "repeat": 0}


@explain_special_methods
def tune(
    text: str | SearchSpace,
    x: Any = None,
    y: Any = None,
    *,
    trials: int = TRIALS,
    epochs: int = EPOCHS,
    batch_size: int | str | Sequence[int] | Hyperparameter | None = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    goal: str = "val_loss",
    direction: Literal["minimize", "maximize"] | None = None,
    callbacks: Any = None,
    class_weight: Mapping[int, float] | Literal["balanced"] | None = None,
    sample_weight: Any = None,
    shuffle: bool = True,
    patience: int | None = None,
    reduce_lr: int | bool | None = None,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    plain: bool = False,
    checks: bool = True,
    budget: float | str | None = None,
    workers: int | None = None,
    in_process: bool = False,
    on: str | None = None,
    cpus: float | None = None,
    gpus: float | None = None,
    seed: int | None = None,
    store: str | Path | None = None,
    fresh: bool = False,
    repeat: int = 0,
    name: str = "model",
    displays: Iterable[StudyDisplay] | None = None,
) -> Study:
    """Search for the best values of the ranges in a model's text, with Optuna.

    Optuna's TPE chooses the values, and its MedianPruner ends trials that are worse than half of
    the earlier ones at the same epoch. Trials run in processes of their own, which share the data
    without copies; one that crashes or runs out of memory costs only itself. Before the first
    trial, the shapes of all extreme values are checked.

    ``study.stop()`` or an interrupt ends the running trials after their epoch; a second one ends
    them at once.

    Args:
        text: A model's text with ranges and choices, ``dense 64..512:64 relu|gelu``.
        x: Inputs, as for :func:`kmagic.fit`; also a dataset of :func:`kmagic.load_data`.
        y: Targets, if ``x`` does not contain them.
        trials: Total number of trials; with ``store``, those of earlier calls count.
        epochs: Epochs of each trial.
        batch_size: Samples per batch, or several to choose from: ``"16|32|64"``.
        validation_split: Fraction at the end of ``x`` that is kept for validation.
        validation_data: A pair (x, y), a triple with sample weights, or a dataset, whose test part
            is used.
        goal: The metric to improve. A trial counts with its best epoch.
        direction: Whether the goal is minimized or maximized; known for the metrics of Keras.
        callbacks: Keras callbacks, copied for each trial.
        class_weight: As in :func:`kmagic.fit`.
        sample_weight: One weight per sample.
        shuffle: Whether to shuffle the samples in each epoch.
        patience: End a trial after this many epochs in which its validation loss did not improve.
        reduce_lr: As in :func:`kmagic.fit`.
        steps_per_epoch: As in :func:`kmagic.fit`.
        validation_steps: As in :func:`kmagic.fit`.
        validation_batch_size: As in :func:`kmagic.fit`.
        plain: Use plain Keras without kmagic's pipeline.
        checks: Check the data before the first trial.
        budget: Time limit in seconds, or as text such as "20m". Then no trial begins, and the
            running ones end after their epoch.
        workers: Number of processes. Default: one per GPU, or else one per CPU core as far as the
            memory suffices.
        in_process: Train in this process, one trial after another: for small models and for data or
            objects that cannot be passed to another process. Keras keeps some megabytes per trial.
        on: Train on a Ray cluster: "local", "auto", "HOST:PORT" or "ray://HOST:PORT", as for
            :func:`kmagic.connect`. Then ``workers`` is by default as many as its nodes can run. The
            trials of a node that is lost are run again elsewhere.
        cpus: Processor cores for each trial on a cluster; 1 by default.
        gpus: GPUs for each, also a part of one, 0.5; 0 by default.
        seed: Makes the search repeatable, with one worker exactly. With several, the values depend
            also on which trial ends first.
        store: Folder for the study. The same call continues it there, also after a restart; a
            changed text never does. Default: a temporary folder, removed with the result.
        fresh: Remove an earlier study from the folder.
        repeat: Train this many of the best trials with three further seeds at the end;
            ``study.compare()`` says whether they differ by more than seeds do.
        name: Name of the models.
        displays: Views to use instead of the default: a card in a notebook, a line in a terminal,
            or as ``KMAGIC_DISPLAY`` says. An empty list shows nothing.

    Returns:
        The study: ``study.best_values``, ``study.text()``, ``study.model()``, ``study.to_frame()``,
        and ``study.optuna_study`` for everything else.

    Raises:
        DSLError: The text has mistakes, or some values do not fit together.
        TrainingError: An option has a wrong value, the data does not fit the model, the folder has
            another study, or the first trials all failed.
        ClusterError: The cluster cannot be used.

    Example:
        >>> import numpy
        >>> x = numpy.random.default_rng(0).normal(size=(64, 3))
        >>> study = tune(
        ...     "input 3 / dense 2|8 relu / dense 1 / compile adam loss=mse",
        ...     x, x.sum(axis=1), validation_split=0.25, trials=2, in_process=True, displays=[],
        ... )
        >>> [trial.status for trial in study.trials]
        ['complete', 'complete']
    """
    import_optuna()
    counts = {"trials": trials, "epochs": epochs, "repeat": repeat, "workers": workers}
    for option, value in counts.items():
        if value is not None:
            check_integer(TrainingError, option, value, _MINIMUMS[option])
    _check_place(on, cpus, gpus, in_process=in_process)
    limit = FitOptions(budget=budget, seed=seed).budget_seconds
    space = text if isinstance(text, SearchSpace) else read_search_space(text, caller_names())
    names = space.names
    parameters, batch_size = _with_batch_size(space, batch_size)
    if not parameters:
        raise TrainingError(
            "The text has no range and no choice.",
            "Write one, `dense 32..256:32` or `dense 64 relu|gelu`, or use `%%keras_model`.",
        )
    check_corners(space)
    x, y, validation_data = dataset_parts(None, x, y, validation_data)
    _check_streams(x, validation_data, in_process=in_process)
    if validation_data is None and not validation_split and goal.startswith(VALIDATION):
        raise TrainingError(
            Text(Option("goal", goal), " needs validation data."),
            Text("Keep some of the data for it: ", Option("validation_split", 0.1), "."),
            option="goal",
        )
    is_maximized = _is_maximized(goal, direction)
    dataset = find_dataset(x)
    values, of_search = locals(), {"budget", "fresh", "seed", *PLACES}
    names_of_fit = {option.name for option in fields(FitOptions)} & values.keys() - of_search
    options = FitOptions(**{option: values[option] for option in names_of_fit})
    _check_callbacks(callbacks)
    words = set(re.findall(r"[^\W\d]\w*", space.text))
    mentioned = {word: names[word] for word in sorted(words) if word in names}
    if not in_process:
        let_gpu_memory_grow()
    space, options, data, messages = _check_data(
        space, parameters, mentioned, (x, y), options, goal=goal
    )
    identity = {
        "text": "\n".join(line.rstrip() for line in space.text.strip().splitlines()),
        "values": _portable_values(space, names),
        "parameters": [asdict(parameter) for parameter in parameters],
        "data": _fingerprint(data),
        "goal": [goal, is_maximized],
        "options": options.recorded() | options.described(),
        "seed": seed,
    }
    if store is not None and not identity["data"]:
        messages.append("Whether the data is that of the earlier trials cannot be checked.")
    place = _Place(on, in_process, 1 if cpus is None else cpus, gpus or 0)
    count = place.worker_count(workers, messages)
    study_store = StudyStore(None if store is None else user_path(store))
    with study_store.locked():
        study = Study(
            name=name,
            space=space,
            parameters=parameters,
            goal=goal,
            is_maximized=is_maximized,
            target=trials,
            optuna_study=study_store.open_study(
                identity, name, is_maximized=is_maximized, fresh=fresh
            ),
            store=study_store,
            names=PickledNames(mentioned),
            dataset=dataset,
            workers=min(trials, count),
            budget=limit,
            messages=messages,
        )
        views = import_address(_DISPLAYS)() if displays is None else list(displays)
        setup = TrialSetup(
            data=data,
            options=replace(
                options, validation_split=0.0, validation_data=None, sample_weight=None
            ),
            names=study.names,
            name=name,
            goal=goal,
            is_maximized=is_maximized,
            weights=study_store.weights,
        )
        loop = SearchLoop(study, setup, repeat, views)
        earlier = {run.trial for run in trial_runs(study)}
        try:
            place.run(loop, study, setup, mentioned)
        finally:
            for run in trial_runs(study):
                if run.trial not in earlier:
                    list_run(run)
    return study


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the trials run: in this process, in others of this machine, or on a cluster."""

    on: str | None
    in_process: bool
    cpus: float
    gpus: float

    def worker_count(self, workers: int | None, messages: list[str]) -> int:
        """How many trials run at the same time; connects to the cluster, if there is one."""
        if self.on is None:
            return 1 if self.in_process else workers or _default_workers()
        cluster = connect(self.on)
        messages += cluster.messages
        fitting = cluster.require("A trial", cpus=self.cpus, gpus=self.gpus)
        return workers or fitting

    def run(
        self, loop: SearchLoop, study: Study, setup: TrialSetup, names: Mapping[str, Any]
    ) -> None:
        """Run the trials."""
        if self.in_process:
            with random_state_kept():
                loop.run()
        elif self.on is None:
            _run_in_processes(loop, study, setup, names)
        else:
            shared = _portable(replace(setup, data=for_cluster(setup.data)))
            with ClusterPool(shared, study.workers, cpus=self.cpus, gpus=self.gpus) as pool:
                loop.run(pool)


def _run_in_processes(
    loop: SearchLoop, study: Study, setup: TrialSetup, names: Mapping[str, Any]
) -> None:
    """Run the trials in worker processes, which read the data from files."""
    gpus = _visible_gpus()[: study.workers]
    with tempfile.TemporaryDirectory(prefix="kmagic-trials-") as folder:
        arrays = ArrayFolder(Path(folder))
        names_in_files = PickledNames(names, arrays)
        shared = _portable(replace(setup, data=arrays.share(setup.data), names=names_in_files))
        setup_file = Path(folder) / "setup.pkl"
        content = pickle_for_process("The data or a callback", shared, TRAIN_HERE)
        setup_file.write_bytes(content)
        threads = max(1, cpu_count() // study.workers)
        with LocalPool(setup_file, study.workers, threads, gpus) as pool:
            loop.run(pool)


def _portable(setup: TrialSetup) -> TrialSetup:
    """With the global settings of this process, for another one."""
    return replace(setup, settings=changed_settings(), layer_counts=dict(layer_counts()))


def _check_place(
    on: str | None, cpus: float | None, gpus: float | None, *, in_process: bool
) -> None:
    for option, value in (("cpus", cpus), ("gpus", gpus)):
        if value is None:
            continue
        if on is None:
            raise TrainingError(
                Text(Option(option), " is for trials on a cluster."),
                Text("Add ", Option("on", "local"), ", or leave it out."),
                option=option,
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise TrainingError(option=option, expected="a number of at least 0", actual=value)
    if on is not None and in_process:
        raise TrainingError(
            Text(Option("on", on), " and ", Option("in_process", True), " cannot be combined."),
            "Leave out one of the two.",
        )


def _check_callbacks(callbacks: Any) -> None:
    try:
        copy.deepcopy(callbacks)
    except Exception as error:
        raise TrainingError(
            Text(
                Option("callbacks"), f" cannot be copied for each trial: {describe_error(error)}."
            ),
            "Remove the callback, or give its class a method __deepcopy__.",
        ) from error


def _with_batch_size(
    space: SearchSpace, batch_size: Any
) -> tuple[tuple[Hyperparameter, ...], int | None]:
    """The parameters of a search with that of the batch size, and a batch size that is fixed."""
    varied = batch_size
    if isinstance(batch_size, str):
        try:
            varied = parse_range(batch_size, BATCH_SIZE)
        except ValueError as error:
            raise TrainingError(Text(Option(BATCH_SIZE), f": {error}"), option=BATCH_SIZE) from None
        if varied is None and batch_size.isdecimal():
            varied = int(batch_size)
    elif isinstance(batch_size, list | tuple):
        varied = Hyperparameter(BATCH_SIZE, tuple(batch_size))
    if not isinstance(varied, Hyperparameter):
        FitOptions(batch_size=varied)
        return space.parameters, varied
    ends = varied.ends()
    if not ends or not all(type(end) is int and end > 0 for end in ends):
        expected = "a positive integer, or several such as '16|32|64'"
        raise TrainingError(option=BATCH_SIZE, expected=expected, actual=batch_size)
    if any(parameter.name == BATCH_SIZE for parameter in space.parameters):
        raise TrainingError(
            Text(Option(BATCH_SIZE), " is varied, and the text also varies a batch_size."),
            "Rename the one in the text.",
        )
    return (*space.parameters, varied), None


def _check_streams(x: Any, validation_data: Any, *, in_process: bool) -> None:
    """Refuse data that several trainings cannot read."""
    for kind in map(stream_kind, (x, validation_data)):
        if kind == "generator":
            raise TrainingError(
                "A search needs data that can be read again; got a generator.",
                "Pass arrays, a tf.data.Dataset or a PyDataset.",
            )
        if kind not in ("", "PyDataset") and not in_process:
            raise TrainingError(
                f"A {kind} cannot be passed to another process.",
                Text("Pass arrays, or train in this process: ", Option("in_process", True), "."),
            )


def _is_maximized(goal: str, direction: str | None) -> bool:
    """Whether larger values of a metric are better, from its name as Keras knows it."""
    if direction is not None:
        if direction not in ("minimize", "maximize"):
            expected = "'minimize' or 'maximize'"
            raise TrainingError(option="direction", expected=expected, actual=direction)
        return direction == "maximize"
    parts = goal.removeprefix(VALIDATION).split("_")
    for start in range(len(parts)):  # the name of an output may come first
        name = "_".join(parts[start:])
        if name == "loss":
            return False
        with suppress(ValueError, TypeError):
            metric = keras.metrics.get({"acc": "accuracy"}.get(name, name))
            better = getattr(metric() if isclass(metric) else metric, "_direction", None)
            if better is not None:
                return bool(better == "up")
    raise TrainingError(
        Text(Option("goal", goal), ": whether larger values are better is not known."),
        Text(
            *("Add ", Option("direction", "maximize"), " or "),
            *(Option("direction", "minimize"), "."),
        ),
        option="goal",
    )


# --- data -----------------------------------------------------------------------------------------


def _check_data(
    space: SearchSpace,
    parameters: Sequence[Hyperparameter],
    names: Mapping[str, Any],
    data: tuple[Any, Any],
    options: FitOptions,
    *,
    goal: str,
) -> tuple[SearchSpace, FitOptions, dict[str, Any], list[str]]:
    """Check the data and the goal with the smallest model of the space.

    Returns:
        The space, whose text has a ``compile`` line now; the options with class weights by index;
        the data in the form that Keras takes, with validation data split off; and advice.

    Raises:
        TrainingError: The model does not fit the data, or does not compute the goal.
    """
    name = str(options.name)
    values = {parameter.name: parameter.ends()[0] for parameter in parameters}
    size = values.pop(BATCH_SIZE, options.batch_size)
    with random_state_kept(), isolated_keras():
        model = build_model(
            space.fill_spec(values),
            PickledNames(names).load(),
            where=space.where,
            first_line=space.first_line,
            name=name,
        )
        check, dataset = replace(options, batch_size=size), find_dataset(*data[:2])
        given = {"x": data[0], "y": data[1], **check.keras_arguments()}
        arguments = convert_arguments(model, given)
        check = with_class_weight(check, arguments, dataset)
        _, review = inspect_and_check(model, name, arguments, check, dataset)
        messages = list(map(str, review.messages))
        if review.compile_choice is not None:
            review.compile_choice.apply(model)
            line = " ".join(["compile", *review.compile_choice.parts])
            messages[0] = f"The text has no compile line, so this one was added: `{line}`."
            space = read_search_space(
                f"{space.text.rstrip()}\n{line}",
                space.names,
                where=space.where,
                first_line=space.first_line,
            )
    parts = split_validation(arguments)
    kept = {key: parts.get(key) for key in ("x", "y", "sample_weight", "validation_data")}
    has_validation = kept["validation_data"] is not None
    if not options.callbacks and not has_custom_step(model):  # which may add metrics
        known = log_names(model)
        check_log_name(goal, "The goal is", known, has_validation=has_validation, option="goal")
        if has_validation and goal in known:
            messages.append(
                f"The goal {goal} is measured on the training data; val_{goal} would be measured "
                "on the validation data."
            )
    return space, replace(options, class_weight=check.class_weight), kept, messages


def _portable_values(space: SearchSpace, names: Mapping[str, Any]) -> dict[str, str]:
    """The values of the notebook's variables in a text, as far as they can be written."""
    portable = make_portable(parse_partial(space.text, ranges=True), names)
    return {"text": portable.text, **portable.values}


def _fingerprint(data: Mapping[str, Any]) -> str:
    """What identifies the data; "" if its content is not known."""
    parts = [value for value in data.values() if value is not None]
    if found := fingerprint(*parts):
        return found
    rows = [row_digests(part) for value in parts for part in keras.tree.flatten(value)]
    if not all(rows):
        return ""
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


# --- processes ------------------------------------------------------------------------------------


def _visible_gpus() -> list[str]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import tensorflow as tf  # noqa: PLC0415 - imported with Keras

    count = len(tf.config.list_physical_devices("GPU"))
    given = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return given[:count] if given else [str(index) for index in range(count)]


def _default_workers() -> int:
    """One process per GPU, or per core as far as the memory suffices."""
    fitting = max(1, available_memory() // _WORKER_BYTES)
    return len(_visible_gpus()) or min(cpu_count(), fitting)
