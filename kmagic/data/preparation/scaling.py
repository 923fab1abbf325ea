"""How inputs were scaled: learned once on the training part, applied to all that comes later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from kmagic.support.errors import DataError
from kmagic.support.suggestions import did_you_mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Kind: TypeAlias = Literal["none", "255", "standard"]
KINDS: tuple[Kind, ...] = ("none", "255", "standard")

_CHUNK_BYTES = 32_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """A scaling of inputs, with what was learned for it.

    Attributes:
        kind: "none", "255" (bytes to 0..1) or "standard" (mean 0, standard deviation 1).
        mean: For "standard": a mean a column, or a channel of pictures.
        deviation: For "standard": a standard deviation likewise, 1 where a column is constant.
        pictures: Whether ``mean`` counts the channels of pictures, not columns.
    """

    kind: Kind = "none"
    mean: NDArray[np.float32] | None = None
    deviation: NDArray[np.float32] | None = None
    pictures: bool = False

    def apply(self, x: ArrayLike) -> NDArray[Any]:
        """Scale inputs as the training part was scaled.

        Args:
            x: Raw inputs, rows first; pictures may be flat or not.

        Returns:
            float32 of the same shape; for "none" the inputs as they are.

        Raises:
            DataError: If the columns are not those of the training part.

        Example:
            >>> Scaling("255").apply([[0, 51, 255]])
            array([[0. , 0.2, 1. ]], dtype=float32)
        """
        array = np.asarray(x)
        if self.kind == "none":
            return array
        if self.kind == "255":
            return _float(np.divide, array, np.float32(255))
        mean, deviation = self._fitted(array)
        scaled = _float(np.subtract, array, mean)
        scaled /= deviation
        return scaled

    def inverse(self, x: ArrayLike) -> NDArray[Any]:
        """Raw values of scaled inputs, float32; for "none" the inputs as they are.

        Example:
            >>> Scaling("255").inverse([[0.2, 1]])
            array([[ 51., 255.]], dtype=float32)
        """
        array = np.asarray(x)
        if self.kind == "none":
            return array
        if self.kind == "255":
            return _float(np.multiply, array, np.float32(255))
        mean, deviation = self._fitted(array)
        raw = _float(np.multiply, array, deviation)
        raw += mean
        return raw

    def describe(self) -> str:
        """What is done to a value, in a few words."""
        if self.kind == "none":
            return "not scaled"
        if self.kind == "255":
            return "divided by 255"
        if self.mean is None or self.deviation is None:
            return "to be standardised"
        if self.mean.size == 1:
            return f"less {self.mean.item():.4g}, divided by {self.deviation.item():.4g}"
        return f"standardised by {'channel' if self.pictures else 'column'}"

    def get_config(self) -> dict[str, Any]:
        """Plain values that :meth:`from_config` takes, fit for JSON."""
        config: dict[str, Any] = {"kind": self.kind}
        if self.mean is not None and self.deviation is not None:
            config["mean"] = self.mean.tolist()
            config["deviation"] = self.deviation.tolist()
            config["pictures"] = self.pictures
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Scaling:
        """The scaling that :meth:`get_config` described.

        Example:
            >>> Scaling.from_config({"kind": "255"}).describe()
            'divided by 255'
        """
        if "mean" not in config:
            return cls(parse_scaling(config["kind"]))
        return cls(
            parse_scaling(config["kind"]),
            np.asarray(config["mean"], dtype=np.float32),
            np.asarray(config["deviation"], dtype=np.float32),
            bool(config["pictures"]),
        )

    def _fitted(self, array: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and deviation in the length of the last axis."""
        if self.mean is None or self.deviation is None:
            raise DataError(
                "This standard scaling has not seen a training part.",
                "Make it with kmagic.data.preparation.scaling.learn_scaling('standard', x_train).",
            )
        if self.mean.size == 1:
            return self.mean, self.deviation
        wide = array.shape[-1] if array.ndim else 1
        if wide == self.mean.size:
            return self.mean, self.deviation
        flat = 2
        if self.pictures and array.ndim <= flat and wide % self.mean.size == 0:
            times = wide // self.mean.size
            return np.tile(self.mean, times), np.tile(self.deviation, times)
        what = "channels" if self.pictures else "columns"
        raise DataError(
            f"The scaling was learned on {self.mean.size} {what}; these inputs have {wide}.",
            "Give inputs with the training part's layout.",
        )


def parse_scaling(value: object) -> Kind:
    """The kind of scaling that a user's word means: None and 255 are words too.

    Raises:
        DataError: If it is no kind of scaling.

    Example:
        >>> parse_scaling(None), parse_scaling(255), parse_scaling("standard")
        ('none', '255', 'standard')
    """
    word = "none" if value is None else str(value).strip().lower()
    for kind in KINDS:
        if word in (kind, f"{kind}.0", f"/{kind}"):
            return kind
    remedy = did_you_mean(word, KINDS)
    raise DataError(
        f"scale={value!r} is not a scaling: expected 255, standard or none.", remedy
    ) from None


def learn_scaling(kind: Kind, x: NDArray[Any], *, pictures: bool = False) -> Scaling:
    """Learn a scaling from the training part.

    Args:
        kind: "none", "255" or "standard".
        x: The training inputs, rows first, not scaled. Standard scaling of pictures goes by
            channel, a single one where they have no axis of channels; all else by column.
        pictures: Whether ``x`` is pictures, (rows, height, width[, channels]).

    Example:
        >>> import numpy as np
        >>> learn_scaling("standard", np.array([[0.0, 5.0], [2.0, 5.0]])).apply([[2.0, 5.0]])
        array([[1., 0.]], dtype=float32)
    """
    if kind != "standard":
        return Scaling(kind)
    with_channels = 4
    single = pictures and x.ndim < with_channels
    columns = x.reshape(-1, 1) if single else x.reshape(-1, x.shape[-1])
    mean, deviation = _moments(columns)
    deviation[deviation == 0] = 1
    return Scaling("standard", mean.astype(np.float32), deviation.astype(np.float32), pictures)


def _float(work: np.ufunc, x: NDArray[Any], y: Any) -> NDArray[np.float32]:
    """Work in float32 from any type of number, without a copy in between."""
    done: NDArray[np.float32] = work(x, y, dtype=np.float32, casting="unsafe")
    return done


def _moments(columns: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation in float64, without a float64 copy of all the data."""
    rows = max(1, _CHUNK_BYTES // (8 * columns.shape[1]))
    chunks = [columns[at : at + rows] for at in range(0, len(columns), rows)]
    mean = sum(chunk.sum(axis=0, dtype=np.float64) for chunk in chunks) / len(columns)
    squares = sum(np.square(chunk - mean).sum(axis=0) for chunk in chunks)
    return np.asarray(mean), np.sqrt(np.asarray(squares) / len(columns))
