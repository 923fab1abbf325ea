"""R code in the place of a model's text: the error shows it in the layer language."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

from kmagic.from_r.model_calls import Maker
from kmagic.from_r.r_arguments import Arguments, Told
from kmagic.from_r.r_names import is_layer
from kmagic.from_r.r_nodes import NOWHERE, Assign, Mistake, Name, Node, Place
from kmagic.from_r.r_parser import read, read_value
from kmagic.from_r.r_script import Script
from kmagic.from_r.r_tokens import Token, tokenize
from kmagic.from_r.r_values import Broken, Given, Model, Tensor, Thing, Unknown, Vector
from kmagic.from_r.spec_writer import Writer, reached
from kmagic.language import format_spec, format_value
from kmagic.language.foreign_code import PastedR, translation_remedy
from kmagic.language.spec import NO_SPAN, ModelSpec
from kmagic.support.errors import DSLError

_PIPES = ("%>%", "|>")


@contextmanager
def translate_pasted_r() -> Iterator[None]:
    """Let the error about R code in a model's text show the code in the layer language."""
    try:
        yield
    except DSLError as error:
        problems = [
            _translated(each) if isinstance(each, PastedR) else each for each in error.problems
        ]
        if problems == list(error.problems):
            raise
        shown = type(error)(problems, error.source, error.where, error.first_line)
        raise shown from error.__cause__


def _translated(problem: PastedR) -> PastedR:
    remedy = translation_remedy(layer_lines(problem.code))
    return replace(problem, remedy=remedy + problem.note) if remedy else problem


def layer_lines(text: str) -> list[str]:
    """R code as lines of the layer language; none if not all of it can be translated.

    The code may be a part of a script: layers without a model, or a line of the layer language
    with values written in R.

    Example:
        >>> layer_lines("mod$add(Dense(units = 50, input_shape = 13))")
        ['input 13', 'dense 50']
        >>> layer_lines("input c(28, 28, 1)")
        ['input 28x28x1']
    """
    try:
        tokens = tokenize(text)
        words = [each for each in tokens if each.kind not in ("newline", "end")]
        is_line = "\n" not in text and len(words) > 1
        if is_line and words[0].kind == "name" and words[1].kind in ("name", "number"):
            return _half_translated(text, words)
        start = words[0].end if words and words[0].text in _PIPES else 0
        end = words[-1].start if words and words[-1].text in _PIPES else len(text)
        model = _Fragment().model_of(read(text[start:end]))
        if model is None:
            return []
        writer = Writer(_ignore, lambda _: NO_SPAN)
        return format_spec(ModelSpec(writer.write(model, is_part=True))).splitlines()
    except (Mistake, Told):
        return []


class _Fragment(Script):
    """Runs a part of a script; its layers go into a model that the part does not define."""

    def __init__(self) -> None:
        super().__init__(Maker(_ignore))
        self._implicit = Model(NOWHERE)

    def model_of(self, statements: tuple[Node, ...]) -> Model | None:
        """The model that the statements describe, or None if they say something else, too."""
        value: Any = None
        for statement in statements:
            value = self._value(statement)
            if (
                isinstance(value, Thing)
                and is_layer(value.name)
                and not isinstance(statement, Assign)
            ):
                self._maker.method(self._implicit, "add", [Given(value, None, value.place)])
            elif isinstance(value, Broken) or (isinstance(value, Unknown) and not value.advice):
                return None
        if self._maker.models:
            return self._maker.models[-1]
        if isinstance(value, Tensor):
            inputs = [Tensor(node) for node in reached([value]) if not node.inputs]
            return Model(NOWHERE, inputs=inputs, outputs=[value])
        has_content = self._implicit.layers or self._implicit.compiled is not None
        return self._implicit if has_content else None

    def _model_of(self, node: Node) -> Any:
        value = self._value(node)
        return self._implicit if isinstance(node, Name) and isinstance(value, Unknown) else value


def _half_translated(text: str, words: list[Token]) -> list[str]:
    """A line of the layer language whose calls of R functions are replaced by their values."""
    arguments = Arguments(_ignore, lambda model, _: model.variable)
    script = Script(Maker(_ignore))
    line, end = "", 0
    for token, following in pairwise(words):
        if token.start < end or token.kind != "name" or following.text != "(":
            continue
        node = read_value(text[token.start :])
        value = script._value(node)  # noqa: SLF001 - of the same package
        if not isinstance(value, Thing | Vector):
            return []
        line += text[end : token.start] + format_value(arguments.value(value, "any", NOWHERE))
        end = token.start + node.place.end
    return [line + text[end:]] if end else []


def _ignore(message: str, place: Place) -> None:
    """Take no notes."""
