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
    "--checkpoint": (
        "ckpt",
        "checkpoint-dir",
        "checkpoints",
        "model-checkpoint",
        "save-best",
        "save-best-only",
    ),
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
_COMPILING = {
    **dict.fromkeys(("learning-rate", "lr"), "learning rate"),
    **dict.fromkeys(("loss", "losses"), "loss"),
    **dict.fromkeys(("metric", "metrics"), "metrics"),
    **dict.fromkeys(("opt", "optim", "optimizer"), "optimizer"),
    **{name: name for name in ("momentum", "weight-decay")},
}
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
        same = [option for option, names in _OTHER_NAMES.items() if name in names]
        for option in filter(self.options.get, same):
            is_value = value and not value.startswith("-") and not {*"`\n"} & {*value}
            return f"Write `{option} {value if is_value else self.options[option]}`."
        if flags := [option for option in same if option in self.options]:
            return f"Write `{flags[0]}`."
        if name in _COMPILING:
            line = self._compile_line(name, value)
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
        here = {f"--{name}", *same}
        elsewhere = [magic for magic, options in self.others.items() if here & {*options}]
        where = f"It is an option of {' and '.join(elsewhere[:2])}. "
        return where * bool(elsewhere) + every

    def _compile_line(self, name: str, value: str) -> str:
        """How to compile the model with an option's value, and otherwise as it is compiled now."""
        used, loss = getattr(self.model, "optimizer", None), getattr(self.model, "loss", None)
        kind = "Adam" if used is None else type(used).__name__
        optimizer = PREFERRED.get(kind) or snake_case(kind)
        loss = loss if isinstance(loss, str) else "mse"
        word = value if value.isidentifier() else ""
        number = value if _NUMBER.fullmatch(value) else ""
        match _COMPILING[name]:
            case "optimizer":
                optimizer = word or optimizer
            case "loss":
                loss = word or loss
            case "metrics":
                return f"{optimizer} loss={loss} metrics={word or 'accuracy'}"
            case "learning rate":
                optimizer = f"{optimizer}({number or '1e-3'})"
            case "momentum":
                optimizer = f"sgd(momentum={number or '0.9'})"
            case _:
                optimizer = f"adamw(weight_decay={number or '1e-4'})"
        return f"{optimizer} loss={loss}"
