"""Model texts, R code, and the values that braces may contain."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import pathlib
import types
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

import kmagic
from kmagic.language import expand, format_spec
from kmagic.models.catalogue import words_for_role

from .fuzzing import Kind
from .mutations import CHARACTERS, NUMBERS, SIGNS, edit_text, model_texts, r_texts, right_texts

MAX_LAYERS = 1_000
_LAYERS = (
    *("dense 4 relu", "dense 2 softmax", "conv2d 4 3x3 same", "maxpool 2x2", "flatten", "lstm 3"),
    *("dropout 0.2", "batchnorm", "relu", "embedding 10 4", "gap2d", "gru 3 seq", "reshape 2x2"),
    *("bidirectional (lstm 2)", "timedistributed (dense 2)", "mha 2 4 <- _, _", "add <- _, _"),
    *("dense {units} activation=tanh", "conv1d 2 3 strides=2", "normalization", "layernorm"),
    *(
        "ops.multiply 2",
        "x = dense 3",
        "dense 2 <- x",
        "concat <- x, _",
        "m1 <- x",
        "rescaling 1/255",
    ),
    *("dense 3 kernel_regularizer=l2(0.01)", "dense 3 !bias", "freeze", "output x", "{backbone}"),
)
_INPUTS = ("input 4", "input 8x8x1", "input 5x3", "a = input 4 / b = input 4", "input 6 int32", "")
_ENDS = (
    *("compile adam loss=mse", "compile sgd(0.1) loss=bce metrics=accuracy", "output _", ""),
    *("compile adam(exponential_decay(0.1, 100, 0.9)) loss=scce metrics=[mae, mse]", "freeze"),
)
_BLOCKS = (
    *("repeat {n}:", "residual:", "block f(n={n}):", "model m1:", "for k in 1, 2, {n}:"),
    *("merge concat:", "merge add:", "branch:", "block g:", "sequential m2:", "functional m3:"),
)


_FITTING = (
    ("input 4", "dense 4 relu|dropout 0.2|batchnorm|dense {units}|dense 3|layernorm|relu"),
    (
        "input 8x8x1",
        "conv2d 2 3x3 same|batchnorm|dropout 0.2|relu|maxpool 1|conv2d 1 1",
    ),
    ("input 5x3", "lstm 3 return_sequences|gru 2 return_sequences|conv1d 2 3 same|dense 3|relu"),
    (
        "input 6 int32\nembedding 10 4",
        "conv1d 4 3 same relu|lstm 4 return_sequences|dense 4",
    ),
)
"""Inputs, and layers for each that may follow each other in any order."""


def fitting_text(random: Random) -> str:
    """A text of layers that fit each other."""
    start, layers = random.choice(_FITTING)
    lines = [start]
    for _ in range(random.randint(1, 5)):
        layer = random.choice(layers.split("|"))
        loop = random.choice(("repeat 2:\n  ", "for k in 1, 2:\n  ", "", "", "", "", ""))
        lines.append(loop + layer)
    lines += ["flatten", "dense 2 softmax"]
    return "\n".join((*lines, random.choice(("", "compile adam loss=mse", "compile sgd loss=mae"))))


def grammar_text(random: Random) -> str:
    """A text of the layer language, right in its form and often in its shapes."""
    return "\n".join((random.choice(_INPUTS), *_statements(random, 0), random.choice(_ENDS)))


def _statements(random: Random, depth: int) -> list[str]:
    lines: list[str] = []
    for _ in range(random.randint(1, 4)):
        indent = "  " * depth
        if depth < 4 and random.random() < 0.25:
            lines.append(indent + random.choice(_BLOCKS).replace("{n}", random.choice("1234")))
            lines += _statements(random, depth + 1)
        elif random.random() < 0.3:
            word = random.choice(words_for_role("layer"))
            values = random.choices(
                ("2", "3x3", "relu", "true", "0.5", "same"), k=random.randint(0, 2)
            )
            lines.append(" ".join((indent + word, *values)))
        else:
            lines.append(indent + " / ".join(random.choices(_LAYERS, k=random.choice((1, 1, 2)))))
    return lines


def _large_text(random: Random) -> str:
    """Texts that are deep, long or large."""
    size = random.choice((3, 20, 100, 1000, 10_000))
    kind = random.randrange(8)
    if kind == 0:
        return "input 4\n" + "\n".join(
            "  " * level + "repeat 2:" for level in range(min(size, 200))
        )
    if kind == 1:
        return (
            "input 4\n"
            + "\n".join("  " * level + f"repeat {size}:" for level in range(random.randint(1, 4)))
            + "\n          dense 2"
        )
    if kind == 2:
        blocks = "".join(f"block b{i + 1}:\n  b{i}\n  b{i}\n" for i in range(min(size, 40)))
        return f"block b0:\n  dense 2\n{blocks}input 4\nb{min(size, 40)}"
    if kind == 3:
        return f"input 4\ndense {random.choice(NUMBERS)}\ndense {random.choice(NUMBERS)}"
    if kind == 4:
        return f"input {'x'.join(random.choices(('8', '1', '100000', '?'), k=min(size, 50)))}"
    if kind == 5:
        return "input 4\n" + "timedistributed (" * size + "dense 2" + ")" * size
    if kind == 6:
        return "input 4\n" + " / ".join(["relu"] * size)
    return "input 4\nx = dense 2\n" + "add <- " + ", ".join(["x"] * size)


def names_for_texts() -> dict[str, Any]:
    """The notebook's variables in texts."""
    image = keras.Input((8, 8, 1))
    return {
        "units": 4,
        "names": ["a", "b"],
        "data": np.random.default_rng(0).normal(size=(10, 4)).astype("float32"),
        "frame": pd.DataFrame({"review": ["a film"], "n": [1]}),
        "nothing": None,
        "backbone": keras.Model(image, keras.layers.Conv2D(2, 3)(image)),
        "cfg": types.SimpleNamespace(units=3, act="relu"),
    }


def use_text(text: str, names: dict[str, Any]) -> Any:
    """Build the model of a text, show it, and write it in all its forms."""
    model = kmagic.build(text, **names)
    kmagic.to_python(model, names=names)
    format_spec(kmagic.parse(text))
    if model.built and model.count_params() < 100_000:
        kmagic.to_dsl(model)
    return model


class Texts(Kind):
    """Texts of the layer language, built with Keras."""

    name = "texts"

    def set_up(self) -> None:
        # Keras takes one to four milliseconds for each layer of a valid text.
        self._limit, expand.MAX_LAYERS = expand.MAX_LAYERS, MAX_LAYERS
        self.names = names_for_texts()
        self.used = 0

    def tear_down(self) -> None:
        expand.MAX_LAYERS = self._limit

    def generate(self, random: Random) -> str:
        match random.randrange(20):
            case 0:
                return _large_text(random)
            case 1:
                words = (*SIGNS, *NUMBERS, *CHARACTERS, *words_for_role("layer"), " ", " ", "\n")
                return "".join(random.choices(words, k=random.randint(1, 40)))
            case 2 | 3 | 4:
                text = grammar_text(random)
            case 5 | 6 | 7 | 8 | 9 | 10:
                text = fitting_text(random)
            case 11 | 12 | 13 | 14 | 15:
                text = random.choice(right_texts())
            case _:
                text = random.choice(model_texts())
        return edit_text(random, text, random.choices(model_texts(), k=3))

    def use(self, case: str) -> None:
        self.used += 1
        if self.used % 50 == 0:
            keras.backend.clear_session()
        use_text(case, self.names)


# --- R --------------------------------------------------------------------------------------------

_R_LINES = (
    *("x <- {n}", "f <- function(x, n = {n}) {{ x %>% layer_dense(n) }}", "f <- function(x) f(x)"),
    *("while (TRUE) x <- x + 1", "for (i in 1:{n}) mod$add(Dense(i))", "repeat {{ x <- c(x, x) }}"),
    *("v <- c(v, v, {n})", "s <- paste0(s, s)", "l <- rep(list(v), {n})", "x <- {n}^{n}^{n}"),
    *("if (x > {n}) mod$add(Dense({n})) else mod$pop()", "c(a, b) %<-% list(0, {n})", "f({n})"),
    *("mod$add(Dense(units = {n}, activation = 'relu'))", "mod %>% layer_dense({n})", "x[[{n}]]"),
    *("y <- x %>% layer_dense({n}) %>% layer_dropout(0.{n})", "model <- keras_model(x, y)"),
    *("x <- layer_input(shape = c({n}, {n}, 3))", "x <- seq_len({n})", "x <- -{n}:{n}", "x$y$z"),
    "mod %>% fit(x, y, epochs = {n}, callbacks = callback_early_stopping(patience = {n}))",
    *(
        "mod$compile(loss = 'mse', optimizer = optimizer_adam(lr = 0.{n}))",
        "mod %>% evaluate(x, y)",
    ),
    *("x <- round({n}.5 / 0)", "x <- sqrt(-{n})", "x <- log(0)", "x <- {n} %% 0", "x <- !{n}"),
    *(
        "x <- sum({n}, 'a')",
        "x <- max(c())",
        "y <- (function(x) x + {n})(2)",
        "names <- dim(z)[{n}]",
    ),
)


class RCode(Kind):
    """R code, translated, and its model built."""

    name = "r"

    def generate(self, random: Random) -> str:
        match random.randrange(10):
            case 0 | 1 | 2:
                lines = [
                    line.replace("{n}", random.choice((*"1239", "64", *NUMBERS)))
                    .replace("{{", "{")
                    .replace("}}", "}")
                    for line in random.choices(_R_LINES, k=random.randint(1, 8))
                ]
                start = random.choice(("mod <- Sequential()", "x <- layer_input(3)", "s <- 'ab'"))
                return edit_text(
                    random, "\n".join((start, *lines)), r_texts()[:3], random.randint(0, 2)
                )
            case 3:
                sign = random.choice(
                    ("+", "%>%", "^", ",", "-", "<-", "(", "[[", "function(x)", "!", "if(x)")
                )
                part = random.choice(("x", "1", "f(2)", "", "layer_dense(2)"))
                times = random.choice((3, 100, 300, 10_000))
                return "mod <- Sequential()\nx <- " + f" {sign} ".join([part] * times)
            case _:
                texts = r_texts()
                return edit_text(random, random.choice(texts), random.choices(texts, k=3))

    def use(self, case: str) -> None:
        translation = kmagic.from_r(case)
        translation._repr_mimebundle_()
        if len(translation) < 400:
            kmagic.build(str(translation), x=np.zeros((5, 3)), X_train=np.zeros((5, 4)))


# --- braces ---------------------------------------------------------------------------------------


class _Hostile:
    """An object whose operators and ``repr`` fail."""

    def __repr__(self) -> str:
        raise AttributeError

    def __add__(self, other: object) -> Any:
        raise KeyError(other)

    def __bool__(self) -> bool:
        raise ValueError

    def __len__(self) -> int:
        raise ZeroDivisionError

    __hash__ = None  # type: ignore[assignment]


def strange_values(text: str) -> dict[str, Any]:
    """Variables of types that notebooks contain, and some that they should not.

    Those of Keras, which take long, only if the text contains their names.
    """
    circle: list[Any] = []
    circle.append(circle)
    loop: dict[str, Any] = {}
    loop["self"] = loop
    symbol = keras.Input((4,))
    softmax = partial(keras.layers.Dense, 2, activation="softmax")
    late: dict[str, Callable[[], Any]] = {
        "net": lambda: keras.Sequential([symbol, softmax()]),
        "layer": softmax,
        "adam": keras.optimizers.Adam,
        "ds": lambda: tf.data.Dataset.from_tensor_slices((features, labels)).batch(2),
    }
    features, labels = np.zeros((6, 4), "float32"), np.arange(6) % 2
    return {name: make() for name, make in late.items() if name in text} | {
        "i": 3,
        "big": 10**40,
        "f": 0.5,
        "s": "relu",
        "long": "a" * 1000,
        "b": b"bytes",
        "n": None,
        "t": (2, 3),
        "l": [1, 2, 3],
        "d": {"a": 1, 0: 0.5},
        "e": [],
        "st": {1, 2},
        "circle": circle,
        "loop": loop,
        "r": range(10**12),
        "c": 1j,
        "nan": float("nan"),
        "ell": ...,
        "frac": fractions.Fraction(1, 3),
        "dec": decimal.Decimal("0.1"),
        "date": dt.date(2020, 1, 1),
        "path": pathlib.Path("a.csv"),
        "x": features,
        "y": labels,
        "ob": np.array([1, "a", None], object),
        "zero": np.array(3.0),
        "none": np.zeros((0, 4)),
        "st_array": np.zeros(3, [("a", int)]),
        "text": np.array(["a", "b"]),
        "when": np.array(["2020-01-01"], "datetime64[D]"),
        "wide": np.broadcast_to(np.float32(0), (10**6, 10**5)),
        "u8": np.array([1, 255], np.uint8),
        "bools": np.array([True, False]),
        "masked": np.ma.masked_array([1.0, 2.0], [True, False]),
        "matrix": np.arange(4).reshape(2, 2),
        "df": pd.DataFrame({"a": [1.0, None], "b": ["x", "y"]}, index=[5, 5]),
        "ser": pd.Series([1, 2], index=["p", "q"]),
        "multi": pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
        "tensor": tf.constant([[1.0, 2.0]]),
        "ragged": tf.ragged.constant([[1], [2, 3]]),
        "sparse": tf.sparse.from_dense([[1.0, 0.0]]),
        "symbol": symbol,
        "cls": keras.layers.Dense,
        "fn": lambda value: value,
        "gen": (value for value in range(3)),
        "mod": np,
        "hostile": _Hostile(),
        "exc": ValueError("x"),
        "ns": types.SimpleNamespace(units=4, _private=1),
    }


_NAMES = (
    *("i", "big", "f", "s", "long", "b", "n", "t", "l", "d", "e", "st", "circle", "loop", "r", "c"),
    *(
        "nan",
        "ell",
        "frac",
        "dec",
        "date",
        "path",
        "x",
        "y",
        "ob",
        "zero",
        "none",
        "st_array",
        "text",
    ),
    *("when", "wide", "u8", "bools", "masked", "matrix", "df", "ser", "multi", "tensor", "ragged"),
    *(
        "sparse",
        "ds",
        "symbol",
        "net",
        "layer",
        "adam",
        "cls",
        "fn",
        "gen",
        "mod",
        "hostile",
        "exc",
    ),
    *("ns", "undefined"),
)
_LIKELY = (
    *("x", "y", "x", "y", "df", "ds", "net", "i", "f", "s", "t", "3", "0.5", "x[:2]", "y[:2]", "l"),
    *("'adam'", "'mse'", "[3, 3]", "layer", "adam", "x, y", "d", "i + 1", "u8", "ns.units", "n"),
)
"""Values that suit some template."""
_OPERATORS = (
    *("+", "-", "*", "/", "//", "%", "**", "@", "<<", ">>", "&", "|", "^", "<", "==", "!=", ">="),
    *("in", "not in", "is", "is not", "and", "or"),
)
_ATTRIBUTES = (
    *(
        "shape",
        "dtype",
        "size",
        "T",
        "values",
        "index",
        "columns",
        "units",
        "a",
        "_private",
        "real",
    ),
    *("weights", "__class__", "__dict__", "ndim", "iloc", "loc", "str", "dt", "name", "inputs"),
)
_INDICES = ("0", "-1", ":2", "::-1", "[0, 1]", "..., 0", "None", "'a'")
_TEMPLATES = (
    *("dense {E}", "{E}", "dense 2 {E}", "dense 2 activation={E}", "dense 2 <- {E}", "dropout {E}"),
    *("conv2d 2 {E}", "reshape {E}", "repeat {E}:\n  dense 2", "for k in {E}, {E}:\n  dense {k}"),
    *("normalization adapt={E}", "dense 2 / compile {E}", "dense 2 / compile adam({E}) loss={E}"),
    *("dense 2 kernel_initializer={E}", "v = {E}", "add <- {E}, _", "model m: \n  dense {E}"),
    *(
        "block f(q={E}):\n  dense {q}\nf\nf {E}",
        "ops.multiply {E}",
        "embedding {E} {E}",
        "output {E}",
    ),
    *("text_vectorization adapt={E}", "dense 2 / compile sgd loss=mse metrics=[{E}]", "freeze {E}"),
)
_LINES = (
    *("%keras_fit net {E} {E}", "%keras_fit net x y --val {E}", "%keras_fit net x y -e {E}"),
    *(
        "%keras_fit net x y --class-weight {E}",
        "%keras_fit net x y --sample-weight {E} --callbacks {E}",
    ),
    *(
        "%keras_fit net --data {E}",
        "%keras_confusion net {E} {E}",
        "%keras_confusion --true {E} --pred {E}",
    ),
    *(
        "%keras_confusion net x y --class-names {E}",
        "%keras_confusion --true y --pred {E} --threshold {E}",
    ),
    *("%keras_predict net {E}", "%keras_predict net {E} --classes", "%keras_evaluate net {E} {E}"),
    *("%keras_data {E}", "%keras_data {E} {E} --split {E}", "%keras_data {E} --target {E}"),
    *(
        "%keras_classify net {E}",
        "%keras_save {E} a.keras",
        "%keras_save net {E}",
        "%keras_load {E}",
    ),
    *("%keras_summary {E}", "%keras_code {E}", "%keras_plot {E}", "%keras_compile net adam({E})"),
    *("%keras_classify net x --class-names {E} --true {E}", "%keras_compile {E} adam --loss {E}"),
)


def expression(random: Random, depth: int = 3) -> str:
    """A Python expression over the strange values."""
    if depth == 0 or random.random() < 0.35:
        atoms = (*_NAMES, *_NAMES, "1", "0", "-1", "'a'", "1e3", "None", "10**9", *NUMBERS[:12])
        return random.choice(atoms)
    one, other = expression(random, depth - 1), expression(random, depth - 1)
    match random.randrange(14):
        case 0 | 1 | 2 | 3:
            return f"{one} {random.choice(_OPERATORS)} {other}"
        case 4 | 5:
            return f"{one}.{random.choice(_ATTRIBUTES)}"
        case 6 | 7:
            return f"{one}[{random.choice((other, *_INDICES))}]"
        case 8:
            return f"({one}, {other})"
        case 9:
            return random.choice(
                (f"[{one}, {other}]", f"{{'a': {one}}}", f"{{{one}, {other}}}", "[]")
            )
        case 10:
            return f"{one} if {other} else 2"
        case 11:
            return random.choice((f"-{one}", f"not {one}", f"~{one}", f"+{one}", f"*{one}"))
        case 12:
            return random.choice(
                (f"f'{{{one}}}'", f"lambda: {one}", f"[q for q in {one}]", f"{one}()")
            )
        case _:
            times = random.choice((2, 30, 1000, 10_000))
            return random.choice(
                ("(" * times + one + ")" * times, "-" * times + "1", "1+" * times + "1")
            )


class Braces(Kind):
    """Expressions in braces, in texts and in the lines of magics, over values of all types."""

    name = "braces"

    def set_up(self) -> None:
        from .line_kind import Notebook

        self.notebook = Notebook()

    def tear_down(self) -> None:
        self.notebook.close()

    def generate(self, random: Random) -> str:
        template = random.choice((*_TEMPLATES, *_LINES))
        parts = template.split("{E}")
        text = parts[0]
        for part in parts[1:]:
            source = expression(random, random.choice((0, 0, 0, 1, 2, 3)))
            if random.random() < 0.5:
                source = random.choice(_LIKELY)
            text += "{" + source.replace("\n", " ") + "}" + part
        return (
            text if text.startswith("%") else f"input {random.choice(('4', '4', '8x8x1'))}\n{text}"
        )

    def use(self, case: str) -> None:
        if case.startswith("%"):
            self.notebook.run(case, strange_values(case))
        else:
            use_text(case, strange_values(case))
