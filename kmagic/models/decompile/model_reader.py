"""A Keras model as the plan of a text: every layer and every call, in a readable order."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import repeat
from typing import Any

import keras

from kmagic.language import spec
from kmagic.language.graph_statements import unused_name
from kmagic.language.parser import RESERVED
from kmagic.models.catalogue import takes_input_list
from kmagic.models.decompile.config_values import (
    UnwritableError,
    comparable,
    comparable_settings,
    is_default_name,
    is_plain_word,
    own_name,
)
from kmagic.models.decompile.layer_writer import LayerWriter
from kmagic.models.decompile.plan import ModelPlan, ModelProgram, PlanStep
from kmagic.models.keras_history import (
    KerasCall,
    call_of,
    calls_before,
    calls_of,
    flat_layers,
    input_structure,
    is_input_layer,
    is_keras_tensor,
    is_layer,
    is_model,
    keras_tensors,
    output_index,
    output_structure,
    sublayers,
)
from kmagic.support.errors import DecompileError
from kmagic.support.messages import Text
from kmagic.support.process_patches import default_settings, isolated_keras

MIN_FROZEN_LAYERS = 3
"""Fewer frozen layers at the start of a model get no line of their own."""
_MODULES = ("", "nn", "numpy", "image", "linalg", "math")
_FUNCTION_NAMES = {
    "BatchNorm": "batch_normalization",
    "LayerNorm": "layer_normalization",
    "RMSNorm": "rms_normalization",
}


def read_model(model: Any, *, compiled: bool = True, exact: bool = False) -> ModelProgram:
    """The plan of a model's text.

    Args:
        model: A sequential or functional model.
        compiled: Whether to include how it is compiled.
        exact: Whether to keep the names that Keras generated.

    Raises:
        DecompileError: A layer cannot be written as text; the message names it.
    """
    reader = _ModelReader(exact=exact)
    with isolated_keras():
        with default_settings():
            plan = reader.plan(model)
        if not model.trainable:
            plan.args = (spec.Arg(spec.LiteralValue(False), "trainable"),)
            if plan.is_frozen:  # the model's own flag does not cover its layers
                plan.frozen_nodes = len(plan.steps)
        program = ModelProgram(plan, reader.nested, reader.writer.needed)
        if compiled:
            try:
                plan.compile = reader.writer.compile_line(model, scaled=True)
            except UnwritableError as error:
                program.notes.append(f"The compile line is missing: {error}")
    return program


class _ModelReader:
    """Reads a model and the models nested in it, each once."""

    def __init__(self, *, exact: bool) -> None:
        self.exact = exact
        self.writer = LayerWriter()
        self.nested: dict[str, ModelPlan] = {}
        self.nested_indices: dict[int, int] = {}
        self.owners: dict[int, Any] = {}

    # --- models -----------------------------------------------------------------------------------

    def plan(self, model: Any) -> ModelPlan:
        _check_model(model)
        plan = ModelPlan(str(model.name) if self.exact else own_name(model))
        plan.is_frozen = is_frozen(model)
        if isinstance(model, keras.Sequential):
            plan.kind = "sequential"
            _PlanReader(self, model, plan).read_sequential()
        else:
            plan.kind = "functional"
            _PlanReader(self, model, plan).read_functional()
        if not model.trainable and not plan.is_frozen:
            plan.args = (spec.Arg(spec.LiteralValue(False), "trainable"),)
        self._freeze(plan)
        return plan

    def _freeze(self, plan: ModelPlan) -> None:
        """Replace ``trainable=false`` by one ``freeze`` line: for all layers, or the first ones."""
        nested = list(self.nested.values())
        trained = (
            index
            for index, step in enumerate(plan.steps)
            if (step.kind == "layer" and not step.is_frozen)
            or (step.kind == "model" and not nested[step.target].is_frozen)
        )
        count = len(plan.steps) if plan.is_frozen else next(trained, len(plan.steps))
        if not plan.is_frozen:
            layers = sum(step.kind == "layer" for step in plan.steps[:count])
            count = plan.frozen_nodes = count if layers >= MIN_FROZEN_LAYERS else 0
        for index, step in enumerate(plan.steps):
            step.is_frozen = index < count
            if step.is_frozen:
                step.values.pop("trainable", None)

    def nested_index(self, model: Any) -> int:
        if id(model) not in self.nested_indices:
            plan = self.plan(model)
            self.nested_indices[id(model)] = len(self.nested)
            self.nested[_model_name(str(model.name), self.nested)] = plan
        return self.nested_indices[id(model)]

    # --- layers -----------------------------------------------------------------------------------

    def step(self, layer: Any, owner: Any) -> PlanStep:
        """The step that makes a layer, without its inputs."""
        if is_model(layer) and _is_keras_model(layer):
            return PlanStep("model", target=self.nested_index(layer))
        if self.owners.setdefault(id(layer), owner) is not owner:
            raise _unwritable(layer, "it is shared by two models, one nested in the other")
        for inner in sublayers(layer):  # so that the layer's arguments can name its models
            if is_model(inner) and _is_keras_model(inner):
                index = self.nested_index(inner)
                self.writer.model_names[inner.name] = list(self.nested)[index]
        try:
            step = self.writer.step(layer)
        except UnwritableError as error:
            raise _unwritable(layer, str(error)) from None
        step.is_frozen = step.kind == "layer" and is_frozen(layer)
        if self.exact:
            step.name = str(layer.name)
        return step


class _PlanReader:
    def __init__(self, reader: _ModelReader, model: Any, plan: ModelPlan) -> None:
        self.reader, self.model, self.plan = reader, model, plan
        self.indices: dict[KerasCall, int] = {}
        self.first_use: dict[int, int] = {}

    def read_sequential(self) -> None:
        layers = sublayers(self.model)
        if not layers:
            raise _unwritable(self.model, "it has no layers")
        for index, layer in enumerate(layers):
            step = self._layer_step(layer)
            step.inputs = (spec.Arg(spec.NodeOutput(index - 1)),) if index else ()
            self.plan.steps.append(step)
        self.plan.outputs = (spec.Arg(spec.NodeOutput(len(layers) - 1)),)

    def read_functional(self) -> None:
        for call in (
            *calls_of(self.model.inputs),
            *calls_before(self.model.outputs, self._sources),
        ):
            if call not in self.indices:
                self._add(call)
        self.plan.outputs = self._structure(output_structure(self.model))
        inputs = input_structure(self.model)
        is_list = isinstance(inputs, list) and len(inputs) > 1 and all(map(is_keras_tensor, inputs))
        if not is_list and not is_keras_tensor(inputs):
            self.plan.inputs = self._structure(inputs)

    def _sources(self, call: KerasCall) -> list[KerasCall]:
        """What a step comes after: its layer's earlier call, and the calls of its inputs."""
        return [*call.previous_in(self.model), *calls_of(keras_tensors(call.arguments()))]

    def _add(self, call: KerasCall) -> None:
        layer = call.operation
        try:
            if is_layer(layer):
                step = self._layer_step(layer)
                step.inputs = self._call_inputs(call)
            else:
                step = self._function_step(call)
        except UnwritableError as error:
            raise _unwritable(layer, str(error)) from None
        step.output_count = len(call.outputs)
        self.indices[call] = len(self.plan.steps)
        self.plan.steps.append(step)

    def _layer_step(self, layer: Any) -> PlanStep:
        if id(layer) in self.first_use and not is_model(layer):
            return PlanStep("reuse", target=self.first_use[id(layer)])
        self.first_use[id(layer)] = len(self.plan.steps)
        return self.reader.step(layer, self.model)

    def _function_step(self, call: KerasCall) -> PlanStep:
        word, function, inputs, kwargs = _ops_call(call)
        if function is keras.ops.get_item and isinstance(kwargs.get("key"), list):
            kwargs["key"] = tuple(kwargs["key"])  # Keras reads a list alike, which files contain
        args = [spec.Arg(self._value(value)) for value in _one_by_one(function, inputs)]
        args += [
            spec.Arg(self._value(value), name)
            for name, value in kwargs.items()
            if keras_tensors(value)
        ]
        values = {
            name: self._value(value) for name, value in kwargs.items() if not keras_tensors(value)
        }
        return PlanStep("function", spec.Word(word), function, values, tuple(args))

    def _call_inputs(self, call: KerasCall) -> tuple[spec.Arg, ...]:
        args, kwargs = call.arguments()
        function = call.operation.call
        inputs = _one_by_one(function, args)
        names: Iterable[str | None] = repeat(None)
        if len(args) > 1 and takes_input_list(function, len(args)):
            names = (None, *list(inspect.signature(function).parameters)[1:])
        return tuple(
            spec.Arg(self._value(value), name)
            for name, value in (*zip(names, inputs, strict=False), *kwargs.items())
        )

    def _value(self, value: Any) -> spec.Value:
        """An argument of a call, with step outputs in place of tensors."""
        if is_keras_tensor(value):
            call = call_of(value)
            path = (output_index(value),) if len(call.outputs) > 1 else ()
            return spec.NodeOutput(self.indices[call], path)
        if not keras_tensors(value):
            return self.reader.writer.value(value)
        if isinstance(value, Mapping):
            write = self.reader.writer.value
            return spec.MappingValue(
                tuple((write(key), self._value(item)) for key, item in value.items())
            )
        items = tuple(self._value(item) for item in value)
        return spec.SequenceValue("list" if isinstance(value, list) else "tuple", items)

    def _structure(self, structure: Any) -> tuple[spec.Arg, ...]:
        if isinstance(structure, dict) and structure and all(map(is_plain_word, structure)):
            return tuple(spec.Arg(self._value(item), key) for key, item in structure.items())
        if isinstance(structure, list) and len(structure) > 1:
            return tuple(spec.Arg(self._value(item)) for item in structure)
        return (spec.Arg(self._value(structure)),)


def _one_by_one(function: Callable[..., Any], args: Sequence[Any]) -> Sequence[Any]:
    """The arguments of a call; where a list of tensors is the only one, the text has no list."""
    tensors = args[0] if len(args) == 1 and isinstance(args[0], list) else []
    is_list = len(tensors) > 1 and takes_input_list(function, len(tensors))
    return tensors if is_list else args


def is_frozen(layer: Any) -> bool:
    """Whether neither a layer nor anything in it is trainable."""
    return not any(part.trainable for part in flat_layers(layer) if not is_input_layer(part))


def _model_name(name: str, taken: Mapping[str, Any]) -> str:
    if not is_plain_word(name) or name in RESERVED:
        stem = "".join(char if char.isalnum() else "_" for char in name).strip("_")
        name = stem if is_plain_word(stem) and stem not in RESERVED else f"model_{stem}"
    return unused_name(name, {*taken})


def _is_keras_model(model: Any) -> bool:
    """Whether a model is of one of Keras's own classes, which a text can build."""
    return type(model).__module__.startswith("keras.src.models.")


def _check_model(model: Any) -> None:
    if not is_model(model):
        raise DecompileError(
            subject="model",
            expected="a Keras model",
            actual=Text(type(model).__name__),
            remedy="Put a layer into a model first: keras.Sequential([layer]).",
        )
    if not _is_keras_model(model) or type(model).__name__ == "Model":
        raise DecompileError(
            f"{model.name} cannot be written as text: its class {type(model).__name__} has code of"
            " its own.",
            "Only keras.Sequential and keras.Model(inputs, outputs) models can be written.",
        )


def _unwritable(layer: Any, reason: str) -> DecompileError:
    kind = type(layer).__name__
    is_unnamed = is_default_name(layer.name, kind) and layer.name == kind.lower()
    name = "" if is_unnamed else f" {layer.name}"
    what = "model" if is_model(layer) else "layer"
    return DecompileError(f"The {what}{name} ({kind}) cannot be written as text: {reason}.")


# --- functions of keras.ops ----------------------------------------------------------------------


def _ops_call(call: KerasCall) -> tuple[str, Callable[..., Any], list[Any], dict[str, Any]]:
    """The function of ``keras.ops`` that makes a call's operation: its word, it, its arguments."""
    name = type(call.operation).__name__
    key = _FUNCTION_NAMES.get(name, name).replace("_", "").lower()
    for word, function in _functions().get(key, ()):
        arguments = _arranged(function, call)
        if arguments is not None and _makes(function, *arguments, call):
            return word, function, *arguments
    raise UnwritableError(f"no function of keras.ops makes the operation {name}")


@cache
def _functions() -> dict[str, list[tuple[str, Callable[..., Any]]]]:
    """Words and functions of ``keras.ops`` by name without underscores, the shortest word first."""
    functions: dict[str, list[tuple[str, Callable[..., Any]]]] = {}
    for module in _MODULES:
        namespace = getattr(keras.ops, module, None) if module else keras.ops
        for name, value in vars(namespace).items() if namespace else ():
            if not name.startswith("_") and inspect.isfunction(value):
                word = ".".join(filter(None, ("ops", module, name)))
                functions.setdefault(name.replace("_", ""), []).append((word, value))
    return functions


def _arranged(
    function: Callable[..., Any], call: KerasCall
) -> tuple[list[Any], dict[str, Any]] | None:
    """The call's arguments and the operation's config in the order of a function's parameters."""
    arguments = call.node.arguments
    try:
        bound = inspect.signature(call.operation.call).bind(*arguments.args, **arguments.kwargs)
        given = dict(call.operation.get_config())
    except (TypeError, NotImplementedError):
        return None
    given.pop("name", None)
    variadic: tuple[Any, ...] = ()
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            variadic = value
        elif kind is inspect.Parameter.VAR_KEYWORD:
            given |= value
        else:
            given[name] = value
    inputs: list[Any] = []
    kwargs: dict[str, Any] = {}
    params = list(inspect.signature(function).parameters.values())
    last_tensor = max(
        (index for index, param in enumerate(params) if keras_tensors(given.get(param.name))),
        default=-1,
    )
    for index, param in enumerate(params):
        if param.kind is param.VAR_POSITIONAL:
            inputs += variadic
            last_tensor = index
        elif param.name in given:
            value = given[param.name]
            is_early = param.kind is not param.KEYWORD_ONLY and (index <= last_tensor or variadic)
            if is_early and len(inputs) == index:
                inputs.append(value)
            elif is_early or comparable(value) != comparable(param.default):
                kwargs[param.name] = value
    return inputs, kwargs


def _makes(
    function: Callable[..., Any], inputs: list[Any], kwargs: dict[str, Any], call: KerasCall
) -> bool:
    """Whether calling the function gives the same operation with the same arguments."""
    stand_ins: dict[int, Any] = {}
    try:
        result = function(*_with_stand_ins(inputs, stand_ins), **_with_stand_ins(kwargs, stand_ins))
        other = call_of(keras.tree.flatten(result)[0])
    except Exception:  # noqa: BLE001 - whatever it raises, it is not the function
        return False
    expected, actual = call.node.arguments, other.node.arguments
    return (
        type(other.operation) is type(call.operation)
        and comparable(_with_stand_ins([expected.args, expected.kwargs], stand_ins))
        == comparable([actual.args, actual.kwargs])
        and comparable_settings(other.operation.get_config())
        == comparable_settings(call.operation.get_config())
    )


def _with_stand_ins(value: Any, stand_ins: dict[int, Any]) -> Any:
    """A value with new tensors instead of the model's, which must not gain calls."""

    def replaced(leaf: Any) -> Any:
        if not is_keras_tensor(leaf):
            return leaf
        if id(leaf) not in stand_ins:
            stand_ins[id(leaf)] = keras.KerasTensor(leaf.shape, leaf.dtype)
        return stand_ins[id(leaf)]

    return keras.tree.map_structure(replaced, value)
