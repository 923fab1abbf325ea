"""What to write for an option that a magic does not have: its name here, or another line.

The names are those of Keras, scikit-learn and common command lines.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from kmagic.language.vocabulary import PREFERRED, snake_case
from kmagic.support.suggestions import nearest

_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "--batch-size": ("batch", "batchsize", "bs", "minibatch"),
    "--budget": ("max-time", "time", "time-limit", "timeout"),
    "--checkpoint": ("ckpt", "checkpoint-dir", "checkpoints", "model-checkpoint", "save-best-only"),
    "--class-names": ("classes", "labels", "label-names", "names", "target-names"),
    "--class-weight": ("class-weights", "balanced"),
    "--csv": ("csv-log", "csv-logger", "log", "log-file"),
    "--decimal": ("decimal-sep",),
    "--drop": ("drop-columns", "exclude", "ignore"),
    "--epochs": ("iterations", "max-epochs", "n-epochs", "nb-epoch", "num-epochs"),
    "--features": ("columns", "cols", "inputs", "x-columns"),
    "--multilabel": ("multi-label", "multioutput"),
    "--no-checks": ("force", "no-check", "skip-checks"),
    "--no-shuffle": ("noshuffle",),
    "--normalize": ("norm", "normalise", "normalized"),
    "--out": ("output", "result", "save-as", "to"),
    "--patience": ("early-stop", "early-stopping", "earlystopping", "stop-after"),
    "--pred": ("predictions", "preds", "y-pred", "y-score"),
    "--quiet": ("silent",),
    "--reduce-lr": ("lr-patience", "plateau", "reduce-lr-on-plateau"),
    "--restore-best": ("best", "best-weights", "restore-best-weights"),
    "--resume": ("continue", "initial-epoch"),
    "--sample-weight": ("sample-weights", "weight", "weights"),
    "--scale": ("normalize", "rescale", "scaler", "standardize"),
    "--seed": ("random-seed", "random-state", "rng", "set-seed"),
    "--sep": ("delim", "delimiter", "separator"),
    "--size": ("image-size", "img-size", "resize", "shape", "target-size"),
    "--split": ("holdout", "test", "test-fraction", "test-size", "test-split", "validation-split"),
    "--steps-per-epoch": ("steps",),
    "--target": ("label", "label-column", "response", "target-column", "y"),
    "--tensorboard": ("logdir", "log-dir", "tb"),
    "--threshold": ("cutoff", "thresh"),
    "--top": ("k", "n", "top-k", "topk"),
    "--true": ("truth", "y-true"),
    "--val": (
        *("holdout", "split", "test-size", "val-data", "val-split", "valid", "validation"),
        *("validation-data", "validation-size", "validation-split"),
    ),
    "--vs": ("baseline", "compare", "versus"),
}
"""Option -> its names elsewhere; only magics that have the option suggest it."""
_COMPILING = frozenset(
    {"learning-rate", "loss", "losses", "lr", "metric", "metrics", "momentum", "opt", "optim"}
    | {"optimizer", "weight-decay"}
)
_DEVICES = ("cpu", "cuda", "device", "devices", "gpu", "gpus", "num-gpus")
_VERBOSITY = ("progress", "v", "verbose", "verbosity")
_NUMBER = re.compile(r"\d*\.?\d+(?:[eE][-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class OptionHints:
    """What is known about a magic's line, for an option that the magic does not have.

    Attributes:
        magic: The magic.
        options: Its options, each with its value as the help shows it; "" for a flag.
        others: The options of all magics.
        variable: The model's variable, if the line names one; else "MODEL".
        model: The model, or None.
    """

    magic: str
    options: Mapping[str, str]
    others: Mapping[str, Collection[str]]
    variable: str = "MODEL"
    model: Any = None

    def remedy(self, flag: str, value: str) -> str:
        """What to write instead of an option.

        Args:
            flag: The option, with its dashes.
            value: The text after it, which may be its value.

        Example:
            >>> hints = OptionHints("%keras_fit", {"--val": "V", "--epochs": "N"}, {})
            >>> hints.remedy("--validation_split", "0.1"), hints.remedy("--colour", "")
            ('Write `--val 0.1`.', 'All options: %keras_fit -h')
        """
        name = flag.lstrip("-").replace("_", "-").lower()
        for option, names in _OTHER_NAMES.items():
            if name in names and option in self.options:
                shown = value if _is_value(value) else self.options[option]
                return f"Write `{option}{f' {shown}' if self.options[option] else ''}`."
        if name in _COMPILING:
            line = _compile_line(name, value, self.model)
            if self.magic == "%%keras_model":
                return f"Add a line to the cell: `compile {line}`."
            return f"Set it when the model is compiled: `%keras_compile {self.variable} {line}`."
        if name in _DEVICES:
            return "Remove it: TensorFlow uses a GPU if there is one."
        if name in _VERBOSITY:
            return "Remove it." + " `-q` shows nothing." * ("-q" in self.options)
        if name == "shuffle" and "--no-shuffle" in self.options:
            return "Remove it: samples are shuffled unless `--no-shuffle` is given."
        known = {option.lstrip("-"): option for option in self.options if option[:2] == "--"}
        longer = [word for word in known if word.startswith(f"{name}-")]
        if similar := longer or nearest(name, known):
            return f"Did you mean {known[similar[0]]}?"
        every = f"All options: {self.magic} -h"
        here = {option for option, names in _OTHER_NAMES.items() if name in names}
        here.add(f"--{name}")
        elsewhere = [magic for magic, options in self.others.items() if here & {*options}]
        if elsewhere:
            return f"It is an option of {' and '.join(elsewhere[:2])}. {every}"
        return every


def _is_value(text: str) -> bool:
    return bool(text) and not text.startswith("-") and not {*"`\n"} & {*text}


def _compile_line(name: str, value: str, model: Any) -> str:
    """How to compile a model with an option's value, and otherwise as it is compiled now."""
    optimizer, loss, metrics = "adam", getattr(model, "loss", None), ""
    if getattr(model, "optimizer", None) is not None:
        kind = type(model.optimizer).__name__
        optimizer = PREFERRED.get(kind) or snake_case(kind)
    loss = loss if isinstance(loss, str) else "mse"
    word = value if value.isidentifier() else ""
    if name in ("opt", "optim", "optimizer"):
        optimizer = word or optimizer
    elif name in ("loss", "losses"):
        loss = word or loss
    elif name in ("metric", "metrics"):
        metrics = f" metrics={word or 'accuracy'}"
    elif name in ("weight-decay", "momentum"):
        number = value if _NUMBER.fullmatch(value) else "0.9" if name == "momentum" else "1e-4"
        setting = f"{name.replace('-', '_')}={number}"
        optimizer = f"{'sgd' if name == 'momentum' else 'adamw'}({setting})"
    else:
        optimizer = f"{optimizer}({value if _NUMBER.fullmatch(value) else '1e-3'})"
    return f"{optimizer} loss={loss}{metrics}"
