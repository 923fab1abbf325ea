"""One step of a text as source: the layer it makes or names, and how that is applied."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kmagic.language.spec import Arg, LiteralValue, NotebookValue, Span, Word
from kmagic.language.vocabulary import snake_case
from kmagic.models import catalogue
from kmagic.models.binding import UNRESOLVED, BuildContext
from kmagic.models.binding.word_lookup import find_layer
from kmagic.models.catalogue import takes_input_list
from kmagic.models.codegen.source_tree import Atom, Call, Code, Item, call, flat, listed, quoted
from kmagic.models.codegen.unknown_value import Unknown
from kmagic.models.codegen.value_source import Values, written

_STATES = {"LSTM": 2, "GRU": 1, "SimpleRNN": 1, "ConvLSTM1D": 2, "ConvLSTM2D": 2, "ConvLSTM3D": 2}


@dataclass(frozen=True, slots=True)
class Made:
    """What a step applies.

    Attributes:
        code: The call that makes the layer, the variable that holds it, or the function.
        fresh: Whether the layer is made here.
        word: What it is, for the name of a variable.
        function: Whether this is a function, which is no layer.
        args: A function's own arguments, which follow the tensors.
        signature: What tells how several inputs are given; None if that is not known.
        adapt: The data that the layer is adapted to.
        outputs: How many outputs it gives, if that is known, else 0.
        keys: The names of its outputs, if it gives a dictionary.
    """

    code: Code
    fresh: bool = False
    word: str = "layer"
    function: bool = False
    args: tuple[Item, ...] = ()
    signature: Callable[..., Any] | None = None
    adapt: Code | None = None
    outputs: int = 0
    keys: tuple[str, ...] = ()

    def applied(self, inputs: Sequence[Code], named: Sequence[Item]) -> Code:
        """The call on its inputs."""
        together = len(inputs) > 1 and (
            not self.function
            if self.signature is None
            else takes_input_list(self.signature, len(inputs))
        )
        places = [Item(listed(inputs))] if together else [*map(Item, inputs)]
        return Call(self.code, (*places, *self.args, *named))


class Steps:
    """Turns a step's word and arguments into what it applies."""

    def __init__(self, context: BuildContext, values: Values) -> None:
        self.context, self.values = context, values

    def make(
        self, callee: Word | NotebookValue, args: tuple[Arg, ...], name: str | None, span: Span
    ) -> Made | None:
        """What a step applies, or None after a mistake, which is noted."""
        if isinstance(callee, NotebookValue):
            word, found = callee.source, callee.value
            path = self.values.expression(callee, primary=True)
        else:
            word, found = callee.text, find_layer(callee, self.context)
            if found is UNRESOLVED:
                return None
            path = self._path(word, found)
        if isinstance(found, Unknown):
            return self._unknown(path, word, args, name)
        if inspect.isclass(found) or word == "input":
            return self._class(found, path, word, args, name, span)
        if isinstance(found, catalogue.layer_class()):
            if args:
                message = f"{word} is a layer already, and takes no arguments here"
                self.context.report(message, args[0].span)
            keys = tuple(sorted(found.output)) if _gives_dictionary(found) else ()
            return Made(path, word="layer", signature=found.call, keys=keys)
        if callable(found):
            return self._function(found, path, word, callee, args)
        self.context.report("is neither a layer, a model nor a function", callee.span)
        return None

    def _path(self, word: str, found: Any) -> Code:
        if word == "input":
            return Atom("keras.Input")
        if word.startswith("ops."):
            return Atom(word)
        return self.values.path(found, word)

    def _class(  # noqa: PLR0917 - all are always given
        self, cls: Any, path: Code, word: str, args: tuple[Arg, ...], name: str | None, span: Span
    ) -> Made | None:
        if name and not any(arg.name == "name" for arg in args) and _takes_name(cls):
            args = (*args, Arg(LiteralValue(name, span=span), "name", span=span))
        bound = self.values.bind(cls, word, args, span)
        if not bound.sound:
            return None
        adapt, bound.adapt = bound.adapt, None
        return Made(
            Call(path, written(cls, bound)),
            fresh=True,
            word=snake_case(getattr(cls, "__name__", word)),
            signature=getattr(cls, "call", None),
            adapt=adapt,
            outputs=_outputs(cls, bound.kwargs),
        )

    def _function(
        self,
        function: Any,
        path: Code,
        word: str,
        callee: Word | NotebookValue,
        args: tuple[Arg, ...],
    ) -> Made:
        import keras  # noqa: PLC0415 - takes seconds

        is_activation = isinstance(callee, Word) and catalogue.accepts_string("activation", word)
        if is_activation and not args and function is keras.activations.get(word):
            layer = keras.layers.Activation
            code = call("layers.Activation", quoted(word))
            return Made(code, fresh=True, word="activation", signature=layer.call)
        items = tuple(
            Item(self.values.plain(arg.value), "" if arg.name is None else f"{arg.name}=")
            for arg in args
        )
        places = tuple(item for item in items if not item.prefix)
        named = tuple(item for item in items if item.prefix)
        return Made(path, word=word, function=True, args=places + named, signature=function)

    def _unknown(self, path: Code, word: str, args: tuple[Arg, ...], name: str | None) -> Made:
        """Something of the notebook whose value is not at hand: its name tells what it is."""
        leaf = word.rpartition(".")[2]
        items = self.values.arguments(args)
        if leaf[:1].isupper():
            if name and not any(item.prefix == "name=" for item in items):
                items = (*items, Item(quoted(name), "name="))
            return Made(Call(path, items), fresh=True, word=snake_case(leaf))
        return Made(path, word="layer", function=bool(args), args=items)


def is_function(found: Any, word: str, *, bare: bool) -> bool:
    """Whether a step's callee is a function, which no ``keras.Sequential`` can hold.

    Args:
        found: What it stands for.
        word: What the text calls it.
        bare: Whether it has no arguments.
    """
    if isinstance(found, Unknown):
        return not bare and not word.rpartition(".")[2][:1].isupper()
    if inspect.isclass(found) or isinstance(found, catalogue.layer_class()) or word == "input":
        return False
    return not (
        bare and catalogue.accepts_string("activation", word) and not word.startswith("ops.")
    )


def _takes_name(cls: Any) -> bool:
    return any(each.name == "name" for each in catalogue.parameters(cls)) or (
        catalogue.takes_any_keyword(cls)
    )


def _gives_dictionary(layer: Any) -> bool:
    return isinstance(getattr(layer, "output", None) if hasattr(layer, "layers") else None, dict)


def _outputs(cls: Any, kwargs: dict[str, Code]) -> int:
    """How many outputs a recurrent or attention layer gives; 0 if that is not known."""
    own = getattr(cls, "__name__", "")
    true = Atom("True")
    if own in _STATES:
        return 1 + _STATES[own] * (kwargs.get("return_state") == true)
    inner = kwargs.get("layer")
    if own == "Bidirectional" and isinstance(inner, Call):
        word = flat(inner.function).removeprefix("layers.")
        given = {item.prefix.rstrip("="): item.value for item in inner.args}
        has_states = word in _STATES and given.get("return_state") == true
        return 1 + 2 * _STATES[word] if has_states else 0
    return 0
