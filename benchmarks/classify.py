"""What a folder of photos costs: kmagic.classify against one load_img and predict a photo.

1,000 JPEG files of 640 x 480 pixels go through MobileNetV2, decoding included. They are cut from
the photos of ../shared/data, the weights are of there too; without that folder the photos are
noise, and so are the weights, which costs the same time. One at a time is measured on a part,
before and after, in the same run. The memory is that of the process while it classifies: the
photos are 0.9 GB when they are decoded.

    python benchmarks/classify.py [--photos 1000] [--one 60]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

import numpy as np

SHARED = Path(__file__).parents[2] / "shared" / "data"
WIDE, HIGH = 640, 480
GOAL = 0.2


def make_photos(folder: Path, number: int) -> None:
    """Parts of the photos, or noise that is as hard to decode."""
    from PIL import Image  # noqa: PLC0415 - Keras is to be started first, with its home set

    random = np.random.default_rng(0)
    paths = sorted((SHARED / "photos").glob("*.[jp][pn]g"))
    photos = [Image.open(path).convert("RGB") for path in paths]
    for k in range(number):
        if photos:
            whole = photos[k % len(photos)]
            part = [round(side * random.uniform(0.6, 1)) for side in whole.size]
            left, top = (random.integers(0, a - b + 1) for a, b in zip(whole.size, part))  # noqa: B905 - two each
            photo = whole.crop((left, top, left + part[0], top + part[1]))
        else:
            photo = Image.fromarray(random.integers(0, 256, (60, 80, 3), dtype=np.uint8))
        photo.resize((WIDE, HIGH), Image.Resampling.BICUBIC).save(folder / f"{k}.jpg", quality=90)


class Memory:
    """The most memory that the process holds while the context lasts, in MB above its start."""

    def __enter__(self) -> Self:
        self.start = self.most = self._now()
        self._over = threading.Event()
        self._watching = threading.Thread(target=self._watch)
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watching.join()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.most = max(self.most, self._now())

    @staticmethod
    def _now() -> float:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    @property
    def grown(self) -> float:
        """MB."""
        return self.most - self.start


def one_by_one(model: object, paths: list[Path]) -> float:
    """Seconds a photo, as Keras's own examples do it."""
    import keras  # noqa: PLC0415 - as above

    preprocess = keras.applications.mobilenet_v2.preprocess_input
    began = time.perf_counter()
    for path in paths:
        image = keras.utils.load_img(path, target_size=(224, 224))
        pixels = preprocess(keras.utils.img_to_array(image)[None])
        model.predict(pixels, verbose=0)
    return (time.perf_counter() - began) / len(paths)


def main() -> None:
    """Measure and print; fails if the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--one", type=int, default=60)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home, folder = Path(name, "keras"), Path(name, "photos")
        home.mkdir()
        folder.mkdir()
        os.environ |= {
            "KERAS_HOME": str(home),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "KMAGIC_DISPLAY": "none",
        }
        if SHARED.is_dir():
            installer = [sys.executable, SHARED / "install_keras_home.py", home]
            subprocess.run(installer, check=True, stdout=subprocess.DEVNULL)
        import keras  # noqa: PLC0415 - its home is set now

        import kmagic  # noqa: PLC0415 - as above

        make_photos(folder, asked.photos)
        weights = "imagenet" if SHARED.is_dir() else None
        model = keras.applications.MobileNetV2(weights=weights)
        names = None if SHARED.is_dir() else [str(k) for k in range(1000)]
        paths = sorted(folder.iterdir())
        one_by_one(model, paths[:3])
        kmagic.classify(paths[:64], model, app="MobileNetV2", classes=names)

        part = paths[: asked.one // 2]
        slow = one_by_one(model, part)
        with Memory() as memory:
            began = time.perf_counter()
            found = kmagic.classify(folder, model, app="MobileNetV2", classes=names)
            fast = (time.perf_counter() - began) / len(paths)
        slow = (slow + one_by_one(model, part)) / 2
    ratio = fast / slow
    print(f"{len(found):,} photos of {WIDE} x {HIGH}, {len(found.errors)} unreadable")
    print(f"kmagic.classify    {fast * 1e3:6.1f} ms a photo, {fast * len(found):.1f} s in all")
    print(f"load_img, predict  {slow * 1e3:6.1f} ms a photo")
    print(f"ratio              {ratio:6.3f} (goal: {GOAL})")
    print(f"memory             {memory.grown:6.0f} MB more than before")
    if ratio > GOAL:
        sys.exit("missed the goal")


if __name__ == "__main__":
    main()
