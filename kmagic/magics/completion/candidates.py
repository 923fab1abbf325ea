"""What can be written at the cursor in a model's text. Starts neither IPython nor Keras.

The words are those of Keras once it is loaded, and until then those stored with the package.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Any

from kmagic.language.expressions import ExpressionError, evaluate
from kmagic.language.parser import COMPOUND, SIMPLE
from kmagic.language.vocabulary import ALIASES
from kmagic.magics.completion.cursor_position import CursorPosition, CursorScope, locate, scope_at
from kmagic.models import catalogue
from kmagic.models.catalogue import Parameter, Role
from kmagic.models.reference.docstring import docstring, split_sentences
from kmagic.models.reference.language_words import LANGUAGE_WORDS_BY_NAME
from kmagic.models.reference.word_families import ROLES, families, find_word, keras_words
from kmagic.models.reference.word_help import argument_descriptions
from kmagic.support import keras_import
from kmagic.support.keras_import import keras
from kmagic.support.suggestions import IPYTHON_NAMES

KEYWORDS = ("input", *SIMPLE, "reuse", *COMPOUND)
CONSTANTS = ("true", "false", "none")
LIKELY = (
    *("dense", "conv2d", "maxpool", "dropout", "flatten", "bn", "lstm", "gru", "embedding", "gap"),
    *("bidirectional", "conv1d", "avgpool", "rescaling", "reshape", "layer_normalization"),
    *("multi_head_attention", "add", "concatenate"),
)
"""Layers that are written most often; they come first once something is written."""
MAX_SUMMARY = 60
"""Characters of a line of documentation."""
_COMMON = ("name", "dtype", "trainable", "autocast", "activity_regularizer")
"""Arguments that every layer has; they come last."""
_KINDS: dict[Role, str] = {"activation": "function", "dtype": "keyword"}
"""What editors call the words of a role; all others are classes."""
_QUOTED = re.compile(r"[`'\"]+([A-Za-z]\w*)[`'\"]+")
_NO_CHOICES = {"None", "True", "False", "int", "float", "str", "tf_idf"}
_STRING_TYPES = ("string", "str", "either", "one of", "optional string")


@dataclass(frozen=True, slots=True)
class Completion:
    """A text that can be written at the cursor."""

    text: str  # the whole of it, including what is written already
    kind: str  # as editors call it: class, function, keyword, param, instance ...
    start: int = 0  # the offset from which it replaces the text up to the cursor
    summary: str = ""  # a line of documentation


def complete(
    text: str, cursor: int, names: Mapping[str, Any], *, ranges: bool = False
) -> list[Completion]:
    r"""What can be written at the cursor, an offset into a model's text; the most likely first.

    With ``ranges``, the text is that of a search.

    Example:
        >>> text = "block res(f):\n  conv2d {f}\nre"
        >>> [completion.text for completion in complete(text, len(text), {})][:2]
        ['res', 'rescaling']
    """
    position = locate(text, cursor)
    candidates = _Candidates(position, scope_at(text, cursor), names).all()
    if ranges and position.kind == "start":
        vary = Completion(
            "vary", "keyword", summary=as_line(LANGUAGE_WORDS_BY_NAME["vary"].summary)
        )
        candidates = chain([vary] * bool(position.fragment), candidates, [vary])
    return matching(candidates, position.fragment, cursor - len(position.fragment))


def matching(candidates: Iterable[Completion], fragment: str, start: int) -> list[Completion]:
    """The candidates that continue a fragment, each once, with the offset of the fragment."""
    unique: dict[str, Completion] = {}
    for candidate in candidates:
        if continues(candidate.text, fragment):
            unique.setdefault(candidate.text, replace(candidate, start=candidate.start or start))
    return list(unique.values())


def continues(word: str, fragment: str) -> bool:
    """Whether a word continues a fragment, regardless of underscores and case.

    Example:
        >>> continues("batch_normalization", "batchn"), continues("dense", "ens")
        (True, False)
    """
    if word.startswith(fragment):
        return True
    if not fragment[:1].isalpha():
        return False
    return catalogue.normalize_word(word).startswith(catalogue.normalize_word(fragment))


def completions(kind: str, texts: Iterable[str]) -> Iterator[Completion]:
    """Completions of one kind."""
    return (Completion(text, kind) for text in texts)


class _Candidates:
    """What can be written at a position, before what is written already counts."""

    def __init__(
        self, position: CursorPosition, scope: CursorScope, names: Mapping[str, Any]
    ) -> None:
        self.position, self.scope, self.names = position, scope, names

    def all(self) -> Iterator[Completion]:
        match self.position.kind:
            case "layer":
                return completions("instance", (*self.scope.outputs, *self.scope.models))
            case "kind":
                return completions("keyword", ("sequential", "functional"))
            case "nothing":
                return iter(())
        found: Iterator[Completion] = getattr(self, f"_{self.position.kind}")()
        return found

    # --- a step -------------------------------------------------------------------------------

    def _start(self) -> Iterator[Completion]:
        fragment = self.position.fragment
        if fragment.startswith("ops."):
            yield from self._ops()
            return
        yield from completions("function", self.scope.blocks)
        yield from completions("instance", self.scope.models)
        layers = {word.text: word for word in self._words("layer")}
        if fragment:
            yield from (layers.get(word, Completion(word, "class")) for word in LIKELY)
        for word, summary in _keyword_summaries().items():
            yield Completion(word, "keyword", summary=summary)
        yield from layers.values()
        for name, value in self._variables():
            if _is_layer_class(value):
                yield Completion(name, "class")
            elif inspect.isfunction(value) and fragment:
                yield Completion(name, "function")
        if fragment:
            yield from self._words("activation")
            yield Completion("ops.", "module")

    def _ops(self) -> Iterator[Completion]:
        keras = sys.modules.get("keras")
        ops = vars(keras.ops) if keras is not None and hasattr(keras, "ops") else {}
        for name, value in sorted(ops.items()):
            if callable(value) and not name.startswith("_"):
                yield Completion(f"ops.{name}", "function")

    def _words(self, role: Role) -> Iterator[Completion]:
        """Words of a role; alternative spellings only once something is written."""
        summaries = _summaries(role) if keras_import.is_loaded() else {}
        for word, preferred in words_of(role).items():
            if preferred or self.position.fragment:
                yield Completion(word, _KINDS.get(role, "class"), summary=summaries.get(word, ""))

    # --- arguments ----------------------------------------------------------------------------

    def _argument(self) -> Iterator[Completion]:
        position = self.position
        block = self.scope.blocks.get(position.callee)
        if block is not None:
            free = [f"{name}=" for name in block if name not in position.given]
            yield from completions("param", free)
            return
        function = self._function()
        params = [p for p in text_parameters(function) if p.name not in position.given]
        if position.fragment.startswith("!"):
            yield from completions("param", (f"!{param.name}" for param in params if param.is_flag))
            return
        yield from self._positional(params)
        if function is not None and position.spaced:
            yield from self._bare_words(function, params)
        elif position.spaced and position.callee not in KEYWORDS:
            yield from self._words("activation")
        descriptions = argument_descriptions(function) if function is not None else {}
        for param in sorted(params, key=lambda param: param.name in _COMMON):
            summary = as_line(descriptions.get(param.name, ""))
            yield Completion(f"{param.name}=", "param", summary=summary)
        if hasattr(function, "adapt"):
            yield Completion("adapt=", "param")

    def _function(self) -> Any:
        """The class or function whose arguments are written."""
        callee, owner = self.position.callee, self.position.owner
        if _is_layer_class(self.names.get(callee)):
            return self.names[callee]
        role: Role = catalogue.role_of(owner) if owner else "layer"
        return find_function(callee, role) or find_function(callee, "any")

    def _positional(self, params: list[Parameter]) -> Iterator[Completion]:
        """Values for the parameter that the next value without a name goes to."""
        position = self.position
        if position.callee == "compile" and not position.index:
            yield from self._words("optimizer")
        if position.callee == "input" and position.index:
            yield from completions("keyword", sorted(catalogue.DTYPES))
        free = [param for param in params if param.positional]
        index = position.index if not position.spaced else 0
        param = free[index] if index < len(free) else None
        if param is not None and param.required and param.role not in ("any", "shape"):
            yield from self._words(param.role)

    def _bare_words(self, function: Any, params: list[Parameter]) -> Iterator[Completion]:
        """Words that need no name, because their meaning selects the argument."""
        names = {param.name for param in params}
        given = set(self.position.given)
        if "padding" in names and not given & set(catalogue.PADDINGS):
            known = string_choices(function, "padding")
            paddings = [word for word in catalogue.PADDINGS if word in known]
            yield from completions("keyword", paddings)
        if "activation" in names and not given & words_of("activation").keys():
            yield from self._words("activation")
        for param in params:
            if param.is_flag and param.name not in _COMMON:
                yield Completion(f"!{param.name}" if param.default else param.name, "param")

    # --- values -------------------------------------------------------------------------------

    def _value(self) -> Iterator[Completion]:
        function, name = self._function(), self.position.name
        params = catalogue.parameters(function) if function else ()
        param = next((param for param in params if param.name == name), None)
        role = param.role if param is not None else catalogue.role_of(name)
        if param is not None and param.is_flag:
            texts = ("false", "true") if param.default else ("true", "false")
            yield from completions("keyword", texts)
            return
        if function is not None and role == "any":
            yield from completions("keyword", string_choices(function, name))
        yield from self._words(role)
        if param is not None and param.default is None:
            yield Completion("none", "keyword")

    # --- names --------------------------------------------------------------------------------

    def _tensor(self) -> Iterator[Completion]:
        yield from completions("instance", ("_", *self.scope.outputs))
        if self.scope.has_entry:
            yield Completion("_in", "instance")
        callee = self.position.callee
        layer = find_function(callee, "layer") if callee else None
        for name in call_parameters(layer):
            if name not in self.position.given:
                yield Completion(f"{name}=", "param")

    def _call(self) -> Iterator[Completion]:
        if self.position.name in ("training", "use_causal_mask", "return_attention_scores"):
            yield from completions("keyword", ("true", "false"))
            return
        yield from completions("instance", self.scope.outputs)
        yield from completions("keyword", CONSTANTS)

    def _braces(self) -> Iterator[Completion]:
        path, dot, _ = self.position.fragment.rpartition(".")
        if dot:
            try:
                value = evaluate(path, self.names)
            except ExpressionError:
                return
            public = (name for name in dir(value) if not name.startswith("_"))
            yield from completions("property", (f"{path}.{name}" for name in public))
            return
        yield from completions("instance", self.scope.values)
        for name, value in self._variables():
            kind = "class" if inspect.isclass(value) else "instance"
            yield Completion(name, "module" if inspect.ismodule(value) else kind)

    def _variables(self) -> list[tuple[str, Any]]:
        """The user's variables, values before modules."""
        own = [
            (name, value)
            for name, value in list(self.names.items())
            if not name.startswith("_") and name not in IPYTHON_NAMES and name != "display"
            if name not in self.scope.outputs  # the text's own names come first
        ]
        return sorted(own, key=lambda item: inspect.ismodule(item[1]))


def _is_layer_class(value: Any) -> bool:
    keras = sys.modules.get("keras")
    base = getattr(getattr(keras, "layers", None), "Layer", None)
    return base is not None and inspect.isclass(value) and issubclass(value, base)


# --- words ----------------------------------------------------------------------------------------


def words_of(role: Role) -> Mapping[str, bool]:
    """The words of a role; False for an alternative spelling."""
    if role not in ROLES:
        return {}
    if not keras_import.is_loaded():
        return dict.fromkeys(stored_words().get(role, ()), True)
    return _keras_words(role)


@cache
def _keras_words(role: Role) -> dict[str, bool]:
    known = list(keras_words(role))
    if role == "layer":  # the common ones first: dense before activation
        known = [word for members in families().values() for word in members]
    if role == "dtype":  # plain dtypes before policies
        known.sort(key=lambda word: word.value is not None)
    words = {word.word: True for word in known}
    for word in known:
        for alias in word.aliases:
            words.setdefault(alias, alias in ALIASES)
    return words


@cache
def _summaries(role: Role) -> dict[str, str]:
    words = keras_words(role) if role in ROLES else ()
    return {
        spelling: as_line(word.summary) for word in words for spelling in (word.word, *word.aliases)
    }


def _keyword_summaries() -> dict[str, str]:
    return {word: as_line(LANGUAGE_WORDS_BY_NAME[word].summary) for word in KEYWORDS}


def as_line(text: str) -> str:
    """The first sentence of a documentation, as it fits beside a word.

    Example:
        >>> as_line("Rate of `dropout`, between 0 and 1. By default 0.5.")
        'Rate of dropout, between 0 and 1'
    """
    sentence = split_sentences(text)[0].replace("`", "").removesuffix(".")
    return textwrap.shorten(sentence, MAX_SUMMARY, placeholder=" ...")


def word_summaries() -> dict[str, str]:
    """A line of documentation of each word of the installed Keras and of the language."""
    words = {word: text for role in reversed(ROLES) for word, text in _summaries(role).items()}
    return words | _keyword_summaries()


@cache
def stored_words() -> dict[str, list[str]]:
    """The words of each role, as the package was built with them."""
    text = files(__package__).joinpath("words.json").read_text(encoding="utf-8")
    words: dict[str, list[str]] = json.loads(text)
    return words


def words_to_store() -> dict[str, list[str]]:
    """The words of each role in the installed Keras."""
    return {
        role: [word for word, preferred in _keras_words(role).items() if preferred]
        for role in ROLES
    }


def find_function(word: str, role: Role) -> Any:
    """The class or function that a word stands for; None if it is unknown or Keras not loaded."""
    if not keras_import.is_loaded():
        return None
    if word == "compile":
        return keras.Model.compile
    if word == "input":
        return keras.Input
    if role in ROLES:
        return find_word(role, word)
    known = (find_word(role, word) for role in ROLES)
    return next((value for value in known if inspect.isclass(value)), None)


def text_parameters(function: Any) -> tuple[Parameter, ...]:
    """The parameters of a class or function that a text can set."""
    if function is None:
        return ()
    described = argument_descriptions(function)
    return tuple(
        param
        for param in catalogue.parameters(function)
        if param.name != "self" and (param.positional or param.name in described)
    )


def call_parameters(layer: Any) -> tuple[str, ...]:
    """The keyword parameters of a layer's call, after its inputs."""
    call = getattr(layer, "call", None)
    if call is None:
        return ()
    params = list(inspect.signature(call).parameters.values())[2:]
    return tuple(
        param.name
        for param in params
        if param.kind not in (param.VAR_POSITIONAL, param.VAR_KEYWORD)
    )


def string_choices(function: Any, name: str) -> tuple[str, ...]:
    """The strings that a parameter can be, as its description names them."""
    params = {param.name: param for param in catalogue.parameters(function)}
    default = params[name].default if name in params else None
    description = docstring(function).arguments().get(name, "")
    description = description or argument_descriptions(function).get(name, "")
    choices = [
        word
        for word in _QUOTED.findall(description)
        if word not in params and word not in _NO_CHOICES and not word.isupper()
    ]
    if isinstance(default, str):
        return tuple(dict.fromkeys([default, *choices]))
    is_string = description.lower().lstrip("`").startswith(_STRING_TYPES)
    return tuple(dict.fromkeys(choices)) if is_string else ()
