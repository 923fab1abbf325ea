"""Text to tokens: kinds, positions and problems."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmagic.language.tokens import has_colon, tokenize


def kinds(text):
    lines, problems = tokenize(text)
    assert not problems
    return [(token.kind, token.text) for line in lines for token in line.tokens]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("3x3", "shape"),
        ("28x28x1", "shape"),
        ("?x64", "shape"),
        ("?", "shape"),
        ("0x1", "shape"),  # not Python's hexadecimal 1
        ("32", "number"),
        ("-1", "number"),
        ("+.5", "number"),
        ("1.", "number"),
        ("1_000", "number"),
        ("1e-3", "number"),
        ("1E+3", "number"),
        ("-inf", "number"),
        ("inf", "name"),
        ("conv2d", "name"),
        ("x3", "name"),
        ("ops.abs", "name"),
        ("größe", "name"),
        ("_", "name"),
        ('"a # b"', "string"),
        (r"'it\'s'", "string"),
        ("{a}", "brace"),
        ('{"}"}', "brace"),
        ("{d['a']}", "brace"),
        ("<-", "op"),
        ("...", "op"),
    ],
)
def test_one_token(text, kind):
    assert kinds(text) == [(kind, text)]


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("h=dense 4<-_", ["h", "=", "dense", "4", "<-", "_"]),
        ("dense 4/dense 2", ["dense", "4", "/", "dense", "2"]),
        ("l2(1e-4)", ["l2", "(", "1e-4", ")"]),
        ("dense 32 # 32 units", ["dense", "32"]),
        ("output a[0]", ["output", "a", "[", "0", "]"]),
        ("!use_bias", ["!", "use_bias"]),
    ],
)
def test_tokens_of_a_line(text, texts):
    assert [text for _, text in kinds(text)] == texts


def test_blank_lines_and_comments_are_skipped():
    lines, _ = tokenize("\n# a net\n   \ninput 4\n\n  # more\ndense 2\n")
    assert [line.number for line in lines] == [4, 7]


def test_brackets_continue_a_line():
    lines, problems = tokenize("input (28,\n  28,\n1)\ndense 4")
    assert [line.number for line in lines] == [1, 4]
    assert not problems


def test_braces_continue_a_line_and_keep_their_text():
    (line,), _ = tokenize("dense {units //\n  2} relu")
    assert [token.text for token in line.tokens] == ["dense", "{units //\n  2}", "relu"]


def test_positions_count_from_one():
    (_, line), _ = tokenize("input 4\n  dense 32")
    assert line.indent == 2
    dense, units = (token.span for token in line.tokens)
    assert (dense.line, dense.column, dense.width) == (2, 3, 5)
    assert (units.line, units.column, units.width) == (2, 9, 2)


def test_tokens_know_the_white_space_before_them():
    (line,), _ = tokenize("l2 (1)(2)")
    assert [token.spaced for token in line.tokens] == [
        True,
        True,
        False,
        False,
        False,
        False,
        False,
    ]


def test_a_line_with_a_mistake_ends_before_it_and_the_next_is_read():
    (first, second), problems = tokenize("dense 4 $ relu\ndropout 0.5")
    assert [token.text for token in first.tokens] == ["dense", "4"]
    assert (first.broken, second.broken) == (True, False)
    assert len(problems) == 1


def test_an_unclosed_bracket_ends_with_its_line():
    lines, problems = tokenize("a (1\nb 2\nc [3")
    texts = [[token.text for token in line.tokens] for line in lines]
    assert texts == [["a", "(", "1"], ["b", "2"], ["c", "[", "3"]]
    assert [problem.line for problem in problems] == [1, 3]


def test_many_unclosed_brackets_end_the_scan():
    _, problems = tokenize("a (\n" * 5_000)
    assert len(problems) == 20


@given(st.text())
def test_any_text_is_tokenized(text):
    lines, problems = tokenize(text)
    rows = text.splitlines()
    for line in lines:
        for token in line.tokens:
            start = token.span.column - 1
            shown = "\n".join(rows[token.span.line - 1 :])[start:]
            assert shown.startswith(token.text)
    assert all(1 <= problem.line <= len(rows) for problem in problems)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: 1", True),
        ("x[1:2]", False),
        ("'a:b'", False),
        (r"'\':'", False),
        ("{a: 1}['a']", False),
    ],
)
def test_a_colon_outside_of_brackets_and_quotes(text, found):
    assert has_colon(text) is found
