"""Weights and class names that Keras keeps in a folder of the user's, or fetches into it."""

from __future__ import annotations

import io
import os
import re
import urllib.request
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.error import URLError

from kmagic.errors import EvaluationError
from kmagic.keras_cache import kept_file, keras_home, offline, show_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ADDRESS = re.compile(r"https?://\S+?(?=:?(?:\s|$))")


@contextmanager
def through_keras(what: str) -> Iterator[None]:
    """Let Keras read from its cache, or fetch; say which file goes where if it cannot.

    Args:
        what: What is read, as the first words of the message: "The weights of VGG16".

    Raises:
        EvaluationError: It is not there and cannot be fetched.
    """
    with ExitStack() as stack:

        def keep(address: str) -> None:
            """Keep what is there: Keras writes into it, and deletes it if the rest never comes."""
            file = keras_home() / "models" / PurePosixPath(address).name
            stack.enter_context(_second_name(file))
            if offline():
                raise URLError("KMAGIC_OFFLINE is set")
            if file.exists():
                stack.enter_context(kept_file(file))

        stack.enter_context(_before_fetching(keep))
        if offline():
            stack.enter_context(redirect_stdout(io.StringIO()))  # "Downloading data from ..."
        try:
            yield
        except Exception as error:
            if not _missing(error):
                raise
            found = _ADDRESS.search(str(error))
            raise EvaluationError(
                f"{what} are not on this machine and could not be fetched. Keras: {error}",
                _what_to_do(found[0] if found else ""),
            ) from error


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


def _what_to_do(address: str) -> str:
    models = keras_home() / "models"
    if not address:
        return (
            "With a network Keras fetches them once. Without one, put the file into "
            f"{show_path(models)}."
        )
    return (
        "With a network Keras fetches them once. Without one, fetch the file elsewhere and put it "
        f"here:\n  {show_path(models / PurePosixPath(address).name)}\n    from {address}"
    )


@contextmanager
def _before_fetching(look: Callable[[str], None]) -> Iterator[None]:
    """Show every address to ``look`` before it is opened; Keras fetches by ``urllib``."""

    class Look(urllib.request.BaseHandler):
        handler_order = 0  # before all others

        def default_open(self, request: urllib.request.Request) -> None:
            look(request.full_url)

    before = getattr(urllib.request, "_opener", None)
    urllib.request.install_opener(urllib.request.build_opener(Look))
    try:
        yield
    finally:
        urllib.request.install_opener(before)


def _missing(error: Exception) -> bool:
    """Keras tells of a failed download by a plain Exception."""
    return isinstance(error, OSError) or "URL fetch failure" in str(error)
