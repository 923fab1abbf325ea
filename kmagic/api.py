"""What takes more than one room of the house: the fit with its views."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kmagic.lineage import remember
from kmagic.run import Display, TrainingRun


def fit(
    model: Any,
    x: Any = None,
    y: Any = None,
    *,
    displays: Iterable[Display] | None = None,
    earlier: Iterable[TrainingRun] = (),
    **keywords: Any,
) -> TrainingRun:
    """Train a compiled model with a live view.

    As :func:`kmagic.training.fit.fit`, which says what the arguments are; the views are chosen by
    where it runs: a widget in a notebook, a line an epoch in a terminal, and what
    ``KMAGIC_DISPLAY`` says before all.

    Args:
        model: A compiled ``keras.Model``.
        x: Inputs.
        y: Targets.
        displays: Views to use instead of the chosen ones; an empty list shows nothing.
        earlier: Runs to compare with: the last three of the same model are drawn faintly behind
            this one's curves.
        **keywords: Those of ``model.fit``: ``epochs``, ``batch_size``, ``validation_data`` ...

    Returns:
        The run: ``run.history``, ``run.status``, ``run.to_frame()``, ``run.plot()``.

    Raises:
        TrainingError: The model is not compiled, or does not fit the data.

    Example:
        >>> import keras, numpy
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="line")
        >>> model.compile("sgd", "mse")
        >>> run = fit(model, numpy.ones((64, 2)), numpy.ones((64, 1)), epochs=2, displays=[])
        >>> run.status
        'done'
    """
    from kmagic.data.dataset import dataset_of  # noqa: PLC0415 - not needed before a fit
    from kmagic.display.ghosts import Behind  # noqa: PLC0415 - not needed before a fit
    from kmagic.display.live import displays_for  # noqa: PLC0415 - not needed before a fit
    from kmagic.training.fit import fit as train  # noqa: PLC0415 - not needed before a fit

    views = list(displays_for()) if displays is None else list(displays)
    run = train(model, x, y, displays=[Behind(earlier), *views], **keywords)
    data = dataset_of(x)
    if data is not None:
        remember(model, data)
    return run
