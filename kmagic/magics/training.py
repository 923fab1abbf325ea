"""``%keras_fit`` and ``%keras_history``: training, watched."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand

from kmagic.magics.arguments import Arguments, Line
from kmagic.magics.base import Family
from kmagic.rich import note_shown, show

FIT = Arguments(
    "%keras_fit",
    "Train a model with a live view; stop it by its button and lose nothing.",
    "%keras_fit cnn --data digits -e 3 -b 64 --val 0.1 -o run\n"
    "%keras_fit cnn x_train y_train -e 10",
)
FIT.option("words", nargs="*", metavar="[MODEL] [X Y]", help="default: the last model made")
FIT.option("--data", metavar="D", help="a data set from %%keras_data: its training part")
FIT.option("-e", "--epochs", metavar="N", default="1", help="epochs (default 1)")
FIT.option("-b", "--batch-size", metavar="N", default="32", help="batch size (default 32)")
FIT.option("--val", metavar="V", help="a fraction such as 0.1, a pair Xv,Yv, or a data set")
FIT.option("--patience", metavar="N", help="stop when validation has not improved for N epochs")
FIT.option("--callbacks", metavar="C", help="a Keras callback or a list of them")
FIT.option("--class-weight", metavar="W", help="a dictionary: class -> weight")
FIT.option("--sample-weight", metavar="W", help="an array: one weight a sample")
FIT.option("--no-shuffle", action="store_true", help="keep the samples in their order")
FIT.option("--seed", metavar="N", help="make the run repeatable")
FIT.result_options()

HISTORY = Arguments("%keras_history", "Show the last training run again, or the run of a name.")
HISTORY.option("name", nargs="?", metavar="[RUN]", help="a run, made by %%keras_fit -o RUN")


@magics_class
class TrainingMagics(Family):
    """Training."""

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
        x, y, data = self.take_data(read, words, test=False)
        keywords = _keywords(read, data)
        run = fit(
            model,
            x,
            y,
            name=name,
            displays=[] if read.quiet else None,
            earlier=self.session.runs,
            **keywords,
        )
        self.session.runs.append(run)
        if read.out:
            self.session.bind(read.out, run)
        note_shown(run)
        return run

    @no_var_expand
    @line_magic
    def keras_history(self, line: str) -> Any:
        """Show a run again; ``%keras_history -h`` tells more."""
        read = self.read(HISTORY, line)
        if read is None:
            return None
        if read.name:
            run = read.value(read.name)
        elif self.session.runs:
            run = self.session.runs[-1]
        else:
            read.fail("there is no run in this notebook yet", "", "Train a model: `%keras_fit`.")
        if not hasattr(run, "history"):
            read.fail("is no training run", read.name, "`%keras_fit ... -o run` makes one.")
        show(run)
        note_shown(run)
        return run


def _keywords(read: Line, data: Any) -> dict[str, Any]:
    """The options as the keywords of ``model.fit``; all are checked before anything starts."""
    found: dict[str, Any] = {
        "epochs": read.number(read.epochs, "--epochs", least=1),
        "batch_size": read.number(read.batch_size, "--batch-size", least=1),
        "shuffle": not read.no_shuffle,
        **_validation(read),
    }
    if read.class_weight:
        found["class_weight"] = read.value(read.class_weight)
    if read.sample_weight:
        found["sample_weight"] = read.value(read.sample_weight)
    callbacks: list[Any] = []
    if read.callbacks:
        given = read.value(read.callbacks)
        callbacks += given if isinstance(given, list | tuple) else [given]
    import keras  # noqa: PLC0415 - it is loaded by now

    if read.patience:
        patience = read.number(read.patience, "--patience")
        watched = (
            "val_loss" if "validation_split" in found or "validation_data" in found else "loss"
        )
        callbacks.append(keras.callbacks.EarlyStopping(monitor=watched, patience=patience))
    if callbacks:
        found["callbacks"] = callbacks
    if read.seed:
        keras.utils.set_random_seed(read.number(read.seed, "--seed"))
    del data
    return found


def _validation(read: Line) -> dict[str, Any]:
    if not read.val:
        return {}
    value, known = read.try_value(read.val)
    if not known and "," in read.val:
        value, known = tuple(read.value(part) for part in read.val.split(",")), True
    if not known:
        value = read.value(read.val)
    if isinstance(value, float | int) and not isinstance(value, bool):
        if not 0 < value < 1:
            read.fail(f"--val takes a fraction between 0 and 1, not {value}", read.val)
        return {"validation_split": float(value)}
    if hasattr(value, "x_test"):
        value = (value.x_test, value.y_test)
    return {"validation_data": value}
