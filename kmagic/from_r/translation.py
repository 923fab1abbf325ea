"""R code to the layer language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from kmagic.from_r.model_calls import Maker
from kmagic.from_r.r_arguments import Told
from kmagic.from_r.r_nodes import Mistake, Place, line_of
from kmagic.from_r.r_parser import read
from kmagic.from_r.r_script import Found, Left, Script
from kmagic.from_r.r_values import MODEL, Model
from kmagic.from_r.spec_writer import Writer, reached, span_of
from kmagic.language import format_spec
from kmagic.language.spec import NO_SPAN, ModelSpec, Span, Statement
from kmagic.support.errors import DSLError, MarkedError, Problem, RCodeError
from kmagic.support.rendering import Renderable


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a line of the R text.

    Attributes:
        line: Its number, from 1.
        code: The line.
        text: What is to be known, or what does it here.
    """

    line: int
    code: str
    text: str


class Translation(Renderable, str):  # noqa: SLOT000 - it remembers where it comes from
    """A model's text, and what R's text said besides: a string, shown as a card.

    Attributes:
        name: The model's name.
        r: The R text.
        spec: What the text says.
        notes: What was put otherwise, because Keras 3 is not Keras 2.
        left_out: What is no part of a model, and what does it here.
        spans: For each line of the text, where it comes from in R's.
    """

    renderer: ClassVar[str] = "kmagic.display.model.r_card:bundle"
    name: str
    r: str
    spec: ModelSpec
    notes: tuple[Remark, ...]
    left_out: tuple[Remark, ...]
    spans: tuple[Span, ...]

    def __new__(cls, text: str, **said: Any) -> Self:
        """Make a string that remembers the rest."""
        made = super().__new__(cls, text)
        for name, value in said.items():
            setattr(made, name, value)
        return made

    @property
    def python(self) -> str:
        """The Keras program for the model."""
        from kmagic.models.codegen import keras_program  # noqa: PLC0415 - not before it is asked for

        return keras_program(self.spec, name=self.name)

    def in_r(self, error: DSLError, *, where: str = "", first_line: int = 1) -> MarkedError:
        """A mistake that showed when this text was built, as one of the R text.

        Args:
            error: What the build raised.
            where: What the R text is, for the message.
            first_line: Number of its first line in the user's editor.
        """
        problems = []
        for each in error.problems:
            span = self.spans[each.line - 1] if each.line <= len(self.spans) else NO_SPAN
            if not span.line:
                return error
            said = self.splitlines()[each.line - 1]
            mark = f"{' ' * (each.column - 1)}{'^' * each.width} {each.message}"
            message = f"is in the layer language\n{said}\n{mark}"
            problems.append(Problem(message, span.line, span.column, span.width, each.remedy))
        return RCodeError(problems, self.r, where, first_line)


def from_r(text: str, *, name: str = "model", where: str = "", first_line: int = 1) -> Translation:
    """Put a model that is written in R into the layer language.

    kerasR's way (``mod$add(Dense(50))``) and R keras's, keras3's included
    (``keras_model_sequential() %>% layer_dense(50)``), functional models too. The R code is read,
    never run; what is no model (``library()``, data, ``fit()``) is left out and told.

    Args:
        text: R code that makes at least one model. Of several it is the one with this name, or
            the last one that is compiled, or the last one.
        name: The model's name here.
        where: What the text is, for messages.
        first_line: Number of its first line in the user's editor.

    Returns:
        The text, ready for :func:`kmagic.build`: a string with ``notes``, ``left_out`` and
        ``python``, the Keras program.

    Raises:
        RCodeError: The text is no R, makes no model, or says what Keras 3 cannot do.

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
    work = _Work(text, name, where, first_line)
    return work.translate()


class _Work:
    def __init__(self, text: str, name: str, where: str, first_line: int) -> None:
        self._text, self._name = text, name
        self._where, self._first_line = where, first_line
        self._notes: dict[tuple[int, str], Remark] = {}

    def translate(self) -> Translation:
        try:
            statements = read(self._text)
        except Mistake as mistake:
            raise self._error([mistake]) from None
        found = Script(Maker(self._note)).run(statements)
        model = self._chosen(found) if found.models else None
        body: tuple[Statement, ...] = ()
        if model is not None:
            body = self._written(model, found)
        if found.mistakes:
            raise self._error(found.mistakes)
        if model is None:
            raise self._error([_no_model(self._text)])
        spec = ModelSpec(body)
        text = format_spec(spec)
        return Translation(
            text,
            name=self._name,
            r=self._text,
            spec=spec,
            notes=tuple(sorted(self._notes.values(), key=lambda each: each.line)),
            left_out=tuple(self._left_out(found, model)),
            spans=tuple(_spans(body)),
        )

    def _written(self, model: Model, found: Found) -> tuple[Statement, ...]:
        from_one = re.search(r"\bkeras3\b", self._text) is not None
        writer = Writer(self._note, lambda place: span_of(place, self._text), from_one=from_one)
        try:
            return writer.write(model)
        except Mistake as mistake:
            # A model without a layer lacks the one of a line that holds a mistake of its own.
            if model.layers or model.outputs or not found.mistakes:
                found.mistakes.append(mistake)
        except Told:
            pass
        return ()

    def _chosen(self, found: Found) -> Model:
        models = found.models
        named = [each for each in models if each.variable == self._name]
        compiled = [each for each in models if each.compiled is not None]
        return (named or compiled or models)[-1]

    def _left_out(self, found: Found, model: Model) -> Iterator[Remark]:
        left = list(found.left)
        used = _within(model)
        left += [
            Left(other.place, "Another model: it takes a cell of its own.")
            for other in found.models
            if other is not model and id(other) not in used
        ]
        for each in sorted(left, key=lambda each: each.place.start):
            yield self._remark(each.place, each.advice.replace(MODEL, self._name))

    def _note(self, text: str, place: Place) -> None:
        self._notes.setdefault((place.start, text), self._remark(place, text))

    def _remark(self, place: Place, text: str) -> Remark:
        line = line_of(place, self._text)
        return Remark(line, self._text.splitlines()[line - 1].strip(), text)

    def _error(self, mistakes: list[Mistake]) -> RCodeError:
        ordered = sorted(mistakes, key=lambda each: each.place.start)
        problems: list[Problem] = []
        for each in ordered:
            problem = each.problem(self._text)
            if problem not in problems:
                problems.append(problem)
        return RCodeError(problems, self._text, self._where, self._first_line)


def _within(model: Model) -> set[int]:
    """The models that a model holds."""
    parts = [each for each in model.layers if isinstance(each, Model)]
    parts += [node.what for node in reached(model.outputs) if isinstance(node.what, Model)]
    return {id(each) for each in parts}.union(*(_within(each) for each in parts))


def _spans(statements: tuple[Statement, ...]) -> Iterator[Span]:
    for each in statements:
        yield each.span
        yield from _spans(getattr(each, "body", ()))


def _no_model(text: str) -> Mistake:
    end = len(text.splitlines()[0]) if text.strip() else 0
    remedy = "It begins with Sequential() or keras_model_sequential()."
    return Mistake("makes no model", Place(0, end), remedy)
