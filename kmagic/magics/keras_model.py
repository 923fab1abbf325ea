"""The magics that build a model and show it.

``%%keras_model``, ``%keras_compile``, ``%keras_summary``, ``%keras_code``, ``%keras_plot``.
"""

from __future__ import annotations

from keyword import iskeyword
from typing import Any

from IPython.display import display
from IPython.utils.capture import capture_output

from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import Session, display_model, is_model, magic
from kmagic.support.display_mode import is_static
from kmagic.support.errors import DSLError
from kmagic.support.keras_import import keras
from kmagic.support.process_patches import ignore_softmax_warning
from kmagic.support.rendering import mark_displayed

TEXT_WIDTH = 88
"""Columns of a text that %keras_code and Keras write."""

MODEL = LineParser(
    "%%keras_model",
    "Build a Keras model from the layer language, one layer per line, and assign it to a variable.",
    "%%keras_model cnn\ninput 28x28x1\nconv2d 32 3x3 relu / maxpool 2x2\nflatten / dense 10 softmax"
    "\ncompile adam loss=sparse_categorical_crossentropy metrics=accuracy",
)
MODEL.argument(
    "name", "the model's variable (default: model)", name="name", nargs="?", default="model"
)
MODEL.option("--seed N", "random seed, for the same initial weights each time", minimum=0)
MODEL.option("--weights-from M", "start with the weights of model M, which has the same layers")
MODEL.option("--from-r", "the cell is R code: kerasR or R keras")
MODEL.option("--no-checks", "give no advice on the model")
MODEL.option("-q --quiet", "show nothing")

COMPILE = LineParser(
    "%keras_compile",
    "Compile a model: optimizer, loss and metrics, in the layer language.",
    "%keras_compile cnn adam loss=mse\n%keras_compile adam(1e-4) loss=mse metrics=mae",
)
COMPILE.argument("[MODEL] OPTIMIZER", "as in a `compile` line")
COMPILE.option("--loss L", "the loss")
COMPILE.option("--metrics A,B", "metrics, separated by commas")
COMPILE.option("-q --quiet", "show nothing")

SUMMARY = LineParser(
    "%keras_summary",
    "Show a model: its text, shapes and parameters, or what it costs.",
    "%keras_summary cnn\n%keras_summary cnn --cost -b 64",
)
SUMMARY.argument("[MODEL]", "default: the last model")
SUMMARY.option("--keras", "print Keras's own summary")
SUMMARY.option("--cost", "count FLOPs and memory for each line, and measure the time to predict")
SUMMARY.option("-b --batch-size N", "with --cost: samples per batch (default: 32)", minimum=1)
SUMMARY.option(
    "--length N", "with --cost: size of unknown dimensions, such as time steps", minimum=1
)
SUMMARY.result_options()

_WITH_COST = {"batch_size", "length", "out", "quiet"}

CODE = LineParser(
    "%keras_code",
    "Show the Keras program for a model, or its text in the layer language.",
    "%keras_code cnn\n%keras_code cnn --as dsl\n%keras_code cnn --cell\n%keras_code study",
)
CODE.argument("[MODEL]", "default: the last model; or a study of %%keras_tune: an Optuna program")
CODE.option(
    "--as {python,dsl}", "Python (default) or the layer language", dest="language", default="python"
)
CODE.option("--cell", "put it into a new cell below")
CODE.result_options()

PLOT = LineParser("%keras_plot", "Show a model as a diagram, with shapes and parameters.")
PLOT.argument("[MODEL]", "default: the last model")


@magic(MODEL)
def keras_model(session: Session, line: ParsedLine, cell: str) -> Any:
    """Build a Keras model; ``%%keras_model -h`` shows the options."""
    from kmagic.from_r.translation import translate_pasted_r  # noqa: PLC0415 - loads the parser
    from kmagic.models.build import build_model  # noqa: PLC0415 - not before a model is built

    name = line.name
    check_variable(session, line, name)
    source = _weights_source(session, line)
    if line.seed is not None:
        keras.utils.set_random_seed(line.seed)
    where = f"%%keras_model {name}"
    if line.from_r:
        model = _from_r(session, cell, name, where, quiet=line.quiet)
    else:
        with translate_pasted_r():
            model = build_model(cell, session.names, where=where, first_line=2, name=name)
    advice: tuple[str, ...] = ()
    if source is not None:
        from kmagic.training.starting_weights import take_weights  # noqa: PLC0415 - as above

        advice = (take_weights(model, source, line.weights_from),)
    session.notebook[name] = model
    session.set_current_model(name)
    if not (line.quiet or line.no_checks):
        # The advice on R code counts the lines of its translation, not those of the cell.
        advice += _advice(model, first_line=1 if line.from_r else 2)
    return _show(session, name, model, quiet=line.quiet, advice=advice)


@magic(COMPILE)
def keras_compile(session: Session, line: ParsedLine) -> Any:
    """Compile a model; ``%keras_compile -h`` shows the options."""
    from kmagic.from_r.translation import translate_pasted_r  # noqa: PLC0415 - loads the parser
    from kmagic.models.build import compile_text  # noqa: PLC0415 - not before a model is built

    name, model = session.take_model(line)
    text = " ".join(["compile", *line.arguments])
    text += f" loss={line.loss}" if line.loss else ""
    text += f" metrics=[{line.metrics}]" if line.metrics else ""
    with translate_pasted_r():
        compile_text(model, text, session.names, where="%keras_compile")
    advice = () if line.quiet else _advice(model)
    return _show(session, name, model, quiet=line.quiet, advice=advice)


@magic(SUMMARY, interruptible=True)
def keras_summary(session: Session, line: ParsedLine) -> Any:
    """Show a model; ``%keras_summary -h`` shows the options."""
    name, model = _only_model(session, line)
    if line.cost:
        return _cost(session, line, name, model)
    others = {flag for flag, action in SUMMARY.options.items() if action.dest in _WITH_COST}
    for word in line.all_words:
        if (flag := word.text.partition("=")[0]) in others:
            line.fail(f"{flag} needs --cost", word.text, "Add `--cost`.")
    if line.keras:
        _print_keras_summary(model)
        return None
    return _show(session, name, model, advice=_advice(model))


@magic(CODE)
def keras_code(session: Session, line: ParsedLine) -> Any:
    """Show the Keras program for a model; ``%keras_code -h`` shows the options."""
    from kmagic.models.decompile import to_dsl  # noqa: PLC0415 - not before it is needed
    from kmagic.models.export import Code, to_python  # noqa: PLC0415 - not before it is needed

    study: Any = session.names.get(line.arguments[0]) if line.arguments else None
    if hasattr(study, "optuna_study"):
        from kmagic.tuning.study_code import study_program  # noqa: PLC0415 - needs an extra

        name, text = study.name, study_program(study)
        if line.language == "dsl":
            text = study.text()
        if line.cell:
            session.shell.set_next_input(text)
        code = Code(text, name, line.language)
        return session.deliver(code, out=line.out, quiet=line.quiet or line.cell)
    name, model = _only_model(session, line)
    if line.language == "dsl":
        text = to_dsl(model, width=TEXT_WIDTH)
        cell = f"%%keras_model {name}\n{text}"
    else:
        cell = text = to_python(model, name=name, names=session.names)
    if line.cell:
        session.shell.set_next_input(cell)
    code = Code(text, name, line.language)
    return session.deliver(code, out=line.out, quiet=line.quiet or line.cell)


@magic(PLOT)
def keras_plot(session: Session, line: ParsedLine) -> Any:
    """Show a model as a diagram; ``%keras_plot -h`` shows the options."""
    from kmagic.display.model.diagram import diagram_bundle  # noqa: PLC0415 - as below
    from kmagic.models.build import origin_of  # noqa: PLC0415 - not before a model is built

    name, model = _only_model(session, line)
    session.show_models_at_end()
    display(diagram_bundle(model, origin_of(model), name), raw=True)  # type: ignore[no-untyped-call]  # no types there
    mark_displayed(model)
    return model


def _cost(session: Session, line: ParsedLine, name: str, model: Any) -> Any:
    """Show what a model costs."""
    from kmagic.evaluation.cost.model_cost import cost  # noqa: PLC0415 - imports TensorFlow

    if line.keras:
        line.fail("--keras and --cost cannot be combined", "--keras", "Remove one of the two.")
    result = cost(model, name=name, **line.keywords("batch_size", "length"))
    return session.deliver(result, out=line.out, quiet=line.quiet)


def _only_model(session: Session, line: ParsedLine) -> tuple[str, Any]:
    """The model of a line that names nothing else."""
    name, model = session.take_model(line)
    if line.arguments:
        if len(line.options.arguments) == 1:
            line.fail("is not a model", line.arguments[0], session.list_models())
        line.fail_unexpected(line.arguments[0])
    return name, model


def _weights_source(session: Session, line: ParsedLine) -> Any:
    """The model whose weights the new one gets; None without that option."""
    if line.weights_from is None:
        return None
    value, _ = line.try_value(line.weights_from)
    if not is_model(value):
        line.fail("is not a model of this notebook", line.weights_from, session.list_models())
    return value


def _from_r(session: Session, cell: str, name: str, where: str, *, quiet: bool) -> Any:
    """Build the model of an R cell, and show its text and its Python."""
    from kmagic.from_r import from_r  # noqa: PLC0415 - not before there is R code
    from kmagic.models.build import build_model  # noqa: PLC0415 - not before a model is built

    text = from_r(cell, name=name, where=where, first_line=2)
    try:
        model = build_model(str(text), session.names, where=where, name=name)
    except DSLError as error:
        raise text.error_in_r(error, where=where, first_line=2) from None
    session.deliver(text, quiet=quiet)
    return model


def _show(
    session: Session, name: str, model: Any, *, quiet: bool = False, advice: tuple[str, ...] = ()
) -> Any:
    """Show a model's card in the cell, with advice below; return the model marked as shown."""
    session.show_models_at_end()
    if not quiet:
        display_model(name, model, advice)
    mark_displayed(model)
    return model


def check_variable(session: Session, line: ParsedLine, name: str) -> None:
    """Check that a model can be assigned to a variable."""
    if not name.isidentifier() or iskeyword(name):
        line.fail("is not a valid variable name", name, "Use letters, digits and _, as in Python.")
    session.check_result_name(line, name)


def _print_keras_summary(model: Any) -> None:
    """Print Keras's own summary; in a static notebook as text of a fixed width."""
    if not is_static():
        model.summary()
        return
    lines: list[str] = []
    with capture_output():
        model.summary(line_length=TEXT_WIDTH, print_fn=lines.append)
    print("\n".join(lines))  # noqa: T201 - as Keras does


def _advice(model: Any, first_line: int = 2) -> tuple[str, ...]:
    """Warnings about mistakes that Keras accepts silently, with lines as the cell counts them."""
    from kmagic.models.build import origin_of  # noqa: PLC0415 - not before a model is built
    from kmagic.models.lint import advise  # noqa: PLC0415 - as above

    advice = advise(model, origin_of(model))
    if any(item.code == "one-softmax" for item in advice):
        ignore_softmax_warning()
    return tuple(item.to_text(first_line=first_line) for item in advice)
