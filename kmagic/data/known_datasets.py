"""The datasets that are known by name: one table row each.

Files, URLs and hashes are those of Keras's own loaders, so that a message can say which file goes
where before Keras is imported; a test compares this table with Keras.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kmagic.support.downloads import CachedFile
from kmagic.support.messages import Option, Text

_HASHES = {
    "boston_housing.npz": "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5",
    "california_housing.npz": "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f",
    "cifar-10-python.tar.gz": "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    "cifar-100-python.tar.gz": "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    "imdb.npz": "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    "mnist.npz": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    "reuters.npz": "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916",
}
"""SHA-256 of each file, where Keras checks it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDataset:
    """A dataset that ``keras.datasets.NAME`` loads.

    Attributes:
        files: The files that its loader reads.
        classes: Names of the classes in the order of the labels; None for regression.
        target: What is predicted, for regression.
        remark: What its users should know.
        remark_column: The column that the remark is about, if it is about one.
        bundled: File in ``samples/`` that is identical to the one that Keras downloads.
        sample: File in ``samples/`` that replaces the dataset where it is not available.
    """

    name: str
    kind: Literal["images", "table", "text"]
    files: tuple[CachedFile, ...]
    title: str
    classes: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    target: str = ""
    remark: str | Text = ""
    remark_column: str | None = None
    bundled: str = ""
    sample: str = ""


def keras_file(name: str, folder: str = "datasets") -> CachedFile:
    """A file that Keras downloads from its own server."""
    base = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
    return CachedFile(name, base + name, _HASHES.get(name, ""), folder)


def _cifar_file(name: str, download: str) -> CachedFile:
    return CachedFile(name, f"https://www.cs.toronto.edu/~kriz/{download}", _HASHES[download])


_FASHION_FILES = tuple(
    keras_file(name, folder="datasets/fashion-mnist")
    for name in (
        "train-labels-idx1-ubyte.gz",
        "train-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
    )
)

_FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip

_CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

_CIFAR100_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
    "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle",
    "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
    "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox",
    "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom",
    "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road",
    "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake",
    "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone",
    "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip

_REUTERS_CLASSES = (
    "cocoa", "grain", "veg-oil", "earn", "acq", "wheat", "copper", "housing", "money-supply",
    "coffee", "sugar", "trade", "reserves", "ship", "cotton", "carcass", "crude", "nat-gas",
    "cpi", "money-fx", "interest", "gnp", "meal-feed", "alum", "oilseed", "gold", "tin",
    "strategic-metal", "livestock", "retail", "ipi", "iron-steel", "rubber", "heat", "jobs",
    "lei", "bop", "zinc", "orange", "pet-chem", "dlr", "gas", "silver", "wpi", "hog", "lead",
)  # fmt: skip

_BOSTON_COLUMNS = (
    "CRIM", "ZN", "INDUS", "CHAS", "NOX", "RM", "AGE", "DIS", "RAD", "TAX", "PTRATIO", "B",
    "LSTAT",
)  # fmt: skip

_CALIFORNIA_COLUMNS = (
    "MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude",
    "Longitude",
)  # fmt: skip

KNOWN_DATASETS = {
    dataset.name: dataset
    for dataset in (
        KnownDataset(
            name="boston_housing",
            kind="table",
            files=(keras_file("boston_housing.npz"),),
            title="houses around Boston, 1978",
            columns=_BOSTON_COLUMNS,
            target="median house price in 1,000 $",
            remark=Text(
                'Column "B" (index 11) is computed from the share of Black residents, on a '
                "contested assumption about segregation and prices. Leave it out (",
                Option("drop", "B"),
                ") unless that is the lesson.",
            ),
            remark_column="B",
            bundled="boston_housing.npz",
        ),
        KnownDataset(
            name="california_housing",
            kind="table",
            files=(keras_file("california_housing.npz"),),
            title="districts of California, 1990",
            columns=_CALIFORNIA_COLUMNS,
            target="median house price in $",
        ),
        KnownDataset(
            name="mnist",
            kind="images",
            files=(keras_file("mnist.npz"),),
            title="handwritten digits",
            classes=tuple("0123456789"),
            sample="mnist_sample.npz",
        ),
        KnownDataset(
            name="fashion_mnist",
            kind="images",
            files=_FASHION_FILES,
            title="pieces of clothing",
            classes=_FASHION_CLASSES,
        ),
        KnownDataset(
            name="cifar10",
            kind="images",
            files=(_cifar_file("cifar-10-batches-py-target_archive", "cifar-10-python.tar.gz"),),
            title="small colour photos",
            classes=_CIFAR10_CLASSES,
        ),
        KnownDataset(
            name="cifar100",
            kind="images",
            files=(_cifar_file("cifar-100-python-target_archive", "cifar-100-python.tar.gz"),),
            title="small colour photos",
            classes=_CIFAR100_CLASSES,
        ),
        KnownDataset(
            name="imdb",
            kind="text",
            files=(keras_file("imdb.npz"),),
            title="film reviews as word indices",
            classes=("negative", "positive"),
        ),
        KnownDataset(
            name="reuters",
            kind="text",
            files=(keras_file("reuters.npz"),),
            title="newswires as word indices",
            classes=_REUTERS_CLASSES,
        ),
    )
}
"""Name -> dataset."""
