"""Spec to graph: edges, blocks, loops and mistakes."""

from __future__ import annotations

import pytest

from kmagic.language import name_lookup, parse
from kmagic.language.expand import expand
from kmagic.language.name_lookup import ExpansionError
from kmagic.language.spec import (
    Arg,
    LayerRef,
    LiteralValue,
    ModelRef,
    NodeOutput,
    NotebookValue,
    Object,
    SequenceValue,
    Word,
)


def graph(text, **names):
    return expand(parse(text), names)


def edges(text, **names):
    """Each step's word, and the numbers of the steps that it takes from."""
    return [
        (
            getattr(node.callee, "text", type(node.callee).__name__),
            [arg.value.node for arg in node.inputs if isinstance(arg.value, NodeOutput)],
        )
        for node in graph(text, **names).nodes
    ]


def test_a_line_takes_the_previous_output():
    assert edges("input 4 / dense 3 / dense 2") == [("input", []), ("dense", [0]), ("dense", [1])]


def test_an_arrow_takes_the_named_outputs():
    text = "a = input 4\nb = input 4\nadd <- a, b\ndense 2\nadd <- _, a"
    assert edges(text)[2:] == [("add", [0, 1]), ("dense", [2]), ("add", [3, 0])]


def test_an_input_has_no_inputs_and_feeds_the_next_line():
    assert edges("input 4\ndense 3\ninput 5\ndense 2")[2:] == [("input", []), ("dense", [2])]


def test_outputs_are_the_last_line_or_those_of_an_output_line():
    assert graph("input 4\ndense 2").outputs == (Arg(NodeOutput(1)),)
    named = graph("a = input 4\nb = dense 2\noutput x=a, y=b").outputs
    assert [(arg.name, arg.value) for arg in named] == [("x", NodeOutput(0)), ("y", NodeOutput(1))]


def test_several_names_are_several_outputs():
    nodes = graph("input 4x3\na, h, c = lstm 2 return_state\ndense 2 <- h\nadd <- a, h").nodes
    assert nodes[2].inputs == (Arg(NodeOutput(1, (1,))),)
    assert nodes[3].inputs == (Arg(NodeOutput(1, (0,))), Arg(NodeOutput(1, (1,))))


def test_an_index_selects_one_of_several_outputs():
    nodes = graph('input 4\na = f\ng <- a["k"][0]\ng <- _[1]').nodes
    assert nodes[2].inputs == (Arg(NodeOutput(1, ("k", 0))),)
    assert nodes[3].inputs == (Arg(NodeOutput(2, (1,))),)


def test_call_words_and_structures():
    (node,) = graph("a = input 4\nf <- [a, a], mask={a: a}, training=false").nodes[1:]
    assert node.inputs[0].value == SequenceValue("list", (NodeOutput(0), NodeOutput(0)))
    assert node.inputs[1].value.entries == ((Word("a"), NodeOutput(0)),)
    assert node.inputs[2].value == LiteralValue(False)


# --- repetition -------------------------------------------------------------------------------


def test_repetition():
    assert edges("input 4\ndense 4 * 2") == edges("input 4\ndense 4\ndense 4")
    assert edges("input 4\nrepeat 2:\n  dense 4\n  relu") == edges(
        "input 4" + "\ndense 4\nrelu" * 2
    )
    assert edges("input 4\ndense 4 * {n}", n=3) == edges("input 4\ndense 4 * 3")
    assert edges("input 4\ndense 4 * 0") == edges("input 4")


def test_a_repeated_line_takes_its_own_output():
    assert edges("a = input 4\nb = input 4\nadd <- a, b * 2") == [
        ("input", []),
        ("input", []),
        ("add", [0, 1]),
        ("add", [2]),
    ]
    assert edges("a = input 4\nb = dense 4\nadd <- _, a * 2")[2:] == [
        ("add", [1, 0]),
        ("add", [2, 0]),
    ]
    assert edges("a_1 = input 4\nadd <- [a_1, a_1] * 2")[2:] == [("add", [1])]


def test_a_loop_runs_over_its_values():
    listed = graph("input 4\nfor f in [8, {big}]:\n  dense {f}", big=16)
    assert [node.args[0].value.value for node in listed.nodes[1:]] == [8, 16]
    nodes = graph("input 4\nfor f in 8 {big}:\n  dense {f}", big=16).nodes
    assert [node.args[0].value.value for node in nodes[1:]] == [8, 16]


def test_a_loop_over_a_sequence_of_the_notebook():
    assert len(graph("input 4\nfor f in {sizes}:\n  dense {f}", sizes=[8, 16, 32]).nodes) == 4
    assert len(graph("input 4\nfor f in {size}:\n  dense {f}", size=8).nodes) == 2
    assert len(graph("input 4\nfor f in {name}:\n  activation {f}", name="relu").nodes) == 2


def test_a_loop_variable_is_local():
    with pytest.raises(ExpansionError, match="is not defined"):
        graph("input 4\nfor f in 8 16:\n  dense {f}\ndense {f}")


def test_loops_in_loops_see_both_names():
    nodes = graph("input 4\nfor a in 1 2:\n  for b in 3 4:\n    dense {a * b}").nodes
    assert [node.args[0].value.value for node in nodes[1:]] == [3, 4, 6, 8]


# --- blocks -----------------------------------------------------------------------------------


def test_a_block_expands_to_its_lines():
    block = "block two(n):\n  dense {n}\n  relu\n"
    assert edges(block + "input 4\ntwo 3\ntwo 5") == edges("input 4" + "\ndense 3\nrelu" * 2)


def test_a_blocks_parameters():
    block = "block two(n, act=relu, m=2):\n  dense {n * m} {act}\n"
    nodes = graph(block + "input 4\ntwo 3\ntwo 3 m=5 act=tanh").nodes[1:]
    assert [[arg.value.value for arg in node.args] for node in nodes] == [[6, "relu"], [15, "tanh"]]


def test_an_object_as_a_block_argument():
    block = "block two(reg):\n  dense 3 kernel_regularizer={reg}\n"
    (node,) = graph(block + "input 4\ntwo l2(0.1)").nodes[1:]
    assert node.args[1].value == Object(Word("l2"), (Arg(LiteralValue(0.1)),))


def test_a_block_can_use_its_input():
    block = "block skip(n):\n  dense {n}\n  add <- _in, _\n"
    assert edges(block + "input 4\nskip 4")[1:] == [("dense", [0]), ("add", [0, 1])]


def test_a_block_with_several_inputs():
    block = "block both(n):\n  dense {n} <- _in[1]\n  add <- _, _in[0]\n"
    text = block + "a = input 4\nb = input 4\nboth 4 <- a, b"
    assert edges(text)[2:] == [("dense", [1]), ("add", [2, 0])]


def test_a_block_with_several_outputs():
    block = "block both(n):\n  a = dense {n}\n  b = dense {n}\n  output a, b\n"
    assert edges(block + "input 4\nx, y = both 3\nadd <- x, y")[3:] == [("add", [1, 2])]
    assert edges(block + "input 4\nboth 3\nadd <- _")[3:] == [("add", [1, 2])]


def test_a_block_sees_the_notebook_and_the_blocks_before_it():
    text = "block a(n):\n  dense {n + k}\nblock b(n):\n  a {n} * 2\ninput 4\nb 1"
    nodes = graph(text, k=10).nodes[1:]
    assert [node.args[0].value.value for node in nodes] == [11, 11]
    assert [use.name for use in nodes[0].trail] == ["b", "a"]


def test_names_in_a_block_are_local():
    block = "block own(n):\n  h = dense {n}\n  add <- h, h\n"
    nodes = graph(block + "input 4\nown 3\nown 3\nh = dense 4").nodes
    assert [node.name for node in nodes] == [None, None, None, None, None, "h"]


def test_names_in_a_loop_may_repeat():
    nodes = graph("input 4\nrepeat 2:\n  h = dense 4\n  add <- h, _").nodes
    assert [node.name for node in nodes] == [None] * 5
    assert nodes[4].inputs == (Arg(NodeOutput(3)), Arg(NodeOutput(3)))


# --- residual, merge, nested models -----------------------------------------------------------


def test_residual_adds_its_input():
    text = "input 4\nresidual:\n  dense 4\n  relu"
    assert edges(text)[1:] == [("dense", [0]), ("relu", [1]), ("add", [0, 2])]


def test_residual_within_residual():
    text = "input 4\nresidual:\n  residual: dense 4\n  relu"
    assert edges(text)[1:] == [("dense", [0]), ("add", [0, 1]), ("relu", [2]), ("add", [0, 3])]


def test_merge_joins_its_branches():
    text = "input 4\nmerge concatenate axis=1:\n  branch: dense 3\n  branch:\n    dense 2\n    relu"
    assert edges(text)[1:] == [
        ("dense", [0]),
        ("dense", [0]),
        ("relu", [2]),
        ("concatenate", [1, 3]),
    ]
    assert graph(text).nodes[-1].args == (Arg(LiteralValue(1), "axis"),)


def test_an_empty_branch_is_its_input():
    assert edges("input 4\nmerge add:\n  branch: dense 4\n  branch: add <- _in, _in")[1:] == [
        ("dense", [0]),
        ("add", [0, 0]),
        ("add", [1, 2]),
    ]


def test_a_nested_model_is_one_layer():
    found = graph("model enc:\n  input 4\n  dense 2\ninput 4\nenc\ndense 1")
    assert [type(node.callee) for node in found.nodes] == [Word, ModelRef, Word]
    assert [node.callee.text for node in found.models[0].nodes] == ["input", "dense"]


def test_a_nested_model_used_twice_is_one_model():
    found = graph("model enc:\n  input 4\n  dense 2\na = input 4\nb = input 4\nenc <- a\nenc <- b")
    assert [node.callee for node in found.nodes[2:]] == [ModelRef(0), ModelRef(0)]


def test_reuse_is_the_layer_itself():
    found = graph("a = input 4\nd = dense 4 <- a\nreuse d\nf = reuse d <- a")
    assert [node.callee for node in found.nodes[2:]] == [LayerRef(1), LayerRef(1)]
    assert [node.name for node in found.nodes] == ["a", "d", None, None]


def test_a_reference_is_the_layer_itself():
    (node,) = graph("a = input 4\nd = dense 4\nf layer=&d").nodes[2:]
    assert node.args[0].value == LayerRef(1)


def test_freeze():
    text = "model enc:\n  input 4\n  dense 2\ninput 4\nenc\nd = dense 1\nfreeze enc d"
    assert graph(text).frozen == [ModelRef(0), LayerRef(2)]
    assert graph("input 4\ndense 2\nfreeze\ndense 2").frozen_nodes == 2


def test_unfreeze():
    text = "model enc:\n  input 4\n  dense 2\ninput 4\nenc\nd = dense 1\nfreeze enc d\n"
    assert graph(f"{text}unfreeze enc {{n}} d", n=1).unfrozen == [
        (ModelRef(0), 1),
        (LayerRef(2), None),
    ]
    assert graph(f"{text}unfreeze d\nunfreeze enc").unfrozen == [
        (LayerRef(2), None),
        (ModelRef(0), None),
    ]


# --- the notebook -----------------------------------------------------------------------------


def test_expressions_are_evaluated():
    (_, node) = graph("input 4\ndense {n // 2} name={names[0]}", n=8, names=["h"]).nodes
    assert node.args == (
        Arg(NotebookValue(4, "n // 2")),
        Arg(NotebookValue("h", "names[0]"), "name"),
    )


def test_a_layer_from_the_notebook():
    layer = object()
    node = graph("input 4\n{layer} <- _, training=false", layer=layer).nodes[1]
    assert node.callee == NotebookValue(layer, "layer")


@pytest.mark.parametrize(
    ("text", "stack"),
    [
        ("input 4 / dense 3 / dense 2", True),
        ("dense 3 / dense 2", True),
        ("input 4\ndense 3 <- _", True),
        ("input 4\nh = dense 3\ndense 2 <- h", True),
        ("input 4\nh = dense 3\ndense 2\ndense 2 <- h", False),
        ("input 4\nresidual: dense 4", False),
        ("input 4\ndense 4\ninput 4\ndense 4", False),
        ("input 4\nh = dense 4\noutput h=h", False),
        ("input 4\nh = dense 4\ninputs h", False),
        ("input 4\nd = dense 4\nreuse d", False),
        ("model m:\n  input 4\n  dense 4\ninput 4\nm", True),
        ("model m:\n  input 4\n  dense 4\ninput 4\nm\nm", False),
    ],
)
def test_what_is_a_stack(text, stack):
    assert graph(text).is_stack is stack


# --- mistakes ---------------------------------------------------------------------------------


def problems(text, **names):
    with pytest.raises(ExpansionError) as caught:
        graph(text, **names)
    return [(problem.line, problem.message) for problem, _ in caught.value.problems]


def test_all_mistakes_are_reported_without_follow_ups():
    text = "input {a}\nh = dense {b}\nadd <- _, h\ndense 2 <- zz\ndense {b}"
    assert problems(text) == [
        (1, "is not defined"),
        (2, "is not defined"),
        (4, "no output above is named zz"),
        (5, "is not defined"),
    ]


def test_the_text_is_searched_once_for_all_unknown_names(monkeypatch):
    searched = []

    def search(statements, owner=""):
        searched.append(len(statements))
        return found(statements, owner)

    found = name_lookup._output_names
    monkeypatch.setattr(name_lookup, "_output_names", search)
    text = "input 4\n" + "add <- later, zz\n" * 50 + "later = dense 2"
    messages = [message for _, message in problems(text)]
    assert len(messages) == 50
    assert set(messages) == {"later is defined further down, in line 52"}
    assert searched.count(52) == 1


def test_a_mistake_in_a_block_is_reported_once_with_its_first_use():
    with pytest.raises(ExpansionError) as caught:
        graph("block b(n):\n  h = dense {m}\n  add <- h, _\ninput 4\nb 1\nb 2")
    ((problem, trail),) = caught.value.problems
    assert (problem.line, [use.span.line for use in trail]) == (2, [5])


def test_a_loop_stops_at_its_first_mistake():
    assert len(problems("input 4\nfor f in 1 2 0:\n  dense {6 // f - k}")) == 1


def test_uses_of_lost_names_are_not_reported():
    spec = parse("input 4\nadd <- h, _\nreuse h\nh 3")
    assert len(expand(spec, {}, lost_names=["h"]).nodes) == 1


def test_the_error_has_the_graph_of_valid_statements():
    with pytest.raises(ExpansionError) as caught:
        graph("input 4\ndense {n}\ndense 2\ncompile adam")
    assert [node.callee.text for node in caught.value.graph.nodes] == ["input", "dense"]
    assert caught.value.graph.compile is not None


def test_messages_use_the_line_numbers_of_the_editor():
    with pytest.raises(ExpansionError, match="in line 12"):
        expand(parse("input 4\nh = dense 4\nh = dense 4"), {}, first_line=11)


def test_names_are_not_changed():
    names = {"n": 3, "f": 1}
    graph("block b(n):\n  dense {n}\ninput 4\nfor f in 1 2:\n  b {f}", **names)
    assert names == {"n": 3, "f": 1}
