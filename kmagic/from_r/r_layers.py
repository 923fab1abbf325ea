"""One layer of R's as a line: its class, its arguments, and the shape that it may say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from kmagic.from_r.r_arguments import Arguments, Note, word_for_function
from kmagic.from_r.r_names import dropped, is_layer, meaning, nearest_layer, role_of, word_of
from kmagic.from_r.r_nodes import Mistake
from kmagic.from_r.r_values import Given, Input, Thing, Vector
from kmagic.language.spec import Arg, Word
from kmagic.models.catalogue import normalize_word, parameters

_SHAPES = (
    "input_shape",
    "batch_input_shape",
    "input_dim",
    "input_length",
    "batch_shape",
    "batch_size",
)


@dataclass(frozen=True, slots=True)
class Line:
    """A layer as the language has it.

    Attributes:
        word: Its word.
        args: Its arguments, without a shape and a name.
        shape: The input that it says it takes, if it does.
        name: Its name, or "".
    """

    word: Word
    args: tuple[Arg, ...]
    shape: Input | None
    name: str


def line_of(thing: Thing, arguments: Arguments, note: Note) -> Line:
    """Read a layer.

    Raises:
        Mistake: Keras 3 does not have it, or not with these arguments.
    """
    thing = _today(thing, note)
    cls = meaning(thing.name, "layer")
    if cls is None:
        remedy = nearest_layer(thing.name) if is_layer(thing.name) else ""
        raise Mistake("is no layer of Keras", thing.place, remedy or "All layers: %keras_layers")
    names = {each.name for each in parameters(cls)}
    taken = [each for each in thing.args if each.name in _SHAPES and each.name not in names]
    kept = [each for each in thing.args if each not in taken]
    name = next((each.value for each in kept if each.name == "name"), "")
    kept = [each for each in kept if each.name != "name" or not _is_name(each.value)]
    word = word_for_function(cls)
    if thing.name in ("GRU", "LSTM") and all(each.name != "recurrent_activation" for each in kept):
        note(f"{word} has recurrent_activation=sigmoid; kerasR's was hard_sigmoid", thing.place)
    shape = _shape(thing, taken, word)
    args = arguments.of(cls, kept, layer=True)
    return Line(Word(word), args, shape, name if _is_name(name) else "")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z]\w*", value) is not None


def _shape(thing: Thing, taken: list[Given], word: str) -> Input | None:
    bound = {each.name: each.value for each in taken if each.value is not None}
    if not bound:
        return None
    made = Input(None, thing.place, batch=bound.get("batch_size"))
    if word == "embedding":
        made.dtype = "int32"
    whole = bound.get("batch_input_shape", bound.get("batch_shape"))
    if isinstance(whole, Vector):
        made.batch = next(iter(whole), None)
        made.shape = Vector("c", whole.items[1:])
    elif "input_shape" in bound:
        made.shape = bound["input_shape"]
    elif "input_dim" in bound or "input_length" in bound:
        sides = [bound[each] for each in ("input_length", "input_dim") if each in bound]
        made.shape = Vector("c", [(None, each) for each in sides])
    return made if made.shape is not None else None


def _today(thing: Thing, note: Note) -> Thing:
    """A layer that Keras 3 has dropped by the one that does the same; an error where none does."""
    word = normalize_word(word_of(thing.name))
    if word == "thresholdedrelu":
        args = [
            Given(
                each.value, "threshold" if each.name in (None, "theta") else each.name, each.place
            )
            for each in thing.args
        ]
        if not any(each.name == "threshold" for each in args):
            args.insert(0, Given(1, "threshold", thing.place))
        note("ThresholdedReLU is relu with a threshold now", thing.place)
        return Thing("ReLU", args, thing.place, thing.variable)
    if word in ("cudnnlstm", "cudnngru"):
        now = word.removeprefix("cudnn")
        note(f"{thing.name} is {now} now, which uses a GPU by itself", thing.place)
        return Thing(now.upper(), thing.args, thing.place, thing.variable)
    if dropped(thing.name) and meaning(thing.name, "layer") is None:
        raise Mistake("is no layer of Keras 3", thing.place, dropped(thing.name))
    known = role_of(thing.name)
    if (
        known
        and thing.name.startswith("layer_activation_")
        and meaning(thing.name, "layer") is None
    ):
        function = Given(known[1], "activation", thing.place)
        return Thing("Activation", [function, *thing.args], thing.place, thing.variable)
    return thing
