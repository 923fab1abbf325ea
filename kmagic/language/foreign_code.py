"""Python or R in the place of a model's text: one answer, and the lines in this language.

Asked only about texts that hold mistakes, so a text that can be read is never taken for another
language.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kmagic.language.keras_code_hints import translate
from kmagic.language.vocabulary import snake_case
from kmagic.support.errors import Problem
from kmagic.support.suggestions import nearest

_CALL = r"[A-Za-z_][\w.]*\("
_PYTHON = re.compile(
    r"""
      ^\s*(?:import|from)\s+[\w.]+
    | ^\s*(?:def|class|if|elif|else|while|with|try|except|return|async|lambda|assert|del)\b
    | ^\s*for\s+\w+\s+in\s+\w+\(
    | \b(?:keras|tf|layers|nn|torch|np|models|optimizers)\.\w
    | \b\w+\.(?:add|compile|fit|evaluate|predict|summary|build|save|append)\(
    | (?<![\w.])[A-Z]\w*\(
    | \)\(
    | ^\s*(?:print|compile)\(
    | ^\s*\w+\s*=\s*(?:[-\d"'\[({]|True|False|None)
    | ^\s*[)\]}]+,?\s*$
    """,
    re.VERBOSE,
)
_R = re.compile(
    rf"""
      %>%|\|>|%in%
    | ^\s*[\w.]+\s*<-\s*(?:{_CALL}|[\d"'])
    | \w\$\w
    | \b(?:layer_\w+|library|require|keras_model\w*|optimizer_\w+|function)\(
    | (?<![\w.])c\(
    """,
    re.VERBOSE,
)
_OFTEN = r"activation|conv[123]d|dense|dropout|embedding|flatten|gru|input|lstm|maxpool"
_CAPITAL = re.compile(r"(?<![\w.])([A-Z]\w*)\(")
_ADVICE = (
    (r"\s*(?:import|from|library|require)\b", "Nothing is imported: all layers are words here."),
    (r"\s*def\b", "A function that makes layers is a block: `block res(f, s=1):`."),
    (r"\s*class\b", "Define a class in a cell above, and write {Name} here."),
    (r"\s*for\b", "Write `repeat 3:`, or `for f in 32 64:`."),
    (r"\s*(?:if|elif|else|while|with|try)\b", "Decide in a cell above, and write {name} here."),
    (r"\s*(?:print|[\w.$]*\b(?:fit|evaluate|predict|summary|save))\(", "Run it in a cell below."),
    (r"\s*lambda\b", "Name the function in a cell above; its name is a line here."),
    (r".*\boptimizer_\w+\(", "Here it is written adam(1e-3)."),
    (r"\s*compile\(", "Here it is written `compile adam loss=mse metrics=mae`."),
    (rf"\s*(?:{_OFTEN})\s*=", "A layer's values follow its word: `dense 32 relu`."),
    (r"\s*return\b", "A block gives what its last line gives."),
    (r"\s*(\w+)\s*(?:=|<-)\s*[-\d\"'\[({TFN]", "Write this in a cell above, and {name} here."),
    (r".*(?<![\w.])c\(", "A shape is written 28x28x1."),
)
_LONG = 3
_LONG_ADVICE = (
    "Here a line is a layer and its arguments, as in `dense 32 relu`. A model that you have\n"
    "already is written in this language by %keras_code MODEL --as dsl."
)
_TAKEN_AS_R = "\n\nAs it is, R's code is taken by `%%keras_model NAME --from-r`."
_ANY_ADVICE = "Here a line is a layer and its arguments, as in `dense 32 relu`."


@dataclass(frozen=True, slots=True)
class PastedR(Problem):
    """R code in the place of a model's text.

    Its remedy is general: the lines are translated where R can be read, in ``kmagic.from_r``.

    Attributes:
        code: The R code.
        note: What the remedy ends with.
    """

    code: str = ""
    note: str = ""


class _Line(NamedTuple):
    number: int
    language: str
    text: str


def merge_foreign_problems(
    problems: Sequence[Problem], text: str, names: Collection[str] = ()
) -> list[Problem]:
    """The problems, with those of lines in another language told as one.

    Args:
        problems: All mistakes of a text, in its order.
        text: The text.
        names: The notebook's: ``MyLayer(3)`` may be one of them, or nearly so.
    """
    rows = text.splitlines()
    lines = [
        _Line(number, language, row)
        for number, row in enumerate(rows, 1)
        if (language := language_of(row, names))
    ]
    wrong = {each.line for each in problems}
    if not any(each.number in wrong for each in lines):
        return list(problems)
    filled = [row for row in rows if row.strip() and not row.lstrip().startswith("#")]
    if 2 * len(lines) > len(filled):
        return [_told(lines, text)]
    # Of a text that is the layer language otherwise, only lines that cannot be read count.
    lines = [each for each in lines if each.number in wrong]
    numbers = {each.number for each in lines}
    rest = [each for each in problems if each.line not in numbers]
    told = [_told(group, "\n".join(each.text for each in group)) for group in _groups(lines)]
    return sorted([*told, *rest], key=lambda each: each.line)


def language_of(row: str, names: Collection[str] = ()) -> str:
    """By the looks of one line: "R", "Python" or nothing."""
    row = row.split("#", maxsplit=1)[0]
    row = _CAPITAL.sub(lambda found: "known(" if nearest(found[1], names) else found[0], row)
    return "R" if _R.search(row) else "Python" if _PYTHON.search(row) else ""


def _groups(lines: Iterable[_Line]) -> list[list[_Line]]:
    """Lines that follow each other are one mistake."""
    groups: list[list[_Line]] = []
    for each in lines:
        if groups and groups[-1][-1].number == each.number - 1:
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def _told(lines: list[_Line], text: str) -> Problem:
    first = lines[0]
    is_r = any(each.language == "R" for each in lines)
    body = first.text.strip()
    column = first.text.index(body) + 1
    message = f"is {'R' if is_r else 'Python'}, and a model is written in the layer language here"
    remedy = _LONG_ADVICE if len(lines) > _LONG else _advice(first.text)
    if is_r:
        note = _TAKEN_AS_R if len(lines) > 1 else ""
        return PastedR(
            message, first.number, column, len(body), remedy + note, code=text, note=note
        )
    remedy = translation_remedy(translate(text)) or remedy
    return Problem(message, first.number, column, len(body), remedy)


def translation_remedy(lines: Sequence[str]) -> str:
    """How to write some foreign code in the layer language; "" without lines."""
    if len(lines) <= 1:
        return f"Here it is written `{lines[0]}`." if lines else ""
    return "\n".join(["Here it is written:", "", *(f"    {line}" for line in lines)])


def _advice(row: str) -> str:
    for pattern, advice in _ADVICE:
        found = re.match(pattern, row)
        if found:
            return advice.replace("{name}", "{" + found[1] + "}" if found.groups() else "{name}")
    dotted = re.search(r"\b(?:tf|keras)(?:\.\w+)*\.(\w+)", row)
    if dotted:
        return f"Keras's own stand here by their name alone: {snake_case(dotted[1])}."
    return _ANY_ADVICE
