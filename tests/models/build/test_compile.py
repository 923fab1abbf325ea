"""``compile`` lines: optimizer, loss and metrics as Keras itself would take them."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kmagic
from kmagic.api import build
from kmagic.models.build import compile_text
from kmagic.support.errors import DSLError

NET = "input 4\ndense 3 softmax\ncompile "


def compiled(line, **values):
    return build(NET + line, **values)


def test_words_are_those_of_keras():
    model = compiled("adam loss=sparse_categorical_crossentropy metrics=accuracy")
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert model.loss == "sparse_categorical_crossentropy"
    assert model.get_compile_config()["metrics"] == ["accuracy"]


@pytest.mark.parametrize(
    ("optimizer", "cls", "rate"),
    [
        ("sgd", keras.optimizers.SGD, 0.01),
        ("adam(1e-4)", keras.optimizers.Adam, 1e-4),
        ("adam(learning_rate=0.5)", keras.optimizers.Adam, 0.5),
        ("rmsprop(rho=0.8)", keras.optimizers.RMSprop, 1e-3),
        ("adamw", keras.optimizers.AdamW, 1e-3),
        ("optimizer=sgd(0.1, momentum=0.9)", keras.optimizers.SGD, 0.1),
    ],
)
def test_optimizers(optimizer, cls, rate):
    model = compiled(f"{optimizer} loss=mse")
    assert type(model.optimizer) is cls
    assert float(model.optimizer.learning_rate) == pytest.approx(rate)


def test_a_schedule_as_learning_rate():
    model = compiled("adam(exponential_decay(1e-2, 100, 0.5)) loss=mse")
    schedule = model.optimizer._learning_rate
    assert isinstance(schedule, keras.optimizers.schedules.ExponentialDecay)
    assert schedule.decay_steps == 100


@pytest.mark.parametrize(
    ("words", "metrics"),
    [
        ("metrics=mae", ["mae"]),
        ("metrics=mae, mse", ["mae", "mse"]),
        ("metrics=[mae, mse]", ["mae", "mse"]),
        ('metrics=["mae"]', ["mae"]),
    ],
)
def test_metrics(words, metrics):
    assert compiled(f"adam loss=mse {words}").get_compile_config()["metrics"] == metrics


def test_objects_with_arguments():
    model = compiled(
        "adam loss=sparse_categorical_crossentropy(from_logits=true)"
        " metrics=[sparse_top_k_categorical_accuracy(k=2)]"
    )
    assert model.loss.from_logits
    (metric,) = model.get_compile_config()["metrics"]
    assert metric["config"]["k"] == 2


def test_losses_by_output():
    text = (
        "x = input 4\na = dense 3 softmax <- x\nb = dense 1 <- x\noutput a=a, b=b\n"
        "compile adam loss={a: sparse_categorical_crossentropy, b: mse}"
        " loss_weights={a: 1.0, b: 0.2}"
    )
    model = build(text)
    assert model.loss == {"a": "sparse_categorical_crossentropy", "b": "mse"}
    history = model.fit(
        np.zeros((4, 4)), {"a": np.zeros(4), "b": np.zeros((4, 1))}, verbose=0
    ).history
    assert set(history) == {"loss", "a_loss", "b_loss"}


def test_values_of_the_notebook():
    def own(y_true, y_pred):
        return keras.ops.mean(y_true - y_pred)

    optimizer = keras.optimizers.SGD(0.3)
    model = compiled("{opt} loss={loss} metrics=[{loss}, mae]", opt=optimizer, loss=own)
    assert model.optimizer is optimizer
    assert model.loss is own
    assert compiled("adam({rate}) loss=own", rate=0.2, own=own).loss is own


def test_flags():
    model = compiled("adam loss=mse run_eagerly !auto_scale_loss jit_compile=false")
    assert model.run_eagerly


def test_without_a_loss():
    assert compiled("adam").loss is None


def test_the_last_line_counts():
    assert isinstance(
        build(f"{NET}adam loss=mse\ncompile sgd loss=mae").optimizer, keras.optimizers.SGD
    )


def test_it_trains():
    model = compiled("adam(0.1) loss=sparse_categorical_crossentropy metrics=accuracy")
    x = np.eye(4)[np.arange(60) % 3]
    history = model.fit(x, np.arange(60) % 3, epochs=5, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


def test_compiling_an_existing_model():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    compile_text(model, "compile sgd({rate}) loss=mse", {"rate": 0.25})
    assert float(model.optimizer.learning_rate) == 0.25


def test_a_mistake_leaves_the_model_as_it_was():
    model = compiled("adam loss=mse")
    optimizer = model.optimizer
    with pytest.raises(DSLError, match="is not an optimizer"):
        compile_text(model, "compile adan loss=mae", {}, where="%keras_compile")
    assert model.optimizer is optimizer
    assert model.loss == "mse"


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        ("sgd(10)", 10.0),
        ("adam(1, beta_1=0)", 1.0),
        ("adam({whole})", 2.0),
        ("adam({single})", 0.5),
        ("sgd(1, 0)", 1.0),
        ("exponential_decay(1, 10, 0.5)", 0.5),
        ("cosine_decay(0, 10, warmup_target=2, warmup_steps=10)", 2.0),
        ("polynomial_decay(1, 10, 0)", 0.0),
        ("piecewise_constant_decay([5, 20], [3, 2, 1])", 2.0),
        ("piecewise_constant_decay([5, 20], {rates})", 2.0),
    ],
)
def test_whole_numbers_are_learning_rates(optimizer, expected):
    optimizer = optimizer if "decay" not in optimizer else f"sgd({optimizer})"
    names = {"whole": 2, "single": np.float32(0.5), "rates": [3, 2, 1]}
    model = build(f"input 4 / dense 2 / compile {optimizer} loss=mse", **names)
    model.optimizer.iterations.assign(10)
    assert float(model.optimizer.learning_rate) == expected


@pytest.mark.parametrize("rate", ["-1", "{rate}"])
def test_a_negative_learning_rate_is_refused(rate):
    with pytest.raises(DSLError, match="a learning rate must not be negative; got -1"):
        build(f"input 4 / dense 2 / compile sgd({rate}) loss=mse", rate=-1)


@pytest.mark.parametrize("weight", ["2", "{weight}", "2.0"])
def test_whole_numbers_are_loss_weights(weight):
    text = f"input 4 / dense 2 / compile sgd loss=mse loss_weights={weight}"
    model = build(text, weight=np.int64(2))
    assert model.get_compile_config()["loss_weights"] == 2.0
    assert "loss_weights=2.0" in kmagic.to_python(model)


def test_a_learning_rate_of_another_type_is_refused_in_a_whole_sentence():
    with pytest.raises(DSLError, match="learning_rate must be a number or a schedule; got a") as e:
        build("input 4 / dense 2 / compile sgd({what}) loss=mse", what=object())
    assert "adam(1e-3)" in e.value.remedy


@pytest.mark.parametrize(
    "argument", ["loss={x}", "loss=mse metrics={x}", "loss=mse metrics=[mae, {x}]"]
)
@pytest.mark.parametrize(
    "x", [np.zeros((2, 3)), keras.Input((3,)), object()], ids=["array", "symbolic", "object"]
)
def test_data_is_neither_a_loss_nor_a_metric(argument, x):
    with pytest.raises(DSLError, match="must be words, functions or objects; got"):
        compiled(f"sgd {argument}", x=x)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("{[1]: mse}", "is not a key"),
        ("{[(1, [2])]: mse}", "is not a key"),
        ("{a: msee}", "is not a loss"),
        ("{a: mse, b: [mae, msee]}", "is not a loss"),
    ],
)
def test_mistakes_in_a_loss_for_each_output(loss, message):
    with pytest.raises(DSLError, match=message):
        compiled(f"adam loss={loss}")
