"""What is known of a program while it is written: its names, and values and steps as source."""

from __future__ import annotations

import inspect
import keyword
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, Self

from kmagic.language import expressions
from kmagic.language.graph import BlockTrail, Graph
from kmagic.language.graph_statements import unused_name
from kmagic.language.spec import (
    NO_SPAN,
    Arg,
    BlockSpec,
    Expr,
    InnerLayer,
    LayerRef,
    LiteralValue,
    MappingValue,
    NestedSpec,
    NotebookValue,
    Object,
    Ref,
    SequenceValue,
    Shape,
    Span,
    Statement,
    Value,
    Word,
    map_args,
    map_value,
    plain_value,
)
from kmagic.language.vocabulary import snake_case
from kmagic.models import catalogue
from kmagic.models.binding import UNRESOLVED, BoundArguments, BuildContext, bind_arguments
from kmagic.models.binding.word_lookup import VALUE_FUNCTIONS, find_callable, find_layer, word_kind
from kmagic.models.catalogue import Parameter, Role, takes_input_list
from kmagic.models.codegen import spec_survey
from kmagic.models.codegen.expression_source import expression_code
from kmagic.models.codegen.source_tree import (
    Atom,
    Call,
    Code,
    Collection,
    FunctionDef,
    Item,
    Join,
    SourceStatement,
    call,
    list_of,
    literal,
    one_line,
    string_literal,
)

RESERVED = frozenset({"input", "keras", "layers", "np", "ops", "range", "slice"})
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


for _name in _OPERATIONS:
    setattr(Placeholder, f"__{_name}__", _operation)
    setattr(Placeholder, f"__r{_name}__", _operation)
for _name in ("neg", "pos", "invert"):
    setattr(Placeholder, f"__{_name}__", _operation)


def python_name(text: str) -> str:
    """A name of the text as Python accepts it."""
    return f"{text}_" if keyword.iskeyword(text) else text


@dataclass(frozen=True, slots=True)
class SourceValue:
    """A value whose source is known already."""

    code: Code
    span: Span = field(default=NO_SPAN, compare=False)


class ParameterValue(NotebookValue):
    """A Keras object that was passed through a block's parameter."""

    __slots__ = ()


@dataclass(frozen=True, eq=False, slots=True)
class TensorCode:
    """An output: how the program reads it, and the names of its parts if it is a dictionary."""

    code: Code
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepCode:
    """What a step applies.

    Attributes:
        code: The call that creates the layer, the variable that holds it, or the function.
        is_new: Whether the layer is created here.
        base_name: What it is, for the name of a variable.
        is_function: Whether this is a function, not a layer.
        args: A function's own arguments, which follow the tensors.
        signature: What tells how several inputs are passed; None if that is unknown.
        adapt: The data that the layer is adapted to.
        outputs: The number of outputs if that is known, else 0.
        keys: The names of its outputs, if it returns a dictionary.
    """

    code: Code
    is_new: bool = False
    base_name: str = "layer"
    is_function: bool = False
    args: tuple[Item, ...] = ()
    signature: Callable[..., Any] | None = None
    adapt: Code | None = None
    outputs: int = 0
    keys: tuple[str, ...] = ()

    def applied(self, inputs: Sequence[Code], named: Sequence[Item]) -> Code:
        """The call on its inputs."""
        as_list = len(inputs) > 1 and (
            not self.is_function
            if self.signature is None
            else takes_input_list(self.signature, len(inputs))
        )
        positional = [Item(list_of(inputs))] if as_list else [*map(Item, inputs)]
        return Call(self.code, (*positional, *self.args, *named))


@dataclass(slots=True)
class CodeFrame:
    """The variables of one Python function, or of the program itself.

    Attributes:
        common: Names that mean the same in every function: the notebook's, blocks, models.
        taken: All names that no new variable may have.
        functions: Functions to be defined at its start.
    """

    common: frozenset[str]
    taken: set[str] = field(default_factory=set)
    functions: list[FunctionDef] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.taken |= self.common

    def new_name(self, base: str) -> str:
        """A new variable's name, taken until it is released."""
        name = unused_name(python_name(base), self.taken)
        self.taken.add(name)
        return name

    def release(self, *names: str) -> None:
        """Make names available again."""
        self.taken.difference_update(names)

    def define(self, function: FunctionDef) -> str:
        """Define a function unless an equal one exists; returns its name."""
        for known in self.functions:
            if replace(known, name=function.name) == function:
                return known.name
        base = python_name(function.name)
        base = f"{base}_block" if base in RESERVED else base
        name = unused_name(base, {known.name for known in self.functions})
        self.taken.add(name)
        self.functions.append(replace(function, name=name))
        return name


@dataclass(slots=True)
class CodeScope:
    """One for the text, one more for each nested model and each use of a block.

    Attributes:
        frame: The Python function that is being written.
        env: What the names in braces stand for.
        flow: The variable that holds the current tensor.
        renames: Names of parameters and loop variables in the program.
        variables: Variables of the scope's own outputs.
        layer_variables: Variables of layers that are used again, by the names of their outputs.
        tensors: Named outputs so far.
        layers: Layers that are used again, by the names of their outputs.
        current: The previous step's outputs.
        entry: What entered the body.
        body: The statements written so far.
        names_layers: Whether a step's name is also its layer's.
        in_model: Whether this is a model's own scope, not a block's.
        input_base: The name of inputs that have none.
    """

    frame: CodeFrame
    env: Mapping[str, Any]
    flow: str = "x"
    renames: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    layer_variables: dict[str, str] = field(default_factory=dict)
    blocks: dict[str, tuple[BlockSpec, CodeScope]] = field(default_factory=dict)
    models: dict[str, StepCode] = field(default_factory=dict)
    tensors: dict[str, TensorCode] = field(default_factory=dict)
    layers: dict[str, StepCode] = field(default_factory=dict)
    current: tuple[TensorCode, ...] = ()
    entry: tuple[TensorCode, ...] = ()
    body: list[SourceStatement] = field(default_factory=list)
    outputs: tuple[Arg, ...] = ()
    inputs: tuple[Arg, ...] = ()
    model_inputs: list[TensorCode] = field(default_factory=list)
    trail: BlockTrail = ()
    names_layers: bool = True
    in_model: bool = True
    input_base: str = "inputs"

    def declare(self, statements: tuple[Statement, ...]) -> None:
        """Give the names of the scope's own statements unique variables."""
        names = spec_survey.output_names(statements)
        for name in sorted(names):
            base = name if python_name(name) not in self.frame.taken else f"{name}_out"
            self.variables[name] = self.frame.new_name(base)
        for name in sorted(names & spec_survey.reused_layers(statements)):
            self.layer_variables[name] = self.frame.new_name(f"{name}_layer")

    def choose_flow(self, prefix: str = "") -> None:
        """Choose the variable that holds the current tensor."""
        names = [name for name in _VARIABLES if name not in self.frame.taken]
        self.flow = self.frame.new_name(f"{prefix}{names[0] if names else _VARIABLES[0]}")

    def layer(self, name: str) -> StepCode:
        """The layer or model of that name."""
        if name in self.models:
            return self.models[name]
        if name not in self.layers:
            raise Unstructured  # it is local to a block's function
        return self.layers[name]

    def value(self, value: Value) -> Any:
        """A value with its expressions evaluated."""
        return map_value(value, self._evaluated)

    def args(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        """Arguments with their expressions evaluated."""
        return map_args(args, self._evaluated)

    def _evaluated(self, value: Value) -> Any:
        match value:
            case Expr(source):
                known = self.env.get(source)
                if isinstance(known, Object | InnerLayer):
                    return ParameterValue(known, source, span=value.span)
                return NotebookValue(
                    expressions.evaluate(source, self.env), source, span=value.span
                )
            case Ref(name):
                return SourceValue(self.layer(name).code, value.span)
            case _:
                return value


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


@dataclass(frozen=True, slots=True)
class RepeatCount:
    """How often something is repeated, and the number if it is known."""

    code: Code
    known: int | None

    def minus_one(self) -> RepeatCount:
        """One time less."""
        if self.known is not None:
            return RepeatCount(literal(self.known - 1), self.known - 1)
        return RepeatCount(Join((self.code, Atom(" - 1"))), None)


class ProgramState:
    """What is known of a program while it is written; turns values and steps into source.

    Args:
        context: Collects mistakes.
        graphs: The graph of each nested model, by the span of its line.
        scope: The scope to begin with.
        write_nested: Writes a nested model into the scope's body.

    Attributes:
        frozen: How many layers each ``freeze`` line freezes, by its span.
        needs: Notebook variables that the source uses.
        imports: Names that the source imports, and their modules.
        roles: What the objects passed through a block's parameter are used as.
    """

    def __init__(
        self,
        context: BuildContext,
        graphs: Mapping[Span, Graph],
        scope: CodeScope,
        write_nested: Callable[[ProgramState, NestedSpec], None],
    ) -> None:
        self.context, self.graphs, self.scope = context, graphs, scope
        self.write_nested = write_nested
        frozen = {
            (ref.span, ref.node)
            for graph in graphs.values()
            for ref in graph.frozen
            if isinstance(ref, LayerRef) and not graph.nodes[ref.node].is_input
        }
        self.frozen = Counter(span for span, _ in frozen)
        self.needs: set[str] = set()
        self.imports: dict[str, str] = {}
        self.roles: dict[int, Role] = {}

    def refuse(self, message: str, span: Span, remedy: str = "") -> NoReturn:
        """Raise the error: there is no program for this text."""
        self.context.report_rejection(message, span, remedy)
        self.context.raise_problems()
        raise AssertionError(message)

    # --- values -------------------------------------------------------------------------------

    def expression(self, given: NotebookValue, *, is_operand: bool = False) -> Code:
        """An expression in braces, with the program's names."""
        return expression_code(given.source, self._rename, is_operand=is_operand)

    def _rename(self, name: str) -> str:
        return self.scope.renames.get(name) or self.notebook_variable(name).text

    def notebook_variable(self, name: str) -> Atom:
        """A name of the notebook, which the program's first line will list."""
        self.needs.add(name.split(".", maxsplit=1)[0])
        return Atom(name)

    def count(self, value: Value) -> RepeatCount:
        """How often something is repeated."""
        evaluated = self.scope.value(value)
        number = plain_value(evaluated)
        known = None if isinstance(number, Placeholder) else int(number)
        return RepeatCount(self.value_code(evaluated), known)

    def value_code(self, value: Any, role: Role = "any") -> Code:
        """The source of a value; ``...`` after a mistake."""
        code = self.resolve(value, role, self.context)
        return Atom("...") if code is UNRESOLVED else code

    def resolve(self, value: Any, role: Role, context: BuildContext) -> Any:
        """The source of a value, or UNRESOLVED after a mistake, which is reported."""
        match value:
            case SourceValue():
                return value.code
            case ParameterValue():
                if role == "layer":
                    raise Unstructured  # each use creates its own layer
                self.roles[id(value.value)] = role
                return self.expression(value)
            case NotebookValue():
                code = self.expression(value)
                return _one_dimension(code) if role == "shape" and _is_number(value) else code
            case LiteralValue():
                code = literal(value.value)
                return _one_dimension(code) if role == "shape" and _is_int(value.value) else code
            case Shape(dims=(None,)) if role != "shape":
                return literal(None)
            case Shape():
                return literal(value.dims)
            case Word():
                return self._word(value, role, context)
            case Object() | InnerLayer():
                return self._object(value, role)
            case SequenceValue():
                return self._sequence(value, role, context)
            case MappingValue():
                return self._mapping(value, role, context)
            case _:
                context.report("is not supported here", value.span)
                return UNRESOLVED

    def _word(self, word: Word, role: Role, context: BuildContext) -> Any:
        match word_kind(word, role, context):
            case "text":
                return string_literal(word.text)
            case "name":
                return self.notebook_variable(word.text)
            case "object":
                return self._object(Object(word, span=word.span), role)
            case _:
                return UNRESOLVED

    def _sequence(self, value: SequenceValue, role: Role, context: BuildContext) -> Any:
        inner: Role = "any" if role == "shape" else role
        codes = [self.resolve(item, inner, context) for item in value.items]
        if any(code is UNRESOLVED for code in codes):
            return UNRESOLVED
        return Collection("[]" if value.kind == "list" else "()", tuple(map(Item, codes)))

    def _mapping(self, value: MappingValue, role: Role, context: BuildContext) -> Any:
        items = []
        for key, item in value.entries:
            name = string_literal(key.text) if isinstance(key, Word) else self.value_code(key)
            code = self.resolve(item, role, context)
            if code is UNRESOLVED:
                return UNRESOLVED
            items.append(Item(code, f"{one_line(name)}: "))
        return Collection("{}", tuple(items))

    def _object(self, value: Object | InnerLayer, role: Role) -> Any:
        """The call that creates a Keras object."""
        callee: Any = value.callee
        if isinstance(callee, NotebookValue) and isinstance(callee.value, Placeholder):
            return Call(self.expression(callee, is_operand=True), self.arguments(value.args))
        function, word = find_callable(value, role, self.context)
        if function is None:
            return UNRESOLVED
        bound = self.bind(function, word, value.args, value.span)
        if not bound.valid:
            return UNRESOLVED
        if VALUE_FUNCTIONS.get(word) is not function:
            path = (
                self.expression(callee, is_operand=True)
                if isinstance(callee, NotebookValue)
                else self.path(function, word)
            )
            return Call(path, argument_items(function, bound))
        if word == "array":
            return Call(Atom("np.array"), argument_items(function, bound))
        codes = [bound.kwargs.get(param.name) for param in catalogue.parameters(function)]
        while codes and codes[-1] is None:
            codes.pop()
        return call(word, *(literal(None) if code is None else code for code in codes))

    def bind(self, function: Any, word: str, args: tuple[Arg, ...], span: Span) -> BoundArguments:
        """The parameters that a step's arguments mean, with their source."""
        named = {arg.name for arg in args}
        params = {param.name for param in catalogue.parameters(function)} - named
        guessed = tuple(_by_own_name(arg, params) for arg in args)
        return bind_arguments(function, word, guessed, span, self.context, self.resolve)

    def arguments(self, args: Iterable[Arg]) -> tuple[Item, ...]:
        """Arguments as they stand, for a function whose signature is unknown."""
        return tuple(
            Item(self.value_code(arg.value))
            if arg.name is None
            else Item(self.value_code(arg.value, catalogue.role_of(arg.name)), f"{arg.name}=")
            for arg in args
        )

    def path(self, function: Any, word: str) -> Code:
        """Where the program finds a class or function: in Keras, or in the notebook."""
        path = public_path(function)
        if path:
            return Atom(path)
        if self.context.names.get(word) is function:
            return self.notebook_variable(word)
        # Some layers of keras.applications have no public name.
        self.imports[function.__name__] = function.__module__
        return Atom(function.__name__)

    # --- steps --------------------------------------------------------------------------------

    def step(
        self, callee: Word | NotebookValue, args: tuple[Arg, ...], name: str | None, span: Span
    ) -> StepCode | None:
        """What a step applies, or None after a mistake, which is reported."""
        if isinstance(callee, NotebookValue):
            word, target = callee.source, callee.value
            path = self.expression(callee, is_operand=True)
        else:
            word, target = callee.text, find_layer(callee, self.context)
            if target is UNRESOLVED:
                return None
            path = self._step_path(word, target)
        if isinstance(target, Placeholder):
            return self._unknown_step(path, word, args, name)
        if inspect.isclass(target) or word == "input":
            return self._class_step(target, path, word, args, name, span)
        if isinstance(target, catalogue.layer_class()):
            if args:
                message = f"{word} is already a layer and takes no arguments"
                self.context.report(message, args[0].span)
            is_mapping = hasattr(target, "layers") and isinstance(
                getattr(target, "output", None), dict
            )
            keys = tuple(sorted(target.output)) if is_mapping else ()
            return StepCode(path, signature=target.call, keys=keys)
        if callable(target):
            is_word = isinstance(callee, Word)
            return self._function_step(target, path, word, args, is_word=is_word)
        self.context.report("is neither a layer, a model nor a function", callee.span)
        return None

    def _step_path(self, word: str, target: Any) -> Code:
        if word == "input":
            return Atom("keras.Input")
        return Atom(word) if word.startswith("ops.") else self.path(target, word)

    def _class_step(  # noqa: PLR0917 - all are always given
        self, cls: Any, path: Code, word: str, args: tuple[Arg, ...], name: str | None, span: Span
    ) -> StepCode | None:
        if name and not any(arg.name == "name" for arg in args) and _takes_name(cls):
            args = (*args, Arg(LiteralValue(name, span=span), "name", span=span))
        bound = self.bind(cls, word, args, span)
        if not bound.valid:
            return None
        adapt, bound.adapt = bound.adapt, None
        return StepCode(
            Call(path, argument_items(cls, bound)),
            is_new=True,
            base_name=snake_case(getattr(cls, "__name__", word)),
            signature=getattr(cls, "call", None),
            adapt=adapt,
            outputs=_number_of_outputs(cls, bound.kwargs),
        )

    def _function_step(
        self, function: Any, path: Code, word: str, args: tuple[Arg, ...], *, is_word: bool
    ) -> StepCode:
        import keras  # noqa: PLC0415 - takes seconds

        is_activation = is_word and catalogue.accepts_string("activation", word)
        if is_activation and not args and function is keras.activations.get(word):
            layer = keras.layers.Activation
            code = call("layers.Activation", string_literal(word))
            return StepCode(code, is_new=True, base_name="activation", signature=layer.call)
        items = [
            Item(self.value_code(arg.value), "" if arg.name is None else f"{arg.name}=")
            for arg in args
        ]
        items.sort(key=lambda item: bool(item.prefix))
        return StepCode(
            path, base_name=word, is_function=True, args=tuple(items), signature=function
        )

    def _unknown_step(
        self, path: Code, word: str, args: tuple[Arg, ...], name: str | None
    ) -> StepCode:
        """A notebook variable without a value: its name shows whether it is a class."""
        leaf = word.rpartition(".")[2]
        items = self.arguments(args)
        if leaf[:1].isupper():
            if name and not any(item.prefix == "name=" for item in items):
                items = (*items, Item(string_literal(name), "name="))
            return StepCode(Call(path, items), is_new=True, base_name=snake_case(leaf))
        return StepCode(path, is_function=bool(args), args=items)


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


def argument_items(function: Any, bound: BoundArguments) -> tuple[Item, ...]:
    """BoundArguments arguments as a Keras user would write them: the obvious ones without names."""
    params = catalogue.parameters(function)
    positional: list[Item] = []
    required = sum(param.required for param in params)
    for param in params[:_MAX_POSITIONAL]:
        is_only = len(params) == 1
        if param.name not in bound.kwargs or not _is_positional(param, required, is_only=is_only):
            break
        positional.append(Item(bound.kwargs[param.name]))
    written = {param.name for param in params[: len(positional)]}
    named = [Item(code, f"{key}=") for key, code in bound.kwargs.items() if key not in written]
    return (*positional, *named)


def _is_positional(param: Parameter, required: int, *, is_only: bool) -> bool:
    if not param.positional or param.name in _NAMED or param.name.startswith("num_"):
        return False
    if param.required:
        return required <= _MAX_POSITIONAL
    return is_only or param.name in _POSITIONAL


def is_function_step(target: Any, word: str, *, has_args: bool) -> bool:
    """Whether a step's callee is a function, which no ``keras.Sequential`` can hold.

    Args:
        target: What it stands for.
        word: What the text calls it.
        has_args: Whether it has arguments.
    """
    if isinstance(target, Placeholder):
        return has_args and not word.rpartition(".")[2][:1].isupper()
    if inspect.isclass(target) or isinstance(target, catalogue.layer_class()) or word == "input":
        return False
    return has_args or word.startswith("ops.") or not catalogue.accepts_string("activation", word)


def _takes_name(cls: Any) -> bool:
    return any(param.name == "name" for param in catalogue.parameters(cls)) or (
        catalogue.takes_any_keyword(cls)
    )


def _number_of_outputs(cls: Any, kwargs: dict[str, Code]) -> int:
    """The number of outputs of a recurrent layer; 0 if that is unknown."""
    own = getattr(cls, "__name__", "")
    if own in _STATES:
        return 1 + _STATES[own] * (kwargs.get("return_state") == Atom("True"))
    inner = kwargs.get("layer")
    if own == "Bidirectional" and isinstance(inner, Call):
        word = one_line(inner.function).removeprefix("layers.")
        returns_state = Item(Atom("True"), "return_state=") in inner.args
        return 1 + 2 * _STATES[word] if word in _STATES and returns_state else 0
    return 0


def _one_dimension(code: Code) -> Code:
    return Collection("()", (Item(code),))


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(given: NotebookValue) -> bool:
    """Whether a shape's value is one dimension, not a tuple of them."""
    if not isinstance(given.value, Placeholder):
        return _is_int(given.value)
    return not given.source.lower().endswith((*_SHAPE_NAMES, ")", ":]", ":-1]"))


def _by_own_name(arg: Arg, params: set[str]) -> Arg:
    """An unknown value with a parameter's name is meant for it: ``dense 4 {activation}``."""
    value = arg.value
    if (
        arg.name is None
        and isinstance(value, NotebookValue)
        and isinstance(value.value, Placeholder)
    ):
        name = value.source.rpartition(".")[2]
        name = "activation" if name.startswith("act") else name
        if name in params and name != "name":
            return Arg(value, name, span=arg.span)
    return arg
