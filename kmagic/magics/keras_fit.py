"""``%keras_fit``: training with a live view."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import Session, magic
from kmagic.support.display_mode import has_widgets
from kmagic.support.rendering import mark_displayed

FIT = LineParser(
    "%keras_fit",
    "Train a model with a live view. Its stop button keeps all results so far.",
    "%keras_fit cnn --data digits -e 3 -b 64 --val 0.1 -o run\n"
    "%keras_fit cnn x_train y_train -e 30 --val 0.1 --patience 3 --restore-best\n"
    "%keras_fit cnn --data digits -e 10 --val 0.1 --watch confusion\n"
    "%keras_fit cnn --data digits -e 5 --folds 5 -o cv",
    {"validation_split": "--val", "validation_data": "--val"},
)
FIT.argument("[MODEL] [X Y]", "default: the last model")
FIT.option("--data D", "a dataset of %%keras_data: its training part")
FIT.option("-e --epochs N", "epochs (default: 1)", minimum=1)
FIT.option("-b --batch-size N", "samples per batch (default: 32)", minimum=1)
FIT.option("--val V", "validation data: a fraction such as 0.1, a pair Xv,Yv, or a dataset")
FIT.option(
    "--folds N",
    "cross-validation: train N times with new weights, each on all folds but one; classes keep "
    "their proportions, samples in the order of time their order",
    minimum=2,
)
FIT.option("--repeat N", "repeat with other seeds, and with --folds with other folds", minimum=1)
FIT.option(
    "--groups G",
    "for --folds: a column of the table, or an array; no group is in both parts of a fold",
    read="value or text",
)
FIT.option("--chronological", "for --folds: hold out later rows than those that are trained on")
FIT.option("--steps-per-epoch N", "batches per epoch, for data without a known end", minimum=1)
FIT.option("--validation-steps N", "batches of validation data, likewise", minimum=1)
FIT.option(
    "--patience N",
    "stop when the loss has not improved for N epochs: the validation loss with --val, "
    "otherwise the training loss",
    minimum=0,
)
FIT.option(
    "--reduce-lr N",
    "lower the learning rate after N such epochs (default: 5)",
    minimum=1,
    nargs="?",
    const="5",
)
FIT.option("--restore-best", "restore the weights of the best epoch")
FIT.option("--budget T", "time limit, e.g. 90s, 2m, 1h30m", read="value or text")
FIT.option("--checkpoint DIR", "folder to save the run in after each epoch", read="text")
FIT.option(
    "--resume",
    "continue the model's last run, or the one in the checkpoint, up to -e epochs, with its data "
    "and options where no others are given",
)
FIT.option("--fresh", "start with new weights, also if the model was trained before")
FIT.option("--watch {confusion}", "confusion matrix of the validation data after each epoch")
FIT.option("--output NAME", "with --watch: the output that is watched", read="text")
FIT.option("--csv FILE", "file to write each epoch's values to", read="text")
FIT.option("--tensorboard DIR", "folder for a TensorBoard log", read="text")
FIT.option("--callbacks C", "a Keras callback or a list of them", read="value")
FIT.option(
    "--class-weight W",
    "balanced, or a dictionary: class index or name -> weight",
    read="value or text",
)
FIT.option("--sample-weight W", "an array: one weight per sample", read="value")
FIT.option("--no-shuffle", "keep the samples in their order")
FIT.option("--seed N", "random seed, for a reproducible run", minimum=0)
FIT.option("--plain", "use plain Keras fit")
FIT.option(
    "--on ADDRESS",
    "train on a Ray cluster: local, auto, HOST:PORT or ray://HOST:PORT (default with --workers: "
    "that of %%keras_cluster, or local); off: on this machine",
    read="text",
)
FIT.option(
    "--workers N",
    "processes that train together, each a part of every batch (default with --on: one per "
    "machine)",
    minimum=1,
)
FIT.option(
    "--gpus N",
    "all or a number: GPUs of this machine, or with --on of the cluster",
    read="value or text",
)
FIT.option("--no-checks", "do not check the data before the training")
FIT.result_options()


@magic(FIT, interruptible=True)
def keras_fit(session: Session, line: ParsedLine) -> Any:
    """Train a model; ``%keras_fit -h`` shows the options."""
    from kmagic.api import cross_validate, fit  # noqa: PLC0415 - not before a fit

    name, model = session.take_model(line)
    x = y = None
    if line.arguments or line.data or not line.resume:
        x, y, _ = session.take_data(line, test=False)
    options = _fit_options(line) | {"name": name, "displays": [] if line.quiet else None}
    if line.on or line.workers:
        is_here = line.on == "off" and line.workers
        options["on"] = "local" if is_here else session.cluster_of(line)
    folds = line.keywords("folds", "repeat", "groups") | {"chronological": line.chronological}
    count = len(session.runs)
    result: Any = None
    is_repeated = any(value is not None and value is not False for value in folds.values())
    try:
        with line.marking_options():
            if is_repeated:
                folds["repeat"] = folds["repeat"] or 1
                folds["chronological"] = line.chronological or None
                result = cross_validate(model, x, y, **folds, **options)
            else:
                fit(model, x, y, earlier=session.runs, **options)
    finally:
        if len(session.runs) > count:  # also if it ended with an error
            for run in session.runs[count:]:
                run.variables |= line.settings
            result = result or session.runs[-1]
            if line.out:
                session.notebook[line.out] = result
    mark_displayed(result)
    return result


def import_for_fit() -> None:
    """Import what the first fit needs, so that its view appears at once."""
    import_module("kmagic.training.fit")
    if has_widgets():
        from kmagic.display.training.live_view import dashboard_class  # noqa: PLC0415 - as above

        dashboard_class()


def _fit_options(line: ParsedLine) -> dict[str, Any]:
    """The options as keywords of :func:`kmagic.fit`; options that are not given are left out."""
    options = line.keywords(
        *("epochs", "batch_size", "seed", "patience", "reduce_lr", "csv", "tensorboard"),
        *("checkpoint", "class_weight", "sample_weight", "budget", "watch", "output"),
        *("steps_per_epoch", "validation_steps", "workers", "gpus"),
    )
    options |= validation_options(line)
    if line.no_shuffle:
        options["shuffle"] = False
    for name in ("restore_best", "resume", "fresh", "plain"):
        options[name] = getattr(line, name) or None
    if line.watch is not None and not (line.val or line.resume):
        remedy = "Use a part of the data for it: `--val 0.1`."
        line.fail("needs validation data", "--watch", remedy)
    if line.no_checks:
        options["checks"] = False
    callbacks = line.callbacks
    if callbacks is not None:
        options["callbacks"] = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    return {name: value for name, value in options.items() if value is not None}


def validation_options(line: ParsedLine) -> dict[str, Any]:
    """What ``--val`` means, as keywords of :func:`kmagic.fit`."""
    text = line.val
    if not text:
        return {}
    value, known = line.try_value(text)
    if not known and "," in text:
        inner = text[1:-1] if text[0] == "(" and text[-1] == ")" else text
        value, known = tuple(line.value(part.strip()) for part in inner.split(",")), True
    if not known:
        value = line.value(text)
    if isinstance(value, float | int) and not isinstance(value, bool):
        if not (0 < value < 1 or (value == 0 and line.resume)):
            line.fail(f"--val must be between 0 and 1; got {value}", text)
        return {"validation_split": float(value)}
    if isinstance(value, tuple) and all(isinstance(item, int | float) for item in value):
        message = f"--val must be a fraction or two arrays; got {text}"
        line.fail(message, text, "Write a fraction with a point: 0.1.")
    if isinstance(value, bool | str):
        remedy = "Write a fraction such as 0.1, a pair Xv,Yv, or a dataset."
        line.fail(f"--val must be validation data; got {value!r}", text, remedy)
    if hasattr(value, "x_test"):
        value = (value.x_test, value.y_test)
    return {"validation_data": value}
