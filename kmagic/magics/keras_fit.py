"""``%keras_fit``: training with a live view."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from IPython.core.magic import magics_class

from kmagic.magics.base import BaseMagics, magic
from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.support.errors import TrainingError
from kmagic.support.model_registry import run_for
from kmagic.support.rendering import mark_displayed

FIT = LineParser(
    "%keras_fit",
    "Train a model with a live view. Its stop button keeps all results so far.",
    "%keras_fit cnn --data digits -e 3 -b 64 --val 0.1 -o run\n"
    "%keras_fit cnn x_train y_train -e 30 --val 0.1 --patience 3 --restore-best\n"
    "%keras_fit cnn --data digits -e 10 --val 0.1 --watch confusion",
    {
        "validation_split": "--val",
        "validation_data": "--val",
    },
)
FIT.option("words", nargs="*", metavar="[MODEL] [X Y]", help="default: the last model")
FIT.option("--data", metavar="D", help="a data set of %%keras_data: its training part")
FIT.option(
    "-e",
    "--epochs",
    metavar="N",
    help="epochs (default: 1; with --resume those of the interrupted run)",
)
FIT.option("-b", "--batch-size", metavar="N", default="32", help="samples per batch (default: 32)")
FIT.option(
    "--val",
    metavar="V",
    help="validation data: a fraction such as 0.1, a pair Xv,Yv, or a data set",
)
FIT.option(
    "--patience",
    metavar="N",
    help="stop when the loss has not improved for N epochs: the validation loss with --val, "
    "otherwise the training loss",
)
FIT.option(
    "--reduce-lr",
    metavar="N",
    nargs="?",
    const="5",
    help="lower the learning rate after N such epochs (default: 5)",
)
FIT.option("--restore-best", action="store_true", help="restore the weights of the best epoch")
FIT.option("--budget", metavar="T", help="time limit, e.g. 90s, 2m, 1h30m")
FIT.option("--checkpoint", metavar="DIR", help="folder to save the run in after each epoch")
FIT.option(
    "--resume",
    action="store_true",
    help="continue the model's last run, or the one in the checkpoint, up to -e epochs",
)
FIT.option(
    "--watch",
    choices=("confusion",),
    help="confusion matrix of the validation data after each epoch",
)
FIT.option("--csv", metavar="FILE", help="file to write each epoch's values to")
FIT.option("--tensorboard", metavar="DIR", help="folder for a TensorBoard log")
FIT.option("--callbacks", metavar="C", help="a Keras callback or a list of them")
FIT.option("--class-weight", metavar="W", help="a dictionary: class -> weight")
FIT.option("--sample-weight", metavar="W", help="an array: one weight per sample")
FIT.option("--no-shuffle", action="store_true", help="keep the samples in their order")
FIT.option("--seed", metavar="N", help="random seed, for a reproducible run")
FIT.option("--plain", action="store_true", help="use plain Keras fit")
FIT.option("--no-checks", action="store_true", help="do not check the data before the training")
FIT.result_options()


@magics_class
class TrainingMagics(BaseMagics):
    """The magic for training."""

    @magic(FIT, interruptible=True)
    def keras_fit(self, line: ParsedLine) -> Any:
        """Train a model; ``%keras_fit -h`` shows the options."""
        from kmagic.api import fit  # noqa: PLC0415 - not before a fit

        words = list(line.words)
        name, model = self.take_model(line, words)
        x, y, _ = self.take_data(line, words, test=False)
        options = _fit_options(line, model)
        previous, run = run_for(model), None
        try:
            run = fit(
                model,
                x,
                y,
                name=name,
                displays=[] if line.quiet else None,
                earlier=self.session.runs,
                **options,
            )
        except TrainingError as error:
            word = getattr(line, error.option, None) if error.option else None
            if not isinstance(word, str):
                raise
            error.spelling = line.spelling
            line.fail(error.message, word, error.remedy)
        finally:
            # The record of a run that ended with an error is kept, too.
            last = run_for(model) if run is None else run
            if last is not previous:
                self.session.runs.append(last)
                if line.out:
                    self.session.names[line.out] = last
        mark_displayed(run)
        return run


def _fit_options(line: ParsedLine, model: Any) -> dict[str, Any]:
    """The options as keywords of :func:`kmagic.fit`; options that are not given are left out."""
    options: dict[str, Any] = {
        "epochs": _epochs(line, model),
        "batch_size": line.number("batch_size", minimum=1),
        "shuffle": not line.no_shuffle,
        **_validation(line),
    }
    for name, minimum in (("seed", 0), ("patience", 0), ("reduce_lr", 1)):
        options[name] = line.number(name, minimum=minimum)
    for name in ("csv", "tensorboard", "checkpoint"):
        options[name] = line.text_or_value(getattr(line, name))
    for name in ("class_weight", "sample_weight"):
        text = getattr(line, name)
        options[name] = line.value(text) if text else None
    if line.budget is not None:
        value, known = line.try_value(line.budget)
        options["budget"] = value if known else line.budget
    for name in ("restore_best", "resume", "plain"):
        options[name] = getattr(line, name) or None
    if line.watch is not None:
        if not line.val:
            remedy = "Use a part of the data for it: `--val 0.1`."
            line.fail("needs validation data", "--watch", remedy)
        options["watch"] = line.watch
    if line.no_checks:
        options["checks"] = False
    if line.callbacks:
        callbacks = line.value(line.callbacks)
        options["callbacks"] = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    return {name: value for name, value in options.items() if value is not None}


def _epochs(line: ParsedLine, model: Any) -> Any:
    """The epochs asked for; with ``--resume`` those of the checkpoint's or the model's run."""
    if line.epochs is not None:
        return line.number("epochs", minimum=1)
    if not line.resume:
        return 1
    if line.checkpoint is not None:
        from kmagic.training.callbacks.checkpoint import Checkpoint  # noqa: PLC0415 - needs Keras

        folder = line.text_or_value(line.checkpoint)
        checkpoint = Checkpoint(folder if isinstance(folder, str | Path) else "")
        if checkpoint.exists:
            return checkpoint.epochs or 1
    run = run_for(model)
    return 1 if run is None else run.epochs


def _validation(line: ParsedLine) -> dict[str, Any]:
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
        if not 0 < value < 1:
            line.fail(f"--val must be between 0 and 1; got {value}", text)
        return {"validation_split": float(value)}
    if isinstance(value, tuple) and all(isinstance(item, int | float) for item in value):
        message = f"--val must be a fraction or two arrays; got {text}"
        line.fail(message, text, "Write a fraction with a point: 0.1.")
    if isinstance(value, bool | str):
        remedy = "Write a fraction such as 0.1, a pair Xv,Yv, or a data set."
        line.fail(f"--val must be validation data; got {value!r}", text, remedy)
    if hasattr(value, "x_test"):
        value = (value.x_test, value.y_test)
    return {"validation_data": value}
