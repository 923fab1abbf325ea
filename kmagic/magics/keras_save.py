"""``%keras_save`` and ``%keras_load``: models as files."""

from __future__ import annotations

from keyword import iskeyword
from typing import Any

from IPython.core.magic import magics_class

from kmagic.magics.base import BaseMagics, magic
from kmagic.magics.keras_model import check_variable
from kmagic.magics.line_parser import LineParser, ParsedLine
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
SAVE.option("words", nargs="+", metavar="[MODEL] PATH", help="default: the last model")
SAVE.option("--force", action="store_true", help="replace an existing file")
SAVE.option("--weights", action="store_true", help="only the weights: PATH.weights.h5")
SAVE.option("--json", action="store_true", help="only the architecture: PATH.json")
SAVE.option("--text", action="store_true", help="only the text: PATH.kmagic")
SAVE.result_options()

LOAD = LineParser(
    "%keras_load",
    "Load a model and assign it to a variable, or load weights into the model of that variable.",
    "%keras_load models/cnn.keras\n%keras_load models/cnn.keras digits\n"
    "%keras_load models/cnn.weights.h5 cnn",
)
LOAD.option("path", metavar="PATH", help="the file")
LOAD.option("name", nargs="?", metavar="NAME", help="variable (default: the name it was saved by)")
LOAD.option("--unsafe", action="store_true", help="run Python code in a file that you trust")
LOAD.result_options()


@magics_class
class PersistenceMagics(BaseMagics):
    """The magics for files of models."""

    @magic(SAVE, interruptible=True)
    def keras_save(self, line: ParsedLine) -> Any:
        """Save a model; ``%keras_save -h`` shows the options."""
        from kmagic.persistence.save_load import save  # noqa: PLC0415 - not before a model is saved

        contents = [content for content in CONTENTS if getattr(line.options, content)]
        if len(contents) > 1:
            line.fail(f"cannot be combined with --{contents[0]}", f"--{contents[1]}")
        *words, path = line.words
        if not words and not contents and path in self.session.models():
            line.fail("file name missing", path, f"Write `%keras_save {path} {path}.keras`.")
        if len(words) > 1:
            line.fail("unexpected argument", words[1], "Expected: [MODEL] PATH.")
        name, model = self.take_model(line, words)
        only: Any = contents[0] if contents else None
        saved = save(model, str(line.text_or_value(path)), force=line.force, only=only, name=name)
        return self.session.deliver(saved, out=line.out, quiet=line.quiet)

    @magic(LOAD, interruptible=True)
    def keras_load(self, line: ParsedLine) -> Any:
        """Load a model; ``%keras_load -h`` shows the options."""
        from kmagic.persistence.formats import is_weights_file, to_path  # noqa: PLC0415 - not before a model is loaded
        from kmagic.persistence.save_load import load_with_details  # noqa: PLC0415 - as above

        path = to_path(str(line.text_or_value(line.path)))
        into = None
        name = line.name or line.out
        if is_weights_file(path) and (name or self.session.current_model()):
            name, into = self.take_model(line, [name] if name else [])
        elif name:
            check_variable(line, name)
        loaded = load_with_details(
            path, into=into, safe_mode=not line.unsafe, notebook=self.session.names
        )
        name = name or _variable(loaded.name)
        loaded = loaded.with_name(name)
        if into is None:
            self.session.names[name] = loaded.model
        self.session.last_model = name
        if not line.quiet:
            display_result(loaded)
        self.session.show_models_at_end()
        mark_displayed(loaded.model)
        return loaded.model


def _variable(text: str) -> str:
    """A valid variable for what a file calls its model."""
    name = "".join(char if char.isalnum() or char == "_" else "_" for char in text)
    return name if name.isidentifier() and not iskeyword(name) else "model"
