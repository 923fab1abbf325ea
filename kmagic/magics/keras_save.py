"""``%keras_save`` and ``%keras_load``: models as files."""

from __future__ import annotations

import builtins
from itertools import chain, count
from keyword import iskeyword
from typing import Any

from kmagic.magics.keras_model import check_variable
from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import Session, magic
from kmagic.support.formatting import safe_repr
from kmagic.support.rendering import display_result, mark_displayed

CONTENTS = ("weights", "json", "text")

SAVE = LineParser(
    "%keras_save",
    "Save a model. The end of the path selects the content: .keras or .h5 the whole model,\n"
    ".weights.h5 the weights, .json the architecture, .kmagic the text. Class names and scaling\n"
    "are included.",
    "%keras_save cnn models/cnn.keras\n%keras_save cnn models/cnn --weights\n"
    "%keras_save models/cnn.kmagic --force",
)
SAVE.argument("[MODEL] PATH", "default: the last model", nargs="+")
SAVE.option("--force", "replace an existing file")
SAVE.option("--weights", "only the weights: PATH.weights.h5")
SAVE.option("--json", "only the architecture: PATH.json")
SAVE.option("--text", "only the text: PATH.kmagic")
SAVE.result_options()

LOAD = LineParser(
    "%keras_load",
    "Load a model and assign it to a variable, or load weights into the model of that variable.",
    "%keras_load models/cnn.keras\n%keras_load models/cnn.keras digits\n"
    "%keras_load models/cnn.weights.h5 cnn",
)
LOAD.argument("PATH", "the file", name="path", nargs=None)
LOAD.argument("NAME", "variable (default: the name it was saved by)", name="name", nargs="?")
LOAD.option("--custom-objects A,B", "notebook variables that the file may use: classes, functions")
LOAD.option("--unsafe", "load a file that you trust although it has code or reads other files")
LOAD.result_options()


@magic(SAVE, interruptible=True)
def keras_save(session: Session, line: ParsedLine) -> Any:
    """Save a model; ``%keras_save -h`` shows the options."""
    from kmagic.persistence.save_load import save  # noqa: PLC0415 - not before a model is saved

    contents = [content for content in CONTENTS if getattr(line.options, content)]
    if len(contents) > 1:
        line.fail(f"cannot be combined with --{contents[0]}", f"--{contents[1]}")
    *words, path = line.arguments
    if not words and not contents and path in session.models():
        line.fail("file name missing", path, f"Write `%keras_save {path} {path}.keras`.")
    if len(words) > 1:
        line.fail("unexpected argument", words[1], "Expected: [MODEL] PATH.")
    name, model = session.take_model(line, words)
    only: Any = contents[0] if contents else None
    saved = save(model, line.text_or_value(path), force=line.force, only=only, name=name)
    return session.deliver(saved, out=line.out, quiet=line.quiet)


@magic(LOAD, interruptible=True)
def keras_load(session: Session, line: ParsedLine) -> Any:
    """Load a model; ``%keras_load -h`` shows the options."""
    from kmagic.persistence.formats import is_weights_file, to_path  # noqa: PLC0415 - not before a model is loaded
    from kmagic.persistence.save_load import load_with_details  # noqa: PLC0415 - as above

    path = to_path(str(line.text_or_value(line.path)))
    into = None
    name = line.name or line.out
    if is_weights_file(path) and (name or session.current_model()):
        name, into = session.take_model(line, [name] if name else [])
    elif name:
        check_variable(session, line, name)
    loaded = load_with_details(
        path,
        into=into,
        safe_mode=not line.unsafe,
        custom_objects=_custom_objects(line),
        notebook=session.names,
    )
    is_named, name = bool(name), name or _free_variable(session, loaded.name)
    loaded = loaded.with_name(name)
    if into is None and (is_named or not session.is_callers(name)):
        session.notebook[name] = loaded.model
        session.set_current_model(name)
    if not line.quiet:
        display_result(loaded)
    session.show_models_at_end()
    mark_displayed(loaded.model)
    return loaded.model


def _custom_objects(line: ParsedLine) -> dict[str, Any]:
    """The notebook variables that the file may use: names, or a dictionary."""
    text = line.custom_objects
    if not text:
        return {}
    if text.startswith("{") or isinstance(line.try_value(text)[0], dict):
        value = line.value(text)
        if not isinstance(value, dict):
            found = safe_repr(value)
            line.fail(f"--custom-objects must be names or a dictionary; got {found}", text)
        return value
    return {name: line.value(name) for name in text.split(",") if name}


def _free_variable(session: Session, text: str) -> str:
    """A variable for what a file calls its model: it replaces a model, but no other variable."""
    name = "".join(char if char.isalnum() or char == "_" else "_" for char in text)
    valid = [name] if name.isidentifier() and not iskeyword(name) else []
    models, taken = session.models(), {*session.notebook, *dir(builtins)}
    names = chain(valid, ["model"], (f"model_{number}" for number in count(2)))
    return next(name for name in names if name in models or name not in taken)
