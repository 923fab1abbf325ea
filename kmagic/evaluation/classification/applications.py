"""The pretrained models of ``keras.applications``, with their preprocessing and class names."""

from __future__ import annotations

import os
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from kmagic.evaluation.prediction.batch_prediction import option_error
from kmagic.support.downloads import (
    UNREADABLE_REMEDY,
    CachedFile,
    DownloadError,
    check_reachable,
    download_remedy,
    missing_files_message,
    path_of,
    quick_failure,
)
from kmagic.support.errors import EvaluationError
from kmagic.support.keras_cache import backup_file, keras_home, show_path
from kmagic.support.keras_import import keras
from kmagic.support.messages import Function, Option, Text
from kmagic.support.suggestions import nearest

IMAGENET_CLASSES = 1000
DEFAULT_SIDE = 224  # pixels: training size of the networks that take any size (MobileNetV3)
MAX_LOADED = 2  # models kept in memory, for comparing two
CACHE_FOLDER = "models"  # of Keras


@dataclass(frozen=True, eq=False, slots=True)
class Application:
    """One pretrained model."""

    name: str  # in keras.applications: "MobileNetV2"
    make: Callable[..., Any]  # creates the model with its weights
    preprocess: Callable[[Any], Any]  # from values 0 to 255 to the model's input
    decode: Callable[..., Any]  # from its output to class names, as Keras's decode_predictions

    def model(self) -> Any:
        """The model with ImageNet's weights, which Keras downloads once."""
        return _load_model(self.make)

    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the model's output."""
        return _load_class_names(self.decode)


def find_application(app: str | Callable[..., Any]) -> Application:
    """The application of a name or a function."""
    make = _function_by_name(app) if isinstance(app, str) else app
    # The function's own module contains its preprocessing and class names.
    module = sys.modules.get(getattr(make, "__module__", ""))
    preprocess = getattr(module, "preprocess_input", None)
    decode = getattr(module, "decode_predictions", None)
    if not callable(make) or preprocess is None or decode is None:
        expected = "a function of keras.applications or its name"
        own_model = Text("For your own model, leave out ", Option("app"), ": ")
        remedy = Text(own_model, Function("classify"), "(images, model, class_names=...).")
        raise EvaluationError(option="app", expected=expected, actual=app, remedy=remedy)
    return Application(getattr(make, "__name__", str(app)), make, preprocess, decode)


def recognize_application(model: Any) -> Application | None:
    """The application that a model is, by its name and its 1,000 classes, or None.

    So ``keras.applications.MobileNetV2()`` is preprocessed correctly also without ``app=``.
    """
    shape = getattr(model, "output_shape", None)
    if not isinstance(shape, tuple) or shape[-1:] != (IMAGENET_CLASSES,):
        return None
    key = _normalize(str(getattr(model, "name", "")))
    names = [name for name in application_names() if key.startswith(_normalize(name))]
    if key.startswith("nasnet"):
        names = [name for name in application_names() if key == _normalize(name)]
    return find_application(max(names, key=len)) if names else None


def application_names() -> list[str]:
    """The names in ``keras.applications`` of the installed Keras."""
    return list(_functions())


def _functions() -> dict[str, Callable[..., Any]]:
    known = sorted(vars(keras.applications).items())
    return {name: value for name, value in known if callable(value) and name[:1].isupper()}


def _function_by_name(name: str) -> Callable[..., Any]:
    by_key = {_normalize(known): function for known, function in _functions().items()}
    if _normalize(name) not in by_key:
        names = application_names()
        near = nearest(name, names, count=3)
        raise option_error(
            "app",
            f"must be a model of keras.applications; got {name!r}.",
            f"Did you mean {' or '.join(near)}?" if near else f"Available: {', '.join(names)}.",
        )
    return by_key[_normalize(name)]


def _normalize(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


# --- files that Keras downloads -----------------------------------------------------------------


@lru_cache(maxsize=MAX_LOADED)
def _load_model(make: Callable[..., Any]) -> Any:
    with load_pretrained(f"the weights of {make.__name__}"):
        return make()


@lru_cache(maxsize=8)
def _load_class_names(decode: Callable[..., Any]) -> tuple[str, ...]:
    with load_pretrained("the names of ImageNet's classes"):
        rows = decode(np.eye(IMAGENET_CLASSES, dtype=np.float32), top=1)
    return tuple(str(row[0][1]) for row in rows)


@contextmanager
def load_pretrained(what: str) -> Iterator[None]:
    """Let Keras load from its cache or download; an error tells which file goes where."""
    requested: list[tuple[CachedFile, bool]] = []  # what Keras downloads, and whether it existed
    try:
        with ExitStack() as stack:

            def protect(url: str) -> None:
                """Keep a file that Keras overwrites, or deletes if the download fails."""
                file = CachedFile(PurePosixPath(urlsplit(url).path).name, url, folder=CACHE_FOLDER)
                path = path_of(file)
                requested.append((file, path.exists()))
                stack.enter_context(_undeletable(path))
                check_reachable(url)
                if path.exists():
                    stack.enter_context(backup_file(path))

            with quick_failure(), _before_download(protect):
                yield
    except DownloadError as error:
        raise _missing(what, requested, str(error)) from error
    except Exception as error:
        if not isinstance(error, OSError) and not str(error).startswith("Incomplete or corrupted"):
            raise
        path = path_of(requested[-1][0]) if requested else keras_home() / CACHE_FOLDER
        message = f"Cannot read {what} from {show_path(path)}: {error}"
        raise EvaluationError(message, UNREADABLE_REMEDY) from error


def _missing(what: str, requested: list[tuple[CachedFile, bool]], reason: str) -> EvaluationError:
    if not requested:
        return EvaluationError(
            f"Cannot load {what}: {reason}.",
            "With a network connection, Keras downloads them once. Without one, copy the file to "
            f"{show_path(keras_home() / CACHE_FOLDER)}.",
        )
    file, existed = requested[-1]
    wrong, missing = ([file], []) if existed else ([], [file])
    message = f"Cannot load {what}: {missing_files_message(wrong, missing, reason)}."
    return EvaluationError(message, download_remedy([file]))


@contextmanager
def _undeletable(file: Path) -> Iterator[None]:
    """Restore a file if it is only deleted, from a hard link, which needs no space."""
    link = file.with_name(f".{file.name}.{os.getpid()}.kept")
    with suppress(OSError):  # there is no file, or its disk has no hard links
        os.link(file, link, follow_symlinks=False)
    try:
        yield
    finally:
        if os.path.lexists(file):
            link.unlink(missing_ok=True)
        elif os.path.lexists(link):
            link.rename(file)


@contextmanager
def _before_download(callback: Callable[[str], None]) -> Iterator[None]:
    """Call ``callback`` with every URL before its download; Keras uses ``urllib``."""

    class BeforeDownload(urllib.request.BaseHandler):
        handler_order = 0  # before all others

        def default_open(self, request: urllib.request.Request) -> None:
            # Neither redirections, nor the request that checks whether the server responds.
            if request.get_method() == "GET" and not request.unverifiable:
                callback(request.full_url)

    previous = getattr(urllib.request, "_opener", None)
    urllib.request.install_opener(urllib.request.build_opener(BeforeDownload))
    try:
        yield
    finally:
        urllib.request.install_opener(previous)
