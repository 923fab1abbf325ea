"""A search as a program of plain Keras and Optuna."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

import kmagic
from kmagic.models.build import build_model
from kmagic.support.errors import TrainingError
from kmagic.tuning.study_code import study_program

from ..display.tuning.studies import TEXT, make_study
from .searching import X, Y, tune


def functions_of(program: str, **names: object) -> dict[str, object]:
    """What the program defines; the search itself is not run."""
    before, _, _ = program.partition("study = optuna.create_study")
    space: dict[str, object] = dict(names)
    exec(before, space)  # noqa: S102 - what is tested
    return space


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        """input 4x2
lstm|gru 3..8 / dense 4..8 relu|tanh | dense 5 | identity
compile adam|sgd loss=mse""",
        """input 16x16x1
conv2d 4..8 3x3|5x5
repeat 1..3: conv2d 4 3x3 same
flatten / dense 1
compile adam loss=mse|mae""",
        """vary reg = l2(1e-4..1e-2~log)|l1(0.1)
input 4
dense 4 kernel_regularizer={reg}
dense 1 kernel_regularizer={reg}
compile sgd loss=mse""",
        """block b(f, g=2|3): dense {f * g} relu
input 4
b 2..4
b 3
dense 1
compile adam loss=mse""",
        "input 4\nfor f in 4 8..16: dense {f}\ndense 1 use_bias=true|false\ncompile adam loss=mse",
    ],
)
def test_the_program_builds_the_models_of_the_trials(text):
    study = make_study(12, text=text)
    program = study_program(study)
    compile(program, "program", "exec")
    build = functions_of(program)["build_model"]
    for trial in study.trials:
        rounded = {
            name: float(f"{value:.4g}") if isinstance(value, float) else value
            for name, value in trial.params.items()
        }
        written = build(optuna.trial.FixedTrial(rounded))
        built = build_model(study.space.fill(trial.params), {})
        assert [type(a) for a in written.layers] == [type(a) for a in built.layers]
        assert written.count_params() == built.count_params()
        for layer, other in zip(written.layers, built.layers, strict=True):
            names = ("activation", "kernel_size", "strides", "rate", "kernel_regularizer")
            assert [str(getattr(layer, n, None))[:40] for n in names] == [
                str(getattr(other, n, None))[:40] for n in names
            ]
        assert type(written.optimizer) is type(built.optimizer)
        rates = [float(model.optimizer.learning_rate) for model in (written, built)]
        assert rates[0] == pytest.approx(rates[1], rel=1e-3)
        assert written.loss == built.loss


def test_the_program_runs():
    study = tune(
        "input 4 / dense 2..8 relu|tanh / dense 2 softmax\n"
        "compile adam(1e-3..1e-1~log) loss=sparse_categorical_crossentropy",
        *(X, Y),
        trials=2,
        batch_size="16|32",
        patience=5,
    )
    program = study_program(study)
    space = {"x_train": X, "y_train": Y}
    exec(program, space)  # noqa: S102 - what is tested
    ran = space["study"]
    assert len(ran.trials) == 2
    assert set(ran.best_params) == set(study.best_values)
    assert "EarlyStopping(patience=5)" in program


def test_names_of_the_notebook_are_listed():
    units = 7
    study = kmagic.tune(
        "input 4 / dense {units} relu|tanh / dense 1 / compile adam loss=mse",
        *(X, Y.astype("float32")),
        trials=1,
        epochs=1,
        validation_split=0.2,
        in_process=True,
        displays=[],
    )
    program = study_program(study)
    assert program.startswith("# From the notebook: x_train, y_train, units\n")
    build = functions_of(program, units=units)["build_model"]
    assert build(optuna.trial.FixedTrial({"dense.activation": "relu"})).layers[0].units == 7


def test_too_many_models_are_refused():
    lines = [f"dense {n} | dense {n + 1}" for n in range(6)]
    study = make_study(1, text="input 4\n" + "\n".join(lines) + "\ncompile adam loss=mse")
    with pytest.raises(TrainingError, match="more than 32 models"):
        study_program(study)
    assert np.isfinite(study.best.value)
