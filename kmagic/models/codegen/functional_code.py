"""A model as functional code: each step is a call on the variables before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kmagic.language.spec import (
    BlockSpec,
    CompileSpec,
    ForSpec,
    FreezeSpec,
    HeadSpec,
    InputsSpec,
    LayerSpec,
    MergeSpec,
    NestedSpec,
    OutputSpec,
    RepeatSpec,
    ResidualSpec,
    Statement,
    Word,
)
from kmagic.models.codegen import spec_survey
from kmagic.models.codegen.code_scope import CodeScope, StepCode, TensorCode, Unstructured
from kmagic.models.codegen.code_writer import CodeWriter, one_or_list, part_of
from kmagic.models.codegen.source_tree import (
    Assign,
    Atom,
    Code,
    CodeLine,
    ForLoop,
    Item,
    SourceStatement,
    call,
    one_line,
)
from kmagic.models.codegen.value_source import RepeatCount


class FunctionalWriter(CodeWriter):
    """Writes statements into the body of the scope."""

    def write_all(self, statements: tuple[Statement, ...]) -> None:
        """Write statements."""
        for statement in statements:
            self._write(statement)

    def _write(self, statement: Statement) -> None:
        match statement:
            case LayerSpec():
                self._step(statement)
            case BlockSpec():
                self.scope.blocks[statement.name] = (statement, self.scope)
            case NestedSpec():
                self.state.write_nested(self.state, statement)
            case RepeatSpec():
                self._repeat(
                    self.state.count(statement.times), lambda: self.write_all(statement.body)
                )
            case ForSpec():
                iterable, values = self.loop_values(statement)
                self._loop(statement.name, iterable, values, lambda: self.write_all(statement.body))
            case ResidualSpec():
                self._residual(statement)
            case MergeSpec():
                self._merge(statement)
            case FreezeSpec():
                self._freeze(statement)
            case OutputSpec():
                self.scope.outputs = statement.entries
            case InputsSpec():
                self.scope.inputs = statement.entries
            case CompileSpec() | HeadSpec():
                pass  # taken from the graph

    def _add(self, statement: SourceStatement) -> None:
        self.scope.body.append(statement)

    # --- steps --------------------------------------------------------------------------------

    def _step(self, spec: LayerSpec) -> None:
        count = None if spec.times is None else self.state.count(spec.times)
        if count is None or count.known == 1:
            self._apply(spec)
        elif spec.inputs is None or spec_survey.mentions("_", spec.inputs):
            self._repeat(count, lambda: self._apply(spec, is_named=False))
        elif count.known != 0:
            self._apply(spec, is_named=False)
            again = replace(spec, inputs=None)
            self._repeat(count.minus_one(), lambda: self._apply(again, is_named=False))

    def _apply(self, spec: LayerSpec, *, is_named: bool = True) -> None:
        scope, callee = self.scope, spec.callee
        inputs, named = [tensor.code for tensor in scope.current], list[Item]()
        if spec.inputs is not None:
            inputs, named = self.call_inputs(spec.inputs)
        word = callee.text if isinstance(callee, Word) else ""
        if not spec.reuse and word in scope.blocks:
            block, home = scope.blocks[word]
            code, outs = self.block_call(block, home, spec, inputs)
            self._bind_block(spec, code, outs)
            return
        is_known = spec.reuse or word in scope.models
        step = scope.layer(word) if is_known else self.step_code(spec, is_named=is_named)
        if word == "input":
            self._input(spec, step)
            return
        step, lines = self.keep_layer(spec, step)
        scope.body += lines
        self._assign(spec.targets, step.applied(inputs, named), step)

    def _input(self, spec: LayerSpec, step: StepCode) -> None:
        scope = self.scope
        if not scope.in_model or not scope.names_layers:
            raise Unstructured  # keras.Model needs each input in a variable
        target = spec.targets[0] if spec.targets else ""
        variable = scope.variables.get(target) or scope.frame.new_name(scope.input_base)
        self._add(Assign(variable, step.code))
        tensor = TensorCode(Atom(variable))
        scope.model_inputs.append(tensor)
        if target:
            scope.tensors[target] = tensor
        scope.current = (tensor,)

    def _assign(self, targets: tuple[str, ...], code: Code, step: StepCode) -> None:
        scope = self.scope
        if len(targets) <= 1:
            target = targets[0] if targets and targets[0] != "_" else ""
            variable = scope.variables[target] if target else scope.flow
            self._add(Assign(variable, code))
            tensor = TensorCode(Atom(variable), step.keys)
            if target:
                scope.tensors[target] = tensor
            scope.current = (tensor,)
            return
        if step.keys:
            self._assign_parts(targets, code, step)
            return
        names = [scope.variables.get(target, "_") for target in targets]
        names += ["_"] * (step.outputs - len(names))
        self._add(Assign(", ".join(names), code))
        outs = [TensorCode(Atom(name)) for name in names]
        scope.tensors |= {t: out for t, out in zip(targets, outs, strict=False) if t != "_"}
        scope.current = (outs[0],)

    def _assign_parts(self, targets: tuple[str, ...], code: Code, step: StepCode) -> None:
        """Several names for the parts of a dictionary."""
        scope = self.scope
        whole = scope.frame.new_name("outs")
        self._add(Assign(whole, code))
        for index, target in enumerate(targets):
            if target != "_":
                variable = scope.variables[target]
                part = part_of(TensorCode(Atom(whole), step.keys), (index,))
                self._add(Assign(variable, part))
                scope.tensors[target] = TensorCode(Atom(variable))
        scope.current = (scope.tensors[targets[0]],)

    def _bind_block(self, spec: LayerSpec, code: Code, outs: list[TensorCode]) -> None:
        scope = self.scope
        if len(spec.targets) <= 1 and len(outs) == 1:
            self._assign(spec.targets, code, StepCode(code, keys=outs[0].keys))
            return
        names = [
            scope.variables.get(target, flow)
            for target, flow in zip(
                (*spec.targets, *[""] * len(outs)), self._flow_variables(len(outs)), strict=False
            )
        ]
        self._add(Assign(", ".join(names), code))
        scope.current = tuple(
            TensorCode(Atom(name), out.keys) for name, out in zip(names, outs, strict=True)
        )
        for target, tensor in zip(spec.targets, scope.current, strict=False):
            if target != "_":
                scope.tensors[target] = tensor

    def _flow_variables(self, count: int) -> list[str]:
        flow = self.scope.flow
        return [flow] if count == 1 else [f"{flow}_{number + 1}" for number in range(count)]

    # --- loops --------------------------------------------------------------------------------

    def _repeat(self, count: RepeatCount, write: Callable[[], None]) -> None:
        if count.known == 1:
            scope = self.scope
            outer, scope.names_layers = scope.names_layers, False
            write()
            scope.names_layers = outer
        elif count.known != 0:
            self._loop("_", call("range", count.code), [None], write)

    def _loop(
        self, name: str, iterable: Code, values: list[object], write: Callable[[], None]
    ) -> None:
        scope = self.scope
        if not scope.current:
            raise Unstructured
        flow = self._flow_variables(len(scope.current))
        self._move_current(flow)

        def body() -> tuple[SourceStatement, ...]:
            with self.separate_body() as lines:
                write()
                if len(scope.current) != len(flow):
                    raise Unstructured
                self._move_current(flow)
            return tuple(lines)

        if name == "_":
            variable, inner = "_", self.loop_body(None, values, body)
        else:
            with self.loop_variable(name) as variable:
                inner = self.loop_body(name, values, body)
        if inner:
            self._add(ForLoop(variable, iterable, inner))

    def _move_current(self, flow: list[str]) -> None:
        """Put the current tensors into the variables that a loop changes."""
        scope = self.scope
        before = [one_line(tensor.code) for tensor in scope.current]
        if before != flow:
            self._add(CodeLine(f"{', '.join(flow)} = {', '.join(before)}"))
        scope.current = tuple(
            TensorCode(Atom(variable), tensor.keys)
            for variable, tensor in zip(flow, scope.current, strict=True)
        )

    # --- residuals and merges -----------------------------------------------------------------

    def _kept(
        self, tensors: tuple[TensorCode, ...], changed: set[str], base: str
    ) -> tuple[tuple[TensorCode, ...], list[str]]:
        """The tensors in variables that will not change, and the new ones of these variables."""
        kept: list[TensorCode] = []
        new: list[str] = []
        for tensor in tensors:
            if one_line(tensor.code).split("[", maxsplit=1)[0] in changed:
                new.append(self.scope.frame.new_name(base))
                self._add(Assign(new[-1], tensor.code))
                kept.append(TensorCode(Atom(new[-1]), tensor.keys))
            else:
                kept.append(tensor)
        return tuple(kept), new

    def _changed(self, statements: tuple[Statement, ...]) -> set[str]:
        """The variables of named outputs that statements assign."""
        return {self.scope.variables[name] for name in spec_survey.output_names(statements)}

    def _residual(self, spec: ResidualSpec) -> None:
        scope = self.scope
        before = scope.current
        index = len(scope.body)
        changed = self._changed(spec.body) | {scope.flow, *self._flow_variables(len(before))}
        kept, new = self._kept(before, changed, "shortcut")
        self._write_body(spec.body, kept, before)
        if scope.current is before:
            del scope.body[index : index + len(new)]
        else:
            add = LayerSpec(Word("add", span=spec.span), span=spec.span)
            self._join(add, (*kept, *scope.current))
        scope.frame.release(*new)

    def _write_body(
        self,
        body: tuple[Statement, ...],
        entry: tuple[TensorCode, ...],
        current: tuple[TensorCode, ...],
    ) -> None:
        scope = self.scope
        outer, scope.entry, scope.current = scope.entry, entry, current
        self.write_all(body)
        scope.entry = outer

    def _merge(self, spec: MergeSpec) -> None:
        scope = self.scope
        flow, before = scope.flow, scope.current
        changed = self._changed(spec.branches)
        new: list[str] = []
        if {one_line(tensor.code) for tensor in before} & changed:
            changed |= {flow, *self._flow_variables(len(before))}
            before, new = self._kept(before, changed, "entry")
        prefix = flow if flow.startswith("branch") else "branch"
        outs: list[TensorCode] = []
        for index, branch in enumerate(spec.branches):
            scope.flow = scope.frame.new_name(f"{prefix}_{index + 1}")
            new.append(scope.flow)
            self._write_body(branch.body, before, before)
            later = self._changed(spec.branches[index + 1 :])
            ends, more = self._kept(scope.current, later, f"{scope.flow}_end")
            new += more
            outs += ends
        scope.flow = flow
        self._join(LayerSpec(spec.callee, spec.args, span=spec.callee.span), tuple(outs))
        scope.frame.release(*new)

    def _join(self, spec: LayerSpec, outs: tuple[TensorCode, ...]) -> None:
        self.scope.current = outs
        self._apply(spec, is_named=False)

    # --- freezing and blocks ------------------------------------------------------------------

    def _freeze(self, spec: FreezeSpec) -> None:
        """Freeze layers by name, or all so far."""
        scope = self.scope
        if spec.args:
            scope.body += self.freeze_by_name(spec)
            return
        if not scope.in_model:
            raise Unstructured  # it freezes the layers outside the block, too
        known = [*scope.current, *scope.tensors.values()]
        inputs = [tensor.code for tensor in scope.model_inputs]
        ends = list(dict.fromkeys(each.code for each in known if each.code not in inputs))
        if ends:
            model = call("keras.Model", one_or_list(inputs), one_or_list(ends))
            self._add(CodeLine("", model, ".trainable = False"))

    def block_body(
        self, block: BlockSpec, scope: CodeScope, inputs: int
    ) -> tuple[list[Item], list[SourceStatement], list[TensorCode]]:
        """A function that takes tensors first and returns tensors."""
        base = scope.flow
        if spec_survey.uses_entry(block.body):
            base = "inputs" if "inputs" not in scope.frame.taken else "entry"
            base = scope.frame.new_name(base)
        names = [base] if inputs == 1 else [f"{base}_{number + 1}" for number in range(inputs)]
        scope.current = scope.entry = tuple(TensorCode(Atom(name)) for name in names)
        self.write_all(block.body)
        outs = list(scope.current)
        if scope.outputs:
            outs = [
                tensor
                for arg in scope.outputs
                for tensor in self.current_tensors(arg.value)
                or (TensorCode(self.tensor(arg.value)),)
            ]
        body = [*scope.frame.functions, *scope.body]
        last = body[-1] if body else None
        codes = [tensor.code for tensor in outs]
        if isinstance(last, Assign) and codes == [Atom(last.targets)]:
            body[-1] = CodeLine("return ", last.value)
        else:
            body.append(CodeLine(f"return {', '.join(map(one_line, codes))}"))
        return [Item(Atom(name)) for name in names], body, outs
