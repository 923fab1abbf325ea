"""The data sets known by name: one row each, and one mechanism for all.

Files, addresses and hashes are those of Keras's own loaders, so that a message can say which
file goes where before Keras is even imported; a test holds this table against Keras.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from kmagic.support.downloads import CachedFile

Kind: TypeAlias = Literal["pictures", "table", "text"]

_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_TORONTO = "https://www.cs.toronto.edu/~kriz/"


@dataclass(frozen=True, slots=True)
class KnownDataset:
    """A data set with a name: ``keras.datasets.NAME`` loads it.

    Attributes:
        name: Keras's name for it.
        kind: What a row is.
        files: What its loader reads.
        classes: Names of the classes in the order of the labels; None for regression.
        columns: Names of a table's columns, where they are known.
        target: What is to be predicted, for regression.
        remark: What whoever uses it should know.
        brought: File in ``samples/`` that is the very file Keras fetches.
        sample: File in ``samples/`` that stands in for the whole.
        title: What it is, in a few words.
        contested: The column that the remark is about, if it is about one.
    """

    name: str
    kind: Kind
    files: tuple[CachedFile, ...]
    classes: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    target: str = ""
    remark: str = ""
    brought: str = ""
    sample: str = ""
    title: str = field(default="", kw_only=True)
    contested: str | None = field(default=None, kw_only=True)


def _file(name: str, sha256: str) -> CachedFile:
    return CachedFile(name, _KERAS + name, sha256)


_FASHION = tuple(
    CachedFile(each, _KERAS + each, folder="datasets/fashion-mnist")
    for each in (
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

ENTRIES = (
    KnownDataset(
        "boston_housing",
        "table",
        (
            _file(
                "boston_housing.npz",
                "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5",
            ),
        ),
        columns=_BOSTON_COLUMNS,
        target="median house price in 1,000 $",
        remark=(
            'Column "B" (index 11) is made from the share of Black residents, on a contested '
            "assumption about segregation and prices: leave it out (drop B) unless that is the "
            "lesson."
        ),
        contested="B",
        brought="boston_housing.npz",
        title="houses around Boston, 1978",
    ),
    KnownDataset(
        "california_housing",
        "table",
        (
            _file(
                "california_housing.npz",
                "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f",
            ),
        ),
        columns=_CALIFORNIA_COLUMNS,
        target="median house price in $",
        title="districts of California, 1990",
    ),
    KnownDataset(
        "mnist",
        "pictures",
        (_file("mnist.npz", "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"),),
        classes=tuple("0123456789"),
        sample="mnist_sample.npz",
        title="handwritten digits",
    ),
    KnownDataset(
        "fashion_mnist", "pictures", _FASHION, classes=_FASHION_CLASSES, title="pieces of clothing"
    ),
    KnownDataset(
        "cifar10",
        "pictures",
        (
            CachedFile(
                "cifar-10-batches-py-target_archive",
                _TORONTO + "cifar-10-python.tar.gz",
                "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            ),
        ),
        classes=_CIFAR10_CLASSES,
        title="small colour photos",
    ),
    KnownDataset(
        "cifar100",
        "pictures",
        (
            CachedFile(
                "cifar-100-python-target_archive",
                _TORONTO + "cifar-100-python.tar.gz",
                "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
            ),
        ),
        classes=_CIFAR100_CLASSES,
        title="small colour photos",
    ),
    KnownDataset(
        "imdb",
        "text",
        (_file("imdb.npz", "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"),),
        classes=("negative", "positive"),
        title="film reviews as word numbers",
    ),
    KnownDataset(
        "reuters",
        "text",
        (_file("reuters.npz", "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"),),
        classes=_REUTERS_CLASSES,
        title="newswires as word numbers",
    ),
)

KNOWN_DATASETS = {entry.name: entry for entry in ENTRIES}
