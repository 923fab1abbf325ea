"""Functions of a script that are not part of a model: what to use here instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from kmagic.from_r.r_values import CallArg, KerasObject, RVector, UnknownValue

_DATA = {
    "boston_housing": "boston_housing --scale standard",
    "imdb": "imdb",
    "mnist": "mnist --scale 255",
    "fashion_mnist": "fashion_mnist --scale 255",
    "cifar10": "cifar10 --scale 255",
    "cifar100": "cifar100 --scale 255",
    "reuters": "reuters",
}
_FIT_OPTIONS = {"epochs": "--epochs", "batch_size": "--batch-size", "validation_split": "--val"}
_SAVED = ("save", "save_weights", "model_to_json")
_LOADED = ("load", "load_weights", "model_from_json")
_PREDICT_OPTIONS = {"predict": "", "predict_classes": " --classes", "predict_proba": " --proba"}
_SETUP = ("use_condaenv", "use_virtualenv", "install_keras", "keras_init", "keras_available")
_SEEDS = ("set.seed", "use_session_with_seed", "set_random_seed")
_TOKENIZERS, _IMAGES = ("text_tokenizer", "Tokenizer"), ("image_load", "load_img", "img_to_array")
_REPLACEMENTS: dict[str, str] = {
    **dict.fromkeys(("library", "require"), "Not needed here: nothing to load."),
    **dict.fromkeys(_SETUP, "Not needed here: nothing to set up."),
    "source": "Copy the model code of that file into this cell.",
    **dict.fromkeys(_SEEDS, "%keras_fit ... --seed 1"),
    "to_categorical": "%keras_data ... --onehot, or use the labels with a sparse loss",
    "pad_sequences": "%keras_data imdb --maxlen 100, or keras.utils.pad_sequences",
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
    "summary": "%keras_summary MODEL",
    **dict.fromkeys(("plot", "plot_model"), "%keras_plot MODEL"),
    "unfreeze_weights": "MODEL.trainable = True in a Python cell",
}


def replacement(name: str, args: Sequence[CallArg] = (), model: str = "") -> str:
    """What to use here instead of a function of R; "" if nothing of kmagic replaces it."""
    if name in _REPLACEMENTS:
        return _REPLACEMENTS[name].replace("MODEL", model)
    kind, _, dataset = name.partition("_")
    if (kind == "dataset" and dataset) or (kind == "load" and dataset in _DATA):
        options = [
            f"--{arg.name.replace('_', '-')} {arg.value}"
            for arg in args
            if arg.name in ("num_words", "maxlen") and isinstance(arg.value, int)
        ]
        return " ".join(["%keras_data", _DATA.get(dataset, dataset), *options])
    # keras_save, save_model_hdf5, save_model_tf: all are save
    plain = re.sub(
        r"^(save|load)_model(_weights)?(_hdf5|_tf)?$", r"\1\2", name.removeprefix("keras_")
    )
    plain = "fit" if plain == "fit_generator" else plain
    if plain in (*_SAVED, *_LOADED):
        magic = "%keras_load" if plain in _LOADED else "%keras_save"
        default = "model.json" if "json" in plain else "model.keras"
        path = next((arg.value for arg in args if isinstance(arg.value, str)), default)
        if "weights" in plain and not path.endswith(".weights.h5"):
            path = re.sub(r"\.\w+$", "", path) + ".weights.h5"
        return f"{magic} {model} {path}"
    sources = [_source(arg) for arg in args if arg.name in (None, "x", "y", "object", "model")]
    data = list(filter(None, sources))
    if plain == "fit":
        return " ".join(["%keras_fit", model, *(data[:2] or ["--data DATA"]), *_fit_options(args)])
    if plain == "evaluate":
        return " ".join(["%keras_evaluate", model, *data[:2]])
    if plain in _PREDICT_OPTIONS:
        return " ".join(["%keras_predict", model, *data[:1]]) + _PREDICT_OPTIONS[plain]
    return ""


def is_callback(name: str) -> bool:
    """Whether a name is that of a callback."""
    return _callback(name) in _CALLBACKS or name.startswith("callback_")


def _source(arg: CallArg) -> str:
    """The argument on a magic's line, or "" if it has no expression."""
    if isinstance(arg.value, RVector) and arg.value.items:
        parts = [item.python if isinstance(item, UnknownValue) else "" for item in arg.value]
        return "{[" + ", ".join(parts) + "]}" if all(parts) else ""
    python = arg.value.python if isinstance(arg.value, UnknownValue) else ""
    return python if not python or python.replace("_", "").isalnum() else "{" + python + "}"


def _fit_options(args: Iterable[CallArg]) -> list[str]:
    bound = {arg.name: arg.value for arg in args if arg.name}
    bound.setdefault("epochs", 10)  # the default of R keras and kerasR
    options = []
    for name, option in _FIT_OPTIONS.items():
        value = bound.get(name)
        if isinstance(value, int | float) and value:
            options.append(f"{option} {value}")
    validation = bound.get("validation_data")
    if isinstance(validation, RVector):
        pair = [item.python for item in validation if isinstance(item, UnknownValue)]
        options.append(f"--val {','.join(pair)}" if all(pair) and pair else "--val xv,yv")
    return [*options, *_callback_options(bound.get("callbacks"))]


def _callback_options(value: Any) -> Iterable[str]:
    for item in value if isinstance(value, RVector) else [value]:
        if isinstance(item, KerasObject) and _callback(item.name) in _CALLBACKS:
            option, parameter, default = _CALLBACKS[_callback(item.name)]
            args = {arg.name: arg.value for arg in item.args}
            given = args.get(parameter) or (args.get(None) if parameter == "filename" else None)
            yield f"{option} {given or default}".rstrip()


_CALLBACKS = {
    "earlystopping": ("--patience", "patience", "1"),
    "reducelronplateau": ("--reduce-lr", "", ""),
    "modelcheckpoint": ("--checkpoint", "", "DIR"),
    "csvlogger": ("--csv", "filename", "log.csv"),
    "tensorboard": ("--tensorboard", "log_dir", "logs"),
}
"""Callback -> the option that replaces it, the parameter with its value, and a default."""


def _callback(name: str) -> str:
    return name.removeprefix("callback_").replace("_", "").lower()
