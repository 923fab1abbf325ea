"""Keras's cache on this machine, and whether the network may be asked to fill it."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from kmagic.repeatable import is_repeatable


def keras_home() -> Path:
    """The folder that Keras uses in this process, found without importing Keras."""
    config = sys.modules.get("keras.src.backend.config")
    told = getattr(config, "keras_home", lambda: None)() or os.environ.get("KERAS_HOME")
    if told:
        home = Path(told).expanduser()
    else:
        user = Path.home()
        home = (user if os.access(user, os.W_OK) else Path("/tmp")) / ".keras"  # noqa: S108 - Keras's own choice
    if home.exists() and not os.access(home, os.W_OK):
        shared = Path("/tmp")  # noqa: S108 - Keras's own choice
        return (shared if shared.is_dir() else Path(tempfile.gettempdir())) / ".keras"
    return home


def show_path(path: Path) -> str:
    """A path as a reader writes it: the home folder is ``~``.

    Where what is shown must be the same everywhere, Keras's own folder stands where it stands by
    default, and of any other path only the part below the working folder is told, or the name.
    """
    if is_repeatable():
        for folder, said in ((keras_home(), "~/.keras"), (Path.cwd(), "")):
            with suppress(ValueError):
                return str(Path(said) / path.absolute().relative_to(folder.absolute()))
        return path.name
    with suppress(ValueError, RuntimeError):
        return str(Path("~") / path.relative_to(Path.home()))
    return str(path)


def offline() -> bool:
    """Whether the user has said, by ``KMAGIC_OFFLINE=1``, that the network is not to be asked."""
    return os.environ.get("KMAGIC_OFFLINE", "0") not in ("", "0")
