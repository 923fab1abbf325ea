"""docs/transfer-learning.md: its cells run one after the other, and train what the page says."""

import re
from pathlib import Path

import numpy as np

from .shells import run_cell

PAGE = Path(__file__).parents[1] / "docs" / "transfer-learning.md"
SMALL = """base = keras.Sequential([keras.Input((96, 96, 3)), keras.layers.Conv2D(4, 3, 16)])
for _ in range(12):
    base.add(keras.layers.Conv2D(4, 1))
    base.add(keras.layers.BatchNormalization())
"""


def test_the_cells_of_the_page(shell):
    page = PAGE.read_text(encoding="utf-8")
    blocks = dict(re.findall(r"^```(\w+)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)[:3])
    code = blocks["python"]
    assert "MobileNetV2(weights=None, include_top=False" in code
    first = f"%%keras_model flowers\n{blocks['kmagic']}"
    rng = np.random.default_rng(0)
    shell.user_ns |= {"x": rng.random((16, 96, 96, 3), "float32"), "y": np.arange(16) % 5}
    for cell in (f"import keras\n{SMALL}", first, "%keras_fit flowers x y -e 2 -q"):
        assert run_cell(shell, cell)[0].success
    flowers, base = shell.user_ns["flowers"], shell.user_ns["base"]
    assert not base.trainable_variables
    weights = flowers.get_weights()
    result, captured = run_cell(shell, blocks["text"])
    assert result.success
    assert "weights of flowers, trained for 2 epochs" in captured.outputs[0].data["text/plain"]
    flowers = shell.user_ns["flowers"]
    assert all(map(np.array_equal, flowers.get_weights(), weights))
    assert [layer.trainable for layer in base.layers] == [False] * 5 + [True, False] * 10
    assert run_cell(shell, "%keras_fit flowers x y -e 4 -q")[0].success
    changed = [
        not np.array_equal(*pair) for pair in zip(flowers.get_weights(), weights, strict=True)
    ]
    # 5 layers of the base are frozen, of the 20 others those without normalization train: 2 arrays
    # each, and 2 of the head.
    assert sum(changed) == 22
