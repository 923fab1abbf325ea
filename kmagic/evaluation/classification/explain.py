"""What a model looked at: the places of a picture that speak for a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.evaluation.classification.classification import class_probabilities
from kmagic.evaluation.prediction.batch_prediction import predict_batch
from kmagic.support.formatting import isolate_direction, shorten_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kmagic.evaluation.classification.image_preprocessor import ImageSize
    from kmagic.evaluation.prediction.batch_prediction import Shape

STRONG = 0.5  # of the strongest: what counts as looked at
FAINT = 0.005  # probability: what hiding a place must cost at least to be worth telling
WHOLE = 0.6  # share of the picture from which on a place is no place any more
AT_ONCE = 32  # changed copies of a picture that are asked for together
COARSE, FINE, SMALL = 12, 14, 64  # places a side on large and on small pictures, pixels of small


@dataclass(frozen=True, eq=False, slots=True)
class Explanation:
    """The places of one picture that speak for a class.

    Attributes:
        label: The class.
        heat: How much each place speaks for it, from 0 to 1 for the strongest, shape (rows,
            columns) over the whole picture; all 0 where nothing does.
        method: How it was found, in a reader's words.
        probability: What the model gives the class, where the class was asked for by its name.
    """

    label: str
    heat: NDArray[np.float32]
    method: str
    probability: float | None = None

    @property
    def area(self) -> float:
        """Share of the picture that speaks at least half as much as its strongest place."""
        return float(np.mean(self.heat >= STRONG))

    def where(self) -> str:
        """The place in words: "the top left, 12% of the picture".

        Example:
            >>> heat = np.zeros((8, 8), np.float32)
            >>> heat[:2, :2] = 1
            >>> Explanation("cat", heat, "").where()
            'the top left, 6% of the picture'
        """
        strong = self.heat >= STRONG
        if not self.heat.any():
            return "no single place"
        if self.area > WHOLE:
            return "nearly the whole picture"
        rows, columns = (axis + 0.5 for axis in np.nonzero(strong))
        weights = self.heat[strong]
        down, along = (
            int(3 * np.average(axis, weights=weights) / length)
            for axis, length in zip((rows, columns), strong.shape, strict=True)
        )
        place = f"{('top', 'middle', 'bottom')[down]} {('left', 'centre', 'right')[along]}"
        place = {"middle centre": "centre", "middle left": "left", "middle right": "right"}.get(
            place, place
        )
        return f"the {place}, {self.area:.0%} of the picture"

    def words(self) -> str:
        """The whole in words: "for tusker it looks at the centre, 12% of the picture"."""
        share = "" if self.probability is None else f" ({self.probability:.1%})"
        return f"for {isolate_direction(shorten_name(self.label, 60))}{share} it looks at {self.where()}"


def explain(
    model: Any, batch: NDArray[Any], classes: Sequence[int], *, size: ImageSize, shape: Shape | None
) -> tuple[list[NDArray[np.float32]], str]:
    """Where in some pictures the model sees a class.

    By Grad-CAM, the slope of the class's score in the last convolutional feature map (Selvaraju
    et al. 2017, doi:10.1109/ICCV.2017.74); for models without such a map by occlusion, what hiding
    a place costs (Zeiler and Fergus 2014).

    Args:
        model: The model.
        batch: Pictures as the model takes them, the first axis counts them.
        classes: Position of the class that is asked for, one a picture.
        size: The pictures' size.
        shape: Shape of the model's samples.

    Returns:
        A heat a picture, and how it was found.
    """
    from kmagic.evaluation.classification.gradcam import grad_cam  # noqa: PLC0415 - knows Keras

    found = grad_cam(model, batch, classes)
    if found is not None:
        return found
    places = FINE if max(size.height or SMALL, size.width or SMALL) <= SMALL else COARSE
    return [
        occlusion(model, picture, wanted, size=size, shape=shape, places=places)
        for picture, wanted in zip(batch, classes, strict=True)
    ], "what hiding it takes away (occlusion)"


def occlusion(
    model: Any,
    picture: NDArray[Any],
    wanted: int,
    *,
    size: ImageSize,
    shape: Shape | None = None,
    places: int = FINE,
) -> NDArray[np.float32]:
    """How much probability a class loses when a place is hidden.

    A square three steps long moves over the picture. What it hides takes the picture's median,
    which is the ground of a drawing and the middle tone of a photo.

    Args:
        model: A Keras model, or anything with ``predict_on_batch``.
        picture: One picture as the model takes it.
        wanted: Position of the class.
        size: The picture's size.
        shape: Shape of the model's samples.
        places: Steps of the square along a side.

    Returns:
        Shape (places, places) at most, from 0 to 1; all 0 where hiding costs nothing.
    """
    whole = picture
    if size.flat:
        whole = picture.reshape(size.height or 1, size.width or 1, size.channels)
    tops, lefts = (_squares(side, places) for side in whole.shape[:2])
    squares = [(top, left) for top in tops for left in lefts]
    ground = np.median(whole, axis=(0, 1))
    odds: list[NDArray[np.float64]] = []
    for start in range(0, len(squares), AT_ONCE):
        hidden = np.repeat(whole[None], len(squares[start : start + AT_ONCE]), axis=0)
        for copy, (top, left) in zip(hidden, squares[start:], strict=False):
            copy[top, left] = ground
        answers = predict_batch(model, hidden.reshape(-1, *picture.shape), shape)
        odds.append(class_probabilities(answers)[:, wanted])
    before = class_probabilities(predict_batch(model, picture[None], shape))[0, wanted]
    lost = np.maximum(before - np.concatenate(odds), 0).reshape(len(tops), len(lefts))
    most = lost.max()
    if most < FAINT:
        return np.zeros(lost.shape, np.float32)
    return np.asarray(lost / most, dtype=np.float32)


def _squares(side: int, places: int) -> list[slice]:
    """Where the square stands along a side: three steps long, but for the ends."""
    count = min(places, side)
    edges = np.linspace(0, side, count + 1).round().astype(int).tolist()
    return [slice(edges[max(k - 1, 0)], edges[min(k + 2, count)]) for k in range(count)]
