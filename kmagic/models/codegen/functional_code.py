"""A text as functional code: each step a call on the variables before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kmagic.language.spec import (
    BlockSpec,
    CompileSpec,
    Expr,
    ForSpec,
    FreezeSpec,
    HeadSpec,
    InputsSpec,
    LayerSpec,
    MergeSpec,
    NestedSpec,
    OutputSpec,
    Ref,
    RepeatSpec,
    ResidualSpec,
    Statement,
    Word,
)
from kmagic.models.codegen import spec_survey
from kmagic.models.codegen.code_scope import Scope, Tensor
from kmagic.models.codegen.code_writer import Writer, one_or_list, part
from kmagic.models.codegen.program_state import Count
from kmagic.models.codegen.source_tree import Assign, Atom, Code, Item, Line, Loop, Stmt, call, flat
from kmagic.models.codegen.step_source import Made
from kmagic.models.codegen.value_source import Unstructured


class Flow(Writer):
    """Writes statements into the body of the scope."""

    def all(self, statements: tuple[Statement, ...]) -> None:
        """Write statements."""
        for statement in statements:
            self.one(statement)

    def one(self, statement: Statement) -> None:
        """Write one statement."""
        match statement:
            case LayerSpec():
                self._step(statement)
            case BlockSpec():
                self.scope.blocks[statement.name] = (statement, self.scope)
            case NestedSpec():
                self.state.write_model(self.state, statement)
            case RepeatSpec():
                self._repeat(self.count(statement.times), lambda: self.all(statement.body))
            case ForSpec():
                series, values = self.for_turns(statement)
                self._loop(statement.name, series, values, lambda: self.all(statement.body))
            case ResidualSpec():
                self._residual(statement)
            case MergeSpec():
                self._merge(statement)
            case FreezeSpec():
                self.freeze(statement)
            case OutputSpec():
                self.scope.outputs = statement.entries
            case InputsSpec():
                self.scope.inputs = statement.entries
            case CompileSpec() | HeadSpec():
                pass  # the graph has them

    def write(self, statement: Stmt) -> None:
        """Add a statement to the body."""
        self.scope.body.append(statement)

    # --- steps --------------------------------------------------------------------------------

    def _step(self, spec: LayerSpec) -> None:
        if spec.times is None:
            self._apply(spec, named=True)
            return
        count = self.count(spec.times)
        if count.known == 1:
            self._apply(spec, named=True)
        elif spec.inputs is None or spec_survey.mentions("_", spec.inputs):
            self._repeat(count, lambda: self._apply(spec, named=False))
        elif count.known != 0:
            self._apply(spec, named=False)
            again = replace(spec, inputs=None)
            self._repeat(count.fewer(), lambda: self._apply(again, named=False))

    def _apply(self, spec: LayerSpec, *, named: bool) -> None:
        scope = self.scope
        places = [each.code for each in scope.current]
        keywords: list[Item] = []
        if spec.inputs is not None:
            places, keywords = self.call_inputs(spec.inputs)
        callee = spec.callee
        word = callee.text if isinstance(callee, Word) else ""
        if not spec.reuse and word in scope.blocks:
            block, home = scope.blocks[word]
            code, outs = self.block_call(block, home, spec, places)
            self._bind_block(spec, code, outs)
        elif spec.reuse:
            self._bind(spec, scope.layer(word), places, keywords)
        elif word in scope.models:
            self._bind(spec, scope.models[word], places, keywords)
        else:
            name = None
            if named and scope.names_layers and len(spec.targets) == 1:
                name = spec.targets[0]
            found = scope.value(callee) if isinstance(callee, Expr) else callee
            made = self.steps.make(found, scope.args(spec.args), name, spec.span)
            self._bind(spec, made or Made(Atom("...")), places, keywords)

    def _bind(self, spec: LayerSpec, made: Made, places: list[Code], keywords: list[Item]) -> None:
        """Apply a layer, and hold what it gives in a variable."""
        if isinstance(spec.callee, Word) and spec.callee.text == "input":
            self._input(spec, made)
            return
        made = self._held(spec, made)
        self._assign(spec.targets, made.applied(places, keywords), made)

    def _held(self, spec: LayerSpec, made: Made) -> Made:
        """The layer in a variable of its own, if it is needed again."""
        held, before = self.held(spec, made)
        for each in before:
            self.write(each)
        return held

    def _input(self, spec: LayerSpec, made: Made) -> None:
        scope = self.scope
        if not scope.in_model or not scope.names_layers:
            raise Unstructured  # keras.Model needs them all by their variables
        target = spec.targets[0] if spec.targets else ""
        var = scope.variables.get(target) or scope.frame.fresh(scope.input_base)
        self.write(Assign(var, made.code))
        tensor = Tensor(Atom(var))
        scope.model_inputs.append(tensor)
        if target:
            scope.taps[target] = tensor
        scope.current = (tensor,)

    def _assign(self, targets: tuple[str, ...], code: Code, made: Made) -> None:
        scope = self.scope
        if len(targets) <= 1:
            target = targets[0] if targets and targets[0] != "_" else ""
            var = scope.variables[target] if target else scope.flow
            self.write(Assign(var, code))
            tensor = Tensor(Atom(var), made.keys)
            if target:
                scope.taps[target] = tensor
            scope.current = (tensor,)
            return
        if made.keys:
            self._assign_parts(targets, code, made)
            return
        names = [scope.variables.get(target, "_") for target in targets]
        names += ["_"] * (made.outputs - len(names))
        self.write(Assign(", ".join(names), code))
        outs = [Tensor(Atom(name)) for name in names]
        scope.taps |= {t: out for t, out in zip(targets, outs, strict=False) if t != "_"}
        scope.current = (outs[0],)

    def _assign_parts(self, targets: tuple[str, ...], code: Code, made: Made) -> None:
        """Several names for the parts of a dictionary."""
        scope = self.scope
        whole = scope.frame.fresh("outs")
        self.write(Assign(whole, code))
        for place, target in enumerate(targets):
            if target != "_":
                var = scope.variables[target]
                self.write(Assign(var, part(Tensor(Atom(whole), made.keys), (place,))))
                scope.taps[target] = Tensor(Atom(var))
        scope.current = (scope.taps[targets[0]],)

    def _bind_block(self, spec: LayerSpec, code: Code, outs: list[Tensor]) -> None:
        scope = self.scope
        if len(spec.targets) <= 1 and len(outs) == 1:
            self._assign(spec.targets, code, Made(code, keys=outs[0].keys))
            return
        several = self._flow_vars(len(outs))
        names = [
            scope.variables.get(target, flow)
            for target, flow in zip((*spec.targets, *[""] * len(outs)), several, strict=False)
        ]
        self.write(Assign(", ".join(names), code))
        scope.current = tuple(
            Tensor(Atom(name), out.keys) for name, out in zip(names, outs, strict=True)
        )
        for target, tensor in zip(spec.targets, scope.current, strict=False):
            if target != "_":
                scope.taps[target] = tensor

    def _flow_vars(self, count: int) -> list[str]:
        if count == 1:
            return [self.scope.flow]
        return [f"{self.scope.flow}_{number + 1}" for number in range(count)]

    # --- loops --------------------------------------------------------------------------------

    def _repeat(self, count: Count, write: Callable[[], None]) -> None:
        if count.known == 1:
            scope = self.scope
            outer, scope.names_layers = scope.names_layers, False
            write()
            scope.names_layers = outer
        elif count.known != 0:
            self._loop("_", call("range", count.code), [None], write)

    def _loop(
        self, name: str, series: Code, values: list[object], write: Callable[[], None]
    ) -> None:
        scope = self.scope
        if not scope.current:
            raise Unstructured
        flow = self._flow_vars(len(scope.current))
        self._settle(flow)

        def body() -> tuple[Stmt, ...]:
            with self.writing() as written:
                write()
                if len(scope.current) != len(flow):
                    raise Unstructured
                self._settle(flow)
            return tuple(written)

        if name == "_":
            inner = self.turns(None, values, body)
            var = "_"
        else:
            with self.loop_name(name) as var:
                inner = self.turns(name, values, body)
        if inner:
            self.write(Loop(var, series, inner))

    def _settle(self, flow: list[str]) -> None:
        """Have what came before in the variables that the loop changes."""
        scope = self.scope
        before = [flat(tensor.code) for tensor in scope.current]
        if before != flow:
            self.write(Line(f"{', '.join(flow)} = {', '.join(before)}"))
        scope.current = tuple(
            Tensor(Atom(var), tensor.keys) for var, tensor in zip(flow, scope.current, strict=True)
        )

    # --- residuals and merges -----------------------------------------------------------------

    def _kept(
        self, tensors: tuple[Tensor, ...], changed: frozenset[str], base: str
    ) -> tuple[tuple[Tensor, ...], list[str]]:
        """The tensors in variables that a body does not change, and the new ones among them."""
        scope = self.scope
        writes = {scope.flow, *(scope.variables[each] for each in changed)}
        writes |= set(self._flow_vars(len(tensors)))
        kept: list[Tensor] = []
        new: list[str] = []
        for tensor in tensors:
            if flat(tensor.code).split("[", maxsplit=1)[0] in writes:
                new.append(scope.frame.fresh(base))
                self.write(Assign(new[-1], tensor.code))
                kept.append(Tensor(Atom(new[-1]), tensor.keys))
            else:
                kept.append(tensor)
        return tuple(kept), new

    def _residual(self, spec: ResidualSpec) -> None:
        scope = self.scope
        before = scope.current
        place = len(scope.body)
        kept, new = self._kept(before, spec_survey.targets(spec.body), "shortcut")
        self._inside(spec.body, kept, before)
        if scope.current is before:
            del scope.body[place : place + len(new)]
        else:
            add = LayerSpec(Word("add", span=spec.span), span=spec.span)
            self._join(add, (*kept, *scope.current))
        scope.frame.free(*new)

    def _inside(
        self, body: tuple[Statement, ...], entry: tuple[Tensor, ...], current: tuple[Tensor, ...]
    ) -> None:
        scope = self.scope
        outer, scope.entry, scope.current = scope.entry, entry, current
        self.all(body)
        scope.entry = outer

    def _merge(self, spec: MergeSpec) -> None:
        scope = self.scope
        bodies = tuple(each for branch in spec.branches for each in branch.body)
        flow, new = scope.flow, list[str]()
        changed = spec_survey.targets(bodies)
        before, kept = scope.current, list[str]()
        if {flat(each.code) for each in before} & {scope.variables[each] for each in changed}:
            before, kept = self._kept(before, changed, "entry")
        prefix = flow if flow.startswith("branch") else "branch"
        outs: list[Tensor] = []
        for number, branch in enumerate(spec.branches):
            scope.flow = scope.frame.fresh(f"{prefix}_{number + 1}")
            new.append(scope.flow)
            self._inside(branch.body, before, before)
            later = [each for other in spec.branches[number + 1 :] for each in other.body]
            ends, more = self._kept_from(scope.current, spec_survey.targets(later), scope.flow)
            new += more
            outs += ends
        scope.flow = flow
        self._join(LayerSpec(spec.callee, spec.args, span=spec.callee.span), tuple(outs))
        scope.frame.free(*new, *kept)

    def _kept_from(
        self, tensors: tuple[Tensor, ...], changed: frozenset[str], base: str
    ) -> tuple[list[Tensor], list[str]]:
        """The ends of a branch in variables that later branches do not change."""
        scope = self.scope
        writes = {scope.variables[each] for each in changed}
        ends: list[Tensor] = []
        new: list[str] = []
        for tensor in tensors:
            if flat(tensor.code) in writes:
                new.append(scope.frame.fresh(f"{base}_end"))
                self.write(Assign(new[-1], tensor.code))
                ends.append(Tensor(Atom(new[-1]), tensor.keys))
            else:
                ends.append(tensor)
        return ends, new

    def _join(self, spec: LayerSpec, outs: tuple[Tensor, ...]) -> None:
        self.scope.current = outs
        self._apply(spec, named=False)

    # --- freezing -----------------------------------------------------------------------------

    def freeze(self, spec: FreezeSpec) -> None:
        """Layers by name, or all so far."""
        scope = self.scope
        for arg in spec.args:
            value = arg.value
            name = value.name if isinstance(value, Ref) else getattr(value, "text", "")
            self.write(Line("", scope.layer(name).code, ".trainable = False"))
        if spec.args:
            return
        if not scope.in_model:
            raise Unstructured  # it means the layers outside of the block, too
        known = [*scope.current, *scope.taps.values()]
        inputs = [each.code for each in scope.model_inputs]
        ends = list(dict.fromkeys(each.code for each in known if each.code not in inputs))
        if ends:
            model = call("keras.Model", one_or_list(inputs), one_or_list(ends))
            self.write(Line("", model, ".trainable = False"))

    # --- blocks -------------------------------------------------------------------------------

    def block_body(
        self, block: BlockSpec, scope: Scope, inputs: int
    ) -> tuple[list[Item], list[Stmt], list[Tensor]]:
        """A function that takes tensors first and returns tensors."""
        base = scope.flow
        if spec_survey.uses_entry(block.body):
            base = "inputs" if "inputs" not in scope.frame.taken else "entry"
            base = scope.frame.fresh(base)
        names = [base] if inputs == 1 else [f"{base}_{number + 1}" for number in range(inputs)]
        scope.current = scope.entry = tuple(Tensor(Atom(each)) for each in names)
        self.all(block.body)
        outs = list(scope.current)
        if scope.outputs:
            outs = [
                tensor
                for arg in scope.outputs
                for tensor in self.several(arg.value) or (Tensor(self.tensor(arg.value)),)
            ]
        body = [*scope.frame.defs, *scope.body]
        last = body[-1] if body else None
        codes = [tensor.code for tensor in outs]
        if isinstance(last, Assign) and codes == [Atom(last.targets)]:
            body[-1] = Line("return ", last.value)
        else:
            body.append(Line(f"return {', '.join(map(flat, codes))}"))
        return [Item(Atom(each)) for each in names], body, outs
