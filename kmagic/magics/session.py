"""What the magics of one notebook share: how they are declared, its models, data and results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import wraps
from types import CodeType
from typing import Any

from IPython.core.magic import no_var_expand

from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.support import keras_import
from kmagic.support.caller_names import CallerNames, caller_names
from kmagic.support.errors import InputWarning, KmagicError
from kmagic.support.object_errors import explain_special_methods
from kmagic.support.process_patches import show_models_with, warnings_as_text
from kmagic.support.rendering import Renderable, display_result, mark_displayed, was_just_displayed
from kmagic.support.suggestions import did_you_mean
from kmagic.support.user_path import user_path
from kmagic.training.run.run_list import RunList

BUILD_ONE = "Build one: `%%keras_model cnn`, followed by one layer per line."
MAX_ARRAYS = 2  # inputs and targets
MAGICS: dict[str, tuple[LineParser, Callable[..., Any]]] = {}
"""Name of each magic, without percent signs -> its parser and its function."""
_CALLER: ContextVar[Mapping[str, Any] | None] = ContextVar("_CALLER", default=None)
"""The variables of the code that runs a magic, while it runs."""


def magic(
    parser: LineParser, *, interruptible: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a function as a magic; it receives the session, the parsed line, and a cell's text.

    ``-h`` prints the help, and errors write options, functions and the model as the line does. An
    interrupt ends an interruptible magic quietly, so that the notebook continues.
    """

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run(session: Session, line: str, *texts: str) -> Any:
            if set(line.split()) & {"-h", "--help"}:
                print(parser.format_help())  # noqa: T201 - help is text for the reader
                return None
            keras_import.load_keras()
            with names_of_caller(caller_names(session.notebook)):
                parsed = parser.parse(line, session.names)
                try:
                    session.check_result_name(parsed, parsed.options.__dict__.get("out"))
                    return explain_special_methods(function)(session, parsed, *texts)
                except KmagicError as error:
                    error.spelling = parsed.spelling
                    raise
                except KeyboardInterrupt:
                    if not interruptible:
                        raise
                    print("Interrupted.")  # noqa: T201 - one word for the reader
                    return None

        no_var_expand(run)
        MAGICS[parser.name.lstrip("%")] = parser, run
        return run

    return declare


@contextmanager
def names_of_caller(names: Mapping[str, Any]) -> Iterator[None]:
    """Look up names among these in the magic that runs."""
    token = _CALLER.set(names)
    try:
        yield
    finally:
        _CALLER.reset(token)


class Session:
    """One notebook's state.

    The user's objects are the notebook's variables; the session only knows which model was used
    last, and the runs.
    """

    def __init__(self, shell: Any) -> None:
        self.shell = shell  # the InteractiveShell
        self.last_model = ""  # notebook variable of the model that was built or used last
        self.cluster: str | None = None  # address of the Ray cluster that the notebook uses
        self.runs = RunList()  # of this session, oldest first
        self._last_local: tuple[CodeType, str] | None = None  # as last_model, in a function

    @property
    def notebook(self) -> dict[str, Any]:
        """The notebook's variables; results are assigned here."""
        names: dict[str, Any] = self.shell.user_ns
        return names

    @property
    def names(self) -> Mapping[str, Any]:
        """All variables that can be used: those of the code that runs the magic come first."""
        names = _CALLER.get()
        return self.notebook if names is None else names

    def models(self) -> dict[str, Any]:
        """All models that are variables."""
        return {
            name: value
            for name, value in self.names.items()
            if not name.startswith("_") and is_model(value)
        }

    def current_model(self) -> tuple[str, Any] | None:
        """The model that was built or used last, if it still exists, with its variable.

        In a function with models of its own it is one of these; None if that is ambiguous.
        """
        names, models = self.names, self.models()
        if isinstance(names, CallerNames):
            own = [name for name in models if name in names.local]
            code, last = self._last_local or (None, "")
            if code is names.code and last in own:
                return last, models[last]
            if own or self.last_model in names.local:
                return (own[0], models[own[0]]) if len(own) == 1 else None
        if self.last_model in models:
            return self.last_model, models[self.last_model]
        return next(reversed(models.items()), None)

    def set_current_model(self, name: str) -> None:
        """Note that the model of a variable was used last."""
        names = self.names
        if isinstance(names, CallerNames) and name in names.local:
            self._last_local = names.code, name
        else:
            self.last_model = name

    def is_callers(self, name: str) -> bool:
        """Whether a function of the notebook that runs the magic has a variable of this name."""
        return isinstance(self.names, CallerNames) and self.names.is_assigned_here(name)

    def check_result_name(self, line: ParsedLine, name: str | None) -> None:
        """Refuse to assign to a variable of the notebook that the calling code would not see."""
        if name and self.is_callers(name):
            where = getattr(self.names, "where", "")
            message = f"assigns a notebook variable, but {name} is a variable of {where}"
            remedy = "Choose another name."
            if not line.magic.startswith("%%"):
                remedy = f"Write `{name} = {line.magic} ...`, or choose another name."
            line.fail(message, name, remedy)

    def datasets(self) -> Iterator[Any]:
        """The datasets that are variables of the notebook."""
        module = sys.modules.get("kmagic.data.dataset")
        if module is not None:
            for value in list(self.names.values()):
                if isinstance(value, module.Dataset):
                    yield value

    def show_models_at_end(self) -> None:
        """Show a model at the end of a cell as its card from now on."""
        show_models_with(self.shell, self._show_model)

    def _show_model(self, model: Any) -> None:
        if not was_just_displayed(model):
            names = (name for name, value in self.models().items() if value is model)
            display_model(next(names, model.name), model)

    # --- what a line means ------------------------------------------------------------------------

    def take_model(
        self, line: ParsedLine, words: list[str] | None = None, *, or_file: bool = False
    ) -> tuple[str, Any]:
        """The model that a line means: its first word, if that names one, or the last model.

        The word is removed from ``words``, by default the arguments of the line. With ``or_file``
        it may be a file, which belongs to the last model.
        """
        words = line.arguments if words is None else words
        is_file = or_file and bool(words) and self.is_file(words[0])
        line.model_variable, model = self._find_model(line, [] if is_file else words)
        return line.model_variable, model

    def _find_model(self, line: ParsedLine, words: list[str]) -> tuple[str, Any]:
        if words:
            value, known = line.try_value(words[0])
            if known and is_model(value):
                name = words.pop(0)
                if name.isidentifier():
                    self.set_current_model(name)
                return name.strip("{}"), value
            if not known and words[0].isidentifier():
                remedy = did_you_mean(words[0], self.models()) or self.list_models()
                line.fail("is not a model of this notebook", words[0], remedy)
        current = self.current_model()
        if current is None and (models := self.models()):
            message = f"several models can be meant here: {', '.join(models)}"
            line.fail(message, words[0] if words else "", "Name the model first.")
        if current is None:
            message = "this notebook has no model yet"
            line.fail(message, words[0] if words else "", BUILD_ONE)
        return current

    def list_models(self) -> str:
        """The remedy that names all models."""
        names = ", ".join(self.models())
        return f"Available: {names}." if names else BUILD_ONE

    def take_data(self, line: ParsedLine, *, test: bool) -> tuple[Any, Any, Any]:
        """Inputs and targets that a line names, by ``--data D`` or as two words.

        Inputs to be tested may be a file.

        Args:
            line: The line, with an option ``data``, without the word of the model.
            test: Whether a dataset stands for its test part.

        Returns:
            Inputs, targets or None, and the dataset or None.
        """
        words = line.arguments
        if line.data:
            if words:
                line.fail("unexpected: --data already names the data", words[0])
            data = self._dataset(line)
            return (data.x_test, data.y_test, data) if test else (data.x_train, data.y_train, data)
        if not words:
            arrays = "x_test y_test" if test else "x_train y_train"
            remedy = f"Name a dataset, `--data digits`, or arrays, `{arrays}`."
            line.fail("expected data", "", remedy)
        if len(words) > MAX_ARRAYS:
            if words[0].endswith(","):
                line.fail_unexpected(words[0])
            if len(line.options.arguments) == MAX_ARRAYS + 1:
                line.fail("is not a model", words[0], self.list_models())
            line.fail_unexpected(words[MAX_ARRAYS], "Expected: MODEL X Y.")
        x: Any = words[0]
        if not (test and self.is_file(x)):
            x = line.value(x)
        targets = [line.value(word) for word in words[1:]]
        if test and not targets and hasattr(x, "x_test"):
            return x.x_test, x.y_test, x
        return x, targets[0] if targets else None, None

    def _dataset(self, line: ParsedLine) -> Any:
        """The dataset that ``--data`` names."""
        data, known = line.try_value(line.data)
        if not known:
            datasets = [name for name, value in self.names.items() if hasattr(value, "x_train")]
            name = line.data if line.data.isidentifier() else "NAME"
            remedy = f"Load it first: `%keras_data ... -o {name}`."
            remedy = did_you_mean(line.data, datasets) or remedy
            line.fail("is not a dataset of this notebook", line.data, remedy)
        if not hasattr(data, "x_train"):
            message = f"must be a dataset with x_train, y_train ...; got {type(data).__name__}"
            remedy = "Load one: `%keras_data mnist -o digits`. Write arrays as two words: X Y."
            line.fail(message, line.data, remedy)
        return data

    def is_file(self, word: str) -> bool:
        """Whether a word names a file or a folder; a variable of this name takes precedence."""
        if word in self.names or word.startswith("{"):
            return False
        try:
            return user_path(word).exists()
        except (KmagicError, OSError):  # not a possible file name, or not a readable folder
            return False

    def file_or_value(self, line: ParsedLine, word: str, remedy: Callable[[str], str]) -> Any:
        """A file, the value of a word, or the word itself, unless it looks like a variable.

        A file comes before an expression: photo.jpg is no attribute.
        """
        if self.is_file(word):
            return word
        value, known = line.try_value(word)
        if not known and word.isidentifier():
            line.fail("no such variable or file", word, remedy(word))
        return value if known else word

    def cluster_of(self, line: ParsedLine) -> str | None:
        """The cluster that a line runs on: its ``--on``, or that of ``%keras_cluster``."""
        on = line.on or self.cluster
        return None if on == "off" else on

    # --- results --------------------------------------------------------------------------------

    def deliver(self, value: Any, *, out: str | None = None, quiet: bool = False) -> Any:
        """Show a magic's result and assign it to a variable; return it marked as shown."""
        if out:
            self.notebook[out] = value
        if isinstance(value, Renderable):
            if not quiet:
                display_result(value)
            mark_displayed(value)
        return value


def display_model(name: str, model: Any, advice: tuple[str, ...] = ()) -> None:
    """Show a model's card in the running cell, with advice below."""
    from IPython.display import display  # noqa: PLC0415 - not before there is a model

    from kmagic.display.model.model_card import model_bundle  # noqa: PLC0415 - as above
    from kmagic.models.build import origin_of  # noqa: PLC0415 - as above

    display(model_bundle(model, name, origin_of(model), advice), raw=True)  # type: ignore[no-untyped-call]  # no types there


def is_model(value: Any) -> bool:
    """Whether a value is a Keras model; does not import Keras to find out."""
    keras = sys.modules.get("keras")
    model = getattr(keras, "Model", None)
    return model is not None and isinstance(value, model)


def input_warnings_as_text(line: ParsedLine) -> AbstractContextManager[None]:
    """Print, unless ``-q`` or ``--no-checks`` is set, that samples are unlike the training data."""
    return warnings_as_text(InputWarning, show=not (line.quiet or line.no_checks))
