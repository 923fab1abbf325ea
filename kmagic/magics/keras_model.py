"""``%%keras_model``, ``%keras_compile``, ``%keras_summary``: making a model and looking at it."""

from __future__ import annotations

import keyword
import warnings
from collections.abc import Sequence
from typing import Any

from IPython.core.magic import cell_magic, line_magic, magics_class, no_var_expand
from IPython.display import display
from IPython.utils.capture import capture_output

from kmagic.magics.base import Family
from kmagic.magics.line_parser import Arguments, Line
from kmagic.support.rendering import mark_displayed
from kmagic.support.static_display import is_static

SOFTMAX = r"You are using a softmax over axis -1 of a tensor of shape \(\w+, 1\)"
"""How Keras says at each training and prediction what our advice has said of the model."""
WIDTH = 88
"""Columns of a text that %keras_code and Keras write."""

MODEL = Arguments(
    "%%keras_model",
    "Build a Keras model from the layer language, one layer a line, and give it a name.",
    "%%keras_model cnn\ninput 28x28x1\nconv2d 32 3x3 relu / maxpool 2x2\nflatten / dense 10 softmax"
    "\ncompile adam loss=sparse_categorical_crossentropy metrics=accuracy",
)
MODEL.option("name", nargs="?", default="model", help="the model's name (default: model)")
MODEL.option("--seed", metavar="N", help="begin with the same weights each time")
MODEL.option("--from-r", action="store_true", help="the cell is R: kerasR's way or R keras's")
MODEL.option("--no-checks", action="store_true", help="give no advice on the model")
MODEL.option("-q", "--quiet", action="store_true", help="show nothing")

COMPILE = Arguments(
    "%keras_compile",
    "Compile a model: optimizer, loss, metrics, in the words of the layer language.",
    "%keras_compile cnn adam loss=mse\n%keras_compile adam(1e-4) loss=mse metrics=mae",
)
COMPILE.option("words", nargs="*", metavar="[MODEL] OPTIMIZER", help="as in a `compile` line")
COMPILE.option("--loss", metavar="L", help="the loss")
COMPILE.option("--metrics", metavar="A,B", help="metrics, between commas")
COMPILE.option("-q", "--quiet", action="store_true", help="show nothing")

SUMMARY = Arguments("%keras_summary", "Show a model: its text, shapes and parameters.")
SUMMARY.option("words", nargs="*", metavar="[MODEL]", help="default: the last one made")
SUMMARY.option("--keras", action="store_true", help="print Keras's own summary")


CODE = Arguments(
    "%keras_code",
    "The way out: the Keras program for a model, or its text in the layer language.",
    "%keras_code cnn\n%keras_code cnn --as dsl\n%keras_code cnn --cell",
)
CODE.option("words", nargs="*", metavar="[MODEL]", help="default: the last one made")
CODE.option("--as", dest="language", choices=("python", "dsl"), default="python", help="which")
CODE.option("--cell", action="store_true", help="put it into a new cell below")
CODE.result_options()

PLOT = Arguments("%keras_plot", "Show a model as a diagram, with shapes and parameters.")
PLOT.option("words", nargs="*", metavar="[MODEL]", help="default: the last one made")


@magics_class
class ModelMagics(Family):
    """Making a model and looking at it."""

    @no_var_expand
    @cell_magic
    def keras_model(self, line: str, cell: str) -> Any:
        """Build a Keras model from the layer language; ``%%keras_model -h`` tells more."""
        read = self.read(MODEL, line)
        if read is None:
            return None
        from kmagic.from_r.translation import translate_pasted_r  # noqa: PLC0415 - loads the parser
        from kmagic.models.build import build_model  # noqa: PLC0415 - not before a model is built

        name = read.name
        if not name.isidentifier() or keyword.iskeyword(name):
            read.fail("is not a name", name, "A name has letters, digits and _, as in Python.")
        if read.seed is not None:
            _sow(read.number(read.seed, "--seed", least=0))
        where = f"%%keras_model {name}"
        if read.from_r:
            model = self._from_r(cell, name, where, quiet=read.quiet)
        else:
            with translate_pasted_r():
                model = build_model(cell, self.session.names, where=where, first_line=2, name=name)
        self.session.bind(name, model)
        self.session.last_model = name
        first_line = 1 if read.from_r else 2  # of the text that the advice counts the lines of
        return self.show_model(
            name, model, quiet=read.quiet, advise=not read.no_checks, first_line=first_line
        )

    @no_var_expand
    @line_magic
    def keras_compile(self, line: str) -> Any:
        """Compile a model; ``%keras_compile -h`` tells more."""
        read = self.read(COMPILE, line)
        if read is None:
            return None
        from kmagic.from_r.translation import translate_pasted_r  # noqa: PLC0415 - loads the parser
        from kmagic.models.build import compile_text  # noqa: PLC0415 - not before a model is built

        words = list(read.words)
        name, model = self.take_model(read, words)
        text = " ".join(["compile", *words])
        text += f" loss={read.loss}" if read.loss else ""
        text += f" metrics=[{read.metrics}]" if read.metrics else ""
        with translate_pasted_r():
            compile_text(model, text, self.session.names, where="%keras_compile")
        return self.show_model(name, model, quiet=read.quiet)

    @no_var_expand
    @line_magic
    def keras_summary(self, line: str) -> Any:
        """Show a model; ``%keras_summary -h`` tells more."""
        read = self.read(SUMMARY, line)
        if read is None:
            return None
        words = list(read.words)
        name, model = self.take_model(read, words)
        _no_more(read, words)
        if read.keras:
            _print_summary(model)
            return None
        return self.show_model(name, model, quiet=False)

    @no_var_expand
    @line_magic
    def keras_code(self, line: str) -> Any:
        """Show the Keras program for a model; ``%keras_code -h`` tells more."""
        read = self.read(CODE, line)
        if read is None:
            return None
        from kmagic.models.export import Code, to_dsl, to_python  # noqa: PLC0415 - not before it is asked for

        words = list(read.words)
        name, model = self.take_model(read, words)
        _no_more(read, words)
        if read.language == "dsl":
            text = to_dsl(model, width=WIDTH)
            cell = f"%%keras_model {name}\n{text}"
        else:
            text = to_python(model, name=name, names=self.session.names)
            cell = text
        if read.cell:
            self.shell.set_next_input(cell)
        code = Code(text, name, read.language)
        return self.session.deliver(code, out=read.out, quiet=read.quiet or read.cell)

    @no_var_expand
    @line_magic
    def keras_plot(self, line: str) -> Any:
        """Show a model as a diagram; ``%keras_plot -h`` tells more."""
        read = self.read(PLOT, line)
        if read is None:
            return None
        from kmagic.display.model.diagram import diagram_bundle  # noqa: PLC0415 - as above
        from kmagic.models.build import origin_of  # noqa: PLC0415 - not before a model is built

        words = list(read.words)
        name, model = self.take_model(read, words)
        _no_more(read, words)
        self.session.show_models_at_end()
        display(diagram_bundle(model, origin_of(model), name), raw=True)  # type: ignore[no-untyped-call]  # no types there
        mark_displayed(model)
        return model

    def _from_r(self, cell: str, name: str, where: str, *, quiet: bool) -> Any:
        """Build what an R cell says, and show its text and the Python for it."""
        from kmagic.from_r import from_r  # noqa: PLC0415 - not before there is R
        from kmagic.models.build import build_model  # noqa: PLC0415 - not before a model is built
        from kmagic.support.errors import DSLError  # noqa: PLC0415 - as above

        text = from_r(cell, name=name, where=where, first_line=2)
        try:
            model = build_model(str(text), self.session.names, where=where, name=name)
        except DSLError as error:
            raise text.error_in_r(error, where=where, first_line=2) from None
        self.session.deliver(text, out=None, quiet=quiet)
        return model

    def show_model(
        self, name: str, model: Any, *, quiet: bool, advise: bool = True, first_line: int = 2
    ) -> Any:
        """Put a model's card into the cell, with advice below, unless it is to be quiet."""
        self.session.show_models_at_end()
        if not quiet:
            notes = _advice(model, first_line) if advise else []
            display(_bundle(name, model, notes), raw=True)  # type: ignore[no-untyped-call]  # no types there
        mark_displayed(model)
        return model


def _print_summary(model: Any) -> None:
    """Keras's own summary, which is several displays, as wide as a terminal that is not there."""
    if not is_static():
        model.summary()
        return
    lines: list[str] = []
    with capture_output():
        model.summary(line_length=WIDTH, print_fn=lines.append)
    print("\n".join(lines))  # noqa: T201 - as Keras does


def _sow(seed: int) -> None:
    """Let chance be the same from here on; so are the weights that a model begins with."""
    import keras  # noqa: PLC0415 - not before a model is built

    keras.utils.set_random_seed(seed)


def _bundle(name: str, model: Any, notes: Sequence[str] = ()) -> dict[str, str]:
    from kmagic.display.model.model_card import model_bundle  # noqa: PLC0415 - as above
    from kmagic.models.build import origin_of  # noqa: PLC0415 - not before a model is built

    return model_bundle(model, name, origin_of(model), notes)


def _advice(model: Any, first_line: int) -> list[str]:
    """What Keras takes in silence and will hurt, in words; lines as the cell counts them."""
    from kmagic.models.build import origin_of  # noqa: PLC0415 - not before a model is built
    from kmagic.models.lint import advise  # noqa: PLC0415 - as above

    found = advise(model, origin_of(model))
    if any(each.code == "one-softmax" for each in found):
        warnings.filterwarnings("ignore", message=SOFTMAX, category=UserWarning)
    return [each.to_text(first_line=first_line) for each in found]


def _no_more(line: Line, words: list[str]) -> None:
    if words:
        line.fail("is one word too many", words[0], f"Help: {line.magic} -h")
