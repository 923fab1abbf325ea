"""How a mistake is shown: where, the line, a caret with what is wrong, and what to do."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from types import SimpleNamespace

import pytest

from kmagic.api import build
from kmagic.models.build import build_model
from kmagic.support import errors
from kmagic.support.errors import (
    BuildError,
    DataError,
    DSLError,
    KmagicError,
    MagicError,
    MarkedError,
    Problem,
)
from kmagic.support.messages import MagicSpelling, Option, Text

TEXT = "input 4\ndense 2 rleu"


def marked(*problems, first_line=1, source=TEXT, where=""):
    return DSLError(problems, source, where, first_line)


def test_the_whole_form():
    problem = Problem("is not an activation", 2, 9, 4, "Did you mean relu?")
    assert str(marked(problem)) == (
        "line 2, column 9\n"
        "  2 | dense 2 rleu\n"
        "    |         ^^^^ is not an activation\n"
        "\n"
        "Did you mean relu?"
    )


def test_lines_count_as_in_the_users_editor():
    shown = str(marked(Problem("is wrong", 2, 1), first_line=9))
    assert shown.splitlines()[:2] == ["line 10, column 1", " 10 | dense 2 rleu"]


def test_several_mistakes_in_their_order():
    shown = str(marked(Problem("one", 1, 1), Problem("two", 2, 1)))
    assert shown.index("one") < shown.index("two")
    assert shown.count("line ") == 2


def test_only_the_first_of_many_mistakes_are_shown():
    text = "input 4\n" + "densse 4\n" * 10_000
    with pytest.raises(DSLError) as caught:
        build(text)
    shown = str(caught.value)
    assert shown.count("Did you mean dense?") == errors.MAX_PROBLEMS
    assert shown.endswith(f"\n\nand {10_000 - errors.MAX_PROBLEMS:,} more")


def test_an_option_may_have_any_value():
    error = KmagicError(Text("Leave out ", Option("class_names", {"a": 1}), "."))
    assert "class_names={'a': 1}" in str(error)
    assert MagicSpelling().option(Option("class_names", {"a": 1})) == "--class-names {'a': 1}"


def test_the_way_that_led_there():
    shown = str(marked(Problem("is wrong", 2, 1, trail=("block a, used in line 4", "turn 2"))))
    assert shown.splitlines()[-2:] == ["    in block a, used in line 4", "    in turn 2"]


def test_the_caret_ends_with_the_line():
    caret = str(marked(Problem("is wrong", 2, 9, width=99))).splitlines()[2]
    assert caret.count("^") == 4


def test_a_mistake_behind_the_end_of_a_line():
    caret = str(marked(Problem("expected more", 2, 13))).splitlines()[2]
    assert caret == "    |             ^ expected more"


def test_a_text_without_lines():
    assert str(marked(Problem("is empty", 1, 1), source="")).splitlines()[1] == "  1 | "


def test_a_message_of_several_lines_stays_under_its_caret():
    shown = str(marked(Problem("is wrong,\nvery wrong", 2, 9))).splitlines()
    assert shown[3] == "    |          very wrong"


def test_colour_marks_the_caret_only_where_it_is_asked_for():
    error = marked(Problem("is wrong", 2, 9, 4))
    assert f"{errors.BOLD}^^^^{errors.RESET}" in error.render(colour=True)
    assert "\x1b" not in str(error)


def test_the_notebook_shows_the_message_without_a_stack():
    error = marked(Problem("is wrong", 2, 9, 4), where="%%keras_model cnn")
    shown = error._render_traceback_()
    assert shown[0] == f"{errors.BOLD}DSLError{errors.RESET} in %%keras_model cnn"
    assert not any("Traceback" in line or ".py" in line for line in shown)


def test_errors_without_a_text():
    error = DataError("expected 3 columns, found 2", "Look at the file.")
    assert str(error) == "expected 3 columns, found 2\n\nLook at the file."
    assert error._render_traceback_()[0].endswith("expected 3 columns, found 2")
    assert str(DataError("no file")) == "no file"


def test_one_tree():
    found = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, Exception) and not issubclass(each, Warning)
    ]
    assert all(issubclass(each, KmagicError) for each in found)
    assert issubclass(BuildError, DSLError)
    assert issubclass(DSLError, MarkedError)
    assert issubclass(MagicError, MarkedError)
    drawn = KmagicError.__doc__
    assert all(each.__name__ in drawn for each in found if each is not MarkedError)


def test_ipython_shows_it_so(plain_shell):
    plain_shell.colors = "nocolor"
    plain_shell.user_ns["build"] = build
    with redirect_stdout(io.StringIO()) as printed:
        plain_shell.run_cell("build('input 4 / dnese 2')")
    assert "is not a layer" in printed.getvalue()
    assert "Did you mean dense?" in printed.getvalue()
    assert "Traceback" not in printed.getvalue()
    assert "ipython-input" not in printed.getvalue()


# --- nothing changes --------------------------------------------------------------------------

BROKEN = [
    "input 4 / dnese 2",
    "input 4\nh = dense {missing}",
    "input 4\nfor units in 1 2:\n  dense {units} rleu",
    "input 28x28\nconv2d 8 3x3",
    "input 4\n{layer}\nfreeze\ndense 3 <- nowhere",
    "input 4\ndense 2\ncompile adan",
    "import os\nunits = 3",
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_failed_build_changes_no_name(text):
    import keras

    layer = keras.layers.Dense(4)
    names = {"units": 64, "layer": layer, "_": 5, "model": SimpleNamespace(name="old")}
    before = dict(names)
    with pytest.raises(DSLError):
        build_model(text, names)
    assert names == before
    assert all(names[key] is before[key] for key in names)
    assert layer.trainable


def test_a_failed_build_leaves_the_recursion_limit():
    import sys

    limit = sys.getrecursionlimit()
    with pytest.raises(DSLError):
        build("input 4\ndense 4 * 500\nconv2d 3 3")
    assert sys.getrecursionlimit() == limit


def test_what_a_layer_raised_is_kept_behind_the_message():
    import keras

    class Odd(keras.layers.Layer):
        def call(self, inputs):  # noqa: ARG002 - as Keras calls it
            raise ZeroDivisionError("a bug in this layer")

    with pytest.raises(BuildError, match="Odd does not accept 4: a bug in this layer") as caught:
        build_model("input 4\ndense 4\nOdd", {"Odd": Odd})
    assert caught.value.problems[0].line == 3
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
