"""Explanations: the regions of an image that support a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.evaluation.confusion.label_arrays import to_probabilities
from kmagic.evaluation.prediction.batch_prediction import predict_batch
from kmagic.support.formatting import isolate_direction, shorten_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kmagic.evaluation.classification.image_preprocessor import ImageSize
    from kmagic.models.model_arrays import Shape

STRONG = 0.5  # of the maximum: what counts as supporting the class
MIN_EFFECT = 0.005  # probability that occlusion must change
MAX_AREA = 0.6  # share of the image above which no location is named
OCCLUSION_BATCH = 32  # modified copies of an image per batch
COARSE, FINE, SMALL = 12, 14, 64  # steps per side on large and small images, pixels of small ones


@dataclass(frozen=True, eq=False, slots=True)
class Explanation:
    """The regions of one image that support a class.

    Attributes:
        label: The class.
        heatmap: Support of each region, from 0 to 1 for the strongest, shape (rows, columns) over
            the whole image; all 0 if no region supports the class.
        method: How it was computed, in words.
        probability: Probability of the class, if the user chose it.
    """

    label: str
    heatmap: NDArray[np.float32]
    method: str
    probability: float | None = None

    @property
    def area(self) -> float:
        """Share of the image with at least half of the maximal support."""
        return float(np.mean(self.heatmap >= STRONG))

    def location(self) -> str:
        """The main region in words: "mainly at the top left (12 % of the image)".

        Example:
            >>> heatmap = np.zeros((8, 8), np.float32)
            >>> heatmap[:2, :2] = 1
            >>> Explanation("cat", heatmap, "").location()
            'mainly at the top left (6 % of the image)'
        """
        strong = self.heatmap >= STRONG
        if not self.heatmap.any():
            return "at no particular region"
        if self.area > MAX_AREA:
            return "at nearly the whole image"
        row, column = (
            int(3 * np.average(indices + 0.5, weights=self.heatmap[strong]) / length)
            for indices, length in zip(np.nonzero(strong), strong.shape, strict=True)
        )
        words = [("top", "", "bottom")[row], ("left", "", "right")[column]]
        centred = {("top", ""): "top centre", ("bottom", ""): "bottom centre", ("", ""): "centre"}
        place = centred.get((words[0], words[1])) or " ".join(filter(None, words))
        return f"mainly at the {place} ({100 * self.area:.0f} % of the image)"

    def to_text(self) -> str:
        """For the card: 'for "tusker" the model looks mainly at the centre (12 % of the image)'."""
        name = isolate_direction(shorten_name(self.label, 60))
        share = "" if self.probability is None else f" ({self.probability:.1%})"
        return f'for "{name}"{share} the model looks {self.location()}'


def explain_images(
    model: Any, batch: NDArray[Any], classes: Sequence[int], *, size: ImageSize, shape: Shape | None
) -> tuple[list[NDArray[np.float32]], str]:
    """The regions that support a class, for some images.

    By Grad-CAM, the gradient of the class score in the last convolutional feature map (Selvaraju
    et al. 2017, doi:10.1109/ICCV.2017.74); for models without one by occlusion, the loss in
    probability when a region is hidden (Zeiler and Fergus 2014).

    Returns:
        A heatmap per image, and the method in words.
    """
    from kmagic.evaluation.classification.gradcam import grad_cam  # noqa: PLC0415 - needs Keras

    result = grad_cam(model, batch, classes)
    if result is not None:
        return result
    steps = FINE if max(size.height or SMALL, size.width or SMALL) <= SMALL else COARSE
    return [
        occlusion(model, image, index, size=size, shape=shape, steps=steps)
        for image, index in zip(batch, classes, strict=True)
    ], "the effect of hiding it (occlusion)"


def occlusion(
    model: Any,
    image: NDArray[Any],
    class_index: int,
    *,
    size: ImageSize,
    shape: Shape | None = None,
    steps: int = FINE,
) -> NDArray[np.float32]:
    """How much probability a class loses when a region is hidden.

    A square of three steps moves over the image and is filled with the image's median: the
    background of a drawing, the average tone of a photo.

    Returns:
        Shape (steps, steps) at most, from 0 to 1; all 0 if hiding has no effect.
    """
    pixels = image
    if size.flat:
        pixels = image.reshape(size.height or 1, size.width or 1, size.channels)
    tops, lefts = (_squares(side, steps) for side in pixels.shape[:2])
    squares = [(top, left) for top in tops for left in lefts]
    background = np.median(pixels, axis=(0, 1))
    hidden_probabilities: list[NDArray[np.float64]] = []
    for start in range(0, len(squares), OCCLUSION_BATCH):
        chunk = squares[start : start + OCCLUSION_BATCH]
        copies = np.repeat(pixels[None], len(chunk), axis=0)
        for copy, (top, left) in zip(copies, chunk, strict=True):
            copy[top, left] = background
        output = predict_batch(model, copies.reshape(-1, *image.shape), shape)
        hidden_probabilities.append(to_probabilities(output)[:, class_index])
    probability = to_probabilities(predict_batch(model, image[None], shape))[0, class_index]
    lost = np.maximum(probability - np.concatenate(hidden_probabilities), 0)
    heatmap = lost.reshape(len(tops), len(lefts)) / max(lost.max(), MIN_EFFECT)
    return np.asarray(heatmap if lost.max() >= MIN_EFFECT else 0 * heatmap, dtype=np.float32)


def _squares(side: int, steps: int) -> list[slice]:
    """The positions of the square along a side: three steps long, except at the ends."""
    count = min(steps, side)
    edges = np.linspace(0, side, count + 1).round().astype(int).tolist()
    return [slice(edges[max(k - 1, 0)], edges[min(k + 2, count)]) for k in range(count)]
