"""Functions of a script that are not part of a model: what to use here instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kmagic.from_r.r_parser import TextRange
from kmagic.from_r.r_values import CallArg, KerasObject, RModel, RVector, UnknownValue, bind_args
from kmagic.models.catalogue import parameters
from kmagic.support.keras_import import keras
from kmagic.support.messages import MagicSpelling, Option

_DATA = {
    "boston_housing": "boston_housing --scale standard",
    "imdb": "imdb",
    "mnist": "mnist --scale 255",
    "fashion_mnist": "fashion_mnist --scale 255",
    "cifar10": "cifar10 --scale 255",
    "cifar100": "cifar100 --scale 255",
    "reuters": "reuters",
}
VARIABLE = "VARIABLE"
"""In a replacement, stands for the variable that the statement assigns."""
_SAVED = ("save", "save_weights", "model_to_json")
_LOADED = ("load", "load_weights", "model_from_json")
_DATA_CALLS = {
    "evaluate": "%keras_evaluate xy",
    "predict": "%keras_predict x",
    "predict_classes": "%keras_predict x --classes",
    "predict_proba": "%keras_predict x --proba",
}
"""Function -> the magic, the letters of its data, and its options."""
_SETUP = ("use_condaenv", "use_virtualenv", "install_keras", "keras_init", "keras_available")
_SEEDS = ("set.seed", "use_session_with_seed", "set_random_seed")
_TOKENIZERS, _IMAGES = ("text_tokenizer", "Tokenizer"), ("image_load", "load_img", "img_to_array")
_REPLACEMENTS: dict[str, str] = {
    **dict.fromkeys(("library", "require"), "Not needed here: nothing to load."),
    **dict.fromkeys(_SETUP, "Not needed here: nothing to set up."),
    "source": "Copy the model code of that file into this cell.",
    **dict.fromkeys(_SEEDS, "%keras_fit ... --seed <N>"),
    "to_categorical": "%keras_data ... --onehot, or use the labels with a sparse loss",
    "pad_sequences": "%keras_data imdb --maxlen <N>, or keras.utils.pad_sequences",
    "normalize": "%keras_data ... --scale standard, fitted on the training data only",
    "scale": "%keras_data ... --scale standard, fitted on the training data only",
    "array_reshape": "%keras_data ... --flatten, or x.reshape(...)",
    "array": "%keras_data ... --flatten or --channel, or x.reshape(...)",
    "expand_dims": "numpy.expand_dims(x, 0)",
    **dict.fromkeys(_TOKENIZERS, "text_vectorization adapt={texts}, as a line of the model"),
    **dict.fromkeys(_IMAGES, "%keras_classify, which accepts the file"),
    "decode_predictions": "%keras_classify, which names the classes",
    "table": "%keras_confusion",
    "get_layer": "model.get_layer(name) in a Python cell",
    "plot_model": "%keras_plot MODEL",
    "unfreeze_weights": "MODEL.trainable = True in a Python cell",
}
_GENERIC = {"summary": "%keras_summary MODEL", "plot": "%keras_plot MODEL"}
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


class _Arguments:
    """The arguments of a call by parameter; those that nothing takes are lost."""

    def __init__(self, function: str, params: Sequence[str], args: Iterable[CallArg]) -> None:
        self._function = function
        self._bound = bind_args(params, args)
        self._left = list(args)

    def take(self, name: str) -> CallArg | None:
        """An argument, which counts as translated; None without it, or if it is NULL."""
        arg = self._bound.get(name)
        if arg in self._left:
            self._left.remove(arg)
        return None if arg is None or arg.value is None else arg

    def take_source(self, name: str) -> str:
        """The expression of an argument; "" if there is none, and then it is not translated."""
        source = _source(self._bound.get(name))
        if source:
            self.take(name)
        return source

    def take_value(self, name: str, *types: type) -> Any:
        """The value of an argument if it is of one of these types; otherwise None."""
        arg = self._bound.get(name)
        is_known = arg is not None and isinstance(arg.value, types)
        return getattr(self.take(name), "value", None) if is_known else None

    def take_option(self, option: str, name: str, *types: type) -> list[str]:
        """An argument as an option of a magic; [] without it, or if it has no expression."""
        source = self.take_source(name)
        value = source or self.take_value(name, *types)
        if source:
            value = source if source[0] == "{" else f"{{{source}}}"
        return [] if value is None else [f"{option} {_quoted(value)}"]

    def drop_if(self, name: str, *defaults: Any) -> None:
        """Leave an argument out where its value is what the replacement does anyway."""
        arg = self._bound.get(name)
        if arg is not None and (arg.value is None or arg.value in defaults):
            self.take(name)

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
    if name in _GENERIC:
        first = args[0].value if args else None
        if not args or isinstance(first, RModel):
            return Replacement(_GENERIC[name].replace("MODEL", model))
        is_run = getattr(first, "replacement", "").startswith("%keras_fit")
        return Replacement("%keras_history" if is_run else "")
    if name in _REPLACEMENTS:
        number = next((str(arg.value) for arg in args if type(arg.value) is int), "N")
        return Replacement(_REPLACEMENTS[name].replace("MODEL", model).replace("<N>", number))
    kind, _, dataset = name.partition("_")
    if (kind == "dataset" and dataset) or (kind == "load" and dataset in _DATA):
        given = _Arguments(name, ("path", "num_words", "maxlen"), args)
        words = ["%keras_data", _DATA.get(dataset, dataset)]
        words += given.take_option("--num-words", "num_words", int)
        words += given.take_option("--maxlen", "maxlen", int)
        return Replacement(" ".join(words), list(given.lost()))
    # keras_save, save_model_hdf5, save_model_tf: all are save
    plain = re.sub(
        r"^(save|load)_model(_weights)?(_hdf5|_tf)?$", r"\1\2", name.removeprefix("keras_")
    )
    plain = "fit" if plain == "fit_generator" else plain
    if plain in (*_SAVED, *_DATA_CALLS, "fit", "load_weights"):
        owner = next((arg for arg in args if arg.name in (None, "object", "model")), None)
        args = [arg for arg in args if arg is not owner]
        model = getattr(owner and owner.value, "python", "") or model
    if plain in (*_SAVED, *_LOADED):
        given = _Arguments(name, ("filepath", "path", "overwrite"), args)
        magic = "%keras_load" if plain in _LOADED else "%keras_save"
        default = "model.json" if "json" in plain else "model.keras"
        path = given.take_value("filepath", str) or given.take_value("path", str) or default
        if "weights" in plain and not path.endswith(".weights.h5"):
            path = re.sub(r"\.\w+$", "", path) + ".weights.h5"
        words = [magic, model, _quoted(path)]
        if plain in _LOADED:
            words = [magic, _quoted(path), model if "weights" in plain else VARIABLE]
        words += ["--force"] if given.take_value("overwrite", bool) else []
    elif plain == "fit":
        return _fit(name, args, model)
    elif plain in _DATA_CALLS:
        magic, params, *flags = _DATA_CALLS[plain].split()
        given = _Arguments(name, [*params, "batch_size", "verbose", "steps"], args)
        words = [magic, model, *(given.take_source(param) for param in params)]
        words += given.take_option("--batch-size", "batch_size", int)
        words += given.take_option("--steps", "steps", int)
        words += flags
    else:
        return Replacement()
    return Replacement(" ".join(filter(None, words)), list(given.lost()))


def is_callback(name: str) -> bool:
    """Whether a name is that of a callback."""
    return _callback(name) in _CALLBACKS or name.startswith("callback_")


def _quoted(value: object) -> str:
    """A value as one word of a magic's line."""
    return MagicSpelling().option(Option("", value)).removeprefix("-- ")


def _source(arg: CallArg | None) -> str:
    """The argument on a magic's line, or "" if it has no expression."""
    value = arg.value if arg is not None else None
    if isinstance(value, RVector) and value.items:
        parts = [item.python if isinstance(item, UnknownValue) else "" for item in value]
        return "{[" + ", ".join(parts) + "]}" if all(parts) else ""
    python = value.python if isinstance(value, UnknownValue) else ""
    return python if not python or python.replace("_", "").isalnum() else "{" + python + "}"


# --- training -------------------------------------------------------------------------------------

_DISPLAY = ("verbose", "view_metrics")
_FIT = (
    *("x", "y", "batch_size", "epochs", "verbose", "callbacks", "view_metrics"),
    *("validation_split", "validation_data", "shuffle", "class_weight", "sample_weight"),
    *("initial_epoch", "steps_per_epoch", "validation_steps"),
)
"""The parameters of R's ``fit`` in their order."""
_CALLBACKS: dict[str, tuple[str, str, str, object]] = {
    "earlystopping": ("EarlyStopping", "--patience", "patience", 1),
    "reducelronplateau": ("ReduceLROnPlateau", "--reduce-lr", "patience", 10),
    "modelcheckpoint": ("ModelCheckpoint", "--checkpoint", "", "DIR"),
    "csvlogger": ("CSVLogger", "--csv", "filename", "log.csv"),
    "tensorboard": ("TensorBoard", "--tensorboard", "log_dir", "logs"),
}
"""Callback -> its class, the option that replaces it, the parameter of its value, a default."""


def _fit(name: str, args: Sequence[CallArg], model: str) -> Replacement:
    given = _Arguments(name, _FIT, args)
    data = list(filter(None, map(given.take_source, ("x", "y"))))
    given.drop_if("validation_split", 0)
    given.drop_if("initial_epoch", 0)
    epochs = given.take_option("--epochs", "epochs", int, float)
    words = ["%keras_fit", model, *(data or ["--data DATA"])]
    words += epochs or ["--epochs 10"]  # the default of R keras and kerasR
    words += given.take_option("--batch-size", "batch_size", int, float)
    words += given.take_option("--val", "validation_split", float)
    words += given.take_option("--steps-per-epoch", "steps_per_epoch", int)
    words += given.take_option("--validation-steps", "validation_steps", int)
    validation = given.take("validation_data")
    if validation is not None:
        sources = [_source(CallArg(item, None, validation.range)) for item in _items(validation)]
        words.append(f"--val {','.join(sources) if all(sources) and sources else 'xv,yv'}")
    monitored = "val_loss" if any(word.startswith("--val ") for word in words) else "loss"
    given.drop_if("shuffle", True)
    words += ["--no-shuffle"] if given.take_value("shuffle", bool) is False else []
    weights = given.take_value("class_weight", RVector)
    if weights is not None:
        pairs = ", ".join(f"{key}: {value}" for key, value in weights.items)
        words.append(f"--class-weight {{{{{pairs}}}}}")
    sample_weight = given.take_source("sample_weight")
    words += [f"--sample-weight {sample_weight}"] if sample_weight else []
    lost: list[tuple[TextRange, str]] = []
    callbacks = given.take("callbacks") or CallArg(RVector([]), None, TextRange())
    for callback in _items(callbacks):
        span = callback.range if isinstance(callback, KerasObject) else callbacks.range
        options = _callback_options(callback, lost, monitored)
        if options and options[0].split()[0] not in {word.split()[0] for word in words}:
            words += options
        else:
            lost.append((span, "Not translated: pass Keras callbacks with --callbacks."))
    return Replacement(" ".join(words), [*given.lost(), *lost])


def _items(arg: CallArg) -> list[Any]:
    return list(arg.value) if isinstance(arg.value, RVector) else [arg.value]


def _callback_options(
    callback: Any, lost: list[tuple[TextRange, str]], monitored: str
) -> list[str]:
    """The options that replace a callback; [] if there are none."""
    name = _callback(callback.name) if isinstance(callback, KerasObject) else ""
    if name not in _CALLBACKS:
        return []
    cls, option, param, default = _CALLBACKS[name]
    params = parameters(getattr(keras.callbacks, cls))
    given = _Arguments(callback.name, [each.name for each in params], callback.args)
    for each in params:
        given.drop_if(each.name, each.default)
    given.drop_if("monitor", monitored)
    given.drop_if("mode", "min")
    options = given.take_option(option, param, int, str) or [f"{option} {default}"]
    options += ["--restore-best"] if given.take_value("restore_best_weights", bool) else []
    lost += given.lost()
    return options


def _callback(name: str) -> str:
    return name.removeprefix("callback_").replace("_", "").lower()
