"""The pretrained models of ``keras.applications``, each with its own way to see and to name."""

from __future__ import annotations

import os
import sys
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

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
from kmagic.support.suggestions import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ASKED = 1000  # classes of ImageNet, which all of keras.applications were trained on
SIDE = 224  # pixels: what the networks that take any size (MobileNetV3) were trained on
LOADED = 2  # models that are kept, for those who compare two


@dataclass(frozen=True, eq=False, slots=True)
class Application:
    """What belongs to one pretrained model.

    Attributes:
        name: Its name in ``keras.applications``: "MobileNetV2".
        make: The function that makes the model, with its weights.
        preprocess: From pictures of values 0 to 255 to what the model was trained on.
        decode: From its output to names, as Keras's ``decode_predictions``.
        side: Height and width of a picture where the model takes any.
    """

    name: str
    make: Callable[..., Any]
    preprocess: Callable[[Any], Any]
    decode: Callable[..., Any]
    side: int = SIDE

    def model(self) -> Any:
        """The model with ImageNet's weights, which Keras downloads once.

        Raises:
            EvaluationError: The weights are not there and cannot be fetched.
        """
        return _load(self.make)

    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the model's output.

        Raises:
            EvaluationError: The list of names is not there and cannot be fetched.
        """
        return _read_names(self.decode)


def find_application(app: str | Callable[..., Any]) -> Application:
    """The application of a name or a function.

    The function's own module holds what it needs besides the model, so any of them will do.

    Args:
        app: A function of ``keras.applications``, or its name; upper and lower case and
            underscores do not matter.

    Raises:
        EvaluationError: There is no such application.
    """
    make = _by_name(app) if isinstance(app, str) else app
    module = sys.modules.get(getattr(make, "__module__", ""))
    preprocess = getattr(module, "preprocess_input", None)
    decode = getattr(module, "decode_predictions", None)
    if not callable(make) or preprocess is None or decode is None:
        raise EvaluationError(
            f"app must be a function of keras.applications or its name; received {app!r}.",
            "A model of one's own goes without app: classify(images, model, classes=...).",
        )
    return Application(getattr(make, "__name__", str(app)), make, preprocess, decode)


def recognize_application(model: Any) -> Application | None:
    """The application that a model is by its name and its thousand classes, or None.

    So that ``keras.applications.MobileNetV2()`` is seen and named as it must be, also where it is
    given as a model.
    """
    shape = getattr(model, "output_shape", None)
    if not isinstance(shape, tuple) or shape[-1:] != (ASKED,):
        return None
    key = _key(str(getattr(model, "name", "")))
    known = [name for name in application_names() if key.startswith(_key(name))]
    if key.startswith("nasnet"):
        known = [name for name in application_names() if key == _key(name)]
    return find_application(max(known, key=len)) if known else None


def application_names() -> list[str]:
    """The names that ``keras.applications`` has in the installed Keras."""
    import keras  # noqa: PLC0415 - eight seconds to import

    return sorted(
        name
        for name, value in vars(keras.applications).items()
        if callable(value) and name[:1].isupper()
    )


def _by_name(name: str) -> Callable[..., Any]:
    import keras  # noqa: PLC0415 - eight seconds to import

    names = application_names()
    by_key = {_key(known): known for known in names}
    if _key(name) not in by_key:
        near = nearest(name, names, count=3)
        raise EvaluationError(
            f"{name!r} is not one of keras.applications.",
            f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(names)}.",
        )
    make: Callable[..., Any] = getattr(keras.applications, by_key[_key(name)])
    return make


def _key(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


# --- what Keras fetches --------------------------------------------------------------------------


@lru_cache(maxsize=LOADED)
def _load(make: Callable[..., Any]) -> Any:
    with load_pretrained(f"The weights of {make.__name__}"):
        return make()


@lru_cache(maxsize=8)
def _read_names(decode: Callable[..., Any]) -> tuple[str, ...]:
    with load_pretrained("The names of ImageNet's classes"):
        rows = decode(np.eye(ASKED, dtype=np.float32), top=1)
    return tuple(str(row[0][1]) for row in rows)


_FOLDER = "models"


@contextmanager
def load_pretrained(what: str) -> Iterator[None]:
    """Let Keras read from its cache, or fetch; say which file goes where if it cannot.

    Args:
        what: What is read, as the first words of the message: "The weights of VGG16".

    Raises:
        EvaluationError: It is not there and cannot be fetched, or cannot be read.
        DataError: A file would be deleted, and there is no room for a copy.
    """
    asked: list[tuple[CachedFile, bool]] = []  # what Keras fetches, and whether it was there
    try:
        with ExitStack() as kept:

            def keep(url: str) -> None:
                """Keep what is there: Keras writes into it, or deletes it if nothing comes."""
                file = CachedFile(PurePosixPath(urlsplit(url).path).name, url, folder=_FOLDER)
                path = path_of(file)
                asked.append((file, path.exists()))
                kept.enter_context(_second_name(path))
                check_reachable(url)
                if path.exists():
                    kept.enter_context(backup_file(path))

            with quick_failure(), _before_fetching(keep):
                yield
    except DownloadError as error:
        raise _not_here(what, asked, str(error)) from error
    except Exception as error:
        if not isinstance(error, OSError) and not str(error).startswith("Incomplete or corrupted"):
            raise
        where = path_of(asked[-1][0]) if asked else keras_home() / _FOLDER
        said = f"{what} could not be read from {show_path(where)}: {error}"
        raise EvaluationError(said, UNREADABLE_REMEDY) from error


def _not_here(what: str, asked: list[tuple[CachedFile, bool]], reason: str) -> EvaluationError:
    if not asked:
        return EvaluationError(
            f"{what} cannot be loaded: {reason}.",
            "With a network Keras fetches them once. Without one, put the file into "
            f"{show_path(keras_home() / _FOLDER)}.",
        )
    file, was_there = asked[-1]
    wrong, missing = ([file], []) if was_there else ([], [file])
    said = f"{what} cannot be loaded: {missing_files_message(wrong, missing, reason)}."
    return EvaluationError(said, download_remedy([file]))


@contextmanager
def _second_name(file: Path) -> Iterator[None]:
    """Keep a file that is only deleted: a second name costs nothing."""
    other = file.with_name(f".{file.name}.{os.getpid()}.kept")
    with suppress(OSError):  # there is no file, or its disk knows no second names
        os.link(file, other, follow_symlinks=False)
    try:
        yield
    finally:
        if os.path.lexists(file):
            other.unlink(missing_ok=True)
        elif os.path.lexists(other):
            other.rename(file)


@contextmanager
def _before_fetching(look: Callable[[str], None]) -> Iterator[None]:
    """Show every address to ``look`` before it is fetched; Keras does so by ``urllib``."""

    class Look(urllib.request.BaseHandler):
        handler_order = 0  # before all others

        def default_open(self, request: urllib.request.Request) -> None:
            # Neither where an address leads on to, nor the question whether its server answers.
            if request.get_method() == "GET" and not request.unverifiable:
                look(request.full_url)

    before = getattr(urllib.request, "_opener", None)
    urllib.request.install_opener(urllib.request.build_opener(Look))
    try:
        yield
    finally:
        urllib.request.install_opener(before)
