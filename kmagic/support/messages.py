"""Messages made of parts, so that a function and a magic can each spell them in their own way.

A function names its parameter ``patience=3``, a magic its option ``--patience 3``. A message that
mentions one is a :class:`Text`, whose parts are strings and references (:class:`Option`,
:class:`Function`, :class:`ModelName`). It becomes a string only where it is shown, and nothing
searches or replaces within the string.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kmagic.support.formatting import escape_control_characters


@dataclass(frozen=True, slots=True)
class Option:
    """A parameter of the function that was called, with the value to show, if any."""

    name: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Function:
    """A public function of kmagic, such as ``load_data``."""

    name: str


@dataclass(frozen=True, slots=True)
class ModelName:
    """The model that a message is about, by the name that Keras knows it by."""

    name: str


Part: TypeAlias = "str | Option | Function | ModelName | Text"


class Spelling:
    """How the references in a message are written: as in Python, ``target="price"``, ``load_data``.

    Example:
        >>> PYTHON.option(Option("target", "price")), PYTHON.option(Option("drop"))
        ("target='price'", 'drop=')
    """

    def option(self, option: Option) -> str:
        """Write a parameter, with its value if it has one."""
        return f"{option.name}=" + ("" if option.value is None else repr(option.value))

    def function(self, function: Function) -> str:
        """Write the name of a function."""
        return function.name

    def model(self, model: ModelName) -> str:
        """Write the name of a model, quoted."""
        return repr(model.name)


@dataclass(frozen=True)
class MagicSpelling(Spelling):
    """The spelling of a magic's line: ``--target price``, ``%keras_data``.

    ``model_variable`` is the notebook variable of the model, if the line names one; ``options`` are
    those whose name is not the parameter's with dashes.

    Example:
        >>> line = MagicSpelling("cnn")
        >>> line.option(Option("target", "price")), line.option(Option("gray", True))
        ('--target price', '--gray')
        >>> line.option(Option("checks", False))
        '--no-checks'
        >>> line.option(Option("sep", "; ")), line.function(Function("load_data"))
        ("--sep '; '", '%keras_data')
    """

    model_variable: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def option(self, option: Option) -> str:
        """Write a parameter as an option of the line."""
        if option.value is False and option.name in NEGATIVE_FLAGS:
            return NEGATIVE_FLAGS[option.name]
        dashed = option.name.replace("_", "-")
        if option.value is False:
            return f"--no-{dashed}"
        name = self.options.get(option.name) or f"--{dashed}"
        if option.value is None or option.value is True:
            return name
        text = escape_control_characters(str(option.value))
        if isinstance(option.value, Mapping):  # braces enclose a value
            return f"{name} {text}"
        bare = text and not set(text) & set(" \t\n;|\\'\"")
        return f"{name} {text if bare else repr(text)}"

    def function(self, function: Function) -> str:
        """Write the magic that calls the function."""
        return MAGIC_OF.get(function.name, function.name)

    def model(self, model: ModelName) -> str:
        """Write the notebook variable of the model."""
        return repr(self.model_variable or model.name)


MAGIC_OF = {
    "build": "%%keras_model",
    "classify": "%keras_classify",
    "confusion": "%keras_confusion",
    "confusion_of": "%keras_confusion",
    "connect": "%keras_cluster",
    "cost": "%keras_summary --cost",
    "cross_validate": "%keras_fit --folds 5",
    "errors": "%keras_errors",
    "errors_of": "%keras_errors",
    "evaluate": "%keras_evaluate",
    "find_label_errors": "%keras_labels",
    "find_learning_rate": "%keras_lr",
    "tune": "%%keras_tune",
    "fit": "%keras_fit",
    "load": "%keras_load",
    "load_data": "%keras_data",
    "predict": "%keras_predict",
    "predict_to_file": "%keras_predict -o FILE.parquet",
    "save": "%keras_save",
    "to_dsl": "%keras_code --as dsl",
    "to_python": "%keras_code",
}
"""Public function -> the magic that calls it."""

NEGATIVE_FLAGS = {"safe_mode": "--unsafe"}
"""A parameter -> the option of another name that sets it to False."""

PYTHON = Spelling()


class Text:
    """A message made of parts: strings, references and other texts, in order.

    Example:
        >>> text = Text("Name the column: ", Option("target", "price"), ".")
        >>> str(text)
        "Name the column: target='price'."
        >>> text.render(MagicSpelling())
        'Name the column: --target price.'
    """

    __slots__ = ("parts",)

    def __init__(self, *parts: Part) -> None:
        self.parts: tuple[Part, ...] = parts

    @classmethod
    def join(cls, separator: str, texts: Iterable[Part]) -> Text:
        """Join texts as ``str.join`` does."""
        parts: list[Part] = []
        for text in texts:
            parts += [separator, text] if parts else [text]
        return cls(*parts)

    def render(self, spelling: Spelling = PYTHON) -> str:
        """Write the message out in a spelling."""
        return render(self, spelling)

    def __str__(self) -> str:
        return self.render()

    def __repr__(self) -> str:
        return f"Text({', '.join(map(repr, self.parts))})"

    def __bool__(self) -> bool:
        return any(self.parts)

    def __add__(self, other: Part) -> Text:
        return Text(*self.parts, other)

    def __radd__(self, other: Part) -> Text:
        return Text(other, *self.parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str | Text) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def render(part: Part, spelling: Spelling = PYTHON) -> str:
    """Write out a message, or a part of one, its control characters escaped."""
    match part:
        case str():
            return escape_control_characters(part)
        case Text():
            return "".join(render(each, spelling) for each in part.parts)
        case Option():
            return spelling.option(part)
        case Function():
            return spelling.function(part)
        case ModelName():
            return spelling.model(part)
