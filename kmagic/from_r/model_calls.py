"""The calls of an R script that create models, layers and other Keras objects."""

from __future__ import annotations

from typing import Any

from kmagic.from_r import unsupported
from kmagic.from_r.r_arguments import Note
from kmagic.from_r.r_names import is_keras_name, is_layer_name, suggest_layer
from kmagic.from_r.r_parser import RMistake, TextRange
from kmagic.from_r.r_values import (
    CallArg,
    KerasObject,
    ModelInput,
    RLayerCall,
    RModel,
    RTensor,
    RVector,
    UnknownValue,
    accepts_layer,
    bind_args,
    models_in,
    read_input,
    tensors,
)

_SEQUENTIAL = ("Sequential", "keras_model_sequential")
_FUNCTIONAL = ("keras_model", "Model")
_INPUTS = ("layer_input", "keras_input", "Input")
_METHODS = ("compile", "keras_compile", "freeze_weights", "pop_layer")
_TENSOR_PARAMETERS = ("object", "inputs", "x")
_ADD_A_LAYER = "Add a layer: mod$add(Dense(units = 50))."
_INPUT_PARAMETERS = frozenset(
    {"shape", "batch_shape", "batch_input_shape", "dtype", "batch_size", "name"}
    | {"input_shape", "input_batch_shape", "input_dtype", "input_batch_size"}
)


class ModelCalls:
    """Does what Keras's functions do in R.

    Attributes:
        models: All models in the order of their creation.
        layer_calls: How often a layer was added or applied.
    """

    def __init__(self, note: Note, model_name: str) -> None:
        self._note, self.model_name = note, model_name
        self.models: list[RModel] = []
        self.layer_calls = 0

    def call(self, name: str, args: list[CallArg], span: TextRange) -> Any:
        """What a function returns; None if it is none of Keras's."""
        first = args[0].value if args else None
        if name in _SEQUENTIAL:
            return self._sequential(args, span)
        if name in _FUNCTIONAL:
            return self._functional(args, span)
        if name in _INPUTS:
            return RTensor(RLayerCall(self._input(args, span), span))
        if isinstance(first, RModel) and name in _METHODS:
            return self.method(first, name.removeprefix("keras_"), args[1:])
        if not is_keras_name(name):
            return None
        if not is_layer_name(name):
            return KerasObject(name, args, span)
        return self._layer(name, args, span)

    def _layer(self, name: str, args: list[CallArg], span: TextRange) -> Any:
        layer = KerasObject(name, args, span)
        target = next((arg for arg in args if arg.name in _TENSOR_PARAMETERS), None)
        if target is None and args and args[0].name is None:
            target = args[0]
        if target is None or not accepts_layer(target.value):
            return layer
        rest = [arg for arg in args if arg is not target]
        if isinstance(target.value, RModel):
            if not target.value.is_stack:
                remedy = "Apply the layer to its output: model$output %>% ..."
                raise RMistake("cannot be added to a functional model", span, remedy)
            layer.args = rest
            return self._add(target.value, layer, span)
        more = [arg for arg in rest if arg.name is None and tensors(arg.value)]
        named = [arg for arg in rest if arg.name and tensors(arg.value)]
        layer.args = [arg for arg in rest if arg not in more and arg not in named]
        inputs = [tensor for arg in (target, *more) for tensor in tensors(arg.value)]
        return self._applied(layer, inputs, named, span)

    def method(self, model: RModel, name: str, args: list[CallArg]) -> Any:
        """``mod$add(...)`` and the like."""
        if name == "add":
            for arg in args[:1]:
                self._add(model, arg.value, arg.range)
            return model
        if name == "compile":
            model.compiled = args
            return model
        if name in ("pop", "pop_layer") and model.layers:
            model.layers.pop()
            return model
        if name == "freeze_weights":
            return UnknownValue("", "Add a line `freeze` to the text: it freezes the layers above.")
        return UnknownValue("", unsupported.replacement(name, args, self.model_name))

    def apply(self, layer: Any, args: list[CallArg], span: TextRange) -> Any:
        """A layer or model in a variable, applied: ``encoder(x)``, ``x %>% encoder``."""
        first = args[0].value
        if isinstance(first, RModel):
            return self._add(first, layer, span)
        inputs = [tensor for arg in args if arg.name is None for tensor in tensors(arg.value)]
        return self._applied(layer, inputs, [arg for arg in args if arg.name], span)

    # --- models -------------------------------------------------------------------------------

    def _sequential(self, args: list[CallArg], span: TextRange) -> RModel:
        model = RModel(span)
        self.models.append(model)
        shapes = [arg for arg in args if arg.name and arg.name not in ("layers", "name")]
        for arg in args:
            if arg in shapes or arg.name == "name":
                continue
            value = arg.value
            if isinstance(value, RVector | KerasObject | RModel) and not _is_shape(value):
                for layer in value if isinstance(value, RVector) else [value]:
                    self._add(model, layer, arg.range)
            elif value is not None:
                shapes.append(CallArg(value, "input_shape", arg.range))
        if shapes:
            model.shape = self._input(shapes, span)
        return model

    def _functional(self, args: list[CallArg], span: TextRange) -> RModel:
        bound = bind_args(("inputs", "outputs"), args)
        ends: list[list[RTensor]] = []
        for name in ("inputs", "outputs"):
            arg = bound.get(name, CallArg(None, name, span))
            ends.append(tensors(arg.value))
            if not ends[-1]:
                remedy = "Pass inputs from layer_input(), and outputs of layers applied to them."
                raise RMistake(f"has no {name}", arg.range, remedy)
        model = RModel(span, inputs=ends[0], outputs=ends[1])
        self.models.append(model)
        return model

    def _input(self, args: list[CallArg], span: TextRange) -> ModelInput:
        known = [arg for arg in args if arg.name is None or arg.name in _INPUT_PARAMETERS]
        for arg in args:
            if arg not in known and arg.value is not None and arg.value is not False:
                self._note(f"{arg.name} of an input is not supported; omitted", arg.range)
        model_input = read_input(known, span)
        if model_input.shape is None:
            remedy = "Pass the shape without the batch size: shape = c(28, 28, 1)."
            raise RMistake("has no shape", span, remedy)
        return model_input

    def _add(self, model: RModel, layer: Any, span: TextRange) -> RModel:
        if isinstance(layer, RTensor) and isinstance(layer.call.layer, ModelInput):
            model.shape = layer.call.layer
            return model
        if isinstance(layer, KerasObject) and not is_layer_name(layer.name):
            raise RMistake("is not a layer", layer.range, _ADD_A_LAYER)
        if not isinstance(layer, KerasObject | RModel) and not getattr(layer, "python", ""):
            called = getattr(layer, "function", "")
            remedy = suggest_layer(called) if called else _ADD_A_LAYER
            raise RMistake("is not a layer", span, remedy)
        if isinstance(layer, RModel) and model in models_in(layer):
            raise RMistake("is added to itself", span)
        self.layer_calls += 1
        model.layers.append(layer)
        return model

    def _applied(
        self, layer: Any, inputs: list[RTensor], named: list[CallArg], span: TextRange
    ) -> RTensor:
        self.layer_calls += 1
        return RTensor(RLayerCall(layer, span, inputs, named))


def _is_shape(value: Any) -> bool:
    return isinstance(value, RVector) and all(
        item is None or isinstance(item, int) for item in value
    )
