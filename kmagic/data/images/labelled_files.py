"""Files with classes, divided into the two parts before any of them is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.assemble import check_classes, divide
from kmagic.support.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from kmagic.data.folders import Folder
    from kmagic.data.load_options import Options


@dataclass(frozen=True, eq=False, slots=True)
class Files:
    """Files of one part, and what belongs to each: the number of its class, or a value."""

    files: list[Path]
    labels: NDArray[Any]

    def only(self, good: Sequence[bool]) -> Files:
        """Those that are good."""
        kept = np.flatnonzero(good)
        return Files([self.files[at] for at in kept], self.labels[kept])

    def at(self, places: NDArray[Any]) -> Files:
        """Those at some places, in that order."""
        return Files([self.files[at] for at in places], self.labels[places])


def divide_files(
    folder: Folder, options: Options, name: str
) -> tuple[list[Files], tuple[str, ...]]:
    """The files of the training and of the test part, shuffled, and the names of the classes.

    Args:
        folder: What was found.
        options: The division, the seed, the order of the classes.
        name: What the set is called.

    Raises:
        DataError: A class has too few files, or is in the test part only.
    """
    if options.task == "regression":
        raise DataError(
            f"{name} is a folder of classes; regression needs numbers.",
            "Leave task out, or give arrays: load_data((x, y)).",
        )
    classes, order = folder.classes, np.arange(len(folder.classes))
    if options.class_names is not None:
        if sorted(options.class_names) != sorted(classes):
            raise DataError(
                f"class_names is {', '.join(options.class_names)}; the folders of {name} are "
                f"{', '.join(classes)}.",
                "Name all folders, in the order in which their classes are to be numbered.",
            )
        order = np.array([options.class_names.index(each) for each in classes])
        classes = options.class_names
    groups = [folder.train] + ([folder.test] if folder.test else [])
    parts = [
        Files(list(group.files), order[np.array(group.labels, dtype=np.int64)].astype(np.int64))
        for group in groups
    ]
    if len(parts) > 1 and options.split is None:
        check_classes(parts[0].labels, parts[1].labels, classes, name)
        rng = np.random.default_rng(options.seed)
        return [part.at(rng.permutation(len(part.files))) for part in parts], classes
    every = Files(
        [file for part in parts for file in part.files],
        np.concatenate([part.labels for part in parts]),
    )
    train, test = divide(len(every.files), options, name, every.labels, classes)
    return [every.at(train), every.at(test)], classes
