"""Values of the text to Python source."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from kmagic.language.spec import (
    NO_SPAN,
    Arg,
    InnerLayer,
    LayerRef,
    LiteralValue,
    MappingValue,
    ModelRef,
    NotebookValue,
    Object,
    SequenceValue,
    Shape,
    Span,
    Word,
)
from kmagic.models import catalogue
from kmagic.models.binding import UNRESOLVED, BoundArguments, BuildContext, bind_arguments
from kmagic.models.binding.word_lookup import VALUE_FUNCTIONS, find_callable, word_kind
from kmagic.models.catalogue import Parameter, Role
from kmagic.models.codegen.source_tree import (
    Atom,
    Call,
    Code,
    Display,
    Item,
    call,
    flat,
    literal,
    quoted,
)
from kmagic.models.codegen.unknown_value import Unknown

_BARE = frozenset(
    {"cropping", "learning_rate", "mode", "padding", "pool_size", "rate", "size", "value"}
)
"""Parameters that have a default, yet are written without their name when they come first."""
_NAMED = frozenset({"axes", "axis", "seed", "shape"})
"""Parameters that are always written with their name, as those that begin with ``num_``."""
_MOST_BARE = 2
_SHAPE_NAMES = ("shape", "size", "dims")


class Unstructured(Exception):  # noqa: N818 - it ends an attempt, not the work
    """The text's own structure cannot be kept; the program is written layer by layer."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A value whose source is known already."""

    code: Code
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class Passed:
    """An object of Keras's that reached this place through a parameter."""

    value: Object | InnerLayer
    source: str
    span: Span = field(default=NO_SPAN, compare=False)


class Expression(Protocol):
    """Writes an expression in braces."""

    def __call__(self, given: NotebookValue, *, primary: bool = False) -> Code:
        """Its source; ``primary`` tells that it will be called."""


class Values:
    """Writes values as source, and remembers what the program needs.

    Args:
        context: Mistakes are noted there.
        expression: Writes an expression in braces.

    Attributes:
        reference: Writes a graph's layer or model, where a graph is what is written.
        needs: Names of the notebook that the source uses.
        imports: Names that the source imports, and their modules.
        roles: What the objects that went through a parameter were used as.
    """

    def __init__(self, context: BuildContext, expression: Expression) -> None:
        self.context, self.expression = context, expression
        self.reference: Callable[[LayerRef | ModelRef], Code] | None = None
        self.needs: set[str] = set()
        self.imports: dict[str, str] = {}
        self.roles: dict[int, Role] = {}

    def resolve(self, value: Any, role: Role, context: BuildContext) -> Any:
        """The source of a value; mistakes are noted in the context."""
        match value:
            case Ready():
                return value.code
            case Passed():
                return self._passed(value, role)
            case NotebookValue():
                code = self.expression(value)
                return _one_dimension(code) if role == "shape" and _is_number(value) else code
            case LiteralValue(value=int() as number) if role == "shape" and not isinstance(
                number, bool
            ):
                return _one_dimension(literal(number))
            case LiteralValue():
                return literal(value.value)
            case Shape(dims=(None,)) if role != "shape":
                return literal(None)
            case Shape():
                return literal(value.dims)
            case Word():
                return self._word(value, role, context)
            case Object() | InnerLayer():
                return self.make(value, role)
            case SequenceValue():
                return self._sequence(value, role, context)
            case MappingValue():
                return self._mapping(value, role, context)
            case LayerRef() | ModelRef() if self.reference is not None:
                return self.reference(value)
            case _:
                context.report("has no place here", value.span)
                return UNRESOLVED

    def plain(self, value: Any, role: Role = "any") -> Code:
        """The source of a value; after a mistake, any."""
        code = self.resolve(value, role, self.context)
        return Atom("...") if code is UNRESOLVED else code

    def _passed(self, value: Passed, role: Role) -> Code:
        if role == "layer":
            raise Unstructured  # each use makes a layer of its own
        self.roles[id(value.value)] = role
        return self.expression(NotebookValue(value.value, value.source))

    def _word(self, word: Word, role: Role, context: BuildContext) -> Any:
        match word_kind(word, role, context):
            case "text":
                return quoted(word.text)
            case "name":
                return self.notebook(word.text)
            case "object":
                return self.make(Object(word, span=word.span), role)
            case _:
                return UNRESOLVED

    def _sequence(self, value: SequenceValue, role: Role, context: BuildContext) -> Any:
        inner: Role = "any" if role == "shape" else role
        codes = [self.resolve(item, inner, context) for item in value.items]
        if any(code is UNRESOLVED for code in codes):
            return UNRESOLVED
        return Display("[]" if value.kind == "list" else "()", tuple(map(Item, codes)))

    def _mapping(self, value: MappingValue, role: Role, context: BuildContext) -> Any:
        entries = []
        for key, item in value.entries:
            name = quoted(key.text) if isinstance(key, Word) else self.plain(key)
            code = self.resolve(item, role, context)
            if code is UNRESOLVED:
                return UNRESOLVED
            entries.append(Item(code, f"{flat(name)}: "))
        return Display("{}", tuple(entries))

    def notebook(self, name: str) -> Atom:
        """A name of the notebook; the program will say that it needs it."""
        self.needs.add(name.split(".", maxsplit=1)[0])
        return Atom(name)

    # --- objects ------------------------------------------------------------------------------

    def make(self, value: Object | InnerLayer, role: Role) -> Any:
        """The call that makes a Keras object."""
        callee: Any = value.callee
        if isinstance(callee, NotebookValue) and isinstance(callee.value, Unknown):
            return Call(self.expression(callee, primary=True), self.arguments(value.args))
        function, word = find_callable(value, role, self.context)
        if function is None:
            return UNRESOLVED
        if VALUE_FUNCTIONS.get(word) is function:
            return self._plain_object(function, word, value)
        path = (
            self.expression(callee, primary=True)
            if isinstance(callee, NotebookValue)
            else self.path(function, word)
        )
        return self.construct(function, path, word, value.args, value.span)

    def _plain_object(self, function: Any, word: str, value: Object | InnerLayer) -> Any:
        bound = self.bind(function, word, value.args, value.span)
        if not bound.sound:
            return UNRESOLVED
        if word == "array":
            return Call(Atom("np.array"), written(function, bound))
        places = [bound.kwargs.get(each.name) for each in catalogue.parameters(function)]
        while places and places[-1] is None:
            places.pop()
        return call(word, *(literal(None) if each is None else each for each in places))

    def construct(
        self, function: Any, path: Code, word: str, args: tuple[Arg, ...], span: Span
    ) -> Any:
        """A call of a class with the arguments that a step's words mean."""
        bound = self.bind(function, word, args, span)
        return UNRESOLVED if not bound.sound else Call(path, written(function, bound))

    def bind(self, function: Any, word: str, args: tuple[Arg, ...], span: Span) -> BoundArguments:
        """The parameters that a step's words mean, with their source."""
        named = {arg.name for arg in args}
        params = {each.name for each in catalogue.parameters(function)} - named
        guessed = tuple(_by_own_name(arg, params) for arg in args)
        return bind_arguments(function, word, guessed, span, self.context, self.resolve)

    def arguments(self, args: Iterable[Arg]) -> tuple[Item, ...]:
        """Arguments as they stand, for a function whose signature says nothing of their roles."""
        return tuple(
            Item(self.plain(arg.value))
            if arg.name is None
            else Item(self.plain(arg.value, catalogue.role_of(arg.name)), f"{arg.name}=")
            for arg in args
        )

    def path(self, function: Any, word: str) -> Code:
        """Where the program finds a class or function: in Keras, or in the notebook."""
        found = public_path(function)
        if found:
            return Atom(found)
        if self.context.names.get(word) is function:
            return self.notebook(word)
        # Some layers of Keras's own applications have no public name.
        self.imports[function.__name__] = function.__module__
        return Atom(function.__name__)


def public_path(function: Any) -> str:
    """Keras's own address of a class or function, or "" if it has none.

    Example:
        >>> import keras
        >>> public_path(keras.layers.Conv2D), public_path(keras.regularizers.L2)
        ('layers.Conv2D', 'keras.regularizers.L2')
    """
    for role in catalogue.OBJECT_ROLES:
        members = catalogue.members(role)
        own = getattr(function, "__name__", "")
        names = [own, *members] if own in members else [*members]
        for name in names:
            if members[name] is function:
                module = catalogue.keras_module(role).__name__.removeprefix("keras.")
                return f"layers.{name}" if role == "layer" else f"keras.{module}.{name}"
    return ""


def written(function: Any, bound: BoundArguments) -> tuple[Item, ...]:
    """Bound arguments as a Keras user would write them: the obvious ones without names."""
    params = catalogue.parameters(function)
    bare: list[Item] = []
    required = sum(each.required for each in params)
    alone = len(params) == 1
    for param in params[:_MOST_BARE]:
        if param.name not in bound.kwargs or not _is_bare(param, required, alone=alone):
            break
        bare.append(Item(bound.kwargs[param.name]))
    taken = {param.name for param in params[: len(bare)]}
    named = [Item(code, f"{key}=") for key, code in bound.kwargs.items() if key not in taken]
    return (*bare, *named)


def _is_bare(param: Parameter, required: int, *, alone: bool) -> bool:
    if not param.positional or param.name in _NAMED or param.name.startswith("num_"):
        return False
    if param.required:
        return required <= _MOST_BARE
    return alone or param.name in _BARE


def python_name(text: str) -> str:
    """A name of the text as Python takes it."""
    return f"{text}_" if keyword.iskeyword(text) else text


def _one_dimension(code: Code) -> Code:
    return Display("()", (Item(code),))


def _is_number(given: NotebookValue) -> bool:
    """Whether a shape's value is one dimension, not a tuple of them."""
    if not isinstance(given.value, Unknown):
        return isinstance(given.value, int) and not isinstance(given.value, bool)
    text = given.source.lower()
    return not text.endswith((*_SHAPE_NAMES, ")", ":]", ":-1]"))


def _by_own_name(arg: Arg, params: set[str]) -> Arg:
    """An unknown value named like a parameter is meant for it: ``dense 4 {activation}``."""
    value = arg.value
    if arg.name is None and isinstance(value, NotebookValue) and isinstance(value.value, Unknown):
        name = value.source.rpartition(".")[2]
        name = "activation" if name.startswith("act") else name
        if name in params and name != "name":
            return Arg(value, name, span=arg.span)
    return arg
