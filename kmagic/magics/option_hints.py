"""What to write for an option that a magic does not have: its name here, or another line.

The names are those of Keras, scikit-learn and common command lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from kmagic.language.vocabulary import PREFERRED, snake_case
from kmagic.support.suggestions import nearest

_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "--batch-size": ("batch", "batchsize", "bs", "minibatch"),
    "--as": ("dsl", "format", "language", "python"),
    "--budget": ("max-time", "time", "time-limit", "timeout"),
    "--checkpoint": ("ckpt", "checkpoint-dir", "checkpoints", "model-checkpoint", "save-best-only"),
    "--chronological": ("no-shuffle", "time-series"),
    "--class-names": ("classes", "labels", "label-names", "names", "target-names"),
    "--class-weight": ("class-weights", "balanced"),
    "--classes": ("argmax", "class", "predict-classes"),
    "--csv": ("csv-log", "csv-logger", "log", "log-file"),
    "--decimal": ("decimal-sep",),
    "--drop": ("drop-columns", "exclude", "ignore"),
    "--epochs": ("iterations", "max-epochs", "n-epochs", "nb-epoch", "num-epochs"),
    "--features": ("columns", "cols", "inputs", "x-columns"),
    "--force": ("exist-ok", "overwrite", "replace"),
    "--maxlen": ("max-len", "max-length", "sequence-length"),
    "--multilabel": ("multi-label", "multioutput"),
    "--no-checks": ("force", "no-check", "skip-checks"),
    "--no-shuffle": ("noshuffle",),
    "--normalize": ("norm", "normalise", "normalized"),
    "--num-words": ("max-features", "max-words", "vocab-size"),
    "--out": ("output", "result", "save-as", "to"),
    "--patience": ("early-stop", "early-stopping", "earlystopping", "es", "stop-after"),
    "--pred": ("predictions", "preds", "y-pred", "y-score"),
    "--proba": ("predict-proba", "prob", "probabilities"),
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
    "--unsafe": ("no-safe-mode", "safe-mode", "trust"),
    "--val": (
        *("holdout", "split", "test-size", "val-data", "val-size", "val-split", "valid"),
        *("valid-split", "validation", "validation-data", "validation-size", "validation-split"),
    ),
    "--vs": ("baseline", "compare", "versus"),
}
"""Option -> its names elsewhere; only magics that have the option suggest it."""
_COMPILED_BY = ("%keras_fit", "%keras_compile", "%keras_evaluate", "%%keras_model")
_COMPILING = frozenset(
    {"learning-rate", "loss", "losses", "lr", "metric", "metrics", "momentum", "opt", "optim"}
    | {"optimizer", "weight-decay"}
)
_REMEDIES: dict[tuple[str, ...], tuple[str, str]] = {
    ("cpu", "cuda", "device", "devices", "gpu", "gpus", "num-gpus"): (
        "",
        "Remove it: TensorFlow uses a GPU if there is one.",
    ),
    ("progress", "v", "verbose", "verbosity"): ("-q", "Remove it. `-q` shows nothing."),
    ("shuffle",): (
        "--no-shuffle",
        "Remove it: samples are shuffled unless `--no-shuffle` is given.",
    ),
    ("callback", "lr-schedule", "lr-scheduler", "min-delta", "monitor", "scheduler"): (
        "--callbacks",
        "Create a Keras callback in a cell above, and pass it: `--callbacks C`.",
    ),
    ("amp", "bf16", "fp16", "mixed-precision", "precision"): (
        "--epochs",
        'Set it before the model is built: `keras.config.set_dtype_policy("mixed_float16")`.',
    ),
    ("max-queue-size", "num-workers", "use-multiprocessing", "workers"): (
        "--epochs",
        "Remove it: in Keras 3 it is an argument of `keras.utils.PyDataset`.",
    ),
    ("save", "save-model", "save-path"): (
        "--epochs",
        "Save the model afterwards: `%keras_save MODEL FILE.keras`.",
    ),
}
"""Names -> what to do about them in a magic that has a certain option."""
_WITHOUT_OPTION = ("inputs", "labels", "model", "source", "targets", "train", "x", "y")
_NUMBER = re.compile(r"\d*\.?\d+(?:[eE][-+]?\d+)?|\{[^`]+\}")
_WORD = re.compile(r"[^\W\d]\w*(?:\([^`]*\))?|\{[^`]+\}")


def option_remedy(
    flag: str,
    value: str,
    *,
    magic: str,
    options: Mapping[str, str],
    others: Mapping[str, Collection[str]],
    accepts: Callable[[str, str], bool] = lambda option, value: bool(value),  # noqa: ARG005
    arguments: str = "",
    model: tuple[str, Any] = ("MODEL", None),
) -> str:
    """What to write instead of an option that a magic does not have.

    Args:
        flag: The option, with its dashes.
        value: The text after it, which may be its value.
        magic: The magic.
        options: Its options, each with its value as the help shows it; "" for a flag.
        others: The options of all magics.
        accepts: Whether an option of the magic accepts a value.
        arguments: What is written without an option, as the help shows it.
        model: The model that the line names, with its variable.

    Example:
        >>> about = {"magic": "%keras_fit", "options": {"--val": "V"}, "others": {}}
        >>> option_remedy("--validation_split", "0.1", **about)
        'Write `--val 0.1`.'
        >>> option_remedy("--colour", "", **about)
        'All options: %keras_fit -h'
    """
    name = flag.lstrip("-").replace("_", "-").lower()
    synonyms = [option for option, names in _OTHER_NAMES.items() if name in names]
    for option in synonyms:
        if option in options:
            shown = value if accepts(option, value) else options[option]
            return f"Write `{option}{f' {shown}' if options[option] else ''}`."
    if name in _COMPILING and magic in _COMPILED_BY:
        line = _compile_line(name, value, model[1])
        if magic == "%%keras_model":
            return f"Add a line to the cell: `compile {line}`."
        return f"Set it when the model is compiled: `%keras_compile {model[0]} {line}`."
    for names, (option, text) in _REMEDIES.items():
        if name in names and (not option or option in options):
            return text.replace("MODEL", model[0])
    if name in _WITHOUT_OPTION and arguments:
        return f"Write the value without `{flag}`: `{magic} {arguments}`."
    known = {option.lstrip("-"): option for option in options if option[:2] == "--"}
    longer = [word for word in known if word.startswith(f"{name}-")]
    if similar := longer or nearest(name, known):
        return f"Did you mean {known[similar[0]]}?"
    every = f"All options: {magic} -h"
    same = [other for other, has in others.items() if f"--{name}" in has]
    elsewhere = same or [other for other, has in others.items() if {*synonyms} & {*has}]
    if elsewhere and len(name) > 1:
        return f"It is an option of {' and '.join(elsewhere[:2])}. {every}"
    return every


def _compile_line(name: str, value: str, model: Any) -> str:
    """How to compile a model with an option's value, and otherwise as it is compiled now."""
    optimizer, loss, metrics = "adam", getattr(model, "loss", None), _metrics(model)
    if getattr(model, "optimizer", None) is not None:
        kind = type(model.optimizer).__name__
        optimizer = PREFERRED.get(kind) or snake_case(kind)
    loss = loss if isinstance(loss, str) else "mse"
    word = value if _WORD.fullmatch(value) else ""
    number = value if _NUMBER.fullmatch(value) else ""
    if name in ("opt", "optim", "optimizer"):
        optimizer = word or optimizer
    elif name in ("loss", "losses"):
        loss = word or loss
    elif name in ("metric", "metrics"):
        metrics = [text for text in value.split(",") if _WORD.fullmatch(text)] or ["accuracy"]
    elif name == "momentum":
        optimizer = f"sgd(momentum={number or '0.9'})"
    elif name == "weight-decay":
        optimizer = f"adamw(weight_decay={number or '1e-4'})"
    else:
        optimizer = f"{optimizer}({number or '1e-3'})"
    listed = f"[{', '.join(metrics)}]" if len(metrics) > 1 else "".join(metrics)
    return f"{optimizer} loss={loss}" + f" metrics={listed}" * bool(metrics)


def _metrics(model: Any) -> list[str]:
    """The metrics that a model is compiled with, if they are words."""
    config = model.get_compile_config() if hasattr(model, "get_compile_config") else None
    metrics = (config or {}).get("metrics") or []
    is_list = isinstance(metrics, list) and all(isinstance(metric, str) for metric in metrics)
    return list(metrics) if is_list else []
