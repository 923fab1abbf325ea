"""One card of each kind, from fixed data: for the tests of accessibility and of appearance.

The cells need no network and no training except for two short ones, whose figures depend on the
machine (see ``VARYING``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .lab import Lab
    from .notebook import NotebookPage

SETUP = """%load_ext kmagic
import numpy as np, pandas as pd, kmagic, keras
from kmagic.training.run.run_history import RunHistory
from kmagic.training.run.training_run import Epoch, TrainingRun
rng = np.random.default_rng(0)
squares = rng.integers(0, 255, (600, 16, 16), dtype="uint8")

def matrix(classes, samples=600, strength=1.2, **options):
    true = rng.integers(0, classes, samples)
    odds = rng.dirichlet(np.ones(classes), samples)
    odds += strength * np.eye(classes)[true] * rng.random((samples, 1))
    return kmagic.confusion(true, odds / odds.sum(axis=1, keepdims=True), name="net", **options)

def training_run(name, epochs, metrics, scale=1.0):
    run = TrainingRun(name, epochs=epochs, steps=100, samples=6400, batch_size=64)
    for epoch in range(1, epochs + 1):
        logs = {}
        for number, metric in enumerate(metrics):
            value = scale * np.exp(-epoch / (5 + number)) + 0.1
            logs[metric], logs["val_" + metric] = value, value * 1.2 + 0.01 * np.sin(epoch)
        run.add(Epoch(epoch, {key: float(value) for key, value in logs.items()}, seconds=2.0))
    run.status = "done"
    return run
"""
ANIMALS = (
    '["ant", "bumblebee with a long name", "\\u732b\\u3068\\u72ac", "\\u0642\\u0637\\u0629", '
    '"caf\\u00e9 \\U0001f600", "f_g_h"]'
)
CARDS = {
    "model": "%%keras_model cnn\ninput 28x28x1\nconv2d 32 3x3 relu / maxpool 2x2\nflatten\n"
    "dense 128 relu\ndropout 0.5\ndense 10 softmax\ncompile adam metrics=accuracy",
    "mobile": "keras.applications.MobileNetV2(weights=None)",
    "code": "%keras_code cnn",
    "diagram": "%%keras_model res\ninput 16x16x8\nx = conv2d 8 3x3 same relu\n"
    "conv2d 8 3x3 same\nadd <- _, x\nrelu / gap2d / dense 4 softmax",
    "drawing": "%keras_plot res",
    "data": 'table = pd.DataFrame({"age": rng.integers(18, 80, 200), '
    '"city": rng.choice(["Paris", "Rome", "Oslo"], 200), "income": rng.normal(4e4, 9e3, 200), '
    '"bought": rng.choice(["yes", "no"], 200)})\nkmagic.load_data(table, target="bought")',
    "wide_table": 'names = [f"measurement_{k}" for k in range(40)]\nkmagic.load_data(pd.DataFrame('
    'rng.normal(size=(200, 40)), columns=names).assign(kind=table["city"]), target="kind")',
    "training": 'training_run("cnn", 12, ["loss", "accuracy"])',
    "many_metrics": 'training_run("cnn", 30, ["loss", "accuracy", "auc", "precision", "recall", '
    '"top_k_categorical_accuracy"], scale=40)',
    "two_outputs": 'training_run("two_outputs", 60, ["loss", "age_loss", "age_mae", '
    '"kind_loss", "kind_accuracy", "kind_auc", "kind_precision", "kind_recall"])',
    "clipped": 'run = training_run("clipped", 8, ["loss", "accuracy"])\n'
    'run.log[0].logs.update(loss=500.0, val_loss=2.0)\nrun.log[-1].logs["val_loss"] = 31.5\nrun',
    "history": 'RunHistory({f"run{k}": training_run("cnn", 5 + k, ["loss", "accuracy"], k) '
    "for k in range(1, 21)})",
    "confusion": f"matrix(6, x=squares, class_names={ANIMALS})",
    "two_classes": 'matrix(2, x=squares, class_names=["no", "yes"], top_losses=3)',
    "fifty": 'matrix(50, 5000, class_names=[f"kind_of_animal_{k}" for k in range(50)])',
    "thousand": "matrix(1000, 20_000, 9.0)",
    "comparison": "odds = rng.dirichlet(np.ones(4), 400)\ntrue = rng.integers(0, 4, 400)\n"
    "better = odds + np.eye(4)[true]\nbetter /= better.sum(axis=1, keepdims=True)\n"
    "kmagic.confusion(true, better, name='new').versus("
    "kmagic.confusion(true, odds, name='old'))",
    "labels": "truth = rng.integers(0, 2, (300, 4))\nkmagic.confusion(truth, "
    "0.3 * truth + 0.7 * rng.random((300, 4)), class_names=['sea', 'sky', 'sun', 'tree'], "
    "x=squares[:300], name='net')",
    "wrong_labels": "given = rng.integers(0, 4, 600)\nsure = rng.dirichlet(np.full(4, 0.2), 600)\n"
    "sure += 4 * np.eye(4)[given] * rng.random((600, 1))\nsure /= sure.sum(axis=1, keepdims=True)\n"
    "given[:30] = (given[:30] + 1) % 4\nwrong = kmagic.find_label_errors(None, squares, given, "
    "probabilities=sure, class_names=['sea', 'sky', 'sun', 'tree'])\nwrong.keep(wrong.indices[0])\n"
    "wrong.relabel(wrong.indices[1])\nwrong.drop(wrong.indices[2])\nwrong",
    "mistake": "%%keras_model oops\ninput 28x28x1\nflatten\ndense 128 rleu\ndense 10 softmax",
    "layers": "%keras_layers conv2d",
    "fit": 'x = rng.normal(size=(640, 8)).astype("float32")\ny = (x.sum(axis=1) > 0).astype(int)\n'
    'tiny = kmagic.build("input 8 / dense 8 relu / dense 1 sigmoid\\n'
    'compile adam loss=binary_crossentropy metrics=accuracy")\n'
    "%keras_fit tiny x y -e 8 -b 64 --val 0.2 -o run",
    "classification": 'images = np.zeros((6, 28, 28, 1), "uint8")\nimages[:, 4:20, 6:22, 0] = '
    "squares[:6]\nkmagic.classify(images, cnn, y_true=[0, 1, 2, 3, 4, 5])",
    "many_images": "many = squares[:100, :14, :14].repeat(2, axis=1).repeat(2, axis=2)[..., None]\n"
    "kmagic.classify(many, cnn, y_true=rng.integers(0, 10, 100))",
    "predictions": "%keras_predict tiny {x[:5]}",
    "table_predictions": 'buyers = kmagic.load_data(table, target="bought")\n'
    'choice = kmagic.build("input 5 / dense 8 relu / dense 1 sigmoid\\n'
    'compile adam loss=binary_crossentropy")\n'
    "kmagic.fit(choice, buyers, epochs=1, displays=[])\nkmagic.predict(choice, table.head(6))",
    "forecasts": "days = pd.date_range('2024-01-01', periods=90)\n"
    "sales = pd.DataFrame({'day': days, 'sold': 40 + 9 * np.sin(np.arange(90) / 3)})\n"
    "steps = kmagic.load_data(sales, target='sold', window=6, horizon=4)\n"
    "ahead = kmagic.build('input 6x1 / flatten / dense 4 kernel_initializer=ones\\n"
    "rescaling {1 / 6} / compile sgd loss=mae')\nkmagic.fit(ahead, steps, epochs=1, displays=[])\n"
    "kmagic.predict(ahead, sales)",
    "animals": "matrix(5, x=squares, class_names=['cat', 'dog', 'frog', 'horse', 'ship'])",
    "errors": "own = np.random.default_rng(1)\nprice = np.minimum(own.gamma(2, 10, 200), 50)\n"
    "guess = 0.9 * price + own.normal(0, 3, 200)\n"
    "rooms = pd.DataFrame({'rooms': np.arange(200) % 7, 'town': ['Ulm', 'Bonn'] * 100})\n"
    "right = kmagic.errors(price, guess, x=rooms, name='net', target_names=['price'],"
    " unit='test houses')\nright",
    "two_regressions": "other = kmagic.errors(price, guess + own.normal(0, 3, 200), name='old')\n"
    "right.versus(other)",
    "several_errors": "many = own.gamma(2, 10, (5000, 2))\nkmagic.errors(many, many + own.normal("
    "size=many.shape), target_names=['rain', 'wind'], time=np.arange(5000))",
}
"""Name -> code of the cell whose last output is the card."""
VARYING = ("fit", "classification", "many_images", "predictions", "table_predictions", "forecasts")
"""Cards whose figures depend on the machine."""
ERRORS = ("mistake",)


def open_gallery(
    notebook: NotebookPage, lab: Lab, names: Iterable[str] = tuple(CARDS)
) -> dict[str, int]:
    """Run the cells of some cards, by default of all; returns the cell of each."""
    codes = {name: CARDS[name] for name in names}
    lab.write("gallery.ipynb", [SETUP, *codes.values()])
    notebook.open("gallery.ipynb")
    notebook.run_cell(0, timeout=120)
    cells = {name: number for number, name in enumerate(codes, 1)}
    for name, number in cells.items():
        notebook.run_cell(number, allow_errors=name in ERRORS, timeout=120)
    return cells
