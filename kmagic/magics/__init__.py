"""The magics: each parses its line, calls one public function, and shows the result."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial, update_wrapper
from typing import Any

from kmagic.magics import keras_classify as keras_classify
from kmagic.magics import keras_cluster as keras_cluster
from kmagic.magics import keras_confusion as keras_confusion
from kmagic.magics import keras_data as keras_data
from kmagic.magics import keras_errors_magic as keras_errors_magic
from kmagic.magics import keras_evaluate as keras_evaluate
from kmagic.magics import keras_fit as keras_fit
from kmagic.magics import keras_history_magic as keras_history_magic
from kmagic.magics import keras_labels as keras_labels
from kmagic.magics import keras_layers as keras_layers
from kmagic.magics import keras_lr as keras_lr
from kmagic.magics import keras_model as keras_model
from kmagic.magics import keras_save as keras_save
from kmagic.magics import keras_tune as keras_tune
from kmagic.magics.completion import completer
from kmagic.magics.editor import editor_comm, terminal_colours
from kmagic.magics.session import MAGICS, Session
from kmagic.support import keras_import
from kmagic.support.process_patches import install_display_hook, remove_display_hook
from kmagic.support.rendering import forget_displayed


def register(shell: Any) -> None:
    """Register the magics with a shell, and import Keras and the widgets in the background.

    ``KMAGIC_WARM=0`` in the environment omits the import.
    """
    session = Session(shell)
    for name, (parser, function) in MAGICS.items():
        bound = update_wrapper(partial(function, session), function)
        kind = "cell" if parser.name.startswith("%%") else "line"
        shell.register_magic_function(bound, kind, name)
    shell.input_transformers_cleanup.insert(0, _with_body)
    completer.register(shell, session)
    editor_comm.register(shell, session)
    terminal_colours.register(shell)
    install_display_hook(shell)
    shell.events.register("pre_run_cell", forget_displayed)
    if os.environ.get("KMAGIC_WARM", "1") != "0":
        keras_import.preload(keras_fit.import_for_fit)


def _with_body(lines: list[str]) -> list[str]:
    """``%%keras_model -h`` with an empty body, without which IPython does not call the magic."""
    words = lines[0].split() if len(lines) == 1 else [""]
    is_ours = words and words[0].startswith("%%") and words[0][2:] in MAGICS
    return [lines[0].rstrip() + "\n", "\n"] if is_ours and {"-h", "--help"} & {*words} else lines


def unregister(shell: Any) -> None:
    """Remove the magics from a shell."""
    with suppress(ValueError):  # was not registered
        shell.events.unregister("pre_run_cell", forget_displayed)
    with suppress(ValueError):  # as above
        shell.input_transformers_cleanup.remove(_with_body)
    completer.unregister(shell)
    editor_comm.unregister(shell)
    terminal_colours.unregister(shell)
    remove_display_hook(shell)
    for magics in shell.magics_manager.magics.values():
        for name in MAGICS:
            magics.pop(name, None)
