"""Text to spec: which statements a model's text contains, and how they nest.

A line with a mistake is left out and parsing continues, so that all mistakes of a cell are
reported together.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal, NoReturn

from kmagic.language import spec
from kmagic.language.expressions import ExpressionError, parse_expression
from kmagic.language.foreign_code import merge_foreign_problems
from kmagic.language.spec import Arg, BranchSpec, Expr, LiteralValue, Span, Statement, Value, Word
from kmagic.language.tokens import (
    MAX_NESTING,
    LogicalLine,
    ParseError,
    Token,
    TokenKind,
    fail_at,
    has_colon,
    layer_hint,
    problem_at,
    tokenize,
    value_hint,
)
from kmagic.support.errors import DSLError, Problem

COMPOUND = ("model", "block", "repeat", "for", "residual", "merge", "branch")
"""Keywords of statements with a body."""
SIMPLE = ("compile", "freeze", "unfreeze", "output", "inputs")
"""Keywords of statements without one."""
_WITH_ARGUMENTS: dict[str, Callable[..., Statement]] = {
    "compile": spec.CompileSpec,
    "freeze": spec.FreezeSpec,
    "unfreeze": spec.UnfreezeSpec,
}
RESERVED = frozenset({*COMPOUND, *SIMPLE, "reuse", "input", "_", "_in"})
CONSTANTS: dict[str, object] = {
    "true": True,
    "false": False,
    "none": None,
    "True": True,
    "False": False,
    "None": None,
    **dict.fromkeys(("inf", "+inf"), math.inf),
    **dict.fromkeys(("nan", "+nan", "-nan"), math.nan),
    "-inf": -math.inf,
}
MAX_DIGITS = 100
NOT_ALLOWED = "is not allowed here"
_EXAMPLES = {
    "block": "block res(f):",
    "for": "for f in 32 64:",
    "merge": "merge add:",
    "repeat": "repeat 3:",
}


def parse(text: str, *, ranges: bool = False) -> spec.ModelSpec:
    """Parse a model's text.

    Args:
        text: In the layer language; see ``docs/language.md``.
        ranges: Whether it may contain ranges and choices, which only a search understands.

    Returns:
        The spec. It has the structure of the text; whether Keras accepts it is not checked.

    Raises:
        DSLError: With every mistake of the text.

    Example:
        >>> spec = parse("input 4 / dense 2 softmax")
        >>> [statement.callee.text for statement in spec]
        ['input', 'dense']
    """
    spec = parse_partial(text, ranges=ranges)
    if spec.problems:
        raise DSLError(merge_foreign_problems(spec.problems, text), text)
    return spec


def parse_partial(text: str, *, ranges: bool = False) -> spec.ModelSpec:
    """Parse as much of a model's text as possible; like :func:`parse`, but raises nothing."""
    lines, token_problems = tokenize(text)
    parser = _Parser(lines, has_tabs="\t" in text)
    parser.refuses_ranges = not ranges and ("|" in text or ".." in text)
    statements = parser.block(at_top=True)
    found = dict.fromkeys([*token_problems, *parser.problems])
    problems = sorted(found, key=lambda problem: (problem.line, problem.column))
    return spec.ModelSpec(statements, text, tuple(problems), frozenset(parser.lost_names))


class _Parser:
    def __init__(self, lines: list[LogicalLine], *, has_tabs: bool) -> None:
        self.lines = lines
        self._has_tabs = has_tabs  # already a problem, which explains all others of indentation
        self.problems: list[Problem] = []
        self.lost_names: set[str] = set()
        self.refuses_ranges = False
        self._next = 0
        self._depth = 0

    def block(self, *, at_top: bool = False) -> tuple[Statement, ...]:
        """All lines with the next line's indentation."""
        self._depth += 1
        try:
            return self._lines(at_top=at_top or self._depth > MAX_NESTING)
        finally:
            self._depth -= 1

    def _lines(self, *, at_top: bool) -> tuple[Statement, ...]:
        statements: list[Statement] = []
        indent = self.lines[self._next].indent if self._next < len(self.lines) else 0
        while self._next < len(self.lines):
            line = self.lines[self._next]
            if line.indent < indent:
                if not at_top:
                    break
                indent = line.indent
            if line.indent > indent and self._depth > MAX_NESTING:
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
                return [self._checked(self._compound(cursor, line))]
            while True:
                statements.append(self._checked(self._simple(cursor)))
                if cursor.done:
                    break
                cursor.expect("/", "expected ` / ` or the end of the line")
                if cursor.done:
                    cursor.fail("expected a layer after /")
        except ParseError as error:
            self.problems.append(error.problem)
            self._skip(line)
        return statements

    def _checked(self, statement: Statement) -> Statement:
        """A statement, unless it has a range that the text must not have."""
        found = (
            next(spec.find_parts(statement, *spec.VARIED), None) if self.refuses_ranges else None
        )
        if found is not None:
            kind = {spec.AlternativesSpec: "several layers", spec.Range: "a range"}.get(type(found))
            several = "Write one layer per line, or separate layers by ` / `."
            remedy = several if kind == "several layers" else "Write one value."
            remedy += " To search for the best one, begin the cell with `%%keras_tune`."
            message = f"{kind or 'a choice'} can be tried in a search, but not be built"
            fail_at(found.span, message, remedy)
        return statement

    def _skip(self, line: LogicalLine) -> None:
        """Leave a line out, with its body; uses of the names they define are not reported."""
        first = self._next
        if self._depth > MAX_NESTING:
            while self._next < len(self.lines) and self.lines[self._next].indent > line.indent:
                self._next += 1
        elif first < len(self.lines) and self.lines[first].indent > line.indent:
            self.block()
        for skipped in (line, *self.lines[first : self._next]):
            self.lost_names |= _names_defined(skipped)

    # --- statements with a body ---------------------------------------------------------------

    def _compound(self, cursor: Cursor, line: LogicalLine) -> Statement:
        keyword = cursor.take()
        span = keyword.span
        if self._depth > MAX_NESTING:
            message = f"bodies are nested more than {MAX_NESTING} levels deep"
            fail_at(span, message, "Put the inner lines into blocks: `block part:`.")
        match keyword.text:
            case "model":
                name, kind = _new_name(cursor, "a name for the model"), _model_kind(cursor)
                args = cursor.args(until=":")
                return spec.NestedSpec(name, self._body(cursor, line), kind, args, span=span)
            case "block":
                name, params = _new_name(cursor, "a name for the block"), _parameters(cursor)
                return spec.BlockSpec(name, params, self._body(cursor, line), span=span)
            case "repeat":
                if cursor.next_is(":"):
                    cursor.fail("expected the number of repetitions, as in `repeat 3:`")
                return spec.RepeatSpec(cursor.value(), self._body(cursor, line), span=span)
            case "for":
                name = _new_name(cursor, "a name, as in `for f in 32 64:`")
                values = _loop_values(cursor)
                return spec.ForSpec(name, values, self._body(cursor, line), span=span)
            case "residual":
                return spec.ResidualSpec(self._body(cursor, line), span=span)
            case "branch":
                return BranchSpec(self._body(cursor, line), span=span)
            case _:
                callee = cursor.callee("a layer that merges, as in `merge add:`")
                args = cursor.args(until=":")
                branches = _branches(self._body(cursor, line), span)
                return spec.MergeSpec(callee, args, branches, span=span)

    def _body(self, cursor: Cursor, line: LogicalLine) -> tuple[Statement, ...]:
        """The indented lines below, or the rest of the same line."""
        colon = cursor.expect(":", "expected `:` here, and an indented body below")
        if not cursor.done:
            inline = LogicalLine(line.indent, line.number, cursor.rest())
            self._depth += 1
            try:
                return tuple(self._statements(inline))
            finally:
                self._depth -= 1
        if self._next >= len(self.lines) or self.lines[self._next].indent <= line.indent:
            remedy = "Indent the lines that belong to it."
            fail_at(colon.span, "expected an indented body below this line", remedy)
        return self.block()

    # --- statements of one line ---------------------------------------------------------------

    def _simple(self, cursor: Cursor) -> Statement:
        token = cursor.peek
        if token.kind != "name" or cursor.next_is("=", ",", offset=1):
            return cursor.steps()
        if (
            token.text == "vary"
            and cursor.ahead(1).kind == "name"
            and cursor.next_is("=", offset=2)
        ):
            return self._vary(cursor)
        if token.text in _WITH_ARGUMENTS:
            cursor.take()
            args = cursor.args(commas_make_lists=True)
            return _WITH_ARGUMENTS[token.text](args, span=token.span)
        if token.text in ("output", "inputs"):
            cursor.take()
            if token.text == "inputs" and cursor.peek.kind in ("number", "shape"):
                remedy = f"An input layer is written `input {cursor.peek.text}`."
                cursor.fail("is not the name of an input", remedy)
            entries = cursor.tensors()
            if cursor.peek.kind == "name":
                cursor.fail(NOT_ALLOWED, f"Separate names by commas: `{token.text} a, b`.")
            return (spec.OutputSpec if token.text == "output" else spec.InputsSpec)(
                entries, span=token.span
            )
        if token.text == "model":
            cursor.take()
            name = "" if _is_nameless(cursor) else _model_name(cursor)
            return spec.HeadSpec(name, _model_kind(cursor), cursor.args(), span=token.span)
        if token.text in COMPOUND:
            example = _EXAMPLES.get(token.text, f"{token.text}:")
            remedy = "To merge outputs by a layer, write `add <- a, b`." * (token.text == "merge")
            message = f"needs a body; its line must end in `:`, as in `{example}`"
            fail_at(token.span, message, remedy)
        return cursor.steps()

    def _vary(self, cursor: Cursor) -> spec.VarySpec:
        span = cursor.take().span
        if self._depth > 1:
            fail_at(span, "must be outside of bodies", "Move the line up, and keep its name here.")
        name = _new_name(cursor, "a name")
        cursor.take()
        value = cursor.value()
        if not isinstance(value, spec.Range | spec.Choice):
            remedy = f"Write `vary {name} = 32..256:32` or `vary {name} = relu|gelu`."
            fail_at(value.span, "expected a range or a choice", remedy)
        if not cursor.done and not cursor.next_is("/"):
            cursor.fail(NOT_ALLOWED, "A line gives one name a range.")
        return spec.VarySpec(name, value, span=span)


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


def _parameters(cursor: Cursor) -> tuple[spec.Param, ...]:
    if cursor.peek.kind == "name":
        cursor.fail("expected ( or :", "Put parameters in brackets: `block res(f, s=1):`")
    params: list[spec.Param] = []
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
        params.append(spec.Param(token.text, default, span=token.span))
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


def _model_kind(cursor: Cursor) -> spec.ModelKind:
    if cursor.accept("sequential", "name"):
        return "sequential"
    return "functional" if cursor.accept("functional", "name") else ""


def _is_nameless(cursor: Cursor) -> bool:
    """Whether a head has only a kind or arguments: ``model functional``."""
    kinds = ("sequential", "functional")
    is_kind = cursor.peek.text in kinds and cursor.ahead(1).text not in kinds
    return is_kind or cursor.next_is("!")


def _model_name(cursor: Cursor) -> str:
    if cursor.peek.kind == "string":
        return string_of(cursor.take())
    return _new_name(cursor, "a name for the model")


def _new_name(cursor: Cursor, wanted: str) -> str:
    token = cursor.name(wanted)
    if "." in token.text:
        fail_at(token.span, "a name must not contain dots")
    if token.text in RESERVED:
        fail_at(token.span, f"{token.text} is a reserved word; choose another name")
    return token.text


# --- one line --------------------------------------------------------------------------------


class Cursor:
    """A position in a line's tokens, with the parsers of values, arguments and steps."""

    def __init__(self, tokens: list[Token]) -> None:
        last = tokens[-1].span if tokens else spec.NO_SPAN
        end = Token("end", "", Span(last.line, last.column + last.width), spaced=True)
        self.tokens = [*tokens, end]
        self._index = 0

    # --- moving -------------------------------------------------------------------------------

    @property
    def peek(self) -> Token:
        """The next token; after the last one, a token of the kind "end"."""
        return self.tokens[self._index]

    @property
    def done(self) -> bool:
        """Whether all tokens are read."""
        return self.peek.kind == "end"

    def take(self) -> Token:
        """Read one token."""
        token = self.peek
        if self.done:
            self.fail("unexpected end of the line")
        self._index += 1
        return token

    def rest(self) -> list[Token]:
        """All tokens that are not read yet."""
        return self.tokens[self._index : -1]

    def ahead(self, offset: int) -> Token:
        """The token at an offset from the next one, without reading it."""
        return self.tokens[min(self._index + offset, len(self.tokens) - 1)]

    def next_is(self, *texts: str, kind: TokenKind = "op", offset: int = 0) -> bool:
        """Whether the token at an offset is one of these signs, or names."""
        token = self.ahead(offset)
        return token.kind == kind and token.text in texts

    def accept(self, text: str, kind: TokenKind = "op") -> bool:
        """Read this sign or name if it is next."""
        accepted = self.next_is(text, kind=kind)
        self._index += accepted
        return accepted

    def expect(self, sign: str, message: str) -> Token:
        """Read this sign, or fail."""
        return self.take() if self.next_is(sign) else self.fail(message)

    def name(self, wanted: str) -> Token:
        """Read a name, or fail."""
        return self.take() if self.peek.kind == "name" else self.fail(f"expected {wanted}")

    def fail(self, message: str, remedy: str = "") -> NoReturn:
        """Report a mistake at the next token, or just after the last one."""
        fail_at(self.peek.span, message, remedy)

    # --- values -------------------------------------------------------------------------------

    def value(self) -> Value:
        """A number, shape, string, name, object, expression, list, tuple, mapping or choice."""
        first = self._one_value()
        return self._choice(first, self._one_value) if self._opens("|") else first

    def _choice(self, first: Value, read: Callable[[], Value]) -> spec.Choice:
        """``relu|gelu``; the first item is read already."""
        items = [first]
        while self._opens("|"):
            self.take()
            if self.done or self.peek.spaced:
                self.fail(
                    "expected another value here", "Write a choice without spaces: relu|gelu."
                )
            items.append(read())
            if items[-1] in items[:-1]:
                fail_at(items[-1].span, "is in this choice twice")
        for item in items:
            if isinstance(item, spec.Range):
                remedy = "List the values, 32|64|128, or write a single range, 32..128:32."
                fail_at(item.span, "a range cannot be one of the values of a choice", remedy)
        return spec.Choice(tuple(items), span=first.span)

    def _one_value(self) -> Value:
        first = self._simple_value()
        sizes = _sizes(first)
        if not self.next_is("x") or self.peek.spaced:
            return first
        while self.accept("x"):
            sizes += _sizes(self._simple_value())
        return spec.SequenceValue("tuple", tuple(sizes), span=first.span)

    def _simple_value(self) -> Value:
        token = self.take()
        span = token.span
        match token.kind:
            case "number":
                _check_number(token)
                return LiteralValue(_number(token.text), span=span)
            case "range":
                return self._range(token)
            case "shape":
                _check_number(token)
                dims = tuple(None if dim == "?" else int(dim) for dim in token.text.split("x"))
                return spec.Shape(dims, span=span)
            case "string":
                return LiteralValue(string_of(token), span=span)
            case "brace":
                return self._maybe_object(_brace(token))
            case "name" if token.text in CONSTANTS:
                return LiteralValue(CONSTANTS[token.text], span=span)
            case "name" if self._opens("["):
                return self._indexed(token)
            case "name":
                return self._maybe_object(Word(token.text, span=span))
        match token.text:
            case "[":
                return self._sequence("list", "]", span)
            case "(":
                return self._sequence("tuple", ")", span)
            case "...":
                return LiteralValue(..., span=span)
            case "&":
                name = self.name("the name of a layer or model after &")
                return spec.Ref(name.text, span=span)
            case _:
                return fail_at(span, NOT_ALLOWED, value_hint(token.text))

    def _range(self, token: Token) -> spec.Range:
        """``32..256:32`` or ``1e-4..1e-2~log``."""
        text, _, scale = token.text.partition("~")
        ends, _, step_text = text.partition(":")
        low_text, _, high_text = ends.partition("..")
        for part in filter(None, (low_text, high_text, step_text)):
            _check_number(replace(token, text=part))
        low, high = _number(low_text), _number(high_text)
        step = _number(step_text) if step_text else None
        if any(isinstance(number, float) for number in (low, high, step)):
            low, high, step = float(low), float(high), None if step is None else float(step)
        message, remedy = "", ""
        if scale not in ("", "log"):
            message, remedy = f"~{scale} is not known", f"Write a logarithmic range as {ends}~log."
        elif self._opens(":") and self.next_is("log", kind="name", offset=1):
            message, remedy = "ends in :log", f"Write a logarithmic range as {ends}~log."
        elif low >= high:
            message = "the second number of a range must be larger than the first"
            remedy = f"Write {high_text}..{low_text}." if high < low else f"Write {low_text} alone."
        elif scale and step is not None:
            message = "a logarithmic range has no step"
            remedy = f"Write {ends}~log, or {text}."
        elif scale and low <= 0:
            message = "a logarithmic range must begin above 0"
        elif step is not None and step <= 0:
            message = "the step of a range must be larger than 0"
        elif (
            step is not None and abs(round((high - low) / step) * step - (high - low)) > 1e-9 * step
        ):
            last = low + (high - low) // step * step
            message = f"steps of {step_text} from {low_text} do not reach {high_text}"
            remedy = f"The last one is {last:.12g}: write {low_text}..{last:.12g}:{step_text}."
            if last <= low:
                remedy = "Write a smaller step."
        if message:
            fail_at(token.span, message, remedy)
        return spec.Range(low, high, step, bool(scale), span=token.span)

    def _opens(self, bracket: str) -> bool:
        """Whether this sign is next, without white space before it."""
        return self.next_is(bracket) and not self.peek.spaced

    def _maybe_object(self, value: Value) -> Value:
        if isinstance(value, Word | Expr) and self._opens("("):
            return spec.Object(value, self._call_args(), span=value.span)
        return value

    def _indexed(self, name: Token) -> Value:
        path: list[int | str] = []
        while self._opens("["):
            self.take()
            key = self.value()
            if not isinstance(key, LiteralValue) or not isinstance(key.value, int | str):
                fail_at(key.span, "expected a number or a quoted name")
            path.append(key.value)
            self.expect("]", "expected ]")
        return spec.Index(name.text, tuple(path), span=name.span)

    def _sequence(self, kind: Literal["list", "tuple"], closing: str, span: Span) -> Value:
        items: list[Value] = []
        comma = False
        while not self.accept(closing):
            items.append(self.nested_value())
            comma = self.accept(",")
            if not comma and not self.next_is(closing):
                self.fail(f"expected , or {closing}")
        if kind == "tuple" and len(items) == 1 and not comma:
            return items[0]
        return spec.SequenceValue(kind, tuple(items), span=span)

    def nested_value(self) -> Value:
        """A value, or a layer with its arguments: ``lstm 32 return_sequences``."""
        first = self.value()
        if not isinstance(first, Word | Expr):
            return first
        args: list[Arg] = []
        while not self.done and not self.next_is(",", ")", "]", "=", ":"):
            args.append(self._arg())
        return spec.InnerLayer(first, tuple(args), span=first.span) if args else first

    # --- arguments ----------------------------------------------------------------------------

    def _arg(self, *, nested: bool = False) -> Arg:
        """``value``, ``name=value`` or ``!flag``; within brackets a value may be a layer."""
        token = self.peek
        value = self.nested_value if nested else self.value
        if self.accept("!"):
            flag = self.name("the name of a true-or-false argument after !")
            return Arg(LiteralValue(False, span=flag.span), flag.text, span=flag.span)
        if token.kind == "name" and self.next_is("=", offset=1):
            self.take()
            self.take()
            if self.done or self.next_is("/", ","):
                self.fail(f"expected a value for {token.text}")
            return Arg(value(), token.text, span=token.span)
        return Arg(value(), span=token.span)

    def args(self, *, until: str = "", commas_make_lists: bool = False) -> tuple[Arg, ...]:
        """Arguments up to the end of the step, or up to a sign.

        Args:
            until: The sign.
            commas_make_lists: Whether ``metrics=mae, mse`` is a list without brackets.
        """
        args: list[Arg] = []
        while not self._step_ends() and not (until and self.next_is(until)):
            arg = self._arg()
            is_list = commas_make_lists and arg.name and not self.next_is("=", offset=2)
            if is_list and self.next_is(","):
                items = [arg.value]
                while self.accept(","):
                    items.append(self.value())
                arg = replace(arg, value=spec.SequenceValue("list", tuple(items), span=arg.span))
            args.append(arg)
        return tuple(args)

    def _call_args(self) -> tuple[Arg, ...]:
        """``(a, name=b, lstm 32)`` with its brackets."""
        self.expect("(", "expected (")
        args: list[Arg] = []
        while not self.accept(")"):
            args.append(self._arg(nested=True))
            if not self.accept(",") and not self.next_is(")"):
                self.fail("expected , or )")
        return tuple(args)

    def tensors(self) -> tuple[Arg, ...]:
        """What follows an arrow: ``a, b, mask=m``."""
        args: list[Arg] = []
        while True:
            if self._step_ends():
                self.fail("expected the name of an output, or _ for the previous output")
            args.append(self._arg())
            if not self.accept(","):
                return tuple(args)

    def callee(self, wanted: str) -> Word | Expr | spec.Choice:
        """A layer's name, an expression, or a choice of these."""
        first = self._one_callee(wanted)
        if self._opens("|"):
            return self._choice(first, partial(self._one_callee, wanted))
        return first

    def _one_callee(self, wanted: str) -> Word | Expr:
        token = self.peek
        if token.kind == "brace":
            value = _brace(self.take())
            return value if isinstance(value, Expr) else fail_at(token.span, f"expected {wanted}")
        if token.kind != "name":
            has_hint = wanted == "a layer" and not self.done
            self.fail(f"expected {wanted}", layer_hint(token) if has_hint else "")
        self.take()
        return Word(token.text, span=token.span)

    def _step_ends(self) -> bool:
        """Whether the step ends here: at the end of the line, or at one of ``/ | <- *``."""
        return self.done or self.next_is("/", "<-", "*") or self._alternative_follows()

    def _alternative_follows(self) -> bool:
        return self.next_is("|") and self.peek.spaced

    # --- steps --------------------------------------------------------------------------------

    def steps(self) -> spec.LayerSpec | spec.AlternativesSpec:
        """A step, or several alternatives: ``h = dense 64 relu | identity``."""
        steps, sign = [self.step()], self.peek
        while self.accept("|"):
            step = self.step()
            if step.targets:
                remedy = "The name in front of the first step is the name of all: `h = a | b`."
                fail_at(step.span, "an alternative has no name of its own", remedy)
            steps.append(replace(step, targets=steps[0].targets))
        if len(steps) == 1:
            return steps[0]
        return spec.AlternativesSpec(tuple(steps), span=sign.span)

    def step(self) -> spec.LayerSpec:
        """``h = conv2d 32 3x3 relu <- x * 2``."""
        start = self.peek.span
        targets = self._targets()
        reuse = self.accept("reuse", "name")
        callee = self.callee("a layer")
        args = self._call_args() if self._opens("(") else ()
        if self.next_is(":"):
            example = f"{callee.text} ..." if isinstance(callee, Word) else "dense 32 relu"
            self.fail(NOT_ALLOWED, f"Write the arguments without a colon: `{example}`.")
        args += self.args()
        self._check_star()
        inputs = self.tensors() if self.accept("<-") else None
        if inputs is not None and self.peek.kind in ("name", "brace"):
            self.fail(NOT_ALLOWED, "Separate inputs by commas: `add <- a, b`.")
        times = self.value() if self.accept("*") else None
        if not self.done and not self.next_is("/") and not self._alternative_follows():
            self.fail(NOT_ALLOWED, value_hint(self.peek.text))
        return spec.LayerSpec(callee, args, inputs, targets, reuse, times, span=start)

    def _check_star(self) -> None:
        """Refuse ``3*3`` and ``{n}*3``: a shape is meant, and a repetition would be read."""
        offset = -1
        dims: list[str] = []
        while (token := self.ahead(offset)).kind in ("number", "brace"):
            dims.append(token.text)
            star, after = self.ahead(offset + 1), self.ahead(offset + 2)
            if star.text != "*" or star.spaced or after.spaced:
                break
            offset += 2
        if len(dims) > 1:
            shape = "x".join(dims)
            remedy = f"Write a shape with the letter x: {shape}; a repetition is ` * 3`."
            self.fail(NOT_ALLOWED, remedy)

    def _targets(self) -> tuple[str, ...]:
        """``a, b =`` before a step, if it is there."""
        offset = 0
        names: list[Token] = []
        while (token := self.ahead(offset)).kind == "name":
            names.append(token)
            if self.next_is("=", offset=offset + 1):
                for name in names:
                    _check_target(name)
                self._index += offset + 2
                return tuple(name.text for name in names)
            if not self.next_is(",", offset=offset + 1):
                break
            offset += 2
        return ()


def _check_target(token: Token) -> None:
    if "." in token.text:
        fail_at(token.span, "a name must not contain dots")
    if token.text in CONSTANTS or token.text == "_in":
        fail_at(token.span, f"{token.text} cannot be used as a name")


def string_of(token: Token) -> str:
    """The text of a quoted string, with Python's escapes."""
    try:
        text = str(ast.literal_eval(token.text))
        text.encode()
    except UnicodeEncodeError:
        fail_at(token.span, "is not valid text: it contains half of a surrogate pair")
    except (SyntaxError, ValueError) as error:
        fail_at(token.span, f"is not a valid string: {error}")
    return text


def _brace(token: Token) -> Value:
    """``{expr}`` is an expression, ``{key: value}`` a mapping."""
    inner, start = token.text[1:-1], token.span
    if inner.strip() and not has_colon(inner):
        try:
            parse_expression(inner)
        except ExpressionError as error:
            span = Span(start.line, start.column + 1 + error.column, error.width)
            fail_at(span, error.message, error.remedy)
        return Expr(inner.strip(), span=start)
    # With spaces before it, so that the columns are right; the line is that of the brace.
    lines, problems = tokenize(" " * start.column + inner.replace("\n", " ") + " ")
    if problems:
        raise ParseError(replace(problems[0], line=start.line))
    tokens = [inside for line in lines for inside in line.tokens]
    cursor = Cursor([replace(part, span=replace(part.span, line=start.line)) for part in tokens])
    entries: list[tuple[Value, Value]] = []
    while not cursor.done:
        key = cursor.value()
        cursor.expect(":", "expected : and a value")
        entries.append((key, cursor.nested_value()))
        if not cursor.done:
            cursor.expect(",", "expected , or }")
    return spec.MappingValue(tuple(entries), span=start)


def _sizes(value: Value) -> list[Value]:
    """The sizes of a part of a shape such as ``{n}x3x3``."""
    if isinstance(value, spec.Shape):
        return [LiteralValue(size, span=value.span) for size in value.dims]
    return [value]


def _check_number(token: Token) -> None:
    """Refuse a number that is larger, or has more digits, than any size, seed or rate."""
    if len(max(re.findall(r"\d+", token.text.replace("_", "")), key=len, default="")) > MAX_DIGITS:
        fail_at(token.span, f"a number must not have more than {MAX_DIGITS} digits")
    if "e" in token.text.lower() and math.isinf(_number(token.text)):
        fail_at(token.span, "is too large for a floating-point number")


def _number(text: str) -> int | float:
    plain = text.replace("_", "")
    return int(plain) if plain.lstrip("+-").isdecimal() else float(plain)
