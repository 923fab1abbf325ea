"""The card of what a model costs, and its magic."""

import keras
import pytest

import kmagic
from kmagic.display.model.cost_card import MAX_LINES, SHOWN, cost_bundle
from kmagic.evaluation.cost.model_cost import LayerCost, ModelCost
from kmagic.support.errors import EvaluationError, MagicError


def layer(text, flops, activations=1000, line=1):
    return LayerCost(text, line, text, (None, 8, 8), 100, flops, activations)


def make(layers, **options):
    values = {
        "name": "net", "batch_size": 4, "layers": tuple(layers), "parameters": 200, "weights": 800,
        "gradients": 800, "optimizer": 1600, "prediction": 5000, "latency": {1: 0.0021, 4: 0.0154},
        "device": "CPU, 2 cores", "notes": (),
    }  # fmt: skip
    return ModelCost(**(values | options))


def test_the_card_shows_each_line_with_its_share_and_the_total():
    bundle = cost_bundle(make([layer("dense 3", 3_000_000), layer("relu", 1000, 0, line=2)]))
    rows = [line.split() for line in bundle["text/plain"].splitlines()]
    assert rows[0] == [
        "net:",
        "3.00",
        "MFLOPs",
        "per",
        "sample,",
        "4.2",
        "kB",
        "to",
        "train",
        "with",
        "batches",
        "of",
        "4,",
        "2.10",
        "ms",
        "for",
        "1",
        "sample,",
        "15.4",
        "ms",
        "for",
        "4",
        "samples",
    ]
    assert rows[2] == ["dense", "3", "8", "x", "8", "100", "3.00", "M", "100.0", "%", "1.0", "kB"]
    assert rows[3] == ["relu", "8", "x", "8", "100", "1.00", "k", "<", "0.1", "%"]
    assert rows[4] == ["total", "200", "3.00", "M", "100.0", "%", "1.0", "kB"]
    text = bundle["text/plain"]
    assert "weights 800 bytes, gradients 800 bytes, optimizer 1.6 kB" in text
    assert "two FLOPs" in text
    assert "measured on CPU, 2 cores" in text
    for part in ("8&nbsp;x&nbsp;8", "2.10 ms", "100.0 %", "latency, 4 samples"):
        assert part in bundle["text/html"]


def test_a_long_model_shows_its_most_expensive_lines():
    layers = [layer(f"dense {k}", 10 * k, 10 * k, line=k) for k in range(1, MAX_LINES + 2)]
    bundle = cost_bundle(make(layers))
    assert bundle["text/html"].count("<tr>") == 1 + SHOWN + 2
    lines = bundle["text/plain"].splitlines()
    assert lines[2].split()[1] == str(MAX_LINES + 2 - SHOWN)
    assert f"{MAX_LINES + 1 - SHOWN} more lines" in lines[2 + SHOWN]
    sums = sum(layer.flops for layer in layers[: MAX_LINES + 1 - SHOWN])
    assert f"{sums / 1000:.2f} k" in lines[2 + SHOWN]
    assert "more" not in cost_bundle(make(layers[1:]))["text/plain"]


def test_what_is_unknown_is_not_shown_as_zero():
    unknown = {"optimizer": None, "prediction": None, "latency": {}, "notes": ("Not `x`.",)}
    bundle = cost_bundle(make([layer("a", 0, None)], **unknown))
    assert "training memory" not in bundle["text/html"]
    assert "Latency" not in bundle["text/plain"]
    assert "activations for" not in bundle["text/plain"]
    assert "Not <code" in bundle["text/html"]
    without = cost_bundle(make([layer("a", 0)], optimizer=None))["text/html"]
    assert "training memory, 4 samples, without optimizer" in without


def test_names_are_escaped():
    bundle = cost_bundle(make([layer("<b>", 5)], name="<i>"))
    assert "<i>" not in bundle["text/html"]
    assert "&lt;i&gt;" in bundle["text/html"]
    assert bundle["text/html"].count("<b>") == 1  # around the title


def test_the_magic_shows_the_cost_of_a_model(shell, capsys):
    shell.user_ns["net"] = kmagic.build("input ?x4\ngru 3 / dense 2")
    result = shell.run_line_magic("keras_summary", "net --cost -b 8 --length 5 -o price")
    assert shell.user_ns["price"] is result
    assert (result.name, list(result.latency)) == ("net", [1, 8])
    assert "gru 3" in capsys.readouterr().out
    quiet = shell.run_line_magic("keras_summary", "--cost --length 5 -q")
    assert quiet.flops == result.flops
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("net -b 8", "-b needs --cost"),
        ("net --length=8", "--length needs --cost"),
        ("net -o x", "-o needs --cost"),
        ("net --cost --keras", "--keras and --cost cannot be combined"),
        ("net --cost -b 0", "at least 1"),
        ("net --cost 7", "unexpected argument"),
    ],
)
def test_options_of_the_magic_are_checked(shell, line, message):
    shell.user_ns["net"] = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(MagicError, match=message):
        shell.run_line_magic("keras_summary", line)


def test_an_error_writes_the_option_as_the_line_does(shell):
    shell.user_ns["net"] = kmagic.build("input ?x4\ngru 3")
    with pytest.raises(EvaluationError) as caught:
        shell.run_line_magic("keras_summary", "net --cost")
    assert "--length 100" in caught.value.remedy
    assert "'net'" in caught.value.message
