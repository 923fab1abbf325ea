"""Texts of the layer language, from the documentation and all over the tests."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def _valid() -> dict[str, str]:
    page = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    samples = re.findall(r"^```kmagic\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    found = {f"language.md {number}": text for number, text in enumerate(samples)}
    for path in sorted((ROOT / "tests" / "models").glob("*.kmagic")):
        found[path.name] = path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            source = "".join(cell["source"])
            if source.startswith("%%keras_model") and "--from-r" not in source:
                found[f"{path.name} {number}"] = source.partition("\n")[2]
    return found


VALID_TEXTS = _valid() | {
    "brackets": """\
bidirectional(lstm 32 dropout=0.2 relu return_sequences layer=&h)
rnn([lstm_cell 32, gru_cell 16 tanh, layer])  # two of three
time_distributed(bidirectional(lstm 4, merge_mode="sum"), name='a # b')
compile adam(
  cosine_decay(1e-3, 1_000),  # a comment
  weight_decay=.5
) loss={a: mse, "b": huber(delta=2)} metrics=accuracy,mae""",
    "braces": """\
input {n}x{n}x3
reshape 3x{n}x-1
dense {units["a}"] // 2 + [1, 2][0]} {activation} kernel_initializer={init}(seed=1)
{backbone} training=false <- _
dense {a +
  b} relu""",
    "graph": """\
model net functional
out, h, c = lstm 16 !return_sequences return_state
z = multi_head_attention 2 8 <- out, _in, use_causal_mask=true, initial_state=[h, c]
shared = reuse h <- z[0] * 2
größe_2 = ops.einsum "bij,bj->bi" <- h, größe
inputs b, a / output cls=z, box=c
freeze out h / compile sgd(-1e-3)""",
    "bodies": """\
block res(f, strides=1, act=relu):
  residual:
    conv2d {f} ?x3 same / activation {act}
  merge concatenate axis=-1:
    branch: identity
    branch: x = dense 3 / dense 4 inf
model encoder(1): input 4 / dense none
for f in 32 {n}: repeat 2: res {f}
repeat 3 : dense 4 * 2""",
}
"""Texts that can be parsed, by name."""


INVALID_TEXTS = {
    path.name: path.read_text(encoding="utf-8").partition("\n----")[0]
    for path in sorted((ROOT / "tests" / "mistakes").rglob("*.txt"))
} | {
    "unclosed": 'dense "never\nadd(\ndense 4\n\n# x\n) {a\n\nb: "}\n} relu',
    "symbols": "dense 3\u00d74 \U0001d7d8x3 12abc 3xx3 \U0001f600 x=\U0001f600\u00a0y ٣x٣\n}}) ²x",
    "magics": "%%time -n\n\n%%keras_model net --doc\ninput 3\n%%html\ndense 4\n  %%timeit\n%x 3",
    "from R": "%%keras_model net --from-r\nmod$add(Dense(50)) # (\n  x = {y}\n",
    "not from R": "%%keras_model net --from-rx\ninput 4",
}
"""Texts with mistakes, or with magics, by name."""
SEARCH = """\
vary width = 32..256:32
dense 1e-4..1e-2~log relu|gelu use_bias=true|false | identity <- h | relu
lstm|gru {width} * 1..3 / dense(-1..1, adam(0.0..0.5)|sgd(0.1)) | dropout 3x3|5x5
compile adam|sgd loss={a: mse|mae}"""
"""A text with ranges, which only a search understands."""
