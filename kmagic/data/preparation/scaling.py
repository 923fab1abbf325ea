"""Scaling of inputs: learned once from the training data, then applied to all later data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kmagic.support.errors import DataError
from kmagic.support.formatting import pluralize
from kmagic.support.suggestions import did_you_mean

ScalingKind: TypeAlias = Literal["none", "255", "standard"]
KINDS: tuple[ScalingKind, ...] = ("none", "255", "standard")

_CHUNK_BYTES = 8_000_000
_GREY_AXES = 3  # of grey images: samples, height, width


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """A scaling of inputs, with the values learned for it.

    Attributes:
        kind: "none", "255" (0..255 to 0..1) or "standard" (mean 0, standard deviation 1).
        mean: For "standard": one mean per column, or per channel of images.
        deviation: For "standard": the standard deviations, 1 for a constant column.
        images: Whether ``mean`` is per channel of images.
    """

    kind: ScalingKind = "none"
    mean: NDArray[np.float32] | None = None
    deviation: NDArray[np.float32] | None = None
    images: bool = False

    def apply(self, x: ArrayLike) -> NDArray[Any]:
        """Scale inputs as the training data was scaled.

        Args:
            x: Raw inputs, samples first; images may be flattened.

        Returns:
            float32 of the same shape; for "none" the inputs unchanged.

        Raises:
            DataError: The number of columns or channels differs from the training data.

        Example:
            >>> Scaling("255").apply([[0, 51, 255]])
            array([[0. , 0.2, 1. ]], dtype=float32)
        """
        array = np.asarray(x)
        if self.kind == "none":
            return array
        if self.kind == "255":
            return _as_float32(np.divide, array, np.float32(255))
        mean, deviation = self.statistics_for(array)
        scaled = _as_float32(np.subtract, array, mean)
        scaled /= deviation
        return scaled

    def inverse(self, x: ArrayLike) -> NDArray[Any]:
        """Undo the scaling: raw values as float32; for "none" the inputs unchanged.

        Example:
            >>> Scaling("255").inverse([[0.2, 1]])
            array([[ 51., 255.]], dtype=float32)
        """
        array = np.asarray(x)
        if self.kind == "none":
            return array
        if self.kind == "255":
            return _as_float32(np.multiply, array, np.float32(255))
        mean, deviation = self.statistics_for(array)
        raw = _as_float32(np.multiply, array, deviation)
        raw += mean
        return raw

    def describe(self) -> str:
        """Describe the scaling in a few words."""
        if self.kind == "none":
            return "not scaled"
        if self.kind == "255":
            return "divided by 255"
        if self.mean is None or self.deviation is None:
            return "not standardized yet"
        if self.mean.size == 1:
            return f"minus {self.mean.item():.4g}, divided by {self.deviation.item():.4g}"
        return f"standardized per {'channel' if self.images else 'column'}"

    def get_config(self) -> dict[str, Any]:
        """Return plain values for JSON, which :meth:`from_config` takes."""
        config: dict[str, Any] = {"kind": self.kind}
        if self.mean is not None and self.deviation is not None:
            config["mean"] = self.mean.tolist()
            config["deviation"] = self.deviation.tolist()
            config["images"] = self.images
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Scaling:
        """Create the scaling that :meth:`get_config` described."""
        learned = {
            name: np.asarray(config[name], dtype=np.float32)
            for name in ("mean", "deviation")
            if name in config
        }
        # Files of earlier versions have "pictures".
        images = bool(config.get("images", config.get("pictures", False)))
        return cls(parse_scaling(config["kind"]), **learned, images=images)

    def statistics_for(
        self, array: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and deviation for the last axis of some inputs, repeated for flattened images."""
        if self.mean is None or self.deviation is None:
            raise DataError(
                "This standard scaling was not fitted to training data.",
                "Create it with `learn_scaling('standard', x_train)` of "
                "kmagic.data.preparation.scaling.",
            )
        size = self.mean.size
        width = array.shape[-1] if array.ndim else 1
        if size in (1, width):
            return self.mean, self.deviation
        if self.images and array.ndim < _GREY_AXES and width % size == 0:
            return np.tile(self.mean, width // size), np.tile(self.deviation, width // size)
        unit = "channels" if self.images else "columns"
        raise DataError(
            f"The scaling was fitted to {size} {unit}; these inputs have {width}.",
            "Pass inputs with the shape of the training data.",
        )


def parse_scaling(value: object) -> ScalingKind:
    """Parse a kind of scaling; None and 255 are accepted, too.

    Example:
        >>> parse_scaling(None), parse_scaling(255), parse_scaling("standard")
        ('none', '255', 'standard')
    """
    word = "none" if value is None else str(value).strip().lower()
    for kind in KINDS:
        if word in (kind, f"{kind}.0", f"/{kind}"):
            return kind
    raise DataError(
        option="scale",
        expected="255, standard or none",
        actual=value,
        remedy=did_you_mean(word, KINDS),
    )


def learn_scaling(kind: ScalingKind, x: NDArray[Any], *, images: bool = False) -> Scaling:
    """Learn a scaling from the training data.

    Args:
        kind: "none", "255" or "standard".
        x: The raw training inputs, samples first.
        images: Whether ``x`` are images, (samples, height, width[, channels]): these are
            standardized per channel, all else per column.

    Example:
        >>> import numpy as np
        >>> learn_scaling("standard", np.array([[0.0, 5.0], [2.0, 5.0]])).apply([[2.0, 5.0]])
        array([[1., 0.]], dtype=float32)
    """
    if kind != "standard":
        return Scaling(kind)
    width = 1 if images and x.ndim <= _GREY_AXES else x.shape[-1]
    mean, deviation = _mean_and_deviation(x.reshape(-1, width))
    if not np.isfinite(deviation).all():
        raise DataError(
            "The training data has no value (nan), or infinity, in "
            f"{pluralize((~np.isfinite(deviation)).sum(), 'column')}, so it has no mean.",
            "Leave these rows out, or replace the values, e.g. with numpy.nan_to_num(x).",
        )
    deviation[deviation == 0] = 1
    return Scaling("standard", mean.astype(np.float32), deviation.astype(np.float32), images)


def _as_float32(operation: np.ufunc, x: NDArray[Any], y: Any) -> NDArray[np.float32]:
    """Compute in float32 from any numeric type, without a copy in between."""
    result: NDArray[np.float32] = operation(x, y, dtype=np.float32, casting="unsafe")
    return result


def _mean_and_deviation(columns: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation in float64, without a float64 copy of all data."""
    rows = max(1, _CHUNK_BYTES // (8 * columns.shape[1]))
    chunks = [columns[start : start + rows] for start in range(0, len(columns), rows)]
    mean = sum(chunk.sum(axis=0, dtype=np.float64) for chunk in chunks) / len(columns)
    squares = sum(np.square(chunk - mean).sum(axis=0) for chunk in chunks)
    return np.asarray(mean), np.sqrt(np.asarray(squares) / len(columns))
