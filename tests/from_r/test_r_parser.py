"""R code is parsed as R parses it, and code that is not R is a mistake with its position."""

from __future__ import annotations

import pytest

from kmagic.from_r.r_parser import RCall, RMistake, RName, parse_r, tokenize_r


def test_pipe_is_left_associative() -> None:
    (node,) = parse_r("m <- a() %>%\n  b(1) |>  # comment\n  c()")
    assert node.syntax[:2] == ("<-", RName("m"))
    assert node.syntax[2].syntax[0] == "%>%"
    assert node.syntax[2].syntax[1].syntax[0] == "%>%"


def test_precedence_of_powers_signs_and_ranges() -> None:
    (node,) = parse_r("-2^2:3")
    assert node.syntax[0] == ":"


def test_line_break_ends_a_statement_outside_parentheses() -> None:
    assert len(parse_r("a\nb")) == 2
    assert len(parse_r("f(a,\n  b)")) == 1
    assert len(parse_r("a +\n b; c")) == 2
    assert len(parse_r("{\n a\n b }")) == 1


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("1e-4 32L .5 0x1F 1.", ["number"] * 5),
        ('"a\'b" \'c\\n\' r"(d"e)"', ["string"] * 3),
        ("x.y `a b` .z", ["name"] * 3),
        ("<- %>% |> :: [[", ["sign"] * 5),
    ],
)
def test_token_kinds(text: str, kinds: list[str]) -> None:
    assert [token.kind for token in tokenize_r(text)][:-1] == kinds


def test_string_escapes() -> None:
    assert tokenize_r(r"'it\'s A\t'")[0].text == "it's A\t"
    assert tokenize_r('r"-(raw \\n)-"')[0].text == "raw \\n"


@pytest.mark.parametrize(
    "text", ["((((", "a]", "f(,", "'", "x <-", "%>%", "if (", "function(", "@"]
)
def test_invalid_r_is_a_mistake_with_its_position(text: str) -> None:
    with pytest.raises(RMistake) as caught:
        parse_r(text)
    problem = caught.value.problem(text)
    assert problem.line == 1
    assert problem.column <= len(text) + 1


def test_deep_nesting_is_a_mistake() -> None:
    with pytest.raises(RMistake):
        parse_r("(" * 5000 + ")" * 5000)


def test_call_keeps_argument_names() -> None:
    (node,) = parse_r('f(1, `a b` = 2, "c" = 3)')
    assert isinstance(node, RCall)
    assert [arg.name for arg in node.args] == [None, "a b", "c"]
