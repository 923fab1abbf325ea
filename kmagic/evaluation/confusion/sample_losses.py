"""How wrong each sample is: the loss, and the worst of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kmagic.support.errors import EvaluationError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.label_arrays import Targets

EPSILON = float(np.finfo(np.float64).eps)  # scikit-learn's log_loss cuts probabilities there


def sample_losses(targets: Targets) -> NDArray[np.float64]:
    """The cross-entropy of each sample: minus the logarithm of the true class's probability.

    Args:
        targets: What is true and what the model said of it.

    Returns:
        Shape (n,); its mean is scikit-learn's ``log_loss`` where the probabilities sum to 1.

    Raises:
        EvaluationError: Only classes are known, no probabilities.
    """
    sure = None if targets.scores is None else targets.scores.of(targets.true)
    if sure is None:
        came = "only predicted classes" if targets.scores is None else "logits of one output"
        raise EvaluationError(
            f"A loss needs the probability of each class; {came} came.",
            "Give what model.predict(x) answers as y_pred.",
        )
    return -np.log(np.clip(sure, EPSILON, 1 - EPSILON))


def worst_samples(targets: Targets, n: int) -> pd.DataFrame:
    """The samples with the highest loss, worst first.

    Args:
        targets: What is true and what the model said of it.
        n: How many.

    Returns:
        The index is the sample's number; columns: true, predicted (names), probability (of the
        predicted class), true_probability, loss.
    """
    import pandas as pd  # noqa: PLC0415 - half a second to import

    losses = sample_losses(targets)
    numbers = _largest(losses, n)
    sure = targets.confidence
    assert sure is not None  # noqa: S101 - there are losses, so there are probabilities
    names = np.array(targets.names, dtype=object)
    return pd.DataFrame(
        {
            "true": names[targets.true[numbers]],
            "predicted": names[targets.predicted[numbers]],
            "probability": sure[numbers],
            "true_probability": np.exp(-losses[numbers]),
            "loss": losses[numbers],
        },
        index=pd.Index(numbers, name="sample"),
    )


def _largest(values: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """Places of the ``n`` largest, largest first, the earlier of equal ones first."""
    if n < len(values):
        bound = np.partition(values, len(values) - n)[len(values) - n]
        near = np.flatnonzero(values >= bound)
    else:
        near = np.arange(len(values))
    return near[np.argsort(-values[near], kind="stable")][:n]
