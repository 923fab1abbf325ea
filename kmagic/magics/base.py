"""What all magics share: how they are declared, the model a line means, the data it names."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import Session, is_model
from kmagic.support import keras_import
from kmagic.support.errors import KmagicError
from kmagic.support.process_patches import warnings_as_text
from kmagic.support.suggestions import did_you_mean

BUILD_ONE = "Build one: `%%keras_model cnn`, followed by one layer per line."
MAX_ARRAYS = 2  # inputs and targets


def magic(
    parser: LineParser, *, cell: bool = False, interruptible: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a method of :class:`BaseMagics` as a magic; it receives the parsed line.

    ``-h`` prints the help, and errors write options, functions and the model as the line does.

    Args:
        parser: The options of the magic.
        cell: Whether it is a cell magic; then the method receives the cell, too.
        interruptible: Whether an interrupt ends it quietly, so that the notebook continues.
    """

    def declare(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def run(self: BaseMagics, line: str, *texts: str) -> Any:
            if set(line.split()) & {"-h", "--help"}:
                print(parser.help)  # noqa: T201 - help is text for the reader
                return None
            keras_import.load_keras()
            parsed = parser.parse(line, self.session.names)
            try:
                return method(self, parsed, *texts)
            except KmagicError as error:
                error.spelling = parsed.spelling
                raise
            except KeyboardInterrupt:
                if not interruptible:
                    raise
                print("Interrupted.")  # noqa: T201 - one word for the reader
                return None

        kind = cell_magic if cell else line_magic
        return kind(no_var_expand(run))

    return declare


@magics_class
class BaseMagics(Magics):
    """Base class of all magics.

    Args:
        shell: The InteractiveShell.
        session: The state of the notebook.
    """

    shell: Any

    def __init__(self, shell: Any, session: Session) -> None:
        super().__init__(shell)
        self.session = session

    def take_model(self, line: ParsedLine, words: list[str]) -> tuple[str, Any]:
        """The model that a line means: its first word, if that names one, or the last model.

        Args:
            line: The line.
            words: Its positional words; the model's is removed.

        Raises:
            MagicError: There is no model.
        """
        name, model = self._find_model(line, words)
        line.model_variable = name
        return name, model

    def _find_model(self, line: ParsedLine, words: list[str]) -> tuple[str, Any]:
        if words:
            value, known = line.try_value(words[0])
            if known and is_model(value):
                name = words.pop(0)
                if name.isidentifier():
                    self.session.last_model = name
                return name.strip("{}"), value
            if not known and words[0].isidentifier():
                remedy = did_you_mean(words[0], self.session.models()) or self._list_models()
                line.fail("is not a model of this notebook", words[0], remedy)
        current = self.session.current_model()
        if current is None:
            message = "this notebook has no model yet"
            line.fail(message, words[0] if words else "", BUILD_ONE)
        return current

    def _list_models(self) -> str:
        names = ", ".join(self.session.models())
        return f"Available: {names}." if names else BUILD_ONE

    def take_data(self, line: ParsedLine, words: list[str], *, test: bool) -> tuple[Any, Any, Any]:
        """Inputs and targets that a line names, by ``--data D`` or as two words.

        Args:
            line: The line, with an option ``data``.
            words: Its positional words after the model.
            test: Whether a data set stands for its test part.

        Returns:
            Inputs, targets or None, and the data set or None.

        Raises:
            MagicError: No data are named, or there are too many words.
        """
        if line.data:
            if words:
                line.fail("unexpected: --data already names the data", words[0])
            data = self._dataset(line)
            return (data.x_test, data.y_test, data) if test else (data.x_train, data.y_train, data)
        if not words:
            arrays = "x_test y_test" if test else "x_train y_train"
            remedy = f"Name a data set, `--data digits`, or arrays, `{arrays}`."
            line.fail("expected data", "", remedy)
        if len(words) > MAX_ARRAYS:
            if len(words) == MAX_ARRAYS + 1 and line.words[:1] == words[:1]:
                line.fail("is not a model", words[0], self._list_models())
            line.fail("unexpected argument", words[MAX_ARRAYS], "Expected: MODEL X Y.")
        x, *targets = (line.value(word) for word in words)
        if test and not targets and hasattr(x, "x_test"):
            return x.x_test, x.y_test, x
        return x, targets[0] if targets else None, None

    def _dataset(self, line: ParsedLine) -> Any:
        """The data set that ``--data`` names."""
        data, known = line.try_value(line.data)
        if not known:
            names = self.session.names
            datasets = [name for name, value in names.items() if hasattr(value, "x_train")]
            name = line.data if line.data.isidentifier() else "NAME"
            remedy = f"Load it first: `%keras_data ... -o {name}`."
            remedy = did_you_mean(line.data, datasets) or remedy
            line.fail("is not a data set of this notebook", line.data, remedy)
        if not hasattr(data, "x_train"):
            message = f"must be a data set with x_train, y_train ...; got {type(data).__name__}"
            remedy = "Load one: `%keras_data mnist -o digits`. Write arrays as two words: X Y."
            line.fail(message, line.data, remedy)
        return data

    def is_file(self, word: str) -> bool:
        """Whether a word names a file or a folder; a variable of this name takes precedence."""
        if word in self.session.names or word.startswith("{"):
            return False
        try:
            return Path(word).expanduser().exists()
        except (OSError, ValueError):  # not a possible file name
            return False

    def fail_unknown(self, line: ParsedLine, word: str, remedy: str) -> NoReturn:
        """Reject a word that is neither a variable nor a file.

        Raises:
            MagicError: Always.
        """
        line.fail("no such variable or file", word, remedy)


def scale_warnings_as_text(line: ParsedLine) -> AbstractContextManager[None]:
    """Print the warning that samples are scaled unlike the training data as a sentence.

    Args:
        line: The line, with the options ``quiet`` and ``no_checks``, which suppress it.
    """
    from kmagic.data.preparation.scale_drift import ScaleWarning  # noqa: PLC0415 - not before it is needed

    return warnings_as_text(ScaleWarning, show=not (line.quiet or line.no_checks))
