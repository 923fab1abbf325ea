"""The lines and cells of magics, in a real IPython shell."""

from __future__ import annotations

import re
import signal
import warnings
from random import Random
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from IPython.core.error import UsageError
from IPython.utils.capture import capture_output

import kmagic
from kmagic.magics.session import MAGICS

from ..shells import kmagic_shell
from .fuzzing import Kind
from .mutations import NUMBERS, edit_text, model_texts, r_texts
from .text_kinds import grammar_text

_STOP_AFTER = 2.0
"""CPU seconds after which training is interrupted, as by a user."""
_LINE_BREAKS = r"[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]"
_CELLS = frozenset(name for name, (parser, _) in MAGICS.items() if parser.name.startswith("%%"))
_VALUES = (
    *(
        "net",
        "deep",
        "reg",
        "x",
        "y",
        "xi",
        "frame",
        "series",
        "data",
        "stream",
        "words",
        "hot",
        "fn",
    ),
    *(
        "x y",
        "net x y",
        "reg x yr",
        "deep xi y",
        "iris.csv",
        "img",
        "a.png",
        "net.keras",
        "missing.csv",
    ),
    *(
        "0.1",
        "3",
        "x,y",
        "adam",
        "adam(0.1)",
        "mse",
        "accuracy",
        "mnist",
        "'a b'",
        "{x[:3]}",
        "{y}",
    ),
    *(
        "{units}",
        "a,b",
        "{['a','b']}",
        "run",
        "net.weights.h5",
        "model.kmagic",
        "~nobody/x",
        "dir/",
        "",
    ),
    *(
        "f1",
        "species",
        "Dense",
        "lstm",
        "relu",
        "{x[:2]} {y[:2]}",
        "{frame.values}",
        ".",
        "..",
        "run.csv",
    ),
)


_RIGHT = (
    *("keras_fit net x y -e 1", "keras_fit net x y --val 0.2 --patience 2", "keras_fit net stream"),
    *("keras_fit net --data data -o run", "keras_fit reg x yr -b 8 --seed 1 -q", "keras_runs"),
    *("keras_confusion net x y", "keras_confusion net --data data", "keras_summary net"),
    *("keras_confusion --true y --pred {y[::-1]} --normalize true", "keras_plot deep"),
    *("keras_evaluate net x y", "keras_evaluate net --data data", "keras_predict net x --classes"),
    *("keras_predict net {x[:3]} -o p", "keras_classify deep xi --top 2", "keras_classify net x"),
    *("keras_data iris.csv --target species", "keras_data {x, y} --split 0.25 --scale standard"),
    *("keras_data img --size 8 --gray", "keras_data frame --target species", "keras_code net"),
    *("keras_save net out.keras --force", "keras_save net --weights w.weights.h5", "keras_layers"),
    *("keras_load net.keras -o again", "keras_load model.kmagic", "keras_weights net.weights.h5"),
    *("keras_compile net adam(0.01) --loss mse", "keras_compile reg sgd --metrics mae"),
)
"""Lines that are right, or nearly."""


class Notebook:
    """A shell with the magics; each line finds the same variables and files."""

    def __init__(self) -> None:
        self.context = kmagic_shell()
        self.shell = self.context.__enter__()
        self.own = dict(self.shell.user_ns)
        self.used = 0

    def close(self) -> None:
        """Remove the shell."""
        self.context.__exit__(None, None, None)

    def run(self, cell: str, names: dict[str, Any]) -> None:
        """Run a cell; raise its error, or what failed in a display."""
        self.used += 1
        if self.used % 50 == 0:
            keras.backend.clear_session()
        self.shell.user_ns.clear()
        self.shell.user_ns.update(self.own | names)
        signal.signal(signal.SIGVTALRM, signal.default_int_handler)
        try:
            if "keras_fit" in cell:
                signal.setitimer(signal.ITIMER_VIRTUAL, _STOP_AFTER)
            with warnings.catch_warnings(), capture_output() as captured:
                warnings.simplefilter("ignore")
                result = self.shell.run_cell(cell)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        error = result.error_in_exec
        if isinstance(error, KeyboardInterrupt) and "keras_fit" in cell:
            error = None
        if error is not None and not isinstance(error, UsageError):  # IPython's, of an empty cell
            raise error
        shown = captured.stdout + captured.stderr
        if result.error_before_exec is None and "Traceback (most recent call last)" in shown:
            raise RuntimeError("a display failed:\n" + shown[-3000:])


class Lines(Kind):
    """Lines of all magics, with their options."""

    name = "lines"

    def set_up(self) -> None:
        rng = np.random.default_rng(0)
        self.notebook = Notebook()
        x = rng.normal(size=(24, 4)).astype("float32")
        y = np.arange(24) % 3
        frame = pd.DataFrame(x, columns=["f1", "f2", "f3", "f4"]).assign(
            species=np.array(["a", "b", "c"])[y], when=pd.date_range("2020", periods=24)
        )
        self.names = {
            "x": x,
            "y": y,
            "yr": x[:, 0],
            "hot": np.eye(3)[y],
            "xi": rng.integers(0, 255, (24, 8, 8, 1)).astype("uint8"),
            "frame": frame,
            "series": frame["species"],
            "words": ["a good film", "a bad one"] * 12,
            "units": 4,
            "fn": np.mean,
            "data": kmagic.load_data((x, y)),
            "stream": tf.data.Dataset.from_tensor_slices((x, y)).batch(8),
        }
        self._write_files(frame, self.names["xi"])

    @staticmethod
    def _write_files(frame: pd.DataFrame, images: Any) -> None:
        frame.to_csv("iris.csv", index=False)
        for number, image in enumerate(images[:6]):
            keras.utils.save_img(_folder("img", "ab"[number % 2]) + f"/{number}.png", image)
        keras.utils.save_img("a.png", images[0])
        with open("model.kmagic", "w", encoding="utf-8") as file:  # noqa: PTH123 - a name suffices
            file.write("input 4 / dense 2")
        _models()["net"].save("net.keras")
        _models()["net"].save_weights("net.weights.h5")

    def tear_down(self) -> None:
        self.notebook.close()

    def generate(self, random: Random) -> str:
        if random.random() < 0.4:
            line = edit_text(random, random.choice(_RIGHT), _RIGHT, random.choice((0, 1, 1, 2)))
            return f"%{re.sub(_LINE_BREAKS, ' ', line)}"
        name = random.choice((*MAGICS, "keras_fit", "keras_confusion", "keras_data"))
        parser = MAGICS[name][0]
        words = [random.choice(("net", "net", "reg", "deep", ""))]
        words += random.choices(_VALUES, k=random.choice((0, 0, 0, 1, 2)))
        if name in ("keras_fit", "keras_confusion", "keras_evaluate", "keras_predict"):
            words += random.choice((["x", "y"], ["x", "y"], ["--data", "data"], ["stream"], ["x"]))
        options = [flag for flag in parser.options if flag not in ("-h", "--help")]
        for flag in random.sample(options, min(len(options), random.choice((0, 0, 1, 1, 2, 3)))):
            action = parser.options[flag]
            words.append(flag)
            if action.nargs != 0:
                choices = [str(choice) for choice in action.choices or ()]
                numbers = random.choice((random.choice(NUMBERS), "1", "2", "0.2"))
                words.append(random.choice((*choices, numbers, random.choice(_VALUES))))
        if random.random() < 0.2:
            random.shuffle(words)
        line = " ".join(words)
        if random.random() < 0.3:
            line = edit_text(random, line, ["--val -e 3 --out x {x} y[:2] 'a"])
        line = re.sub(_LINE_BREAKS, " ", line)
        if name not in _CELLS:
            return f"%{name} {line}"
        texts = r_texts() if "--from-r" in words else (*model_texts(), grammar_text(random))
        text = edit_text(random, random.choice(texts), edits=random.choice((0, 1)))
        return f"%%{name} {line}\n{text}"

    def use(self, case: str) -> None:
        self.notebook.run(case, self.names | _models(case))


def _folder(*parts: str) -> str:
    from pathlib import Path

    folder = Path(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def _models(line: str = "net reg deep") -> dict[str, Any]:
    """The models that a line names, untrained."""
    layers = keras.layers
    models: dict[str, Any] = {}
    keras.utils.set_random_seed(0)
    if "net" in line or "deep" not in line:
        net = keras.Sequential(
            [keras.Input((4,)), layers.Dense(3, activation="softmax")], name="net"
        )
        net.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        models["net"] = net
    if "reg" in line:
        models["reg"] = keras.Sequential([keras.Input((4,)), layers.Dense(1)], name="reg")
    if "deep" in line:
        inputs = keras.Input((8, 8, 1))
        outputs = layers.Dense(3, activation="softmax")(
            layers.Flatten()(layers.Conv2D(2, 3)(inputs))
        )
        models["deep"] = keras.Model(inputs, outputs, name="deep")
    return models
