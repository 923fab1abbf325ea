"""Studies with trials that were not trained, for the tests of their displays."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import optuna

from kmagic.models.build.search_reading import read_search_space
from kmagic.tuning.study import Study
from kmagic.tuning.study_store import CURVES, ERROR, IDENTITY

TEXT = """\
vary width = 8..64:8
input 8
dense {width} relu|tanh
dropout 0.0..0.5 | identity
dense 1
compile adam(1e-4..1e-1~log)|sgd(1e-3..1.0~log) loss=mse"""


STATES = (*["COMPLETE"] * 8, "PRUNED", "FAIL")
"""Of ten trials."""


def make_study(
    trials: int = 30,
    *,
    seed: int = 0,
    text: str = TEXT,
    states: Sequence[str] = STATES,
    **fields: Any,
) -> Study:
    """A study whose goal is best near a width of 32; one trial has a very bad value."""
    space = read_search_space(text, {})
    inner = optuna.create_study(direction=fields.get("direction", "minimize"))
    inner.set_user_attr(IDENTITY, {"seed": seed, "options": {"epochs": 3}})
    study = Study(
        name=fields.pop("name", "net"),
        space=space,
        parameters=space.parameters,
        goal="val_loss",
        is_maximized=fields.pop("direction", "minimize") == "maximize",
        target=fields.pop("target", trials),
        optuna_study=inner,
        store=None,  # type: ignore[arg-type]  # no weights here
        names=None,  # type: ignore[arg-type]  # as above
        status=fields.pop("status", "done"),
        **fields,
    )
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    for number in range(trials):
        inner.add_trial(_trial(study, number, states[number % len(states)], rng))
    return study


def _trial(study: Study, number: int, name: str, rng: random.Random) -> Any:
    state = optuna.trial.TrialState[name]
    params = {p.name: _value(p, rng) for p in study.parameters}
    value = 1 + rng.random() + (abs(params.get("width", 32) - 32) / 8 if number != 3 else 1e9)
    curve = [2 * value, 1.5 * value, value]
    attributes: dict[str, Any] = {CURVES: {"loss": curve, study.goal: curve}}
    if state.name == "FAIL":
        attributes = {ERROR: f"ValueError: <b>no</b> in batch {number}"}
    return optuna.trial.create_trial(
        state=state,
        value=value if state.name == "COMPLETE" else None,
        params=params,
        distributions={p.name: _distribution(p) for p in study.parameters},
        user_attrs=attributes,
    )


def _value(parameter: Any, rng: random.Random) -> Any:
    if parameter.choices:
        return rng.choice(parameter.choices)
    if isinstance(parameter.low, int):
        return rng.randrange(parameter.low, parameter.high + 1, parameter.step or 1)
    return rng.uniform(parameter.low, parameter.high)


def _distribution(parameter: Any) -> Any:
    if parameter.choices:
        return optuna.distributions.CategoricalDistribution(parameter.choices)
    if isinstance(parameter.low, int):
        return optuna.distributions.IntDistribution(
            parameter.low, parameter.high, step=parameter.step or 1
        )
    return optuna.distributions.FloatDistribution(parameter.low, parameter.high, log=parameter.log)
