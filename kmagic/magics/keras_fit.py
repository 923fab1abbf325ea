"""``%keras_fit``: training, watched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand

from kmagic.magics.base import Family, forgiving
from kmagic.magics.line_parser import Arguments, Line
from kmagic.support.formatting import parse_duration
from kmagic.support.model_registry import run_for
from kmagic.support.rendering import mark_displayed
from kmagic.training.fit_options import has_file_name

FIT = Arguments(
    "%keras_fit",
    "Train a model with a live view; stop it by its button and lose nothing.",
    "%keras_fit cnn --data digits -e 3 -b 64 --val 0.1 -o run\n"
    "%keras_fit cnn x_train y_train -e 30 --val 0.1 --patience 3 --restore-best\n"
    "%keras_fit cnn --data digits -e 10 --val 0.1 --watch confusion",
)
FIT.option("words", nargs="*", metavar="[MODEL] [X Y]", help="default: the last model made")
FIT.option("--data", metavar="D", help="a data set from %%keras_data: its training part")
FIT.option(
    "-e",
    "--epochs",
    metavar="N",
    help="epochs (default 1; with --resume as many as its run was to have)",
)
FIT.option("-b", "--batch-size", metavar="N", default="32", help="batch size (default 32)")
FIT.option("--val", metavar="V", help="a fraction such as 0.1, a pair Xv,Yv, or a data set")
FIT.option(
    "--patience",
    metavar="N",
    help="stop when the loss has not improved for N epochs: with --val the validation's, "
    "without it the training's",
)
FIT.option(
    "--reduce-lr",
    metavar="N",
    nargs="?",
    const="5",
    help="lower the learning rate after N such epochs (default 5)",
)
FIT.option("--restore-best", action="store_true", help="put the best epoch's weights back")
FIT.option("--budget", metavar="T", help="a time such as 90s, 2m, 1h30m: end before it is over")
FIT.option("--checkpoint", metavar="DIR", help="a folder that keeps the run after each epoch")
FIT.option(
    "--resume",
    action="store_true",
    help="go on with the model's last run, or with the one in the checkpoint, up to -e epochs",
)
FIT.option(
    "--watch",
    choices=("confusion",),
    help="the confusion matrix of the validation data after each epoch",
)
FIT.option("--csv", metavar="FILE", help="write each epoch's figures to a file")
FIT.option("--tensorboard", metavar="DIR", help="write a log for TensorBoard")
FIT.option("--callbacks", metavar="C", help="a Keras callback or a list of them")
FIT.option("--class-weight", metavar="W", help="a dictionary: class -> weight")
FIT.option("--sample-weight", metavar="W", help="an array: one weight a sample")
FIT.option("--no-shuffle", action="store_true", help="keep the samples in their order")
FIT.option("--seed", metavar="N", help="make the run repeatable")
FIT.option("--plain", action="store_true", help="Keras's own way, without our pipeline")
FIT.option("--no-checks", action="store_true", help="do not look at the data before the training")
FIT.result_options()


@magics_class
class TrainingMagics(Family):
    """Training."""

    @forgiving
    @no_var_expand
    @line_magic
    def keras_fit(self, line: str) -> Any:
        """Train a model; ``%keras_fit -h`` tells more."""
        read = self.read(FIT, line)
        if read is None:
            return None
        from kmagic.api import fit  # noqa: PLC0415 - not before a fit

        words = list(read.words)
        name, model = self.take_model(read, words)
        x, y, _ = self.take_data(read, words, test=False)
        keywords = _keywords(read, model)
        before, done = run_for(model), None
        try:
            done = fit(
                model,
                x,
                y,
                name=name,
                displays=[] if read.quiet else None,
                earlier=self.session.runs,
                **keywords,
            )
        finally:
            # Of a training that broke with an error the record is kept as well.
            run = run_for(model) if done is None else done
            if run is not before:
                self.session.runs.append(run)
                if read.out:
                    self.session.bind(read.out, run)
        mark_displayed(done)
        return done


def _keywords(read: Line, model: Any) -> dict[str, Any]:
    """The options as the keywords of ``model.fit``; all are checked before anything starts."""
    found: dict[str, Any] = {
        "epochs": _epochs(read, model),
        "batch_size": read.number(read.batch_size, "--batch-size", least=1),
        "shuffle": not read.no_shuffle,
        **_validation(read),
        **_options(read),
    }
    if read.class_weight:
        found["class_weight"] = read.value(read.class_weight)
    if read.sample_weight:
        found["sample_weight"] = read.value(read.sample_weight)
    if read.callbacks:
        given = read.value(read.callbacks)
        found["callbacks"] = given if isinstance(given, list | tuple) else [given]
    return found


def _epochs(read: Line, model: Any) -> Any:
    """How many are asked for; a run that is to go on, the checkpoint's before all, has its own."""
    if read.epochs is not None:
        return read.number(read.epochs, "--epochs", least=1)
    if not read.resume:
        return 1
    if read.checkpoint is not None:
        from kmagic.training.callbacks.checkpoint import Checkpoint  # noqa: PLC0415 - needs Keras

        store = Checkpoint(_path(read, read.checkpoint, "--checkpoint"))
        if store.is_there:
            return store.epochs or 1
    earlier = run_for(model)
    return 1 if earlier is None else earlier.epochs


def _options(read: Line) -> dict[str, Any]:
    """Those that are not Keras's own; the ones that were not given are left out."""
    found: dict[str, Any] = {}
    for name, least in (("seed", 0), ("patience", 0), ("reduce_lr", 1)):
        text = getattr(read, name)
        if text is not None:
            found[name] = read.number(text, f"--{name.replace('_', '-')}", least=least)
    for name in ("csv", "tensorboard", "checkpoint"):
        text = getattr(read, name)
        if text is not None:
            found[name] = _path(read, text, f"--{name}")
    if read.budget is not None:
        found["budget"] = _budget(read)
    for name in ("restore_best", "resume", "plain"):
        if getattr(read, name):
            found[name] = True
    if read.watch is not None:
        if not read.val:
            remedy = "Keep some of the data for it: `--val 0.1`."
            read.fail("needs validation data", "--watch", remedy)
        found["watch"] = "confusion"
    if read.no_checks:
        found["checks"] = False
    return found


def _path(read: Line, text: str, option: str) -> Path:
    """A path: as it stands, quoted, or a value of the notebook's in braces."""
    value = read.value(text) if text[0] in "{\"'" else text
    if not isinstance(value, str | Path) or not str(value):
        read.fail(f"{option} takes a path, not {value!r}", text)
    path = Path(value)
    is_folder = option != "--csv"
    if is_folder and path.exists() and not path.is_dir():
        read.fail(f"{option} takes a folder, and this is a file", text)
    if is_folder and has_file_name(path):
        remedy = f"Name it {path.with_suffix('')}. `%keras_save` makes files."
        read.fail(f"{option} takes a folder, and this is a file's name", text, remedy)
    if not is_folder and path.is_dir():
        read.fail(f"{option} takes a file, and this is a folder", text)
    if not is_folder and not path.parent.is_dir():
        read.fail(f"there is no folder {path.parent}", text, "Make it first.")
    return path


def _budget(read: Line) -> float:
    value, known = read.try_value(read.budget)
    seconds = parse_duration(str(value) if known else read.budget)
    if not seconds:
        remedy = "Write 90s, 2m or 1h30m."
        read.fail(f"--budget takes a time, not {read.budget}", read.budget, remedy)
    return seconds


def _validation(read: Line) -> dict[str, Any]:
    if not read.val:
        return {}
    value, known = read.try_value(read.val)
    if not known and "," in read.val:
        inner = read.val[1:-1] if read.val[0] == "(" and read.val[-1] == ")" else read.val
        value, known = tuple(read.value(part.strip()) for part in inner.split(",")), True
    if not known:
        value = read.value(read.val)
    if isinstance(value, float | int) and not isinstance(value, bool):
        if not 0 < value < 1:
            read.fail(f"--val takes a fraction between 0 and 1, not {value}", read.val)
        return {"validation_split": float(value)}
    if isinstance(value, tuple) and all(isinstance(each, int | float) for each in value):
        remedy = "A fraction has a point: 0.1."
        read.fail(f"--val takes a fraction or two arrays, not {read.val}", read.val, remedy)
    if isinstance(value, bool | str):
        remedy = "Write a fraction such as 0.1, a pair Xv,Yv, or a data set."
        read.fail("is no validation data", read.val, remedy)
    if hasattr(value, "x_test"):
        value = (value.x_test, value.y_test)
    return {"validation_data": value}
