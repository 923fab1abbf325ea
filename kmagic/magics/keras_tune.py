"""``%%keras_tune``: a search for the best values of the ranges in a model's text."""

from __future__ import annotations

from typing import Any

from kmagic.magics.keras_fit import validation_options
from kmagic.magics.keras_model import check_variable
from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import Session, magic
from kmagic.support.rendering import mark_displayed

TUNE = LineParser(
    "%%keras_tune",
    "Search for the best values of the ranges in a model's text, and keep the best model.",
    "%%keras_tune net --data digits -t 40 -e 10 --val 0.1 -o study\ninput 28x28x1 / flatten\n"
    "dense 32..256:32 relu|gelu\ndense 10 softmax\n"
    "compile adam(1e-4..1e-2~log) loss=sparse_categorical_crossentropy metrics=accuracy",
    {"validation_split": "--val", "validation_data": "--val"},
)
TUNE.argument("NAME [X Y]", "the best model's variable (default: model), and the data")
TUNE.option("--data D", "a dataset of %%keras_data: its training part")
TUNE.option("-t --trials N", "total number of trials (default: 20)", minimum=1)
TUNE.option("-e --epochs N", "epochs of each trial (default: 10)", minimum=1)
TUNE.option("-b --batch-size N", "samples per batch (default: 32), or 16|32|64", read="text")
TUNE.option("--val V", "validation data: a fraction such as 0.1, a pair Xv,Yv, or a dataset")
TUNE.option("--goal METRIC", "the metric to improve (default: val_loss)", read="text")
TUNE.option("--direction {minimize,maximize}", "of the goal; known for the metrics of Keras")
TUNE.option("--patience N", "end a trial after N epochs without improvement", minimum=0)
TUNE.option("--budget T", "time limit, e.g. 90s, 20m, 1h30m", read="value or text")
TUNE.option("--workers N", "processes (default: one per GPU, or per CPU core)", minimum=1)
TUNE.option("--in-process", "train in this process: for small models")
TUNE.cluster_options("trial")
TUNE.option("--repeat K", "train the K best trials with three further seeds at the end", minimum=1)
TUNE.option("--store DIR", "folder for the study; the same cell continues it", read="text")
TUNE.option("--fresh", "remove an earlier study from the folder")
TUNE.option(
    "--class-weight W",
    "balanced, or a dictionary: class index or name -> weight",
    read="value or text",
)
TUNE.option("--sample-weight W", "an array: one weight per sample", read="value")
TUNE.option("--callbacks C", "Keras callbacks, copied for each trial", read="value")
TUNE.option("--seed N", "random seed, for a repeatable search", minimum=0)
TUNE.option("--no-checks", "do not check the data before the search")
TUNE.result_options()
_KEYWORDS = (
    *("trials", "epochs", "batch_size", "goal", "direction", "patience", "budget", "workers"),
    *("cpus", "gpus", "repeat", "store", "class_weight", "sample_weight", "callbacks", "seed"),
)


@magic(TUNE, interruptible=True)
def keras_tune(session: Session, line: ParsedLine, cell: str) -> Any:
    """Search for the best values; ``%%keras_tune -h`` shows the options."""
    from kmagic.models.build.search_reading import read_search_space  # noqa: PLC0415 - not before a search
    from kmagic.tuning.tune import tune  # noqa: PLC0415 - as above

    words = line.arguments
    name = words.pop(0) if words else "model"
    check_variable(session, line, name)
    if hasattr(session.names.get(name), "shape"):
        remedy = f"The name of the model comes first: `%%keras_tune model {name} ...`."
        line.fail("is data", name, remedy)
    if line.out == name:
        line.fail("is also the name of the model", name, "Use another name after -o.")
    x, y, _ = session.take_data(line, test=False)
    where = f"%%keras_tune {name}"
    space = read_search_space(cell, session.names, where=where, first_line=2)
    given = line.keywords(*_KEYWORDS) | validation_options(line)
    options = {key: value for key, value in given.items() if value is not None}
    options["on"] = line.on if line.in_process and line.on != "off" else session.cluster_of(line)
    options |= {key: True for key in ("in_process", "fresh") if getattr(line, key)}
    if line.no_checks:
        options["checks"] = False
    displays: list[Any] | None = [] if line.quiet else None
    with line.marking_options():
        study = tune(space, x, y, name=name, displays=displays, **options)
    if line.out:
        session.notebook[line.out] = study
    if study.ranking:
        session.notebook[name] = study.model()
        session.set_current_model(name)
    else:
        print(f"No trial is complete, so {name} was not assigned.")  # noqa: T201 - for the reader
    mark_displayed(study)
    return study
