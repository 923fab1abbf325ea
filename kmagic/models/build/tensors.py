"""What goes from layer to layer: picked, told broken, described for a message."""

from __future__ import annotations

from typing import Any

from kmagic.language import format_value
from kmagic.language.graph import Node
from kmagic.language.spec import NotebookValue, LiteralValue, NodeOutput, Word
from kmagic.models.binding.argument_binding import UNRESOLVED
from kmagic.models.binding.build_context import BuildContext
from kmagic.models.build.keras_errors import Reached


def pick(out: Any, reference: NodeOutput, context: BuildContext) -> Any:
    """One of several outputs; a number counts through nested structures."""
    import keras  # noqa: PLC0415 - takes seconds

    if out is UNRESOLVED:
        return UNRESOLVED
    for key in reference.path:
        if isinstance(out, dict) and key in out:
            out = out[key]
            continue
        flat = keras.tree.flatten(out)
        if not isinstance(key, int) or not -len(flat) <= key < len(flat):
            remedy = f"There are {len(flat)}, counted from 0." * (len(flat) > 1)
            remedy = remedy or "There is only one, and it needs no number."
            context.report_rejection(
                f"there is no output {format_value(LiteralValue(key))}", reference.span, remedy
            )
            return UNRESOLVED
        out = flat[key]
    return out


def shapes_of(out: Any) -> Any:
    """The shapes of a structure of outputs, in the same structure."""
    if isinstance(out, dict):
        return {key: shapes_of(item) for key, item in out.items()}
    if isinstance(out, list | tuple):
        return [shapes_of(item) for item in out]
    return getattr(out, "shape", None)


def word_of(node: Node) -> str:
    """What the text calls a step's layer."""
    if node.word:
        return node.word
    match node.callee:
        case Word(text=text):
            return text
        case NotebookValue(source=source):
            return f"{{{source}}}"
        case _:
            return format_value(node.spec.callee) if node.spec is not None else ""


def reached_from(node: Node, layer: Any, shape: Any, context: BuildContext) -> Reached:
    """What reaches a layer from a step above, as a message will call it."""
    word = word_of(node)
    line = context.editor_line(node.span.line)
    targets = node.spec.targets if node.spec is not None else ()
    label = targets[0] if len(targets) == 1 else f"{word} in line {line}"
    return Reached(shape, label, word, line, layer)


def is_broken(structure: Any) -> bool:
    """Whether a part of some inputs is missing for a mistake that is noted already."""
    import keras  # noqa: PLC0415 - takes seconds

    return any(each is UNRESOLVED for each in keras.tree.flatten(structure))
