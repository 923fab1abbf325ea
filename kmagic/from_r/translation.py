"""R code to the layer language: whole scripts, and code pasted into a model's text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Self

from kmagic.from_r import r_parser, r_values
from kmagic.from_r.r_interpreter import ControlFlow, Interpreter
from kmagic.from_r.r_names import is_layer_name
from kmagic.from_r.spec_writer import SpecWriter
from kmagic.language import format_spec, format_value
from kmagic.language.foreign_code import PastedR, translation_remedy
from kmagic.language.spec import NO_SPAN, ModelSpec, Span, Statement, statements_in
from kmagic.support.errors import DSLError, MarkedError, Problem, RCodeError
from kmagic.support.rendering import Renderable

# --- scripts ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Remark:
    """A remark on a line of the R code.

    Attributes:
        line: Its number, from 1.
        code: The line.
        text: What changed, or what to use instead.
    """

    line: int
    code: str
    text: str


class Translation(Renderable, str):  # noqa: SLOT000 - it has attributes
    """A model's text: a string that a notebook shows as a card, with remarks on the R code.

    Attributes:
        name: The model's name.
        r: The R code.
        spec: The spec of the text.
        notes: What differs because Keras 3 differs from Keras 2.
        left_out: What is not part of the model, and what to use instead.
        spans: For each line of the text, its origin in the R code.
    """

    renderer: ClassVar[str] = "kmagic.display.model.code_card:translation_bundle"
    name: str
    r: str
    spec: ModelSpec
    notes: tuple[Remark, ...]
    left_out: tuple[Remark, ...]
    spans: tuple[Span, ...]

    def __new__(cls, text: str, **attributes: Any) -> Self:
        """Create a string with these attributes."""
        translation = super().__new__(cls, text)
        for name, value in attributes.items():
            setattr(translation, name, value)
        return translation

    @property
    def python(self) -> str:
        """The Keras program of the model."""
        from kmagic.models.codegen import keras_program  # noqa: PLC0415 - only when needed

        return keras_program(self.spec, name=self.name)

    def error_in_r(self, error: DSLError, *, where: str = "", first_line: int = 1) -> MarkedError:
        """An error of this text as one of the R code.

        Args:
            error: What building the text raised.
            where: What the R code is, for the message.
            first_line: Number of its first line in the user's editor.
        """
        problems = []
        for problem in error.problems:
            line = problem.line - 1
            span = self.spans[line] if line < len(self.spans) else NO_SPAN
            if not span.line:
                return error
            mark = f"{' ' * (problem.column - 1)}{'^' * problem.width} {problem.message}"
            message = f"translates to\n{self.splitlines()[line]}\n{mark}"
            problems.append(Problem(message, span.line, span.column, span.width, problem.remedy))
        return RCodeError(problems, self.r, where, first_line)


def from_r(text: str, *, name: str = "model", where: str = "", first_line: int = 1) -> Translation:
    """Translate a model that is written in R into the layer language.

    Accepts the style of kerasR (``mod$add(Dense(50))``) and that of R keras and keras3
    (``keras_model_sequential() %>% layer_dense(50)``), functional models included. The R code is
    read, never run. What is not part of the model (``library()``, data, ``fit()``) is listed in
    ``left_out``.

    Args:
        text: R code that creates at least one model. Of several, the one with this name is
            translated, or the last one that is compiled, or the last one.
        name: The model's name here.
        where: What the text is, for messages.
        first_line: Number of its first line in the user's editor.

    Returns:
        The text, ready for :func:`kmagic.build`: a string with ``notes``, ``left_out`` and
        ``python``, the Keras program.

    Raises:
        RCodeError: The text is not valid R, creates no model, or needs what Keras 3 does not have.

    Example:
        >>> print(from_r('''
        ... mod <- Sequential()
        ... mod$add(Dense(units = 50, input_shape = 13))
        ... mod$add(Activation("relu"))
        ... mod$add(Dense(units = 1))
        ... keras_compile(mod, loss = 'mse', optimizer = RMSprop(lr = 0.01))
        ... '''))
        input 13
        dense 50
        activation relu
        dense 1
        compile rmsprop(0.01) loss=mse
    """
    notes: dict[tuple[int, str], Remark] = {}

    def note(message: str, span: r_parser.TextRange) -> None:
        notes.setdefault((span.start, message), _remark(text, span, message))

    interpreter = Interpreter(note, name)
    models, mistakes = interpreter.models, interpreter.mistakes
    body: tuple[Statement, ...] = ()
    others: list[tuple[r_parser.TextRange, str]] = []
    try:
        interpreter.run(r_parser.parse_r(text))
        named = [model for model in models if model.variable == name]
        compiled = [model for model in models if model.compiled is not None]
        candidates = named or compiled or models
        if not candidates and not mistakes:
            end = len(text.splitlines()[0]) if text.strip() else 0
            remedy = "Create one with Sequential() or keras_model_sequential()."
            mistakes.append(
                r_parser.RMistake("creates no model", r_parser.TextRange(0, end), remedy)
            )
        chosen = candidates[-1] if candidates else r_values.RModel(r_parser.TextRange())
        axes_from_one = re.search(r"\bkeras3\b", text) is not None
        writer = SpecWriter(note, lambda span: span.span(text), axes_from_one=axes_from_one)
        # A model without layers lacks those of the lines with mistakes.
        if chosen.layers or chosen.outputs or not mistakes:
            body = writer.write(chosen)
        message = "Another model: put it into a cell of its own."
        unused = (model for model in models if model not in r_values.models_in(chosen))
        others = [*interpreter.others, *((model.range, message) for model in unused)]
    except r_parser.RMistake as mistake:
        mistakes.append(mistake)
    if mistakes:
        mistakes.sort(key=lambda mistake: mistake.range.start)
        problems = dict.fromkeys(mistake.problem(text) for mistake in mistakes)
        raise RCodeError(list(problems), text, where, first_line)
    others.sort(key=lambda other: other[0].start)
    spec = ModelSpec(body)
    return Translation(
        format_spec(spec),
        name=name,
        r=text,
        spec=spec,
        notes=tuple(sorted(notes.values(), key=lambda remark: remark.line)),
        left_out=tuple(dict.fromkeys(_remark(text, *other) for other in others)),
        spans=tuple(statement.span for statement in statements_in(body, inner=True)),
    )


def _remark(text: str, span: r_parser.TextRange, message: str) -> Remark:
    line = span.span(text).line
    return Remark(line, text.splitlines()[line - 1].strip(), message)


# --- pasted code ------------------------------------------------------------------------------


@contextmanager
def translate_pasted_r() -> Iterator[None]:
    """Show R code in a model's text in the layer language, if it causes an error."""
    try:
        yield
    except DSLError as error:
        problems = translate_problems(error.problems)
        if problems == list(error.problems):
            raise
        translated = type(error)(problems, error.source, error.where, error.first_line)
        raise translated from error.__cause__


def translate_problems(problems: Iterable[Problem]) -> list[Problem]:
    """The problems of a text, with R code in it shown in the layer language."""
    return [_translated(item) if isinstance(item, PastedR) else item for item in problems]


def _translated(problem: PastedR) -> PastedR:
    remedy = translation_remedy(layer_lines(problem.code))
    return replace(problem, remedy=remedy + problem.note) if remedy else problem


def layer_lines(text: str) -> list[str]:
    """R code as lines of the layer language; [] if not all of it can be translated.

    The code may be part of a script: layers without a model, or a line of the layer language with
    values in R.

    Example:
        >>> layer_lines("mod$add(Dense(units = 50, input_shape = 13))")
        ['input 13', 'dense 50']
        >>> layer_lines("input c(28, 28, 1)")
        ['input 28x28x1']
    """
    try:
        tokens = [
            token for token in r_parser.tokenize_r(text) if token.kind not in ("newline", "end")
        ]
        is_line = "\n" not in text and len(tokens) > 1
        if is_line and tokens[0].kind == "name" and tokens[1].kind in ("name", "number"):
            return _line_with_r_values(text, tokens)
        start = tokens[0].end if tokens and tokens[0].text in r_parser.PIPES else 0
        end = tokens[-1].start if tokens and tokens[-1].text in r_parser.PIPES else len(text)
        model = _FragmentInterpreter().model_of(r_parser.parse_r(text[start:end]))
        if model is None:
            return []
        writer = SpecWriter(_ignore_note, lambda _: NO_SPAN)
        return format_spec(ModelSpec(writer.write(model, is_part=True))).splitlines()
    except (r_parser.RMistake, ControlFlow):
        return []


class _FragmentInterpreter(Interpreter):
    """Runs part of a script; its layers are added to a model that the part does not create."""

    def __init__(self) -> None:
        super().__init__(_ignore_note, "model")
        self._implicit = r_values.RModel(r_parser.TextRange())

    def model_of(self, statements: tuple[r_parser.RNode, ...]) -> r_values.RModel | None:
        """The model that the statements describe, or None if they contain anything else."""
        value: Any = None
        for statement in statements:
            value = self.value(statement)
            is_layer = isinstance(value, r_values.KerasObject) and is_layer_name(value.name)
            if is_layer and statement.syntax[:1] != ("<-",):
                added = [r_values.CallArg(value, None, value.range)]
                self._calls.method(self._implicit, "add", added, value.range)
            elif isinstance(value, r_values.UnknownValue) and not value.replacement:
                return None
        if self.models:
            return self.models[-1]
        if isinstance(value, r_values.RTensor):
            inputs = [
                r_values.RTensor(call) for call in r_values.calls_before([value]) if not call.inputs
            ]
            return r_values.RModel(r_parser.TextRange(), inputs=inputs, outputs=[value])
        has_content = self._implicit.layers or self._implicit.compiled is not None
        return self._implicit if has_content else None

    def _model_value(self, node: r_parser.RNode | None) -> Any:
        value = self.value(node)
        is_unknown = isinstance(node, r_parser.RName) and isinstance(value, r_values.UnknownValue)
        return self._implicit if is_unknown else value


def _line_with_r_values(text: str, tokens: list[r_parser.RToken]) -> list[str]:
    """A line of the layer language, its calls of R functions replaced by their values."""
    writer = SpecWriter(_ignore_note, lambda _: NO_SPAN)
    interpreter = Interpreter(_ignore_note, "model")
    line, end = "", 0
    for token, following in pairwise(tokens):
        if token.start < end or token.kind != "name" or following.text != "(":
            continue
        node = r_parser.parse_r_value(text[token.start :])
        value = interpreter.value(node)
        if not isinstance(value, r_values.KerasObject | r_values.RVector):
            return []
        line += text[end : token.start]
        line += format_value(writer.value(value, "any", node.range))
        end = token.start + node.range.end
    return [line + text[end:]] if end else []


def _ignore_note(message: str, span: r_parser.TextRange) -> None:
    """Take no note."""
