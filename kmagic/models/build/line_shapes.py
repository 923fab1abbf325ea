"""The output shape of each line of a text, without weights and without running the user's code.

Keras computes the shapes, with variables that have no values (``keras.StatelessScope``). A layer
with the same arguments and inputs as one before it is not created again, so the shapes of a long
text are known soon after each key.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from kmagic.language.graph import Graph, Node
from kmagic.language.parser import parse_partial
from kmagic.language.portable_text import literal_text
from kmagic.language.search_space import first_values, naming_problems
from kmagic.language.spec import (
    Arg,
    LayerRef,
    ModelRef,
    ModelSpec,
    NodeOutput,
    NotebookValue,
    Span,
    Word,
    find_parts,
)
from kmagic.models.binding import UNRESOLVED, BuildContext, bind_arguments
from kmagic.models.binding.argument_binding import with_name
from kmagic.models.build.assembly import Assembly, BuiltStep, report_mistakes, shape_of
from kmagic.models.build.builder import assemble_spec, compile_arguments
from kmagic.models.build.keras_errors import LayerInput
from kmagic.models.build.model_origin import ModelOrigin
from kmagic.models.catalogue import is_of_keras, layer_class
from kmagic.models.global_settings import changed_settings
from kmagic.models.keras_history import flat_layers, is_keras_tensor
from kmagic.models.lint import Advice, advise
from kmagic.support.errors import DSLError, Problem
from kmagic.support.formatting import format_output_shape
from kmagic.support.keras_import import keras
from kmagic.support.process_patches import checked_weights, isolated_keras, weights_without_values

_MAX_WHOLE = 100
"""Lines of a model that is also built as a whole, which takes about 3 ms per line."""
_MAX_CACHED = 10_000
_LARGE = 10_000_000
"""Weights from which on a layer is created each time, so that the sum is checked."""


@dataclass(frozen=True, slots=True)
class LineShape:
    """What leaves one line of a text.

    Attributes:
        line: Its number, from 1.
        shape: The shape, without the batch, as text; in a loop or block those of the first and of
            the last time.
        parameters: The parameters of its layers, each time that the line is used.
    """

    line: int
    shape: str
    parameters: int = 0


@dataclass(frozen=True, slots=True)
class TextCheck:
    """What is known of a text that is being written.

    Attributes:
        shapes: Of each line, up to the first one that cannot be built yet.
        problems: What an attempt to build the text would report.
        advice: Mistakes that Keras accepts silently, if the text can be built.
    """

    shapes: tuple[LineShape, ...] = ()
    problems: tuple[Problem, ...] = ()
    advice: tuple[Advice, ...] = ()


class _Output(NamedTuple):
    """A layer's output and its number of weights, for the next layer like it."""

    tensors: Any
    weights: int


_LATER: Any = object()
"""Stands for a layer like one before it, which is created only if it must be called."""
_layers: set[str] = set()
_outputs: dict[str, _Output] = {}
"""What is known of layers that were created before, and of their outputs."""


def forget_layers() -> None:
    """Create all layers again in the next check."""
    _outputs.clear()
    _layers.clear()


def check_text(text: str, names: Mapping[str, Any], *, ranges: bool = False) -> TextCheck:
    r"""The shapes and the mistakes of a text, as far as they are known without building it.

    No weights are created, and neither the notebook's layers nor Keras's state are changed. The
    user's functions and classes are not called: what follows from them is known when the cell runs.

    Args:
        text: In the layer language.
        names: The notebook's variables.
        ranges: Whether it may have ranges, of which the first values are checked.

    Example:
        >>> check = check_text("input 28x28x1 / conv2d 8 3x3\nflatten\ndense 10 rleu", {})
        >>> [(line.line, line.shape, line.parameters) for line in check.shapes]
        [(1, '26 x 26 x 8', 80), (2, '5,408', 0)]
        >>> [(problem.line, problem.column, problem.remedy) for problem in check.problems]
        [(3, 10, 'Did you mean relu? All activations: %keras_layers activations')]
    """
    if len(_outputs) + len(_layers) > _MAX_CACHED:
        forget_layers()
    with isolated_keras():
        spec = _readable(text, ranges=ranges)
        context = _context(spec, names)
        graph, is_unknown = _expand(spec, context)
        sketch = _sketch(graph, context)
        shapes = _line_shapes(sketch.rows(is_unknown))
        problems = _problems(context)
        is_small = 0 < len(graph.nodes) <= _MAX_WHOLE
        if problems or not is_small or sketch.has_user_code or sketch.has_user_layers:
            return TextCheck(shapes, problems)
        context = _context(spec, names)
        try:
            assembly, graph = assemble_spec(spec, context)
            steps, nested = tuple(assembly.steps), tuple(assembly.nested)
            advice = advise(assembly.model, ModelOrigin(spec, graph, steps, nested))
        except DSLError as error:
            return TextCheck(shapes, error.problems)
        return TextCheck(shapes, (), advice)


def text_problems(
    text: str, names: Mapping[str, Any], *, ranges: bool = False
) -> Sequence[Problem]:
    """The problems of a text alone; see `check_text`."""
    return spec_problems(_readable(text, ranges=ranges), names)


def spec_problems(spec: ModelSpec, names: Mapping[str, Any]) -> Sequence[Problem]:
    """The problems of a text that is parsed already."""
    with isolated_keras():
        return _problems_of(spec, names)


def _readable(text: str, *, ranges: bool) -> ModelSpec:
    """The text to check: that of a search with the first value of each range."""
    spec = parse_partial(text, ranges=ranges)
    if not ranges:
        return spec
    problems = (*spec.problems, *naming_problems(spec))
    return replace(first_values(spec), problems=problems)


def _context(spec: ModelSpec, names: Mapping[str, Any]) -> BuildContext:
    context = BuildContext(spec.source, names=names, is_trial=True, without_weights=True)
    context.try_spec = partial(_problems_of, names=names)
    return context


def _problems_of(spec: ModelSpec, names: Mapping[str, Any]) -> Sequence[Problem]:
    """The problems of a changed text, to verify a remedy."""
    context = BuildContext(spec.source, names=names, is_trial=True, without_weights=True)
    _sketch(_expand(spec, context)[0], context)
    return _problems(context)


def _sketch(graph: Graph, context: BuildContext) -> _Sketch:
    """The outputs of a graph, as far as possible; all mistakes are reported."""
    if not context.problems:
        sketch = _Sketch(graph, context, graph.models, {})
        sketch.run()
        return sketch
    # Lines with mistakes are left out: what follows is only read, as when the cell runs.
    with weights_without_values():
        report_mistakes(graph, context, _Sketch)
    trial = replace(context, problems=[], _reported=set())
    sketch = _Sketch(graph, trial, graph.models, {})
    sketch.run()
    if not sketch.has_user_code:
        compile_arguments(graph.compile, context)
    return sketch


def _problems(context: BuildContext) -> tuple[Problem, ...]:
    """All problems found, as building the text would report them."""
    try:
        context.raise_problems()
    except DSLError as error:
        return error.problems
    return ()


def _expand(spec: ModelSpec, context: BuildContext) -> tuple[Graph, Any]:
    """The graph, and which nodes may be wrong because a line with a mistake is left out."""
    context.problems += spec.problems
    graph = context.expand(spec)
    bodies = list(_bodies(spec.source))
    missing = [(problem.line, problem.column) for problem in context.problems]
    where = {mistake: _body_of(mistake[0], bodies) for mistake in missing}

    def is_unknown(node: Node) -> bool:
        spans = [*(use.span for use in node.trail), node.span]
        return any(
            (span.line, span.column) >= mistake and where[mistake] == _body_of(span.line, bodies)
            for span in spans
            for mistake in missing
        )

    return graph, is_unknown


def _bodies(text: str) -> Iterator[range]:
    """The lines of each block or nested model of a text, without its first line."""
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if match := re.match(r"( *)(block|model)\b.*:", line):
            end = number
            for later in lines[number:]:
                if later.strip() and len(later) - len(later.lstrip()) <= len(match[1]):
                    break
                end += 1
            yield range(number + 1, end + 1)


def _body_of(line: int, bodies: Iterable[range]) -> int:
    """Where the innermost body around a line begins; 0 if there is none."""
    return max((body.start for body in bodies if line in body), default=0)


# --- the shapes of lines ------------------------------------------------------------------------


def _line_shapes(steps: Iterable[tuple[BuiltStep, int]]) -> tuple[LineShape, ...]:
    """The shape after each line: of its last layer, at its first and its last use."""
    shapes: dict[int, list[str]] = {}
    parameters: dict[int, int] = {}
    before: Span | None = None
    for step, count in steps:
        span = step.node.span
        of_line = shapes.setdefault(span.line, [])
        if before is not None and before.line == span.line and before.column < span.column:
            of_line.pop()
        of_line.append(format_output_shape(step.shape))
        parameters[span.line] = parameters.get(span.line, 0) + count
        before = span
    return tuple(
        LineShape(line, _first_and_last(of_line), parameters[line])
        for line, of_line in sorted(shapes.items())
    )


def _first_and_last(shapes: Sequence[str]) -> str:
    if all(one == other for one, other in pairwise(shapes)):
        return shapes[0]
    return f"{shapes[0]} ... {shapes[-1]}"


class _Sketch(Assembly):
    """An assembly without a model: layers that are equal are created once."""

    def __init__(
        self, graph: Graph, context: BuildContext, models: list[Graph], built: dict[int, Any]
    ) -> None:
        super().__init__(graph, context, models, built)
        names = self.names = context.names
        self.settings = tuple(changed_settings().items())
        self.used_again: set[int] = set()
        self.user_code = {
            id(node)
            for part in (graph, *graph.models)
            for node in part.nodes
            if _runs_user_code((node.callee, node.args, node.inputs), names, node.params)
        }
        compiled = graph.compile.args if graph.compile else ()
        self.has_user_code = bool(self.user_code) or _runs_user_code(compiled, names)
        self.has_user_layers = any(
            isinstance(value.value, layer_class())
            for value in find_parts(tuple(node.callee for node in graph.nodes), NotebookValue)
        )
        self.keys: dict[int, str] = {}
        self.counts: list[int] = []
        self.seen: set[int] = set()

    def run(self) -> None:
        """Create the layers and compute the outputs as far as possible; mistakes are reported."""
        nodes = self.graph.nodes
        parts = [(node.callee, node.args, node.inputs) for node in nodes]
        named = (*self.graph.all_frozen, *self.graph.named_layers)
        references = find_parts((*parts, *named), LayerRef)
        self.used_again = {id(nodes[ref.node]) for ref in references}
        if not self.has_user_code:
            compile_arguments(self.graph.compile, self.context)
        with weights_without_values(), checked_weights(self.context.weights.add):
            self.create_layers()
            for node, layer in zip(self.graph.nodes, self.layers, strict=True):
                self.context.enter(node)
                self.counts.append(0)
                self.outputs.append(layer if node.is_input else self._apply(node, layer))
        self.context.leave()

    def rows(self, is_unknown: Callable[[Node], bool]) -> Iterator[tuple[BuiltStep, int]]:
        """The steps whose shapes are known, each with its number of weights."""
        for node, output, weights in zip(self.graph.nodes, self.outputs, self.counts, strict=True):
            if output is UNRESOLVED or is_unknown(node):
                break
            yield BuiltStep(node, None, shape_of(output)), weights
        for step in self.nested:
            if is_unknown(step.node):
                break
            yield step, _weight_count(step.layer)

    def _create(self, node: Node) -> Any:
        if id(node) in self.user_code:
            if not _runs_user_code((node.args, node.inputs), self.names, node.params):
                super()._create(node)  # reports wrong arguments
            return UNRESOLVED
        if isinstance(node.callee, ModelRef):
            inner = self.models[node.callee.model].nodes
            if any(id(part) in self.user_code for part in inner):
                return UNRESOLVED
        key = self._layer_key(node)
        if key in _layers:
            return _LATER
        layer = super()._create(node)
        if key and layer is not UNRESOLVED:
            _layers.add(key)
        return layer

    def _instance(self, cls: Any, word: str, node: Node) -> Any:
        if is_of_keras(cls):
            return super()._instance(cls, word, node)
        args = with_name(cls, node.args, node.name, node.span)
        bind_arguments(cls, word, args, node.callee.span, self.context, self.values.resolve)
        return UNRESOLVED

    def _layer_key(self, node: Node) -> str:
        """What is equal for equal layers; "" if the layer must be created."""
        if id(node) not in self.keys:
            self.keys[id(node)] = self._make_key(node)
        return self.keys[id(node)]

    def _make_key(self, node: Node) -> str:
        is_plain = isinstance(node.callee, Word) and not node.is_input
        if not is_plain or id(node) in self.used_again:
            return ""
        if any(arg.name in ("name", "adapt") for arg in node.args):
            return ""
        values = []
        kinds = (NotebookValue, Word, LayerRef, ModelRef, NodeOutput)
        for part in find_parts((node.callee, node.args), *kinds):
            if isinstance(part, NotebookValue) and literal_text(part.value) is not None:
                continue
            if not isinstance(part, Word):
                return ""
            values += [id(self.names[part.text])] if part.text in self.names else []
        return f"{node.callee} {node.args} {values} {self.settings}"

    def _apply(self, node: Node, layer: Any) -> Any:
        if layer is UNRESOLVED:
            return UNRESOLVED
        key = self._output_key(node)
        known = _outputs.get(key)
        if known is not None:
            self.counts[-1] = known.weights
            return known.tensors
        if layer is _LATER:
            layer = super()._create(node)
        output = super()._apply(node, layer)
        if output is UNRESOLVED:
            return output
        if id(layer) not in self.seen and not isinstance(node.callee, ModelRef):
            self.seen.add(id(layer))
            self.counts[-1] = _weight_count(layer)
        tensors = keras.tree.flatten(output)
        if key and self.counts[-1] < _LARGE and all(map(is_keras_tensor, tensors)):
            _outputs[key] = _Output(keras.tree.map_structure(_new_tensor, output), self.counts[-1])
        return output

    def _output_key(self, node: Node) -> str:
        """What is equal for layers with equal outputs; "" if the layer must be called."""
        key = self._layer_key(node)
        if not key:
            return ""
        args, kwargs = self._resolved(node.inputs)
        inputs = [_input_key(value) for value in (*args, *kwargs.items())]
        return "" if None in inputs else f"{key} {inputs}"

    def _layer_inputs(self, node: Node, tensors: list[Any]) -> list[LayerInput]:
        for output in find_parts(node.inputs, NodeOutput):
            if self.layers[output.node] is _LATER:  # its kind matters for the remedy
                self.layers[output.node] = super()._create(self.graph.nodes[output.node])
        return super()._layer_inputs(node, tensors)

    def _call(self, node: Node, layer: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if isinstance(node.callee, NotebookValue) and isinstance(layer, layer_class()):
            if not layer.built:
                layer = type(layer).from_config(layer.get_config())
            else:  # computes the output only: a call would add a node to the user's layer
                return layer.compute_output_spec(*args, **kwargs)
        return super()._call(node, layer, args, kwargs)


def _new_tensor(tensor: Any) -> Any:
    """A tensor without the history that keeps the layers before it alive."""
    return keras.KerasTensor(tensor.shape, tensor.dtype)


def _input_key(value: Any) -> str | None:
    """What is equal for equal inputs; None for a value whose content matters."""
    if is_keras_tensor(value):
        return f"{value.shape} {value.dtype}"
    if isinstance(value, list | tuple):
        items = list(map(_input_key, value))
        return None if None in items else str(items)
    return repr(value) if isinstance(value, bool | int | float | str | None) else None


def _weight_count(layer: Any) -> int:
    return sum(math.prod(weight.shape) for weight in getattr(layer, "weights", ()))


def _runs_user_code(
    parts: Any, names: Mapping[str, Any], params: Collection[str] = frozenset()
) -> bool:
    """Whether values call functions or create objects of the user's, or read a file."""
    for part in find_parts(parts, NotebookValue, Word):
        if isinstance(part, NotebookValue):
            value = part.value
        else:
            value = None if part.text in params else names.get(part.text)
        layers = flat_layers(value) if isinstance(value, layer_class()) else [value]
        if not all(map(_is_harmless, layers)):
            return True
    return any(arg.name == "vocabulary" for arg in find_parts(parts, Arg))


def _is_harmless(value: Any) -> bool:
    if isinstance(value, layer_class()):
        return is_of_keras(type(value)) and not isinstance(value, keras.layers.Lambda)
    owner = value if callable(value) else type(value)
    return is_of_keras(owner) or not callable(value)
