"""The remedy for an option that a magic does not have is a line that works."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from kmagic.magics.keras_confusion import CONFUSION
from kmagic.magics.keras_data import DATA
from kmagic.magics.keras_evaluate import EVALUATE, PREDICT
from kmagic.magics.keras_fit import FIT
from kmagic.magics.keras_history_magic import HISTORY
from kmagic.magics.keras_model import CODE, MODEL
from kmagic.magics.keras_save import LOAD, SAVE
from kmagic.magics.line_parser import LineParser
from kmagic.magics.option_hints import option_names
from kmagic.support.errors import MagicError

OTHER_NAMES = option_names()["options"]
NET = SimpleNamespace(compile=None, loss="mse", optimizer=type("RMSprop", (), {})())


def remedy(parser, option):
    with pytest.raises(MagicError, match="has no option") as caught:
        parser.parse(f"net x y {option}", {"net": NET})
    return caught.value.remedy


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--validation-split 0.2", "--val 0.2"),
        ("--validation_data=xv,yv", "--val xv,yv"),
        ("--batch 8", "--batch-size 8"),
        ("--n-epochs 3", "--epochs 3"),
        ("--test-size 0.2", "--val 0.2"),
        ("--random_state 3", "--seed 3"),
        ("--early-stopping 3", "--patience 3"),
        ("--early-stopping", "--patience N"),
        ("--class-weights balanced", "--class-weight balanced"),
        ("--restore-best-weights", "--restore-best"),
        ("--batch many", "--batch-size N"),
        ("--save-as run.csv", "--out NAME"),
        ("--es 3", "--patience 3"),
        ("--valid-split 0.2", "--val 0.2"),
    ],
)
def test_names_of_keras_and_scikit_learn(option, expected):
    assert remedy(FIT, option) == f"Write `{expected}`."


@pytest.mark.parametrize("option", [o for o in OTHER_NAMES if o in FIT.options])
def test_every_suggested_option_is_accepted(option):
    for name in (name for name in OTHER_NAMES[option] if f"--{name}" not in FIT.options):
        suggested = re.fullmatch(r"Write `(--[\w-]+).*`\.", remedy(FIT, f"--{name} 3"))
        assert suggested
        assert suggested[1] in FIT.options


def test_every_name_in_the_table_is_an_option_of_some_magic():
    options = {option for parser in LineParser.all_parsers for option in parser.options}
    assert {*OTHER_NAMES} <= options


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("--lr 0.1", "rmsprop(0.1) loss=mse"),
        ("--learning-rate {rate}", "rmsprop({rate}) loss=mse"),
        ("--lr fast", "rmsprop(1e-3) loss=mse"),
        ("--optimizer=sgd(0.1)", "sgd(0.1) loss=mse"),
        ("--optimizer sgd", "sgd loss=mse"),
        ("--loss mae", "rmsprop loss=mae"),
        ("--loss {rate}", "rmsprop loss={rate}"),
        ("--metrics accuracy", "rmsprop loss=mse metrics=accuracy"),
        ("--metrics mae,mse", "rmsprop loss=mse metrics=[mae, mse]"),
        ("--momentum 0.9", "sgd(momentum=0.9) loss=mse"),
        ("--weight-decay", "adamw(weight_decay=1e-4) loss=mse"),
    ],
)
def test_what_belongs_to_compiling(option, line):
    import keras

    import kmagic

    rate = 0.1 if "loss" not in option else "mae"  # noqa: F841 - a variable of the text
    assert f"`%keras_compile net {line}`" in remedy(FIT, option)
    model = kmagic.build(f"input 4 / dense 1 / compile {line}")
    assert isinstance(model.optimizer, keras.optimizers.Optimizer)


def test_other_remedies():
    assert remedy(FIT, "--gpu 0") == "Remove it: TensorFlow uses a GPU if there is one."
    assert remedy(EVALUATE, "--verbose 0") == "Remove it. `-q` shows nothing."
    assert "unless `--no-shuffle`" in remedy(FIT, "--shuffle")
    assert remedy(FIT, "--epoches 3") == "Did you mean --epochs?"
    assert remedy(FIT, "--colour") == "All options: %keras_fit -h"
    assert remedy(CONFUSION, "--val 0.1").startswith("It is an option of %keras_fit")
    assert remedy(CONFUSION, "--top 3") == "Did you mean --top-losses?"
    assert remedy(DATA, "--normalize") == "Write `--scale HOW`."
    assert remedy(MODEL, "--loss mae") == "Add a line to the cell: `compile rmsprop loss=mae`."


def test_compiling_again_keeps_the_metrics():
    import kmagic

    text = "input 4 / dense 1 / compile sgd loss=mae metrics=[mse, mape]"
    with pytest.raises(MagicError) as caught:
        FIT.parse("net x y --lr 0.5", {"net": kmagic.build(text)})
    assert "`%keras_compile net sgd(0.5) loss=mae metrics=[mse, mape]`" in caught.value.remedy


def test_words_of_other_tools():
    assert remedy(SAVE, "--overwrite") == "Write `--force`."
    assert remedy(LOAD, "--safe-mode false") == "Write `--unsafe`."
    assert remedy(CODE, "--language dsl") == "Write `--as dsl`."
    assert remedy(PREDICT, "--probabilities") == "Write `--proba`."
    assert "`%keras_save net FILE.keras`" in remedy(FIT, "--save best.keras")
    assert "set_dtype_policy" in remedy(FIT, "--mixed-precision")
    assert "`--callbacks C`" in remedy(FIT, "--monitor val_loss")
    assert "`%keras_fit [MODEL] [X Y]`" in remedy(FIT, "--model net")
    assert remedy(FIT, "-n 3") == "All options: %keras_fit -h"
    assert remedy(LOAD, "--weights").startswith("It is an option of %keras_save.")
    assert remedy(HISTORY, "--metric accuracy") == "All options: %keras_history -h"


def test_numbers_beyond_every_counter():
    with pytest.raises(MagicError, match="must be at most 4,294,967,295"):
        _ = FIT.parse("net x y -e 99999999999999999999", {}).epochs
