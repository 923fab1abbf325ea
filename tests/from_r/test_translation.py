"""R code is translated into the layer language, and its mistakes are shown in the R code.

Each file in tests/from_r contains R code, a line of four dashes, and the result. To record the
results and see what changes:

    KMAGIC_MISTAKES=write pytest tests/from_r/test_translation.py -s
"""

from __future__ import annotations

import os
import random
import re
from difflib import unified_diff
from pathlib import Path

import pytest

import kmagic
from kmagic.from_r import Translation, from_r
from kmagic.from_r.r_parser import tokenize_r
from kmagic.from_r.translation import layer_lines
from kmagic.from_r.unsupported import replacement
from kmagic.language import parse
from kmagic.models.build import build_model
from kmagic.support.errors import DSLError, MarkedError, RCodeError

HERE = Path(__file__).parent
MODELS = sorted((HERE / "models").glob("*.txt"))
MISTAKES = sorted((HERE / "mistakes").glob("*.txt"))
DASHES = "----\n"
NOT_BUILT = {  # they need notebook variables, or contain what Keras rejects
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


def compare(file: Path, text: str, result: str) -> None:
    result = "\n".join(line.rstrip() for line in result.splitlines()) + "\n"
    expected = split(file)[1]
    if result != expected and os.environ.get("KMAGIC_MISTAKES") == "write":
        print(*unified_diff(expected.splitlines(), result.splitlines(), file.stem, "", lineterm=""))  # noqa: T201 - asked for
        file.write_text(f"{text}\n{DASHES}{result}", encoding="utf-8")
        return
    assert result == expected


def described(translation: Translation) -> str:
    lines = [str(translation)]
    lines += [f"note, line {remark.line}: {remark.text}" for remark in translation.notes]
    lines += [f"left out, line {remark.line}: {remark.text}" for remark in translation.left_out]
    return "\n".join(lines)


@pytest.mark.parametrize("file", MODELS, ids=lambda file: file.stem)
def test_translation(file: Path) -> None:
    text, _ = split(file)
    translation = from_r(text, name="net")
    compare(file, text, described(translation))
    assert parse(str(translation)) == translation.spec, "the text has the same meaning"
    assert len(translation.spans) == len(translation.splitlines())
    lines = text.splitlines()
    assert all(
        lines[span.line - 1][span.column - 1 :].strip() for span in translation.spans if span.line
    )


@pytest.mark.parametrize("file", [file for file in MODELS if file.stem not in NOT_BUILT], ids=str)
def test_built_model_and_program_are_the_same(file: Path) -> None:
    translation = from_r(split(file)[0], name="net")
    model = kmagic.build(str(translation))
    names: dict[str, object] = {}
    exec(translation.python, names)  # noqa: S102 - our own program
    again = names["net"]
    assert type(again) is type(model)
    assert [*map(type, again.layers)] == [*map(type, model.layers)]
    if model.built:
        assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


@pytest.mark.parametrize("file", MISTAKES, ids=lambda file: file.stem)
def test_mistake(file: Path) -> None:
    text, _ = split(file)
    with pytest.raises(RCodeError) as caught:
        from_r(text)
    compare(file, text, caught.value.render(colour=False))
    assert caught.value.problems[0].message
    rows = text.splitlines()
    for problem in caught.value.problems:
        assert 1 <= problem.column <= len(rows[problem.line - 1])


def test_boston_model_of_the_vignette() -> None:
    import keras

    translation = from_r(split(HERE / "models/vignette_boston.txt")[0])
    ours = kmagic.build(str(translation))
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
    for config in (*plain, *same):
        config.pop("name")
    assert plain == same
    assert type(ours.optimizer) is type(theirs.optimizer)
    assert float(ours.optimizer.learning_rate) == float(theirs.optimizer.learning_rate)
    assert ours.loss == "mse"


def test_decay_gives_the_same_learning_rates_as_before() -> None:
    translation = from_r(split(HERE / "models/schedules.txt")[0])
    schedule = kmagic.build(str(translation)).optimizer._learning_rate
    assert float(schedule(0)) == pytest.approx(0.1)
    assert float(schedule(1000)) == pytest.approx(0.1 / (1 + 1e-4 * 1000))


def test_build_error_is_shown_in_the_r_code() -> None:
    text = "mod <- Sequential()\nmod$add(Conv2D(8, c(3, 3), input_shape = 13))\n"
    translation = from_r(text)
    with pytest.raises(DSLError) as caught:
        build_model(str(translation), {})
    error = translation.error_in_r(caught.value, where="a cell", first_line=2)
    assert isinstance(error, RCodeError)
    rendered = error.render(colour=False)
    assert "line 3, column 9" in rendered
    assert "conv2d 8 3x3" in rendered
    assert "three dimensions" in rendered


def test_named_or_compiled_model_is_chosen() -> None:
    text = "a <- Sequential(list(Dense(1)))\nb <- Sequential(list(Dense(2)))\n"
    assert str(from_r(text)) == "dense 2"
    assert str(from_r(text, name="a")) == "dense 1"
    assert str(from_r(text + "a$compile('adam', 'mse')")).startswith("dense 1")
    left = from_r(text, name="a").left_out
    assert [(remark.line, remark.text) for remark in left] == [
        (2, "Another model: put it into a cell of its own.")
    ]


def test_card_shows_text_program_and_what_was_left_out() -> None:
    translation = from_r(split(HERE / "models/vignette_boston.txt")[0], name="boston")
    bundle = translation._repr_mimebundle_()
    for text in (bundle["text/plain"], re.sub(r"<[^>]*>", "", bundle["text/html"])):
        assert "dense 50" in text
        assert "keras.Sequential(" in text
        assert "%keras_fit boston X_train Y_train --epochs 200" in text
    assert "<script" not in bundle["text/html"]
    assert '"text-align:left;white-space:normal"' in bundle["text/html"]  # also without style sheet


def test_r_code_is_escaped_in_html() -> None:
    translation = from_r('mod <- Sequential(list(Dense(1)))\nplot("<b>", x < y)')
    assert "<b>&" not in translation._repr_mimebundle_()["text/html"]
    assert "&lt;b&gt;" in translation._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("seed", range(12))
def test_random_edits_never_crash(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - mistakes, not secrets
    for _ in range(25):
        text = split(draw.choice(MODELS))[0]
        tokens = tokenize_r(text)
        for _ in range(draw.randint(1, 3)):
            one, other = draw.choice(tokens), draw.choice(tokens)
            new = draw.choice(["", text[other.start : other.end], "(", ",", "NULL", "-1", "'x'"])
            text = text[: one.start] + new + text[one.end :]
        translation, problems = None, ()
        try:
            translation = from_r(text)
        except RCodeError as error:
            problems = error.problems
        rows = text.splitlines() or [""]
        assert all(1 <= problem.line <= len(rows) for problem in problems)
        assert translation is None or parse(str(translation)) == translation.spec


# --- the magic ----------------------------------------------------------------------------------


def test_magic_builds_and_shows_the_model(shell, capsys) -> None:
    text = split(HERE / "models/vignette_boston.txt")[0]
    model = shell.run_cell_magic("keras_model", "boston --from-r", text)
    assert shell.user_ns["boston"] is model
    assert model.count_params() == 751
    out = capsys.readouterr().out
    assert "dense 50" in out
    assert "keras.Sequential(" in out
    assert "Left out" in out


def test_magic_shows_a_build_error_in_the_r_code(shell) -> None:
    text = "mod <- Sequential()\nmod$add(Dense(3, input_shape = ncol(nowhere)))\n"
    with pytest.raises(MarkedError) as caught:
        shell.run_cell_magic("keras_model", "wrong --from-r", text)
    assert "line 3" in str(caught.value)
    assert "is not defined" in str(caught.value)
    assert "wrong" not in shell.user_ns


def test_no_completion_in_r_code(shell) -> None:
    from kmagic.magics.completion.completer import match
    from kmagic.magics.session import Session

    text = "%%keras_model net --from-r\nmod$add(De"
    completion = match(text, 1, 10, Session(shell))
    assert completion["suppress"]
    assert list(completion["completions"]) == []


def test_sizes_are_taken_from_notebook_variables(shell) -> None:
    import numpy as np

    shell.user_ns["X_train"] = np.zeros((5, 784))
    text = split(HERE / "models/vignette_mnist_dense.txt")[0]
    model = shell.run_cell_magic("keras_model", "net --from-r -q", text)
    assert model.input_shape == (None, 784)


# --- pasted code ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("mod$add(Dense(units = 50))", ["dense 50"]),
        ("%>% layer_dense(10, activation = 'relu') %>%", ["dense 10 relu"]),
        ("x <- layer_input(3)\ny <- x %>% layer_dense(2)", ["input 3", "dense 2"]),
        ("model %>% compile(loss = 'mse', optimizer = 'adam')", ["compile adam loss=mse"]),
        ("conv2d 32 c(3, 3) relu", ["conv2d 32 3x3 relu"]),
        ("library(keras)\nlayer_dense(units = n * 2)", ["dense {n * 2}"]),
        ("x <- read.csv('a.csv')\nlayer_dense(3)", []),
        ("layer_dense(", []),
        ("return(layer_dense(3))", []),
        ("model <- keras_model_sequential()", []),
    ],
)
def test_pasted_code_becomes_lines(code: str, lines: list[str]) -> None:
    assert layer_lines(code) == lines


def test_magic_shows_pasted_r_in_the_layer_language(shell) -> None:
    text = "mod <- Sequential()\nmod$add(Dense(units = 50, input_shape = 13))\n"
    with pytest.raises(DSLError) as caught:
        shell.run_cell_magic("keras_model", "net", text)
    assert "    input 13\n    dense 50" in str(caught.value)
    assert "--from-r" in str(caught.value)


def left_out(code: str) -> list[str]:
    return [remark.text for remark in from_r(MODEL + code).left_out]


MODEL = "mod <- Sequential()\nmod$add(Dense(3, input_shape = 4))\n"


def test_arguments_of_callbacks_are_translated_or_listed() -> None:
    stop = "callback_early_stopping(patience = 5, restore_best_weights = TRUE)"
    plateau = "callback_reduce_lr_on_plateau(factor = 0.5, patience = 2)"
    custom = "callback_lambda(on_epoch_end = f)"
    code = f"es <- {stop}\nmod %>% fit(x, y, callbacks = list(es, {plateau}, {custom}))"
    options = "--epochs 10 --patience 5 --restore-best --reduce-lr 2"
    assert left_out(code) == [
        f"%keras_fit model x y {options}",
        "Not translated: factor of callback_reduce_lr_on_plateau.",
        "Not translated: pass Keras callbacks with --callbacks.",
    ]


def test_arguments_of_fit_by_position_and_name() -> None:
    code = "mod$fit(x, y, 64, 5, shuffle = FALSE, class_weight = list('0' = 1, '1' = 2), steps = 3)"
    expected = "--epochs 5 --batch-size 64 --no-shuffle --class-weight {{0: 1, 1: 2}}"
    assert left_out(code) == [f"%keras_fit model x y {expected}", "Not translated: steps of fit."]


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        ("mod %>% evaluate(x, y, sample_weight = w)", "sample_weight of evaluate"),
        ("dataset_imdb(num_words = 100, skip_top = 5)", "skip_top of dataset_imdb"),
        ("save_model_hdf5(mod, 'a.h5', include_optimizer = FALSE)", "include_optimizer of "),
    ],
)
def test_arguments_without_an_option_are_listed(call: str, argument: str) -> None:
    assert f"Not translated: {argument}" in left_out(call)[-1]


def test_replacements_are_valid_lines() -> None:
    code = """
set.seed(123)
x <- pad_sequences(x, maxlen = 80)
history <- mod %>% fit(x, y, epochs = n, steps_per_epoch = 5, validation_split = 0,
  callbacks = list(callback_csv_logger("my log.csv"), callback_early_stopping(patience = p)))
plot(history)
plot(cars)
mod %>% predict(x, steps = 4)
save_model_hdf5(mod, "my model.h5")
mod %>% summary
if (is.null(x)) stop("no data")
do.call(fit, list(mod, x, y, epochs = 3))
other <- load_model_hdf5("other.h5")
load_model_weights_hdf5(other, "w.h5")
mod %>% predict(normalize(x))
mod %>% fit(f(x), y, initial_epoch = 0)
mod %>% fit(x, y, class_weight = list("0" = 1, "1" = w))
mod %>% fit(x, y, class_weight = list("0" = 1, "1" = f(w)))
mod %>% fit(list(a = a, b = b), y, class_weight = cw, validation_split = 0.2, validation_data = v)
mod %>% predict_generator(g, steps = 3)
other %>% fit(x, y, epochs = 2)
"""
    assert left_out(code) == [
        "%keras_fit ... --seed 123",
        "%keras_data imdb --maxlen 80, or keras.utils.pad_sequences",
        "%keras_fit model x y --epochs {n} --steps-per-epoch 5 --csv 'my log.csv' --patience {p}",
        "%keras_history",
        "Do this in a Python cell.",
        "%keras_predict model x --steps 4",
        "%keras_save model 'my model.h5'",
        "%keras_summary model",
        "Do this in a Python cell.",
        "%keras_fit model x y --epochs 3",
        "%keras_load other.h5 other",
        "%keras_load w.weights.h5 other",
        "%keras_predict model",
        "Not translated: x of predict.",
        "%keras_fit model y --epochs 10",
        "Not translated: x of fit.",
        "%keras_fit model x y --epochs 10 --class-weight {{0: 1, 1: w}}",
        "%keras_fit model x y --epochs 10",
        "Not translated: class_weight of fit.",
        "%keras_fit model {{'a': a, 'b': b}} y --epochs 10 --val v --class-weight {cw}",
        "%keras_predict model g --steps 3",
        "%keras_fit other x y --epochs 2",
    ]


@pytest.mark.parametrize(
    "code",
    [
        "lapply(c(8, 4), function(units) model %>% layer_dense(units))",
        "invisible(sapply(c(8, 4), function(units) model$add(Dense(units))))",
        "purrr::walk(c(8, 4), ~ model %>% layer_dense(.x))",
        "walk(c(8, 4), layer_dense, object = model)",
        "with(strategy$scope(), { model %>% layer_dense(8); model %>% layer_dense(4) })",
        "tryCatch({ model %>% layer_dense(8) %T>% print() %>% layer_dense(4) }, error = stop)",
        "add <- function(...) layer_dense(model, ...)\ndo.call(add, list(8))\nadd(units = 4)",
        "do.call('layer_dense', list(model, units = 8))\nlocal(layer_dense(model, 4))",
    ],
)
def test_functions_that_call_functions_are_followed(code: str) -> None:
    translation = from_r(f"model <- keras_model_sequential(input_shape = 3)\n{code}")
    assert str(translation) == "input 3\ndense 8\ndense 4"
    assert not [remark for remark in translation.left_out if "strategy" not in remark.text]


def test_layers_applied_in_a_function_to_a_variable_around_it() -> None:
    code = "i <- layer_input(4)\nx <- i\n{}(c(3, 2), function(u) x <<- layer_dense(x, u))\n"
    code += "model <- keras_model(i, x)"
    assert str(from_r(code.format("lapply"))) == "input 4\ndense 3\ndense 2"
    with pytest.raises(RCodeError, match="known only to R"):
        from_r(code.format("unknown_apply"))


def test_layers_of_a_function_that_only_r_may_call_are_refused() -> None:
    with pytest.raises(RCodeError, match="only R knows how often it is called") as caught:
        from_r(MODEL + "future_walk(sizes, function(units) mod %>% layer_dense(units))")
    assert len(caught.value.problems) == 1
    assert left_out("m <- custom_metric('m', function(t, p) k_mean(k_abs(t - p)))") == [
        "Create m in a Python cell or with %keras_data."
    ]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("mod %>% MyLayer(3)", "Create the layer in a Python cell"),
        ("mod %>% MyLayer(units = 3)", "Create the layer in a Python cell"),
        ("keras_model(base$input, layer_dense(base$output, 3))", "x %>% base %>% layer_dense"),
        ("> mod <- Sequential()", "Remove the prompts"),
        ("```{r}\nmod <- Sequential()\n```", "R Markdown"),
    ],
)
def test_refused_code_has_a_remedy(code: str, message: str) -> None:
    with pytest.raises(RCodeError) as caught:
        from_r(f"{MODEL}base <- application_vgg16()\nMyLayer <- new_layer_class('x')\n{code}")
    assert message in str(caught.value)


def test_a_network_of_the_notebook_is_a_layer() -> None:
    code = """\ufeffbase <- application_vgg16(include_top = FALSE)
x <- layer_input(shape = c(64, 64, 3))
model <- keras_model(x, x %>% base %>% layer_flatten() %>% layer_dense(1))"""
    assert str(from_r(code)) == "input 64x64x3\n{base}\nflatten\ndense 1"


def test_an_argument_passed_on_is_marked_where_it_is_written() -> None:
    code = "block <- function(x, ...) x %>% layer_dense(8, ...)\nmod %>% block(foo = 3)"
    with pytest.raises(RCodeError, match="is not an argument of dense") as caught:
        from_r(MODEL + code)
    assert "block(foo = 3)" in str(caught.value)


def test_arguments_of_inputs_that_only_r_knows_are_kept() -> None:
    code = "x <- layer_input({})\nmodel <- keras_model(x, layer_dense(x, 2))"
    for args, line in (
        ("4, dtype = kind, batch_size = n", "input 4 dtype={kind} batch_size={n}"),
        ("batch_shape = c(n, 4)", "input 4 batch_size={n}"),
        ("4, batch_size = 3.5", "input 4 batch_size=3.5"),
    ):
        assert str(from_r(code.format(args))).splitlines()[0] == line
    with pytest.raises(RCodeError, match="a name that only R knows"):
        from_r(code.format("4, name = title"))


def test_raw_strings_without_an_end_take_linear_time() -> None:
    with pytest.raises(RCodeError, match="has no closing quote"):
        from_r('r"(' * 100_000)


def test_statements_in_functions_loops_and_branches_are_listed() -> None:
    code = "train <- function(m) { m %>% fit(x, y); m }\ntrain(mod)\nfor (i in 1:2) plot(mod)\n"
    code += "if (TRUE) { summary(mod); n <- 3 }\nf <- function() 3\nlayer_dense(4)"
    assert left_out(code) == [
        "%keras_fit model x y --epochs 10",
        "%keras_plot model",
        "%keras_summary model",
        "Not called. Define it in a Python cell if you need it.",
        "Not used by a model.",
    ]


def test_loops_are_followed() -> None:
    code = "n <- 32\nwhile (n > 4) { mod$add(Dense(n)); n <- n / 2 }\n"
    code += "for (i in 1:5) { if (i == 2) next; if (i == 4) break; mod$add(Dense(i)) }"
    lines = str(from_r(MODEL + code)).splitlines()
    assert lines[2:] == ["dense 32", "dense 16", "dense 8", "dense 1", "dense 3"]


@pytest.mark.parametrize("call", ["sqrt(n)", "log2(n)", "abs(n)", "round(n)", "rep(n, 2)[1]"])
def test_functions_of_unknown_values_are_refused(call: str) -> None:
    with pytest.raises(RCodeError, match="only R can compute"):
        from_r(f"{MODEL}mod$add(Dense({call}))")


@pytest.mark.parametrize(
    "code",
    [
        "n <- 3\nif (unknown) n <- 64\nmod$add(Dense(n))",
        "n <- 3\nfor (i in unknown) n <- n + 1\nmod$add(Dense(n))",
        "n <- 3\nwhile (TRUE) n <- n + 1\nmod$add(Dense(n))",
        "n <- 3\nn$x <- 4\nmod$add(Dense(n))",
    ],
)
def test_a_value_that_depends_on_what_only_r_knows_is_unknown(code: str) -> None:
    assert str(from_r(MODEL + code)).endswith("dense {n}")


SHADOWED = "f <- function() { n <- 4; g <- function() n <<- 9; g(); n }"


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("c(a, b) %<-% list(0, 1)\nmod$add(Dropout(a))", "dropout 0"),
        ("v <- c(1, 2)\nv[2] <- 64\nmod$add(Dense(v[2]))", "dense 64"),
        ("mod$add(Dropout(round(0.123, 1)))", "dropout 0.1"),
        ("mod$add(Dense(log(8, base = 2)))", "dense 3"),
        ("mod$add(Dense(3, name = paste('a', 1, sep = '_')))", "a_1 = dense 3"),
        ("f <- function(m, ...) m %>% layer_dense(...)\nf(mod, units = 5)", "dense 5"),
        ("mod$add(Dense(as.integer(n)))", "dense {n}"),
        ("u <- list(alpha = 9, beta = 3)\nmod$add(Dense(u$al))", "dense 9"),
        ("u <- append(c(5), 6)\nu[3] <- 7\nmod$add(Dense(u[1] * u[2] + u[3]))", "dense 37"),
        (
            "mod %>% compile(optimizer_sgd(0.1), 'mse', list('mae'), NULL)",
            "compile sgd(0.1) loss=mse metrics=mae",
        ),
        ("n <- 3\nf <- function() n <<- n + 1\nf()\nf()\nmod$add(Dense(n))", "dense 5"),
        ("n <<- 4\n3 ->> m\nmod$add(Dense(n * m))", "dense 12"),
        (f"n <- 3\n{SHADOWED}\nx <- f()\nmod$add(Dense(n * x))", "dense 27"),
        ("f <- function() n\nn <- 6\nmod$add(Dense(f()))", "dense 6"),
        ("v <- c(1, 2)\nf <- function(u) v[2] <<- u\nf(8)\nmod$add(Dense(v[2]))", "dense 8"),
        ("n <- 3\ng(function() n <<- 7)\nmod$add(Dense(n))", "dense {n}"),
        ("n <- 3\nf <- function() if (unknown) n <<- 7\nf()\nmod$add(Dense(n))", "dense {n}"),
        ("mod$add(Dense(rev(rep(c(2, 7), times = 2))[1]))", "dense 7"),
        ("mod$add(Dense(length(seq_len(0)) + sum(seq_along(c(5, 5)))))", "dense 3"),
        ("mod$add(Dense(sum(seq(1, 9, by = 4)) + length(seq(by = -2, 5, 1))))", "dense 18"),
        ("mod$add(Dense(sum(seq(10, 30, 10)) + sum(seq(3)) + length(seq(4, 2))))", "dense 69"),
        ("mod$add(Dense(" + " + ".join(["1"] * 10_000) + "))", "dense 10000"),
    ],
)
def test_values_are_those_of_r(code: str, line: str) -> None:
    assert str(from_r(MODEL + code)).splitlines()[-1] == line


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("mod$add(Dense(sum(c(1, 2), na.rm = TRUE)))", "only R can compute"),
        ("f <- function() { if (unknown) return(32); 64 }\nmod$add(Dense(f()))", "only R can"),
        ("f <- function(a) a\nmod$add(Dense(f(3, 4)))", "the function does not have"),
        ("x <- 'a' * 10", "not a number"),
        ("mod$add(Dense(seq(5, 1, by = 2)[1]))", "by = 2 does not lead from 5 to 1"),
        ("for (i in 1:5) { if (unknown) break; mod$add(Dense(i)) }", "only R can evaluate"),
        ("for (i in 1:60000) mod$add(Dense(3))", "more than 10,000 values"),
        ("x <- layer_input(3)\nm <- keras_model(x, x)\nm$add(Dense(3))", "functional model"),
        ("l <- layer_dense(units = 4)\ny <- l(layer_input(3), TRUE)", "Pass it by name"),
        ("f <- function(n) f(n - 1) + f(n - 2)\nf(10)", "calls itself without end"),
        ("for (i in 1:200) { m <- Sequential(); m$add(mod); mod <- m }", "nested too deeply"),
        ("l <- LSTM(3)\nfor (i in 1:200) l <- Bidirectional(l)\nmod$add(l)", "nested too deeply"),
        ("f <- function(n) if (n < 2) n else f(n - 1) + f(n - 2)\nf(24)", "too many steps"),
        ("x <- " + "(" * 5000 + "1" + ")" * 5000, "nested too deeply"),
        ("x <- " + "-" * 5000 + "1", "nested too deeply"),
        ("x <- f" + "(1)" * 3000, "nested too deeply"),
    ],
    ids=range(16),
)
def test_what_cannot_be_followed_is_refused(code: str, message: str) -> None:
    with pytest.raises(RCodeError, match=message) as caught:
        from_r(MODEL + code)
    assert caught.value.problems[0].line > 2


@pytest.mark.parametrize(
    "code",
    [
        "x <- 9^9^9",
        "x <- rep(0, 1e12)",
        "x <- 'ab'\nfor (i in 1:60) x <- paste0(x, x)",
        "x <- 1\nfor (i in 1:60) x <- c(x, x)",
        "x <- 1\nfor (i in 1:60) x <- list(x, x)",
        "x <- unknown\nfor (i in 1:60) x <- x + x",
        "x <- 2\nfor (i in 1:60) x <- x * x",
        "x <- 1:1e9",
    ],
)
def test_values_stay_small(code: str) -> None:
    assert str(from_r(f"{MODEL}{code}\nmod$add(Dense(4))")).endswith("dense 4")


def test_models_of_many_layers() -> None:
    code = "x <- layer_input(3)\ny <- x\nfor (i in 1:2000) y <- layer_dense(y, 2)\n"
    assert len(from_r(code + "keras_model(x, y)").splitlines()) == 2001


def test_calls_without_end_through_blocks_are_reported() -> None:
    code = "f <- function(x) { x %>% { f(.) } }\n5 %>% { f(.) }\nkeras_model_sequential()"
    with pytest.raises(RCodeError, match="calls itself without end"):
        from_r(code)


def test_a_shape_that_only_r_knows_is_left_to_the_data() -> None:
    code = "m <- keras_model_sequential()\nm %>% layer_dense(units = 1, batch_input_shape = dim(x))"
    assert "dense 1" in str(from_r(code))


@pytest.mark.parametrize("name", ["fit_model", "predict_model", "load_tf"])
def test_a_function_of_the_user_with_a_similar_name_is_not_replaced(name: str) -> None:
    assert replacement(name, [], "model").text == ""
