"""The calls of a script that make models, layers and what they are made of."""

from __future__ import annotations

from typing import Any

from kmagic.from_r import unsupported
from kmagic.from_r.r_arguments import Note, Told
from kmagic.from_r.r_names import is_keras, is_layer, nearest_layer
from kmagic.from_r.r_nodes import Mistake, Place
from kmagic.from_r.r_values import (
    Broken,
    Given,
    Input,
    Model,
    Node,
    Tensor,
    Thing,
    Unknown,
    Vector,
    tensors,
)

_SEQUENTIAL = ("Sequential", "keras_model_sequential")
_FUNCTIONAL = ("keras_model", "Model")
_INPUTS = ("layer_input", "keras_input", "Input")
_COMPILE = ("compile", "keras_compile")
_FLOWS = ("object", "inputs", "x")


class Maker:
    """Makes what Keras's functions make.

    Args:
        note: Told what the reader should know.

    Attributes:
        models: All models, in the order in which they were begun.
        steps: How often a layer was added or applied.
    """

    def __init__(self, note: Note) -> None:
        self._note = note
        self.models: list[Model] = []
        self.steps = 0

    def call(self, name: str, given: list[Given], place: Place) -> tuple[bool, Any]:
        """What a function makes; first, whether it is one of those that make something."""
        if name in _SEQUENTIAL:
            return True, self._sequential(given, place)
        if name in _FUNCTIONAL:
            return True, self._functional(given, place)
        if name in _INPUTS:
            return True, Tensor(Node(self._input(given, place), place))
        if name in _COMPILE and given and isinstance(given[0].value, Model | Broken):
            if isinstance(given[0].value, Broken):
                raise Told
            return True, self.method(given[0].value, "compile", given[1:])
        if name in ("freeze_weights", "pop_layer") and given and isinstance(given[0].value, Model):
            return True, self.method(given[0].value, name, given[1:])
        if not is_keras(name):
            return False, None
        if not is_layer(name):
            return True, Thing(name, given, place)
        thing = Thing(name, [], place)
        flow = next((each for each in given if each.name in _FLOWS), None)
        if flow is None and given and given[0].name is None:
            flow = given[0]
        if flow is not None and isinstance(flow.value, Broken):
            raise Told
        if flow is None or not (tensors(flow.value) or isinstance(flow.value, Model)):
            thing.args = given
            return True, thing
        rest = [each for each in given if each is not flow]
        if isinstance(flow.value, Model) and not flow.value.is_stack:
            remedy = "A functional model is complete: apply the layer to its $output."
            raise Mistake("cannot be added to this model", place, remedy)
        if isinstance(flow.value, Model):
            thing.args = rest
            return True, self._add(flow.value, thing, place)
        more = [each for each in rest if each.name is None and tensors(each.value)]
        thing.args = [each for each in rest if each not in more]
        inputs = [part for each in (flow, *more) for part in tensors(each.value)]
        return True, self._applied(thing, inputs, place, name=name)

    def method(self, model: Model, name: str, given: list[Given]) -> Any:
        """``mod$add(...)`` and the like."""
        if name == "add":
            for each in given[:1]:
                self._add(model, each.value, each.place)
            return model
        if name == "compile":
            model.compiled = given
            return model
        if name in ("pop", "pop_layer") and model.layers:
            model.layers.pop()
            return model
        if name == "freeze_weights":
            return Unknown("", "A line `freeze` in the text keeps the weights above it.")
        if unsupported.is_elsewhere(name):
            return Unknown("", unsupported.advice(name, given))
        return Unknown()

    def apply(self, called: Any, given: list[Given], place: Place) -> Any:
        """A layer or a model that a variable holds, applied: ``encoder(x)``, ``x %>% encoder``."""
        first = given[0].value
        if isinstance(first, Model):
            return self._add(first, called, place)
        inputs = [part for each in given if each.name is None for part in tensors(each.value)]
        return self._applied(called, inputs, place, call=[each for each in given if each.name])

    # --- models -------------------------------------------------------------------------------

    def _sequential(self, given: list[Given], place: Place) -> Model:
        model = Model(place)
        self.models.append(model)
        shapes = [each for each in given if each.name and each.name not in ("layers", "name")]
        rest = [each for each in given if each not in shapes and each.name != "name"]
        for each in rest:
            if isinstance(each.value, Vector | Thing | Model) and not _is_shape(each.value):
                for layer in each.value if isinstance(each.value, Vector) else [each.value]:
                    self._add(model, layer, each.place)
            elif each.value is not None:
                shapes.append(Given(each.value, "input_shape", each.place))
        if shapes:
            model.shape = self._input(shapes, place)
        return model

    def _functional(self, given: list[Given], place: Place) -> Model:
        bound = {each.name: each for each in given if each.name in ("inputs", "outputs")}
        free = [name for name in ("inputs", "outputs") if name not in bound]
        bound |= dict(zip(free, [each for each in given if each.name is None], strict=False))
        ends: dict[str, list[Tensor]] = {}
        for name in ("inputs", "outputs"):
            each = bound.get(name)
            if each is not None and isinstance(each.value, Broken):
                raise Told
            found = tensors(each.value) if each is not None else []
            if not found:
                where = each.place if each is not None else place
                remedy = "Inputs come from layer_input(), outputs from layers applied to them."
                raise Mistake(f"gives no {name}", where, remedy)
            ends[name] = found
        model = Model(place, inputs=ends["inputs"], outputs=ends["outputs"])
        self.models.append(model)
        return model

    def _input(self, given: list[Given], place: Place) -> Input:
        made = Input(None, place)
        for each in given:
            name = each.name or "shape"
            if name in ("shape", "input_shape"):
                made.shape = each.value
            elif name in ("batch_shape", "batch_input_shape", "input_batch_shape"):
                items = list(each.value) if isinstance(each.value, Vector) else [each.value]
                made.batch = items[0]
                made.shape = Vector("c", [(None, item) for item in items[1:]])
            elif name in ("dtype", "input_dtype"):
                made.dtype = each.value
            elif name in ("batch_size", "input_batch_size"):
                made.batch = each.value
            elif name == "name":
                made.name = str(each.value or "")
            elif each.value is not None and each.value is not False:
                self._note(f"{name} of an input has no place here and is left out", each.place)
        if made.shape is None:
            raise Mistake("has no shape", place, "Write shape = c(28, 28, 1), without the batch.")
        return made

    def _add(self, model: Model, layer: Any, place: Place) -> Model:
        if isinstance(layer, Broken):
            raise Told
        if isinstance(layer, Tensor) and isinstance(layer.node.what, Input):
            model.shape = layer.node.what
            return model
        is_named = isinstance(layer, Unknown) and layer.python
        remedy = "A layer is added: mod$add(Dense(units = 50))."
        if not isinstance(layer, Thing | Model) and not is_named:
            called = layer.function if isinstance(layer, Unknown) else ""
            raise Mistake("is no layer", place, nearest_layer(called) if called else remedy)
        if isinstance(layer, Thing) and not is_layer(layer.name):
            raise Mistake("is no layer", layer.place, remedy)
        if isinstance(layer, Model) and _holds(layer, model):
            raise Mistake("is put into itself", place)
        self.steps += 1
        model.layers.append(layer)
        return model

    def _applied(
        self,
        what: Any,
        inputs: list[Tensor],
        place: Place,
        *,
        call: list[Given] | None = None,
        name: str = "",
    ) -> Tensor:
        self.steps += 1
        node = Node(what, place, inputs, list(call or ()))
        if isinstance(what, Thing) and name:
            node.call = [each for each in what.args if each.name and _holds_tensors(each.value)]
            what.args = [each for each in what.args if each not in node.call]
        return Tensor(node)


def _holds(model: Model, other: Model) -> bool:
    """Whether a model is another one, or has it somewhere within."""
    within = (each for each in model.layers if isinstance(each, Model))
    return model is other or any(_holds(each, other) for each in within)


def _holds_tensors(value: Any) -> bool:
    return bool(tensors(value))


def _is_shape(value: Any) -> bool:
    return isinstance(value, Vector) and all(
        each is None or isinstance(each, int) for each in value
    )
