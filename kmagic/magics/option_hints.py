"""What to write for an option that a magic does not have: its name here, or another line.

The names, in ``option_names.toml``, are those of Keras, scikit-learn and common command lines.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from kmagic.language.vocabulary import PREFERRED, snake_case
from kmagic.support.suggestions import nearest

_NUMBER = re.compile(r"\d*\.?\d+(?:[eE][-+]?\d+)?|\{[^`]+\}")
_WORD = re.compile(r"[^\W\d]\w*(?:\([^`]*\))?|\{[^`]+\}")


@cache
def option_names() -> dict[str, Any]:
    """The tables of ``option_names.toml``."""
    return tomllib.loads(files(__package__).joinpath("option_names.toml").read_text("utf-8"))


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
    tables = option_names()
    synonyms = [option for option, names in tables["options"].items() if name in names]
    for option in synonyms:
        if option in options:
            shown = value if accepts(option, value) else options[option]
            return f"Write `{option}{f' {shown}' if options[option] else ''}`."
    if name in tables["compiling"]["names"] and magic in tables["compiling"]["magics"]:
        line = _compile_line(name, value, model[1])
        if magic == "%%keras_model":
            return f"Add a line to the cell: `compile {line}`."
        return f"Set it when the model is compiled: `%keras_compile {model[0]} {line}`."
    for entry in tables["remedies"]:
        if name in entry["names"] and entry.get("option", "") in {"", *options}:
            text: str = entry["text"]
            return text.replace("MODEL", model[0])
    if name in tables["arguments"]["names"] and arguments:
        return f"Write the value without `{flag}`: `{magic} {arguments}`."
    known = {option.lstrip("-"): option for option in options if option[:2] == "--"}
    longer = [word for word in known if word.startswith(f"{name}-")]
    if similar := longer or (nearest(name, known) if len(name) > 1 else []):
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
