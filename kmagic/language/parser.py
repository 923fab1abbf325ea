"""Text to spec: which statements a model's text contains, and how they nest.

A line with a mistake is left out and parsing continues, so that all mistakes of a cell are
reported together. Lines and their values are parsed by :mod:`kmagic.language.step_parser`.
"""

from __future__ import annotations

from dataclasses import dataclass

from kmagic.language.foreign_code import merge_foreign_problems
from kmagic.language.spec import (
    BlockSpec,
    BranchSpec,
    CompileSpec,
    ForSpec,
    FreezeSpec,
    HeadSpec,
    InputsSpec,
    MergeSpec,
    ModelKind,
    ModelSpec,
    NestedSpec,
    OutputSpec,
    Param,
    RepeatSpec,
    ResidualSpec,
    Span,
    Statement,
    Value,
)
from kmagic.language.step_parser import NOT_ALLOWED, Cursor, string_of
from kmagic.language.tokens import LogicalLine, ParseError, fail_at, problem_at, tokenize
from kmagic.support.errors import DSLError, Problem

COMPOUND = ("model", "block", "repeat", "for", "residual", "merge", "branch")
"""Keywords of statements with a body."""
SIMPLE = ("compile", "freeze", "output", "inputs")
"""Keywords of statements without one."""
RESERVED = frozenset({*COMPOUND, *SIMPLE, "reuse", "input", "_", "_in"})
_EXAMPLES = {
    "block": "block res(f):",
    "for": "for f in 32 64:",
    "merge": "merge add:",
    "repeat": "repeat 3:",
}


def parse(text: str, *, where: str = "", first_line: int = 1) -> ModelSpec:
    """Parse a model's text.

    Args:
        text: In the layer language; see ``docs/language.md``.
        where: What the text is, for messages: "%%keras_model cnn".
        first_line: Number of its first line in the user's editor.

    Returns:
        The spec. It has the structure of the text; whether Keras accepts it is not checked.

    Raises:
        DSLError: With every mistake of the text.

    Example:
        >>> spec = parse("input 4 / dense 2 softmax")
        >>> [statement.callee.text for statement in spec]
        ['input', 'dense']
    """
    result = parse_partial(text)
    if result.problems:
        problems = merge_foreign_problems(result.problems, text)
        raise DSLError(problems, text, where, first_line)
    return result.spec


@dataclass(frozen=True, slots=True)
class ParseResult:
    """What could be parsed of a text.

    Attributes:
        spec: The lines without mistakes.
        problems: The mistakes, in the order of the text.
        lost_names: Names that the lines with mistakes may have defined.
    """

    spec: ModelSpec
    problems: tuple[Problem, ...] = ()
    lost_names: frozenset[str] = frozenset()


def parse_partial(text: str) -> ParseResult:
    """Parse as much of a model's text as possible; like :func:`parse`, but raises nothing."""
    lines, token_problems = tokenize(text)
    parser = _Parser(lines, has_tabs="\t" in text)
    statements = parser.block(at_top=True)
    found = dict.fromkeys([*token_problems, *parser.problems])
    problems = sorted(found, key=lambda problem: (problem.line, problem.column))
    spec = ModelSpec(statements, source=text)
    return ParseResult(spec, tuple(problems), frozenset(parser.lost_names))


class _Parser:
    """Parses lines into statements, and indented lines into their bodies."""

    def __init__(self, lines: list[LogicalLine], *, has_tabs: bool) -> None:
        self.lines = lines
        self._has_tabs = has_tabs  # already a problem, which explains all others of indentation
        self.problems: list[Problem] = []
        self.lost_names: set[str] = set()
        self._next = 0

    def block(self, *, at_top: bool = False) -> tuple[Statement, ...]:
        """All lines with the next line's indentation."""
        statements: list[Statement] = []
        indent = self.lines[self._next].indent if self._next < len(self.lines) else 0
        while self._next < len(self.lines):
            line = self.lines[self._next]
            if line.indent < indent:
                if not at_top:
                    break
                indent = line.indent
            if line.indent > indent:
                if not self._has_tabs:
                    first = line.tokens[0].span if line.tokens else Span(line.number, 1)
                    remedy = "Indent only the body of a line that ends in `:`, all its lines alike."
                    self.problems.append(problem_at(first, "unexpected indentation", remedy))
                statements += self.block()
                continue
            self._next += 1
            statements += self._statements(line)
        return tuple(statements)

    def _statements(self, line: LogicalLine) -> list[Statement]:
        if line.broken:
            self._skip(line)
            return []
        cursor = Cursor(line.tokens)
        statements: list[Statement] = []
        try:
            if _opens_body(line):
                return [self._compound(cursor, line)]
            while True:
                statements.append(self._simple(cursor))
                if cursor.done:
                    break
                cursor.expect("/", "expected ` / ` or the end of the line")
                if cursor.done:
                    cursor.fail("expected a layer after /")
        except ParseError as error:
            self.problems.append(error.problem)
            self._skip(line)
        return statements

    def _skip(self, line: LogicalLine) -> None:
        """Leave a line out, with its body; uses of the names they define are not reported."""
        first = self._next
        if first < len(self.lines) and self.lines[first].indent > line.indent:
            self.block()
        for skipped in (line, *self.lines[first : self._next]):
            self.lost_names |= _names_defined(skipped)

    # --- statements with a body ---------------------------------------------------------------

    def _compound(self, cursor: Cursor, line: LogicalLine) -> Statement:
        keyword = cursor.take()
        span = keyword.span
        match keyword.text:
            case "model":
                name, kind = _new_name(cursor, "a name for the model"), _model_kind(cursor)
                args = cursor.args(until=":")
                return NestedSpec(name, self._body(cursor, line), kind, args, span=span)
            case "block":
                name, params = _new_name(cursor, "a name for the block"), _parameters(cursor)
                return BlockSpec(name, params, self._body(cursor, line), span=span)
            case "repeat":
                if cursor.next_is(":"):
                    cursor.fail("expected the number of repetitions, as in `repeat 3:`")
                return RepeatSpec(cursor.value(), self._body(cursor, line), span=span)
            case "for":
                name = _new_name(cursor, "a name, as in `for f in 32 64:`")
                values = _loop_values(cursor)
                return ForSpec(name, values, self._body(cursor, line), span=span)
            case "residual":
                return ResidualSpec(self._body(cursor, line), span=span)
            case "branch":
                return BranchSpec(self._body(cursor, line), span=span)
            case _:
                callee = cursor.callee("a layer that merges, as in `merge add:`")
                args = cursor.args(until=":")
                branches = _branches(self._body(cursor, line), span)
                return MergeSpec(callee, args, branches, span=span)

    def _body(self, cursor: Cursor, line: LogicalLine) -> tuple[Statement, ...]:
        """The indented lines below, or the rest of the same line."""
        colon = cursor.expect(":", "expected `:` here, and an indented body below")
        if not cursor.done:
            inline = LogicalLine(line.indent, line.number, cursor.rest())
            return tuple(self._statements(inline))
        if self._next >= len(self.lines) or self.lines[self._next].indent <= line.indent:
            remedy = "Indent the lines that belong to it."
            fail_at(colon.span, "expected an indented body below this line", remedy)
        return self.block()

    # --- statements of one line ---------------------------------------------------------------

    def _simple(self, cursor: Cursor) -> Statement:
        token = cursor.peek
        if token.kind != "name" or cursor.next_is("=", ",", offset=1):
            return cursor.step()
        if token.text in ("compile", "freeze"):
            cursor.take()
            args = cursor.args(commas_make_lists=True)
            return (CompileSpec if token.text == "compile" else FreezeSpec)(args, span=token.span)
        if token.text in ("output", "inputs"):
            cursor.take()
            after = cursor.ahead(0)
            if token.text == "inputs" and after and after.kind in ("number", "shape"):
                remedy = f"An input layer is written `input {after.text}`."
                cursor.fail("is not the name of an input", remedy)
            entries = cursor.tensors()
            if not cursor.done and cursor.peek.kind == "name":
                cursor.fail(NOT_ALLOWED, f"Separate names by commas: `{token.text} a, b`.")
            return (OutputSpec if token.text == "output" else InputsSpec)(entries, span=token.span)
        if token.text == "model":
            cursor.take()
            name = "" if _is_nameless(cursor) else _model_name(cursor)
            return HeadSpec(name, _model_kind(cursor), cursor.args(), span=token.span)
        if token.text in COMPOUND:
            example = _EXAMPLES.get(token.text, f"{token.text}:")
            remedy = "To merge outputs by a layer, write `add <- a, b`." * (token.text == "merge")
            message = f"needs a body; its line must end in `:`, as in `{example}`"
            fail_at(token.span, message, remedy)
        return cursor.step()


def _opens_body(line: LogicalLine) -> bool:
    """Whether a line has a keyword with a body, and a colon outside brackets."""
    first = line.tokens[0] if line.tokens else None
    if first is None or first.kind != "name" or first.text not in COMPOUND:
        return False
    depth = 0
    for token in line.tokens:
        if token.kind == "op":
            depth += (token.text in "([") - (token.text in ")]")
            if token.text == ":" and depth == 0:
                return True
    return False


def _names_defined(line: LogicalLine) -> set[str]:
    """Names that a line may give to outputs, blocks or models."""
    tokens = line.tokens
    if tokens and tokens[0].text in COMPOUND:
        return {token.text for token in tokens[1:2]}
    names: set[str] = set()
    for token in tokens:
        if token.text == "=":
            return names
        if token.kind == "name":
            names.add(token.text)
        elif token.text != ",":
            break
    return set()


def _parameters(cursor: Cursor) -> tuple[Param, ...]:
    """A block's parameters, in brackets."""
    if not cursor.done and cursor.peek.kind == "name":
        cursor.fail("expected ( or :", "Put parameters in brackets: `block res(f, s=1):`")
    params: list[Param] = []
    if not cursor.accept("("):
        return ()
    while not cursor.accept(")"):
        token = cursor.name("the name of a parameter")
        default = cursor.nested_value() if cursor.accept("=") else None
        if default is None and params and params[-1].default is not None:
            message = "a parameter without a default must come before those with one"
            fail_at(token.span, message)
        if any(param.name == token.text for param in params):
            fail_at(token.span, f"duplicate parameter {token.text}")
        params.append(Param(token.text, default, span=token.span))
        if not cursor.next_is(")"):
            cursor.expect(",", "expected , or )")
    return tuple(params)


def _loop_values(cursor: Cursor) -> tuple[Value, ...]:
    if not cursor.accept("in", "name"):
        cursor.fail("expected `in`, as in `for f in 32 64:`")
    values: list[Value] = []
    while not cursor.done and not cursor.next_is(":"):
        values.append(cursor.value())
        cursor.accept(",")
    if not values:
        cursor.fail("expected values, as in `for f in 32 64:`")
    return tuple(values)


def _branches(body: tuple[Statement, ...], span: Span) -> tuple[BranchSpec, ...]:
    branches: list[BranchSpec] = []
    for statement in body:
        if not isinstance(statement, BranchSpec):
            remedy = "Each input of the merge is a `branch:` with its own body."
            fail_at(statement.span, "only `branch:` is allowed in a merge", remedy)
        branches.append(statement)
    if not branches:
        fail_at(span, "expected at least one `branch:` below")
    return tuple(branches)


def _model_kind(cursor: Cursor) -> ModelKind:
    if cursor.accept("sequential", "name"):
        return "sequential"
    return "functional" if cursor.accept("functional", "name") else ""


def _is_nameless(cursor: Cursor) -> bool:
    """Whether a head has only a kind or arguments: ``model functional``."""
    first, second = cursor.ahead(0), cursor.ahead(1)
    if first is None or cursor.next_is("!"):
        return first is not None
    kinds = ("sequential", "functional")
    return first.text in kinds and not (second is not None and second.text in kinds)


def _model_name(cursor: Cursor) -> str:
    if not cursor.done and cursor.peek.kind == "string":
        return string_of(cursor.take())
    return _new_name(cursor, "a name for the model")


def _new_name(cursor: Cursor, wanted: str) -> str:
    token = cursor.name(wanted)
    if "." in token.text:
        fail_at(token.span, "a name must not contain dots")
    if token.text in RESERVED:
        fail_at(token.span, f"{token.text} is a reserved word; choose another name")
    return token.text
