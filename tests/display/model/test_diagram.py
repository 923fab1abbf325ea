from __future__ import annotations

import re
from itertools import combinations
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmagic.api import build
from kmagic.display.model.diagram import DiagramLayout, diagram_bundle, lay_out
from kmagic.display.model.diagram_graph import DiagramGraph, DiagramNode, layer_label, read_graph
from kmagic.display.model.diagram_rows import (
    GAP,
    MAX_ROWS,
    DiagramRow,
    Gap,
    Item,
    Parallel,
    Series,
    abbreviate_labels,
    all_rows,
    decompose,
    plan_rows,
    row_count,
)
from kmagic.models.build import origin_of

UNET = """
block cc(f):
  conv2d {f} 3x3 same relu / conv2d {f} 3x3 same relu
input 32x32x3
s1 = cc 8 / maxpool 2x2
s2 = cc 16 / maxpool 2x2
cc 32 / conv2d_transpose 16 2x2 strides=2
concatenate <- _, s2
cc 16 / conv2d_transpose 8 2x2 strides=2
concatenate <- _, s1
conv2d 1 1x1 sigmoid
"""
INCEPTION = """
input 16x16x8
merge concatenate:
  branch: conv2d 4 1x1
  branch: conv2d 4 1x1 / conv2d 8 3x3 same
  branch: identity
gap / dense 3
"""
SIAMESE = """
model enc:
  input 20 int32
  embedding 100 8
  lstm 4
a = input 20 int32
b = input 20 int32
ea = enc <- a
eb = enc <- b
concatenate <- ea, eb
dense 1 sigmoid
"""
RESNET = """
block res(f):
  residual:
    conv2d {f} 3x3 same !use_bias / bn / relu
    conv2d {f} 3x3 same !use_bias / bn
  relu
input 16x16x3
conv2d 8 3x3 same relu
res 8 * 3
for f in 16 32:
  conv2d {f} 1x1 strides=2
  res {f} * 2
gap / dense 10 softmax
"""


def diagram(text: str, limit: int = MAX_ROWS) -> list[Item]:
    model = build(text)
    return plan_rows(read_graph(model, origin_of(model)), limit)


def labels(items: list[Item]) -> list[Any]:
    """The rows' labels; parallel branches as tuples of lists."""
    return [
        item.node.label + (f" x{item.times}" if item.times > 1 else "")
        if isinstance(item, DiagramRow)
        else tuple(labels(branch) for branch in item.branches)
        for item in items
        if not isinstance(item, Gap)
    ]


# --- structure ------------------------------------------------------------------------------------


@st.composite
def networks(draw: st.DrawFn) -> list[list[int]]:
    """The sources of each node of any acyclic network."""
    found: list[list[int]] = []
    for number in range(draw(st.integers(1, 14))):
        most = min(number, 3)
        sources = draw(st.lists(st.integers(0, max(number - 1, 0)), max_size=most, unique=True))
        found.append(sorted(sources) if number else [])
    return found


def edges_of(series: Series, before: set[int]) -> tuple[set[tuple[int, int]], set[int]]:
    """The edges that a series shows by its order, and the nodes that it ends in."""
    edges: set[tuple[int, int]] = set()
    for item in series:
        if item == GAP:
            before = set()
            continue
        if isinstance(item, int):
            edges |= {(each, item) for each in before}
            before = {item}
            continue
        ends: set[int] = set()
        for branch in item.branches:
            inner, after = edges_of(branch, before)
            edges |= inner
            ends |= after
        before = ends
    return edges, before


def nodes_of(series: Series) -> list[int]:
    return [
        each
        for item in series
        if item != GAP
        for each in (
            [item]
            if isinstance(item, int)
            else [n for branch in item.branches for n in nodes_of(branch)]
        )
    ]


@given(networks())
@settings(max_examples=500, deadline=None)
def test_a_decomposition_has_each_node_once_and_exactly_the_edges_of_the_graph(
    sources: list[list[int]],
) -> None:
    found = decompose(sources)
    assert sorted(nodes_of(found.series)) == list(range(len(sources)))
    shown, _ = edges_of(found.series, set())
    assert shown | set(found.arcs) == {
        (source, number) for number, each in enumerate(sources) for source in each
    }


def test_a_thousand_layers_in_a_row() -> None:
    found = decompose([[], *([n] for n in range(999))])
    assert found.series == list(range(1000))


# --- rows -----------------------------------------------------------------------------------------


def test_branches_stand_side_by_side_and_a_skip_is_an_arc() -> None:
    items = diagram(INCEPTION)
    assert labels(items) == [
        "input 16x16x8",
        (["conv2d 4 1x1"], ["conv2d 4 1x1", "conv2d 8 3x3 same"], ["identity"]),
        "concatenate",
        "gap",
        "dense 3",
    ]


def test_blocks_are_folded_and_their_repetitions_counted() -> None:
    items = diagram(RESNET)
    assert labels(items) == [
        "input 16x16x3",
        "conv2d 8 3x3 same relu",
        "res 8 x3",
        "conv2d 16 1x1 strides=2",
        "res 16 x2",
        "conv2d 32 1x1 strides=2",
        "res 32 x2",
        "gap",
        "dense 10 softmax",
    ]
    res = next(item for item in items if isinstance(item, DiagramRow) and item.folded)
    assert (
        abbreviate_labels(res.node.inside) == "conv2d 8 3x3, bn, relu, conv2d 8 3x3, bn, add, relu"
    )


def test_skips_of_a_u_net_are_arcs() -> None:
    items = diagram(UNET)
    found = {item.node.label: item for item in all_rows(items)}
    assert all(isinstance(item, DiagramRow) for item in items)
    arcs = [(arc.node.label, row.node.label) for row in all_rows(items) for arc in row.arcs]
    assert arcs == [("s2 = cc 16", "concatenate"), ("s1 = cc 8", "concatenate")]
    assert found["cc 32"].node.shape == "8 x 8 x 32"


def test_shared_weights_count_once() -> None:
    items = diagram(SIAMESE)
    found = {row.node.label: row.node for row in all_rows(items)}
    assert found["ea = enc"].parameters > 0
    assert found["eb = enc"].parameters == 0
    assert found["eb = enc"].shared
    assert labels(items)[0] == (
        ["a = input 20 int32", "ea = enc"],
        ["b = input 20 int32", "eb = enc"],
    )


def test_one_block_alone_is_opened() -> None:
    items = diagram("block all(n):\n  dense {n} / dense {n} / dense 2\ninput 4\nall 8")
    assert labels(items) == ["input 4", "dense 8", "dense 8", "dense 2"]


def test_stretches_that_repeat_are_folded_in_a_high_diagram() -> None:
    text = "input 8\nrepeat 30:\n  dense 8 relu\n  layer_normalization\ndense 2"
    items = diagram(text)
    assert labels(items) == ["input 8", "2 layers x30", "dense 2"]
    short_text = text.replace("30", "3")
    assert row_count(diagram(short_text)) == 8


def test_residual_stretches_that_repeat_are_folded() -> None:
    body = "\nresidual:\n  dense 8 relu\n  dense 8"
    items = diagram("input 8" + body * 20 + "\ndense 2")
    assert labels(items) == ["input 8", "residual x20", "dense 2"]


def test_different_parts_are_not_folded_as_repetitions() -> None:
    lines = [f"residual:\n  dense 8 {word}\n  dense 8" for word in ("relu", "tanh") * 10]
    items = diagram("\n".join(["input 8", *lines, "dense 2"]))
    assert row_count(items) <= MAX_ROWS
    assert "residual x20" not in labels(items)


@pytest.mark.parametrize("text", [UNET, INCEPTION, SIAMESE, RESNET])
@pytest.mark.parametrize("most", [0, 4, MAX_ROWS])
def test_folding_loses_nothing(text: str, most: int) -> None:
    model = build(text)
    network = read_graph(model, origin_of(model))
    items = plan_rows(network, most)
    assert sum(row.node.parameters for row in all_rows(items)) == model.count_params()
    assert sum(node.layers for node in network.nodes) == sum(
        row.node.layers for row in all_rows(items)
    )


@given(networks(), st.data())
@settings(max_examples=150, deadline=None)
def test_folding_any_network_loses_nothing(sources: list[list[int]], data: st.DataObject) -> None:
    words = st.sampled_from(["dense 8", "relu", "add"])
    nodes = tuple(DiagramNode(data.draw(words), "8", 1, tuple(each)) for each in sources)
    items = plan_rows(DiagramGraph(nodes), limit=3)
    assert sum(row.node.parameters for row in all_rows(items)) == len(nodes)
    known = {id(row) for row in all_rows(items)}
    assert all(id(arc) in known for row in all_rows(items) for arc in row.arcs)
    check(lay_out(items))


# --- any Keras model ------------------------------------------------------------------------------


def test_a_functional_model_without_a_text() -> None:
    one = keras.Input((8,), name="one")
    x = keras.layers.Dense(8, activation="relu")(one)
    x = keras.layers.Dense(8)(x)
    x = keras.layers.Add()([one, x])
    model = keras.Model(one, [keras.layers.Dense(3)(x), keras.layers.Dense(1)(x)])
    items = plan_rows(read_graph(model))
    assert labels(items) == [
        "input 8",
        "dense 8 relu",
        "dense 8",
        "add",
        (["dense 3"], ["dense 1"]),
    ]
    add = items[3]
    assert isinstance(add, DiagramRow)
    assert [row.node.label for row in add.arcs] == ["input 8"]


def test_text_and_model_give_the_same_graph() -> None:
    for text in (UNET, INCEPTION, RESNET):
        model = build(text)
        flat = read_graph(model)
        assert sum(node.parameters for node in flat.nodes) == model.count_params()
        assert len(flat.nodes) == len(origin_of(model).steps)  # type: ignore[union-attr]


def test_a_sequential_model_before_it_is_built() -> None:
    model = keras.Sequential([keras.layers.Dense(8), keras.layers.Dense(2)])
    assert labels(plan_rows(read_graph(model))) == ["dense 8", "dense 2"]
    assert "not built yet" in diagram_bundle(model, None, "net")["text/plain"]


def test_a_subclassed_model() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first = keras.layers.Dense(4)
            self.second = keras.layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.second(self.first(inputs))

    model = Own()
    model(np.ones((1, 3)))
    text = diagram_bundle(model, None, "own")["text/plain"]
    assert "dense 4" in text
    assert "A subclassed model" in text


def test_models_in_a_model() -> None:
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)], name="inner")
    model = keras.Sequential([keras.Input((4,)), inner, keras.layers.Dense(1)])
    found = {node.label: node for node in read_graph(model).nodes}
    assert found["model inner"].inside == ("dense 4",)
    assert found["model inner"].parameters == 20


@pytest.mark.parametrize(
    ("layer", "label"),
    [
        (
            keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
            "conv2d 32 3x3 strides=2x2 relu",
        ),
        (keras.layers.Dense(10, activation="softmax"), "dense 10 softmax"),
        (keras.layers.Dropout(0.25), "dropout 0.25"),
        (keras.layers.MaxPooling2D(), "maxpool 2x2"),
        (keras.layers.Activation("gelu"), "activation gelu"),
        (keras.layers.BatchNormalization(), "batch_normalization"),
        (keras.layers.Bidirectional(keras.layers.LSTM(8)), "bidirectional (lstm 8)"),
        (keras.layers.Reshape((4, 4)), "reshape 4x4"),
        (keras.Input((28, None, 1), dtype="uint8"), None),
    ],
)
def test_labels(layer: Any, label: str | None) -> None:
    if label is None:
        model = keras.Model(layer, keras.layers.Rescaling(2.0)(layer))
        assert read_graph(model).nodes[0].label == "input 28x?x1 uint8"
    else:
        assert layer_label(layer) == label


@pytest.mark.parametrize("name", ["MobileNetV2", "DenseNet121"])
def test_large_models_are_readable(name: str) -> None:
    model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=10)
    items = plan_rows(read_graph(model))
    assert row_count(items) <= MAX_ROWS
    assert sum(row.node.parameters for row in all_rows(items)) == model.count_params()
    check(lay_out(items))
    if name == "DenseNet121":  # as its paper tells it: 6, 12, 24 and 16 layers in four blocks
        assert [row.times for row in all_rows(items) if row.times > 1] == [6, 12, 24, 16]


# --- layout ---------------------------------------------------------------------------------------


def check(layout: DiagramLayout) -> None:
    """Nothing lies on anything else, and all of it is in the picture."""
    for one, other in combinations(layout.boxes, 2):
        apart = (
            one.x + one.width <= other.x
            or other.x + other.width <= one.x
            or one.y + one.height <= other.y
            or other.y + other.height <= one.y
        )
        assert apart
    for row in layout.rows:
        assert any(
            box.x == row.x and box.y <= row.y and row.y + row.height <= box.y + box.height + 1e-6
            for box in layout.boxes
        )
        assert row.x >= 0
        assert row.right <= layout.width
        assert row.y + row.height <= layout.height
    for line in layout.connectors:
        assert line.y1 <= line.bend < line.y2
    for arc in layout.arcs:
        assert max(arc.source.right, arc.target.right) < arc.lane <= layout.width


@pytest.mark.parametrize("text", [UNET, INCEPTION, SIAMESE, RESNET])
def test_layouts(text: str) -> None:
    check(lay_out(diagram(text)))


def test_arcs_do_not_overlap() -> None:
    layout = lay_out(diagram(UNET))
    assert len({arc.lane for arc in layout.arcs}) == 2
    inner, outer = layout.arcs
    assert inner.lane < outer.lane


def test_branches_are_centred_above_the_layer_that_follows() -> None:
    layout = lay_out(diagram(INCEPTION))
    (first, *_), last = layout.boxes, layout.boxes[-1]
    assert first.x + first.width / 2 == pytest.approx(last.x + last.width / 2)


# --- bundle ---------------------------------------------------------------------------------------


def bundled(text: str, name: str = "net") -> dict[str, str]:
    model = build(text)
    return diagram_bundle(model, origin_of(model), name)


def test_the_text_of_the_card() -> None:
    text = bundled(INCEPTION)["text/plain"]
    assert re.search(r"^  conv2d|^  input 16x16x8 +16 x 16 x 8$", text, re.MULTILINE)
    assert "branch 2 of 3" in text
    assert re.search(r"conv2d 8 3x3 same +16 x 16 x 8 +296", text)
    unet = bundled(UNET)["text/plain"]
    assert re.search(r"concatenate +32 x 32 x 16 +\+ s1 = cc 8", unet)
    assert "17 layers in 12 rows" in unet or "layers in" in unet


@pytest.mark.parametrize("text", [UNET, INCEPTION, SIAMESE, RESNET])
def test_both_drawings_are_complete_and_have_a_description(text: str) -> None:
    markup = bundled(text)["text/html"]
    inline = re.search(r"<svg.*?</svg>", markup, re.DOTALL)
    assert inline
    root = ET.fromstring(inline[0])  # noqa: S314 - our own
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"].startswith("Diagram of net, from top to bottom: ")
    packed = re.search(r'src="data:image/svg\+xml,([^"]+)"', markup)
    assert packed
    alone = ET.fromstring(unquote(packed[1]))  # noqa: S314 - our own
    assert alone.attrib["width"] == root.attrib["width"]
    assert "--km-blue:#" in "".join(alone.itertext())


def test_an_untrusted_notebook_keeps_the_image_and_its_description() -> None:
    markup = bundled(INCEPTION)["text/html"]
    stripped = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", markup, flags=re.DOTALL)
    assert '<img src="data:image/svg+xml,' in stripped
    assert (
        'alt="Diagram of net, from top to bottom: input 16x16x8 to 16 x 16 x 8; in 3 ' in stripped
    )
    assert "; in 3 parallel branches: conv2d 4 1x1" in stripped


def test_names_are_text() -> None:
    hostile = "<img src=x onerror=alert(1)>"
    markup = bundled('input 4\ndense 3 name="a&b"\ndense 2', hostile)["text/html"]
    assert "<img src=x" not in markup
    assert "a&amp;b" in markup


def test_a_wide_diagram_scrolls_and_a_narrow_one_shrinks() -> None:
    branches = "\n".join(f"  branch: conv2d {n} 3x3 same relu" for n in range(1, 9))
    wide = bundled(f"input 16x16x8\nmerge concatenate:\n{branches}\ngap")["text/html"]
    scrolls = 'style="overflow-x:auto"'
    assert scrolls in wide
    assert scrolls not in bundled(RESNET)["text/html"]
    assert "max-width:100%" in bundled(RESNET)["text/html"]


def test_branches_without_a_merge_have_no_edge_below() -> None:
    layout = lay_out(diagram("h = input 4\na = dense 2 <- h\nb = dense 3 <- h\noutput a, b"))
    assert len(layout.connectors) == 2
    assert isinstance(
        diagram("h = input 4\na = dense 2 <- h\nb = dense 3 <- h\noutput a, b")[1], Parallel
    )
