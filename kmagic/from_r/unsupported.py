"""Functions of a script that are not part of a model: what to use here instead."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from kmagic.from_r.r_parser import TextRange
from kmagic.from_r.r_values import CallArg, KerasObject, RModel, RVector, UnknownValue, bind_args
from kmagic.models.catalogue import parameters
from kmagic.support.keras_import import keras
from kmagic.support.messages import MagicSpelling, Option

VARIABLE = "VARIABLE"
"""In a replacement, stands for the variable that the statement assigns."""
_TABLES = tomllib.loads(files(__package__).joinpath("replacements.toml").read_text("utf-8"))
_REPLACEMENTS: dict[str, str] = _TABLES["functions"]
_DATA: dict[str, str] = _TABLES["datasets"]
_DATA_CALLS: dict[str, str] = _TABLES["data_calls"]
_CALLBACKS: dict[str, list[str]] = _TABLES["callbacks"]
_SAVED = ("save", "save_weights", "model_to_json")
_LOADED = ("load", "load_weights", "model_from_json")
_GENERIC = ("summary", "plot")
"""Functions of R that have a replacement for a model only."""


@dataclass(slots=True)
class Replacement:
    """What to use here instead of a call in R.

    Attributes:
        text: A magic or an instruction; "" if nothing of kmagic replaces the call.
        lost: Arguments and callbacks that it does not contain, and what is to be said of them.
    """

    text: str = ""
    lost: list[tuple[TextRange, str]] = field(default_factory=list)


class _MagicLine:
    """The line of a magic that replaces a call; arguments that it does not take are lost."""

    def __init__(
        self, words: Iterable[str], function: str, params: Iterable[str], args: Iterable[CallArg]
    ) -> None:
        self.words = list(filter(None, words))
        self._function = function
        self._bound = bind_args([*params], args)
        self._left = list(args)

    def take(self, name: str) -> Any:
        """The value of an argument, which counts as translated; None without it."""
        arg = self._bound.get(name)
        if arg in self._left:
            self._left.remove(arg)
        return arg.value if arg is not None else None

    def value(self, name: str) -> Any:
        return self._bound[name].value if name in self._bound else None

    def range(self, name: str) -> TextRange:
        return self._bound[name].range if name in self._bound else TextRange()

    def add_sources(self, *names: str) -> None:
        for name in names:
            if source := _source(self.value(name)):
                self.take(name)
                self.words.append(source)

    def add_option(self, option: str, name: str, *types: type) -> None:
        """Add an argument as an option, if it is of one of these types or has an expression."""
        value = self.value(name)
        source = _source(value)
        if source or isinstance(value, types):
            self.take(name)
            braced = source if source[:1] in ("", "{") else f"{{{source}}}"
            self.words.append(f"{option} {braced or _quoted(value)}")

    def add_flag(self, flag: str, name: str, *, value: bool = True) -> None:
        if isinstance(self.value(name), bool):
            self.words += [flag] if self.take(name) is value else []

    def drop_if(self, name: str, *defaults: Any) -> None:
        """Leave an argument out where its value is what the magic does anyway."""
        if self.value(name) in defaults:
            self.take(name)

    def has(self, option: str) -> bool:
        return any(word.split()[0] == option for word in self.words)

    def lost(self) -> Iterator[tuple[TextRange, str]]:
        """The arguments that nothing took."""
        for arg in self._left:
            name = next((key for key, value in self._bound.items() if value is arg), arg.name)
            if arg.value is None:
                continue
            if name in _DISPLAY:
                yield arg.range, f"Not needed here: {name}, because the view is live."
            else:
                what = f"{name} of {self._function}" if name else f"an argument of {self._function}"
                yield arg.range, f"Not translated: {what}."


def replacement(name: str, args: Sequence[CallArg] = (), model: str = "") -> Replacement:
    """What to use here instead of a function of R."""
    first = args[0].value if args else None
    if name in _GENERIC and args and not isinstance(first, RModel):
        is_run = getattr(first, "replacement", "").startswith("%keras_fit")
        return Replacement("%keras_history" if is_run else "")
    if name in _REPLACEMENTS:
        number = next((str(arg.value) for arg in args if type(arg.value) is int), "N")
        return Replacement(_REPLACEMENTS[name].replace("MODEL", model).replace("<N>", number))
    # keras_save, save_model_hdf5, save_model_tf: all are save
    plain = re.sub(
        r"^(save|load)_model(_weights)?(_hdf5|_tf)?$", r"\1\2", name.removeprefix("keras_")
    ).removesuffix("_generator")
    kind, _, dataset = name.partition("_")
    if plain in (*_SAVED, *_DATA_CALLS, "load_weights"):
        owner = next((arg for arg in args if arg.name in (None, "object", "model")), None)
        args = [arg for arg in args if arg is not owner]
        model = getattr(owner and owner.value, "python", "") or model
    if (kind == "dataset" and dataset) or (kind == "load" and dataset in _DATA):
        words = ["%keras_data", _DATA.get(dataset, dataset)]
        line = _MagicLine(words, name, ("path", "num_words", "skip_top", "maxlen"), args)
        line.add_option("--num-words", "num_words", int)
        line.add_option("--maxlen", "maxlen", int)
    elif plain in (*_SAVED, *_LOADED):
        line = _MagicLine((), name, ("filepath", "path", "overwrite"), args)
        default = "model.json" if "json" in plain else "model.keras"
        param = "filepath" if isinstance(line.value("filepath"), str) else "path"
        path = line.take(param) if isinstance(line.value(param), str) else default
        if "weights" in plain and not path.endswith(".weights.h5"):
            path = re.sub(r"\.\w+$", "", path) + ".weights.h5"
        line.words = ["%keras_save", model, _quoted(path)]
        if plain in _LOADED:
            line.words = ["%keras_load", _quoted(path), model if "weights" in plain else VARIABLE]
        line.add_flag("--force", "overwrite")
    elif plain in _DATA_CALLS:
        magic, inputs, *flags = _DATA_CALLS[plain].split()
        params = _FIT if plain == "fit" else (*inputs, "batch_size", "verbose", "steps")
        line = _MagicLine((magic, model), name, params, args)
        line.add_sources(*inputs)
        if plain == "fit":
            return Replacement(lost=_fit(line), text=" ".join(line.words))
        line.add_option("--batch-size", "batch_size", int)
        line.add_option("--steps", "steps", int)
        line.words += flags
    else:
        return Replacement()
    return Replacement(" ".join(filter(None, line.words)), list(line.lost()))


def is_callback(name: str) -> bool:
    """Whether a name is that of a callback."""
    return _callback(name) in _CALLBACKS or name.startswith("callback_")


def _quoted(value: object) -> str:
    return MagicSpelling().option(Option("", value)).removeprefix("-- ")


def _source(value: Any) -> str:
    if isinstance(value, RVector) and value.items:
        parts = [item.python if isinstance(item, UnknownValue) else "" for item in value]
        if value.named:  # inputs by their names
            pairs = zip(value.items, parts, strict=True)
            text = ", ".join(f"{name!r}: {part}" for (name, _), part in pairs)
            return "{{" + text + "}}" if all(parts) else ""
        return "{[" + ", ".join(parts) + "]}" if all(parts) else ""
    python = value.python if isinstance(value, UnknownValue) else ""
    return python if not python or python.replace("_", "").isalnum() else "{" + python + "}"


# --- training -------------------------------------------------------------------------------------

_DISPLAY = ("verbose", "view_metrics")
_NO_OPTION = "Not translated: pass Keras callbacks with --callbacks."
_FIT = (
    *("x", "y", "batch_size", "epochs", "verbose", "callbacks", "view_metrics"),
    *("validation_split", "validation_data", "shuffle", "class_weight", "sample_weight"),
    *("initial_epoch", "steps_per_epoch", "validation_steps"),
)
"""The parameters of R's ``fit`` in their order."""


def _fit(line: _MagicLine) -> list[tuple[TextRange, str]]:
    """Add the options of a training to its line; returns what is lost."""
    if len(line.words) == len(("magic", "model")):
        line.words.append("--data DATA")
    for name, default in (("validation_split", 0), ("initial_epoch", 0), ("shuffle", True)):
        line.drop_if(name, default)
    line.add_option("--epochs", "epochs", int, float)
    if not line.has("--epochs"):
        line.words.append("--epochs 10")  # the default of R keras and kerasR
    line.add_option("--batch-size", "batch_size", int, float)
    validation = line.take("validation_data")
    if validation is None:
        line.add_option("--val", "validation_split", float)
    else:  # Keras ignores the fraction then
        line.take("validation_split")
    line.add_option("--steps-per-epoch", "steps_per_epoch", int)
    line.add_option("--validation-steps", "validation_steps", int)
    if validation is not None:
        sources = [_source(item) for item in _items(validation)]
        line.words.append(f"--val {','.join(sources) if all(sources) and sources else 'xv,yv'}")
    line.add_flag("--no-shuffle", "shuffle", value=False)
    weights = line.value("class_weight")
    if isinstance(weights, UnknownValue):
        line.add_option("--class-weight", "class_weight")
    elif isinstance(weights, RVector) and weights.named:
        values = [getattr(value, "python", value) for value in weights]
        if all(values):
            line.take("class_weight")
            names = (name for name, _ in weights.items)
            pairs = (f"{name}: {value}" for name, value in zip(names, values, strict=True))
            line.words.append(f"--class-weight {{{{{', '.join(pairs)}}}}}")
    if source := _source(line.value("sample_weight")):
        line.take("sample_weight")
        line.words.append(f"--sample-weight {source}")
    lost: list[tuple[TextRange, str]] = []
    span, callbacks = line.range("callbacks"), line.take("callbacks")
    for callback in [] if callbacks is None else _items(callbacks):
        name = _callback(callback.name) if isinstance(callback, KerasObject) else ""
        if name not in _CALLBACKS or line.has(_CALLBACKS[name][1]):
            lost.append((getattr(callback, "range", span), _NO_OPTION))
            continue
        cls, option, param, usual = _CALLBACKS[name]
        params = parameters(getattr(keras.callbacks, cls))
        options = _MagicLine((), callback.name, [each.name for each in params], callback.args)
        for each in params:
            options.drop_if(each.name, each.default)
        options.drop_if("monitor", "val_loss" if line.has("--val") else "loss")
        options.drop_if("mode", "min")
        options.add_option(option, param, int, str)
        options.words = options.words or [f"{option} {usual}"]
        options.add_flag("--restore-best", "restore_best_weights")
        line.words += options.words
        lost += options.lost()
    return [*line.lost(), *lost]


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, RVector) else [value]


def _callback(name: str) -> str:
    return name.removeprefix("callback_").replace("_", "").lower()
