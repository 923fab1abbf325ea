import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmagic.magics.line_parser import LineParser, split_line
from kmagic.support.errors import MagicError

FIT = LineParser("%fit", "Train.").option("-e --epochs N", minimum=1, default="1")
FIT.option("--normalize {true,pred}")
FIT.argument("WORD", "A word.")


def rejected(line, names=None, read=lambda line: line):
    with pytest.raises(MagicError) as caught:
        read(FIT.parse(line, names or {}))
    return str(caught.value)


def test_brackets_and_quotes_are_not_split():
    pieces = split_line("cnn {x[:8] + y['a b']} 'my photo.jpg' [1, 2] --top 3")
    assert [each.text for each in pieces] == [
        "cnn", "{x[:8] + y['a b']}", "'my photo.jpg'", "[1, 2]", "--top", "3",
    ]  # fmt: skip


@given(st.lists(st.text("ab{}[]()'\" -", min_size=0), max_size=4).map(" ".join))
def test_no_line_is_lost_by_splitting(line):
    pieces = split_line(line)
    assert "".join("".join(each.text for each in pieces).split()) == "".join(line.split())
    assert all(line[each.column :].startswith(each.text) for each in pieces)


def test_an_unknown_option_suggests_the_nearest():
    assert rejected("cnn --epoch 3") == (
        "line 1, column 10\n"
        "  1 | %fit cnn --epoch 3\n"
        "    |          ^^^^^^^ %fit has no option --epoch\n"
        "\n"
        "Did you mean --epochs?"
    )


def test_braces_may_contain_a_dictionary():
    read = FIT.parse("{0: 1.5, 1: n} {x[1:]}", {"n": 2, "x": "abc"})
    assert [read.value(word) for word in read.arguments] == [{0: 1.5, 1: 2}, "bc"]


def test_an_unclosed_brace():
    assert "    |          ^ { is never closed" in rejected("cnn {x[:8] --epochs 3")


def test_an_option_without_its_value():
    assert "^^ -e needs a value" in rejected("cnn -e")


def test_a_value_that_looks_like_an_option():
    message = rejected("cnn -e -3s")
    assert "^^^ is not a valid value of -e" in message
    assert message.splitlines()[0] == "line 1, column 13"
    assert "-e needs a value" in rejected("cnn -e --normalize true")


def test_a_missing_word_is_marked_at_the_end():
    for line, column in (("", 6), ("cnn", 10), ("cnn  x ", 13)):
        message = rejected(line, read=lambda line: line.fail("expected data", ""))
        assert message.startswith(f"line 1, column {column}\n")


def test_the_whole_word_is_marked_first():
    message = rejected("x2 2", read=lambda line: line.fail("is odd", "2"))
    assert message.startswith("line 1, column 9\n")


@pytest.mark.parametrize("name", ["3x", "a-b", "class", "a.b"])
def test_a_result_needs_a_valid_variable_name(name):
    out = LineParser("%fit", "Train.").result_options()
    with pytest.raises(MagicError, match="-o must be a variable name; got"):
        out.parse(f"-o {name}", {})
    assert out.parse("-o found", {}).out == "found"


def test_a_pair_with_a_space_is_reported():
    pair = LineParser("%fit", "Train.").option("--val V")
    with pytest.raises(MagicError, match="without a space: X,Y"):
        pair.parse("--val a, b", {})


def test_a_comment_is_reported():
    assert "^ comments are not allowed on the line of a magic" in rejected("cnn # quick")
    assert FIT.parse("cnn -e #", {}).options.epochs == "#"  # a value, as of --sep
    assert FIT.parse("#3", {}).arguments == ["#3"]  # a run, as of %keras_history


def test_an_invalid_choice_lists_the_valid_ones():
    assert "--normalize must be one of true, pred; got row" in rejected("--normalize row")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 1e-3),
        ("'a b'", "a b"),
        ("n", 7),
        ("{n + 1}", 8),
        ("rows[1]", 2),
        ("array.shape", (2, 3)),
        ("[1, 2]", [1, 2]),
    ],
)
def test_values(text, value):
    names = {"n": 7, "rows": [1, 2], "array": np.zeros((2, 3))}
    assert FIT.parse(text, names).value(text) == value


def test_an_unknown_name_is_marked_inside_its_expression():
    message = rejected("{digts.x}", {"digits": 1}, lambda line: line.value("{digts.x}"))
    assert "    |       ^^^^^ is not defined" in message
    assert "Did you mean digits?" in message


def test_calls_are_rejected_in_braces():
    message = rejected("{open(n)}", {}, lambda line: line.value("{open(n)}"))
    assert "calls are not allowed in braces" in message


@pytest.mark.parametrize("text", ["two", "0", "1.5", "True"])
def test_a_count_is_a_whole_number(text):
    message = rejected(f"-e {text}", {}, lambda line: line.epochs)
    assert "--epochs must be a whole number of at least 1; got" in message


def test_every_option_is_in_the_help():
    assert "--epochs" in FIT.format_help()
    assert "--normalize" in FIT.format_help()


def test_a_flag_takes_no_value():
    parser = LineParser("%fit", "Train.").result_options()
    with pytest.raises(MagicError, match="--quiet takes no value"):
        parser.parse("--quiet=yes", {})
