"""A Keras model as the plan of a text: every layer and every call, in a readable order."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from kmagic.language.parser import RESERVED
from kmagic.language.spec import (
    Arg,
    LiteralValue,
    MappingValue,
    NodeOutput,
    SequenceValue,
    Value,
    Word,
)
from kmagic.models.catalogue import takes_input_list
from kmagic.models.decompile.blocks import free_name
from kmagic.models.decompile.config_values import (
    UnwritableError,
    is_default_name,
    is_plain_word,
)
from kmagic.models.decompile.layer_writer import LayerWriter, own_name
from kmagic.models.decompile.operations import ops_call
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
from kmagic.support.process_patches import isolated_keras

MIN_FROZEN_LAYERS = 3
"""Fewer frozen layers at the start of a model get no line of their own."""


def read_model(model: Any, *, compiled: bool = True, exact: bool = False) -> ModelProgram:
    """The plan of a model's text.

    Args:
        model: A sequential or functional model.
        compiled: Whether to include how it is compiled.
        exact: Whether to keep the names that Keras generated.

    Raises:
        DecompileError: A layer cannot be written as text; the message names it.
    """
    with isolated_keras():
        return _ModelReader(exact=exact).program(model, compiled=compiled)


class _ModelReader:
    """Reads a model and the models nested in it, each once."""

    def __init__(self, *, exact: bool) -> None:
        self.exact = exact
        self.writer = LayerWriter()
        self.nested: dict[str, ModelPlan] = {}
        self.nested_indices: dict[int, int] = {}
        self.owners: dict[int, Any] = {}

    def program(self, model: Any, *, compiled: bool) -> ModelProgram:
        plan = self.plan(model)
        if not model.trainable:
            plan.args = (Arg(LiteralValue(False), "trainable"),)
            if plan.is_frozen:  # the model's own flag does not cover its layers
                plan.frozen_steps = len(plan.steps)
        program = ModelProgram(plan, self.nested, needed=self.writer.needed)
        if compiled:
            try:
                program.compile = self.writer.compile_line(model)
            except UnwritableError as error:
                program.notes.append(f"The compile line is missing: {error}")
        return program

    # --- models -----------------------------------------------------------------------------------

    def plan(self, model: Any) -> ModelPlan:
        _check_model(model)
        plan = ModelPlan(str(model.name) if self.exact else own_name(model))
        plan.is_frozen = is_frozen(model)
        if isinstance(model, keras.Sequential):
            plan.kind = "sequential"
            self._read_sequential(model, plan)
        else:
            plan.kind = "functional"
            _FunctionalReader(self, model, plan).read()
        if not model.trainable and not plan.is_frozen:
            plan.args = (Arg(LiteralValue(False), "trainable"),)
        self._freeze(plan)
        return plan

    def _read_sequential(self, model: Any, plan: ModelPlan) -> None:
        layers = sublayers(model)
        if not layers:
            raise _unwritable(model, "it has no layers")
        first_use: dict[int, int] = {}
        for index, layer in enumerate(layers):
            if id(layer) in first_use and not is_model(layer):
                step = PlanStep("reuse", target=first_use[id(layer)])
            else:
                step = self.step(layer, model)
                first_use[id(layer)] = index
            if index:
                step.inputs = (Arg(NodeOutput(index - 1)),)
            plan.steps.append(step)
        plan.outputs = (Arg(NodeOutput(len(layers) - 1)),)

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
            count = plan.frozen_steps = count if layers >= MIN_FROZEN_LAYERS else 0
        for index, step in enumerate(plan.steps):
            step.is_frozen = index < count
            if step.is_frozen:
                step.values.pop("trainable", None)

    def nested_index(self, model: Any) -> int:
        """The index of a nested model among all nested models."""
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
            written = self.writer.layer(layer)
        except UnwritableError as error:
            raise _unwritable(layer, str(error)) from None
        is_input = is_input_layer(layer)
        return PlanStep(
            "input" if is_input else "layer",
            written.callee,
            written.owner,
            written.values,
            name=str(layer.name) if self.exact else written.name,
            is_frozen=not is_input and is_frozen(layer),
        )


class _FunctionalReader:
    """Reads one functional model."""

    def __init__(self, reader: _ModelReader, model: Any, plan: ModelPlan) -> None:
        self.reader, self.model, self.plan = reader, model, plan
        self.indices: dict[KerasCall, int] = {}
        self.first_use: dict[int, int] = {}

    def read(self) -> None:
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
        try:
            step = self._step(call)
        except UnwritableError as error:
            raise _unwritable(call.operation, str(error)) from None
        step.output_count = len(call.outputs)
        self.indices[call] = len(self.plan.steps)
        self.plan.steps.append(step)

    def _step(self, call: KerasCall) -> PlanStep:
        layer = call.operation
        if not is_layer(layer):
            return self._function_step(call)
        if id(layer) in self.first_use and not is_model(layer):
            step = PlanStep("reuse", target=self.first_use[id(layer)])
        else:
            step = self.reader.step(layer, self.model)
            self.first_use[id(layer)] = len(self.plan.steps)
        step.inputs = self._call_inputs(call)
        return step

    def _function_step(self, call: KerasCall) -> PlanStep:
        made_by = ops_call(call)
        inputs = made_by.inputs
        tensors = inputs[0] if len(inputs) == 1 and isinstance(inputs[0], list) else []
        if len(tensors) > 1 and takes_input_list(made_by.function, len(tensors)):
            inputs = tuple(tensors)
        args = [Arg(self._value(value)) for value in inputs]
        values = {}
        for name, value in made_by.kwargs.items():
            if keras_tensors(value):
                args.append(Arg(self._value(value), name))
            else:
                values[name] = self._value(value)
        return PlanStep("function", Word(made_by.word), made_by.function, values, tuple(args))

    def _call_inputs(self, call: KerasCall) -> tuple[Arg, ...]:
        args, kwargs = call.arguments()
        function = call.operation.call
        positional: list[tuple[str | None, Any]]
        first = args[0] if args else None
        tensors = first if isinstance(first, list) and len(first) > 1 else []
        if len(args) == 1 and tensors and takes_input_list(function, len(tensors)):
            positional = [(None, tensor) for tensor in tensors]
        elif len(args) > 1 and takes_input_list(function, len(args)):
            names = (None, *list(inspect.signature(function).parameters)[1:])
            positional = list(zip(names, args, strict=False))
        else:
            positional = [(None, value) for value in args]
        return tuple(
            Arg(self._value(value), name) for name, value in (*positional, *kwargs.items())
        )

    def _value(self, value: Any) -> Value:
        """An argument of a call, with step outputs in place of tensors."""
        if is_keras_tensor(value):
            call = call_of(value)
            path = (output_index(value),) if len(call.outputs) > 1 else ()
            return NodeOutput(self.indices[call], path)
        if not keras_tensors(value):
            return self.reader.writer.value(value)
        if isinstance(value, Mapping):
            entries = (
                (Word(key) if is_plain_word(str(key)) else LiteralValue(key), self._value(item))
                for key, item in value.items()
            )
            return MappingValue(tuple(entries))
        items = tuple(self._value(item) for item in value)
        return SequenceValue("list" if isinstance(value, list) else "tuple", items)

    def _structure(self, structure: Any) -> tuple[Arg, ...]:
        if isinstance(structure, dict) and structure and all(map(is_plain_word, structure)):
            return tuple(Arg(self._value(item), key) for key, item in structure.items())
        if isinstance(structure, list) and len(structure) > 1:
            return tuple(Arg(self._value(item)) for item in structure)
        return (Arg(self._value(structure)),)


def is_frozen(layer: Any) -> bool:
    """Whether neither a layer nor anything in it is trainable."""
    return not any(part.trainable for part in flat_layers(layer) if not is_input_layer(part))


def _model_name(name: str, taken: Mapping[str, Any]) -> str:
    """A name for a nested model in the text."""
    if not is_plain_word(name) or name in RESERVED:
        stem = "".join(char if char.isalnum() else "_" for char in name).strip("_")
        name = stem if is_plain_word(stem) and stem not in RESERVED else f"model_{stem}"
    return free_name(name, taken, "_")


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
