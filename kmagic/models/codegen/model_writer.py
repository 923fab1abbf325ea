"""A model's statements as Keras code: a list of layers, or functional code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias
from typing import Literal as OneOf

from kmagic.language import expressions, spec
from kmagic.language.expand import loop_items, mentions, series_of
from kmagic.language.graph import BlockUse, Graph
from kmagic.language.spec import BlockSpec, LayerSpec, MergeSpec, NotebookValue, Statement, Word
from kmagic.language.vocabulary import CONSTANT_FUNCTIONS
from kmagic.models.binding.argument_binding import with_name
from kmagic.models.catalogue import is_of_keras
from kmagic.models.codegen import spec_survey
from kmagic.models.codegen.program_state import (
    CodeFrame,
    CodeScope,
    Placeholder,
    ProgramState,
    RepeatCount,
    StepCode,
    TensorCode,
    Unstructured,
    python_name,
)
from kmagic.models.codegen.source_layout import (
    Compound,
    SourceStatement,
    call,
    dictionary,
    literal,
    sequence_of,
)
from kmagic.support.keras_import import keras

_BlockArguments: TypeAlias = dict[str, tuple[Any, OneOf["positional", "named", "default"]]]
"""The value of each parameter of a block, and how it is given."""


def write_model(
    state: ProgramState,
    statements: tuple[Statement, ...],
    graph: Graph,
    variable: str,
    prefix: str = "",
) -> None:
    """Write a model into the body of its scope, as a stack if it is one.

    Args:
        state: Its scope is the model's own.
        statements: The model's text.
        graph: What the text stands for.
        variable: The variable that will hold the model.
        prefix: Of the names of inputs and outputs, in a nested model.
    """
    writer = StackWriter if _is_sequential(graph, state) else ModelWriter
    writer(state, prefix).write_model(statements, graph, variable)


def _is_sequential(graph: Graph, state: ProgramState) -> bool:
    if graph.kind == "functional" or not graph.is_stack:
        if graph.kind == "sequential":
            state.refuse("a sequential model must be a plain stack of layers", graph.span)
        return False
    shared = []
    for node in graph.nodes:
        if isinstance(node.callee, Word | NotebookValue) and state.applies_function(
            node.callee, node.args
        ):
            return False
        if isinstance(node.callee, NotebookValue) and not node.args:
            value = node.callee.value
            shared.append(node.callee.source if isinstance(value, Placeholder) else id(value))
    return len(set(shared)) == len(shared)


def _model_arguments(state: ProgramState, graph: Graph) -> list[str]:
    """The arguments of a model itself: its name, and those of its head line."""
    args = with_name(keras.Sequential, graph.args, graph.name, graph.span)
    bound = state.bind(keras.Sequential, "model", args, graph.span)
    return [f"{key}={code}" for key, code in bound.kwargs.items()]


def _is_model(step: StepCode) -> bool:
    """Whether a step applies a model; a notebook variable without a value may be one."""
    owner = getattr(step.signature, "__self__", None)
    is_nested = step.signature in (None, keras.Sequential.call)
    return is_nested or isinstance(owner, keras.Model)


class ModelWriter:
    """Writes a model's statements as functional code.

    Args:
        state: The program's; its scope is the model's own.
        prefix: Of the names of inputs and outputs, in a nested model.
    """

    def __init__(self, state: ProgramState, prefix: str) -> None:
        self.state, self.context, self.prefix = state, state.context, prefix

    @property
    def scope(self) -> CodeScope:
        """The scope that is being written."""
        return self.state.scope

    def write_model(self, statements: tuple[Statement, ...], graph: Graph, variable: str) -> None:
        """Write a model with its inputs and outputs."""
        scope, body = self.scope, self.scope.body
        if not any(node.is_input for node in graph.nodes):
            remedy = "Start with an input line: `input 28x28x1`."
            span = graph.nodes[0].span if graph.nodes else statements[0].span
            self.state.refuse("the model has no input", span, remedy)
        self.write(statements)
        inputs = self._ends(scope.inputs) or _one_or_list(scope.model_inputs)
        outputs = self._ends(scope.outputs)
        if not outputs:
            outputs = _one_or_list(scope.current)
            name = f"{self.prefix}outputs"
            value = _assigned(body, scope.flow)
            if value and outputs == scope.flow and name not in scope.frame.taken:
                body[-1] = f"{name} = {value}"
                outputs = name
        model = call("keras.Model", inputs, outputs, *_model_arguments(self.state, graph))
        body.append(f"{variable} = {model}")

    def write(self, statements: Iterable[Statement]) -> None:
        """Write statements into the body of the scope."""
        for statement in statements:
            self._write(statement)

    def _write(self, statement: Statement) -> None:
        match statement:
            case LayerSpec():
                self._step(statement)
            case BlockSpec():
                self.scope.blocks[statement.name] = (statement, self.scope)
            case spec.NestedSpec():
                self._nested(statement)
            case spec.RepeatSpec():
                count = self.state.count(statement.times)
                self._repeat(count, lambda: self.write(statement.body))
            case spec.ForSpec():
                self._for(statement)
            case spec.ResidualSpec():
                self._residual(statement)
            case MergeSpec():
                self._merge(statement)
            case spec.FreezeSpec(args=()):
                if not self.scope.in_model:
                    raise Unstructured  # it freezes the layers outside the block, too
                self._freeze_all()
            case spec.FreezeSpec():
                for arg in statement.args:
                    self._add(f"{self._named_layer(arg.value).code}.trainable = False")
            case spec.UnfreezeSpec():
                self._unfreeze(statement)
            case spec.OutputSpec():
                self.scope.outputs = statement.entries
            case spec.InputsSpec():
                self.scope.inputs = statement.entries

    def _add(self, line: SourceStatement) -> None:
        self.scope.body.append(line)

    # --- tensors ------------------------------------------------------------------------------

    def _tensors(self, value: spec.Value) -> tuple[TensorCode, ...]:
        """What a value after an arrow stands for; ``_`` and ``_in`` may be several outputs."""
        match value:
            case Word("_"):
                return self.scope.current
            case Word("_in"):
                return self.scope.entry
            case Word(name):
                return (self.scope.tensors[name],)
        is_constant = self.state.is_constant(self.scope.value(value))
        return (TensorCode(self._tensor(value), is_constant=is_constant),)

    def _call_inputs(self, args: tuple[spec.Arg, ...] | None) -> tuple[list[TensorCode], list[str]]:
        """What is right of an arrow: the tensors, and the arguments by name."""
        if args is None:
            return [*self.scope.current], []
        positional: list[TensorCode] = []
        for arg in args:
            positional += self._tensors(arg.value) if arg.name is None else ()
        named = [f"{arg.name}={self._tensor(arg.value)}" for arg in args if arg.name is not None]
        return positional, named

    def _layer_inputs(
        self, args: tuple[spec.Arg, ...] | None, step: StepCode
    ) -> tuple[list[TensorCode], list[str]]:
        """The same for a layer, with its constants repeated for each sample."""
        inputs, named = self._call_inputs(args)
        is_keras = step.signature is not None and is_of_keras(step.signature)
        if not is_keras and not all(tensor.is_constant for tensor in inputs):
            return inputs, named
        given = [arg for arg in args or () if arg.name is not None]
        named = [f"{arg.name}={self._tensor(arg.value, repeats=True)}" for arg in given]
        return list(map(self._repeated, inputs)), named

    def _repeated(self, tensor: TensorCode) -> TensorCode:
        return TensorCode(self.state.repeated(tensor)) if tensor.is_constant else tensor

    def _ends(self, entries: tuple[spec.Arg, ...]) -> str:
        """The structure of a model's inputs or outputs by its line, or "" without one."""
        named = [arg for arg in entries if arg.name is not None]
        if named:
            return dictionary((literal(arg.name), self._tensor(arg.value)) for arg in named)
        return _one_or_list(self._call_inputs(entries)[0]) if entries else ""

    def _tensor(self, value: spec.Value, *, repeats: bool = False) -> str:
        """A tensor, a structure of tensors, or a plain value; perhaps with its arrays repeated."""
        match value:
            case Word():
                tensors = self._tensors(value)
                return _one_or_list([self._repeated(t) if repeats else t for t in tensors])
            case spec.Index(name, path):
                outputs = self._tensors(Word(name))
                if len(outputs) > 1 and isinstance(path[0], int) and path[0] < len(outputs):
                    return _part_of(outputs[path[0]], path[1:])
                return _part_of(outputs[0], path)
            case spec.SequenceValue():
                items = [self._tensor(item, repeats=repeats) for item in value.items]
                return sequence_of(value.kind, items)
            case spec.MappingValue():
                keys = (literal(spec.plain_value(key)) for key, _ in value.entries)
                items = [self._tensor(item, repeats=repeats) for _, item in value.entries]
                return dictionary(zip(keys, items, strict=True))
        given = self.scope.value(value)
        code = self.state.value_code(given)
        return self.state.repeated(code) if repeats and self.state.is_array(given) else code

    def _bind(
        self,
        variables: list[str],
        code: str,
        targets: tuple[str, ...],
        keys: Iterable[tuple[str, ...]] = (),
        *,
        is_constant: bool = False,
    ) -> tuple[TensorCode, ...]:
        """Assign outputs to variables, and give them the names of the text."""
        self._add(f"{', '.join(variables)} = {code}")
        all_keys = [*keys, *[()] * len(variables)]
        tensors = tuple(
            TensorCode(variable, key, is_constant=is_constant)
            for variable, key in zip(variables, all_keys, strict=False)
        )
        named = zip(targets, tensors, strict=False)
        self.scope.tensors |= {target: tensor for target, tensor in named if target != "_"}
        return tensors

    def _flow_variables(self, count: int) -> list[str]:
        flow = self.scope.flow
        return [flow] if count == 1 else [f"{flow}_{number + 1}" for number in range(count)]

    def _move_current(self, variables: list[str]) -> None:
        current = self.scope.current
        if [*current] != variables:
            self._add(f"{', '.join(variables)} = {', '.join(current)}")
        self.scope.current = tuple(
            TensorCode(variable, tensor.keys, is_constant=tensor.is_constant)
            for variable, tensor in zip(variables, current, strict=True)
        )

    # --- steps --------------------------------------------------------------------------------

    def _step(self, line: LayerSpec) -> None:
        if line.times is None:
            self._apply(line)
            return
        count = self.state.count(line.times)
        if count.known == 1:
            self._apply(line)
        elif line.inputs is None or mentions("_", line.inputs):
            self._repeat(count, lambda: self._apply(line))
        elif count.known != 0:
            self._repeat(RepeatCount("1", 1), lambda: self._apply(line))
            again = replace(line, inputs=None)
            self._repeat(self.state.count(line.times, less=1), lambda: self._apply(again))

    def _apply(self, line: LayerSpec) -> None:
        scope, callee = self.scope, line.callee
        if callee in (Word("_"), Word("_in")):
            self._name_outputs(line)
            return
        node = next(self.state.flat_nodes, None)
        word = callee.text if isinstance(callee, Word) else ""
        if not line.reuse and word in scope.blocks:
            self._add_block(line, *self._block_call(*scope.blocks[word], line))
        elif line.reuse or word in scope.models:
            self._add_step(line, scope.layer(word))
        else:
            name = line.targets[0] if scope.names_layers and len(line.targets) == 1 else None
            if node is not None:  # its target is a variable, not always the layer's name
                self.context.enter(node)
                name = node.name
            target, args = scope.value(callee), scope.value(line.args)
            self._add_step(line, self.state.step(target, args, name, line.span))

    def _name_outputs(self, line: LayerSpec) -> None:
        """``h = _``: another variable for what is there."""
        scope, outputs = self.scope, self._tensors(line.callee)
        if scope.layer_variables.keys() & set(line.targets):
            raise Unstructured  # its layer has no variable
        variables = [scope.variables.get(target, scope.flow) for target in line.targets]
        keys = [tensor.keys for tensor in outputs]
        scope.current = self._bind(variables, ", ".join(outputs), line.targets, keys)

    def _add_step(self, line: LayerSpec, step: StepCode) -> None:
        if line.callee == Word("input"):
            self._input(line, step)
            return
        step = self._keep_layer(line, step)
        if not step.is_function:
            inputs, named = self._layer_inputs(line.inputs, step)
        elif line.inputs is None and getattr(line.callee, "text", "") in CONSTANT_FUNCTIONS:
            inputs, named = [], []
        else:
            inputs, named = self._call_inputs(line.inputs)
        is_constant = step.is_function and all(tensor.is_constant for tensor in inputs)
        code = step.applied(inputs, named)
        self._assign(line.targets, code, step, is_constant=is_constant)

    def _input(self, line: LayerSpec, step: StepCode) -> None:
        scope = self.scope
        if not scope.names_layers:
            raise Unstructured  # keras.Model needs each input in a variable
        target = line.targets[0] if line.targets else ""
        variable = scope.variables.get(target) or scope.frame.new_name(f"{self.prefix}inputs")
        scope.current = self._bind([variable], step.code, line.targets[:1])
        scope.model_inputs += scope.current

    def _assign(
        self, targets: tuple[str, ...], code: str, step: StepCode, *, is_constant: bool
    ) -> None:
        scope = self.scope
        if len(targets) <= 1:
            variable = scope.variables.get(targets[0] if targets else "", scope.flow)
            scope.current = self._bind(
                [variable], code, targets, [step.keys], is_constant=is_constant
            )
        elif step.keys:
            self._assign_parts(targets, code, step)
        else:
            variables = [scope.variables.get(target, "_") for target in targets]
            variables += ["_"] * (step.outputs - len(variables))
            scope.current = self._bind(variables, code, targets, is_constant=is_constant)[:1]

    def _assign_parts(self, targets: tuple[str, ...], code: str, step: StepCode) -> None:
        """Several names for the parts of a dictionary."""
        scope = self.scope
        (whole,) = self._bind([scope.frame.new_name("outs")], code, (), [step.keys])
        for index, target in enumerate(targets):
            if target != "_":
                self._bind([scope.variables[target]], _part_of(whole, (index,)), (target,))
        scope.current = (scope.tensors[targets[0]],)

    def _keep_layer(self, line: LayerSpec, step: StepCode) -> StepCode:
        """Put a layer into its own variable if it is used again."""
        scope = self.scope
        reused = [target for target in line.targets if target in scope.layer_variables]
        if step.is_new and (reused or step.adapt is not None):
            variable = (
                scope.layer_variables[reused[0]] if reused else scope.frame.new_name(step.base_name)
            )
            self._add(f"{variable} = {step.code}")
            if step.adapt is not None:
                self._add(call(f"{variable}.adapt", step.adapt))
            step = replace(step, code=variable, is_new=False)
        if not step.is_function:
            scope.layers |= dict.fromkeys(reused, step)
        return step

    def _named_layer(self, value: spec.Value) -> StepCode:
        name = value.name if isinstance(value, spec.Ref) else getattr(value, "text", "")
        return self.scope.layer(name)

    def _unfreeze(self, line: spec.UnfreezeSpec) -> None:
        """Let a layer be trained, or the last layers of a model, as ``models.build`` does."""
        frozen = "layer.trainable = False"
        following = (*(arg.value for arg in line.args[1:]), None)
        for arg, after in zip(line.args, following, strict=True):
            if not isinstance(arg.value, Word | spec.Ref):
                continue  # the number of the layers of the model before it
            step = self._named_layer(arg.value)
            self._add(f"{step.code}.trainable = True")
            if not _is_model(step):
                continue
            if after is not None and not isinstance(after, Word | spec.Ref):
                count = self.state.count(after).code
                end = f"-{count}" if re.fullmatch(r"\w+", count) else f" -({count})"
                self._add(Compound(f"for layer in {step.code}.layers[:{end}]:", (frozen,)))
            check = "if isinstance(layer, layers.BatchNormalization):"
            loop = f"for layer in {step.code}._flatten_layers():"
            self._add(Compound(loop, (Compound(check, (frozen,)),)))

    def _freeze_all(self) -> None:
        """Freeze all layers between the inputs and the tensors so far."""
        scope = self.scope
        known = dict.fromkeys((*scope.current, *scope.tensors.values()))
        ends = [tensor for tensor in known if tensor not in scope.model_inputs]
        if ends:
            model = call("keras.Model", _one_or_list(scope.model_inputs), _one_or_list(ends))
            self._add(f"{model}.trainable = False")

    # --- blocks and nested models -------------------------------------------------------------

    def _nested(self, line: spec.NestedSpec) -> None:
        state, outer = self.state, self.scope
        graph = next(state.flat_models, None) or state.graphs[line.span]
        scope = outer.inner(outer.frame)
        variable = python_name(line.name)
        scope.declare(line.body)
        used = (*outer.current, *outer.entry, *outer.tensors.values())
        if outer.flow in used:
            scope.choose_flow(f"{variable}_")
        else:
            scope.flow = outer.flow
        state.scope = scope
        write_model(state, line.body, graph, variable, f"{variable}_")
        state.scope = outer
        outer.body += [*scope.body, ""]
        keys = tuple(sorted(arg.name for arg in graph.outputs if arg.name))
        outer.models[line.name] = StepCode(
            variable, base_name=variable, signature=keras.Sequential.call, keys=keys
        )

    def _block_call(
        self, block: BlockSpec, home: CodeScope, line: LayerSpec
    ) -> tuple[str, list[TensorCode]]:
        """A use of a block: the call of its function, and what it returns."""
        outer, (args, _) = self.scope, self._call_inputs(line.inputs)
        if any(tensor.is_constant for tensor in args):
            raise Unstructured  # a block's function does not know the model's input
        given = self._block_arguments(block, line)
        scope = self._block_scope(block, home, given, line)
        self.state.scope, self.context.trail = scope, scope.trail
        params, body, outs = self._write_block(block, len(args))
        self.state.scope, self.context.trail = outer, outer.trail
        defaults = self._defaults(block, {*home.renames, *scope.renames})
        for param in block.params:
            default = defaults.get(param.name)
            params.append(scope.renames[param.name] + (f"={default}" if default else ""))
        function = home.frame.define(block.name, params, body)
        is_positional = True
        for name, (value, how) in given.items():
            is_positional = is_positional and how == "positional"
            if how != "default" or name not in defaults:
                code = self.state.value_code(value, self.state.roles.get(id(value), "any"))
                args.append(TensorCode(code if is_positional else f"{scope.renames[name]}={code}"))
        return call(function, *args), outs

    def _block_arguments(self, block: BlockSpec, line: LayerSpec) -> _BlockArguments:
        given: _BlockArguments = {}
        names = [param.name for param in block.params]
        for arg in line.args:
            name = arg.name or next(name for name in names if name not in given)
            given[name] = self.scope.value(arg.value), "named" if arg.name else "positional"
        for param in block.params:
            if param.name not in given and param.default is not None:
                given[param.name] = self.scope.value(param.default), "default"
        return {name: given[name] for name in names}

    def _block_scope(
        self, block: BlockSpec, home: CodeScope, given: _BlockArguments, line: LayerSpec
    ) -> CodeScope:
        outside = {own for name, own in home.renames.items() if name not in given}
        frame = CodeFrame(home.frame.common | outside)
        values = {
            name: expressions.python_integer(spec.plain_value(value))
            for name, (value, _) in given.items()
        }
        trail = (*self.scope.trail, BlockUse(block.name, line.span, line))
        scope = home.inner(
            frame, env={**home.env, **values}, trail=trail, names_layers=False, in_model=False
        )
        for name in given:
            own = python_name(name)
            scope.renames[name] = frame.new_name(own if own not in frame.taken else f"{own}_")
        scope.declare(block.body)
        scope.choose_flow()
        return scope

    def _defaults(self, block: BlockSpec, bound: set[str]) -> dict[str, str]:
        """The defaults that a Python function can have: those that do not depend on its use."""
        defaults: dict[str, str] = {}
        for param in block.params:
            value = param.default
            if value is None:
                continue
            needs = spec_survey.free_names(value)
            if (
                isinstance(value, spec.Object | spec.InnerLayer)
                or needs & bound
                or needs - {*self.scope.env}
            ):
                return {}
            defaults[param.name] = self.state.value_code(self.scope.value(value))
        return defaults

    def _write_block(
        self, block: BlockSpec, inputs: int
    ) -> tuple[list[str], list[SourceStatement], list[TensorCode]]:
        """A function that takes tensors first and returns tensors."""
        scope = self.scope
        base = scope.flow
        if spec_survey.uses_entry(block.body):
            base = "inputs" if "inputs" not in scope.frame.taken else "entry"
            base = scope.frame.new_name(base)
        names = [base] if inputs == 1 else [f"{base}_{number + 1}" for number in range(inputs)]
        scope.current = scope.entry = tuple(map(TensorCode, names))
        self.write(block.body)
        ends = scope.outputs or (spec.Arg(Word("_")),)
        outs = [tensor for arg in ends for tensor in self._tensors(arg.value)]
        body = scope.frame.with_functions(scope.body)
        value = _assigned(body, outs[0]) if len(outs) == 1 else ""
        if value:
            body.pop()
        return names, [*body, f"return {value or ', '.join(outs)}"], outs

    def _add_block(self, line: LayerSpec, code: str, outs: list[TensorCode]) -> None:
        flow = self._flow_variables(len(outs))
        targets = (*line.targets, *[""] * len(outs))
        variables = [
            self.scope.variables.get(target, variable)
            for target, variable in zip(targets, flow, strict=False)
        ]
        keys = [out.keys for out in outs]
        self.scope.current = self._bind(variables, code, line.targets, keys)

    # --- loops --------------------------------------------------------------------------------

    def _repeat(self, count: RepeatCount, write: Callable[[], None]) -> None:
        if count.known == 1:
            scope = self.scope
            outer, scope.names_layers = scope.names_layers, False
            write()
            scope.names_layers = outer
        elif count.known != 0:
            self._loop("_", call("range", count.code), [self.scope.env], write)

    def _for(self, line: spec.ForSpec) -> None:
        scope = self.scope
        env, renames = scope.env, scope.renames
        iterable, values = self._loop_values(line)
        variable = python_name(line.name)
        if renames.get(line.name) != variable:
            variable = scope.frame.new_name(variable)
        scope.renames = {**renames, line.name: variable}
        envs = [{**env, line.name: value} for value in values]
        self._loop(variable, iterable, envs, lambda: self.write(line.body))
        scope.env, scope.renames = env, renames

    def _loop_values(self, line: spec.ForSpec) -> tuple[str, list[Any]]:
        """What a ``for`` line runs over as source, and its values."""
        values = [self.scope.value(value) for value in loop_items(line)]
        series = series_of(values)
        if series is not None:
            return self.state.value_code(values[0]), series
        codes = map(self.state.value_code, values)
        return sequence_of("list", codes), list(map(spec.plain_value, values))

    def _loop(
        self, variable: str, iterable: str, envs: list[Any], write: Callable[[], None]
    ) -> None:
        """Write a loop, whose body must be the same for the names of each iteration."""
        scope = self.scope
        outer, scope.names_layers = scope.names_layers, False
        flow = self._flow_variables(len(scope.current))
        self._move_current(flow)
        bodies: list[tuple[Any, ...]] = []
        before = after = scope.saved()
        for env in envs:
            scope.restore(before)
            scope.env = env
            outer_body, scope.body = scope.body, []
            write()
            if len(scope.current) != len(flow):
                raise Unstructured
            self._move_current(flow)
            bodies.append(tuple(scope.body))
            scope.body = outer_body
            after = after if bodies[1:] else scope.saved()
        scope.restore(after)
        scope.names_layers = outer
        if any(body != bodies[0] for body in bodies):
            raise Unstructured
        if bodies and bodies[0]:
            self._add(Compound(f"for {variable} in {iterable}:", bodies[0]))

    # --- residuals and merges -----------------------------------------------------------------

    def _residual(self, line: spec.ResidualSpec) -> None:
        scope = self.scope
        before = scope.current
        index = len(scope.body)
        changed = self._changed(line.body) | {scope.flow, *self._flow_variables(len(before))}
        kept = self._kept(before, changed, "shortcut")
        new = {*kept} - {*before}
        self._write_body(line.body, kept, before)
        if scope.current is before:
            del scope.body[index : index + len(new)]
        else:
            scope.current = (*kept, *scope.current)
            self._apply(LayerSpec(Word("add", span=line.span), span=line.span))
        scope.frame.taken -= new

    def _merge(self, line: MergeSpec) -> None:
        scope = self.scope
        flow, before = scope.flow, scope.current
        changed = self._changed(line.body)
        new: set[str] = set()
        if changed.intersection(before):
            changed |= {flow, *self._flow_variables(len(before))}
            before = self._kept(before, changed, "entry")
            new |= {*before} - {*scope.current}
        prefix = flow if flow.startswith("branch") else "branch"
        outs: list[TensorCode] = []
        for index, branch in enumerate(line.body):
            scope.flow = scope.frame.new_name(f"{prefix}_{index + 1}")
            self._write_body(branch.body, before, before)
            later = self._changed(line.body[index + 1 :])
            ends = self._kept(scope.current, later, f"{scope.flow}_end")
            new |= {scope.flow} | ({*ends} - {*scope.current})
            outs += ends
        scope.flow, scope.current = flow, tuple(outs)
        self._apply(_merge_step(line))
        scope.frame.taken -= new

    def _write_body(
        self,
        body: tuple[Statement, ...],
        entry: tuple[TensorCode, ...],
        current: tuple[TensorCode, ...],
    ) -> None:
        scope = self.scope
        outer, scope.entry, scope.current = scope.entry, entry, current
        self.write(body)
        scope.entry = outer

    def _changed(self, statements: tuple[Statement, ...]) -> set[str]:
        """The variables of named outputs that statements assign."""
        return {self.scope.variables[name] for name in spec_survey.output_names(statements)}

    def _kept(
        self, tensors: tuple[TensorCode, ...], changed: set[str], base: str
    ) -> tuple[TensorCode, ...]:
        """The tensors in variables that will not change, some of them new."""
        kept: list[TensorCode] = []
        for tensor in tensors:
            if tensor.split("[", maxsplit=1)[0] in changed:
                variable = self.scope.frame.new_name(base)
                kept += self._bind(
                    [variable], tensor, (), [tensor.keys], is_constant=tensor.is_constant
                )
            else:
                kept.append(tensor)
        return tuple(kept)


def _merge_step(line: MergeSpec) -> LayerSpec:
    return LayerSpec(line.callee, line.args, span=line.callee.span)


def _assigned(body: list[SourceStatement], variable: str) -> str:
    """What the last line of a body assigns to a variable, or ""."""
    match body[-1:]:
        case [str(last)] if last.startswith(f"{variable} = "):
            return last.removeprefix(f"{variable} = ")
    return ""


def _part_of(tensor: TensorCode, path: tuple[int | str, ...]) -> str:
    keys = [*path]
    if tensor.keys and keys and isinstance(keys[0], int):
        keys[0] = tensor.keys[keys[0]]
    return tensor + "".join(f"[{literal(key)}]" for key in keys)


def _one_or_list(codes: Sequence[str]) -> str:
    """A list, or its only element."""
    return codes[0] if len(codes) == 1 else sequence_of("list", codes)


# --- stacks -----------------------------------------------------------------------------------

_MAX_ON_ONE_LINE = 2
"""With more layers, each is on its own line."""


class StackWriter(ModelWriter):
    """Writes a stack: a list of layers, and after the first loop or block layer by layer."""

    def write_model(self, statements: tuple[Statement, ...], graph: Graph, variable: str) -> None:
        """Write a stack."""
        scope = self.scope
        is_taken = variable in spec_survey.defined_names(statements)
        scope.flow = scope.frame.new_name("stack") if is_taken else variable
        scope.current = (TensorCode(scope.flow),)
        self.listed: list[str] = []
        self.before: list[SourceStatement] | None = None
        self.write(statements)
        self._end_list()
        comma = "," * (len(self.listed) > _MAX_ON_ONE_LINE)
        arguments = [f"[{', '.join(self.listed)}{comma}]"] if self.listed else []
        model = call("keras.Sequential", *arguments, *_model_arguments(self.state, graph))
        scope.body = [*(self.before or ()), f"{scope.flow} = {model}", *scope.body]
        if is_taken:
            scope.body.append(f"{variable} = {scope.flow}")

    def _end_list(self) -> None:
        """Create the stack before what follows; further layers are added to it."""
        if self.before is None:
            self.before, self.scope.body = self.scope.body, []

    def _loop(self, *args: Any) -> None:
        self._end_list()
        super()._loop(*args)

    def _block_call(self, *args: Any) -> tuple[str, list[TensorCode]]:
        self._end_list()
        return super()._block_call(*args)

    def _residual(self, line: spec.ResidualSpec) -> None:
        self.write(line.body)  # which has no layers

    def _merge(self, line: MergeSpec) -> None:
        for branch in line.body:  # only one has layers
            self.write(branch.body)
        self._apply(_merge_step(line))

    def _freeze_all(self) -> None:
        self._end_list()
        head = f"for layer in {self.scope.flow}.layers:"
        self._add(Compound(head, ("layer.trainable = False",)))

    def _step(self, line: LayerSpec) -> None:
        super()._step(replace(line, inputs=None))  # it is the layer before

    def _add_step(self, line: LayerSpec, step: StepCode) -> None:
        layer = self._keep_layer(line, step).code
        if self.before is None:
            self.listed.append(layer)
        else:
            self._add(call(f"{self.scope.flow}.add", layer))

    def _name_outputs(self, line: LayerSpec) -> None:
        if self.scope.layer_variables.keys() & set(line.targets):
            raise Unstructured

    def _add_block(self, line: LayerSpec, code: str, outs: list[TensorCode]) -> None:  # noqa: ARG002
        self._add(code)

    def _write_block(
        self,
        block: BlockSpec,
        inputs: int,  # noqa: ARG002 - the stack
    ) -> tuple[list[str], list[SourceStatement], list[TensorCode]]:
        scope = self.scope
        scope.flow = scope.frame.new_name("stack")
        scope.current = (TensorCode(scope.flow),)
        self.write(block.body)
        return [scope.flow], scope.frame.with_functions(scope.body or ["pass"]), []
