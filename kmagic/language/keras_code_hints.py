"""Keras code, read but never run, to lines of the layer language: for a hint, not for a model.

What is not plainly a layer, an input or a ``compile`` has no translation, and then the whole has
none: a hint must not leave anything out.
"""

from __future__ import annotations

import ast

from kmagic.language.vocabulary import PREFERRED, snake_case

_SILENT = frozenset({"fit", "evaluate", "predict", "summary", "print"})
_MODELS = frozenset({"sequential", "model"})
_SHAPES = frozenset({"input_shape", "batch_input_shape", "input_dim", "shape"})
_FIRST = frozenset({"units", "filters", "rate", "pool_size", "optimizer", "activation"})
_WORDS = frozenset({"activation", "padding"})


class _Untranslated(Exception):  # noqa: N818 - a signal within this module
    """Something that has no plain counterpart."""


def translate(text: str) -> list[str]:
    """The lines that some Keras code would be in the layer language; none if that is not plain.

    Example:
        >>> translate("x = layers.Conv2D(32, (3, 3), activation='relu')(x)")
        ['conv2d 32 3x3 relu']
    """
    try:
        body = ast.parse(text).body
        return [line for statement in body for line in _statement(statement)]
    except (SyntaxError, ValueError, RecursionError, _Untranslated):
        return []


def _statement(node: ast.stmt) -> list[str]:
    match node:
        case ast.Import() | ast.ImportFrom():
            return []
        case ast.Expr(value=value) | ast.Assign(targets=[ast.Name()], value=value):
            return _lines(value)
        case _:
            raise _Untranslated


def _lines(node: ast.expr) -> list[str]:
    """The lines of a model, a layer, or a list of them."""
    if isinstance(node, ast.List):
        return [line for each in node.elts for line in _lines(each)]
    if not isinstance(node, ast.Call):
        raise _Untranslated
    if isinstance(node.func, ast.Call):  # layer(...)(x)
        if len(node.args) != 1 or not isinstance(node.args[0], ast.Name) or node.keywords:
            raise _Untranslated
        return _lines(node.func)
    name = _name(node.func)
    if name in _SILENT:
        return []
    if name == "add":
        return [line for each in node.args for line in _lines(each)]
    if name == "compile":
        if isinstance(node.func, ast.Name):  # half of this language: its names are words
            node = _Worded().visit_Call(node)
        return [" ".join(["compile", *_arguments(node, first="optimizer")])]
    if name in _MODELS:
        return _model(node)
    if name == "input" and len(node.args) > 1:
        return [f"input {_shape(ast.Tuple(node.args))}"]
    if name in ("input", "input_layer"):
        return [" ".join(["input", *_arguments(node, first="shape")])]
    shapes = [each for each in node.keywords if each.arg in _SHAPES and name != "embedding"]
    node.keywords = [each for each in node.keywords if each not in shapes]
    line = " ".join([name, *_arguments(node)])
    return [*(f"input {_shape(each.value)}" for each in shapes), line]


class _Worded(ast.NodeTransformer):
    """Bare names as texts."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.copy_location(ast.Constant(node.id), node)

    def visit_Call(self, node: ast.Call) -> ast.Call:
        node.args = [self.visit(each) for each in node.args]
        for each in node.keywords:
            each.value = self.visit(each.value)
        return node


def _model(node: ast.Call) -> list[str]:
    lines = [line for each in node.args if isinstance(each, ast.List) for line in _lines(each)]
    shapes = [each.value for each in node.keywords if each.arg in _SHAPES]
    return [*(f"input {_shape(each)}" for each in shapes), *lines]


def _name(node: ast.expr) -> str:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return PREFERRED.get(name) or snake_case(name)
        case _:
            raise _Untranslated


def _arguments(node: ast.Call, first: str = "") -> list[str]:
    found = [_value(each) for each in node.args]
    keywords = list(node.keywords)
    if not found:
        lead = [
            each for each in keywords if each.arg == first or (not first and each.arg in _FIRST)
        ]
        for each in lead[:1]:
            found.append(_shape(each.value) if first == "shape" else _value(each.value))
            keywords.remove(each)
    for each in keywords:
        if each.arg is None:
            raise _Untranslated
        found.append(_keyword(each.arg, each.value))
    return found


def _keyword(name: str, node: ast.expr) -> str:
    match node:
        case ast.Constant(value=True):
            return name
        case ast.Constant(value=False):
            return f"!{name}"
        case ast.Constant(value=str(text)) if name in _WORDS:
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
            numbers = [each.value for each in items if isinstance(each, ast.Constant)]
            if len(numbers) == len(items) > 1 and all(type(each) is int for each in numbers):
                return "x".join(map(str, numbers))
            shown = [_value(each) for each in items]
            return (
                shown[0] if len(shown) == 1 and shown[0].isidentifier() else f"[{', '.join(shown)}]"
            )
        case ast.Call() if not isinstance(node.func, ast.Call):
            inner = _arguments(node)
            layer = isinstance(node.func, ast.Name | ast.Attribute) and _looks_a_layer(node.func)
            name = _name(node.func)
            return " ".join([name, *inner]) if layer else f"{name}({', '.join(inner)})"
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
            return ast.unparse(node)
        case ast.Name() | ast.Attribute() | ast.BinOp() | ast.Subscript():
            return "{" + ast.unparse(node) + "}"
        case _:
            raise _Untranslated


def _looks_a_layer(node: ast.Name | ast.Attribute) -> bool:
    """Whether a call within a call is a layer: ``Bidirectional(LSTM(32))``."""
    name = node.id if isinstance(node, ast.Name) else node.attr
    return snake_case(name) in _WRAPPED


_WRAPPED = frozenset({"lstm", "gru", "simple_rnn", "dense", "conv1d", "conv2d", "lstm_cell"})


def _shape(node: ast.expr) -> str:
    match node:
        case ast.Tuple(elts=items) | ast.List(elts=items) if items:
            dims = [each.value if isinstance(each, ast.Constant) else ... for each in items]
            if all(each is None or type(each) is int for each in dims):
                return "x".join("?" if each is None else str(each) for each in dims)
        case ast.Constant(value=int()):
            return str(node.value)
    return _value(node)
