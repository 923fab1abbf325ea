"""Python or R code in the place of a model's text: one error, with the lines in this language.

Only texts with mistakes are checked, so a valid text is never taken for another language.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from kmagic.language.vocabulary import PREFERRED, snake_case
from kmagic.support.errors import Problem
from kmagic.support.suggestions import nearest

_PYTHON = re.compile(
    r"""
      ^\s*(?:import|from)\s+[\w.]+
    | ^\s*(?:def|class|if|elif|else|while|with|try|except|return|async|assert|del)\b
    | ^\s*lambda\b(?!\s*\{)
    | ^\s*for\s+\w+\s+in\s+\w+\(
    | \b(?:keras|tf|layers|nn|torch|np|models|optimizers)\.\w
    | \b\w+\.(?:add|compile|fit|evaluate|predict|summary|build|save|append)\(
    | (?<![\w.])[A-Z]\w*\(
    | \)\(
    | ^\s*(?:print|compile)\(
    | ^\s*\w+\s*=\s*(?:[-\d"'\[(]|\{(?!\s*[\w.\[\]]+\s*\})|True|False|None)
    | ^\s*[)\]}]+,?\s*$
    """,
    re.VERBOSE,
)
_R = re.compile(
    r"""
      %>%|\|>|%in%
    | ^\s*[\w.]+\s*<-\s*(?:[A-Za-z_][\w.]*\(|[\d"'])
    | \w\$\w
    | \b(?:layer_\w+|library|require|keras_model\w*|optimizer_\w+|function)\(
    | (?<![\w.])c\(
    """,
    re.VERBOSE,
)
_EXPRESSION = re.compile(r"\{[^{}:]*\}")
"""Python that the layer language allows."""
_CAPITALIZED_CALL = re.compile(r"(?<![\w.])([A-Z]\w*)\(")
_COMMON_LAYERS = r"activation|conv[123]d|dense|dropout|embedding|flatten|gru|input|lstm|maxpool"
_REMEDIES = (
    (r"\s*(?:import|from|library|require)\b", "Remove it: all layers are available by name."),
    (r"\s*def\b", "Write a function that creates layers as a block: `block res(f, s=1):`."),
    (r"\s*class\b", "Define the class in a cell above, and write {Name} here."),
    (r"\s*for\b", "Write `repeat 3:`, or `for f in 32 64:`."),
    (r"\s*(?:if|elif|else|while|with|try)\b", "Decide in a cell above, and write {name} here."),
    (r"\s*(?:print|[\w.$]*\b(?:fit|evaluate|predict|summary|save))\(", "Run it in a cell below."),
    (r"\s*lambda\b", "Define the function in a cell above, and write its name as a line here."),
    (r".*\boptimizer_\w+\(", "In the layer language: adam(1e-3)."),
    (r"\s*compile\(", "In the layer language: `compile adam loss=mse metrics=mae`."),
    (rf"\s*(?:{_COMMON_LAYERS})\s*=", "Write the arguments after the layer: `dense 32 relu`."),
    (r"\s*return\b", "Remove it: a block's output is its last line."),
    (r"\s*(\w+)\s*(?:=|<-)\s*[-\d\"'\[({TFN]", "Write this in a cell above, and {name} here."),
    (r".*(?<![\w.])c\(", "Write a shape as 28x28x1."),
)
_GENERAL_REMEDY = "A line is a layer and its arguments, as in `dense 32 relu`."
_LONG = 3
_LONG_REMEDY = (
    f"{_GENERAL_REMEDY} To get the text of an\nexisting model, run %keras_code MODEL --as dsl."
)
_R_NOTE = "\n\nTo use R code unchanged, write `%%keras_model NAME --from-r`."


@dataclass(frozen=True, slots=True)
class PastedR(Problem):
    """R code in the place of a model's text.

    Its remedy is general; ``kmagic.from_r``, which can parse R, replaces it by a translation.

    Attributes:
        code: The R code.
        note: The end of the remedy.
    """

    code: str = ""
    note: str = ""


class _ForeignLine(NamedTuple):
    number: int
    language: str
    text: str


def merge_foreign_problems(
    problems: Sequence[Problem], text: str, names: Collection[str] = ()
) -> list[Problem]:
    """The problems of a text, with those of lines in another language merged into one.

    Args:
        problems: All problems, in the order of the text.
        text: The text.
        names: The notebook's variables: ``MyLayer(3)`` may be one of them, or misspelled.
    """
    rows = text.splitlines()
    lines = [
        _ForeignLine(number, language, row)
        for number, row in enumerate(rows, 1)
        if (language := _language_of(row, names))
    ]
    wrong = {problem.line for problem in problems}
    if not any(line.number in wrong for line in lines):
        return list(problems)
    filled = [row for row in rows if row.strip() and not row.lstrip().startswith("#")]
    if 2 * len(lines) > len(filled):
        return [_foreign_problem(lines, text)]
    # Most of the text is the layer language: report only foreign lines that cannot be parsed.
    numbered = enumerate(line for line in lines if line.number in wrong)
    runs = groupby(numbered, lambda item: item[1].number - item[0])  # of consecutive lines
    groups = [[line for _, line in run] for _, run in runs]
    foreign = {line.number for group in groups for line in group}
    merged = [problem for problem in problems if problem.line not in foreign]
    merged += [_foreign_problem(group, "\n".join(line.text for line in group)) for group in groups]
    return sorted(merged, key=lambda problem: problem.line)


def _language_of(row: str, names: Collection[str]) -> str:
    """The language that one line looks like: "R", "Python" or ""."""
    row = row.split("#", maxsplit=1)[0]
    row = _CAPITALIZED_CALL.sub(lambda call: "known(" if nearest(call[1], names) else call[0], row)
    if _R.search(row):
        return "R"
    return "Python" if _PYTHON.search(_EXPRESSION.sub("{name}", row)) else ""


def _foreign_problem(lines: list[_ForeignLine], text: str) -> Problem:
    first = lines[0]
    is_r = any(line.language == "R" for line in lines)
    body = first.text.strip()
    column = first.text.index(body) + 1
    message = f"this is {'R' if is_r else 'Python'}; a model is written in the layer language"
    remedy = _LONG_REMEDY if len(lines) > _LONG else _remedy(first.text)
    if is_r:
        note = _R_NOTE if len(lines) > 1 else ""
        remedy += note
        return PastedR(message, first.number, column, len(body), remedy, code=text, note=note)
    remedy = translation_remedy(_translate(text)) or remedy
    return Problem(message, first.number, column, len(body), remedy)


def translation_remedy(lines: Sequence[str]) -> str:
    """How to write some foreign code in the layer language; "" without lines."""
    if len(lines) <= 1:
        return f"In the layer language: `{lines[0]}`." if lines else ""
    return "\n".join(["In the layer language:", "", *(f"    {line}" for line in lines)])


def _remedy(row: str) -> str:
    for pattern, remedy in _REMEDIES:
        match = re.match(pattern, row)
        if match and match.groups():
            return remedy.format(name=f"{{{match[1]}}}")
        if match:
            return remedy
    dotted = re.search(r"\b(?:tf|keras)(?:\.\w+)*\.(\w+)", row)
    if dotted:
        return f"Write what is in Keras by its name alone: {snake_case(dotted[1])}."
    return _GENERAL_REMEDY


# --- translation of Keras code --------------------------------------------------------------------

_IGNORED = frozenset({"fit", "evaluate", "predict", "summary", "print"})
_SHAPES = frozenset({"input_shape", "batch_input_shape", "input_dim", "shape"})
_LEADING = frozenset({"units", "filters", "rate", "pool_size", "optimizer", "activation"})
"""Keywords that are written first, without their names."""
_BARE = frozenset({"activation", "padding"})
_INNER_LAYERS = frozenset({"lstm", "gru", "simple_rnn", "dense", "conv1d", "conv2d", "lstm_cell"})
"""Layers within layers: ``Bidirectional(LSTM(32))``."""


class _UntranslatableError(Exception):
    """Something without a simple counterpart, which prevents the translation."""


def _translate(text: str) -> list[str]:
    """Keras code as lines of the layer language; [] if not all of it can be translated.

    Example:
        >>> _translate("x = layers.Conv2D(32, (3, 3), activation='relu')(x)")
        ['conv2d 32 3x3 relu']
    """
    try:
        body = ast.parse(text).body
        return [line for statement in body for line in _statement(statement)]
    except (SyntaxError, ValueError, RecursionError, _UntranslatableError):
        return []


def _statement(node: ast.stmt) -> list[str]:
    match node:
        case ast.Import() | ast.ImportFrom():
            return []
        case ast.Expr(value=value) | ast.Assign(targets=[ast.Name()], value=value):
            return _lines(value)
        case _:
            raise _UntranslatableError


def _lines(node: ast.expr) -> list[str]:
    """The lines of a model, a layer, or a list of them."""
    match node:
        case ast.List(elts=items):
            return [line for item in items for line in _lines(item)]
        case ast.Call(func=ast.Call() as layer, args=[ast.Name()], keywords=[]):  # layer(...)(x)
            return _lines(layer)
        case ast.Call() if not isinstance(node.func, ast.Call):
            return _call_lines(node)
        case _:
            raise _UntranslatableError


def _call_lines(node: ast.Call) -> list[str]:
    name = _word(node.func)
    if name in _IGNORED:
        return []
    if name == "add":
        return [line for item in node.args for line in _lines(item)]
    if name == "compile":
        if isinstance(node.func, ast.Name):  # half in this language: its names are words
            node = _NamesAsStrings().visit_Call(node)
        return [" ".join(["compile", *_arguments(node, {"optimizer"})])]
    if name == "input" and len(node.args) > 1:
        return [f"input {_shape(ast.Tuple(node.args))}"]
    if name in ("input", "input_layer"):
        return [" ".join(["input", *_arguments(node, {"shape"})])]
    shapes = [item for item in node.keywords if item.arg in _SHAPES and name != "embedding"]
    inputs = [f"input {_shape(item.value)}" for item in shapes]
    if name in ("sequential", "model"):
        layers = [line for item in node.args if isinstance(item, ast.List) for line in _lines(item)]
        return [*inputs, *layers]
    node.keywords = [item for item in node.keywords if item not in shapes]
    return [*inputs, " ".join([name, *_arguments(node, _LEADING)])]


class _NamesAsStrings(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(node.id)

    def visit_Call(self, node: ast.Call) -> ast.Call:
        function = node.func
        self.generic_visit(node)
        node.func = function
        return node


def _word(node: ast.expr) -> str:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return PREFERRED.get(name) or snake_case(name)
        case _:
            raise _UntranslatableError


def _arguments(node: ast.Call, leading: Collection[str]) -> list[str]:
    """A call's arguments; without positional ones, a leading keyword comes first."""
    args = [_value(item) for item in node.args]
    keywords = list(node.keywords)
    first = next((item for item in keywords if item.arg in leading), None)
    if not args and first is not None:
        args.append(_shape(first.value) if first.arg == "shape" else _value(first.value))
        keywords.remove(first)
    return args + [_keyword(item.arg, item.value) for item in keywords]


def _keyword(name: str | None, node: ast.expr) -> str:
    if name is None:  # **kwargs
        raise _UntranslatableError
    match node:
        case ast.Constant(value=bool(flag)):
            return name if flag else f"!{name}"
        case ast.Constant(value=str(text)) if name in _BARE:
            return text
        case _:
            return f"{name}={_value(node)}"


def _value(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text if text.isidentifier() else f'"{text}"'
        case ast.Constant(value=value):
            return str(value).lower()
        case ast.Tuple(elts=items) | ast.List(elts=items):
            shape = _dimensions(items) if len(items) > 1 else ""
            if shape and "?" not in shape:
                return shape
            values = [_value(item) for item in items]
            if len(values) == 1 and values[0].isidentifier():
                return values[0]
            return f"[{', '.join(values)}]"
        case ast.Call() if not isinstance(node.func, ast.Call):
            name, args = _word(node.func), _arguments(node, _LEADING)
            is_layer = name in _INNER_LAYERS
            return " ".join([name, *args]) if is_layer else f"{name}({', '.join(args)})"
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
            return ast.unparse(node)
        case ast.Name() | ast.Attribute() | ast.BinOp() | ast.Subscript():
            return "{" + ast.unparse(node) + "}"
        case _:
            raise _UntranslatableError


def _shape(node: ast.expr) -> str:
    shape = _dimensions(node.elts) if isinstance(node, ast.Tuple | ast.List) else ""
    return shape or _value(node)


def _dimensions(items: list[ast.expr]) -> str:
    """Constant dimensions as a shape, ``28x28x1``; "" if one is neither a number nor None."""
    dims = [item.value if isinstance(item, ast.Constant) else ... for item in items]
    if all(dim is None or type(dim) is int for dim in dims):
        return "x".join("?" if dim is None else str(dim) for dim in dims)
    return ""
