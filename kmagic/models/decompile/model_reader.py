"""A Keras model to the plan of a text: every layer, every call, in a readable order."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

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
from kmagic.models.decompile.compile_arguments import compile_args
from kmagic.models.decompile.config_values import Unwritable, is_plain_word
from kmagic.models.decompile.keras_history import (
    belongs,
    call_arguments,
    node_of,
    origin,
    place_of,
    stack,
    structures,
    tensors,
)
from kmagic.models.decompile.layer_words import Layers, own_name
from kmagic.models.decompile.object_kinds import (
    all_frozen,
    check_kind,
    is_input_layer,
    is_layer,
    is_model,
    is_plain_model,
    is_tensor,
    kind_of,
    refused,
)
from kmagic.models.decompile.operations import function_call
from kmagic.models.decompile.plan import Plan, Program, Step
from kmagic.models.decompile.shortest_arguments import undisturbed

WORTH_FREEZING = 3
"""So many frozen layers at the beginning are worth a line."""


def read(model: Any, *, compiled: bool = True, exact: bool = False) -> Program:
    """The plan of a model's text.

    Args:
        model: A sequential or functional model.
        compiled: Whether the text is to have a compile line.
        exact: Whether layers keep the names that Keras invented.

    Raises:
        DecompileError: The model holds something that no text can say; with its name.
    """
    with undisturbed(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _Reader(exact=exact).program(model, compiled=compiled)


class _Reader:
    """Reads a model and those nested in it; each nested one is read once."""

    def __init__(self, *, exact: bool) -> None:
        self.exact = exact
        self.layers = Layers()
        self.models: list[Plan] = []
        self.names: list[str] = []
        self.known: dict[int, int] = {}
        self.home: dict[int, Any] = {}

    def program(self, model: Any, *, compiled: bool) -> Program:
        """The plan of a model and of all models in it."""
        plan = self.plan(model)
        if not model.trainable:
            plan.args = (Arg(LiteralValue(False), "trainable"),)
            if plan.frozen:  # the model's own flag says nothing of its layers
                plan.freeze = len(plan.steps)
        found = Program(plan, self.models, self.names, needs=self.layers.writer.needs)
        if compiled:
            try:
                found.compile = compile_args(model, self.layers)
            except Unwritable as problem:
                found.notes.append(f"How it was compiled cannot be written down: {problem}")
        return found

    # --- models -------------------------------------------------------------------------------

    def plan(self, model: Any) -> Plan:
        check_kind(model)
        name = str(model.name) if self.exact else own_name(model)
        plan = Plan(name=name, kind=kind_of(model), frozen=all_frozen(model))
        if plan.kind == "sequential":
            _Stack(self, model, plan).run()
        else:
            _Functional(self, model, plan).run()
        if not model.trainable and not plan.frozen:
            plan.args = (Arg(LiteralValue(False), "trainable"),)
        self._freeze(plan)
        return plan

    def _freeze(self, plan: Plan) -> None:
        """Say once that layers are not trained where a line can: the whole, or its beginning."""
        trained = (
            number
            for number, step in enumerate(plan.steps)
            if (step.kind == "layer" and not step.frozen)
            or (step.kind == "model" and not self.models[step.of].frozen)
        )
        count = len(plan.steps) if plan.frozen else next(trained, len(plan.steps))
        layers = sum(step.kind == "layer" for step in plan.steps[:count])
        if not plan.frozen:
            plan.freeze = count if layers >= WORTH_FREEZING else 0
            count = plan.freeze
        for number, step in enumerate(plan.steps):
            step.frozen = number < count
            if step.frozen:
                step.values.pop("trainable", None)

    def nested(self, model: Any) -> int:
        """The place of a nested model among all nested models."""
        if id(model) not in self.known:
            plan = self.plan(model)
            self.known[id(model)] = len(self.models)
            self.models.append(plan)
            self.names.append(self._model_name(model))
        return self.known[id(model)]

    def _model_name(self, model: Any) -> str:
        name = str(model.name)
        if not is_plain_word(name) or name in RESERVED:
            stem = "".join(char if char.isalnum() else "_" for char in name).strip("_")
            name = stem if is_plain_word(stem) and stem not in RESERVED else f"model_{stem}"
        stem, count = name, 1
        while name in self.names:
            count += 1
            name = f"{stem}_{count}"
        return name

    # --- layers -------------------------------------------------------------------------------

    def step(self, layer: Any, owner: Any) -> Step:
        """The step that makes a layer, without its inputs."""
        if is_model(layer) and is_plain_model(layer):
            return Step("model", of=self.nested(layer))
        if self.home.setdefault(id(layer), owner) is not owner:
            raise refused(layer, "it is shared between two models, one inside the other")
        self._nested_in(layer)
        try:
            words = self.layers.words(layer)
        except Unwritable as problem:
            raise refused(layer, str(problem)) from None
        step = Step("layer", words.callee, words.owner, words.values)
        step.name = str(layer.name) if self.exact else words.name
        if words.callee == Word("input"):
            step.kind = "input"
        step.frozen = not is_input_layer(layer) and all_frozen(layer)
        return step

    def _nested_in(self, layer: Any) -> None:
        """Read the models that a layer holds, so that its arguments can name them."""
        for held in getattr(layer, "_layers", ()) or ():
            if is_model(held) and is_plain_model(held):
                place = self.nested(held)
                self.layers.writer.models[held.name] = self.names[place]


class _Functional:
    """Reads one functional model."""

    def __init__(self, reader: _Reader, model: Any, plan: Plan) -> None:
        self.reader, self.model, self.plan = reader, model, plan
        self.numbers: dict[tuple[int, int], int] = {}
        self.first: dict[int, int] = {}

    def run(self) -> None:
        for tensor in self.model.inputs:
            self._add(*origin(tensor))
        for tensor in self.model.outputs:
            self._reach(tensor)
        inputs, outputs = structures(self.model)
        self.plan.outputs = self._ends(outputs)
        flat = isinstance(inputs, list) and len(inputs) > 1 and all(map(is_tensor, inputs))
        if not flat and not is_tensor(inputs):
            self.plan.inputs = self._ends(inputs)

    def _reach(self, tensor: Any) -> None:
        """Add all that a tensor needs, depth first: each branch in one piece."""
        pending = [(*origin(tensor), False)]
        while pending:
            operation, index, ready = pending.pop()
            if (id(operation), index) in self.numbers:
                continue
            if ready:
                self._add(operation, index)
                continue
            pending.append((operation, index, True))
            own = belongs(self.model, operation, index - 1)
            before = [(operation, index - 1)] if own else []
            args, kwargs = call_arguments(node_of(operation, index))
            found = [origin(each) for each in tensors((args, kwargs))]
            pending += [(*each, False) for each in reversed(before + found)]

    def _add(self, operation: Any, index: int) -> None:
        if (id(operation), index) in self.numbers:
            return
        number = len(self.plan.steps)
        node = node_of(operation, index)
        try:
            step = self._step(operation, node)
        except Unwritable as problem:
            raise refused(operation, str(problem)) from None
        step.outputs = len(node.outputs)
        self.numbers[id(operation), index] = number
        self.plan.steps.append(step)

    def _step(self, operation: Any, node: Any) -> Step:
        if not is_layer(operation):
            return self._function(node)
        if id(operation) in self.first and not is_model(operation):
            step = Step("reuse", of=self.first[id(operation)])
        else:
            step = self.reader.step(operation, self.model)
            self.first[id(operation)] = len(self.plan.steps)
        args, kwargs = call_arguments(node)
        step.inputs = self._call(operation, args, kwargs)
        return step

    def _function(self, node: Any) -> Step:
        call = function_call(node)
        if not call.word.startswith("ops."):
            raise Unwritable("it is an operation of the notebook's own")
        inputs = call.inputs
        together = inputs[0] if len(inputs) == 1 and isinstance(inputs[0], list) else []
        if len(together) > 1 and takes_input_list(call.function, len(together)):
            inputs = tuple(together)
        args = [Arg(self._value(each)) for each in inputs]
        values = {}
        for name, value in call.kwargs.items():
            if any(True for _ in tensors(value)):
                args.append(Arg(self._value(value), name))
            else:
                values[name] = self._value(value)
        return Step("function", Word(call.word), call.function, values, tuple(args))

    def _call(
        self, layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[Arg, ...]:
        found: list[Arg] = []
        first = args[0] if args else None
        together = first if isinstance(first, list) and len(first) > 1 else []
        if len(args) == 1 and together and takes_input_list(layer.call, len(together)):
            found += [Arg(self._value(each)) for each in together]
        elif len(args) > 1 and takes_input_list(layer.call, len(args)):
            names = list(inspect.signature(layer.call).parameters)
            found.append(Arg(self._value(first)))
            found += [
                Arg(self._value(each), name)
                for name, each in zip(names[1:], args[1:], strict=False)
            ]
        else:
            found += [Arg(self._value(each)) for each in args]
        found += [Arg(self._value(value), name) for name, value in kwargs.items()]
        return tuple(found)

    def _value(self, value: Any) -> Value:
        if is_tensor(value):
            return self._out(value)
        if not any(True for _ in tensors(value)):
            return self.reader.layers.writer.value(value)
        if isinstance(value, Mapping):
            entries = (
                (Word(key) if is_plain_word(str(key)) else LiteralValue(key), self._value(item))
                for key, item in value.items()
            )
            return MappingValue(tuple(entries))
        items = tuple(self._value(item) for item in value)
        return SequenceValue("list" if isinstance(value, list) else "tuple", items)

    def _out(self, tensor: Any) -> NodeOutput:
        operation, index = origin(tensor)
        node = node_of(operation, index)
        path = (place_of(tensor),) if len(node.outputs) > 1 else ()
        return NodeOutput(self.numbers[id(operation), index], path)

    def _ends(self, structure: Any) -> tuple[Arg, ...]:
        if isinstance(structure, dict) and structure and all(map(is_plain_word, structure)):
            return tuple(Arg(self._value(item), key) for key, item in structure.items())
        if isinstance(structure, list) and len(structure) > 1:
            return tuple(Arg(self._value(item)) for item in structure)
        return (Arg(self._value(structure)),)


class _Stack:
    """Reads one sequential model."""

    def __init__(self, reader: _Reader, model: Any, plan: Plan) -> None:
        self.reader, self.model, self.plan = reader, model, plan

    def run(self) -> None:
        layers = stack(self.model)
        if not layers:
            raise refused(self.model, "it holds no layer")
        first: dict[int, int] = {}
        for number, layer in enumerate(layers):
            if id(layer) in first and not is_model(layer):
                step = Step("reuse", of=first[id(layer)])
            else:
                step = self.reader.step(layer, self.model)
                first[id(layer)] = number
            if number:
                step.inputs = (Arg(NodeOutput(number - 1)),)
            self.plan.steps.append(step)
        self.plan.outputs = (Arg(NodeOutput(len(self.plan.steps) - 1)),)
