"""What all families of magics share: the session, the model a line means, the data it names."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, NoReturn, TypeVar

from IPython.core.magic import Magics, magics_class

from kmagic.magics.line_parser import Arguments, Line
from kmagic.magics.session import Session, is_model
from kmagic.support import keras_import
from kmagic.support.errors import EvaluationError
from kmagic.support.suggestions import did_you_mean

Method = TypeVar("Method", bound=Callable[..., Any])


@magics_class
class Family(Magics):
    """Base of the families.

    Args:
        shell: The InteractiveShell.
        session: What the magics of this notebook remember.
    """

    shell: Any

    def __init__(self, shell: Any, session: Session) -> None:
        super().__init__(shell)
        self.session = session

    def read(self, arguments: Arguments, line: str) -> Line | None:
        """Read a line; None if it only asked for help, which is printed then."""
        if set(line.split()) & {"-h", "--help"}:
            print(arguments.help)  # noqa: T201 - help is text for the reader
            return None
        keras_import.load_keras()
        return arguments.parse(line, self.session.names)

    def take_model(self, line: Line, words: list[str]) -> tuple[str, Any]:
        """The model that a line means: its first word, if it names one, or the last one made.

        Args:
            line: The line, for messages.
            words: Its positional words; the model's is taken away.

        Raises:
            MagicError: There is no model.
        """
        if words:
            value, known = line.try_value(words[0])
            if known and is_model(value):
                name = words.pop(0)
                if name.isidentifier():
                    self.session.last_model = name
                return name.strip("{}"), value
            if not known and words[0].isidentifier():
                models = self.session.models()
                remedy = did_you_mean(words[0], models) or _models_hint(models)
                line.fail("is not a model of this notebook", words[0], remedy)
        current = self.session.current_model()
        if current is None:
            remedy = "Make one: `%%keras_model cnn`, and below it one layer a line."
            line.fail("there is no model in this notebook yet", words[0] if words else "", remedy)
        return current

    def take_data(self, line: Line, words: list[str], *, test: bool) -> tuple[Any, Any, Any]:
        """Inputs and targets that a line names, by ``--data D`` or as two words.

        Args:
            line: The line, with an option ``data``.
            words: Its positional words behind the model.
            test: Whether a data set stands for its test part.

        Returns:
            Inputs, targets or None, and the data set or None.

        Raises:
            MagicError: None are named, or a word is left over.
        """
        if line.data:
            if words:
                line.fail("is one too many: --data names the data already", words[0])
            data, known = line.try_value(line.data)
            if not known:
                self._fail_no_data(line)
            if not hasattr(data, "x_train"):
                kind = type(data).__name__
                remedy = "Load one: `%keras_data mnist -o digits`. Arrays are given as two words."
                line.fail(
                    f"is no data set with x_train, y_train ..., but {kind}", line.data, remedy
                )
            return (data.x_test, data.y_test, data) if test else (data.x_train, data.y_train, data)
        if not words:
            arrays = "x_test y_test" if test else "x_train y_train"
            remedy = f"Name a data set, `--data digits`, or arrays, `{arrays}`."
            line.fail("expected data", "", remedy)
        most = 2
        if len(words) == most + 1 and line.words[:1] == words[:1]:
            line.fail("is no model", words[0], _models_hint(self.session.models()))
        if len(words) > most:
            line.fail("is one word too many", words[most], "Expected: MODEL X Y.")
        values = [line.value(word) for word in words]
        if test and len(values) == 1 and hasattr(values[0], "x_test"):
            return values[0].x_test, values[0].y_test, values[0]
        return values[0], values[1] if len(values) == most else None, None

    def _fail_no_data(self, line: Line) -> NoReturn:
        """Say that ``--data`` names nothing, and how it would.

        Raises:
            MagicError: Always.
        """
        names = self.session.names
        sets = [name for name, value in names.items() if hasattr(value, "x_train")]
        word = line.data if line.data.isidentifier() else "NAME"
        remedy = did_you_mean(line.data, sets) or f"Load it first: `%keras_data ... -o {word}`."
        line.fail("is not a data set of this notebook", line.data, remedy)


@contextmanager
def in_the_line_s_words(name: str, model: Any) -> Iterator[None]:
    """Let what cannot be judged be said in the words of a line, and not in Python's.

    Args:
        name: What the line calls the model.
        model: The model, which may have a name of its own.
    """
    try:
        yield
    except EvaluationError as error:
        own = f"The model {getattr(model, 'name', '')!r} "
        said = error.message.replace(own, f"The model {name!r} ")
        remedy = error.remedy.replace("load_data has read", "%keras_data has read")
        raise type(error)(said, remedy) from error


@contextmanager
def heeding_scale(line: Line) -> Iterator[None]:
    """Let it be said in a sentence if samples were scaled otherwise than what a model learned from.

    Args:
        line: The line, with the options ``quiet`` and ``no_checks``.
    """
    from kmagic.data.preparation.scale_drift import ScaleWarning  # noqa: PLC0415 - not before it is needed

    show = warnings.showwarning

    def tell(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, ScaleWarning):
            show(message, category, *where, **more)
        elif not (line.quiet or line.no_checks):
            print(message)  # noqa: T201 - a sentence for the reader

    with warnings.catch_warnings():
        warnings.simplefilter("always", ScaleWarning)
        warnings.showwarning = tell
        yield


def _models_hint(models: Iterable[str]) -> str:
    known = ", ".join(models)
    if known:
        return f"Its models: {known}."
    return "Make one: `%%keras_model cnn`, and below it one layer a line."


def forgiving(method: Method) -> Method:
    """Turn an interrupt into a quiet end: there is nothing of ours to show for it."""

    @wraps(method)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except KeyboardInterrupt:
            print("Interrupted.")  # noqa: T201 - one word for the reader
            return None

    return wrapped  # type: ignore[return-value]  # same signature
