"""Time and memory of classifying a folder of photos, compared with load_img and predict per photo.

1,000 JPEG files of 640 x 480 pixels are classified by MobileNetV2, including decoding. They are
cropped from the photos of ../shared/data, which also has the weights; without that folder photos
and weights are random, which takes the same time. One photo at a time is measured on a part of
them, before and after, in the same run. The memory is that of the process during the
classification; the decoded photos would need 0.9 GB.

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
WIDTH, HEIGHT = 640, 480
MAX_RATIO = 0.2


def make_photos(folder: Path, number: int) -> None:
    """Write crops of the photos, or noise that is as hard to decode."""
    from PIL import Image  # noqa: PLC0415 - after Keras, whose home must be set first

    random = np.random.default_rng(0)
    paths = sorted((SHARED / "photos").glob("*.[jp][pn]g"))
    photos = [Image.open(path).convert("RGB") for path in paths]
    for k in range(number):
        if photos:
            original = photos[k % len(photos)]
            size = [round(side * random.uniform(0.6, 1)) for side in original.size]
            free = [a - b + 1 for a, b in zip(original.size, size, strict=True)]
            left, top = (random.integers(0, limit) for limit in free)
            photo = original.crop((left, top, left + size[0], top + size[1]))
        else:
            photo = Image.fromarray(random.integers(0, 256, (60, 80, 3), dtype=np.uint8))
        photo.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(
            folder / f"{k}.jpg", quality=90
        )


class PeakMemory:
    """Peak memory of the process within the context, in MB above its start."""

    def __enter__(self) -> Self:
        self.start = self.peak = self._now()
        self._done = threading.Event()
        self._watching = threading.Thread(target=self._watch)
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watching.join()

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self.peak = max(self.peak, self._now())

    @staticmethod
    def _now() -> float:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    @property
    def grown(self) -> float:
        """MB."""
        return self.peak - self.start


def time_one_by_one(model: object, paths: list[Path]) -> float:
    """Seconds per photo, as in Keras's own examples."""
    import keras  # noqa: PLC0415 - as above

    preprocess = keras.applications.mobilenet_v2.preprocess_input
    began = time.perf_counter()
    for path in paths:
        image = keras.utils.load_img(path, target_size=(224, 224))
        pixels = preprocess(keras.utils.img_to_array(image)[None])
        model.predict(pixels, verbose=0)
    return (time.perf_counter() - began) / len(paths)


def main() -> None:
    """Measure and print; exit with an error if the ratio is too high."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--one", type=int, default=60)
    options = parser.parse_args()
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

        make_photos(folder, options.photos)
        weights = "imagenet" if SHARED.is_dir() else None
        model = keras.applications.MobileNetV2(weights=weights)
        names = None if SHARED.is_dir() else [str(k) for k in range(1000)]
        paths = sorted(folder.iterdir())
        time_one_by_one(model, paths[:3])
        kmagic.classify(paths[:64], model, app="MobileNetV2", class_names=names)

        part = paths[: options.one // 2]
        slow = time_one_by_one(model, part)
        with PeakMemory() as memory:
            began = time.perf_counter()
            result = kmagic.classify(folder, model, app="MobileNetV2", class_names=names)
            fast = (time.perf_counter() - began) / len(paths)
        slow = (slow + time_one_by_one(model, part)) / 2
    ratio = fast / slow
    print(f"{len(result):,} photos of {WIDTH} x {HEIGHT}, {len(result.errors)} unreadable")
    print(f"kmagic.classify    {fast * 1e3:6.1f} ms per photo, {fast * len(result):.1f} s in total")
    print(f"load_img, predict  {slow * 1e3:6.1f} ms per photo")
    print(f"ratio              {ratio:6.3f} (at most {MAX_RATIO})")
    print(f"memory             {memory.grown:6.0f} MB more than before")
    if ratio > MAX_RATIO:
        sys.exit("the ratio is too high")


if __name__ == "__main__":
    main()
