"""``%keras_save`` and ``%keras_load``: models as files."""

from __future__ import annotations

import keyword
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand

from kmagic.magics.base import Family, forgiving
from kmagic.magics.line_parser import Arguments, Line
from kmagic.support.rendering import mark_displayed

SAVE = Arguments(
    "%keras_save",
    "Save a model; the end of the path says what: .keras or .h5 all of it, .weights.h5 the weights,"
    "\n.json the architecture, .kmagic the text. Class names and scaling go along.",
    "%keras_save cnn models/cnn.keras\n%keras_save cnn models/cnn --weights\n"
    "%keras_save models/cnn.kmagic --force",
)
SAVE.option("words", nargs="+", metavar="[MODEL] PATH", help="default: the last model made")
SAVE.option("--force", action="store_true", help="replace a file that is there")
SAVE.option("--weights", action="store_true", help="only the weights: PATH.weights.h5")
SAVE.option("--json", action="store_true", help="only the architecture: PATH.json")
SAVE.option("--text", action="store_true", help="only the text: PATH.kmagic")
SAVE.result_options()

LOAD = Arguments(
    "%keras_load",
    "Load a model and give it a name; or load weights into the model of that name.",
    "%keras_load models/cnn.keras\n%keras_load models/cnn.keras digits\n"
    "%keras_load models/cnn.weights.h5 cnn",
)
LOAD.option("path", metavar="PATH", help="the file")
LOAD.option("name", nargs="?", metavar="NAME", help="default: the name it was saved by")
LOAD.option("--unsafe", action="store_true", help="run Python code in a file that you made")
LOAD.result_options()

FORMS = ("weights", "json", "text")


@magics_class
class PersistenceMagics(Family):
    """Models as files."""

    @no_var_expand
    @line_magic
    @forgiving
    def keras_save(self, line: str) -> Any:
        """Save a model; ``%keras_save -h`` tells more."""
        read = self.read(SAVE, line)
        if read is None:
            return None
        from kmagic.persistence.save_load import save  # noqa: PLC0415 - not before a model is saved

        forms = [form for form in FORMS if getattr(read.options, form)]
        if len(forms) > 1:
            read.fail(f"is one too many beside --{forms[0]}", f"--{forms[1]}")
        words = list(read.words)
        last = words.pop()
        if not words and not forms and last in self.session.models():
            read.fail("is the model; where is it to go?", last, f"Such as: {last} {last}.keras")
        most = 1
        if len(words) > most:
            read.fail("is one word too many", words[most], "Expected: [MODEL] PATH.")
        name, model = self.take_model(read, words)
        only: Any = forms[0] if forms else None
        saved = save(model, _path(read, last), force=read.force, only=only, name=name)
        return self.session.deliver(saved, out=read.out, quiet=read.quiet)

    @no_var_expand
    @line_magic
    @forgiving
    def keras_load(self, line: str) -> Any:
        """Load a model; ``%keras_load -h`` tells more."""
        read = self.read(LOAD, line)
        if read is None:
            return None
        from kmagic.persistence.formats import is_weights_file, to_path  # noqa: PLC0415 - not before a model is loaded
        from kmagic.persistence.save_load import load_with_details  # noqa: PLC0415 - as above
        from kmagic.support.rendering import display_result  # noqa: PLC0415 - as above

        path = to_path(_path(read, read.path))
        into = None
        name = read.name or read.out
        if is_weights_file(path) and (name or self.session.current_model()):
            name, into = self.take_model(read, [name] if name else [])
        elif name and (not name.isidentifier() or keyword.iskeyword(name)):
            read.fail("is not a name", name, "A name has letters, digits and _, as in Python.")
        loaded = load_with_details(
            path, into=into, safe_mode=not read.unsafe, notebook=self.session.names
        )
        name = name or _name(loaded.name)
        loaded = loaded.with_name(name)
        if into is None:
            self.session.bind(name, loaded.model)
        self.session.last_model = name
        if not read.quiet:
            display_result(loaded)
        self.session.show_models_at_end()
        mark_displayed(loaded.model)
        return loaded.model


def _path(read: Line, word: str) -> str:
    """A path: as it stands, quoted, or ``{an expression}``."""
    quoted = word[:1] in "\"'" and word[-1:] == word[:1] and len(word) > 1
    if quoted or word.startswith("{"):
        return str(read.value(word))
    return word


def _name(text: str) -> str:
    """A name of Python for what a file calls its model."""
    name = "".join(char if char.isalnum() or char == "_" else "_" for char in text)
    return name if name.isidentifier() and not keyword.iskeyword(name) else "model"
