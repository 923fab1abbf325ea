"""Creates the objects and layers of a graph and connects them; each error is tied to its line."""

from __future__ import annotations

import inspect
import numbers
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NoReturn

import numpy as np

from kmagic.language import format_value, spec
from kmagic.language.graph import Graph, Node, named_end, rest_of_line
from kmagic.language.portable_text import literal_text
from kmagic.language.spec import Arg, LayerRef, LiteralValue, NodeOutput, NotebookValue, Shape, Word
from kmagic.language.vocabulary import CONSTANT_FUNCTIONS
from kmagic.models import catalogue
from kmagic.models.binding import (
    UNRESOLVED,
    BoundArguments,
    BuildContext,
    bind_arguments,
    word_lookup,
)
from kmagic.models.binding.argument_binding import with_flags, with_name
from kmagic.models.binding.build_context import Fix
from kmagic.models.binding.memory_limit import StepError, check_array
from kmagic.models.build import keras_errors
from kmagic.models.build.adaptation import adapt, check_adapted_shape
from kmagic.models.build.constant_inputs import check_constant, is_constant, repeat_for_batch
from kmagic.models.build.unfreezing import unfreeze, unfreezing_problem
from kmagic.models.catalogue import Role, accepts_string, is_of_keras
from kmagic.models.keras_history import is_connected, keras_tensors, with_items
from kmagic.models.trust import objects_in, unsafe_part
from kmagic.support.errors import DSLError
from kmagic.support.formatting import safe_repr
from kmagic.support.keras_import import keras
from kmagic.support.process_patches import checked_weights, weights_without_values

_DEEP = 400
"""From this many nodes on, Keras's recursions exceed Python's usual limit."""
ALLOW_CODE = "To load it anyway, use --unsafe (in Python safe_mode=False), for your own files only."
_INPUT_REMEDY = "Start with an input line: `input 28x28x1`."


@dataclass(slots=True)
class BuiltStep:
    """A node of the graph, its layer, and the shape of its output."""

    node: Node
    layer: Any
    shape: Any = None


def report_mistakes(
    graph: Graph, context: BuildContext, kind: type[Assembly] | None = None
) -> None:
    """Report the mistakes in a graph that cannot be built, with one kind of assembly."""
    for part in (graph, *graph.models):
        nodes = [node for node in part.nodes if isinstance(node.callee, Word | NotebookValue)]
        assembly = (kind or Assembly)(replace(part, nodes=nodes), context, [], {})
        assembly.values = ValueResolver(lambda _: UNRESOLVED)
        assembly.create_layers()


def assemble(graph: Graph, context: BuildContext) -> Assembly:
    """Create the model of a graph.

    Raises:
        DSLError: Words or arguments are wrong; with all of these mistakes.
        BuildError: A layer does not accept its input.
    """
    limit = sys.getrecursionlimit()
    if len(graph.nodes) > _DEEP:
        sys.setrecursionlimit(max(limit, 1000 + 20 * len(graph.nodes)))
    assembly = Assembly(graph, context, graph.models, {})
    if context.without_weights:
        scope: AbstractContextManager[None] = weights_without_values()
    else:
        scope = nullcontext()
        if not any(_notebook_objects(graph, context.names)):  # which the preview would change
            context.weights.preview = partial(_preview_weights, graph, context)
    try:
        with scope, checked_weights(context.weights.add):
            assembly.run()
    except _TooLargeError as error:
        raise error.reason from None
    finally:
        sys.setrecursionlimit(limit)
    return assembly


class _TooLargeError(BaseException):
    """The weights do not fit into memory; Keras's and other handlers of errors do not stop it."""

    def __init__(self, reason: DSLError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _preview_weights(graph: Graph, context: BuildContext) -> None:
    """Reject a model whose weights do not fit into memory, from within its creation."""
    trial = replace(context, problems=[], rejected={}, fixes={}, is_trial=True, _reported=set())
    with weights_without_values():
        try:
            Assembly(graph, trial, graph.models, {}).run()
        except DSLError as error:
            if trial.weights.is_exceeded:
                raise _TooLargeError(error) from None
        except Exception:  # noqa: BLE001, S110 - reported when the model itself is created
            pass


def has_new_weights(graph: Graph, steps: Sequence[BuiltStep], names: Mapping[str, Any]) -> bool:
    """Whether all weights of a new model were created with it.

    The notebook's layers and models may be trained, and its classes and functions may load
    weights: then this is not known.

    Args:
        graph: The model's graph.
        steps: Its steps, including those of nested models.
        names: Values of the names in braces.
    """
    for step in steps:
        owner = getattr(step.layer, "function", type(step.layer))  # a step may be of keras.ops
        if not str(getattr(owner, "__module__", "")).startswith("keras."):
            return False
    return not any(_notebook_objects(graph, names))


def _notebook_objects(graph: Graph, names: Mapping[str, Any]) -> Iterator[bool]:
    """Whether each value of the notebook is an object with its own state, which may be weights."""
    nodes = [node for part in (graph, *graph.models) for node in part.nodes]
    args = [arg for node in nodes for arg in node.args if arg.name != "adapt"]
    for part in spec.find_parts((*(node.callee for node in nodes), *args), NotebookValue, Word):
        value = part.value if isinstance(part, NotebookValue) else names.get(part.text)
        yield literal_text(value) is None


# --- values and objects -----------------------------------------------------------------------


class ValueResolver:
    """Converts values, with the layers that the text has created so far.

    Args:
        referenced: Returns the layer of a reference such as ``&name``, or the output of a layer;
            without it, references are reported.
    """

    def __init__(self, referenced: Callable[[Any], Any] | None = None) -> None:
        self._referenced = referenced

    def resolve(self, value: Any, role: Role, context: BuildContext) -> Any:
        """Convert a value of the text; UNRESOLVED after a mistake, which is reported."""
        match value:
            case NotebookValue():
                if not word_lookup.check_value(value.value, role, value.span, context):
                    return UNRESOLVED
                if not _check_configuration(value.value, value.span, context):
                    return UNRESOLVED
                return _converted(value.value, role)
            case LiteralValue():
                if not word_lookup.check_literal(value.value, role, value.span, context):
                    return UNRESOLVED
                return _converted(value.value, role)
            case Shape(dims=(None,)) if role != "shape":
                return None
            case Shape():
                return value.dims
            case Word():
                kind = word_lookup.word_kind(value, role, context)
                if kind == "object":
                    return self._object(spec.Object(value, span=value.span), role, context)
                words = {"text": value.text, "name": context.names.get(value.text)}
                return words.get(kind, UNRESOLVED)
            case spec.Object() | spec.InnerLayer():
                return self._object(value, role, context)
            case spec.SequenceValue():
                inner: Role = "any" if role == "shape" else role
                items = [self.resolve(item, inner, context) for item in value.items]
                if any(item is UNRESOLVED for item in items):
                    return UNRESOLVED
                return items if value.kind == "list" else tuple(items)
            case spec.MappingValue():
                entries = {
                    self.key(key, context): self.resolve(item, role, context)
                    for key, item in value.entries
                }
                if any(v is UNRESOLVED for v in entries.values()):
                    return UNRESOLVED
                return entries if _check_configuration(entries, value.span, context) else UNRESOLVED
            case LayerRef() | spec.ModelRef() | NodeOutput() if self._referenced is not None:
                return self._referenced(value)
            case _:
                return context.report("is not expected here", value.span)

    def key(self, key: Any, context: BuildContext) -> Any:
        """Convert a key of a dictionary; a bare word is a string."""
        if isinstance(key, Word):
            return key.text
        resolved = self.resolve(key, "any", context)
        if isinstance(resolved, Hashable):
            return resolved
        return context.report("is not a key; keys are words, texts and numbers", key.span)

    def _object(
        self, value: spec.Object | spec.InnerLayer, role: Role, context: BuildContext
    ) -> Any:
        function, word = word_lookup.find_callable(value, role, context)
        if function is None:
            return UNRESOLVED
        bound = bind_arguments(function, word, value.args, value.span, context, self.resolve)
        if not bound.valid:
            return UNRESOLVED
        return create_object(function, word, bound, value.span, context)


def _check_configuration(value: Any, span: spec.Span, context: BuildContext) -> bool:
    """Whether a value may be used in the text of a file; report a configuration of Keras."""
    if not context.safe_mode or next(objects_in(value), None) is None:
        return True
    message = "the text of a file must not contain a configuration of Keras"
    context.report(message, span, f"Write the object itself. {ALLOW_CODE}")
    return False


def _converted(value: Any, role: Role) -> Any:
    """A number as Keras takes it: one dimension as a shape, a whole learning rate as a float."""
    if isinstance(value, bool):
        return value
    if role == "shape" and isinstance(value, int):
        return (value,)
    if role == "schedule" and isinstance(value, list | tuple):
        return with_items(value, (_converted(item, role) for item in value))
    return float(value) if role == "schedule" and isinstance(value, numbers.Real) else value


def _is_shape(value: Any) -> bool:
    value = value.tolist() if isinstance(value, np.ndarray) else value
    sizes = value if isinstance(value, list | tuple) else [value]
    return all(isinstance(size, numbers.Integral | None) for size in sizes)


def create_object(
    function: Callable[..., Any],
    word: str,
    bound: BoundArguments,
    span: spec.Span,
    context: BuildContext,
) -> Any:
    """Call a class with bound arguments; an error is reported at the argument that it names."""
    if context.safe_mode:
        names = [cls.__name__ for cls in getattr(function, "__mro__", ())]
        if reason := unsafe_part(names, bound.kwargs):
            return context.report(f"{word} {reason}", span, ALLOW_CODE)
    for param in catalogue.parameters(function) if is_of_keras(function) else ():
        value = bound.kwargs.get(param.name)
        if param.role == "shape" and not _is_shape(value):  # a layer would accept anything else
            message = f"{param.name} must be whole numbers; got {safe_repr(value)}"
            return context.report(message, bound.spans[param.name], "Write a shape as 28x28x1.")
    try:
        return function(**bound.kwargs)
    except Exception as error:  # noqa: BLE001 - whatever Keras or the user's class raises, the line is at fault
        names = [param.name for param in catalogue.parameters(function)]
        problem = keras_errors.explain_argument_error(error, word, bound.kwargs, names)
        span = bound.spans.get(problem.argument, span)
        return context.report(problem.message, span, problem.remedy)


# --- layers and functions ---------------------------------------------------------------------


@dataclass(slots=True)
class FunctionLayer:
    """A function of the notebook or of keras.ops with its arguments, applied like a layer."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The function's own name."""
        return getattr(self.function, "__name__", "function")


def _call_layer(layer: Any, inputs: list[Any], kwargs: dict[str, Any]) -> Any:
    is_function = isinstance(layer, FunctionLayer)
    function = layer.function if is_function else layer.call
    together = len(inputs) > 1 and catalogue.takes_input_list(function, len(inputs))
    args = [inputs] if together else inputs
    if is_function:
        first = bool(layer.args) and catalogue.has_leading_value(function)
        values = [*layer.args[:first], *args, *layer.args[first:]]
        return function(*values, **layer.kwargs, **kwargs)
    return layer(*args, **kwargs)


# --- one model --------------------------------------------------------------------------------


class Assembly:
    """The assembly of one model; each nested model has its own.

    Attributes:
        model: The model, after :meth:`run`.
        steps: Its steps, in the order of the text.
        nested: The steps of its nested models.
    """

    def __init__(
        self, graph: Graph, context: BuildContext, models: list[Graph], built: dict[int, Any]
    ) -> None:
        self.graph, self.context, self.models, self.built = graph, context, models, built
        self.layers: list[Any] = []
        self.outputs: list[Any] = []
        self.named: dict[str, Node] = {}
        self.adapted: list[tuple[Node, Any, spec.Value]] = []
        self.read_variables: list[tuple[Node, Any]] = []
        self.model: Any = None
        self.steps: list[BuiltStep] = []
        self.nested: list[BuiltStep] = []
        self.values = ValueResolver(self._referenced)

    def run(self) -> None:
        """Create the layers and the model."""
        self.create_layers()
        if self.context.problems:
            self._connect()  # reports shape errors of the layers without mistakes
        for reference in self.graph.all_frozen:
            layer = self._referenced(reference)
            if isinstance(layer, catalogue.layer_class()):
                layer.trainable = False
        for reference, count in self.graph.unfrozen:
            self._unfreeze(self._referenced(reference), count, reference.span)
        self.model, shapes = self._stack() if self._is_stack() else self._connect()
        for node, layer, data in self.adapted:
            self.context.enter(node)
            check_adapted_shape(layer, _word_of(node), data, self.context)
        self.context.leave()
        self.context.raise_problems()
        self.steps = list(map(BuiltStep, self.graph.nodes, self.layers, shapes))

    def _unfreeze(self, layer: Any, count: int | None, span: spec.Span) -> None:
        if layer is UNRESOLVED:
            return
        if problem := unfreezing_problem(layer, count):
            self.context.report(problem[0], span, problem[1])
        elif not self.context.is_trial:  # which must not change the notebook's layers
            unfreeze(layer, count)

    def create_layers(self) -> None:
        """Create the layers, and report mistakes in words and arguments."""
        for node in self.graph.nodes:
            self.context.enter(node)
            self.layers.append(self._create(node))
        self.context.leave()

    def _create(self, node: Node) -> Any:
        match node.callee:
            case LayerRef() | spec.ModelRef():
                return self._referenced(node.callee)
            case NotebookValue():
                word = node.callee.source
                callee = word_lookup.check_step(node.callee.value, node.callee.span, self.context)
            case Word():
                word, callee = node.callee.text, word_lookup.find_layer(node.callee, self.context)
        if callee is UNRESOLVED:
            return UNRESOLVED
        if inspect.isclass(callee) or word == "input":
            return self._instance(callee, word, node)
        if isinstance(callee, catalogue.layer_class()):
            if node.args:
                message = f"{{{word}}} is already a layer and takes no arguments"
                self.context.report(message, node.args[0].span)
            return callee
        if callable(callee):
            return self._function(callee, word, node)
        return self.context.report("is neither a layer, a model nor a function", node.callee.span)

    def _instance(self, cls: Any, word: str, node: Node) -> Any:
        args = with_name(cls, node.args, node.name, node.span)
        span = node.callee.span
        if word == "input" and not _check_input_shape(node, self.context):
            return UNRESOLVED
        bound = bind_arguments(cls, word, args, span, self.context, self.values.resolve)
        if not bound.valid or not self._check_name(bound, node):
            return UNRESOLVED
        layer = create_object(cls, word, bound, span, self.context)
        has_data = "adapt" in bound.spans and bound.adapt is not UNRESOLVED
        if has_data and layer is not UNRESOLVED and not self.context.is_trial:
            argument = next(arg.value for arg in args if arg.name == "adapt")
            adapt(layer, word, bound.adapt, argument, self.context)
            self.adapted.append((node, layer, argument))
        return layer

    def _check_name(self, bound: BoundArguments, node: Node) -> bool:
        """Whether no layer above has the name of this one; if one has, report it."""
        name = bound.kwargs.get("name")
        if not isinstance(name, str):
            return True
        before = self.named.setdefault(name, node)
        if before is node:
            return True
        line = self.context.editor_line(before.span.line)
        message = f"the name {name} is already used in line {line}"
        if before.span == node.span:
            message = f"several layers would have the name {name}"
        remedy = "Give each layer a different name, or none."
        self.context.report(message, bound.spans["name"], remedy)
        return False

    def _function(self, function: Any, word: str, node: Node) -> Any:
        is_activation = isinstance(node.callee, Word) and accepts_string("activation", word)
        if is_activation and not node.args and function is keras.activations.get(word):
            return keras.layers.Activation(word)
        args, kwargs = self._resolved(with_flags(function, node.args))
        if is_activation:
            try:
                inspect.signature(function).bind(None, *args, **kwargs)
            except TypeError:
                units = format_value(node.args[0].value)
                remedy = f"For a layer with {units} units, write `dense {units}`."
                message = f"{word} is an activation and takes no such value"
                return self.context.report(message, node.args[0].span, remedy * units.isdigit())
        return FunctionLayer(function, tuple(args), kwargs)

    def _resolved(self, args: tuple[Arg, ...]) -> tuple[list[Any], dict[str, Any]]:
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for arg in args:
            value = self.values.resolve(arg.value, "any", self.context)
            if arg.name is None:
                positional.append(value)
            else:
                named[arg.name] = value
        return positional, named

    def _referenced(self, reference: LayerRef | spec.ModelRef | NodeOutput) -> Any:
        if isinstance(reference, NodeOutput):
            return self._output(reference)
        if isinstance(reference, LayerRef):
            return self.layers[reference.node]
        if reference.model not in self.built:
            context = replace(self.context)  # with the same problems
            inner = Assembly(self.models[reference.model], context, self.models, self.built)
            with suppress(DSLError):  # its problems are raised with all others
                inner.run()
                self.nested += [*inner.steps, *inner.nested]
            self.built[reference.model] = UNRESOLVED if inner.model is None else inner.model
        return self.built[reference.model]

    # --- a sequential model -------------------------------------------------------------------

    def _is_stack(self) -> bool:
        if self.graph.kind == "functional" or not self.graph.is_stack:
            if self.graph.kind == "sequential":
                self._reject_sequential()
            return False
        start = bool(self.graph.nodes) and self.graph.nodes[0].is_input
        is_layer = [isinstance(layer, catalogue.layer_class()) for layer in self.layers[start:]]
        return all(is_layer) and (
            self.graph.kind == "sequential"
            or len({id(layer) for layer in self.layers}) == len(self.layers)
        )

    def _reject_sequential(self) -> NoReturn:
        """Report the first line that does not belong to a stack."""
        line = self.context.editor_line(self.graph.span.line)
        for index, node in enumerate(self.graph.nodes):
            before = (Arg(NodeOutput(index - 1)),) if index else ()
            if node.inputs != before or isinstance(node.callee, LayerRef):
                message = "in a sequential model, each layer must take the output of the line above"
                remedy = f"Remove `sequential` in line {line}."
                self.context.reject(message, node.span, remedy)
        message = "a sequential model must be a plain stack of layers"
        self.context.reject(message, self.graph.span)

    def _stack(self) -> tuple[Any, list[Any]]:
        arguments = self._model_arguments()
        weights = self.context.weights
        before = weights.size, weights.is_exceeded
        try:
            model = keras.Sequential(list(self.layers), **arguments)
        except Exception as error:  # noqa: BLE001 - whatever Keras raises, the text is at fault
            # With new layers, since a layer that failed once may succeed the second time.
            weights.size, weights.is_exceeded = before
            again = Assembly(self.graph, self.context, self.models, {})
            again.create_layers()
            again._connect()  # reports the line, if one is at fault
            self._reject_model(error)
        return model, [self._output_shape(layer, model) for layer in self.layers]

    @staticmethod
    def _output_shape(layer: Any, model: Any) -> Any:
        if not isinstance(layer, catalogue.layer_class()):
            return layer.shape
        return layer.output.shape if model.built and is_connected(layer) else None

    # --- a functional model -------------------------------------------------------------------

    def _connect(self) -> tuple[Any, list[Any]]:
        nodes, context = self.graph.nodes, self.context
        self.outputs = []
        for node, layer in zip(nodes, self.layers, strict=True):
            context.enter(node)
            self.outputs.append(layer if node.is_input else self._apply(node, layer))
        context.leave()
        context.raise_problems()
        inputs = [out for node, out in zip(nodes, self.outputs, strict=True) if node.is_input]
        if not self.graph.outputs or not inputs:
            span = nodes[0].span if nodes else self.graph.span
            context.reject("the model has no input", span, _INPUT_REMEDY)
        model_inputs = inputs[0] if len(inputs) == 1 else inputs
        if self.graph.inputs is not None:
            model_inputs = self._endpoints(self.graph.inputs)
        model_outputs = self._endpoints(self.graph.outputs)
        context.raise_problems()
        arguments = self._model_arguments()
        try:
            model = keras.Model(model_inputs, model_outputs, **arguments)
        except Exception as error:  # noqa: BLE001 - as above
            self._reject_model(error)
        self._check_variables(model)
        return model, [shape_of(out) for out in self.outputs]

    def _apply(self, node: Node, layer: Any) -> Any:
        """The output of a node's layer; UNRESOLVED after a problem, which is reported."""
        if layer is UNRESOLVED:
            return UNRESOLVED
        word = _word_of(node)
        if not node.inputs and word not in CONSTANT_FUNCTIONS:
            return self.context.report_rejection(f"{word} has no input", node.span, _INPUT_REMEDY)
        args, kwargs = self._resolved(node.inputs)
        if any(value is UNRESOLVED for value in (*args, *kwargs.values())):
            return UNRESOLVED
        if isinstance(layer, FunctionLayer):
            has_tensor = any(hasattr(value, "shape") for value in keras.tree.flatten(args))
            if not has_tensor and not is_of_keras(layer.function):
                message, remedy = f"{word} has no input", "Name an output after the arrow: `_`."
                return self.context.report_rejection(message, node.span, remedy)
        else:
            try:
                args, kwargs = self._with_constants(layer, args, kwargs)
            except StepError as error:
                if not error.message:
                    return UNRESOLVED
                constants = (a for a in node.inputs if not isinstance(a.value, NodeOutput))
                span = next((arg.value.span for arg in constants), node.span)
                return self.context.report_rejection(error.message, span, error.remedy)
        try:
            output = self._call(node, layer, args, kwargs)
        except StepError as error:
            if not error.message:
                return UNRESOLVED
            return self.context.report_rejection(f"{word} {error}", node.span, error.remedy)
        except Exception as error:  # noqa: BLE001 - whatever a layer raises, its line is at fault
            inputs = self._layer_inputs(node, args)
            problem = keras_errors.explain_layer_error(error, word, layer, inputs, node.spec)
            spans = {arg.name: arg.span for arg in node.inputs if arg.name is not None}
            span = spans.get(problem.argument, node.span)
            fixes = [*self._name_fixes(node), *problem.fixes]
            return self.context.report_rejection(
                problem.message, span, problem.remedy, error, fixes=fixes
            )
        names = node.spec.targets
        count = len(keras.tree.flatten(output)) if len(names) > 1 else len(names)
        if count < len(names):
            has = "one output" if count == 1 else f"{count} outputs"
            message = f"{len(names)} names, but {word} has only {has}"
            return self.context.report_rejection(message, node.span)
        return output

    def _name_fixes(self, node: Node) -> Iterator[Fix]:
        """For an input that names a layer within a line: the end of the line instead."""
        nodes = self.graph.nodes
        for output in spec.find_parts(node.inputs, NodeOutput):
            first = nodes[output.node]
            if line := named_end(nodes, output.node):
                last = rest_of_line(nodes, output.node)[-1]
                name, word = first.spec.targets[0], _word_of(first)
                remedy = f"{name} is the output of {word}. For the end of the line, write `{line}`."
                unnamed = replace(first.spec, targets=())
                named = replace(last.spec, targets=first.spec.targets)
                yield Fix(remedy, ((first.spec, (unnamed,)), (last.spec, (named,))))

    def _call(self, node: Node, layer: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call a layer or function; note the variables that the notebook's functions read."""
        if not args and isinstance(layer, FunctionLayer):
            function = partial(_call_layer, layer, args, kwargs)
            spec = keras.src.backend.compute_output_spec(function)
            check_array(spec.shape, spec.dtype)
        if not isinstance(layer, FunctionLayer) or is_of_keras(layer.function):
            return _call_layer(layer, args, kwargs)
        import tensorflow as tf  # noqa: PLC0415 - Keras has imported it

        with tf.GradientTape() as tape:
            output = _call_layer(layer, args, kwargs)
        self.read_variables += [(node, variable) for variable in tape.watched_variables()]
        return output

    def _check_variables(self, model: Any) -> None:
        """Reject a function that computed with weights which are not part of the model."""
        if not self.read_variables:
            return  # in a preview, the variables of the model have no values
        known = {id(variable.value) for variable in model.trainable_variables}
        for node, variable in self.read_variables:
            if id(variable) not in known:
                message = "uses weights with constants only, so they would not be in the model"
                remedy = "Write the layer as a line: `embedding 200 8 <- {positions}`."
                self.context.reject(message, node.span, remedy)

    def _with_constants(
        self, layer: Any, args: list[Any], kwargs: dict[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of a layer's call, with its constants repeated for each sample.

        A layer of the notebook that also has an input gets its constants as they are, as in Keras.
        """
        tensors = keras_tensors([args, kwargs])
        if tensors and not is_of_keras(type(layer)):
            return args, kwargs
        ndim = min((len(tensor.shape) for tensor in keras_tensors(args)), default=None)

        def repeated(value: Any, *, is_named: bool) -> Any:
            if isinstance(value, list | tuple) and not is_constant(value):
                return with_items(value, (repeated(item, is_named=is_named) for item in value))
            is_setting = is_named and not hasattr(value, "shape")
            if is_setting or not (is_constant(value) or isinstance(value, str)):
                return value
            check_constant(value, None if is_named else ndim)
            return repeat_for_batch(value, self._batch())

        return [repeated(value, is_named=False) for value in args], {
            name: repeated(value, is_named=True) for name, value in kwargs.items()
        }

    def _batch(self) -> Any:
        """The input whose batch a constant is repeated for: the model's first one above."""
        pairs = zip(self.graph.nodes, self.outputs, strict=False)
        first = next((out for node, out in pairs if node.is_input), None)
        if first is UNRESOLVED:
            raise StepError("", "")  # the mistake in the input's line is reported
        if first is None:
            remedy = "Move this line below the `input` line."
            raise StepError("no input above has the samples it is repeated for", remedy)
        return first

    def _reject_model(self, error: Exception) -> NoReturn:
        span = self.graph.nodes[-1].span
        self.context.reject(keras_errors.explain_model_error(error), span, cause=error)

    def _layer_inputs(self, node: Node, tensors: list[Any]) -> list[keras_errors.LayerInput]:
        args = [arg for arg in node.inputs if arg.name is None]
        inputs: list[keras_errors.LayerInput] = []
        for arg, tensor in zip(args, tensors, strict=True):
            shape = shape_of(tensor)
            if not isinstance(arg.value, NodeOutput):
                inputs.append(keras_errors.LayerInput(shape))
                continue
            source = self.graph.nodes[arg.value.node]
            word, line = _word_of(source), self.context.editor_line(source.span.line)
            targets = source.spec.targets
            label = targets[0] if len(targets) == 1 else f"{word} in line {line}"
            layer = self.layers[arg.value.node]
            inputs.append(keras_errors.LayerInput(shape, label, word, line, layer, source.spec))
        return inputs

    def _output(self, reference: NodeOutput) -> Any:
        """One of a layer's outputs; an index counts through nested structures."""
        output = self.outputs[reference.node]
        for key in reference.path:
            if output is UNRESOLVED:
                return UNRESOLVED
            if isinstance(output, dict) and key in output:
                output = output[key]
                continue
            flat = keras.tree.flatten(output)
            if not isinstance(key, int) or not -len(flat) <= key < len(flat):
                remedy = "It has one output: write the name without an index."
                if len(flat) > 1:
                    remedy = f"It has {len(flat)} outputs; the first has index 0."
                message = f"there is no output {format_value(LiteralValue(key))}"
                return self.context.report_rejection(message, reference.span, remedy)
            output = flat[key]
        return output

    def _endpoints(self, entries: tuple[Arg, ...]) -> Any:
        """The inputs or outputs that the text gives to the model."""
        tensors, named = self._resolved(entries)
        for arg, value in zip(entries, [*tensors, *named.values()], strict=True):
            if is_constant(value):
                match arg.value:
                    case NodeOutput(node):
                        output = next(iter(self.graph.nodes[node].spec.targets), "_")
                    case NotebookValue():
                        output = f"{{{arg.value.source}}}"
                    case _:
                        output = format_value(arg.value)
                remedy = f"Make it an output of a layer: `h = identity <- {output}`."
                message = "an input or output of the model must not be a constant"
                self.context.report_rejection(message, arg.span, remedy)
        return named or (tensors[0] if len(tensors) == 1 else tensors)

    def _model_arguments(self) -> Mapping[str, Any]:
        span = self.graph.span
        args = with_name(keras.Sequential, self.graph.args, self.graph.name, span)
        bound = bind_arguments(
            keras.Sequential, "model", args, span, self.context, self.values.resolve
        )
        self.context.raise_problems()
        return bound.kwargs


def shape_of(output: Any) -> Any:
    """The shape of a tensor, or the shapes of a structure of tensors."""
    if isinstance(output, dict):
        return {key: shape_of(item) for key, item in output.items()}
    if isinstance(output, list | tuple):
        return [shape_of(item) for item in output]
    shape = getattr(output, "shape", None)
    # NumPy itself has a function of this name, and a class a property.
    return None if callable(shape) or isinstance(output, type) else shape


def _word_of(node: Node) -> str:
    return node.word or format_value(node.spec.callee)


def _check_input_shape(node: Node, context: BuildContext) -> bool:
    """Whether an input's shape is one word, with positive sizes; if not, report it."""
    sizes = [
        arg
        for arg in node.args
        if arg.name is None and isinstance(arg.value, LiteralValue) and type(arg.value.value) is int
    ]
    if len(sizes) > 1:
        shape = "x".join(format_value(arg.value) for arg in sizes)
        remedy = f"Write the shape without spaces: `input {shape}`."
        context.report("unexpected second number", sizes[1].span, remedy)
        return False
    for arg in node.args:
        if (isinstance(arg.value, Shape) and 0 in arg.value.dims) or arg.value == LiteralValue(0):
            context.report("sizes must be greater than 0", arg.value.span)
            return False
    return True
