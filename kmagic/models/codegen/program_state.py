"""The state of a program while it is written: its names, and values and steps as source."""

from __future__ import annotations

import ast
import inspect
import keyword
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, Self

from kmagic.language import expressions, spec
from kmagic.language.graph import BlockTrail, Graph
from kmagic.language.graph_statements import unused_name
from kmagic.language.spec import Arg, LiteralValue, NotebookValue, Object, Span, Value, Word
from kmagic.language.vocabulary import snake_case
from kmagic.models import catalogue
from kmagic.models.binding import UNRESOLVED, BoundArguments, BuildContext, bind_arguments
from kmagic.models.binding.argument_binding import with_flags, with_name
from kmagic.models.binding.word_lookup import VALUE_FUNCTIONS, find_callable, find_layer, word_kind
from kmagic.models.build.constant_inputs import is_constant, repeat_for_batch
from kmagic.models.catalogue import Parameter, Role, has_leading_value, takes_input_list
from kmagic.models.codegen import spec_survey
from kmagic.models.codegen.expression_source import expression_code
from kmagic.models.codegen.source_layout import (
    Compound,
    SourceStatement,
    call,
    dictionary,
    literal,
    sequence_of,
)
from kmagic.models.one_cycle import DIVISOR, FINAL_FRACTION, OneCycle
from kmagic.support.keras_import import keras

RESERVED = frozenset(
    {"input", "keras", "layers", "np", "ops", "range", "slice", repeat_for_batch.__name__}
)
_VARIABLES = ("x", "y", "z", "out", "flow")
_OPERATIONS = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"),
    *("and", "or", "xor", "lshift", "rshift"),
)


class Unstructured(Exception):  # noqa: N818 - it ends an attempt, not the work
    """The text's loops and blocks cannot be kept; the program is written layer by layer."""


class Placeholder(int):
    """A notebook variable whose value is unknown; where a number is needed it is 1.

    A program can be written without the values: ``{units // 2}`` stays as it is, and whatever is
    computed from a placeholder is a placeholder.

    Example:
        >>> isinstance(64 // Placeholder().shape[0], Placeholder)
        True
    """

    def __new__(cls) -> Self:  # noqa: D102 - takes no value
        return super().__new__(cls, 1)

    def __getattr__(self, name: str) -> Placeholder:
        if name.startswith("_"):
            raise AttributeError(name)
        return Placeholder()

    def __getitem__(self, key: object) -> Placeholder:
        return Placeholder()

    def __iter__(self) -> Iterator[Placeholder]:
        yield Placeholder()

    def __call__(self, *_: object, **__: object) -> NoReturn:  # noqa: D102 - makes it callable
        raise TypeError("a placeholder cannot be called")


def _operation(_: object, __: object = None) -> Placeholder:
    return Placeholder()


for _name in (*_OPERATIONS, *(f"r{name}" for name in _OPERATIONS), "neg", "pos", "invert"):
    setattr(Placeholder, f"__{_name}__", _operation)


def python_name(text: str) -> str:
    """A name of the text as Python accepts it."""
    return f"{text}_" if keyword.iskeyword(text) else text


class TensorCode(str):
    """How the program reads an output.

    Attributes:
        keys: The names of its parts if it is a dictionary.
        is_constant: Whether it does not depend on the model's inputs.
    """

    __slots__ = ("is_constant", "keys")
    keys: tuple[str, ...]
    is_constant: bool

    def __new__(  # noqa: D102 - see above
        cls, code: str, keys: tuple[str, ...] = (), *, is_constant: bool = False
    ) -> Self:
        tensor = super().__new__(cls, code)
        tensor.keys, tensor.is_constant = keys, is_constant
        return tensor


@dataclass(frozen=True, slots=True)
class StepCode:
    """What a step applies.

    Attributes:
        code: The call that creates the layer, the variable that holds it, or the function.
        is_new: Whether the layer is created here.
        base_name: What it is, for the name of a variable.
        args: A function's own arguments, which follow the tensors.
        signature: What tells how several inputs are passed; None if that is unknown.
        outputs: The number of outputs if that is known, else 0.
        keys: The names of its outputs, if it returns a dictionary.
    """

    code: str
    is_new: bool = False
    base_name: str = "layer"
    is_function: bool = False
    args: tuple[str, ...] = ()
    signature: Callable[..., Any] | None = None
    adapt: str | None = None
    outputs: int = 0
    keys: tuple[str, ...] = ()

    def applied(self, inputs: Sequence[str], named: Sequence[str]) -> str:
        """The call on its inputs."""
        as_list = len(inputs) > 1 and (
            not self.is_function
            if self.signature is None
            else takes_input_list(self.signature, len(inputs))
        )
        positional = [sequence_of("list", inputs)] if as_list else inputs
        values = [*positional, *self.args]
        if self.args and self.signature is not None and has_leading_value(self.signature):
            values = [self.args[0], *positional, *self.args[1:]]
        return call(self.code, *values, *named)


@dataclass(slots=True)
class CodeFrame:
    """The variables of one Python function, or of the program itself.

    Attributes:
        common: Names that mean the same in every function: the notebook's, blocks, models.
        taken: All names that no new variable may have.
        functions: Functions to be defined at its start: parameters and bodies.
    """

    common: frozenset[str]
    taken: set[str] = field(default_factory=set)
    functions: dict[str, tuple[list[str], list[SourceStatement]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.taken |= self.common

    def new_name(self, base: str) -> str:
        """A new variable's name, taken until it is released."""
        name = unused_name(python_name(base), self.taken)
        self.taken.add(name)
        return name

    def define(self, name: str, params: list[str], body: list[SourceStatement]) -> str:
        """Define a function unless an equal one exists; returns its name."""
        for known, function in self.functions.items():
            if function == (params, body):
                return known
        base = python_name(name)
        own = unused_name(f"{base}_block" if base in RESERVED else base, {*self.functions})
        self.taken.add(own)
        self.functions[own] = params, body
        return own

    def with_functions(self, body: list[SourceStatement]) -> list[SourceStatement]:
        """A body with the functions before it."""
        functions = (
            Compound(f"def {call(name, *params)}:", tuple(lines))
            for name, (params, lines) in self.functions.items()
        )
        return [*functions, *body]


@dataclass(slots=True)
class CodeScope:
    """One for the text, one more for each nested model and each use of a block.

    Attributes:
        env: What the names in braces stand for.
        flow: The variable that holds the current tensor.
        renames: Names of parameters and loop variables in the program.
        variables: Variables of the scope's own outputs.
        layer_variables: Variables of layers that are used again, by the names of their outputs.
        entry: What entered the body.
        body: The statements written so far, and the layers of a stack.
        names_layers: Whether a step's name is also its layer's.
        in_model: Whether this is a model's own scope, not a block's.
    """

    frame: CodeFrame
    env: Mapping[str, Any]
    flow: str = "x"
    renames: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    layer_variables: dict[str, str] = field(default_factory=dict)
    blocks: dict[str, tuple[spec.BlockSpec, CodeScope]] = field(default_factory=dict)
    models: dict[str, StepCode] = field(default_factory=dict)
    tensors: dict[str, TensorCode] = field(default_factory=dict)
    layers: dict[str, StepCode] = field(default_factory=dict)
    current: tuple[TensorCode, ...] = ()
    entry: tuple[TensorCode, ...] = ()
    body: list[Any] = field(default_factory=list)
    outputs: tuple[Arg, ...] = ()
    inputs: tuple[Arg, ...] = ()
    model_inputs: list[TensorCode] = field(default_factory=list)
    trail: BlockTrail = ()
    names_layers: bool = True
    in_model: bool = True

    def inner(self, frame: CodeFrame, **own: Any) -> CodeScope:
        """A scope in this one, which sees its names, blocks and models."""
        seen: dict[str, Any] = {"env": self.env, "trail": self.trail}
        seen |= {name: dict(getattr(self, name)) for name in ("renames", "blocks", "models")}
        return CodeScope(frame, **(seen | own))

    def declare(self, statements: tuple[spec.Statement, ...]) -> None:
        """Give the names of the scope's own statements unique variables."""
        names = spec_survey.output_names(statements)
        for name in sorted(names):
            base = name if python_name(name) not in self.frame.taken else f"{name}_out"
            self.variables[name] = self.frame.new_name(base)
        for name in sorted(names & spec_survey.reused_layers(statements)):
            self.layer_variables[name] = self.frame.new_name(f"{name}_layer")

    def choose_flow(self, prefix: str = "") -> None:
        """Choose the variable that holds the current tensor."""
        unused = (name for name in _VARIABLES if name not in self.frame.taken)
        self.flow = self.frame.new_name(f"{prefix}{next(unused, _VARIABLES[0])}")

    def saved(self) -> dict[str, Any]:
        """What a loop's body may change."""
        names = ("tensors", "layers", "models", "blocks", "current", "entry")
        return {name: copy(getattr(self, name)) for name in names} | {"taken": {*self.frame.taken}}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Return to a saved state."""
        for name, value in saved.items():
            setattr(self.frame if name == "taken" else self, name, copy(value))

    def layer(self, name: str) -> StepCode:
        """The layer or model of that name."""
        found = self.models.get(name) or self.layers.get(name)
        if found is None:
            raise Unstructured  # it is local to a block's function
        return found

    def value(self, value: Value | tuple[Arg, ...]) -> Any:
        """A value or arguments with their expressions evaluated."""
        return spec.map_value(value, self._evaluated)

    def _evaluated(self, value: Value) -> Any:
        if not isinstance(value, spec.Expr):
            return value
        result = expressions.evaluate(value.source, self.env)
        return NotebookValue(result, value.source, span=value.span)


_POSITIONAL = frozenset(
    {"cropping", "learning_rate", "mode", "padding", "pool_size", "rate", "size", "value"}
)
"""Parameters with a default that are nevertheless written without a name when they come first."""
_NAMED = frozenset({"axes", "axis", "seed", "shape"})
"""Parameters that are always written with their name, as are those that begin with ``num_``."""
_MAX_POSITIONAL = 2
_SHAPE_NAMES = ("shape", "size", "dims")
_STATES = {"LSTM": 2, "GRU": 1, "SimpleRNN": 1, "ConvLSTM1D": 2, "ConvLSTM2D": 2, "ConvLSTM3D": 2}
"""Recurrent layer -> the number of states it returns with ``return_state``."""
_PATHS = {"array": "np.array", "input": "keras.Input", "tensor": "keras.ops.convert_to_tensor"}


@dataclass(frozen=True, slots=True)
class RepeatCount:
    """How often something is repeated, and the number if it is known."""

    code: str
    known: int | None


class ProgramState:
    """The state of a program while it is written; turns values and steps into source.

    Args:
        context: Collects mistakes.
        graph: What the text stands for.
        scope: The scope to begin with; the writers replace it.
        shapes: The shapes of outputs by the positions of their lines, as far as they are known.
        is_flat: Whether the statements are those of the graph, one for each node.

    Attributes:
        graphs: The graph of each nested model, by the span of its line.
        flat_nodes: The nodes of the steps to come, if the statements are flat.
        flat_models: The graphs of the nested models to come, if the statements are flat.
        needs: Notebook variables that the source uses.
        imports: Names that the source imports, and their modules.
        roles: What the objects passed through a block's parameter are used as.
        repeats_constants: Whether the program calls :func:`repeat_for_batch`.
    """

    def __init__(
        self,
        context: BuildContext,
        graph: Graph,
        scope: CodeScope,
        shapes: Mapping[Span, Any],
        *,
        is_flat: bool,
    ) -> None:
        self.context, self.scope, self._shapes = context, scope, shapes
        self.graphs = {model.span: model for model in graph.models}
        parts = (*graph.models, graph) if is_flat else ()
        self.flat_nodes = iter([node for part in parts for node in part.nodes])
        self.flat_models = iter(parts)
        self.needs: set[str] = set()
        self.imports: dict[str, str] = {}
        self.roles: dict[int, Role] = {}
        self.repeats_constants = False

    def refuse(self, message: str, span: Span, remedy: str = "") -> NoReturn:
        """Raise the error: there is no program for this text."""
        self.context.report_rejection(message, span, remedy)
        self.context.raise_problems()
        raise AssertionError(message)

    # --- values -------------------------------------------------------------------------------

    def expression(self, given: NotebookValue, *, is_operand: bool = False) -> str:
        """An expression in braces, with the program's names."""
        return expression_code(given.source, self._rename, self.scope.env, is_operand=is_operand)

    def _rename(self, name: str) -> str:
        return self.scope.renames.get(name) or self._notebook_variable(name)

    def _notebook_variable(self, name: str) -> str:
        """A name of the notebook, which the program's first line will list."""
        self.needs.add(name.split(".", maxsplit=1)[0])
        return name

    def count(self, value: Value, *, less: int = 0) -> RepeatCount:
        """How often something is repeated, or that less a number."""
        evaluated = self.scope.value(value)
        number = spec.plain_value(evaluated)
        if not isinstance(evaluated, NotebookValue):
            known = int(number) - less
            return RepeatCount(str(known) if less else self.value_code(evaluated), known)
        source = f"({evaluated.source}) - {less}" if less else evaluated.source
        is_unknown = isinstance(number, Placeholder)
        code = self.expression(replace(evaluated, source=source))
        return RepeatCount(code, None if is_unknown else int(number) - less)

    def value_code(self, value: Any, role: Role = "any") -> str:
        """The source of a value; ``...`` after a mistake."""
        code = self.resolve(value, role, self.context)
        return "..." if code is UNRESOLVED else code

    def resolve(self, value: Any, role: Role, context: BuildContext) -> Any:
        """The source of a value, or UNRESOLVED after a mistake, which is reported."""
        match value:
            case spec.Ref():
                return self.scope.layer(value.name).code
            case NotebookValue(value=Object() | spec.InnerLayer()):
                if role == "layer":
                    raise Unstructured  # each use creates its own layer
                self.roles[id(value.value)] = role
                return self.expression(value)
            case NotebookValue():
                code = self.expression(value)
                number = expressions.python_integer(value.value)
                if number is not value.value:
                    code, value = call("int", code), replace(value, value=number)
                is_known = not isinstance(value.value, Placeholder)
                if role == "schedule" and is_known and _is_int(value.value):
                    return call("float", code)
                is_dimension = role == "shape" and _is_number(value)
                return sequence_of("tuple", [code]) if is_dimension else code
            case LiteralValue():
                given: Any = value.value
                if role == "schedule" and _is_int(given):
                    given = float(given)
                return literal((given,) if role == "shape" and _is_int(given) else given)
            case spec.Shape(dims=(None,)) if role != "shape":
                return "None"
            case spec.Shape():
                return literal(value.dims)
            case Word():
                return self._word(value, role, context)
            case Object() | spec.InnerLayer():
                return self._object(value, role)
            case spec.SequenceValue():
                inner: Role = "any" if role == "shape" else role
                codes = [self.resolve(item, inner, context) for item in value.items]
                return UNRESOLVED if UNRESOLVED in codes else sequence_of(value.kind, codes)
            case spec.MappingValue():
                keys = [
                    literal(key.text) if isinstance(key, Word) else self.value_code(key)
                    for key, _ in value.entries
                ]
                codes = [self.resolve(item, role, context) for _, item in value.entries]
                is_valid = UNRESOLVED not in codes
                return dictionary(zip(keys, codes, strict=True)) if is_valid else UNRESOLVED
            case _:
                context.report("is not supported here", value.span)
                return UNRESOLVED

    def is_constant(self, value: Any) -> bool:
        """Whether a value after an arrow is a constant; an unknown one of the notebook is."""
        match value:
            case NotebookValue():
                return isinstance(value.value, Placeholder) or is_constant(value.value)
            case LiteralValue():
                return is_constant(value.value)
            case Object(callee=Word(word)):
                return word in ("array", "tensor")
            case spec.SequenceValue(items=items):
                numbers = all(isinstance(item, LiteralValue | spec.SequenceValue) for item in items)
                return numbers and all(map(self.is_constant, items))
        return False

    def is_array(self, value: Any) -> bool:
        """Whether a value is known to be a constant array; a number may be a setting."""
        array = value.value if isinstance(value, NotebookValue) else None
        is_known = isinstance(value, Object) or hasattr(array, "shape")
        return is_known and not isinstance(array, Placeholder) and self.is_constant(value)

    def repeated(self, code: str) -> str:
        """A constant as an input of a layer: repeated for each sample."""
        if not self.scope.in_model:
            raise Unstructured  # a block's function does not know the model's input
        self.repeats_constants = True
        inputs = self.scope.model_inputs
        return call(repeat_for_batch.__name__, code, inputs[0] if inputs else "...")

    def _word(self, word: Word, role: Role, context: BuildContext) -> Any:
        match word_kind(word, role, context):
            case "text":
                return literal(word.text)
            case "name":
                return self._notebook_variable(word.text)
            case "object":
                return self._object(Object(word, span=word.span), role)
            case _:
                return UNRESOLVED

    def _object(self, value: Object | spec.InnerLayer, role: Role) -> Any:
        callee: Any = value.callee
        if isinstance(callee, NotebookValue) and isinstance(callee.value, Placeholder):
            return call(self.expression(callee, is_operand=True), *self._arguments(value.args))
        function, word = find_callable(value, role, self.context)
        if function is None:
            return UNRESOLVED
        bound = self.bind(function, word, value.args, value.span)
        if not bound.valid:
            return UNRESOLVED
        if function is OneCycle:
            return self._one_cycle(bound, value.span)
        if function is not VALUE_FUNCTIONS["slice"]:
            return call(self._path(callee, function, word), *argument_items(function, bound))
        codes = [bound.kwargs.get(name, "None") for name in ("start", "stop", "step")]
        return call("slice", *(codes[:-1] if codes[-1] == "None" else codes))

    def _one_cycle(self, bound: BoundArguments, span: Span) -> Any:
        """One cycle of the learning rate, which is a schedule of Keras's if its steps are known."""
        rate, steps = bound.kwargs["learning_rate"], bound.kwargs.get("steps", "None")
        if steps == "None":
            remedy = (
                f"Give the number of batches, one_cycle({rate}, steps=1000), or train it first."
            )
            self.context.report_rejection(
                "one_cycle without steps has no equivalent in Keras", span, remedy
            )
            return UNRESOLVED
        warmup = _computed(f"({steps}) * 3 // 10")
        arguments = {
            "initial_learning_rate": _computed(f"({rate}) / {DIVISOR}"),
            "decay_steps": _computed(f"({steps}) - {warmup}"),
            "alpha": repr(FINAL_FRACTION),
            "warmup_target": rate,
            "warmup_steps": warmup,
        }
        items = (f"{name}={code}" for name, code in arguments.items())
        return call("keras.optimizers.schedules.CosineDecay", *items)

    def bind(self, function: Any, word: str, args: tuple[Arg, ...], span: Span) -> BoundArguments:
        """The parameters that a step's arguments mean, with their source."""
        named = {arg.name for arg in args}
        params = {param.name for param in catalogue.parameters(function)} - named
        guessed = tuple(_by_own_name(arg, params) for arg in args)
        return bind_arguments(function, word, guessed, span, self.context, self.resolve)

    def _arguments(self, args: tuple[Arg, ...], *, has_roles: bool = True) -> list[str]:
        """Arguments as they stand; with roles, the name of an argument tells what it may be."""
        positional, named = list[str](), list[str]()
        for arg in args:
            if arg.name is None:
                positional.append(self.value_code(arg.value))
            else:
                role = catalogue.role_of(arg.name) if has_roles else "any"
                named.append(f"{arg.name}={self.value_code(arg.value, role)}")
        return [*positional, *named]

    def _path(self, callee: Word | NotebookValue, function: Any, word: str) -> str:
        """Where the program finds a callee: in Keras, or in the notebook."""
        if isinstance(callee, NotebookValue):
            return self.expression(callee, is_operand=True)
        if word.startswith("ops."):
            return word
        if word == "input" or VALUE_FUNCTIONS.get(word) is function:
            return _PATHS[word]
        path = public_path(function)
        if path:
            return path
        if self.context.names.get(word) is function:
            return self._notebook_variable(word)
        # Some layers of keras.applications have no public name.
        name: str = function.__name__
        self.imports[name] = function.__module__
        return name

    # --- steps --------------------------------------------------------------------------------

    def target(self, callee: Word | NotebookValue) -> tuple[Any, str]:
        """What a step's callee stands for, or UNRESOLVED after a mistake; and its word."""
        if isinstance(callee, NotebookValue):
            return callee.value, callee.source
        return find_layer(callee, self.context), callee.text

    def applies_function(self, callee: Word | NotebookValue, args: tuple[Arg, ...]) -> bool:
        """Whether a step applies a function, which no ``keras.Sequential`` can hold."""
        target, word = self.target(callee)
        if isinstance(target, Placeholder):
            return bool(args) and not _looks_like_class(word)
        is_layer = isinstance(target, (type, catalogue.layer_class())) or target is UNRESOLVED
        if is_layer or word == "input":
            return False
        is_activation = catalogue.accepts_string("activation", word)
        return bool(args) or word.startswith("ops.") or not is_activation

    def step(
        self, callee: Word | NotebookValue, args: tuple[Arg, ...], name: str | None, span: Span
    ) -> StepCode:
        """What a step applies; ``...`` after a mistake, which is reported."""
        step, shape = self._step(callee, args, name, span), self._shapes.get(span)
        return replace(step, keys=tuple(sorted(shape))) if isinstance(shape, dict) else step

    def _step(
        self, callee: Word | NotebookValue, args: tuple[Arg, ...], name: str | None, span: Span
    ) -> StepCode:
        target, word = self.target(callee)
        if target is UNRESOLVED:
            return StepCode("...")
        path = self._path(callee, target, word)
        if isinstance(target, Placeholder):
            return self._unknown_step(path, word, args, name)
        if inspect.isclass(target) or word == "input":
            return self._class_step(target, path, word, args, name, span)
        if isinstance(target, catalogue.layer_class()):
            if args:
                message = f"{word} is already a layer and takes no arguments"
                self.context.report(message, args[0].span)
            output = getattr(target, "output", None) if hasattr(target, "layers") else None
            keys = tuple(sorted(output)) if isinstance(output, dict) else ()
            return StepCode(path, signature=target.call, keys=keys)
        if callable(target):
            return self._function_step(target, path, callee, args)
        self.context.report("is neither a layer, a model nor a function", callee.span)
        return StepCode("...")

    def _class_step(  # noqa: PLR0917 - all are always given
        self, cls: Any, path: str, word: str, args: tuple[Arg, ...], name: str | None, span: Span
    ) -> StepCode:
        bound = self.bind(cls, word, with_name(cls, args, name, span), span)
        if not bound.valid:
            return StepCode("...")
        return StepCode(
            call(path, *argument_items(cls, bound)),
            is_new=True,
            base_name=snake_case(getattr(cls, "__name__", word)),
            signature=getattr(cls, "call", None),
            adapt=bound.adapt,
            outputs=_number_of_outputs(cls, bound.kwargs),
        )

    def _function_step(
        self, function: Any, path: str, callee: Word | NotebookValue, args: tuple[Arg, ...]
    ) -> StepCode:
        word = callee.text if isinstance(callee, Word) else callee.source
        is_activation = isinstance(callee, Word) and catalogue.accepts_string("activation", word)
        if is_activation and not args and function is keras.activations.get(word):
            layer = keras.layers.Activation
            code = call("layers.Activation", literal(word))
            return StepCode(code, is_new=True, base_name="activation", signature=layer.call)
        items = tuple(self._arguments(with_flags(function, args), has_roles=False))
        return StepCode(path, base_name=word, is_function=True, args=items, signature=function)

    def _unknown_step(
        self, path: str, word: str, args: tuple[Arg, ...], name: str | None
    ) -> StepCode:
        """A notebook variable without a value: its name shows whether it is a class."""
        items = self._arguments(args)
        if not _looks_like_class(word):
            return StepCode(path, is_function=bool(args), args=tuple(items))
        if name and not any(arg.name == "name" for arg in args):
            items.append(f"name={literal(name)}")
        base_name = snake_case(word.rpartition(".")[2])
        return StepCode(call(path, *items), is_new=True, base_name=base_name)


def _looks_like_class(word: str) -> bool:
    return word.rpartition(".")[2][:1].isupper()


def _computed(source: str) -> str:
    """An expression: its value if it contains only numbers, else without needless parentheses."""
    tree = ast.parse(source, mode="eval")
    if any(isinstance(node, ast.Name | ast.Call) for node in ast.walk(tree)):
        return ast.unparse(tree)
    return literal(expressions.evaluate(source, {}))


def public_path(function: Any) -> str:
    """The public path of a Keras class or function, or "" if it has none.

    Example:
        >>> import keras
        >>> public_path(keras.layers.Conv2D), public_path(keras.regularizers.L2)
        ('layers.Conv2D', 'keras.regularizers.L2')
    """
    for role in catalogue.OBJECT_ROLES:
        members = catalogue.members(role)
        own = getattr(function, "__name__", "")
        for name in sorted(members, key=lambda name: name != own):
            if members[name] is function:
                module = catalogue.keras_module(role).__name__.removeprefix("keras.")
                return f"layers.{name}" if role == "layer" else f"keras.{module}.{name}"
    return ""


def argument_items(function: Any, bound: BoundArguments) -> list[str]:
    """Bound arguments as a Keras user would write them: the obvious ones without names."""
    given: dict[str, str] = dict(bound.kwargs)
    params = catalogue.parameters(function)
    required = sum(param.required for param in params)
    positional: list[str] = []
    for param in params[:_MAX_POSITIONAL]:
        is_only = len(params) == 1
        if param.name not in given or not _is_positional(param, required, is_only=is_only):
            break
        positional.append(given.pop(param.name))
    return [*positional, *(f"{key}={code}" for key, code in given.items())]


def _is_positional(param: Parameter, required: int, *, is_only: bool) -> bool:
    if not param.positional or param.name in _NAMED or param.name.startswith("num_"):
        return False
    if param.required:
        return required <= _MAX_POSITIONAL
    return is_only or param.name in _POSITIONAL


def _number_of_outputs(cls: Any, kwargs: dict[str, str]) -> int:
    """The number of outputs of a recurrent layer; 0 if that is unknown."""
    own = getattr(cls, "__name__", "")
    if own in _STATES:
        return 1 + _STATES[own] * (kwargs.get("return_state") == "True")
    if own == "Bidirectional":
        inner, _, args = kwargs.get("layer", "").removeprefix("layers.").partition("(")
        returns_state = re.search(r"\breturn_state=True\b", args)
        return 1 + 2 * _STATES[inner] if inner in _STATES and returns_state else 0
    return 0


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(given: NotebookValue) -> bool:
    """Whether a shape's value is one dimension, not a tuple of them."""
    if not isinstance(given.value, Placeholder):
        return _is_int(given.value)
    return not given.source.lower().endswith((*_SHAPE_NAMES, ")", ":]", ":-1]"))


def _by_own_name(arg: Arg, params: set[str]) -> Arg:
    """An unknown value with a parameter's name is meant for it: ``dense 4 {activation}``."""
    match arg:
        case Arg(NotebookValue(Placeholder(), source), None):
            name = source.rpartition(".")[2]
            name = "activation" if name.startswith("act") else name
            if name in params and name != "name":
                return Arg(arg.value, name, span=arg.span)
    return arg
