"""R code becomes text of the layer language, and its mistakes are shown in the R code.

A file of tests/from_r holds R code, a line of four dashes, and what comes of it. To write what
comes of it anew and see what changes:

    KMAGIC_MISTAKES=write pytest tests/test_from_r.py -s
"""

from __future__ import annotations

import os
import random
from difflib import unified_diff
from pathlib import Path

import pytest

import kmagic
from kmagic.from_r import Translation, from_r
from kmagic.from_r.r_parser import (
    RCall,
    RMistake,
    RName,
    parse_r,
    tokenize_r,
)
from kmagic.language import parse
from kmagic.models.build import build_model
from kmagic.support.errors import DSLError, MarkedError, RCodeError

HERE = Path(__file__).parent / "from_r"
MODELS = sorted((HERE / "models").glob("*.txt"))
MISTAKES = sorted((HERE / "mistakes").glob("*.txt"))
DASHES = "----\n"
NOT_BUILT = {  # they need names of a notebook, or say what Keras refuses
    "functional_siamese",
    "functional_states",
    "layer_of_the_notebook",
    "old_words",
    "shape_of_data",
    "vignette_mnist_dense",
}


def split(file: Path) -> tuple[str, str]:
    text, _, expected = file.read_text(encoding="utf-8").partition(DASHES)
    return text.removesuffix("\n"), expected


def compare(file: Path, text: str, found: str) -> None:
    found = "\n".join(line.rstrip() for line in found.splitlines()) + "\n"
    expected = split(file)[1]
    if found != expected and os.environ.get("KMAGIC_MISTAKES") == "write":
        print(*unified_diff(expected.splitlines(), found.splitlines(), file.stem, "", lineterm=""))  # noqa: T201 - asked for
        file.write_text(f"{text}\n{DASHES}{found}", encoding="utf-8")
        return
    assert found == expected


def shown(found: Translation) -> str:
    lines = [str(found)]
    lines += [f"note, line {each.line}: {each.text}" for each in found.notes]
    lines += [f"left out, line {each.line}: {each.text}" for each in found.left_out]
    return "\n".join(lines)


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_a_model(file: Path) -> None:
    text, _ = split(file)
    found = from_r(text, name="net")
    compare(file, text, shown(found))
    assert parse(str(found)) == found.spec, "the text says what was meant"
    assert len(found.spans) == len(found.splitlines())
    lines = text.splitlines()
    assert all(lines[span.line - 1][span.column - 1 :].strip() for span in found.spans if span.line)


@pytest.mark.parametrize("file", [each for each in MODELS if each.stem not in NOT_BUILT], ids=str)
def test_a_model_is_built_and_its_program_gives_the_same(file: Path) -> None:
    found = from_r(split(file)[0], name="net")
    model = kmagic.build(str(found))
    names: dict[str, object] = {}
    exec(found.python, names)  # noqa: S102 - our own program
    again = names["net"]
    assert type(again) is type(model)
    assert [type(each) for each in again.layers] == [type(each) for each in model.layers]
    if model.built:
        assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


@pytest.mark.parametrize("file", MISTAKES, ids=lambda file: file.stem)
def test_a_mistake(file: Path) -> None:
    text, _ = split(file)
    with pytest.raises(RCodeError) as caught:
        from_r(text)
    compare(file, text, caught.value.render(colour=False))
    assert caught.value.problems[0].message
    rows = text.splitlines()
    for each in caught.value.problems:
        assert 1 <= each.column <= len(rows[each.line - 1])


def test_the_vignette_s_boston_model_is_keras_s() -> None:
    import keras

    found = from_r(split(HERE / "models/vignette_boston.txt")[0])
    ours = kmagic.build(str(found))
    theirs = keras.Sequential(
        [
            keras.Input((13,)),
            keras.layers.Dense(50),
            keras.layers.Activation("relu"),
            keras.layers.Dense(1),
        ]
    )
    theirs.compile("rmsprop", "mse")
    plain = [layer.get_config() for layer in ours.layers]
    same = [layer.get_config() for layer in theirs.layers]
    for each in (*plain, *same):
        each.pop("name")
    assert plain == same
    assert type(ours.optimizer) is type(theirs.optimizer)
    assert float(ours.optimizer.learning_rate) == float(theirs.optimizer.learning_rate)
    assert ours.loss == "mse"


def test_decay_is_the_decay_of_old() -> None:
    found = from_r(split(HERE / "models/schedules.txt")[0])
    schedule = kmagic.build(str(found)).optimizer._learning_rate
    assert float(schedule(0)) == pytest.approx(0.1)
    assert float(schedule(1000)) == pytest.approx(0.1 / (1 + 1e-4 * 1000))


def test_what_the_build_refuses_is_shown_in_the_r_code() -> None:
    text = "mod <- Sequential()\nmod$add(Conv2D(8, c(3, 3), input_shape = 13))\n"
    found = from_r(text)
    with pytest.raises(DSLError) as caught:
        build_model(str(found), {})
    told = found.error_in_r(caught.value, where="a cell", first_line=2)
    assert isinstance(told, RCodeError)
    rendered = told.render(colour=False)
    assert "line 3, column 9" in rendered
    assert "conv2d 8 3x3" in rendered
    assert "three dimensions" in rendered


def test_the_chosen_model_is_the_named_one_or_the_compiled_one() -> None:
    text = "a <- Sequential(list(Dense(1)))\nb <- Sequential(list(Dense(2)))\n"
    assert str(from_r(text)) == "dense 2"
    assert str(from_r(text, name="a")) == "dense 1"
    assert str(from_r(text + "a$compile('adam', 'mse')")).startswith("dense 1")
    left = from_r(text, name="a").left_out
    assert [(each.line, each.text) for each in left] == [
        (2, "Another model: put it into a cell of its own.")
    ]


def test_the_card_shows_text_program_and_what_was_left_out() -> None:
    found = from_r(split(HERE / "models/vignette_boston.txt")[0], name="boston")
    bundle = found._repr_mimebundle_()
    for kind in ("text/plain", "text/html"):
        assert "dense 50" in bundle[kind]
        assert "keras.Sequential(" in bundle[kind]
        assert "%keras_fit boston X_train Y_train --epochs 200" in bundle[kind]
    assert "<script" not in bundle["text/html"]
    assert '"text-align:left;white-space:normal"' in bundle["text/html"]  # also without style sheet


def test_nothing_of_r_becomes_markup() -> None:
    found = from_r('mod <- Sequential(list(Dense(1)))\nplot("<b>", x < y)')
    assert "<b>&" not in found._repr_mimebundle_()["text/html"]
    assert "&lt;b&gt;" in found._repr_mimebundle_()["text/html"]


# --- reading ------------------------------------------------------------------------------------


def test_a_pipe_is_read_from_the_left() -> None:
    (found,) = parse_r("m <- a() %>%\n  b(1) |>  # comment\n  c()")
    assert isinstance(found, RAssign)
    assert found.target == RName("m")
    assert isinstance(found.value, RPipe)
    assert isinstance(found.value.left, RPipe)


def test_powers_signs_and_ranges_bind_as_in_r() -> None:
    (found,) = parse_r("-2^2:3")
    assert isinstance(found, RInfix)
    assert found.sign == ":"


def test_a_line_break_ends_a_statement_outside_of_brackets_only() -> None:
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
def test_tokens(text: str, kinds: list[str]) -> None:
    assert [token.kind for token in tokenize_r(text)][:-1] == kinds


def test_strings_are_what_they_say() -> None:
    assert tokenize_r(r"'it\'s A\t'")[0].text == "it's A\t"
    assert tokenize_r('r"-(raw \\n)-"')[0].text == "raw \\n"


@pytest.mark.parametrize(
    "text", ["((((", "a]", "f(,", "'", "x <-", "%>%", "if (", "function(", "@"]
)
def test_what_is_no_r_is_a_mistake_with_its_place(text: str) -> None:
    with pytest.raises(RMistake) as caught:
        parse_r(text)
    problem = caught.value.problem(text)
    assert problem.line == 1
    assert problem.column <= len(text) + 1


def test_deep_nesting_is_a_mistake_not_a_crash() -> None:
    with pytest.raises(RMistake):
        parse_r("(" * 5000 + ")" * 5000)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_typed_is_told_and_never_crashes(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - mistakes, not secrets
    for _ in range(25):
        text = split(draw.choice(MODELS))[0]
        tokens = tokenize_r(text)
        for _ in range(draw.randint(1, 3)):
            one, other = draw.choice(tokens), draw.choice(tokens)
            new = draw.choice(["", text[other.start : other.end], "(", ",", "NULL", "-1", "'x'"])
            text = text[: one.start] + new + text[one.end :]
        found, told = None, ()
        try:
            found = from_r(text)
        except RCodeError as error:
            told = error.problems
        rows = text.splitlines() or [""]
        assert all(1 <= each.line <= len(rows) for each in told)
        assert found is None or parse(str(found)) == found.spec


def test_calls_keep_their_argument_names() -> None:
    (found,) = parse_r('f(1, `a b` = 2, "c" = 3)')
    assert isinstance(found, RCall)
    assert [each.name for each in found.args] == [None, "a b", "c"]


# --- the magic ----------------------------------------------------------------------------------


def test_the_magic_builds_and_shows(shell, capsys) -> None:
    text = split(HERE / "models/vignette_boston.txt")[0]
    model = shell.run_cell_magic("keras_model", "boston --from-r", text)
    assert shell.user_ns["boston"] is model
    assert model.count_params() == 751
    out = capsys.readouterr().out
    assert "dense 50" in out
    assert "keras.Sequential(" in out
    assert "Left out" in out


def test_the_magic_shows_a_mistake_of_the_build_in_r(shell) -> None:
    text = "mod <- Sequential()\nmod$add(Dense(3, input_shape = ncol(nowhere)))\n"
    with pytest.raises(MarkedError) as caught:
        shell.run_cell_magic("keras_model", "wrong --from-r", text)
    assert "line 3" in str(caught.value)
    assert "is not defined in the notebook" in str(caught.value)
    assert "wrong" not in shell.user_ns


def test_tab_keeps_quiet_in_r(shell) -> None:
    from kmagic.magics.completion.completer import match
    from kmagic.magics.session import Session

    text = "%%keras_model net --from-r\nmod$add(De"
    found = match(text, 1, 10, Session(shell))
    assert found["suppress"]
    assert list(found["completions"]) == []


def test_sizes_come_from_the_notebook(shell) -> None:
    import numpy as np

    shell.user_ns["X_train"] = np.zeros((5, 784))
    text = split(HERE / "models/vignette_mnist_dense.txt")[0]
    model = shell.run_cell_magic("keras_model", "net --from-r -q", text)
    assert model.input_shape == (None, 784)
