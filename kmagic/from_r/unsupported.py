"""What of a script is no model: which magic does it here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from kmagic.from_r.r_values import MODEL, Given, Thing, Unknown, Vector

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
_SAVED = {
    "save": "model.keras",
    "save_weights": "model.weights.h5",
    "model_to_json": "model.json",
    "load": "model.keras",
    "load_weights": "model.weights.h5",
    "model_from_json": "model.json",
}
_NAMES = {
    "save_model": "save",
    "save_model_hdf5": "save",
    "save_model_tf": "save",
    "save_model_weights": "save_weights",
    "save_model_weights_hdf5": "save_weights",
    "load_model": "load",
    "load_model_hdf5": "load",
    "load_model_tf": "load",
    "load_model_weights": "load_weights",
    "load_model_weights_hdf5": "load_weights",
    "fit_generator": "fit",
}
_FIXED: dict[str, str] = {
    "library": "Nothing has to be loaded.",
    "require": "Nothing has to be loaded.",
    "use_condaenv": "Nothing has to be set up.",
    "use_virtualenv": "Nothing has to be set up.",
    "install_keras": "Nothing has to be set up.",
    "keras_init": "Nothing has to be set up.",
    "keras_available": "Nothing has to be set up.",
    "source": "Put the file's model code into this cell.",
    "summary": f"%keras_summary {MODEL}",
    "plot": f"%keras_plot {MODEL}",
    "plot_model": f"%keras_plot {MODEL}",
    "set.seed": "%keras_fit ... --seed 1",
    "use_session_with_seed": "%keras_fit ... --seed 1",
    "set_random_seed": "%keras_fit ... --seed 1",
    "to_categorical": "%keras_data ... --onehot, or labels as they are with a sparse loss",
    "pad_sequences": "%keras_data imdb --maxlen 100, or keras.utils.pad_sequences",
    "normalize": "%keras_data ... --scale standard, learned on the training part only",
    "scale": "%keras_data ... --scale standard, learned on the training part only",
    "array_reshape": "%keras_data ... --flatten, or x.reshape(...)",
    "array": "%keras_data ... --flatten or --channel, or x.reshape(...)",
    "expand_dims": "numpy.expand_dims(x, 0)",
    "text_tokenizer": "text_vectorization adapt={texts}, a line of the model",
    "Tokenizer": "text_vectorization adapt={texts}, a line of the model",
    "image_load": "%keras_classify takes the file",
    "load_img": "%keras_classify takes the file",
    "img_to_array": "%keras_classify takes the file",
    "decode_predictions": "%keras_classify names the classes",
    "table": "%keras_confusion",
    "unfreeze_weights": f"{MODEL}.trainable = True in a Python cell",
    "get_layer": "model.get_layer(name) in a Python cell",
}


def is_elsewhere(name: str) -> bool:
    """Whether a function is one that something else than the model's text does here."""
    return (
        name in _FIXED
        or _plain(name) in {*_SAVED, "fit", "evaluate", "predict"}
        or (_plain(name) in {"predict_classes", "predict_proba"} or _data_of(name) != "")
    )


def advice(name: str, given: list[Given]) -> str:
    """What does here what a function of R keras or kerasR did; ``MODEL`` stands for its model."""
    if name in _FIXED:
        return _FIXED[name]
    data = _data_of(name)
    if data:
        options = [
            f"--{each.name.replace('_', '-')} {each.value}"
            for each in given
            if each.name in ("num_words", "maxlen") and isinstance(each.value, int)
        ]
        return " ".join(["%keras_data", _DATA.get(data, data), *options])
    plain = _plain(name)
    if plain in _SAVED:
        magic = "%keras_load" if plain.startswith("load") or "from" in plain else "%keras_save"
        path = next((each.value for each in given if isinstance(each.value, str)), _SAVED[plain])
        return f"{magic} {MODEL} {_path(path, plain)}"
    names = [_source(each) for each in given if each.name in (None, "x", "y", "object", "model")]
    words = [each for each in names if each]
    if plain == "fit":
        return " ".join(["%keras_fit", MODEL, *(words[:2] or ["--data DATA"]), *_fit(given)])
    options = {"predict_classes": ["--classes"], "predict_proba": ["--proba"]}.get(plain, [])
    magic = "%keras_evaluate" if plain == "evaluate" else "%keras_predict"
    return " ".join([magic, MODEL, *words[: 2 if plain == "evaluate" else 1], *options])


def _plain(name: str) -> str:
    name = name.removeprefix("keras_")
    return _NAMES.get(name, name)


def _data_of(name: str) -> str:
    found = re.fullmatch(r"(?:load|dataset)_(\w+)", name)
    return found[1] if found and (found[1] in _DATA or name.startswith("dataset_")) else ""


def _path(path: str, plain: str) -> str:
    """The file's name, with the ending that tells what is in it."""
    if "weights" in plain and not path.endswith(".weights.h5"):
        path = re.sub(r"\.\w+$", "", path) + ".weights.h5"
    return path


def _source(each: Given) -> str:
    if isinstance(each.value, Vector) and each.value.items:
        parts = [item.python if isinstance(item, Unknown) else "" for item in each.value]
        return "{[" + ", ".join(parts) + "]}" if all(parts) else ""
    found = each.value.python if isinstance(each.value, Unknown) else ""
    return found if not found or found.replace("_", "").isalnum() else "{" + found + "}"


def _fit(given: list[Given]) -> list[str]:
    bound = {each.name: each.value for each in given if each.name}
    bound.setdefault("epochs", 10)  # of R keras and of kerasR
    found = []
    for name, option in _FIT_OPTIONS.items():
        value = bound.get(name)
        if isinstance(value, int | float) and value:
            found.append(f"{option} {value}")
    held = bound.get("validation_data")
    if isinstance(held, Vector):
        pair = [each.python for each in held if isinstance(each, Unknown)]
        found.append(f"--val {','.join(pair)}" if all(pair) and pair else "--val xv,yv")
    found += list(_callbacks(bound.get("callbacks")))
    return found


def _callbacks(value: Any) -> Iterable[str]:
    for each in value if isinstance(value, Vector) else [value]:
        if not isinstance(each, Thing):
            continue
        name = re.sub(r"[_\W]|^callback", "", each.name.removeprefix("callback_")).lower()
        make = _CALLBACKS.get(name)
        if make is not None:
            yield make({arg.name: arg.value for arg in each.args})


_CALLBACKS: dict[str, Callable[[dict[str | None, Any]], str]] = {
    "earlystopping": lambda args: f"--patience {args.get('patience') or 1}",
    "reducelronplateau": lambda _: "--reduce-lr",
    "modelcheckpoint": lambda _: "--checkpoint DIR",
    "csvlogger": lambda args: f"--csv {args.get('filename') or args.get(None) or 'log.csv'}",
    "tensorboard": lambda args: f"--tensorboard {args.get('log_dir') or 'logs'}",
}


def is_callback(name: str) -> bool:
    """Whether a name is that of a callback."""
    plain = re.sub("_", "", name.removeprefix("callback_")).lower()
    return plain in _CALLBACKS or name.startswith("callback_")


def other(target: str) -> str:
    """For a statement of which nothing else is known."""
    if target:
        return f"Make {target} in a Python cell, or by %keras_data."
    return "Run what it does in a Python cell."
