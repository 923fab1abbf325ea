"""A %%keras_model cell as an editor sees it."""

from __future__ import annotations

import pytest

from kmagic.magics.editor.model_cell import check_cell, model_cell
from kmagic.magics.editor.word_inspection import help_message


@pytest.mark.parametrize(
    ("code", "first_line"),
    [
        ("%%keras_model cnn\ninput 4", 1),
        ("\n\n  %%keras_model cnn\ninput 4", 3),
        ("%%time\n%%capture out\n%%keras_model cnn\ninput 4", 3),
        ("%%keras_tune cnn --data digits -t 10\ninput 4", 1),
    ],
)
def test_the_text_begins_after_the_magics(code, first_line):
    cell = model_cell(code)
    assert (cell.body, cell.first_line) == ("input 4", first_line)


@pytest.mark.parametrize(
    "code",
    ["", "input 4", "%%keras_models\ninput 4", "%%html\n%%keras_model", "x = 1\n%%keras_model m"],
)
def test_other_cells(code):
    assert model_cell(code) is None
    assert check_cell(code, {}) == {"lines": [], "problems": []}


def test_lines_and_columns_count_in_the_cell():
    answer = check_cell("%%time\n%%keras_model m\ninput 400\ndense 1000\ndense 2 rleu", {})
    assert answer["lines"] == [
        {"line": 2, "shape": "400", "parameters": ""},
        {"line": 3, "shape": "1,000", "parameters": "401,000 parameters"},
    ]
    (problem,) = answer["problems"]
    where = {"line": 4, "column": 8, "end_line": 4, "end_column": 12}
    assert {key: problem[key] for key in where} == where
    assert problem["fix"] == {**where, "text": "relu"}
    assert problem["severity"] == "error"
    assert problem["remedy"].startswith("Did you mean relu?")


@pytest.mark.parametrize(
    ("line", "fixed"),
    [
        ("dens 4", "dense 4"),
        ("dense 4 glorot_uniform", "dense 4 kernel_initializer=glorot_uniform"),
        ("dropout 25", "dropout 0.25"),
        ("dense units_ 4", None),
        ("conv2d 4 3x3", None),
    ],
)
def test_a_fix_removes_the_problem(line, fixed):
    answer = check_cell(f"%%keras_model m\ninput 4\n{line}", {})
    fix = answer["problems"][0]["fix"]
    if fixed is None:
        assert fix is None
        return
    changed = line[: fix["column"]] + fix["text"] + line[fix["end_column"] :]
    assert changed == fixed
    assert check_cell(f"%%keras_model m\ninput 4\n{fixed}", {})["problems"] == []


def test_a_search_is_checked_with_its_first_values():
    text = "vary n = 8..9\ninput 4\ndense {n} relu|rleu\ndense 2..3 | identity"
    answer = check_cell(f"%%keras_tune m\n{text}", {})
    assert [(line["line"], line["shape"]) for line in answer["lines"]] == [
        (2, "4"),
        (3, "8"),
        (4, "2"),
    ]
    assert answer["problems"] == []
    unused = check_cell(f"%%keras_tune m\n{text.replace('{n}', '8')}", {})["problems"]
    assert [(problem["line"], problem["message"]) for problem in unused] == [
        (1, "n is not used in the text")
    ]
    plain = check_cell("%%keras_model m\ninput 4\ndense 8..9", {})["problems"]
    assert "%%keras_tune" in plain[0]["remedy"]


def test_a_fix_in_a_search_is_verified_with_its_ranges():
    (problem,) = check_cell("%%keras_tune m\ninput 4\ndense 8..9 rleu", {})["problems"]
    assert problem["fix"]["text"] == "relu"


def test_advice_has_a_softer_mark():
    code = "%%keras_model m\ninput 4\ndense 3\ncompile adam loss=sparse_categorical_crossentropy"
    (problem,) = check_cell(code, {})["problems"]
    assert (problem["severity"], problem["fix"], problem["line"]) == ("advice", None, 2)
    assert "# no-softmax" in problem["remedy"]


def test_pasted_r_is_translated():
    code = "%%keras_model m\ninput 4\nlayer_dense(units = 10)"
    assert "`dense 10`" in check_cell(code, {})["problems"][0]["remedy"]
    assert check_cell(code.replace(" m\n", " m --from-r\n"), {}) == {"lines": [], "problems": []}


CODE = """%%keras_model m
input 28x28x1
conv2d 8 3x3 relu kernel_regularizer=l2(1e-3)
h = flatten
add <- h, h"""


def inspected(word: str, after: str = "") -> tuple[str, str]:
    """The help at the second letter of a word: the marked text and the plain help."""
    line = next(row for row in CODE.split("\n") if word in row and after in row)
    number = CODE.split("\n").index(line)
    answer = help_message(CODE, number, line.index(word) + 1, {})
    marked = line[answer.get("column", 0) : answer.get("end_column", 0)]
    return marked, answer["html"]


def test_help_is_that_of_the_meaning_at_the_cursor():
    marked, html = inspected("conv2d")
    assert marked == "conv2d"
    assert "keras.layers.Conv2D" in html
    marked, html = inspected("relu")
    assert marked == "relu"
    assert "keras.activations.relu" in html
    marked, html = inspected("l2")
    assert "keras.regularizers.L2" in html
    marked, html = inspected("kernel_regularizer")
    assert marked == "kernel_regularizer"
    assert "kernel_size" not in html.replace("kernel_size=", "")


def test_there_is_no_help_on_names_and_numbers():
    assert inspected("x28x1") == ("", "")
    assert inspected("h,") == ("", "")
    assert help_message("x = dense", 0, 5, {}) == {"html": ""}
